"""Least rows of a ring, in closed form: what docs/plan-rules.md rule 3 asks for band by band, without looking at every band.

While nothing is clamped, a map's rows and its readers' rows grow by fixed steps, so "rows there minus first row still needed" is
the sum of two concave functions of the band's number: its maximum lies where one of them bends, or at an end.
"""

from collections.abc import Iterator, Sequence

from sfopt.groups import FeatureMap, Group
from sfopt.rows import RowSchedule, rows_padded, rows_read

__all__ = ["Reader", "feed_first", "least_rows", "round_up"]

Reader = tuple[Group, RowSchedule]
"""A group that reads a map, and its run."""


def least_rows(
    there: RowSchedule,
    fmap: FeatureMap,
    readers: Sequence[Reader],
    bands: int,
    *,
    read_ahead: bool = False,
    stored_behind: bool = False,
) -> int:
    """Rows that the buffer of `fmap` needs at least: held for its readers, and written without overtaking.

    `there` says when its rows arrive or are made. `read_ahead`: the next band's rows arrive while a band runs (INPUT with
    overlap); `stored_behind`: a band's rows are stored while the next is made (OUTPUT with overlap).
    """
    if bands == 1:
        return fmap.height
    back = 2 if stored_behind else 1
    needs = [there.after(i) - there.after(i - back) for i in range(min(3, bands))]
    for group, run in readers:
        needs += (
            there.after(i + read_ahead) - rows_read(group, fmap, run.after(i - 1), run.after(i))[0]
            for i in _bends(there, group, run, bands)
            if run.after(i) > run.after(i - 1)
        )
    return min(fmap.height, max(needs))


def _bends(there: RowSchedule, group: Group, run: RowSchedule, bands: int) -> Iterator[int]:
    """Bands among which the largest difference is: the ends, and both sides of where a clamp sets in."""
    last = min(bands - 1, max(0, -(-(run.total - run.first) // run.step)))
    full = (there.total - there.first) // there.step
    padding = (rows_padded(group) - run.first) // run.step
    wanted = {0, 1, last - 1, last, full - 1, full, full + 1, padding, padding + 1, padding + 2}
    return (i for i in wanted if 0 <= i <= last)


def feed_first(fmap: FeatureMap, readers: Sequence[Reader]) -> int:
    """Rows of a map that must be there in band 0, at least one."""
    return max(1, *(rows_read(group, fmap, 0, run.after(0))[1] for group, run in readers))


def round_up(rows: int, grain: int) -> int:
    """The next multiple of a producer's `row_grain`."""
    return -(-rows // grain) * grain
