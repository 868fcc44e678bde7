"""Least rows of a ring, in closed form, against rule 3 of docs/plan-rules.md looked at band by band."""

import random
from collections.abc import Iterator

import pytest

from sfopt.allocate.rings import Reader, feed_first, least_rows
from sfopt.groups import FeatureMap, Group, Kind, Piece, Window
from sfopt.rows import RowSchedule, row_rate, rows_read

Case = tuple[RowSchedule, FeatureMap, list[Reader], int]
"""When rows of a map are there, the map, its readers, bands."""


def plain_rows(there: RowSchedule, fmap: FeatureMap, readers: list[Reader], bands: int, ahead: int, back: int) -> int:
    """Held and written, for every band and what is behind the last one; asserts that what is read is there."""
    rows = [0, 0, *(there.after(i) for i in range(bands)), fmap.height, fmap.height]  # from band -2 on
    needs = [rows[i + 2] - rows[i + 2 - back] for i in range(bands + 1)]
    for group, run in readers:
        for i in range(bands):
            if run.after(i - 1) < run.after(i):
                first, last = rows_read(group, fmap, run.after(i - 1), run.after(i))
                assert last <= rows[i + 2]
                needs.append(rows[i + 2 + ahead] - first)
    return max(needs)


def random_reader(r: random.Random, height: int, map_step: int) -> tuple[Group, int, int]:
    """A group that reads `x` once or twice, its rows a band, and all its rows."""
    kind = r.choice([Kind.CONV, Kind.CONV, Kind.CONV, Kind.MAX_POOL, Kind.COPY, Kind.RESIZE, Kind.GLOBAL_MEAN])
    if kind is Kind.RESIZE:
        factor = r.randint(1, 3)
        return (
            Group(1, kind, "g", (Piece("x"),), "y", Window((1, 1), (factor, factor))),
            map_step * factor,
            height * factor,
        )
    if kind in (Kind.COPY, Kind.GLOBAL_MEAN):
        return Group(1, kind, "g", (Piece("x"),), "y"), map_step, height
    stride = r.choice([s for s in range(1, 6) if map_step % s == 0])
    kernel, dilation = r.randint(1, 5), r.choice([1, 1, 2, 3])
    extent = (kernel - 1) * dilation + 1
    top, bottom = r.choice([0, extent // 2, r.randint(0, 8)]), r.choice([0, extent // 2, r.randint(0, 8)])
    bottom += max(0, extent - height - top - bottom)
    window = Window((kernel, 1), (stride, 1), (dilation, 1), (top, 0, bottom, 0))
    total = (height + top + bottom - extent) // stride + 1
    residual = "x" if stride == 1 and kind is Kind.CONV and total == height and r.random() < 0.3 else None
    piece = "other" if residual and r.random() < 0.4 else "x"
    return Group(1, kind, "g", (Piece(piece),), "y", window, residual=residual), map_step // stride, total


def random_case(r: random.Random) -> Case:
    """A map fed or made in a segment: all rows grow at the same rate, every run ends with the last band."""
    height, map_step = r.randint(1, 40), r.choice([1, 2, 3, 4, 6, 8, 12])
    found = [random_reader(r, height, map_step) for _ in range(r.randint(1, 3))]
    most = max(-(-total // step) for _, step, total in found)
    bands = r.choice([1, r.randint(2, max(2, most)), max(2, most), max(2, most) + 1])
    readers = []
    for group, step, total in found:
        first = max(1, total - (bands - 1) * step, r.choice([0, step, r.randint(0, total)]))
        readers.append((group, RowSchedule(min(total, first), step, total)))
    fmap = FeatureMap("x", height, 1, 1)
    first = feed_first(fmap, readers)
    if r.random() < 0.5:  # made, not fed: its own run ends with the last band, and other readers may hurry it
        first = max(first, height - (bands - 1) * map_step, r.choice([0, r.randint(1, height)]))
    return RowSchedule(min(first, height), map_step, height), fmap, readers, bands


def cases(seed: int, count: int) -> Iterator[Case]:
    r = random.Random(seed)
    return (random_case(r) for _ in range(count))


@pytest.mark.parametrize(("ahead", "behind"), [(False, False), (True, False), (False, True)])
def test_closed_form_is_the_largest_need_of_all_bands(ahead: bool, behind: bool) -> None:
    partial = 0
    for there, fmap, readers, bands in cases(1 + ahead + 2 * behind, 6000):
        rows = least_rows(there, fmap, readers, bands, read_ahead=ahead, stored_behind=behind)
        expected = fmap.height if bands == 1 else plain_rows(there, fmap, readers, bands, ahead, 1 + behind)
        assert rows == min(fmap.height, expected), (there, fmap.height, readers, bands)
        partial += 1 < rows < fmap.height
    assert partial > 1500, "most rings should be neither a row nor the map"


def test_first_feed_is_what_band_0_reads_and_never_nothing() -> None:
    padded = Group(0, Kind.CONV, "g", (Piece("x"),), "y", Window((2, 1), pads=(3, 0, 0, 0)))
    fmap = FeatureMap("x", 9, 1, 1)
    assert feed_first(fmap, [(padded, RowSchedule(2, 2, 11))]) == 1, "padding alone"
    assert feed_first(fmap, [(padded, RowSchedule(5, 2, 11))]) == 3
    plain = Group(0, Kind.CONV, "g", (Piece("x"),), "y", Window((3, 1), (2, 1)))
    assert feed_first(fmap, [(padded, RowSchedule(5, 2, 11)), (plain, RowSchedule(2, 1, 4))]) == 5


def test_rates_are_those_that_the_closed_form_relies_on() -> None:
    """A reader's run and the map it reads move on by rows of the same ratio in all cases here."""
    for there, _, readers, _ in cases(5, 500):
        for group, run in readers:
            before, after = row_rate(group) if any(p.tensor == "x" for p in group.pieces) else (1, 1)
            assert run.step * before == there.step * after


def test_the_loops_see_a_ring_that_is_too_small() -> None:
    """3 rows a window, 1 a band: 3 are held, 4 with the next one on its way, and 2 written with the last one still leaving."""
    group = Group(0, Kind.CONV, "g", (Piece("x"),), "y", Window((3, 1)))
    fmap, readers = FeatureMap("x", 10, 1, 1), [(group, RowSchedule(1, 1, 8))]
    there = RowSchedule(3, 1, 10)
    assert plain_rows(there, fmap, readers, 8, 0, 1) == least_rows(there, fmap, readers, 8) == 3
    assert plain_rows(there, fmap, readers, 8, 1, 1) == least_rows(there, fmap, readers, 8, read_ahead=True) == 4
    made = RowSchedule(1, 1, 10)
    assert plain_rows(made, fmap, [], 10, 0, 2) == least_rows(made, fmap, [], 10, stored_behind=True) == 2
