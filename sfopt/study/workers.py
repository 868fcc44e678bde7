"""Tasks in worker processes: one task's crash does not end the others, and no worker outlives its parent."""

import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import TypeVar

from sfopt.errors import InternalError

__all__ = ["run_tasks"]

Task = TypeVar("Task")
Result = TypeVar("Result")


def run_tasks(
    function: Callable[[Task], Result], tasks: Iterable[Task], jobs: int
) -> Generator[tuple[Task, Result | BaseException], None, None]:
    """Each task with what `function` returned or raised for it, in the order in which they end, `jobs` at a time.

    A worker that dies (killed, out of memory) takes the pool with it, and which of the running tasks it had is unknown: each of
    them runs once more, alone, and one that dies again ends as an InternalError. Closed early, the generator ends the workers.
    """
    waiting = deque(tasks)
    while waiting:
        suspects = deque((yield from _run(function, waiting, jobs)))
        while suspects:
            for task in (yield from _run(function, suspects, 1)):
                yield task, InternalError("the worker process died: it was killed, crashed or ran out of memory")


def _run(
    function: Callable[[Task], Result], waiting: deque[Task], jobs: int
) -> Generator[tuple[Task, Result | BaseException], None, list[Task]]:
    """Take tasks off `waiting` until none is left or a worker dies; returns the tasks that were running then."""
    running = dict[Future[Result], Task]()
    with _pool(jobs) as pool:
        while waiting or running:
            while waiting and len(running) < jobs:
                try:
                    future = _submit(pool, function, waiting[0])
                except BrokenProcessPool:
                    return list(running.values())
                running[future] = waiting.popleft()
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                error = future.exception()
                if isinstance(error, BrokenProcessPool):
                    return list(running.values())
                yield running.pop(future), error or future.result()
    return []


def _submit(pool: ProcessPoolExecutor, function: Callable[[Task], Result], task: Task) -> Future[Result]:
    """Submitting may start a worker, which keeps the mask it is born with: Ctrl-C is for the parent alone."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        return pool.submit(function, task)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _pool(jobs: int) -> Iterator[ProcessPoolExecutor]:
    """A pool whose workers live as long as this process holds the other end of a pipe, so no longer than this process.

    New interpreters, not forks: libraries in this process have threads of their own, and a fork would copy their locks.
    """
    context = get_context("spawn")
    lifeline, held = context.Pipe(duplex=False)
    with lifeline, held, ProcessPoolExecutor(jobs, context, _tie_to_parent, (lifeline,)) as pool:
        try:
            yield pool
        except BaseException:
            held.close()
            raise


def _tie_to_parent(lifeline: Connection) -> None:
    """What each worker does first."""
    threading.Thread(target=_end_with, args=(lifeline,), daemon=True).start()


def _end_with(lifeline: Connection) -> None:
    """Wait for the pipe's other end to close, which is all that ever happens to it."""
    with suppress(EOFError):
        lifeline.recv_bytes()
    os.kill(os.getpid(), signal.SIGTERM)
