"""Rows in time against counting: bands one by one, and windows pixel by pixel."""

from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st
from networks import GraphBuilder, random_network

from sfopt.groups import FeatureMap, Group, Kind, Network, Piece, Window
from sfopt.rows import RowSchedule, row_rate, rows_read, rows_to_run

schedules = st.builds(RowSchedule, st.integers(0, 30), st.integers(0, 12), st.integers(1, 40))


@given(schedules, st.integers(1, 40))
def test_rows_after_each_band_by_adding_up(rows: RowSchedule, bands: int) -> None:
    there = 0
    assert rows.after(-1) == there
    for band in range(bands):
        there = min(rows.total, there + (rows.step if band else rows.first))
        assert rows.after(band) == there


@given(schedules, st.integers(1, 40))
def test_sizes_are_those_of_the_bands_in_order(rows: RowSchedule, bands: int) -> None:
    sizes = [rows.after(i) - rows.after(i - 1) for i in range(bands)]
    flat = [size for size, count in rows.sizes(bands) for _ in range(count)]
    assert flat == sizes
    assert all(count > 0 for _, count in rows.sizes(bands))
    assert len(rows.sizes(bands)) <= len(list(groupby(sizes))) + 1, "no more entries than there are kinds of bands"


def window_group(kind: Kind, window: Window, *, residual: str | None = None, scale: str | None = None) -> Group:
    return Group(0, kind, "op", (Piece("x"),), "y", window, residual=residual, scale=scale)


def rows_touched(group: Group, height: int, start: int, stop: int) -> set[int]:
    """Rows of x that the kernel's rows fall on, for each row of the output."""
    window, touched = group.window, set[int]()
    for row in range(start, stop):
        if group.kind is Kind.RESIZE:
            touched.add(row // window.stride[0])
        elif group.kind in (Kind.COPY, Kind.GLOBAL_MEAN):
            touched.add(row)
        else:
            top = row * window.stride[0] - window.pads[0]
            touched |= {top + k * window.dilation[0] for k in range(window.kernel[0])}
    return {row for row in touched if 0 <= row < height}


@st.composite
def window_cases(draw: st.DrawFn) -> tuple[Group, int, int, int]:
    """A group, the height of its input, and rows of its output (of its input for a mean)."""
    kind = draw(st.sampled_from([k for k in Kind if k is not Kind.HOST]))
    kernel, stride, dilation = draw(st.integers(1, 5)), draw(st.integers(1, 4)), draw(st.integers(1, 3))
    height = draw(st.integers(1, 20))
    if kind in (Kind.COPY, Kind.GLOBAL_MEAN):
        window, out = Window(), height
    elif kind is Kind.RESIZE:
        window, out = Window(stride=(stride, stride)), height * stride
    else:
        extent = (kernel - 1) * dilation + 1
        top, bottom = draw(st.integers(0, extent - 1)), draw(st.integers(0, extent - 1))
        height = max(height, extent - top - bottom)
        window = Window((kernel, 1), (stride, 1), (dilation, 1), (top, 0, bottom, 0))
        out = (height + top + bottom - extent) // stride + 1
    start = draw(st.integers(0, out - 1))
    return window_group(kind, window), height, start, draw(st.integers(start + 1, out))


@given(window_cases())
def test_rows_read_span_what_the_kernel_touches(case: tuple[Group, int, int, int]) -> None:
    group, height, start, stop = case
    first, last = rows_read(group, FeatureMap("x", height, 1, 1), start, stop)
    touched = rows_touched(group, height, start, stop)
    assert {first, last - 1} <= {*range(height)} or not touched
    if touched and group.window.dilation[0] == 1:
        assert (first, last) == (min(touched), max(touched) + 1)
    else:
        assert touched <= {*range(first, last)}


@given(window_cases(), st.integers(1, 5))
def test_windows_move_on_by_the_row_rate(case: tuple[Group, int, int, int], times: int) -> None:
    """`row_rate` output rows further down, the rows read are that many input rows further down."""
    group, _, start, stop = case
    before, after = row_rate(group)
    x = FeatureMap("x", 10**6, 1, 1)  # no end in sight
    inside = 1000 * after * before
    first, last = rows_read(group, x, inside + start, inside + stop)
    moved = rows_read(group, x, inside + start + times * after, inside + stop + times * after)
    assert moved == (first + times * before, last + times * before)


def test_a_map_in_two_uses_is_read_for_both() -> None:
    group = window_group(Kind.CONV, Window((3, 3), (1, 1), (1, 1), (1, 1, 1, 1)), residual="x")
    x = FeatureMap("x", 10, 10, 4)
    assert rows_read(group, x, 4, 6) == (3, 7)
    late = window_group(Kind.CONV, Window((1, 1), (2, 2)), residual="x")
    assert rows_read(late, x, 2, 3) == (2, 5)  # rows 2 (residual) to 4 (input)


def test_a_channel_scale_is_read_whole_and_a_residual_row_by_row() -> None:
    group = window_group(Kind.CONV, Window((3, 3), pads=(1, 1, 1, 1)), residual="r", scale="s")
    assert rows_read(group, FeatureMap("s", 1, 1, 4), 5, 6) == (0, 1)
    assert rows_read(group, FeatureMap("r", 10, 10, 4), 5, 6) == (5, 6)


def test_padding_alone_reads_nothing() -> None:
    group = window_group(Kind.CONV, Window((2, 2), pads=(3, 0, 0, 0)))
    assert rows_read(group, FeatureMap("x", 4, 4, 4), 0, 2) == (0, 0)


@pytest.mark.parametrize("seed", range(20))
def test_all_rows_of_a_run_stay_within_each_map_and_all_that_is_made_is_counted(seed: int) -> None:
    network = random_network(seed, ops=8, side=10)
    for group in network.groups:
        total = rows_to_run(network, group)
        assert total == network.maps[group.output].height or group.kind is Kind.GLOBAL_MEAN
        for name in group.reads:
            fmap = network.maps[name]
            first, last = rows_read(group, fmap, 0, total)
            assert (first, 0 < last <= fmap.height) == (0, True)


def test_a_global_mean_counts_rows_of_its_input() -> None:
    b = GraphBuilder("mean")
    network: Network = b.network([b.mean(b.input(8, 7, 5))])
    assert rows_to_run(network, network.groups[0]) == 7
    assert row_rate(network.groups[0]) == (1, 1)
