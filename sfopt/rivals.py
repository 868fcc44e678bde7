"""Cycles that a COMPUTE waits for its parameters because something that it streams lies in their bank.

A bank reads one word a cycle, and streams are never refused. The parameters' port gets the cycles in which no stream reads: of
passes that are longer than their reads, of pixels outside the map, and those in which the engine waits for just these words.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

__all__ = ["ELSEWHERE", "Banks", "Pass", "Reads", "Streams", "parameter_waits"]

Banks = npt.NDArray[np.intp]
"""Of reads: which of the parameters' banks, counted from 0, or ELSEWHERE."""
ELSEWHERE = -1

_FIRST_REQUEST = 1
"""Cycle of the parameters' first request; cycle 0 starts the COMPUTE."""
_FIRST_PASS = 2
"""Cycle of the first read of weights, or of the first pass without any."""
_TO_USE = 4
"""From a word's read to the first pass that may use it."""
_SETS = 4
"""Vectors whose biases and factors are held."""
_NEVER = 1 << 62


class Streams(Protocol):
    """The banks that a COMPUTE's streams read, and those in which its parameters lie. Positions are those of the kernel."""

    def pixels(self, pixels: range, position: int, word: int, channel: int) -> Banks:
        """For these pixels of the band, a word of the input."""

    def scale(self, word: int, channel: int) -> int:
        """For each pixel, a word of the channel scale."""

    def taps(self, position: int, channel: int) -> int:
        """For each pixel, a word of depthwise weights."""

    def rows(self, channels: range, position: int, word: int) -> Banks:
        """These channels' weights of a convolution."""

    def second(self, pixels: range, channel: int, word: int) -> Banks:
        """For these pixels, a word of the second operand from that of `channel` on."""

    def head(self, words: int) -> Banks:
        """The parameters in front of the biases."""

    def records(self, channel: int, words: int) -> Banks:
        """Biases and factors from those of a channel on."""


@dataclass(frozen=True)
class Reads:
    """Reads that come one every `stride` cycles, the first of them at the bank `delay` cycles behind the begin of a pass."""

    banks: Banks
    delay: int
    stride: int = 1

    def taken(self, begin: int, since: int) -> tuple[Banks, Banks]:
        """Cycles, from one on, and banks of those that read the parameters' banks."""
        skipped = max(0, -(-(since - begin - self.delay) // self.stride))
        index = skipped + np.flatnonzero(self.banks[skipped:] != ELSEWHERE)
        return begin + self.delay + self.stride * index, self.banks[index]


@dataclass(frozen=True)
class Pass:
    """One pass of the schedule."""

    cycles: int
    reads: Callable[[], Iterable[Reads]]
    """Worked out when wanted: mostly the parameters' port waits for a vector's end, and what streams meanwhile is all one."""
    vector: int | None = None
    """The vector whose last pass it is: it needs the head and that vector's records."""
    needs_head: bool = False
    released: int = 0
    """Of a vector's last pass, the cycle in which the vector's biases and factors are let go, counted from the begin."""


def parameter_waits(passes: Iterable[Pass], head: Banks, records: Iterator[Banks]) -> int:
    """Cycles by which passes are late; the first of them only reads weights.

    `head` and `records`: the banks of the words in front of the biases, and of each vector's in turn.
    """
    port = _Port(head, records)
    now, waits = _FIRST_PASS, 0
    for one in passes:
        if port.done and now >= port.all_read + _TO_USE:
            break
        if one.vector is not None or one.needs_head:
            late = max(0, port.there(one.vector, now) - now)
            waits, now = waits + late, now + late
        if one.vector is not None:
            port.releases.append(now + one.released)
        elif port.waits:
            now += one.cycles
            continue
        port.take(now, one.reads())
        now += one.cycles
        port.read_until(now)
    return waits


class _Port:
    """The parameters' read port: which word was read when."""

    def __init__(self, head: Banks, records: Iterator[Banks]) -> None:
        self._records = records
        self._next = _FIRST_REQUEST
        self._left = deque(head.tolist())
        """Banks of the words that are asked for now."""
        self._is_head = True
        self._head_read: int | None = None
        self._sets = deque[int]()
        """Cycle of the last read of each vector's records."""
        self._taken = set[tuple[int, int]]()
        """Cycles and banks in which a stream reads."""
        self.releases = list[int]()
        self.done = False
        if not self._left:
            self._next = _FIRST_REQUEST + 1
            self._next_set()

    @property
    def all_read(self) -> int:
        """Cycle of the last read."""
        return self._next - 1

    @property
    def waits(self) -> bool:
        """Whether the next read is that of a vector whose set is held by one with passes to come.

        A pass that is not a vector's last has all of its reads at the bank before the next pass releases anything.
        """
        return self._possible() == _NEVER

    def take(self, begin: int, reads: Iterable[Reads]) -> None:
        """Streams read for a pass that begins at a cycle. What they read before the next read here may be is forgotten."""
        since = self._possible()
        self._taken = {(cycle, bank) for cycle, bank in self._taken if cycle >= since}
        for each in reads:
            cycles, banks = each.taken(begin, since)
            self._taken.update(zip(cycles.tolist(), banks.tolist(), strict=True))

    def read_until(self, end: int) -> None:
        """Read in all cycles before `end` that are free. What no stream has read by then it never will."""
        while not self.done and (cycle := self._free()) < end:
            self._read(cycle)
        if not self.done:
            self._next = max(self._next, end)

    def there(self, vector: int | None, now: int) -> int:
        """Cycle from which a pass may begin that needs the head and the records of a vector, reads going on until then."""
        while not self.done and (self._is_head or (vector is not None and len(self._sets) <= vector)):
            self._read(self._free())
        needed = [now] if self._head_read is None else [now, self._head_read + _TO_USE]
        if vector is not None and vector < len(self._sets):
            needed.append(self._sets[vector] + _TO_USE)
        return max(needed)

    def _free(self) -> int:
        """The next cycle in which a read is answered."""
        cycle = self._possible()
        while (cycle, self._left[0]) in self._taken:
            cycle += 1
        return cycle

    def _possible(self) -> int:
        """The first cycle in which the next read may be asked for."""
        behind = len(self._sets) - _SETS
        if self._is_head or behind < 0:
            return self._next
        return max(self._next, self.releases[behind]) if behind < len(self.releases) else _NEVER

    def _read(self, cycle: int) -> None:
        self._next = cycle + 1
        self._left.popleft()
        if not self._left:
            if self._is_head:
                self._head_read = cycle
            else:
                self._sets.append(cycle)
            self._next_set()

    def _next_set(self) -> None:
        self._is_head = False
        self._left.extend(next(self._records, np.empty(0, np.intp)).tolist())
        self.done = not self._left
