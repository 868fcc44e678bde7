"""Which segments are worth having: the least scratchpad of consecutive groups, by dynamic programming over where they are cut."""

from collections.abc import Mapping

import numpy as np

from sfopt.groups import Network

__all__ = ["Needs"]

UNKNOWN = 1 << 61
"""More than any scratchpad; twice as much is still an int64."""


class Needs:
    """Least scratchpad of consecutive groups whose inner maps never leave it. `whole` has the bytes of each map held whole.

    Ranges are asked for by last group, rising, then by first group, falling: a map that crosses cuts is met once for each group.
    """

    def __init__(self, network: Network, whole: Mapping[str, int]) -> None:
        self.network, self.whole = network, whole
        count = len(network.groups)
        self._least = np.full((count, count), UNKNOWN, dtype=np.int64)
        self._crossing = np.zeros(count, dtype=np.int64)
        """Group k -> bytes of the maps that groups on both sides of the cut behind k touch."""
        self._next = dict[str, int]()
        """Map -> the first group taken in that touches it."""
        self._first = count

    def begin(self, last: int, alone: int) -> None:
        """Ranges that end with `last` come next; the group by itself needs `alone` bytes."""
        self._crossing[:] = 0
        self._next.clear()
        self._first = last + 1
        self.know(last, last, alone)

    def know(self, first: int, last: int, need: int) -> None:
        """Remember what a range needs."""
        self._least[first, last] = min(need, UNKNOWN)

    def cut(self, first: int, last: int) -> int:
        """The least need of two parts, each beside the maps that cross the cut; ranges that are not known are beyond use."""
        while self._first > first:
            self._first -= 1
            self._take_in(self._first)
        parts = np.maximum(self._least[first, first:last], self._least[first + 1 : last + 1, last])
        return int((parts + self._crossing[first:last]).min())

    def _take_in(self, index: int) -> None:
        """What a group touches crosses every cut from there to the next group that touches it."""
        group = self.network.groups[index]
        for m in {*group.reads, *group.writes}:
            if m in self._next:
                self._crossing[index : self._next[m]] += self.whole[m]
            self._next[m] = index
