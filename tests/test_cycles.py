"""Cycles of one COMPUTE against counts by hand: what the engine does in each cycle is listed, not computed by a formula.

That these are the cycles of the RTL, to the cycle, is shown in test_rtl_compute.py.
"""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfopt.cycles import EMPTY_CYCLES, compute_cycles
from sfopt.device import load_device
from sfopt.work import Columns, Mode, Work

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


def shallow(columns: Columns, pixels: int, height: int, depth: int = 4) -> int:
    work = Work(Mode.CONV, pixels, 8, height * columns.kernel, depth, records=True, columns=columns)
    return compute_cycles(work, SIM8)


def test_two_kernel_columns_share_a_pass() -> None:
    # For each kernel row a pass of columns 0 and 1, with a cycle more for each of the two rows of pixels, and one of column 2.
    # The first pass waits for 16 reads of weights; every other one is longer than what is read in it.
    assert shallow(Columns(3, 1, 1, 20), 40, 3) == FILL - 1 + 16 + 3 * (42 + 40)
    assert shallow(Columns(3, 1, 1, 20), 40, 3, depth=5) == FILL - 1 + 8 + 9 * 40, "too deep"
    assert shallow(Columns(3, 3, 1, 20), 40, 3) == FILL - 1 + 8 + 9 * 40, (
        "no pixel reads what the one before it has read"
    )
    assert shallow(Columns(1, 1, 1, 20), 40, 3) == FILL - 1 + 8 + 3 * 40, "one column"
    assert shallow(Columns(3, 1, 1, 15), 15, 3) == FILL - 1 + 8 + 9 * 15, "too few pixels"


def test_columns_that_are_two_apart() -> None:
    # stride 2: columns 0 and 2 share a pass, 1 has its own
    assert shallow(Columns(3, 2, 1, 20), 40, 3) == FILL - 1 + 16 + 3 * (42 + 40)


def test_a_chunk_that_begins_within_a_row() -> None:
    # 70 pixels of rows of 20 are 64, which begin 4 rows, and 6, which begin none: only the first of them has a cycle more. A pass
    # of two columns behind the present one takes 16 reads, of one column 8.
    assert shallow(Columns(2, 1, 1, 20), 70, 2) == FILL - 1 + 16 + 2 * (64 + 4) + 16 + (6 + 1)
    assert shallow(Columns(3, 1, 1, 20), 70, 1) == FILL - 1 + 16 + (64 + 4) + 64 + 8 + 6


def test_a_shared_pass_gives_each_result_its_words() -> None:
    # the last pass, of columns 0 and 1: 2 + 40 turns of two cycles each
    columns = Columns(2, 1, 1, 20)
    work = Work(Mode.CONV, 40, 8, 2, 4, out_channel=4, records=True, columns=columns)
    assert compute_cycles(work, SIM8) == FILL - 1 + 16 + 2 * 42


@given(st.integers(1, 63), st.integers(1, 8), st.integers(1, 4))
def test_every_kernel_column_has_one_place(kernel: int, stride: int, dilation: int) -> None:
    columns = Columns(kernel, stride, dilation, 9)
    if not columns.apart:
        assert stride not in (dilation, 2 * dilation) or kernel <= stride // dilation
        return
    passes = columns.passes()
    assert sorted(column for each in passes for column in each) == list(range(kernel))
    assert all(b * dilation == a * dilation + stride for a, b in (each for each in passes if len(each) == 2))
    assert len(passes) <= kernel // 2 + 2


@given(st.integers(0, 100), st.integers(1, 100), st.integers(1, 30))
def test_primes_are_where_rows_and_passes_begin(first: int, size: int, width: int) -> None:
    pixels = range(first, first + size)
    expected = [pixel for pixel in pixels if pixel == first or pixel % width == 0]
    assert Columns(3, 1, 1, width).primes(pixels) == expected
