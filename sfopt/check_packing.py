"""The independent check of a packing: nothing here comes from the search or the program that made it."""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from itertools import pairwise

from sfopt.errors import CheckFailedError
from sfopt.interval import Interval

__all__ = ["check_packing"]


def check_packing(intervals: Sequence[Interval], offsets: Mapping[str, int], capacity_bytes: int) -> int:
    """The highest byte in use, once a sweep over time has seen every interval within the capacity and none on another.

    Raises CheckFailedError naming the first intervals that break a rule.
    """
    for interval in intervals:
        if interval.id not in offsets:
            raise CheckFailedError(f"interval `{interval.id}` has no offset")
        offset = offsets[interval.id]
        if offset < 0 or offset + interval.size > capacity_bytes:
            raise CheckFailedError(
                f"interval `{interval.id}` at {offset} with {interval.size} bytes leaves the capacity of {capacity_bytes} bytes"
            )
    ends = [(interval.upper, 0, index) for index, interval in enumerate(intervals)]
    starts = [(interval.lower, 1, index) for index, interval in enumerate(intervals)]
    live: list[
        tuple[int, int]
    ] = []  # (offset, index), sorted; disjoint, so that a newcomer can only meet its neighbours
    for time, is_start, index in sorted(ends + starts):
        entry = offsets[intervals[index].id], index
        position = bisect_left(live, entry)
        if not is_start:
            del live[position]
            continue
        live.insert(position, entry)
        _check_ascending(intervals, live[max(0, position - 1) : position + 2], time)
    return max((offsets[interval.id] + interval.size for interval in intervals), default=0)


def _check_ascending(intervals: Sequence[Interval], live: Sequence[tuple[int, int]], time: int) -> None:
    for (low, below), (high, above) in pairwise(live):
        if low + intervals[below].size > high:
            raise CheckFailedError(
                f"interval `{intervals[below].id}` at {low} with {intervals[below].size} bytes overlaps `{intervals[above].id}` "
                f"at {high}, at time {time}"
            )
