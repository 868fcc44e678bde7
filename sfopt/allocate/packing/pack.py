"""Intervals below a capacity within a time limit, and the messages for what cannot be packed."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sfopt.allocate.packing.packer import Packer
from sfopt.errors import InfeasibleError, SfoptError, TimeLimitError
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
    packer = Packer(intervals, ceiling_bytes, seed)
    _require_loads(packer, ceiling_bytes)
    try:
        while packer.take_turn(0 if minimize else ceiling_bytes, deadline_s) and time.monotonic() <= deadline_s:
            pass
    except KeyboardInterrupt:
        if packer.offsets is None:
            raise
    offsets = packer.offsets
    if offsets is None:
        raise _none_found(packer, len(intervals), ceiling_bytes, time_limit_s)
    return Packing(offsets, packer.peak_bytes, packer.bound_bytes, time.monotonic() - start_s)


def _require_loads(packer: Packer, ceiling_bytes: int) -> None:
    """Raise InfeasibleError if a load alone exceeds the ceiling."""
    for stack in (solver.stack for solver in packer.solvers):
        load_bytes = max(stack.loads) * stack.unit_bytes
        if load_bytes > ceiling_bytes:
            section = stack.loads.index(max(stack.loads))
            together = [block for block in stack.blocks if block.first <= section < block.end]
            raise InfeasibleError(
                f"{len(together)} intervals that are live together, `{together[-1].id}` the last to start, need {load_bytes} "
                f"bytes, capacity {ceiling_bytes}, short by {load_bytes - ceiling_bytes}"
            )


def _none_found(packer: Packer, count: int, ceiling_bytes: int, time_limit_s: float) -> SfoptError:
    load_bytes = max((max(s.stack.loads) * s.stack.unit_bytes for s in packer.solvers), default=0)
    if any(solver.bound > solver.ceiling for solver in packer.solvers):
        return InfeasibleError(
            f"no packing of the {count} intervals stays within {ceiling_bytes} bytes, proven; heaviest load {load_bytes} bytes"
        )
    return TimeLimitError(
        f"undecided after {time_limit_s:g} s: no packing of the {count} intervals within {ceiling_bytes} bytes was found, "
        f"nor a proof that there is none; heaviest load {load_bytes} bytes"
    )
