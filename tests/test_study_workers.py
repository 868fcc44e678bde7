"""Worker processes: results and errors come home, crashes stay where they are, and nobody is left behind."""

import contextlib
import os
import signal
import time
from pathlib import Path

import pytest

from sfopt.errors import InternalError, MissingExtraError
from sfopt.study.workers import run_tasks


def halve(task: int) -> int:
    if task == 13:
        os.kill(os.getpid(), signal.SIGKILL)
    if task % 2:
        raise ValueError(f"{task} is odd")
    return task // 2


def refuse(feature: str) -> None:
    raise MissingExtraError(feature, "tf")


def blocks_interrupts(task: int) -> bool:
    return signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def sleep_in(folder: Path | None) -> None:
    if folder is not None:
        (folder / f"{os.getpid()}").touch()
        time.sleep(100)


def is_running(pid: int) -> bool:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


def test_results_and_errors_come_with_their_tasks():
    found = dict(run_tasks(halve, range(6), 2))
    assert [found[i] for i in (0, 2, 4)] == [0, 1, 2]
    assert [str(found[i]) for i in (1, 3, 5)] == ["1 is odd", "3 is odd", "5 is odd"]


def test_no_tasks_no_processes():
    assert list(run_tasks(halve, [], 2)) == []


@pytest.mark.slow
def test_a_crash_costs_one_task():
    tasks = [2, 4, 13, 6, 8]
    found = dict(run_tasks(halve, tasks, 2))
    assert set(found) == set(tasks)
    assert isinstance(found.pop(13), InternalError)
    assert found == {2: 1, 4: 2, 6: 3, 8: 4}


def test_an_exception_made_from_two_texts_comes_home():
    ((_, error),) = run_tasks(refuse, ["reading"], 1)
    assert isinstance(error, MissingExtraError)
    assert (error.feature, error.extra) == ("reading", "tf")


def test_interrupts_are_for_the_parent_alone():
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    assert dict(run_tasks(blocks_interrupts, [1, 2], 2)) == {1: True, 2: True}
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before
    assert signal.SIGINT not in before


@pytest.mark.parametrize("leave", ["close", "throw"])
def test_leaving_early_ends_the_workers(tmp_path, leave):
    results = run_tasks(sleep_in, [tmp_path, None, None], 2)
    next(results)
    while not (files := list(tmp_path.iterdir())):
        time.sleep(0.01)
    assert is_running(int(files[0].name))
    if leave == "close":
        results.close()
    else:
        with pytest.raises(KeyboardInterrupt):
            results.throw(KeyboardInterrupt())
    assert not is_running(int(files[0].name))
