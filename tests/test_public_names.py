"""Every module says what it offers: `__all__` is there, sorted, without names that do not exist, and with every public function
and class that the module defines."""

import ast
import importlib
import importlib.util
import re
from pathlib import Path

import pytest

PACKAGES = ("sfopt", "sfopt_ort", "sfopt_fpga", "sfopt_c")


def module_names() -> list[str]:
    """Every module of the packages, found without importing any, so that one that fails to import is one failed test."""
    names = []
    for package in PACKAGES:
        spec = importlib.util.find_spec(package)
        assert spec is not None, f"{package} is not installed"
        for folder in map(Path, spec.submodule_search_locations or ()):
            files = (file.relative_to(folder.parent).with_suffix("") for file in folder.rglob("*.py"))
            names.extend(".".join(file.parts).removesuffix(".__init__") for file in files)
    return sorted(names)


def constants_classes_functions(name: str) -> tuple[int, list[tuple[int, str]]]:
    """The order that ruff's rule RUF022 keeps: CONSTANTS, then Classes, then functions, each in natural order."""
    rank = 0 if name.isupper() and len(name) > 1 else 1 if name[0].isupper() else 2
    parts = re.split(r"(\d+)", name)
    return rank, [(int(p) if p.isdigit() else 0, p) for p in parts]


def defined_names(source: str) -> set[str]:
    """Names without a leading underscore that the module's own top-level statements define as a function or a class."""
    tree = ast.parse(source)
    return {
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
    }


@pytest.mark.parametrize("name", module_names())
def test_all_is_exact_and_sorted(name):
    module = importlib.import_module(name)
    assert hasattr(module, "__all__"), f"{name} has no __all__"
    assert list(module.__all__) == sorted(set(module.__all__), key=constants_classes_functions)
    assert [public for public in module.__all__ if not hasattr(module, public)] == []
    unlisted = defined_names(Path(module.__file__).read_text(encoding="utf-8")) - set(module.__all__)
    assert unlisted == set(), f"{name} defines public names that its __all__ leaves out"


def test_order():
    names = ["b", "A", "LEVELS", "a", "Level", "X"]
    assert sorted(names, key=constants_classes_functions) == ["LEVELS", "A", "Level", "X", "a", "b"]


def test_unlisted_names_are_seen():
    assert defined_names("def a(): pass\nclass B: pass\ndef _c(): pass\nd = 1") == {"a", "B"}
