"""The pages whose code runs: what they show is what comes out. `python tests/test_docs_pages.py [PAGE...]` writes it anew.

The tutorial is run with the other tests, the guides that take TensorFlow or a C++ compiler in `make nightly`.
"""

import json
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from doc_pages import ELIDED, ROOT, Session, blocks, elided, examples, rewritten, same

from sfopt.device import load_device
from sfopt.examples import digits_model_path
from sfopt.pipeline import Options, optimize
from sfopt.report import build_report, report_json

DOCS = ROOT / "docs"
SOON = ("tutorial.md", "files.md", "guides/backend.md")
NIGHTLY = ("guides/tensorflow.md", "guides/report.md", "guides/sram.md", "guides/rtl.md")
PAGES = [
    *(pytest.param(p, marks=pytest.mark.slow) for p in SOON),
    *(pytest.param(p, marks=pytest.mark.nightly) for p in NIGHTLY),
]


@pytest.mark.parametrize("name", PAGES)
def test_what_a_page_shows_comes_out(name: str, tmp_path: Path) -> None:
    if "import keras" in (DOCS / name).read_text(encoding="utf-8"):
        pytest.importorskip("tensorflow", reason="needs the optional dependencies `tf`")
    session = Session(tmp_path)
    for block in blocks((DOCS / name).read_text(encoding="utf-8")):
        if block.title is not None:
            session.write(block)
        elif block.language != "text":
            for example in examples(block):
                got = session.run(example, block.language)
                assert same(example.shown, got), f"{example.source}shows\n{example.shown}but it is\n{elided(got)}"


@pytest.mark.parametrize("name", [*SOON, *NIGHTLY])
def test_a_page_runs_something(name: str) -> None:
    found = list(blocks((DOCS / name).read_text(encoding="utf-8")))
    assert any(block.language in ("console", "pycon") and examples(block) for block in found)


def test_no_other_page_has_commands() -> None:
    others = {p.relative_to(DOCS).as_posix() for p in DOCS.rglob("*.md")} - {*SOON, *NIGHTLY}
    assert [
        p for p in sorted(others) if re.search(r"^```(console|pycon)", (DOCS / p).read_text(encoding="utf-8"), re.M)
    ] == []


def test_report_json_has_the_keys_of_the_page_and_no_others() -> None:
    page = (DOCS / "files.md").read_text(encoding="utf-8")
    table = page.split("<!-- keys of report.json -->")[1].split("\n## ")[0]
    named = [
        key
        for row in table.splitlines()
        if row.startswith("| `")
        for key in re.findall(r"`([^`]+)`", row.split("|")[1])
    ]
    assert len(named) == len(set(named))
    result = optimize(digits_model_path(), Options(load_device("sim8")))
    found = set(keys(json.loads(report_json(build_report(result))), ""))
    assert found == set(named)


def keys(value: Any, path: str) -> Iterator[str]:
    """Paths of what a report has; the tables that share keys, or have a stage's name for one, count as one each."""
    if path in ("dram_bytes.simulated", "dram_bytes.rtl", "stage_seconds"):
        yield path
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from keys(inner, f"{path}.{key}" if path else key)
    elif isinstance(value, list) and any(isinstance(entry, dict) for entry in value):
        for entry in value:
            yield from keys(entry, f"{path}[]")
    else:
        yield path


class TestPages:
    PAGE = '# Page\n\n```python title="a.py"\nprint(6 * 7)\n```\n\n```console\n$ python a.py\n42\n$ ls \\\n> a.py\na.py\n```\n\n'
    MORE = "```pycon\n>>> x = 2\n>>> for i in range(x):\n...     print(i)\n0\n1\n```\n"

    def test_output_is_compared(self, tmp_path: Path) -> None:
        assert rewritten(self.PAGE + self.MORE, tmp_path) == self.PAGE + self.MORE

    @pytest.mark.parametrize(
        ("right", "wrong"), [("42", "41"), ("a.py\na.py", "a.py\nb.py"), ("0\n1", "0\n2"), ("42\n", "")]
    )
    def test_what_is_wrong_is_seen(self, right: str, wrong: str, tmp_path: Path) -> None:
        page = self.PAGE + self.MORE
        assert right in page
        assert rewritten(page.replace(right, wrong, 1), tmp_path) == page

    def test_minutes_are_left_out(self, tmp_path: Path) -> None:
        page = '```console\n$ echo "1 passed in 71.25s (0:01:11)"\n1 passed in ...s\n```\n'
        assert rewritten(page, tmp_path) == page

    def test_a_command_that_fails_is_an_error(self, tmp_path: Path) -> None:
        with pytest.raises(AssertionError, match="no_such_command"):
            rewritten("```console\n$ no_such_command | cat\n```\n", tmp_path)

    def test_code_that_nothing_runs_is_an_error(self) -> None:
        with pytest.raises(ValueError, match="a block of `python` needs a title"):
            list(blocks("```python\nprint()\n```\n"))

    def test_only_numbers_are_left_out(self) -> None:
        assert same("took ... s, traffic 12\n", "took 1.25 s, traffic 12\n")
        assert not same("took ... s, traffic 12\n", "took long s, traffic 12\n")
        assert not same("took ... s, traffic 12\n", "took 1.25 s, traffic 13\n")
        assert not same("took ... s\n", "took 1.25 s\nmore\n")
        assert not same("traffic ...\n", "traffic 12\n")
        assert elided("peak 34896; 1.18 s; SQNR 101.9 dB, 3 ops") == "peak 34896; ... s; SQNR ... dB, 3 ops"

    @pytest.mark.parametrize("name", [*SOON, *NIGHTLY])
    def test_times_and_differences_are_left_out(self, name: str) -> None:
        for block in blocks((DOCS / name).read_text(encoding="utf-8")):
            for example in examples(block) if block.language in ("console", "pycon") else ():
                assert not ELIDED.search(example.shown), example.shown


if __name__ == "__main__":
    for name in sys.argv[1:] or [*SOON, *NIGHTLY]:
        page = DOCS / name
        with tempfile.TemporaryDirectory() as folder:
            page.write_text(rewritten(page.read_text(encoding="utf-8"), Path(folder)), encoding="utf-8")
