"""A whole instance in turns: a solver for each of its stacks, and what is known of their packing as a whole."""

import time
from collections.abc import Collection, Sequence

from sfopt.allocate.packing.solver import StackSolver
from sfopt.allocate.packing.stack import split_into_stacks
from sfopt.interval import Interval

__all__ = ["Packer"]


class Packer:
    """The least peak of intervals below a ceiling in bytes, better known with every turn.

    Pairs `apart` (indices into `intervals`) that are live together share no bank of `bank_bytes`. With `constructive` false, the
    program does everything alone. `solvers` are in the order of their first bounds, the highest first.
    """

    def __init__(
        self,
        intervals: Sequence[Interval],
        ceiling_bytes: int,
        seed: int,
        *,
        apart: Collection[tuple[int, int]] = (),
        bank_bytes: int = 1,
        constructive: bool = True,
    ) -> None:
        stacks = split_into_stacks(intervals, apart, bank_bytes)
        solvers = [StackSolver(s, ceiling_bytes // s.unit_bytes, seed, constructive=constructive) for s in stacks]
        self.solvers = sorted(solvers, key=lambda solver: -solver.bound * solver.stack.unit_bytes)

    @property
    def bound_bytes(self) -> int:
        """No packing has a lower peak."""
        return max((solver.bound * solver.stack.unit_bytes for solver in self.solvers), default=0)

    @property
    def peak_bytes(self) -> int:
        """Of the packing found; above the ceiling while there is none."""
        return max((solver.peak * solver.stack.unit_bytes for solver in self.solvers), default=0)

    @property
    def offsets(self) -> dict[str, int] | None:
        """Bytes by the interval's id; None while some stack has no packing."""
        offsets = dict[str, int]()
        for solver in self.solvers:
            if solver.offsets is None:
                return None
            for block, offset in zip(solver.stack.blocks, solver.offsets, strict=True):
                offsets[block.id] = offset * solver.stack.unit_bytes
        return offsets

    def take_turn(self, wanted_bytes: int, deadline_s: float) -> bool:
        """A turn for every stack with a peak above what is wanted, unless another stack cannot do with less anyway.

        Whether there is any such stack. `deadline_s` is a time of `time.monotonic`.
        """
        unsettled = [s for s in self.solvers if s.peak * s.stack.unit_bytes > max(wanted_bytes, self.bound_bytes)]
        for solver in unsettled:
            if time.monotonic() < deadline_s:
                goal_bytes = max(wanted_bytes, self.bound_bytes)
                solver.take_turn(goal_bytes // solver.stack.unit_bytes, deadline_s)
        return bool(unsettled)
