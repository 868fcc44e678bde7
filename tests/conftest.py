"""Fixtures that several test modules use."""

import pytest
from command_line import Run


@pytest.fixture
def sfopt(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """`sfopt(*arguments)` runs the command."""
    return Run(monkeypatch, capsys)
