"""The site of docs/: it builds without a warning, needs nothing from elsewhere, and has an entry for every public name."""

import importlib
import importlib.util
import inspect
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
API = sorted((DOCS / "api").glob("*.md"))
INNER = "planner.md"
REQUIRED = {
    "sfopt",
    "sfopt.allocate",
    "sfopt.backend",
    "sfopt.check",
    "sfopt.device",
    "sfopt.errors",
    "sfopt.groups",
    "sfopt.pipeline",
    "sfopt.plan",
    "sfopt.testing",
}
PluginError = pytest.importorskip("mkdocs.exceptions", reason="needs the optional dependencies `docs`").PluginError
pytestmark = pytest.mark.slow


def build(config: Path, site: Path) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-m",
        "mkdocs",
        "build",
        "--strict",
        "--config-file",
        str(config),
        "--site-dir",
        str(site),
    ]
    paths = os.pathsep.join([str(ROOT), str(ROOT / "backends"), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": paths}
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, env=environment)


def test_the_site(tmp_path: Path) -> None:
    """Built once, looked at from all sides: two workers would build it twice for two tests."""
    made = build(ROOT / "mkdocs.yml", tmp_path)
    assert made.returncode == 0, made.stderr
    require_every_page(tmp_path)
    require_nothing_from_elsewhere(tmp_path)
    require_formulas_as_mathml(tmp_path)
    require_no_reference_left_over(tmp_path)
    for page in API:
        if page.name != INNER:
            require_every_public_name(tmp_path, page)


def modules(*pages: Path) -> list[str]:
    """What the pages of docs/api ask mkdocstrings for."""
    return [
        name for page in pages for name in re.findall(r"^::: (\S+)", page.read_text(encoding="utf-8"), re.MULTILINE)
    ]


def anchors(html: str) -> set[str]:
    return set(re.findall(r'\bid="([^"]*)"', html))


def fetched(html: str) -> list[str]:
    """Addresses that a browser fetches by itself: those of all elements but links to click on."""
    elements = re.findall(r"<(?!a\b)\w+\b[^>]*>", html)
    return [address for element in elements for address in re.findall(r'\b(?:src|href)="([^"]*)"', element)]


def prose(html: str) -> str:
    """Without code, scripts and tags."""
    return re.sub(r"<[^>]*>", "", re.sub(r"<(code|pre|script|style)\b.*?</\1>", "", html, flags=re.DOTALL))


def pages(site: Path) -> Iterator[tuple[str, str]]:
    """Names and texts of all pages."""
    return ((page.name, page.read_text(encoding="utf-8")) for page in site.rglob("*.html"))


def require_every_page(site: Path) -> None:
    pages = {page.relative_to(DOCS).with_suffix(".html") for page in DOCS.rglob("*.md")}
    assert [page for page in sorted(pages) if not (site / page).is_file()] == []
    results = ROOT / "benchmarks" / "results"
    made = [file.relative_to(results).with_suffix(".html") for file in results.rglob("*.md")]
    assert len(made) > 10
    assert [page for page in made if not (site / "results" / page).is_file()] == []


def require_nothing_from_elsewhere(site: Path) -> None:
    assert [(name, to) for name, html in pages(site) for to in fetched(html) if "//" in to] == []
    sheets = [sheet.read_text(encoding="utf-8") for sheet in site.rglob("*.css")]
    assert sheets
    assert [url for sheet in sheets for url in re.findall(r"(?:url\(|@import )[\"']?(?:https?:)?//", sheet)] == []


def require_formulas_as_mathml(site: Path) -> None:
    html = (site / "formulation.html").read_text(encoding="utf-8")
    written = (DOCS / "formulation.md").read_text(encoding="utf-8")
    assert html.count('display="block"') == len(re.findall(r"^\$\$$", written, re.MULTILINE)) // 2 > 30
    assert "$" not in prose(html)


def require_no_reference_left_over(site: Path) -> None:
    assert [
        (name, left) for name, html in pages(site) for left in re.findall(r".*(?:\]\[|&lt;!--).*", prose(html))
    ] == []


def require_every_public_name(site: Path, page: Path) -> None:
    found = anchors((site / "api" / f"{page.stem}.html").read_text(encoding="utf-8"))
    wanted = {f"{name}.{public}" for name in modules(page) for public in importlib.import_module(name).__all__}
    assert wanted
    assert sorted(wanted - found) == []


def test_what_is_looked_for_is_seen() -> None:
    html = (
        '<link rel="icon" href="//else.where/x.png"><a id="here" href="https://any.where">[a][b]</a><code>[c][d]</code>'
    )
    assert (anchors(html), fetched(html), prose(html)) == ({"here"}, ["//else.where/x.png"], "[a][b]")


def test_the_readme_leads_to_files_that_are_there() -> None:
    links = re.findall(r"\]\(([^)#]+)", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert len(links) > 10
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_pages_have_what_is_public() -> None:
    assert set(modules(*API)) >= REQUIRED


def test_every_public_function_and_class_has_a_docstring() -> None:
    named = [(importlib.import_module(name), name) for name in modules(*API)]
    values = [(f"{name}.{public}", getattr(module, public)) for module, name in named for public in module.__all__]
    defined = [(name, value) for name, value in values if inspect.isfunction(value) or inspect.isclass(value)]
    assert len(defined) > 200
    assert [name for name, value in defined if not value.__doc__] == []


def test_a_wrong_link_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    wrong = "[a](nothing.md), [b](index.md#nowhere), [`c`][sfopt.allocate.choice.nobody], [d](../README.md)"
    (tmp_path / "docs" / "index.md").write_text(f"# Page\n\n{wrong}\n", encoding="utf-8")
    hooks = [f"  - {hook}" for hook in sorted((DOCS / "hooks").glob("*.py"))]
    settings = [f"INHERIT: {ROOT / 'mkdocs.yml'}", f"docs_dir: {tmp_path / 'docs'}", "nav: [index.md]", "extra_css: []"]
    (tmp_path / "mkdocs.yml").write_text("\n".join([*settings, "hooks:", *hooks]), encoding="utf-8")
    made = build(tmp_path / "mkdocs.yml", tmp_path / "site")
    assert made.returncode != 0
    for complaint in ("'nothing.md'", "'index.md#nowhere'", "'sfopt.allocate.choice.nobody'", "'../README.md'"):
        assert complaint in made.stderr, made.stderr


def hook(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, DOCS / "hooks" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_wrong_table_or_formula_is_an_error() -> None:
    tables, mathematics = hook("tables"), hook("mathematics")
    with pytest.raises(PluginError, match="no table `nothing`"):
        tables.on_page_markdown("<!-- table: nothing -->")
    with pytest.raises(PluginError, match=r"the table `a \| b` has another number of cells"):
        tables.table(("a", "b"), iter([("c",)]))
    with pytest.raises(PluginError, match=r"formula `\\nothing \+ 1`"):
        mathematics.mathml(r"\nothing + 1", "inline")
    assert mathematics.mathml("x_1 &lt; 2", "inline").startswith("<math")


def test_a_result_without_a_script_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tables = hook("tables")
    (tmp_path / "nobodys.md").write_text("figures", encoding="utf-8")
    monkeypatch.setattr(tables, "RESULTS", tmp_path)
    with pytest.raises(PluginError, match=r"no script for `nobodys\.md`"):
        tables.scripts()
