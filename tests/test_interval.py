"""Interval files: what is read, what is refused and in which words, and that an answer can be read by anyone."""

import csv
import io
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfopt.errors import UsageError
from sfopt.interval import Interval, answer_text, parse_intervals, read_intervals


def test_reads_columns_in_any_order():
    text = "size,id,upper,lower\n5,a,3,-1\r\n\n7,b,4,2\n"
    assert parse_intervals(text, "x") == (Interval("a", -1, 3, 5), Interval("b", 2, 4, 7))


def test_reads_a_file_with_a_byte_order_mark(tmp_path):
    path = tmp_path / "i.csv"
    path.write_bytes(b"\xef\xbb\xbfid,lower,upper,size\r\na,0,1,5\r\n")
    assert read_intervals(path) == (Interval("a", 0, 1, 5),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "`x` has the columns ``, needs `id,lower,upper,size`"),
        ("id,lower,upper\n", "`x` has the columns `id,lower,upper`, needs `id,lower,upper,size`"),
        ("id,lower,upper,size,size\n", "`x` has the columns `id,lower,upper,size,size`, needs `id,lower,upper,size`"),
        ("id,lower,upper,size,alignment\n", "needs `id,lower,upper,size`"),
        ("id,lower,upper,size\na,0,1\n", "`x` line 2 has 3 values, needs 4"),
        ("id,lower,upper,size\na,0,1,5,6\n", "`x` line 2 has 5 values, needs 4"),
        ("id,lower,upper,size\na,0,1,5\n\nb,2,2,5\n", "`x` line 4: upper 2 is not above lower 2"),
        ("id,lower,upper,size\na,0,1,0\n", "`x` line 2: size 0, needs at least 1"),
        ("id,lower,upper,size\na,0,1,-4\n", "`x` line 2: size -4, needs at least 1"),
        ("id,lower,upper,size\na,0,1.5,5\n", "`x` line 2: upper `1.5` is not a whole number"),
        ("id,lower,upper,size\na,0,1_0,5\n", "`x` line 2: upper `1_0` is not a whole number"),
        (
            "id,lower,upper,size\na,0,1,99999999999999999\n",
            "`x` line 2: size 99999999999999999 is beyond 9007199254740992",
        ),
        ("id,lower,upper,size\na,0,1,5\na,0,1,5\n", "`x` line 3: id `a` is there twice"),
        ('id,lower,upper,size\n"a,0,1,5\n', "`x` line 2: unexpected end of data"),
        (
            "id,lower,upper,size\na,0,1,9007199254740992\nb,0,1,1\n",
            "`x`: the sizes sum to 9007199254740993 bytes, limit 9007199254740992",
        ),
    ],
)
def test_refuses(text, message):
    with pytest.raises(UsageError) as error:
        parse_intervals(text, "x")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_refuses_what_is_no_text(tmp_path):
    path = tmp_path / "i.csv"
    with pytest.raises(UsageError, match=r"cannot read `.*i\.csv`: No such file"):
        read_intervals(path)
    path.write_bytes(b"id,lower,upper,size\n\xff,0,1,5\n")
    with pytest.raises(UsageError, match="is not a text file: byte 20 is not UTF-8"):
        read_intervals(path)


names = st.text(string.ascii_letters + string.digits + ' ,"\n', min_size=1)
interval = st.builds(
    lambda name, lower, length, size: Interval(name, lower, lower + length, size),
    names,
    st.integers(-100, 100),
    st.integers(1, 100),
    st.integers(1, 1 << 20),
)


@given(st.lists(interval, unique_by=lambda i: i.id), st.integers(0, 1 << 40))
def test_an_answer_is_the_instance_and_one_column_more(intervals, offset):
    text = answer_text(intervals, {i.id: offset + i.size for i in intervals})
    rows = list(csv.reader(io.StringIO(text, newline="")))
    assert rows[0] == ["id", "lower", "upper", "size", "offset"]
    assert [int(row[4]) - int(row[3]) for row in rows[1:]] == [offset] * len(intervals)
    kept = io.StringIO()
    csv.writer(kept).writerows(row[:4] for row in rows)
    assert parse_intervals(kept.getvalue(), "x") == tuple(intervals)
