"""Seats stays in a few interchangeable buffers, such that the buffers, each as large as its largest stay, are small."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

__all__ = ["Seating", "Stay", "seat"]

STATES = 256
"""Partial seatings kept from one stay to the next, those with the smallest buffers."""


@dataclass(frozen=True)
class Stay:
    """Something in a buffer at steps `first..last`."""

    first: int
    last: int
    size_bytes: int


@dataclass(frozen=True)
class Seating:
    """A buffer for each stay so far. `until` is the last step of the stay in each buffer, -1 if that is over."""

    seats: tuple[int, ...]
    sizes: tuple[int, ...]
    until: tuple[int, ...]

    @property
    def size_bytes(self) -> int:
        """Bytes of all buffers."""
        return sum(self.sizes)


def seat(stays: Sequence[Stay], buffers: int, limit_bytes: int) -> Seating | None:
    """The seating with the least sum of buffer sizes; None if that is above the limit.

    Stays come by ascending first step, at most `buffers` of them at one step. Exact as long as there are no more than STATES
    partial seatings of which none is better than another in every buffer.
    """
    states = [Seating((), (0,) * buffers, (-1,) * buffers)]
    for stay in stays:
        after = [s for before in states for s in _seated(before, stay) if s.size_bytes <= limit_bytes]
        states = _undominated(after)[:STATES]
    return states[0] if states else None


def _seated(before: Seating, stay: Stay) -> Iterable[Seating]:
    until = [-1 if last < stay.first else last for last in before.until]
    for i, last in enumerate(until):
        if last < 0:
            sizes = (*before.sizes[:i], max(before.sizes[i], stay.size_bytes), *before.sizes[i + 1 :])
            yield Seating((*before.seats, i), sizes, (*until[:i], stay.last, *until[i + 1 :]))


def _undominated(states: Iterable[Seating]) -> list[Seating]:
    """By ascending sum, without those that another equals or beats buffer by buffer, where buffers free from one step on match."""
    kept = dict[tuple[int, ...], list[tuple[int, ...]]]()
    found = list[Seating]()
    for state in sorted(states, key=lambda s: (s.size_bytes, s.seats)):
        pairs = sorted(zip(state.until, state.sizes, strict=True))
        sizes = tuple(size for _, size in pairs)
        rivals = kept.setdefault(tuple(until for until, _ in pairs), [])
        if not any(all(a <= b for a, b in zip(rival, sizes, strict=True)) for rival in rivals):
            rivals.append(sizes)
            found.append(state)
    return found
