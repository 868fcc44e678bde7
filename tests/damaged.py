"""Runs a script of the tests on damaged files in a process of its own, which may crash, hang, or run out of memory."""

import os
import re
import subprocess
import sys
from pathlib import Path

__all__ = ["try_damaged"]


def try_damaged(script: str, first: int, count: int, *arguments: str) -> dict[str, int]:
    """What became of so many files; raises AssertionError where the process crashes, hangs or raises."""
    here = Path(__file__).parent
    path = os.pathsep.join([str(here), *sys.path])
    command = [sys.executable, "-W", "ignore", str(here / script), str(first), str(count), *arguments]
    environment = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run(
        command, capture_output=True, text=True, env=environment, timeout=120 + 20 * count, check=False
    )
    assert done.returncode == 0, f"{done.stdout[-40:]}\n{done.stderr[-2000:]}"
    outcomes = {name: int(n) for name, n in re.findall(r"'(.+?)': (\d+)", done.stdout.splitlines()[-1])}
    assert sum(outcomes.values()) == count
    return outcomes
