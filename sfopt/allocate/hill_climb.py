"""Hill climbing over placement orders, as TVM's USMP and Arm's Vela do it: swap two buffers in the order, keep what is no higher.

It starts largest first. What is swapped had a say in where the highest buffer ended: that buffer, what lives with it, and what
lives with those, as far as they come no later in the order. The search is seeded and bounded; it ends early at the memory pressure,
which no placement goes below.
"""

import random
from collections.abc import Sequence
from itertools import accumulate

from sfopt.allocate.first_fit import Offsets, find_neighbours, first_fit, peak_of
from sfopt.allocate.rectangles import Layout
from sfopt.allocate.static import Placer, order_by
from sfopt.device import Device

__all__ = ["ROUNDS", "climb", "memory_pressure"]

ROUNDS = 500
"""Swaps tried for one layout: what USMP tries."""


def climb(seed: int) -> Placer:
    """A placer that searches in an order that `seed` decides."""

    def place(layout: Layout, device: Device) -> Offsets:
        near = find_neighbours(layout)
        order = order_by("size", layout)
        best = first_fit(layout, order, device.bank_bytes, near)
        pressure = memory_pressure(layout)
        if pressure > device.sram_bytes:
            return best  # no order helps
        dice, peak = random.Random(seed), peak_of(layout, best)
        for _ in range(ROUNDS):
            if peak <= pressure:
                break
            trial = _swapped(layout, order, best, near, dice)
            offsets = first_fit(layout, trial, device.bank_bytes, near)
            if peak_of(layout, offsets) <= peak:
                order, best, peak = trial, offsets, peak_of(layout, offsets)
        return best

    return place


def memory_pressure(layout: Layout) -> int:
    """Most bytes that are live at one step: a lower bound on any placement."""
    steps = max((r.last for r in layout.items), default=-1) + 2
    change = [0] * steps
    for r in layout.items:
        change[r.first] += r.size_bytes
        change[r.last + 1] -= r.size_bytes
    return max(accumulate(change), default=0)


def _swapped(
    layout: Layout,
    order: Sequence[int],
    offsets: Offsets,
    near: Sequence[Sequence[tuple[int, bool]]],
    dice: random.Random,
) -> list[int]:
    """The order with two of the buffers exchanged that had a say in where the highest one ended."""
    place = {item: position for position, item in enumerate(order)}
    highest = max(order, key=lambda i: (offsets[i] + layout.items[i].size_bytes, -i))
    direct = {j for j, _ in near[highest] if place[j] < place[highest]}
    indirect = {k for j in direct for k, _ in near[j] if place[k] < place[j]}
    involved = sorted({highest} | direct | indirect)
    trial = list(order)
    if len(involved) > 1:
        a, b = dice.sample(involved, 2)
        trial[place[a]], trial[place[b]] = b, a
    return trial
