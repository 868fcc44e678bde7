"""Proofs by prices: the linear relaxation's reduced costs say which options no optimum can hold.

Prices of rows give a lower bound L, and for each option a reduced cost c: a choice that takes the option costs at least L + c. With
a choice of value U in hand, options with L + c > U are out. The program over the rest has the same optimum, and is far smaller.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from math import ceil

from sfopt.allocate.choice import ChoiceProgram
from sfopt.allocate.linear import Answer, Floats, Limits, LinearProgram, Watch, relaxed, solve_with_cp_sat
from sfopt.allocate.options import Option
from sfopt.allocate.switches import Switches
from sfopt.plan import Status

__all__ = ["Priced", "minimise"]

SMALL = 400
"""Options below which the program is solved as it is."""
SLACK = 1e-6
"""Relative; added to every comparison of floating-point sums, in favour of keeping an option."""
FIRST_MARGIN = 0.002
"""Of the bound: how dear an option may be to be tried first."""


@dataclass(frozen=True)
class Priced:
    """An answer, and how to find the options that a choice of its value may hold."""

    answer: Answer
    find: Callable[[], tuple[Option, ...]]

    @cached_property
    def useful(self) -> tuple[Option, ...]:
        """These options; all, where prices were not asked. Worked out when first wanted."""
        return self.find()


def minimise(
    program: ChoiceProgram,
    level: str,
    at_most: Mapping[str, int],
    limits: Limits,
    switches: Switches,
    hint: Mapping[int, int] | None,
    watch: Watch | None = None,
) -> Priced:
    """The least value of a level, the others at most as given, over all options of the program."""
    rows, options = program.minimise(level, at_most), tuple(program.options)
    deadline = time.monotonic() + limits.seconds
    prices = relaxed(rows, limits) if len(options) > SMALL and switches.reduced_costs else None
    if prices is None:
        return Priced(solve_with_cp_sat(rows, _left(limits, deadline), hint, watch), lambda: options)
    bound, costs = prices
    answer = _tighten(program, rows, bound, costs, limits, hint, watch)
    if answer.values is None:
        return Priced(answer, lambda: options)

    def find() -> tuple[Option, ...]:
        kept = _within(program, rows, costs, _with_slack(answer.value - bound, bound))
        second = (
            relaxed(kept, _left(limits, deadline), "pdlp") if level != "peak" else None
        )  # few options have a price there
        if second is not None:
            kept = _within(program, kept, second[1], _with_slack(answer.value - second[0], second[0]))
        return tuple(o for x, o in zip(program.x, options, strict=True) if kept.high[x])

    return Priced(answer, find)


def _tighten(
    program: ChoiceProgram,
    rows: LinearProgram,
    bound: float,
    costs: Floats,
    limits: Limits,
    hint: Mapping[int, int] | None,
    watch: Watch | None,
) -> Answer:
    """Solve over the cheap options first; the value found says how dear an option may be that the proof still has to look at."""
    deadline, margin = time.monotonic() + limits.seconds, max(1.0, FIRST_MARGIN * abs(bound))
    best: Answer | None = None
    while True:
        kept = _within(program, rows, costs, _with_slack(margin, bound))
        complete = kept.high == rows.high
        news = None if watch is None else _of_all(watch, bound, None if complete else margin, best)
        answer = solve_with_cp_sat(kept, _left(limits, deadline), hint, news)
        if answer.values is not None and (best is None or answer.value < best.value):
            best = answer
        late = time.monotonic() >= deadline
        if best is None:
            if complete or late:
                return answer
            margin *= 20
        elif answer.status is Status.OPTIMAL and (complete or best.value - bound <= margin):
            return replace(best, status=Status.OPTIMAL, bound=best.value)
        elif complete or late:  # a proof over fewer options than these is none
            proven = min(best.value, _safe(bound))
            return replace(best, status=Status.FEASIBLE, bound=proven)
        else:
            margin = best.value - bound


def _of_all(watch: Watch, bound: float, margin: float | None, best: Answer | None) -> Watch:
    """News of a solver that looks only at the options up to a margin, as news of all: a choice with another costs more."""
    least, outside = _safe(bound), None if margin is None else _safe(bound + margin)

    def news(value: int | None, proven: int) -> None:
        values = [v for v in (value, best.value if best else None) if v is not None]
        proven = max(least, proven if outside is None else min(proven, outside))
        watch(min(values, default=None), min([proven, *values]))

    return news


def _safe(bound: float) -> int:
    """What a sum of prices proves, rounding left aside."""
    return max(0, ceil(bound - SLACK * abs(bound)))


def _within(program: ChoiceProgram, rows: LinearProgram, costs: Floats, most: float) -> LinearProgram:
    """The program without the options whose reduced cost is above `most`."""
    high = list(rows.high)
    for x in program.x:
        if costs[x] > most:
            high[x] = 0
    return replace(rows, high=high)


def _with_slack(margin: float, bound: float) -> float:
    return margin + SLACK * max(1.0, abs(bound))


def _left(limits: Limits, deadline: float) -> Limits:
    return replace(limits, seconds=max(0.0, deadline - time.monotonic()))
