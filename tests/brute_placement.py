"""The lowest placement of a few buffers, by trying every order."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

__all__ = ["Box", "Effort", "TooManyCasesError", "load", "lowest_placement", "time_parts"]


class TooManyCasesError(Exception):
    """The instance is beyond enumeration."""


@dataclass(frozen=True)
class Box:
    """A buffer: name, bytes, first and last step."""

    name: str
    size: int
    first: int
    last: int


@dataclass
class Effort:
    """Nodes of the placement search that may still be visited."""

    nodes: int

    def spend(self) -> None:
        """Count one; raises TooManyCasesError when there are none left."""
        self.nodes -= 1
        if self.nodes < 0:
            raise TooManyCasesError("placements")


def load(boxes: Sequence[Box]) -> int:
    """Most bytes that are live at one step."""
    return max((sum(b.size for b in boxes if b.first <= s <= b.last) for s in {b.first for b in boxes}), default=0)


def time_parts(boxes: Sequence[Box]) -> Iterator[list[Box]]:
    """The boxes in parts of which no two have a step in common."""
    part, end = list[Box](), -1
    for b in sorted(boxes, key=lambda b: b.first):
        if part and b.first > end:
            yield part
            part = []
        part.append(b)
        end = max(end, b.last)
    if part:
        yield part


def lowest_placement(
    boxes: Sequence[Box], apart: Collection[tuple[int, int]], bank: int, ceiling: int, effort: Effort
) -> int:
    """Least highest byte below `ceiling` (else `ceiling`); pairs `apart` share no bank. Raises TooManyCasesError.

    Pushing down any placement, box by box in the order of offsets, never raises it: it is enough to try every order in which each
    box gets the lowest offset above those before it that it meets. Of equal offsets, the box that comes first in the list is first.
    """
    floor, everyone = load(boxes), range(len(boxes))
    steps = {s: [i for i in everyone if boxes[i].first <= s <= boxes[i].last] for s in {b.first for b in boxes}}
    if all(len(here) < len(boxes) for here in steps.values()):
        for here in steps.values():  # for its banks, what is live at one step alone may need more than its bytes
            pairs = {(here.index(i), here.index(j)) for i, j in apart if i in here and j in here}
            floor = max(floor, lowest_placement([boxes[i] for i in here], pairs, bank, ceiling, effort))
    return min(ceiling, _Search(boxes, frozenset(apart), bank, floor, effort).run(ceiling))


class _Search:
    """Depth first over orders, below what is known to be possible."""

    def __init__(self, boxes: Sequence[Box], apart: Collection[tuple[int, int]], bank: int, floor: int, effort: Effort):
        self.boxes, self.bank, self.floor, self.effort = boxes, bank, floor, effort
        everyone = range(len(boxes))
        self.below = [
            [(j, (min(i, j), max(i, j)) in apart) for j in everyone if j != i and _meet(boxes[i], boxes[j])]
            for i in everyone
        ]
        self.live = [[i for i in everyone if boxes[i].first <= s <= boxes[i].last] for s in {b.first for b in boxes}]
        self.best = 0

    def run(self, ceiling: int) -> int:
        self.best = ceiling
        if self.floor < ceiling:
            self._extend({}, (-1, -1))
        return self.best

    def _offset(self, i: int, ends: dict[int, int]) -> int:
        """The lowest offset above all that is placed and live with box i."""
        offset = 0
        for j, apart in self.below[i]:
            if j in ends:
                offset = max(offset, -(-ends[j] // self.bank) * self.bank if apart else ends[j])
        return offset

    def _hopeless(self, ends: dict[int, int], lowest: int) -> bool:
        """Whether at some step what is above `lowest`, where all boxes to come will be, is too much already."""
        for live in self.live:
            above = sum(max(0, ends[i] - lowest) if i in ends else self.boxes[i].size for i in live)
            if lowest + above >= self.best:
                return True
        return False

    def _extend(self, ends: dict[int, int], last: tuple[int, int]) -> None:
        self.effort.spend()
        if self.best == self.floor:
            return
        if len(ends) == len(self.boxes):
            self.best = min(self.best, max(ends.values(), default=0))
            return
        waiting = sorted((self._offset(i, ends), i) for i in range(len(self.boxes)) if i not in ends)
        for offset, i in waiting:
            if (offset, i) > last and not self._hopeless(ends, offset):
                self._extend({**ends, i: offset + self.boxes[i].size}, (offset, i))


def _meet(a: Box, b: Box) -> bool:
    return a.first <= b.last and b.first <= a.last
