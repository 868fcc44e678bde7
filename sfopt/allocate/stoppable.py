"""Solver calls that Ctrl-C reaches: a solver runs in compiled code, where Python would notice a signal only when it has ended."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

__all__ = ["stoppable"]

Result = TypeVar("Result")


def stoppable(solve: Callable[[], Result], stop: Callable[[], object]) -> Result:
    """What `solve` returns. A KeyboardInterrupt calls `stop`, which must make `solve` return soon, and is raised then."""
    with ThreadPoolExecutor(1) as thread:
        running = thread.submit(solve)
        try:
            return running.result()
        except KeyboardInterrupt:
            stop()
            raise
