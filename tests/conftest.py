"""Fixtures that several test modules use."""

import signal
from collections.abc import Iterator

import pytest
from command_line import Run


@pytest.fixture
def sfopt(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """`sfopt(*arguments)` runs the command."""
    return Run(monkeypatch, capsys)


@pytest.fixture
def heeding_interrupts() -> Iterator[None]:
    """Processes that a test starts heed Ctrl-C, also where the tests themselves run in a background that ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
