"""The checker of packings: it passes what is right, and each rule fails once on a planted fault."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfopt.check_packing import check_packing
from sfopt.errors import CheckFailedError
from sfopt.interval import Interval

A, B, C = Interval("a", 0, 4, 10), Interval("b", 2, 6, 5), Interval("c", 4, 8, 10)
GOOD = {"a": 0, "b": 10, "c": 0}


def test_passes_and_gives_the_peak():
    assert check_packing([A, B, C], GOOD, 15) == 15
    assert check_packing([], {}, 1) == 0


@pytest.mark.parametrize(
    ("offsets", "message"),
    [
        ({"a": 0, "b": 10}, "interval `c` has no offset"),
        ({"a": -1, "b": 10, "c": 0}, "interval `a` at -1 with 10 bytes leaves the capacity of 15 bytes"),
        ({"a": 0, "b": 11, "c": 0}, "interval `b` at 11 with 5 bytes leaves the capacity of 15 bytes"),
        ({"a": 0, "b": 9, "c": 0}, "interval `a` at 0 with 10 bytes overlaps `b` at 9, at time 2"),
        ({"a": 5, "b": 0, "c": 4}, "interval `b` at 0 with 5 bytes overlaps `c` at 4, at time 4"),
        ({"a": 0, "b": 10, "c": 1}, "interval `c` at 1 with 10 bytes overlaps `b` at 10, at time 4"),
    ],
)
def test_names_the_fault(offsets, message):
    with pytest.raises(CheckFailedError) as error:
        check_packing([A, B, C], offsets, 15)
    assert str(error.value) == message


spans = st.tuples(st.integers(0, 6), st.integers(1, 4), st.integers(1, 4), st.integers(0, 9))


@given(st.lists(spans, max_size=6))
def test_agrees_with_every_pair_and_every_byte(rows):
    intervals = [Interval(str(k), lower, lower + length, size) for k, (lower, length, size, _) in enumerate(rows)]
    offsets = {str(k): offset for k, (_, _, _, offset) in enumerate(rows)}
    used = [(t, offsets[i.id] + byte) for i in intervals for t in range(i.lower, i.upper) for byte in range(i.size)]
    right = len(used) == len(set(used)) and all(byte < 12 for _, byte in used)
    try:
        assert check_packing(intervals, offsets, 12) == max((byte + 1 for _, byte in used), default=0)
        assert right
    except CheckFailedError:
        assert not right


def test_order_of_rows_does_not_matter():
    rows = [A, B, C]
    for seed in range(6):
        random.Random(seed).shuffle(rows)
        assert check_packing(rows, GOOD, 15) == 15
