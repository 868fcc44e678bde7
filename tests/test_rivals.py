"""Parameters that wait for their bank: nothing where no stream reads it, and cycles counted by hand where one does.

That these are the cycles of the RTL, to the cycle, is shown in test_rtl_networks.py: its plans put
parameters wherever there is room.
"""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfopt.cycles import compute_cycles
from sfopt.device import load_device
from sfopt.rivals import ELSEWHERE, Banks
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
