"""Pages of docs/ whose code runs: their blocks in order, in one folder, what they show compared with what comes out.

| block | what is done with it |
|---|---|
| ```console | behind `$ ` is a command for bash (lines behind `> ` go on with it); the lines below are its output and errors |
| ```pycon | statements behind `>>> ` and `... `, and what the interpreter prints; all of a page share their names |
| ```LANGUAGE title="FILE" | the file is written |
| ```text | only read: installing, and what takes a board |

Output must be equal, but for `...`, which stands for a number: of seconds, or of a comparison in floating point (`ELIDED`).
"""

import contextlib
import doctest
import io
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["ELIDED", "ROOT", "Example", "Session", "blocks", "elided", "examples", "rewritten", "same"]

ROOT = Path(__file__).parents[1]
FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>\w+)(?: +title=\"(?P<title>[^\"]+)\")?\n(?P<body>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)
MINUTES = re.compile(r"(?<=\ds) \(\d+:\d\d:\d\d\)")
"""What pytest adds to seconds from a minute on."""
LANGUAGES = ("console", "pycon", "text")
NUMBER = r"\d+(?:\.\d+)?(?:e[-+]?\d+)?"
ELIDED = re.compile(rf"(?<![\w.]){NUMBER}(?= ?s\b)|(?<=largest difference ){NUMBER}|(?<=SQNR ){NUMBER}")
"""Seconds, and what a comparison of floating-point results came to."""
SHOWN_ELIDED = re.compile(r"(?<![\w.])\.\.\.(?= ?s\b)|(?<=largest difference )\.\.\.|(?<=SQNR )\.\.\.")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    language: str
    title: str | None
    body: str
    start: int
    """Where its body begins in the page."""


@dataclass(frozen=True)
class Example:
    """A command or statement, and the output that the page shows."""

    source: str
    shown: str
    line: int


def blocks(page: str) -> Iterator[Block]:
    """The fenced blocks of a page, in order. Raises ValueError for one that would neither be run nor written nor only read."""
    for match in FENCE.finditer(page):
        language, title = match["language"], match["title"]
        if title is None and language not in LANGUAGES:
            raise ValueError(f"a block of `{language}` needs a title, or is one of {', '.join(LANGUAGES)}")
        yield Block(language, title, match["body"], match.start("body"))


def examples(block: Block) -> list[Example]:
    """Commands or statements of a block that runs."""
    if block.language == "pycon":
        found = doctest.DocTestParser().get_examples(block.body)
        return [Example(e.source, e.want, e.lineno) for e in found]
    made, lines = list[Example](), block.body.splitlines(keepends=True)
    starts = [i for i, line in enumerate(lines) if line.startswith("$ ")]
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        count = 1
        while start + count < end and lines[start + count].startswith("> "):
            count += 1
        source = "".join(line[2:] for line in lines[start : start + count])
        made.append(Example(source, "".join(lines[start + count : end]), start))
    return made


def same(shown: str, got: str) -> bool:
    """Whether output is what the page shows."""
    pattern = NUMBER.join(re.escape(part) for part in SHOWN_ELIDED.split(shown.rstrip()))
    return re.fullmatch(pattern, got.rstrip()) is not None


def elided(got: str) -> str:
    """Output as a page shows it."""
    return ELIDED.sub("...", got)


@dataclass
class Session:
    """One folder in which a page's blocks run."""

    folder: Path
    names: dict[str, Any] = field(default_factory=lambda: {"__name__": "__main__"})

    def run(self, example: Example, language: str) -> str:
        """What a command or a statement prints."""
        return self._statement(example.source) if language == "pycon" else self._command(example.source)

    def write(self, block: Block) -> None:
        """The file of a block with a title."""
        assert block.title is not None
        path = self.folder / block.title
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.body, encoding="utf-8")

    def _command(self, source: str) -> str:
        paths = {
            "PATH": [str(Path(sys.executable).parent), os.environ["PATH"]],
            "PYTHONPATH": [str(ROOT), str(ROOT / "backends"), os.environ.get("PYTHONPATH", "")],
        }
        plain = {"COLUMNS": "120", "NO_COLOR": "1", "PYTEST_ADDOPTS": ""}
        plain |= {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
        environment = {**os.environ, **plain, **{name: os.pathsep.join(parts) for name, parts in paths.items()}}
        command = ["bash", "-euo", "pipefail", "-c", source]
        done = subprocess.run(command, cwd=self.folder, env=environment, stdout=-1, stderr=-2, text=True, check=False)
        assert done.returncode == 0, f"{source}\n{done.stdout}"
        return MINUTES.sub("", done.stdout)

    def _statement(self, source: str) -> str:
        out = io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.chdir(self.folder):
            exec(compile(source, "<page>", "single"), self.names)
        return out.getvalue()


def rewritten(page: str, folder: Path) -> str:
    """The page with the output that its code has now."""
    session, made, at = Session(folder), list[str](), 0
    for block in blocks(page):
        if block.title is not None:
            session.write(block)
        elif block.language != "text":
            made += [page[at : block.start], _with_output(block, session)]
            at = block.start + len(block.body)
    return "".join([*made, page[at:]])


def _with_output(block: Block, session: Session) -> str:
    lines, made, at = block.body.splitlines(keepends=True), list[str](), 0
    for example in examples(block):
        count = len(example.source.splitlines())
        got = session.run(example, block.language)
        kept = example.shown if same(example.shown, got) else elided(got)
        if kept and not kept.endswith("\n"):
            kept += "\n"
        made += [*lines[at : example.line + count], kept]
        at = example.line + count + len(example.shown.splitlines())
    return "".join([*made, *lines[at:]])
