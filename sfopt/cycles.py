"""Cycles of one COMPUTE, as the engine in `hw/` spends them.

The engine puts its work into *passes*: for each chunk of `accumulator_pixels` pixels, each vector of channels (a tile of
`lanes_out` output channels of one convolution group, else a word), each kernel position and word of input channels, one pixel
a cycle. While a pass runs, the weights of the next one are read, a row a cycle, so a pass of a convolution is at least so long.
Two kernel columns share a pass where both fit into the lanes and the second reads what the first needs a pixel later: such a
pass takes a cycle more for its first pixel and for each row of pixels that it begins, and its weights two reads a row.
In a vector's last pass each pixel takes as many cycles as its result has words to write. Biases and factors are fetched ahead
of the vector that needs them; only the first vector waits for them, unless vectors take fewer cycles than these have words or
something that streams lies in the same bank (`rivals.py`).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import chain, groupby

import numpy as np
import numpy.typing as npt

from sfopt.device import Device
from sfopt.rivals import ELSEWHERE, Pass, Reads, parameter_waits
from sfopt.vectors import Vector, vectors
from sfopt.work import Mode, Work

__all__ = ["EMPTY_CYCLES", "compute_cycles"]

EMPTY_CYCLES = 1
"""Of a COMPUTE without rows or channels."""
_PIPELINE = 26
"""From the first cycle to the first pass, and from the last pass to the last word written."""
_SCALE = 14
"""More, when the input is multiplied by a channel scale."""
_BINARY = 14
"""More, when there is a second operand."""
_AVERAGE = 34
"""More, when sums are divided, without the words that a result can lie in."""
_PARTIAL = -12
"""Less, for a band of a mean that is not the last."""
_FETCH = 2
"""From the first request for parameters to their use, without the words themselves."""
_TO_RELEASE = 12
"""From the cycle of a vector's last pixel to the end of the use of its biases and factors."""
_SHORT = 10
"""Vectors that take more cycles than their records have words, by so many, never wait for these: those of four are held."""
_MIN_PASS = 4
"""Between two additions to one accumulator."""
_MIN_PASS_AVERAGE = 8
"""The same in float32."""
_TO_BANK = 5
"""From a cycle of a pass to that in which its reads are at the bank."""
_TO_SECOND = 18
"""The same for those of a second operand, which come so much sooner as there are words that a result can lie in."""
_DIVIDE = 8
"""Between two words of averages."""


def compute_cycles(work: Work, device: Device) -> int:
    """Cycles from the start of a COMPUTE to its end."""
    if work.pixels <= 0 or work.channels <= 0:
        return EMPTY_CYCLES
    every, kinds = vectors(work, device)
    last = every[-1]
    chunks = _chunks(work, last, device)
    body = sum(count * _chunk_cycles(work, kinds, each) for each, count in chunks)
    end, _ = chunks[-1]
    body -= _last_pass(work, last, end) - _results(work, last, end) + last.spare  # nothing is behind it
    if work.mode == Mode.MEAN and not work.final:  # nothing is written, and nothing waits for that
        body += _PARTIAL - (last.words - 1)
        return _PIPELINE + _prologue(work, every, kinds, chunks, device) + body + _SCALE * work.scale
    averages = (_AVERAGE + _result_words(device) + last.words - 1) * (work.mode == Mode.AVERAGE)
    extra = _SCALE * work.scale + _BINARY * work.binary + averages
    return _PIPELINE + _prologue(work, every, kinds, chunks, device) + body + extra


def _result_words(device: Device) -> int:
    """Words that a result can lie in."""
    return max(device.lanes_in, device.lanes_out) // device.lanes_in + 1


@dataclass(frozen=True)
class _Chunk:
    pixels: int
    primes: int
    """Cycles more of a pass of two kernel columns."""


def _chunks(work: Work, vector: Vector, device: Device) -> list[tuple[_Chunk, int]]:
    """The chunks in order, and how many of a kind are in a row."""
    size = work.pixels if work.mode == Mode.MEAN else min(work.pixels, device.accumulator_pixels)
    if not vector.columns or work.columns is None:
        full, rest = divmod(work.pixels, size)
        return [(_Chunk(size, 0), full), *([(_Chunk(rest, 0), 1)] if rest else [])]
    starts = range(0, work.pixels, size)
    pixels = (range(start, min(start + size, work.pixels)) for start in starts)
    each = (_Chunk(len(part), len(work.columns.primes(part))) for part in pixels)
    return [(kind, len(list(same))) for kind, same in groupby(each)]


def _prologue(
    work: Work,
    every: Sequence[Vector],
    kinds: Iterable[Vector],
    chunks: Sequence[tuple[_Chunk, int]],
    device: Device,
) -> int:
    """Cycles before the first pass, and those that last passes wait for their parameters."""
    first = every[0]
    begin = first.row_reads(0) if work.mode == Mode.CONV else 1
    head = -(-work.head_bytes // device.lanes_in)
    records = work.records and (work.mode != Mode.MEAN or work.final)
    if (work.rivals is not None and (head or records)) or (records and _too_soon(work, kinds, chunks[-1][0])):
        return begin + _contended(work, every, chunks, begin, head, _result_words(device))
    if (work.scale or work.mode == Mode.AVERAGE) and head:
        begin = max(begin, head + _FETCH)
    needed = head
    if records:
        needed = max(head, 1) + (1 if work.mode == Mode.MEAN else first.records)
    before = _before_last(work, first, chunks[0][0])
    waits = max(0, needed + _FETCH - begin - before) if needed else 0
    return begin + waits


def _too_soon(work: Work, kinds: Iterable[Vector], chunk: _Chunk) -> bool:
    """Whether vectors may be over before the records of those behind them are there, of which few are held."""
    if work.mode not in (Mode.CONV, Mode.WINDOW):
        return False
    return any(_before_last(work, v, chunk) + _last_pass(work, v, chunk) < v.records + _SHORT for v in kinds)


def _contended(
    work: Work,
    every: Sequence[Vector],
    kinds: Sequence[tuple[_Chunk, int]],
    begin: int,
    head: int,
    result_words: int,
) -> int:
    """Cycles that the passes wait where streams keep the parameters from their bank, or vectors are over too soon."""
    rivals = work.rivals
    chunks = [kind for kind, count in kinds for _ in range(count)]
    needed = list[tuple[int, int]]()
    """Channel, and words of its vector's biases and factors."""
    if work.records and (work.mode != Mode.MEAN or work.final):
        needed = [(0, 1)] if work.mode == Mode.MEAN else [(v.channel, v.records) for _ in chunks for v in every]
    head_banks = np.zeros(head, np.intp) if rivals is None else rivals.head(head)
    banks = cache(lambda c, words: np.zeros(words, np.intp) if rivals is None else rivals.records(c, words))
    records = (banks(c, words) for c, words in needed)
    first = Pass(begin, partial(_weight_reads, work, every[0], 0))
    passes = _passes(work, every, chunks, result_words)
    return parameter_waits(chain([first], passes), head_banks, records)


def _passes(work: Work, every: Sequence[Vector], chunks: Sequence[_Chunk], result_words: int) -> Iterator[Pass]:
    """All passes with what they read of the parameters' bank."""
    early = work.scale or work.mode == Mode.AVERAGE
    number = pixel = 0
    for chunk in chunks:
        pixels = range(pixel, pixel + chunk.pixels)
        for at, v in enumerate(every):
            for index in range(v.passes):
                last = index == v.passes - 1
                behind, place = (every[(at + 1) % len(every)], 0) if last else (v, index + 1)
                stride = _result_cycles(work, v) if last else 1
                reads = partial(_reads, work, v, pixels, index, stride, (behind, place), result_words * last)
                if not last:
                    yield Pass(_pass(work, v, chunk, index), reads, needs_head=early)
                    continue
                slots = chunk.pixels + chunk.primes * v.paired(index)
                released = (slots - 1) * stride + _TO_RELEASE + _SCALE * work.scale
                yield Pass(_last_pass(work, v, chunk), reads, number, early, released)
            number += work.mode != Mode.MEAN
        pixel += chunk.pixels


def _reads(
    work: Work, vector: Vector, pixels: range, index: int, stride: int, ahead: tuple[Vector, int], result_words: int
) -> Iterator[Reads]:
    """All that a pass reads; `ahead` is the pass behind it, `result_words` 0 where the pass is not the vector's last."""
    yield from _pixel_reads(work, vector, pixels, index, stride)
    yield from _weight_reads(work, *ahead)
    if result_words:
        yield from _second_reads(work, vector, pixels, stride, result_words)


def _pixel_reads(work: Work, vector: Vector, pixels: range, index: int, stride: int) -> Iterator[Reads]:
    """What a pass reads for its pixels."""
    if work.rivals is None:
        return
    (position, *second), word = _positions(work, vector, index)
    banks = work.rivals.pixels(pixels, position, word, vector.channel)
    if second:
        primes = _primes(work, vector, index, pixels)
        banks = np.insert(work.rivals.pixels(pixels, second[0], word, vector.channel), primes, banks[primes])
    yield Reads(banks, _TO_BANK, stride)
    if work.scale:
        yield Reads(np.full(len(banks), work.rivals.scale(word, vector.channel)), _TO_BANK, stride)
    if work.mode == Mode.WINDOW and work.records:
        taps = np.full(len(pixels), work.rivals.taps(position, vector.channel))
        yield Reads(taps, _TO_BANK + _SCALE * work.scale, stride)


def _weight_reads(work: Work, vector: Vector, index: int) -> Iterator[Reads]:
    """Rows of weights that are read for pass `index` of a vector, while the pass before it runs."""
    if work.rivals is not None and work.mode == Mode.CONV:
        positions, word = _positions(work, vector, index)
        channels = range(vector.channel, vector.channel + vector.size)
        rows = [work.rivals.rows(channels, position, word) for position in positions]
        if vector.shifted:  # the word before first: of the first word there is none, behind the last none
            rows.insert(0, work.rivals.rows(channels, positions[0], word - 1))
        yield Reads(np.stack(rows, axis=1).reshape(-1), _TO_BANK + _SCALE * work.scale)


def _second_reads(work: Work, vector: Vector, pixels: range, stride: int, result_words: int) -> Iterator[Reads]:
    """Words of the second operand."""
    if work.rivals is not None and work.binary and work.mode != Mode.MEAN:  # a mean has one pixel
        ahead = 0 if work.mode == Mode.AVERAGE else result_words
        delay = _TO_SECOND - ahead + _SCALE * work.scale + _AVERAGE * (work.mode == Mode.AVERAGE)
        primes = _primes(work, vector, vector.passes - 1, pixels)
        for word in range(vector.seconds):
            banks = np.insert(work.rivals.second(pixels, vector.channel, word), primes, ELSEWHERE)
            yield Reads(banks, delay + word, stride)


def _primes(work: Work, vector: Vector, index: int, pixels: range) -> npt.NDArray[np.intp]:
    """Which of the pixels, from 0 on, a pass reads something in front of."""
    if work.columns is None or not vector.paired(index):
        return np.empty(0, np.intp)
    return np.array(work.columns.primes(pixels), np.intp) - pixels.start


def _positions(work: Work, vector: Vector, index: int) -> tuple[list[int], int]:
    """Kernel positions that a pass multiplies, and the word of the input channels."""
    if not vector.columns or work.columns is None:
        position, word = divmod(index, vector.passes // work.positions)
        return [position], word
    row, at = divmod(index, len(vector.columns))
    return [row * work.columns.kernel + column for column in vector.columns[at]], 0


def _chunk_cycles(work: Work, kinds: Mapping[Vector, int], chunk: _Chunk) -> int:
    return sum(count * (_before_last(work, v, chunk) + _last_pass(work, v, chunk)) for v, count in kinds.items())


def _before_last(work: Work, vector: Vector, chunk: _Chunk) -> int:
    """All of a vector's passes but the last."""
    if not vector.columns:
        return (vector.passes - 1) * _pass(work, vector, chunk, 0)
    return sum(_pass(work, vector, chunk, index) for index in range(vector.passes - 1))


def _pass(work: Work, vector: Vector, chunk: _Chunk, index: int) -> int:
    """One that is not the last."""
    pixels = chunk.pixels + chunk.primes * vector.paired(index)
    return max(pixels, vector.row_reads(index + 1), _minimum(work, vector))


def _last_pass(work: Work, vector: Vector, chunk: _Chunk) -> int:
    return max(_results(work, vector, chunk), vector.next_rows, _minimum(work, vector))


def _results(work: Work, vector: Vector, chunk: _Chunk) -> int:
    """Cycles of a vector's last pass that its pixels take: a mean has one result, at the last of them."""
    if work.mode == Mode.MEAN:
        return chunk.pixels - 1 + vector.words
    pixels = chunk.pixels + chunk.primes * vector.paired(vector.passes - 1)
    return pixels * _result_cycles(work, vector)


def _result_cycles(work: Work, vector: Vector) -> int:
    """Cycles of each pixel in a vector's last pass."""
    if work.mode == Mode.MEAN:
        return 1
    return max(vector.words, _DIVIDE) if work.mode == Mode.AVERAGE else vector.words


def _minimum(work: Work, vector: Vector) -> int:
    if vector.passes == 1:
        return 1
    return _MIN_PASS_AVERAGE if work.mode == Mode.AVERAGE else _MIN_PASS
