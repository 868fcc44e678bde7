"""An instance reduced to what decides it: sections instead of times, units instead of bytes, parts that share no time.

A section is a largest set of intervals that are live together. Two intervals share a time if and only if they share a section, and
the sections of an interval are consecutive.

The bank rule: two blocks that are `apart` may touch no bank in common, where bank k is the units k * bank <= u < (k + 1) * bank. As
addresses it means that the upper one of the two lies at or above the `next_bank` behind the lower one's top.
"""

import math
from bisect import bisect_left
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
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
    """Blocks in the order of their first section, which nothing but each other's place restricts; `unit_bytes` is one unit.

    `apart`: pairs of indices, the smaller first, of blocks that share a section and may share no bank of `bank` units.
    """

    blocks: tuple[Block, ...]
    sections: int
    unit_bytes: int
    apart: frozenset[tuple[int, int]] = frozenset()
    bank: int = 1

    @cached_property
    def loads(self) -> tuple[int, ...]:
        """Units that each section has to carry."""
        loads = [0] * self.sections
        for block in self.blocks:
            for section in range(block.first, block.end):
                loads[section] += block.size
        return tuple(loads)

    @cached_property
    def foes(self) -> tuple[frozenset[int], ...]:
        """For each block, those that it must be apart from."""
        foes: list[set[int]] = [set() for _ in self.blocks]
        for one, other in self.apart:
            foes[one].add(other)
            foes[other].add(one)
        return tuple(frozenset(others) for others in foes)

    @cached_property
    def twins(self) -> tuple[int, ...]:
        """For each block, the first one that it can change places with: same rectangle, and the same foes beside each other.

        Either they are no foes and have the same foes, or they are and have the same ones beside: no block has twins of both kinds,
        so this divides the blocks into classes.
        """
        first: dict[tuple[int, int, int, bool, frozenset[int]], int] = {}
        twins = []
        for index, block in enumerate(self.blocks):
            shape = block.first, block.end, block.size
            strangers = (*shape, False, self.foes[index])
            rivals = (*shape, True, self.foes[index] | {index})
            known = first.get(strangers, first.get(rivals, index))
            first.setdefault(strangers, known)
            first.setdefault(rivals, known)
            twins.append(known)
        return tuple(twins)

    def part(self, kept: Sequence[int]) -> "Stack":
        """The stack of some of the blocks, ascending indices, in the same sections."""
        position = {index: at for at, index in enumerate(kept)}
        pairs = frozenset((position[a], position[b]) for a, b in self.apart if a in position and b in position)
        return replace(self, blocks=tuple(self.blocks[index] for index in kept), apart=pairs)

    def next_bank(self, top: int) -> int:
        """The lowest offset whose bank no block that ends at `top` touches."""
        return -(-top // self.bank) * self.bank

    def peak(self, offsets: Sequence[int]) -> int:
        """Highest unit in use, given an offset for each block."""
        return max(offset + block.size for offset, block in zip(offsets, self.blocks, strict=True))


def split_into_stacks(
    intervals: Sequence[Interval], apart: Collection[tuple[int, int]] = (), bank_bytes: int = 1
) -> list[Stack]:
    """One stack for each stretch of time in which something is always live; `apart` holds pairs of indices into `intervals`.

    Pairs that are never live together restrict nothing. A stack's unit is the largest common divisor of its sizes, and of the bank
    if it has pairs: pushed down as far as they go, all intervals lie at multiples of it.
    """
    return [_stack(intervals, part, apart, bank_bytes) for part in _parts(intervals)]


def _parts(intervals: Sequence[Interval]) -> Iterator[list[int]]:
    """Indices by start, in parts that share no time."""
    part: list[int] = []
    upper = 0
    for index in sorted(range(len(intervals)), key=lambda i: intervals[i].lower):
        interval = intervals[index]
        if part and interval.lower >= upper:
            yield part
            part = []
        upper = max(upper, interval.upper) if part else interval.upper
        part.append(index)
    if part:
        yield part


def _stack(
    intervals: Sequence[Interval], indices: list[int], apart: Collection[tuple[int, int]], bank_bytes: int
) -> Stack:
    part = [intervals[index] for index in indices]  # sorted by `lower`, hence by first section
    pairs = _pairs(intervals, indices, apart)
    unit_bytes = math.gcd(*(interval.size for interval in part), *((bank_bytes,) if pairs else ()))
    times = _section_times(part)
    blocks = [Block(i.id, bisect_left(times, i.lower), bisect_left(times, i.upper), i.size // unit_bytes) for i in part]
    return Stack(tuple(blocks), len(times), unit_bytes, pairs, bank_bytes // unit_bytes if pairs else 1)


def _pairs(
    intervals: Sequence[Interval], indices: list[int], apart: Collection[tuple[int, int]]
) -> frozenset[tuple[int, int]]:
    """The pairs of a part that are live together, as positions in it."""
    position = {index: at for at, index in enumerate(indices)}
    return frozenset(
        (min(position[a], position[b]), max(position[a], position[b]))
        for a, b in apart
        if a in position
        and b in position
        and intervals[a].lower < intervals[b].upper
        and intervals[b].lower < intervals[a].upper
    )


def _section_times(part: list[Interval]) -> list[int]:
    """A time in each section: a start that is followed by an end, where the live set stops growing."""
    events = sorted([(i.lower, True) for i in part] + [(i.upper, False) for i in part])
    return [time for (time, is_start), (_, next_is_start) in pairwise(events) if is_start and not next_is_start]
