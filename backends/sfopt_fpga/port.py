"""The DRAM port in time: who moves data when, and how fast.

Reads are answered in the order in which they were asked for, whole one after the other; what a STORE writes goes beside them. The
two directions share the bandwidth equally, but what one of them cannot use of its half, the other may.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil

from sfopt.cost import Moved
from sfopt.device import Device

__all__ = ["Move", "Port", "share_bus"]


@dataclass
class Move:
    """Data that someone asked for or has to write. Work is in bytes times the clock: a cycle does `dram_bytes_per_s` of it."""

    ready: int
    """Cycle from which it may move."""
    left: Fraction
    """Work that is still to do."""
    most: Fraction
    """Of it, the most in a cycle: one scratchpad word's, whatever that word has of the data."""
    part: Fraction
    """Work whose end is an event, as often as `left` holds it."""

    @staticmethod
    def of(moved: Moved, ready: int, device: Device) -> "Move":
        """The data of a LOAD or STORE."""
        work = Fraction(moved.size_bytes * device.clock_hz)
        return Move(ready, work, work / max(1, moved.words), work)

    @staticmethod
    def dense(parts: int, part_bytes: int, ready: int, device: Device) -> "Move":
        """Data that nothing but the port limits, in parts that are of use one by one."""
        part = Fraction(part_bytes * device.clock_hz)
        return Move(ready, parts * part, Fraction(device.dram_bytes_per_s), part)

    @property
    def parts_left(self) -> int:
        """Parts that are not there yet."""
        return ceil(self.left / self.part)


class Port:
    """Moves under way."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._reads, self._writes = deque[Move](), deque[Move]()

    def read(self, move: Move) -> None:
        """Ask for data."""
        self._reads.append(move)

    def write(self, move: Move) -> None:
        """Have data to write; one move at a time."""
        self._writes.append(move)

    def next_end(self, now: int) -> int | None:
        """The cycle at which a part of what moves at `now` is over, or one more move begins, if nothing else happens."""
        moving = self._moving(now)
        rates = share_bus([m.most for m in moving], self._device)
        ends = [now + ceil((m.left % m.part or m.part) / rate) for m, rate in zip(moving, rates, strict=True)]
        waiting = [queue[0].ready for queue in (self._reads, self._writes) if queue and queue[0].ready > now]
        return min((*ends, *waiting), default=None)

    def advance(self, now: int, then: int) -> None:
        """Let time pass to an event that `next_end` gave, or an earlier one."""
        moving = self._moving(now)
        for move, rate in zip(moving, share_bus([m.most for m in moving], self._device), strict=True):
            move.left = max(Fraction(0), move.left - rate * (then - now))
        for queue in (self._reads, self._writes):
            while queue and queue[0].left == 0:
                queue.popleft()

    def _moving(self, now: int) -> list[Move]:
        return [queue[0] for queue in (self._reads, self._writes) if queue and queue[0].ready <= now]


def share_bus(most: Sequence[Fraction], device: Device) -> tuple[Fraction, ...]:
    """Work of one or two moves that gets done in a cycle, given the most that each can use."""
    if not most:
        return ()
    equal = Fraction(device.dram_bytes_per_s, len(most))
    spare = sum(max(Fraction(0), equal - m) for m in most)
    return tuple(min(m, equal + spare) for m in most)
