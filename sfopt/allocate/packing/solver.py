"""One stack: search, sweep and program take turns, each turn twice as long as the one before, until one of them is done.

The search is good at what is tight and regular, the program at what is small or irregular, the sweep, which gives the program a few
sections at a time, at what is long. Only the program proves, be it of the first sections alone.
"""

import time

from sfopt.allocate.packing.first_fit import first_fit
from sfopt.allocate.packing.orders import Orders, fixed_ranks
from sfopt.allocate.packing.program import solve_program
from sfopt.allocate.packing.search import search
from sfopt.allocate.packing.stack import Stack
from sfopt.allocate.packing.sweep import sweep

__all__ = ["StackSolver"]

FIRST_NODES = 3000
"""Search nodes of the first turn: some tenths of a second."""

FIRST_EFFORT = 0.01
"""Deterministic time of the program's first turn: about as long."""

SWEEP_EFFORT = 0.1
"""Deterministic time of the first sweep, at most. One that goes well needs a tenth of it, but for one section that is hard."""

SWEEPLESS_TURNS = 3
"""Turns without a sweep if no banks count. Then a section's load says nearly all, and the search seldom needs help."""

RUN_LENGTH = 2
"""Nodes of the shortest search, in blocks. One that is right at once takes one node a block."""

RUN_GROWTH = 1.01
"""From run to run: short runs find what long ones do not, yet in the end any tree is searched."""

AIMS = ((0.5, 1.0), (0.0, 0.5), (0.5,), (0.0, 0.5))
"""Peaks that one run after another aims at, between the goal and just below the best so far."""


class StackSolver:
    """The best packing and the best bound of a stack so far.

    Values are in units. `bound`: no packing has a lower peak. `offsets`: by block, or None; `peak` is theirs, or just above
    `ceiling`.
    """

    def __init__(self, stack: Stack, ceiling: int, seed: int, *, constructive: bool = True) -> None:
        self.stack = stack
        self.ceiling = ceiling
        self.bound = max(stack.loads)
        self.offsets: tuple[int, ...] | None = None
        self.peak = ceiling + 1
        self._rough: tuple[int, ...] = ()  # of a first fit, whatever its peak
        self._seed = seed
        self._constructive = constructive
        self._orders = Orders(stack, seed)
        self._exhausted = self.bound - 1  # the whole tree was searched for this peak, in vain
        self._turns = 0
        self._runs = 0

    def take_turn(self, goal: int, deadline_s: float) -> None:
        """Look for a packing with a peak of at most `goal`, or lower than the best so far, and for a better bound."""
        if self._constructive:
            self._construct(goal, deadline_s)
        if self.peak > goal and time.monotonic() < deadline_s:
            self._prove(goal, FIRST_EFFORT * 2**self._turns, deadline_s)
        self._turns += 1

    def _construct(self, goal: int, deadline_s: float) -> None:
        """The turn without its last part, which can do without these."""
        if self._turns == 0:
            for ranks in fixed_ranks(self.stack):
                fit = first_fit(self.stack, ranks)
                self._rough = min((fit, self._rough), key=self.stack.peak) if self._rough else fit
                self._keep(fit)
                if self.peak <= goal:
                    return
        last_node = FIRST_NODES << self._turns
        while self.peak > goal and last_node > 0 and time.monotonic() < deadline_s:
            nodes = self._search(goal, deadline_s)
            if nodes == 0:
                break
            last_node -= nodes
        sweeps = self._turns >= SWEEPLESS_TURNS or self.stack.apart
        if sweeps and self.peak > goal and time.monotonic() < deadline_s:
            self._sweep(goal, SWEEP_EFFORT * 2**self._turns, deadline_s)

    def _keep(self, offsets: tuple[int, ...] | None) -> None:
        if offsets is not None and self.stack.peak(offsets) < self.peak:
            self.offsets, self.peak = offsets, self.stack.peak(offsets)

    def _search(self, goal: int, deadline_s: float) -> int:
        """One order of blocks, tried on each peak of the ladder; the nodes it took, 0 if there is nothing left to search."""
        self._runs += 1
        ranks = self._orders.next_ranks()
        run_nodes = int(RUN_LENGTH * len(self.stack.blocks) * RUN_GROWTH**self._runs)
        nodes = 0
        for target in self._targets(goal):
            if target < self.peak:
                found = search(self.stack, target, ranks, run_nodes, deadline_s)
                nodes += found.nodes + 1
                self._keep(found.offsets)
                self._orders.learn(found.blame)
                if found.exhausted:
                    self._exhausted = max(self._exhausted, target)
        return nodes

    def _targets(self, goal: int) -> list[int]:
        lowest, highest = max(goal, self._exhausted + 1), self.peak - 1
        shares = AIMS[self._runs % len(AIMS)]
        return sorted({lowest + int(share * (highest - lowest)) for share in shares}) if lowest <= highest else []

    def _sweep(self, goal: int, effort: float, deadline_s: float) -> None:
        """Aim at the goal alone: a sweep builds on the best packing so far, or on a first fit above the ceiling."""
        former = self.offsets or self._rough
        swept = sweep(self.stack, former, goal, effort=effort, deadline_s=deadline_s, seed=self._seed)
        self._keep(swept.offsets)
        if swept.refused:
            self.bound = max(self.bound, goal + 1)

    def _prove(self, goal: int, effort: float, deadline_s: float) -> None:
        proof = solve_program(self.stack, goal, self.peak - 1, effort=effort, deadline_s=deadline_s, seed=self._seed)
        self._keep(proof.offsets)
        if proof.bound > goal:
            self.bound = max(self.bound, proof.bound)
