"""The usual static planners, to be measured against: no program is solved and nothing is proven beyond the compulsory traffic.

Every map starts resident (or none does), every group takes its option with the fewest re-read bytes and then the least height, and
buffers go first-fit in a fixed order. While the result is too high, the largest resident map that is live where it is too high is
spilled; when there is none left, the group there takes its option of least height.
"""

from collections.abc import Callable

from sfopt.allocate.first_fit import first_fit, peak_of, place_constructively
from sfopt.allocate.options import Option
from sfopt.allocate.problem import Choice, Problem
from sfopt.allocate.rectangles import Layout, rectangles
from sfopt.errors import InfeasibleError
from sfopt.units import format_bytes

__all__ = ["ORDERS", "plan_statically"]

ORDERS: dict[str, Callable[[Layout], Callable[[int], tuple[int, ...]]]] = {
    "size": lambda layout: lambda i: (-layout.items[i].size_bytes, i),
    "step": lambda layout: lambda i: (layout.items[i].first, -layout.items[i].size_bytes, i),
}
"""Orders of placement: largest first, or as they come to life."""


def plan_statically(problem: Problem, order: str, *, resident: bool) -> tuple[Choice, Layout, tuple[int, ...]]:
    """A placed choice. Raises InfeasibleError when even streaming everything does not fit this way."""
    held, thrifty = set(problem.free_maps if resident else ()), set[int]()
    while True:
        choice = _choose(problem, held, thrifty)
        layout = rectangles(problem, choice)
        offsets = first_fit(
            layout, sorted(range(len(layout.items)), key=ORDERS[order](layout)), problem.device.bank_bytes
        )
        if peak_of(layout, offsets) <= problem.device.sram_bytes:
            return choice, layout, offsets
        top = max(range(len(offsets)), key=lambda i: (offsets[i] + layout.items[i].size_bytes, -i))
        first, last = layout.items[top].first, layout.items[top].last
        near = [m for m in held if problem.live[m][0] <= last and first <= problem.live[m][1]]
        if near:
            held.remove(max(near, key=lambda m: (problem.map_bytes[m], m)))
        elif thrifty.issuperset(range(first, last + 1)):
            return _last_resort(problem, choice, layout, last)
        else:
            thrifty.update(range(first, last + 1))


def _last_resort(problem: Problem, choice: Choice, layout: Layout, step: int) -> tuple[Choice, Layout, tuple[int, ...]]:
    """Other orders, where the fixed one cannot place even the least."""
    offsets = place_constructively(layout, problem.device.bank_bytes, problem.device.sram_bytes, rounds=500, seed=0)
    peak, have = peak_of(layout, offsets), problem.device.sram_bytes
    if peak > have:
        name = problem.network.groups[step].name
        raise InfeasibleError(
            f"group `{name}` needs {format_bytes(peak)} as placed, scratchpad has {format_bytes(have)}, "
            f"short by {format_bytes(peak - have)}"
        )
    return choice, layout, offsets


def _choose(problem: Problem, held: set[str], thrifty: set[int]) -> Choice:
    """The preferred option of each group among those that match residency. A pattern without options gives up its largest map."""
    while True:
        chosen = dict[int, Option]()
        for step, options in problem.singles.items():
            group = problem.network.groups[step]
            pattern = held.intersection((*group.reads, *group.writes))
            fitting = [o for o in options if o.resident == pattern]
            if not fitting:
                held.remove(max(pattern, key=lambda m: (problem.map_bytes[m], m)))
                break
            chosen[step] = min(fitting, key=_thrifty if step in thrifty else _preferred)
        else:
            return Choice(chosen, frozenset(held))


def _height(option: Option) -> int:
    return max(option.own_bytes, option.floor_bytes) + option.early_bytes


def _preferred(option: Option) -> tuple[int, int, int]:
    return option.traffic_bytes, _height(option), option.compute + option.exposed


def _thrifty(option: Option) -> tuple[int, int, int]:
    return _height(option), option.traffic_bytes, option.compute + option.exposed
