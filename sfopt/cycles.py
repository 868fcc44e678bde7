"""Cycles of one COMPUTE, as the engine in `hw/` spends them.

The engine puts its work into *passes*: for each chunk of `accumulator_pixels` pixels, each vector of channels (a tile of
`lanes_out` output channels of one convolution group, else a word), each kernel position and word of input channels, one pixel
a cycle. While a pass runs, the weights of the next one are read, a row a cycle, so a pass of a convolution is at least so long.
In a vector's last pass each pixel takes as many cycles as its result has words to write. Biases and factors are fetched ahead
of the vector that needs them; only the first vector waits for them, unless vectors take fewer cycles than these have words or
something that streams lies in the same bank (`rivals.py`).
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from itertools import chain

import numpy as np

from sfopt.device import Device
from sfopt.rivals import Pass, Reads, Streams, parameter_waits

__all__ = ["EMPTY_CYCLES", "Mode", "Work", "compute_cycles"]

EMPTY_CYCLES = 1
"""Of a COMPUTE without rows or channels."""
_PIPELINE = 26
"""From the first cycle to the first pass, and from the last pass to the last word written."""
_SCALE = 14
"""More, when the input is multiplied by a channel scale."""
_BINARY = 14
"""More, when there is a second operand."""
_AVERAGE = 36
"""More, when sums are divided."""
_PARTIAL = -12
"""Less, for a band of a mean that is not the last."""
_FETCH = 2
"""From the first request for parameters to their use, without the words themselves."""
_MIN_PASS = 4
"""Between two additions to one accumulator."""
_MIN_PASS_AVERAGE = 8
"""The same in float32."""
_TO_BANK = 5
"""From a cycle of a pass to that in which its reads are at the bank."""
_TO_SECOND = 16
"""The same for those of a second operand."""
_DIVIDE = 8
"""Between two words of averages."""


class Mode(StrEnum):
    """How the engine goes through the work. ELEMENT is one output pixel for one input pixel."""

    CONV = "conv"
    WINDOW = "window"
    AVERAGE = "average"
    MEAN = "mean"
    ELEMENT = "element"


@dataclass(frozen=True)
class Work:
    """What one COMPUTE has to do. `pixels` are output pixels, of a mean input pixels."""

    mode: Mode
    pixels: int
    channels: int
    """Output channels, from `first_channel` on."""
    positions: int = 1
    """Kernel positions."""
    depth: int = 1
    """CONV: input channels of a convolution group."""
    group_channels: int = 0
    """CONV: output channels of a convolution group; 0: all."""
    first_channel: int = 0
    out_channel: int = 0
    """Channel of the output where channel 0 lands."""
    head_bytes: int = 0
    """Scalars and tables in front of the biases."""
    records: bool = False
    """Whether there are biases and factors."""
    scale: bool = False
    binary: bool = False
    final: bool = True
    """MEAN: whether this band is the last."""
    rivals: Streams | None = None
    """What reads the parameters' bank beside them, where the place of things is known."""


@dataclass(frozen=True)
class _Vector:
    passes: int
    words: int
    """Cycles of a pixel's result in the last pass."""
    rows: int
    """Cycles that its weights need for each pass."""
    next_rows: int
    """The same of the vector behind it."""
    records: int
    channel: int
    size: int
    """Channels: of lane 0, and how many lanes have one."""
    seconds: int
    """Words of the second operand that it touches."""
    shifted: bool = False
    """CONV: whether its group's channels begin inside a word, so that a row of weights takes two reads."""


def compute_cycles(work: Work, device: Device) -> int:
    """Cycles from the start of a COMPUTE to its end."""
    if work.pixels <= 0 or work.channels <= 0:
        return EMPTY_CYCLES
    every, vectors = _vectors(
        work.mode, work.channels, work.first_channel, work.out_channel, work.positions, work.depth, work.group_channels,
        work.binary, device.lanes_in, device.lanes_out,
    )  # fmt: skip
    last = every[-1]
    chunk = work.pixels if work.mode == Mode.MEAN else min(work.pixels, device.accumulator_pixels)
    full, rest = divmod(work.pixels, chunk)
    body = full * _chunk_cycles(work, vectors, chunk)
    if rest:
        body += _chunk_cycles(work, vectors, rest)
    pixels = rest or chunk
    body -= _last_pass(work, last, pixels) - _results(work, last, pixels)  # nothing is behind it
    if work.mode == Mode.MEAN and not work.final:  # nothing is written, and nothing waits for that
        body += _PARTIAL - (last.words - 1)
        return _PIPELINE + _prologue(work, every, chunk, device) + body + _SCALE * work.scale
    extra = _SCALE * work.scale + _BINARY * work.binary + (_AVERAGE + last.words - 1) * (work.mode == Mode.AVERAGE)
    return _PIPELINE + _prologue(work, every, chunk, device) + body + extra


def _prologue(work: Work, every: Sequence[_Vector], chunk: int, device: Device) -> int:
    """Cycles before the first pass, and those that last passes wait for their parameters."""
    first = every[0]
    begin = first.rows if work.mode == Mode.CONV else 1
    head = -(-work.head_bytes // device.lanes_in)
    records = work.records and (work.mode != Mode.MEAN or work.final)
    few = work.mode == Mode.WINDOW and (work.pixels % chunk or chunk) * work.positions < first.records
    if (work.rivals is not None and (head or records)) or (few and records):
        return begin + _contended(work, every, chunk, begin, head)
    if (work.scale or work.mode == Mode.AVERAGE) and head:
        begin = max(begin, head + _FETCH)
    needed = head
    if records:
        needed = max(head, 1) + (1 if work.mode == Mode.MEAN else first.records)
    before = (first.passes - 1) * max(chunk, first.rows, _minimum(work, first))
    waits = max(0, needed + _FETCH - begin - before) if needed else 0
    return begin + waits


def _contended(work: Work, every: Sequence[_Vector], chunk: int, begin: int, head: int) -> int:
    """Cycles that the passes wait where streams keep the parameters from their bank, or vectors are over too soon."""
    rest, rivals = work.pixels % chunk, work.rivals
    chunks = [chunk] * (work.pixels // chunk) + [rest] * (rest > 0)
    needed = list[tuple[int, int]]()
    """Channel, and words of its vector's biases and factors."""
    if work.records and (work.mode != Mode.MEAN or work.final):
        needed = [(0, 1)] if work.mode == Mode.MEAN else [(v.channel, v.records) for _ in chunks for v in every]
    head_banks = np.zeros(head, np.intp) if rivals is None else rivals.head(head)
    records = (np.zeros(words, np.intp) if rivals is None else rivals.records(c, words) for c, words in needed)
    first = Pass(begin, list(_weight_reads(work, every[0], 0)))
    return parameter_waits(chain([first], _passes(work, every, chunks)), head_banks, records)


def _passes(work: Work, every: Sequence[_Vector], chunks: Sequence[int]) -> Iterator[Pass]:
    """All passes with what they read of the parameters' bank."""
    early = work.scale or work.mode == Mode.AVERAGE
    number = pixel = 0
    for size in chunks:
        pixels = range(pixel, pixel + size)
        for at, v in enumerate(every):
            for index in range(v.passes):
                last = index == v.passes - 1
                behind, place = (every[(at + 1) % len(every)], 0) if last else (v, index + 1)
                stride = _result_cycles(work, v) if last else 1
                reads = [*_pixel_reads(work, v, pixels, index, stride), *_weight_reads(work, behind, place)]
                if last:
                    reads += _second_reads(work, v, pixels, stride)
                cycles = max(_results(work, v, size) if last else size, behind.rows, _minimum(work, v))
                yield Pass(cycles, reads, number if last else None, early)
            number += work.mode != Mode.MEAN
        pixel += size


def _pixel_reads(work: Work, vector: _Vector, pixels: range, index: int, stride: int) -> Iterator[Reads]:
    """What a pass reads for its pixels."""
    if work.rivals is None:
        return
    position, word = divmod(index, vector.passes // work.positions)
    yield Reads(work.rivals.pixels(pixels, position, word, vector.channel), _TO_BANK, stride)
    if work.scale:
        yield Reads(np.full(len(pixels), work.rivals.scale(word, vector.channel)), _TO_BANK, stride)
    if work.mode == Mode.WINDOW and work.records:
        taps = np.full(len(pixels), work.rivals.taps(position, vector.channel))
        yield Reads(taps, _TO_BANK + _SCALE * work.scale, stride)


def _weight_reads(work: Work, vector: _Vector, index: int) -> Iterator[Reads]:
    """Rows of weights that are read for pass `index` of a vector, while the pass before it runs."""
    if work.rivals is not None and work.mode == Mode.CONV:
        position, word = divmod(index, vector.passes // work.positions)
        channels = range(vector.channel, vector.channel + vector.size)
        rows = [work.rivals.rows(channels, position, word)]
        if vector.shifted:  # the word before first: of the first word there is none, behind the last none
            rows.insert(0, work.rivals.rows(channels, position, word - 1))
        yield Reads(np.stack(rows, axis=1).reshape(-1), _TO_BANK + _SCALE * work.scale)


def _second_reads(work: Work, vector: _Vector, pixels: range, stride: int) -> Iterator[Reads]:
    """Words of the second operand."""
    if work.rivals is not None and work.binary and work.mode != Mode.MEAN:  # a mean has one pixel
        delay = _TO_SECOND + _SCALE * work.scale + _AVERAGE * (work.mode == Mode.AVERAGE)
        for word in range(vector.seconds):
            yield Reads(work.rivals.second(pixels, vector.channel, word), delay + word, stride)


def _chunk_cycles(work: Work, vectors: Mapping[_Vector, int], pixels: int) -> int:
    return sum(
        count * ((v.passes - 1) * max(pixels, v.rows, _minimum(work, v)) + _last_pass(work, v, pixels))
        for v, count in vectors.items()
    )


def _last_pass(work: Work, vector: _Vector, pixels: int) -> int:
    return max(_results(work, vector, pixels), vector.next_rows, _minimum(work, vector))


def _results(work: Work, vector: _Vector, pixels: int) -> int:
    """Cycles of a vector's last pass that its pixels take: a mean has one result, at the last of them."""
    return pixels - 1 + vector.words if work.mode == Mode.MEAN else pixels * _result_cycles(work, vector)


def _result_cycles(work: Work, vector: _Vector) -> int:
    """Cycles of each pixel in a vector's last pass."""
    if work.mode == Mode.MEAN:
        return 1
    return max(vector.words, _DIVIDE) if work.mode == Mode.AVERAGE else vector.words


def _minimum(work: Work, vector: _Vector) -> int:
    if vector.passes == 1:
        return 1
    return _MIN_PASS_AVERAGE if work.mode == Mode.AVERAGE else _MIN_PASS


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
    lanes_in: int,
    lanes_out: int,
) -> tuple[tuple[_Vector, ...], Mapping[_Vector, int]]:
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
        every = [replace(v, next_rows=every[(i + 1) % len(every)].rows) for i, v in enumerate(every)]
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
) -> _Vector:
    shift = group * depth % lanes_in
    words = _touched(out_channel + at, end - at, lanes_in)
    if binary:
        words = max(words, _touched(at, end - at, lanes_in))
    rows = lanes_out * (2 if shift else 1)
    return _Vector(
        positions * -(-(shift + depth) // lanes_in),
        words,
        rows,
        rows,
        _records(at, end - at, lanes_in),
        at,
        end - at,
        _touched(at, end - at, lanes_in),
        shift > 0,
    )


def _word_vectors(channels: int, first: int, out_channel: int, positions: int, lanes: int) -> Iterator[_Vector]:
    for word in range(first // lanes, -(-(first + channels) // lanes)):
        high = min(lanes, first + channels - word * lanes)
        words = _touched(out_channel % lanes, high, lanes)
        yield _Vector(positions, words, 0, 0, _records(word * lanes, high, lanes), word * lanes, high, 1)


def _touched(byte: int, count: int, lanes: int) -> int:
    return -(-(byte % lanes + count) // lanes)


def _records(first: int, count: int, lanes: int) -> int:
    """Words that hold the biases and factors of so many channels, 8 bytes each."""
    return -(-(8 * first % lanes + 8 * count) // lanes)
