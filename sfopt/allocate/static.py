"""The usual static planners, to be measured against: no program is solved and nothing is proven beyond the compulsory traffic.

A set of maps starts resident (all that may be, or none), every group takes its option with the fewest re-read bytes and then the
least height, and a placer gives out addresses. While the result is too high, the largest resident map that is live where it is too
high is spilled; when there is none left, the group there takes a lower option. The planners differ in their placers.
"""

from collections.abc import Callable, Iterable, Mapping

from sfopt.allocate.first_fit import Offsets, first_fit, peak_of, place_constructively
from sfopt.allocate.one_by_one import Placed, choose, fitting_options, height
from sfopt.allocate.options import Option
from sfopt.allocate.problem import Choice, Problem
from sfopt.allocate.rectangles import Layout, rectangles
from sfopt.device import Device
from sfopt.errors import InfeasibleError
from sfopt.units import format_bytes

__all__ = ["ORDERS", "Placer", "in_order", "order_by", "plan_statically", "preferred"]

Placer = Callable[[Layout, Device], Offsets]
"""Gives out addresses; whether they fit the scratchpad is the caller's to see."""

ORDERS: Mapping[str, Callable[[Layout], Callable[[int], tuple[int, ...]]]] = {
    "size": lambda layout: lambda i: (-layout.items[i].size_bytes, i),
    "step": lambda layout: lambda i: (layout.items[i].first, -layout.items[i].size_bytes, i),
}
"""Orders of placement: largest first, or as they come to life."""


def order_by(name: str, layout: Layout) -> list[int]:
    """Indices of the layout's items in one of ORDERS."""
    return sorted(range(len(layout.items)), key=ORDERS[name](layout))


def in_order(name: str) -> Placer:
    """First fit in one of ORDERS."""
    return lambda layout, device: first_fit(layout, order_by(name, layout), device.bank_bytes)


def plan_statically(problem: Problem, place: Placer, resident: Iterable[str]) -> Placed:
    """A placed choice. Raises InfeasibleError when even streaming everything does not fit this way."""
    held, ceilings = frozenset(resident), dict[int, int]()

    def prefer(step: int, option: Option) -> tuple[int, ...]:
        return height(option) > ceilings.get(step, height(option)), *preferred(option)

    while True:
        choice = choose(problem, held, prefer)
        held, layout = choice.resident, rectangles(problem, choice)
        offsets = place(layout, problem.device)
        if peak_of(layout, offsets) <= problem.device.sram_bytes:
            return Placed(choice, layout, offsets)
        top = max(range(len(offsets)), key=lambda i: (offsets[i] + layout.items[i].size_bytes, -i))
        first, last = layout.items[top].first, layout.items[top].last
        near = [m for m in held if problem.live[m][0] <= last and first <= problem.live[m][1]]
        if near:
            held -= {max(near, key=lambda m: (problem.map_bytes[m], m))}
            continue
        lower = {s: h for s in range(first, last + 1) if (h := _next_lower(problem, choice, s)) is not None}
        if not lower:
            return _last_resort(problem, choice, layout, last)
        ceilings |= lower


def _next_lower(problem: Problem, choice: Choice, step: int) -> int | None:
    """The greatest height below that of the option taken, if any option of its pattern has one."""
    taken = choice.options.get(step)
    if taken is None:
        return None
    heights = [height(o) for o in fitting_options(problem, step, taken.resident)]
    return max((h for h in heights if h < height(taken)), default=None)


def _last_resort(problem: Problem, choice: Choice, layout: Layout, step: int) -> Placed:
    """Other orders, where the placer's own cannot place even the least."""
    offsets = place_constructively(layout, problem.device.bank_bytes, problem.device.sram_bytes, rounds=500, seed=0)
    peak, have = peak_of(layout, offsets), problem.device.sram_bytes
    if peak > have:
        name = problem.network.groups[step].name
        raise InfeasibleError(
            f"group `{name}` needs {format_bytes(peak)} as placed, scratchpad has {format_bytes(have)}, "
            f"short by {format_bytes(peak - have)}"
        )
    return Placed(choice, layout, offsets)


def preferred(option: Option) -> tuple[int, int, int]:
    """Key of an option: bytes moved, then height, then cycles."""
    return option.traffic_bytes, height(option), option.compute + option.exposed
