"""An instance reduced to what decides it: sections instead of times, units instead of bytes, parts that share no time.

A section is a largest set of intervals that are live together. Two intervals share a time if and only if they share a section, and
the sections of an interval are consecutive.
"""

import math
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from sfopt.interval import Interval

__all__ = ["Block", "Stack", "split_into_stacks"]


@dataclass(frozen=True)
class Block:
    """An interval as a rectangle: the sections first <= s < end wide, `size` units high."""

    id: str
    first: int
    end: int
    size: int

    @property
    def sections(self) -> int:
        """Width of the rectangle."""
        return self.end - self.first


@dataclass(frozen=True)
class Stack:
    """Blocks in the order of their first section, which nothing but each other's place restricts; `unit_bytes` is one unit."""

    blocks: tuple[Block, ...]
    sections: int
    unit_bytes: int

    @cached_property
    def loads(self) -> tuple[int, ...]:
        """Units that each section has to carry."""
        loads = [0] * self.sections
        for block in self.blocks:
            for section in range(block.first, block.end):
                loads[section] += block.size
        return tuple(loads)

    def peak(self, offsets: Sequence[int]) -> int:
        """Highest unit in use, given an offset for each block."""
        return max(offset + block.size for offset, block in zip(offsets, self.blocks, strict=True))


def split_into_stacks(intervals: Sequence[Interval]) -> list[Stack]:
    """One stack for each stretch of time in which something is always live.

    Its unit is the largest common divisor of its sizes: pushed down as far as they go, all intervals lie at multiples of it.
    """
    return [_stack(part) for part in _parts(intervals)]


def _parts(intervals: Sequence[Interval]) -> Iterator[list[Interval]]:
    part: list[Interval] = []
    upper = 0
    for interval in sorted(intervals, key=lambda i: i.lower):
        if part and interval.lower >= upper:
            yield part
            part = []
        upper = max(upper, interval.upper) if part else interval.upper
        part.append(interval)
    if part:
        yield part


def _stack(part: list[Interval]) -> Stack:
    unit_bytes = math.gcd(*(interval.size for interval in part))
    times = _section_times(part)
    blocks = [
        Block(i.id, bisect_left(times, i.lower), bisect_left(times, i.upper), i.size // unit_bytes)
        for i in part  # sorted by `lower`, hence by first section
    ]
    return Stack(tuple(blocks), len(times), unit_bytes)


def _section_times(part: list[Interval]) -> list[int]:
    """A time in each section: a start that is followed by an end, where the live set stops growing."""
    events = sorted([(i.lower, True) for i in part] + [(i.upper, False) for i in part])
    return [time for (time, is_start), (_, next_is_start) in pairwise(events) if is_start and not next_is_start]
