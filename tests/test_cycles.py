"""Cycles of one COMPUTE against counts by hand: what the engine does in each cycle is listed, not computed by a formula.

That these are the cycles of the RTL, to the cycle, is shown in test_rtl_compute.py.
"""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfopt.cycles import EMPTY_CYCLES, Mode, Work, compute_cycles
from sfopt.device import load_device

SIM8 = load_device("sim8")
FILL = compute_cycles(Work(Mode.ELEMENT, 1, 1), SIM8) - 1
"""Of the pipeline: a COMPUTE of one pixel, less its pixel."""


def cycles(mode: Mode, pixels: int, channels: int, **more: int | bool) -> int:
    return compute_cycles(Work(mode, pixels, channels, **more), SIM8)


def test_an_empty_one() -> None:
    assert cycles(Mode.CONV, 0, 8) == cycles(Mode.ELEMENT, 8, 0) == EMPTY_CYCLES


@given(st.integers(1, 300), st.integers(1, 40))
def test_elements_are_a_word_a_cycle(pixels: int, channels: int) -> None:
    assert cycles(Mode.ELEMENT, pixels, channels) == FILL + sum(pixels for _ in range(0, channels, 8))


def test_a_convolution() -> None:
    # 2 tiles of 8 channels x 9 positions x 2 words of 12 inputs: 36 passes of 20 pixels, behind 8 rows of the first tile's weights
    assert cycles(Mode.CONV, 20, 16, positions=9, depth=12, records=True) == FILL - 1 + 8 + 36 * 20


def test_a_convolution_in_chunks() -> None:
    assert SIM8.accumulator_pixels == 64
    # 70 pixels are 64 and 6; a pass is never shorter than the 8 rows of the next one's weights, but nothing is behind the last
    assert cycles(Mode.CONV, 70, 8, positions=9, depth=8, records=True) == FILL - 1 + 8 + 9 * 64 + 8 * 8 + 6


def test_one_pixel_waits_for_weights_and_parameters() -> None:
    # 8 rows, then one pass; the 8 words of biases and factors come first: one request at the start, and three to find the words
    long = cycles(Mode.CONV, 1, 8, positions=9, depth=8, records=True)
    assert long == FILL - 1 + 8 + 8 * 8 + 1
    short = cycles(Mode.CONV, 1, 8, depth=8, records=True)
    assert short > FILL - 1 + 8 + 1


def test_groups_are_tiles_of_their_own() -> None:
    whole = cycles(Mode.CONV, 64, 16, positions=9, depth=8, records=True)
    grouped = cycles(Mode.CONV, 64, 16, positions=9, depth=8, group_channels=4, records=True)
    assert grouped - whole == 2 * 9 * 64
    # four channels into each group: every other group begins inside a word, and its weights take two reads a row
    assert cycles(Mode.CONV, 64, 16, positions=9, depth=4, group_channels=4, records=True) == grouped


def test_a_pass_that_is_shorter_than_two_reads_a_row() -> None:
    aligned = cycles(Mode.CONV, 10, 8, positions=9, depth=8, group_channels=4, records=True)
    shifted = cycles(Mode.CONV, 10, 8, positions=9, depth=4, group_channels=4, records=True)
    # the second group's 9 tiles of 4 inputs from lane 4 on take 16 cycles to read, behind passes of 10
    assert shifted - aligned == 9 * (16 - 10)


@pytest.mark.parametrize(("channel", "words"), [(0, 1), (4, 2), (8, 1), (12, 2)])
def test_results_across_words_take_two_cycles(channel: int, words: int) -> None:
    assert cycles(Mode.ELEMENT, 10, 8, out_channel=channel) == FILL + 10 * words + (words - 1) * 0


def test_windows_add_every_fourth_cycle_at_most() -> None:
    assert cycles(Mode.WINDOW, 10, 8, positions=9) == FILL + 9 * 10
    assert cycles(Mode.WINDOW, 1, 8, positions=9) == FILL + 8 * 4 + 1


def test_averages_divide_every_eighth_cycle() -> None:
    one = cycles(Mode.AVERAGE, 1, 8, positions=4)
    assert cycles(Mode.AVERAGE, 10, 8, positions=4) - one == 3 * (10 - 8) + 9 * 8


def test_a_scale_and_a_second_operand_lengthen_the_pipeline() -> None:
    plain = cycles(Mode.ELEMENT, 100, 8)
    assert cycles(Mode.ELEMENT, 100, 8, binary=True) == cycles(Mode.ELEMENT, 100, 8, scale=True) == plain + 14


def test_tables_are_fetched_before_the_first_result() -> None:
    assert cycles(Mode.ELEMENT, 100, 8, head_bytes=512) - cycles(Mode.ELEMENT, 100, 8, head_bytes=256) == 256 // 8
    # a long vector hides them
    long = {"positions": 9, "depth": 64, "records": True}
    assert cycles(Mode.CONV, 64, 8, head_bytes=256, **long) == cycles(Mode.CONV, 64, 8, **long)


def test_a_mean_is_a_word_a_cycle_and_its_last_band_is_requantised() -> None:
    last, earlier = (cycles(Mode.MEAN, 30, 16, records=True, final=final) for final in (True, False))
    assert cycles(Mode.MEAN, 40, 16, records=True) - last == 2 * 10
    assert 0 < last - earlier < FILL


def test_wider_words_take_fewer_cycles() -> None:
    wide = replace(SIM8, lanes_in=16, lanes_out=16)
    assert (
        compute_cycles(Work(Mode.WINDOW, 64, 32, 9), SIM8) - compute_cycles(Work(Mode.WINDOW, 64, 32, 9), wide)
        == 9 * 128
    )


def test_results_that_lie_across_two_words() -> None:
    """A word more of each result; of a mean, of each vector's one; behind averages, which have time, of the last alone."""
    for mode, more in ((Mode.ELEMENT, 2 * 20), (Mode.WINDOW, 2 * 20), (Mode.MEAN, 2), (Mode.AVERAGE, 1)):
        inside, across = (cycles(mode, 20, 16, out_channel=at) for at in (8, 11))
        assert across - inside == more
    partial = [cycles(Mode.MEAN, 20, 16, out_channel=at, final=False) for at in (8, 11)]
    assert partial[1] - partial[0] == 1, "nothing is written, but the first vector makes room"
