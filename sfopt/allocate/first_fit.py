"""Constructive placement: give each rectangle, in some order, the lowest address that is free; several orders, best result kept."""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence

from sfopt.allocate.rectangles import Layout

__all__ = ["Fit", "Offsets", "find_neighbours", "first_fit", "lowest", "peak_of", "place_constructively"]

Offsets = tuple[int, ...]
Fit = Callable[[int, Sequence[tuple[int, int]]], int]
"""(size, blocked ranges by ascending start) -> offset. Ranges may overlap; what lies above all of them is free."""


def peak_of(layout: Layout, offsets: Sequence[int]) -> int:
    """Highest byte used."""
    return max((o + r.size_bytes for o, r in zip(offsets, layout.items, strict=True)), default=0)


def place_constructively(layout: Layout, bank_bytes: int, target_bytes: int, rounds: int, seed: int) -> Offsets:
    """The lowest first-fit placement over the fixed orders and then `rounds` of moving what ended highest to the front.

    Stops at `target_bytes`. Same seed, same answer.
    """
    neighbours = find_neighbours(layout)
    best: Offsets = ()
    best_peak = -1
    for order in _orders(layout):
        offsets = first_fit(layout, order, bank_bytes, neighbours)
        peak = peak_of(layout, offsets)
        if best_peak < 0 or peak < best_peak:
            best, best_peak, start = offsets, peak, order
        if best_peak <= target_bytes:
            return best
    dice = random.Random(seed)
    order = list(start) if layout.items else []
    for _ in range(rounds if layout.items else 0):
        trial = _promote(layout, order, best, target_bytes, dice)
        offsets = first_fit(layout, trial, bank_bytes, neighbours)
        peak = peak_of(layout, offsets)
        if peak <= best_peak:
            best, best_peak, order = offsets, peak, trial
        if best_peak <= target_bytes:
            break
    return best


def _orders(layout: Layout) -> Iterator[list[int]]:
    """Largest first; longest first; largest area first; by step; banks-bound first."""
    items = layout.items
    bound = {i for pair in layout.apart for i in pair}
    keys = (
        lambda i: (-items[i].size_bytes, i),
        lambda i: (-(items[i].last - items[i].first), -items[i].size_bytes, i),
        lambda i: (-(items[i].last - items[i].first + 1) * items[i].size_bytes, i),
        lambda i: (items[i].first, -items[i].size_bytes, i),
        lambda i: (i not in bound, -items[i].size_bytes, i),
    )
    for key in keys:
        yield sorted(range(len(items)), key=key)


def _promote(layout: Layout, order: list[int], offsets: Offsets, target_bytes: int, dice: random.Random) -> list[int]:
    """Move a rectangle that ends above the target, and perhaps one that it meets, to an earlier place in the order."""
    high = [i for i in order if offsets[i] + layout.items[i].size_bytes > target_bytes]
    culprit = dice.choice(high)
    trial = list(order)
    near = [i for i in order if i != culprit and layout.items[i].meets(layout.items[culprit])]
    moved = [culprit, *(dice.sample(near, 1) if near and dice.random() < 0.5 else [])]
    for i in moved:
        trial.remove(i)
        trial.insert(dice.randrange(len(trial) + 1) if dice.random() < 0.3 else 0, i)
    return trial


def find_neighbours(layout: Layout) -> list[list[tuple[int, bool]]]:
    """For each item, the items live with it and whether they must be in other banks."""
    items = layout.items
    table: list[list[tuple[int, bool]]] = [[] for _ in items]
    for i, a in enumerate(items):
        for j in range(i + 1, len(items)):
            if a.meets(items[j]):
                apart = (i, j) in layout.apart
                table[i].append((j, apart))
                table[j].append((i, apart))
    return table


def lowest(size_bytes: int, blocked: Sequence[tuple[int, int]]) -> int:
    """The lowest free offset."""
    at = 0
    for low, high in blocked:
        if low - at >= size_bytes:
            break
        at = max(at, high)
    return at


def first_fit(
    layout: Layout,
    order: Sequence[int],
    bank_bytes: int,
    neighbours: list[list[tuple[int, bool]]] | None = None,
    *,
    fixed: Mapping[int, int] | None = None,
    fit: Fit = lowest,
) -> Offsets:
    """Place in `order`, each where `fit` says. An item that must be in other banks blocks every bank it touches.

    `fixed` items, which `order` leaves out, have the offsets given.
    """
    near = find_neighbours(layout) if neighbours is None else neighbours
    offsets = [-1] * len(layout.items)
    for i, offset in (fixed or {}).items():
        offsets[i] = offset
    for i in order:
        blocked = list[tuple[int, int]]()
        for j, apart in near[i]:
            if offsets[j] >= 0:
                low, high = offsets[j], offsets[j] + layout.items[j].size_bytes
                if apart:
                    low, high = low // bank_bytes * bank_bytes, -(-high // bank_bytes) * bank_bytes
                blocked.append((low, high))
        offsets[i] = fit(layout.items[i].size_bytes, sorted(blocked))
    return tuple(offsets)
