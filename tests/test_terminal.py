"""What a terminal shows and a pipe does not: the live line, the ten lines at the end, colours, completion."""

import json
import os
import pty
import re
import subprocess
import sys
from io import StringIO

import pytest
from command_line import Run, one_line
from rich.console import Console

from sfopt.examples import digits_model_path
from sfopt.progress import progress_line

COMMAND = (sys.executable, "-c", "from sfopt.cli import main; main()")
LABELS = ["model", "import", "device", "traffic", "", "proof", "time", "checked", "original", "host"]
COLOUR = re.compile(r"\x1b\[(?:\d+;)*(?:3[0-7]|9[0-7]|38;[0-9;]+)m")


class Tty(StringIO):
    """A file that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


def on_a_terminal(*arguments: object) -> tuple[int, str]:
    """The command with a pseudo-terminal for both outputs: exit code, and everything written."""
    ours, theirs = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "120"}
    environment.pop("NO_COLOR", None)
    process = subprocess.Popen(
        [*COMMAND, *map(str, arguments)], stdin=theirs, stdout=theirs, stderr=theirs, env=environment
    )
    os.close(theirs)
    parts = list[bytes]()
    while True:
        try:
            part = os.read(ours, 1 << 16)
        except OSError:  # what Linux says when nobody holds the other side any more
            break
        if not part:
            break
        parts.append(part)
    os.close(ours)
    return process.wait(), b"".join(parts).decode()


def shown(environment: dict[str, str], file: StringIO) -> str:
    """What a line with some news writes to a file."""
    with progress_line(Console(file=file, _environ=environment)) as line:
        line("import", 0, 0)
        line("quantise", 3, 16)
        line("solve", 0, 0)
        line.solve("traffic", None, 1000)
        line.solve("cycles", 2500, 1000)
        line.solve("peak", 77, 77)
        line("emit", 0, 0)
    return file.getvalue()


@pytest.mark.slow
def test_a_terminal_sees_every_stage_with_incumbent_and_bound(tmp_path) -> None:
    code, text = on_a_terminal("optimize", digits_model_path(), "--device", "sim8", "--out", tmp_path / "o")
    assert code == 0, text
    where = [
        text.index(f"{stage}") for stage in ("import", "quantise", "solve", "check", "emit", "simulate", "compare")
    ]
    assert where == sorted(where)
    assert text.index("model     digits.onnx") > where[-1]
    assert re.search(r"solve: \w+ [\d,]+, (?:proven|bound [\d,]+)", text)
    assert f"written   {tmp_path / 'o'}" in text


def test_a_pipe_sees_ten_aligned_lines_and_nothing_else(sfopt: Run, tmp_path) -> None:
    code, text, err = sfopt("optimize", digits_model_path(), "--device", "sim8", "--out", tmp_path / "o")
    assert code == 0
    assert "\x1b" not in text + err
    lines = text.splitlines()
    assert [line[:10].rstrip() for line in lines] == LABELS
    assert all(line[10] != " " for line in lines)
    assert [line for line in err.splitlines() if not line.startswith("warning:")] == [f"written   {tmp_path / 'o'}"]


def test_ten_lines_without_a_run_and_with_orders(sfopt: Run, tmp_path) -> None:
    more = ("--no-verify", "--orders", "2", "--out", tmp_path / "o")
    code, text, _ = sfopt("optimize", digits_model_path(), "--device", "sim8", *more)
    assert code == 0
    assert [line[:10].rstrip() for line in text.splitlines()] == LABELS


@pytest.mark.parametrize("command", ["optimize", "verify"])
def test_json_is_one_document_and_an_error_one_line(sfopt: Run, tmp_path, command: str) -> None:
    out = ("--out", tmp_path / "o") if command == "optimize" else ()
    code, text, _ = sfopt(command, digits_model_path(), "--device", "sim8", *out, "--json")
    assert code == 0
    assert json.loads(text)["schema"] == 1
    code, text, err = sfopt(command, digits_model_path(), "--device", "sim8", "--sram", "512", *out, "--json")
    assert (code, text) == (3, "")
    assert "short by" in one_line(err)


def test_the_line_has_incumbent_and_bound() -> None:
    text = shown({"TERM": "xterm", "COLUMNS": "100"}, Tty())
    assert "solve: traffic nothing yet, bound 1,000" in text
    assert "solve: cycles 2,500, bound 1,000" in text
    assert "solve: peak 77, proven" in text
    assert all(stage in text for stage in ("import", "quantise", "solve", "emit"))
    assert COLOUR.search(text)


def test_no_color_is_honoured() -> None:
    text = shown({"TERM": "xterm", "COLUMNS": "100", "NO_COLOR": "1"}, Tty())
    assert "solve" in text
    assert not COLOUR.search(text)


@pytest.mark.parametrize(
    ("environment", "file"),
    [
        ({"TERM": "dumb"}, Tty()),
        ({"TERM": "xterm"}, StringIO()),
        ({"TERM": "xterm", "FORCE_COLOR": "1"}, StringIO()),
    ],
)
def test_no_line_on_a_dumb_terminal_or_in_a_pipe(environment: dict[str, str], file: StringIO) -> None:
    assert shown(environment, file) == ""


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("sfopt optimize x.onnx --device kcu", "kcu1500"),
        ("sfopt devices sim1", "sim16"),
        ("sfopt verify x.onnx --backend or", "ort"),
        ("sfopt explain x.onnx --method greedy-s", "greedy-size"),
        ("sfopt study x.onnx --methods optimal,cut", "optimal,cutpoint"),
        ("sfopt optimize x.onnx --objective lat", "latency"),
    ],
)
def test_a_shell_completes_names(sfopt: Run, monkeypatch: pytest.MonkeyPatch, words: str, expected: str) -> None:
    monkeypatch.setenv("_SFOPT_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(len(words.split()) - 1))
    code, text, _ = sfopt()
    assert code == 0
    assert text.split() == [expected]


def test_completion_can_be_installed(sfopt: Run) -> None:
    code, text, _ = sfopt("--help")
    assert code == 0
    assert "--install-completion" in text
    assert "--show-completion" in text
