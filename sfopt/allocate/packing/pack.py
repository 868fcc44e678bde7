"""A whole instance: its stacks in turn, and the messages for what cannot be packed."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sfopt.allocate.packing.solver import StackSolver
from sfopt.allocate.packing.stack import split_into_stacks
from sfopt.errors import InfeasibleError, TimeLimitError
from sfopt.interval import Interval

__all__ = ["Packing", "pack"]


@dataclass(frozen=True)
class Packing:
    """An offset in bytes for each interval's id, the highest byte in use, and a proven bound: no packing has a lower peak."""

    offsets: Mapping[str, int]
    peak_bytes: int
    bound_bytes: int
    seconds: float

    @property
    def status(self) -> str:
        """`optimal` if no packing has a lower peak, else `feasible`."""
        return "optimal" if self.peak_bytes == self.bound_bytes else "feasible"

    @property
    def summary(self) -> str:
        """One line: how many, the peak, the bound, the status and the time."""
        return (
            f"{len(self.offsets)} intervals, peak {self.peak_bytes} bytes, bound {self.bound_bytes} bytes, {self.status}, "
            f"{self.seconds:.1f} s"
        )


def pack(
    intervals: Sequence[Interval],
    capacity_bytes: int | None,
    *,
    minimize: bool = False,
    time_limit_s: float = 60.0,
    seed: int = 0,
) -> Packing:
    """Place intervals below a capacity (None: no limit), at the least peak if `minimize`, so that none overlaps another.

    The same arguments give the same packing, unless the time limit or Ctrl-C ends the work; the best so far is then returned.
    Raises InfeasibleError if no packing exists, which is proven, and TimeLimitError if neither that nor a packing was found.
    """
    start_s = time.monotonic()
    deadline_s = start_s + time_limit_s
    ceiling_bytes = sum(interval.size for interval in intervals) if capacity_bytes is None else capacity_bytes
    solvers = _solvers(intervals, ceiling_bytes, seed)
    try:
        _work(solvers, 0 if minimize else ceiling_bytes, deadline_s)
    except KeyboardInterrupt:
        if any(solver.offsets is None for solver in solvers):
            raise
    _require_packing(solvers, len(intervals), ceiling_bytes, time_limit_s)
    offsets = {
        block.id: offset * solver.stack.unit_bytes
        for solver in solvers
        for block, offset in zip(solver.stack.blocks, solver.offsets or (), strict=True)
    }
    peak_bytes = max((_peak_bytes(solver) for solver in solvers), default=0)
    return Packing(offsets, peak_bytes, _bound_bytes(solvers), time.monotonic() - start_s)


def _solvers(intervals: Sequence[Interval], ceiling_bytes: int, seed: int) -> list[StackSolver]:
    """A solver for each stack, the fullest first. Raises InfeasibleError if a load alone exceeds the ceiling."""
    solvers = []
    for stack in split_into_stacks(intervals):
        load_bytes = max(stack.loads) * stack.unit_bytes
        if load_bytes > ceiling_bytes:
            section = stack.loads.index(max(stack.loads))
            together = [block for block in stack.blocks if block.first <= section < block.end]
            raise InfeasibleError(
                f"{len(together)} intervals that are live together, `{together[-1].id}` the last to start, need {load_bytes} "
                f"bytes, capacity {ceiling_bytes}, short by {load_bytes - ceiling_bytes}"
            )
        solvers.append(StackSolver(stack, ceiling_bytes // stack.unit_bytes, seed))
    return sorted(solvers, key=lambda solver: -solver.bound * solver.stack.unit_bytes)


def _work(solvers: Sequence[StackSolver], wanted_bytes: int, deadline_s: float) -> None:
    """Turns for every stack with a peak above what is wanted, unless another stack cannot do with less anyway."""
    while True:
        unsettled = [s for s in solvers if _peak_bytes(s) > max(wanted_bytes, _bound_bytes(solvers))]
        for solver in unsettled:
            goal_bytes = max(wanted_bytes, _bound_bytes(solvers))
            solver.take_turn(goal_bytes // solver.stack.unit_bytes, deadline_s)
        if not unsettled or time.monotonic() > deadline_s:
            return


def _require_packing(solvers: Sequence[StackSolver], count: int, ceiling_bytes: int, time_limit_s: float) -> None:
    load_bytes = max((max(s.stack.loads) * s.stack.unit_bytes for s in solvers), default=0)
    if any(solver.bound > solver.ceiling for solver in solvers):
        raise InfeasibleError(
            f"no packing of the {count} intervals stays within {ceiling_bytes} bytes, proven; heaviest load {load_bytes} bytes"
        )
    if any(solver.offsets is None for solver in solvers):
        raise TimeLimitError(
            f"undecided after {time_limit_s:g} s: no packing of the {count} intervals within {ceiling_bytes} bytes was found, "
            f"nor a proof that there is none; heaviest load {load_bytes} bytes"
        )


def _peak_bytes(solver: StackSolver) -> int:
    return solver.peak * solver.stack.unit_bytes


def _bound_bytes(solvers: Sequence[StackSolver]) -> int:
    return max((solver.bound * solver.stack.unit_bytes for solver in solvers), default=0)
