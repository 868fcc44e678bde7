"""Search for a placement from the bottom up: every block on the floor or on top of another one.

Any placement can be pushed down until each block rests on the bottom or on another block (Moffitt, "MiniMalloc", ASPLOS 2023, calls
it canonical), so only such placements are looked for. A node holds, for each block still to be placed, where it would rest now and
the least offset that earlier decisions leave it. The least of these over the blocks of a section is the section's floor: what lies
below it and is not covered is lost, and if floor plus load to come exceeds the capacity in some section, the node has no solution.

A node takes the lowest floor, of its sections the one with the fewest candidates, and branches: one of them lies there, or none
does and the floor rises to the next height at which something can rest. Stretches of sections that no remaining block connects are
solved one by one, and each remainder that failed is remembered, whatever led to it.

All of this holds under the bank rule as well, with "on top of" read as: at the other's top, or at the next bank behind it if the
two are apart. Take any placement, and move its blocks, in the order of their offsets, each down to the highest top (next bank)
among those before it that share a section with it. That is no higher than where it was, because those before it only moved down
and a next bank falls with the top before it; and it overlaps and shares a bank with none of them. Repeated until nothing moves,
it leaves every block on the floor or on another one, which has a lower offset: the canonical form. So in the order of offsets

- the next block lies where those before it let it *rest*, exactly;
- if none lies on the floor of a section, its lowest waiting block lies where it rests now, or on one that is not in the section and
  still waits: at that one's top, at the least, whether the two are apart or not;
- what remains after a block depends on those before it by rests and leasts alone, and blocks that share no section are never apart:
  parts stay independent, and a remembered failure holds;
- floor plus load to come stays a lower bound, as bank boundaries only waste room.

Of blocks that could change places (`Stack.twins`) one is tried.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from operator import add

from sfopt.allocate.packing.stack import Stack

__all__ = ["Found", "search"]

Key = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]
Branch = tuple[int, int, "list[_Part]"]
"""The block placed (NOTHING: none), its offset, the parts that remain."""

NOTHING = -1

CLOCK_NODES = 64
"""Nodes between two looks at the clock."""


@dataclass(frozen=True)
class Found:
    """Offsets in units by block, or None; then `exhausted` says whether the whole tree was searched or only `nodes` of it.

    `blame` counts, for each block, how often it was still waiting when a section overflowed.
    """

    offsets: tuple[int, ...] | None
    exhausted: bool
    nodes: int
    blame: tuple[int, ...]


def search(stack: Stack, capacity: int, ranks: Sequence[float], max_nodes: int, deadline_s: float) -> Found:
    """Look for a placement below `capacity` units in at most `max_nodes` nodes, trying blocks of higher rank first.

    `deadline_s` is a time of `time.monotonic`. Without it, the same arguments give the same result.
    """
    return _Search(stack, capacity, ranks).run(max_nodes, deadline_s)


@dataclass(frozen=True, slots=True)
class _Part:
    """Blocks still to be placed, in a connected stretch of sections that starts at `first`.

    `rests` and `leasts` are aligned with `blocks`, `loads` (units still to come) and `floors` with the sections.
    """

    blocks: tuple[int, ...]
    rests: tuple[int, ...]
    leasts: tuple[int, ...]
    first: int
    loads: Sequence[int]
    floors: Sequence[int]

    @property
    def key(self) -> Key:
        """What the answer depends on: floors follow from `leasts`, loads from `blocks`."""
        return self.blocks, self.rests, self.leasts


@dataclass(slots=True)
class _Agenda:
    """Parts to solve, as a linked list that branches share. `depth` frames were open when the part came up."""

    part: _Part
    depth: int
    later: "_Agenda | None"


@dataclass(slots=True)
class _Frame:
    """A node whose branches are being tried; `later` is what remains to be solved after its part."""

    key: Key
    branches: Iterator[Branch]
    depth: int
    later: _Agenda | None
    block: int = NOTHING
    offset: int = 0


class _Search:
    """Depth-first search for a placement of a stack below a capacity in units."""

    def __init__(self, stack: Stack, capacity: int, ranks: Sequence[float]) -> None:
        self.capacity = capacity
        self.ranks = ranks
        self.firsts = [block.first for block in stack.blocks]
        self.ends = [block.end for block in stack.blocks]
        self.sizes = [block.size for block in stack.blocks]
        self.foes = stack.foes
        self.twins = stack.twins
        self.next_bank = stack.next_bank
        self.blame = [0] * len(stack.blocks)
        self.failed: set[Key] = set()
        everything = range(len(stack.blocks))
        bottom = [0] * len(stack.blocks)
        self.frames: list[_Frame] = []
        self.nodes = 0
        self.roots = self._settle(everything, bottom, bottom, 0, stack.loads)

    def run(self, max_nodes: int, deadline_s: float) -> Found:
        """Open nodes until every part is solved, none is left, or a limit is met."""
        if self.roots is None:
            return self._found(exhausted=True)
        agenda = _enqueue(self.roots, 0, None)
        while agenda is not None:
            if self.nodes == max_nodes or (self.nodes % CLOCK_NODES == 0 and time.monotonic() > deadline_s):
                return self._found()
            self.nodes += 1
            part = agenda.part
            self.frames.append(_Frame(part.key, self._branches(part), agenda.depth, agenda.later))
            parts = self._next_branch()
            if parts is None:
                return self._found(exhausted=True)
            agenda = _enqueue(parts, len(self.frames), self.frames[-1].later)
        offsets = {frame.block: frame.offset for frame in self.frames}
        return self._found(tuple(offsets[block] for block in range(len(self.sizes))))

    def _found(self, offsets: tuple[int, ...] | None = None, *, exhausted: bool = False) -> Found:
        return Found(offsets, exhausted, self.nodes, tuple(self.blame))

    def _next_branch(self) -> list[_Part] | None:
        """The parts that the next branch of the last frame leaves.

        If it has none, its part has failed, and so has the branch it came from, whatever the parts beside it found.
        """
        while self.frames:
            frame = self.frames[-1]
            branch = next(frame.branches, None)
            if branch is not None:
                frame.block, frame.offset, parts = branch
                return parts
            self.failed.add(frame.key)
            del self.frames[frame.depth :]
        return None

    def _branches(self, part: _Part) -> Iterator[Branch]:
        floor = min(part.floors)
        candidates = [
            block
            for block, rest, least in zip(part.blocks, part.rests, part.leasts, strict=True)
            if least == floor == rest
        ]
        section, spare = self._tightest_section(part, floor, candidates)
        firsts, ends = self.firsts, self.ends
        here = [block for block in candidates if firsts[block] <= section < ends[block]]
        here.sort(key=self.ranks.__getitem__, reverse=True)
        tried = set()
        for block in here:
            if self.twins[block] not in tried:
                tried.add(self.twins[block])
                parts = self._place(part, block, floor)
                if parts is not None:
                    yield block, floor, parts
        if spare:
            parts = self._leave_empty(part, section, floor, spare)
            if parts is not None:
                yield NOTHING, floor, parts

    def _tightest_section(self, part: _Part, floor: int, candidates: Sequence[int]) -> tuple[int, int]:
        """The section on the lowest floor with the fewest candidates, then with the least to spare; and what it has to spare."""
        changes = [0] * (len(part.floors) + 1)
        for block in candidates:
            changes[self.firsts[block] - part.first] += 1
            changes[self.ends[block] - part.first] -= 1
        best = (len(part.blocks) + 1, 0, 0)
        for section, count in enumerate(accumulate(changes[:-1])):
            if part.floors[section] == floor:
                spare = self.capacity - floor - part.loads[section]
                best = min(best, (count, spare, section))
        _, spare, section = best
        return part.first + section, spare

    def _place(self, part: _Part, block: int, floor: int) -> list[_Part] | None:
        """Put a block on the floor: what overlaps it rests on top of it at the lowest, or behind its last bank."""
        first, end, size = self.firsts[block], self.ends[block], self.sizes[block]
        firsts, ends, foes = self.firsts, self.ends, self.foes[block]
        behind = floor + size
        next_bank = self.next_bank(behind)
        blocks, rests, leasts = [], [], []
        for other, rest, least in zip(part.blocks, part.rests, part.leasts, strict=True):
            if other != block:
                blocks.append(other)
                if firsts[other] < end and first < ends[other]:
                    top = next_bank if other in foes else behind
                    rests.append(top if rest < top else rest)
                    leasts.append(top if least < top else least)
                else:
                    rests.append(rest)
                    leasts.append(least)
        loads = list(part.loads)
        low, high = first - part.first, end - part.first
        loads[low:high] = [load - size for load in loads[low:high]]
        return self._settle(blocks, rests, leasts, part.first, loads)

    def _leave_empty(self, part: _Part, section: int, floor: int, spare: int) -> list[_Part] | None:
        """Nothing lies on the floor of a section: it rises to the next height at which one of its blocks can rest."""
        heights = [self.capacity]
        covers = []
        for block, rest, least in zip(part.blocks, part.rests, part.leasts, strict=True):
            covers.append(self.firsts[block] <= section < self.ends[block])
            if not covers[-1]:
                heights.append(least + self.sizes[block])
            elif rest > floor:
                heights.append(rest)
        height = min(heights)
        if height - floor > spare:
            return None
        leasts = [max(least, height) if cover else least for least, cover in zip(part.leasts, covers, strict=True)]
        return self._settle(part.blocks, part.rests, leasts, part.first, part.loads)

    def _settle(
        self, blocks: Sequence[int], rests: Sequence[int], leasts: Sequence[int], first: int, loads: Sequence[int]
    ) -> list[_Part] | None:
        """The parts into which a remainder falls; None if a section overflows or a part is known to fail."""
        floors = [0] * len(loads)
        for least, block in sorted(zip(leasts, blocks, strict=True), reverse=True):
            low, high = self.firsts[block] - first, self.ends[block] - first
            floors[low:high] = [least] * (high - low)  # the lowest is last
        if max(map(add, floors, loads)) > self.capacity:
            for block in blocks:
                self.blame[block] += 1
            return None
        parts = []
        for start, stop, end in self._connected(blocks):
            low, high = self.firsts[blocks[start]] - first, end - first
            part = _Part(
                tuple(blocks[start:stop]),
                tuple(rests[start:stop]),
                tuple(leasts[start:stop]),
                first + low,
                loads[low:high],
                floors[low:high],
            )
            if part.key in self.failed:
                return None
            parts.append(part)
        return parts

    def _connected(self, blocks: Sequence[int]) -> Iterator[tuple[int, int, int]]:
        """Ranges [start, stop) of blocks, which are in order of their first sections, that share sections; and where these end."""
        start = end = 0
        for position, block in enumerate(blocks):
            if position > start and self.firsts[block] >= end:
                yield start, position, end
                start = position
            end = max(end, self.ends[block])
        if blocks:
            yield start, len(blocks), end


def _enqueue(parts: list[_Part], depth: int, later: _Agenda | None) -> _Agenda | None:
    """The parts in front of what is there, the smallest first: it fails soonest."""
    for part in sorted(parts, key=lambda part: -len(part.blocks)):
        later = _Agenda(part, depth, later)
    return later
