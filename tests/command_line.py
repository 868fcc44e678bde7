"""The command run in this process, and what its standard error must look like."""

import sys

import pytest

from sfopt.cli import main

__all__ = ["Run", "one_line"]


class Run:
    """One in-process run of the command: exit code, standard output, standard error."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.monkeypatch, self.capsys = monkeypatch, capsys

    def __call__(self, *arguments: object) -> tuple[int, str, str]:
        self.monkeypatch.setattr(sys, "argv", ["sfopt", *map(str, arguments)])
        self.monkeypatch.setenv("COLUMNS", "160")
        with pytest.raises(SystemExit) as stop:
            main()
        out, err = self.capsys.readouterr()
        return int(stop.value.code or 0), out, err


def one_line(err: str) -> str:
    """Standard error must be one line (after warnings), without a traceback."""
    lines = [line for line in err.splitlines() if not line.startswith("warning:")]
    assert len(lines) == 1, err
    assert lines[0].startswith("sfopt: ")
    assert "Traceback" not in err
    return lines[0].removeprefix("sfopt: ")
