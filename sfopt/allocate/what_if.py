"""Questions about a planned network, each answered by solving the choice program again: what something else would cost.

The choice program knows exact capacity at every step, but no addresses. Its optimum is what a plan has where the placement reaches
it, as it nearly always does, and never more; so a cost is the difference of two such optima.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property

from sfopt.allocate.choice import LEVELS, ChoiceProgram, Known
from sfopt.allocate.demand import Demand
from sfopt.allocate.linear import Limits, row_prices
from sfopt.allocate.needs import Needs
from sfopt.allocate.optimal import choose, solve
from sfopt.allocate.problem import Problem
from sfopt.allocate.switches import Switches
from sfopt.device import Device
from sfopt.errors import InfeasibleError
from sfopt.groups import Network
from sfopt.plan import Status

__all__ = ["Answer", "CapacityPrice", "Proof", "WhatIf"]


NOTHING = 1e-4
"""DRAM bytes for a byte of scratchpad: less is the rounding of a solver."""


class Proof(StrEnum):
    """What is known of an answer: EXACT the optimum, AT_LEAST a bound, IMPOSSIBLE that there is none, UNKNOWN nothing in time."""

    EXACT = "exact"
    AT_LEAST = "at least"
    IMPOSSIBLE = "impossible"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Answer:
    """Levels of the best choice under a demand, as far as they are known: traffic in bytes, cycles."""

    proof: Proof
    levels: Mapping[str, int]

    def more(self, than: "Answer") -> Mapping[str, int]:
        """What it costs more than another."""
        return {name: value - than.levels[name] for name, value in self.levels.items() if name in than.levels}


@dataclass(frozen=True)
class CapacityPrice:
    """What one more byte of scratchpad behind a group alone would save, by the prices of the linear relaxation."""

    group: int
    rule: str
    """`capacity`: the sum of what is held; `banks`: the operands of one instruction in banks of their own."""
    dram_bytes_per_byte: float


class WhatIf:
    """One network on one device. All questions together take at most `seconds`; those behind are UNKNOWN."""

    def __init__(self, network: Network, device: Device, seconds: float, seed: int = 0) -> None:
        self.switches, self.seed = Switches(), seed
        self.problem = Problem.build(network, device, self.switches)
        self.known = Known()
        self.deadline = time.monotonic() + seconds

    @property
    def seconds_left(self) -> float:
        """Time for further questions."""
        return max(0.0, self.deadline - time.monotonic())

    @cached_property
    def needs(self) -> Needs:
        """What keeping maps needs, whatever else there is."""
        return Needs(self.problem)

    @cached_property
    def base(self) -> Answer:
        """Without any demand."""
        return self._ask(Demand(), self.known, LEVELS[:2])

    def answer(self, demand: Demand, levels: Sequence[str] = LEVELS[:2]) -> Answer:
        """The best choice under a demand."""
        known = Known(list(self.known.cuts), list(self.known.floors))
        return self._ask(demand, known, levels)

    def read_back(self, tensor: str, levels: Sequence[str] = LEVELS[:2]) -> Answer:
        """The best choice in which some group reads a map back from DRAM. Without an answer, what follows from its size alone: it
        is stored, unless it is in DRAM anyway, and read, beside the compulsory bytes.
        """
        found = self.answer(Demand(on_chip={tensor: False}), levels)
        if found.proof is not Proof.UNKNOWN:
            return found
        moves = 1 + self.problem.is_stored_at_end(tensor)
        least = self.problem.compulsory_bytes + moves * self.problem.network.maps[tensor].size_bytes
        return Answer(Proof.AT_LEAST, {"traffic": max(least, self.base.levels.get("traffic", 0))})

    def without_banks(self) -> Answer:
        """The least traffic if operands could share banks."""
        switches = replace(self.switches, bank_floors=False, step_cuts=False)
        return self._ask(Demand(), Known(), LEVELS[:1], switches)

    def placed(self, demand: Demand) -> Answer:
        """The best plan under a demand, with its addresses; the values are a plan's and not only a choice's if EXACT."""
        try:
            outcome = solve(self.problem.demanding(demand), LEVELS, self._limits(), self.switches)
        except InfeasibleError:
            return Answer(Proof.IMPOSSIBLE, {})
        best = outcome.best
        if best is not None and all(o.status is Status.OPTIMAL for o in best.objectives):
            return Answer(Proof.EXACT, {o.name: o.value for o in best.objectives})
        bounds = {name: outcome.bounds[name] for name in LEVELS[:1] if name in outcome.bounds}
        return Answer(Proof.AT_LEAST, bounds) if bounds else Answer(Proof.UNKNOWN, {})

    def capacity_prices(self) -> list[CapacityPrice]:
        """Where the scratchpad's size costs traffic, dearest first."""
        if "traffic" not in self.base.levels:
            return []
        excess = self.base.levels["traffic"] - self.problem.compulsory_bytes
        program = ChoiceProgram(self.problem, self.problem.lean(excess), self.known, self.switches)
        prices = row_prices(program.minimise("traffic", {}), self._limits())
        word = self.problem.device.word_bytes
        found = [
            CapacityPrice(group, rule, -prices[row] / word)
            for row, (rule, group) in program.limits.items()
            if prices is not None and -prices[row] > NOTHING * word
        ]
        return sorted(found, key=lambda p: (-p.dram_bytes_per_byte, p.group))

    def _ask(self, demand: Demand, known: Known, levels: Sequence[str], switches: Switches | None = None) -> Answer:
        if self.seconds_left <= 0 or not levels:
            return Answer(Proof.UNKNOWN, {})
        problem = self.problem.demanding(demand)
        try:
            chosen = choose(problem, levels, self._limits(), switches or self.switches, known)
        except InfeasibleError:
            return Answer(Proof.IMPOSSIBLE, {})
        exact = {n: v for n, v in chosen.values.items() if chosen.bounds.get(n) == v}
        if len(exact) == len(levels):
            return Answer(Proof.EXACT, exact)
        rest = {n: b for n, b in chosen.bounds.items() if n not in exact and b > 0}
        first = dict(list({**exact, **rest}.items())[: len(exact) + 1])
        return Answer(Proof.AT_LEAST, first) if first else Answer(Proof.UNKNOWN, {})

    def _limits(self) -> Limits:
        return Limits(self.seconds_left, self.seed)
