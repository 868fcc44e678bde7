"""Vectors of channels and their passes: how the compute engine cuts its work."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from sfopt.device import Device
from sfopt.work import Mode, Work

__all__ = ["Vector", "vectors"]


@dataclass(frozen=True)
class Vector:
    """Channels whose results come from the lanes at once."""

    passes: int
    words: int
    """Cycles of a pixel's result in the last pass."""
    rows: int
    """Cycles that its weights need for each pass of one kernel column."""
    next_rows: int
    """Cycles that the weights of the first pass behind it need."""
    records: int
    channel: int
    size: int
    """Channels: of lane 0, and how many lanes have one."""
    seconds: int
    """Words of the second operand that it touches."""
    spare: int = 0
    """CONV: of those cycles, how many a second operand needs more than the result."""
    shifted: bool = False
    """CONV: whether its group's channels begin inside a word, so that a row of weights takes two reads."""
    columns: tuple[tuple[int, ...], ...] = ()
    """CONV: the kernel columns of each pass over a kernel row, where two can share one."""

    def paired(self, index: int) -> bool:
        """Whether a pass multiplies two kernel columns."""
        return bool(self.columns) and len(self.columns[index % len(self.columns)]) == 2

    def row_reads(self, index: int) -> int:
        """Cycles that the weights of a pass need."""
        return self.rows * (2 if self.paired(index) else 1)


def vectors(work: Work, device: Device) -> tuple[tuple[Vector, ...], Mapping[Vector, int]]:
    """The vectors of a chunk in order, and how many there are of each kind."""
    return _vectors(
        work.mode, work.channels, work.first_channel, work.out_channel, work.positions, work.depth, work.group_channels,
        work.binary, _shared(work, device), device.lanes_in, device.lanes_out,
    )  # fmt: skip


def _shared(work: Work, device: Device) -> tuple[tuple[int, ...], ...]:
    """Kernel columns of each pass over a kernel row; empty where each has passes of its own."""
    if work.columns is None or not work.columns.apart or 2 * work.depth > device.lanes_in:
        return ()
    return work.columns.passes() if work.pixels >= 2 * device.lanes_out else ()


@lru_cache(maxsize=65536)
def _vectors(
    mode: Mode,
    channels: int,
    first_channel: int,
    out_channel: int,
    positions: int,
    depth: int,
    group_channels: int,
    binary: bool,
    shared: tuple[tuple[int, ...], ...],
    lanes_in: int,
    lanes_out: int,
) -> tuple[tuple[Vector, ...], Mapping[Vector, int]]:
    """The vectors in order, and how many there are of each kind."""
    if mode != Mode.CONV:
        every = list(_word_vectors(channels, first_channel, out_channel, positions, lanes_in))
    else:
        size = group_channels or first_channel + channels
        every = []
        at, stop = first_channel, first_channel + channels
        while at < stop:
            group = at // size
            end = min(at + lanes_out, (group + 1) * size, stop)
            every.append(_tile(at, end, group, out_channel, positions, depth, binary, lanes_in, lanes_out))
            at = end
        if shared:
            passes = positions // sum(map(len, shared)) * len(shared)
            every = [replace(v, passes=passes, columns=shared) for v in every]
        every = [replace(v, next_rows=every[(i + 1) % len(every)].row_reads(0)) for i, v in enumerate(every)]
    return tuple(every), Counter(replace(v, channel=0, size=0) for v in every)


def _tile(
    at: int,
    end: int,
    group: int,
    out_channel: int,
    positions: int,
    depth: int,
    binary: bool,
    lanes_in: int,
    lanes_out: int,
) -> Vector:
    shift = group * depth % lanes_in
    written = words = _touched(out_channel + at, end - at, lanes_in)
    if binary:
        words = max(words, _touched(at, end - at, lanes_in))
    rows = lanes_out * (2 if shift else 1)
    return Vector(
        positions * -(-(shift + depth) // lanes_in),
        words,
        rows,
        rows,
        _records(at, end - at, lanes_in),
        at,
        end - at,
        _touched(at, end - at, lanes_in),
        words - written,
        shift > 0,
    )


def _word_vectors(channels: int, first: int, out_channel: int, positions: int, lanes: int) -> Iterator[Vector]:
    for word in range(first // lanes, -(-(first + channels) // lanes)):
        high = min(lanes, first + channels - word * lanes)
        words = _touched(out_channel % lanes, high, lanes)
        yield Vector(positions, words, 0, 0, _records(word * lanes, high, lanes), word * lanes, high, 1)


def _touched(byte: int, count: int, lanes: int) -> int:
    return -(-(byte % lanes + count) // lanes)


def _records(first: int, count: int, lanes: int) -> int:
    """Words that hold the biases and factors of so many channels, 8 bytes each."""
    return -(-(8 * first % lanes + 8 * count) // lanes)
