"""Proofs by prices: the linear relaxation's reduced costs say which options no optimum can hold.

Prices of rows give a lower bound L, and for each option a reduced cost c: a choice that takes the option costs at least L + c. With
a choice of value U in hand, options with L + c > U are out. The program over the rest has the same optimum, and is far smaller.
"""

import time
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from sfopt.allocate.choice import ChoiceProgram
from sfopt.allocate.linear import Answer, Limits, LinearProgram, relaxed, solve_with_cp_sat
from sfopt.allocate.switches import Switches
from sfopt.plan import Status

__all__ = ["minimise", "useful_keys"]

SMALL = 400
"""Options below which the program is solved as it is."""
SLACK = 1e-6
"""Relative; added to every comparison of floating-point sums, in favour of keeping an option."""


def minimise(
    program: ChoiceProgram,
    level: str,
    at_most: Mapping[str, int],
    limits: Limits,
    switches: Switches,
    hint: Mapping[int, int] | None,
) -> Answer:
    """The least value of a level, the others at most as given, over all options of the program."""
    rows = program.minimise(level, at_most)
    if len(program.options) <= SMALL or not switches.reduced_costs:
        return solve_with_cp_sat(rows, limits, hint)
    deadline = time.monotonic() + limits.seconds
    prices = relaxed(rows, limits)
    if prices is None:
        return solve_with_cp_sat(rows, _left(limits, deadline), hint)
    bound, costs = prices
    margin = max(1.0, abs(bound)) * 0.002
    best: Answer | None = None
    while True:
        kept = _within(program, rows, costs, margin)
        answer = solve_with_cp_sat(kept, _left(limits, deadline), hint)
        if answer.values is not None and (best is None or answer.value < best.value):
            best = answer
        everything = all(high == kept.high[x] for x, high in enumerate(rows.high))
        if best is None:
            if everything or time.monotonic() >= deadline:
                return answer
            margin *= 20
            continue
        gap = best.value - bound
        if everything or (answer.status is Status.OPTIMAL and gap <= margin):
            return best
        if time.monotonic() >= deadline:
            return replace(
                best, status=Status.FEASIBLE, bound=min(best.value, max(0, int(np.ceil(bound - SLACK * abs(bound)))))
            )
        margin = gap


def useful_keys(
    program: ChoiceProgram, value: int, limits: Limits
) -> frozenset[tuple[int, int, frozenset[str]]] | None:
    """Groups and patterns that a choice of this value may hold; None when the relaxation was not solved. The objective is as posted.

    The options must be those of which every other option of their key needs at least as much of everything.
    """
    prices = relaxed(program.program, limits)
    if prices is None:
        return None
    bound, costs = prices
    most = value - bound + SLACK * max(1.0, abs(bound))
    return frozenset(o.key for x, o in zip(program.x, program.options, strict=True) if costs[x] <= most)


def _within(program: ChoiceProgram, rows: LinearProgram, costs: np.ndarray, margin: float) -> LinearProgram:  # type: ignore[type-arg]
    """The program without the options whose reduced cost is above the margin."""
    high = list(rows.high)
    most = margin + SLACK * max(1.0, margin)
    for x in program.x:
        if costs[x] > most:
            high[x] = 0
    return replace(rows, high=high)


def _left(limits: Limits, deadline: float) -> Limits:
    return replace(limits, seconds=max(0.0, deadline - time.monotonic()))
