"""docs/formulation.md against the planner: every function that posts constraints has its section, with a formula for each of its
calls, and every name on the page is there.
"""

import ast
import importlib
import inspect
import re
from itertools import pairwise
from pathlib import Path

import pytest

import sfopt.allocate

PAGE = Path(__file__).parents[1] / "docs" / "formulation.md"
REFERENCE = re.compile(r"\[`([^`]+)`\]\[([\w.]+)\]")
POSTING = {"row", "add", "add_no_overlap", "add_linear_constraint"}
"""Methods of `LinearProgram` and of CP-SAT's model that post constraints."""
MODELS = {"self.program", "self", "model"}
"""What they are methods of. (`self.row` would be one of `LinearProgram` itself.)"""
COLUMNS = {"column", "new_int_var", "new_int_var_from_domain", "new_bool_var"}
TRANSLATORS = {"sfopt.allocate.linear.solve_with_cp_sat", "sfopt.allocate.linear.row_prices"}
"""They give the rows that others post to a solver."""


def functions(calls: set[str]) -> dict[str, int]:
    """Full name of each function of the planner that makes such calls -> how many, by reading the source."""
    found = dict[str, int]()
    folder = Path(inspect.getfile(sfopt.allocate)).parent
    for file in folder.rglob("*.py"):
        module = ".".join(("sfopt", "allocate", *file.relative_to(folder).with_suffix("").parts))
        tree = ast.parse(file.read_text(encoding="utf-8"))
        for name, function in named_functions(tree, module):
            count = sum(is_call(node, calls) for node in ast.walk(function))
            if count:
                found[name] = count
    return {name: count for name, count in found.items() if name not in TRANSLATORS}


def named_functions(tree: ast.AST, prefix: str) -> list[tuple[str, ast.FunctionDef]]:
    inside = ast.iter_child_nodes(tree)
    named = [(f"{prefix}.{n.name}", n) for n in inside if isinstance(n, ast.FunctionDef | ast.ClassDef)]
    classes = [pair for name, node in named if isinstance(node, ast.ClassDef) for pair in named_functions(node, name)]
    return classes + [(name, node) for name, node in named if isinstance(node, ast.FunctionDef)]


def is_call(node: ast.AST, names: set[str]) -> bool:
    match node:
        case ast.Call(func=ast.Attribute(attr=name, value=owner)):
            return name in names and ast.unparse(owner) in MODELS
    return False


def sections(page: str) -> dict[str, int]:
    """Function that a section names as the one that posts -> formulas of the section."""
    found = dict[str, int]()
    for section in re.split(r"^##+ ", page, flags=re.MULTILINE):
        posted = re.search(r"^Posted by \[`[^`]+`\]\[([\w.]+)\]", section, re.MULTILINE)
        formulas = len(re.findall(r"^\$\$\n.+?\n\$\$$", section, re.MULTILINE | re.DOTALL))
        assert bool(posted) == bool(formulas), section.splitlines()[0]
        if posted:
            assert posted[1] not in found
            found[posted[1]] = formulas
    return found


def resolved(name: str) -> object:
    parts = name.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            value: object = importlib.import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        for part in parts[cut:]:
            value = getattr(value, part)
        return value
    raise AttributeError(name)


def test_each_posting_call_has_its_formula() -> None:
    posting = functions(POSTING)
    assert len(posting) > 15
    assert sections(PAGE.read_text(encoding="utf-8")) == posting


def test_a_formula_too_few_is_seen() -> None:
    page = PAGE.read_text(encoding="utf-8")
    formulas = list(re.finditer(r"^\$\$\n.+?\n\$\$\n", page, re.MULTILINE | re.DOTALL))
    second = next(b for a, b in pairwise(formulas) if "floor" in b[0])
    less = sections(page[: second.start()] + page[second.end() :])
    name = "sfopt.allocate.choice.ChoiceProgram._capacity"
    assert less == functions(POSTING) | {name: 1}


def test_each_variable_has_its_function() -> None:
    making = {name.removesuffix(".__init__") for name in functions(COLUMNS)}
    named = {name for _, name in REFERENCE.findall(PAGE.read_text(encoding="utf-8"))}
    assert making - named == set()


@pytest.mark.parametrize(("shown", "name"), sorted(set(REFERENCE.findall(PAGE.read_text(encoding="utf-8")))))
def test_each_name_is_there(shown: str, name: str) -> None:
    value = resolved(name)
    assert callable(value)
    assert name == shown or name.endswith(f".{shown}")


def test_calls_are_seen() -> None:
    source = """
class Program:
    def one(self):
        self.program.row([(1, 2)], high=0)
        for _ in range(2):
            self.program.row([])
    def none(self):
        self.rows.add(1)
def two(model):
    model.add(x <= 1).only_enforce_if(y)
"""
    counts = {
        name: sum(is_call(node, POSTING) for node in ast.walk(function))
        for name, function in named_functions(ast.parse(source), "m")
    }
    assert counts == {"m.Program.one": 2, "m.Program.none": 0, "m.two": 1}
