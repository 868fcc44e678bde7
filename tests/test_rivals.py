"""Parameters that wait for their bank: nothing where no stream reads it, and cycles counted by hand where one does.

That these are the cycles of the RTL, to the cycle, is shown in test_rtl_networks.py: its plans put
parameters wherever there is room.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfopt.cycles import compute_cycles
from sfopt.device import load_device
from sfopt.rivals import ELSEWHERE, Banks, Pass, parameter_waits
from sfopt.work import Mode, Work

SIM8 = load_device("sim8")


@dataclass(frozen=True)
class Same:
    """Streams of which each reads the bank always or never."""

    input: bool = False
    weights: bool = False
    residual: bool = False

    def pixels(self, pixels: range, position: int, word: int, channel: int) -> Banks:
        return np.full(len(pixels), self.scale(word, channel))

    def scale(self, word: int, channel: int) -> int:
        return 0 if self.input else ELSEWHERE

    def taps(self, position: int, channel: int) -> int:
        return 0 if self.weights else ELSEWHERE

    def rows(self, channels: range, position: int, word: int) -> Banks:
        return np.full(len(channels), self.taps(position, 0))

    def second(self, pixels: range, channel: int, word: int) -> Banks:
        return np.full(len(pixels), 0 if self.residual else ELSEWHERE)

    def head(self, words: int) -> Banks:
        return np.zeros(words, np.intp)

    def records(self, channel: int, words: int) -> Banks:
        return np.zeros(words, np.intp)


@st.composite
def works(draw: st.DrawFn) -> Work:
    """What instructions can ask for: windows have positions, requantised results have biases and factors."""
    mode = draw(st.sampled_from(Mode))
    return Work(
        mode,
        draw(st.integers(1, 200)),
        draw(st.integers(1, 40)),
        positions=1 if mode in (Mode.MEAN, Mode.ELEMENT) else draw(st.integers(1, 9)),
        depth=draw(st.integers(1, 20)) if mode == Mode.CONV else 1,
        head_bytes=draw(st.sampled_from([0, 16, 256, 272, 528])),
        records=mode in (Mode.CONV, Mode.MEAN) or (mode == Mode.WINDOW and draw(st.booleans())),
        scale=draw(st.booleans()),
        binary=draw(st.booleans()),
        final=mode != Mode.MEAN or draw(st.booleans()),
    )


@given(works())
def test_streams_elsewhere_cost_nothing(work: Work) -> None:
    assert compute_cycles(replace(work, rivals=Same()), SIM8) == compute_cycles(work, SIM8)


@given(works(), st.builds(Same, st.booleans(), st.booleans(), st.booleans()))
def test_streams_never_make_it_faster_and_cost_a_read_of_each_word_at_most(work: Work, rivals: Same) -> None:
    more = compute_cycles(replace(work, rivals=rivals), SIM8) - compute_cycles(work, SIM8)
    chunks = -(-work.pixels // SIM8.accumulator_pixels)
    words = work.head_bytes // 8 + work.records * chunks * work.channels
    vectors = chunks * -(-work.channels // 8)
    # A wait begins where a pass would. The last stream reads behind its pass, biases and factors are let go 8 cycles behind at
    # most, and a word is used 4 cycles after its read.
    behind = (16 if rivals.residual else 8) + 14 * work.scale + 36 * (work.mode == Mode.AVERAGE) + 3
    assert 0 <= more <= words + behind * (vectors + 1)


@pytest.mark.parametrize(("rivals", "early"), [(Same(input=True), 14), (Same(weights=True), 6), (Same(True, True), 6)])
def test_a_convolution_by_hand(rivals: Same, early: int) -> None:
    """Nine passes of 8 pixels behind 8 rows of weights; 32 words of a table and 8 of biases and factors.

    Reads are asked for from cycle 1 on. Rows of weights are at the bank from cycle 7 to 14, pixels from cycle 15 on, and no cycle
    of the passes is free: 6 words come before all of that, 14 before the pixels. The last of nine passes would begin in cycle 74
    and has to wait. From cycle 79 on the bank is free; a word may be used 4 cycles after its read.
    """
    work = Work(Mode.CONV, 8, 8, positions=9, depth=8, head_bytes=256, records=True)
    last_read = 79 + (32 + 8 - early) - 1
    assert compute_cycles(replace(work, rivals=rivals), SIM8) - compute_cycles(work, SIM8) == last_read + 4 - 74


@dataclass(frozen=True)
class Scattered:
    """Streams whose reads lie in the parameters' two banks or elsewhere, as a hash of what is read says."""

    seed: int
    share: int

    def banks(self, count: int, *key: int) -> Banks:
        r = np.random.default_rng([self.seed, *(k + 2 for k in key)])
        return np.where(r.integers(0, 10, count) < self.share, r.integers(0, 2, count), ELSEWHERE)

    def pixels(self, pixels: range, position: int, word: int, channel: int) -> Banks:
        return self.banks(len(pixels), 0, pixels.start, position, word, channel)

    def scale(self, word: int, channel: int) -> int:
        return int(self.banks(1, 1, word, channel)[0])

    def taps(self, position: int, channel: int) -> int:
        return int(self.banks(1, 2, position, channel)[0])

    def rows(self, channels: range, position: int, word: int) -> Banks:
        return self.banks(len(channels), 3, channels.start, position, word)

    def second(self, pixels: range, channel: int, word: int) -> Banks:
        return self.banks(len(pixels), 4, pixels.start, channel, word)

    def head(self, words: int) -> Banks:
        return np.arange(words) % 2

    def records(self, channel: int, words: int) -> Banks:
        return (channel + np.arange(words)) % 2


def waits_cycle_by_cycle(passes: Iterable[Pass], head: Banks, records: Iterator[Banks]) -> int:
    """The rule of `sfopt/rivals.py` without any of its short cuts: every read of every pass is looked at, one after the other."""
    sets = [head.tolist(), *(r.tolist() for r in records)]
    words = [(number, bank) for number, banks in enumerate(sets) for bank in banks]
    taken, releases, ends = set[tuple[int, int]](), list[int](), dict[int, int]()
    cycle, now, waits = 1 + (not sets[0]), 2, 0

    def read(limit: float) -> bool:
        nonlocal cycle
        number, bank = words[0]
        if number > 4:  # sets 1 to 4 are held; the next one comes when the first of them is let go
            if len(releases) < number - 4:
                return False
            cycle = max(cycle, releases[number - 5])
        while (cycle, bank) in taken:
            cycle += 1
        if cycle >= limit:
            return False
        words.pop(0)
        ends[number] = cycle
        cycle += 1
        return True

    def missing(number: int) -> bool:
        return any(n == number for n, _ in words)

    for one in passes:
        if one.vector is not None or one.needs_head:
            needed = [0] if one.vector is None or one.vector + 1 >= len(sets) else [0, one.vector + 1]
            while any(missing(n) for n in needed):
                assert read(float("inf"))
            begin = max([now, *(ends[n] + 4 for n in needed if n in ends)])
            waits, now = waits + begin - now, begin
        for reads in one.reads():
            at = range(now + reads.delay, now + reads.delay + reads.stride * len(reads.banks), reads.stride)
            taken.update((c, int(b)) for c, b in zip(at, reads.banks, strict=True) if b != ELSEWHERE)
        if one.vector is not None:
            releases.append(now + one.released)
        now += one.cycles
        while words and read(now):
            pass
    return waits


@given(works(), st.builds(Scattered, st.integers(0, 99), st.integers(0, 10)), st.sampled_from([2, 4, 64]))
def test_short_cuts_change_nothing(work: Work, rivals: Scattered, pixels: int) -> None:
    seen = []

    def both(passes: Iterable[Pass], head: Banks, records: Iterator[Banks]) -> int:
        every, sets = list(passes), list(records)
        seen.append(parameter_waits(iter(every), head, iter(sets)))
        assert seen[-1] == waits_cycle_by_cycle(every, head, iter(sets))
        return seen[-1]

    with patch("sfopt.cycles.parameter_waits", both):
        compute_cycles(replace(work, rivals=rivals), replace(SIM8, accumulator_pixels=pixels))
    assert len(seen) == bool(work.head_bytes or (work.records and (work.mode != Mode.MEAN or work.final)))
