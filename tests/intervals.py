"""Interval instances for tests: random ones, tight ones, and ones cut out of a full rectangle, so that they are known to fit."""

import random

from sfopt.interval import Interval

__all__ = ["cut_rectangle", "tight_intervals"]


def tight_intervals(rng: random.Random, count: int, times: int, largest: int, capacity: int) -> list[Interval]:
    """Up to `count` random intervals, short ones mostly, whose load is at most `capacity` at every time and mostly close to it."""
    loads = [0] * times
    intervals: list[Interval] = []
    for _ in range(20 * count):
        lower = rng.randrange(times)
        upper = min(times, lower + rng.choice([1, 2, 2, 3, 3, 4, 5]))
        size = rng.randint(1, largest)
        if len(intervals) < count and max(loads[lower:upper]) + size <= capacity:
            loads[lower:upper] = [load + size for load in loads[lower:upper]]
            intervals.append(Interval(f"b{len(intervals)}", lower, upper, size))
    return intervals


def cut_rectangle(rng: random.Random, count: int, times: int, capacity: int) -> list[Interval]:
    """A rectangle of `times` by `capacity`, cut at random into at most `count` pieces, shuffled: they fit without a gap."""
    pieces = [(0, times, 0, capacity)]
    for _ in range(count - 1):
        lower, upper, low, high = pieces.pop(max(range(len(pieces)), key=lambda k: _area(pieces[k]) * rng.random()))
        if rng.random() < 0.5 and upper - lower > 1:
            cut = rng.randrange(lower + 1, upper)
            pieces += [(lower, cut, low, high), (cut, upper, low, high)]
        elif high - low > 1:
            cut = rng.randrange(low + 1, high)
            pieces += [(lower, upper, low, cut), (lower, upper, cut, high)]
        else:
            pieces.append((lower, upper, low, high))
    rng.shuffle(pieces)
    return [Interval(f"p{k}", lower, upper, high - low) for k, (lower, upper, low, high) in enumerate(pieces)]


def _area(piece: tuple[int, int, int, int]) -> int:
    lower, upper, low, high = piece
    return (upper - lower) * (high - low)
