"""Interval instances as plain data, and the CSV files that hold them: `id,lower,upper,size`, and `offset` in an answer."""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sfopt.errors import UsageError

__all__ = ["COLUMNS", "Interval", "answer_text", "parse_intervals", "read_intervals"]

COLUMNS = ("id", "lower", "upper", "size")

MAX_VALUE = 1 << 53
"""No time and no sum of sizes beyond it: the solver computes with 64 bits and adds a few of them."""

_NUMBER = re.compile(r"-?[0-9]{1,19}")


@dataclass(frozen=True)
class Interval:
    """A buffer of `size` bytes, live at the times t with lower <= t < upper."""

    id: str
    lower: int
    upper: int
    size: int


def read_intervals(path: Path) -> tuple[Interval, ...]:
    """The intervals of a CSV file. Raises UsageError naming the file, the line and the value."""
    try:
        return parse_intervals(path.read_text(encoding="utf-8-sig"), str(path))
    except OSError as error:
        raise UsageError(f"cannot read `{path}`: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"`{path}` is not a text file: byte {error.start} is not UTF-8") from None


def parse_intervals(text: str, source: str) -> tuple[Interval, ...]:
    """The intervals of CSV text with the four `COLUMNS` in any order; `source` is named in errors, which are UsageErrors."""
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    intervals: list[Interval] = []
    seen: set[str] = set()
    try:
        header = [name.strip() for name in next(rows, [])]
        if sorted(header) != sorted(COLUMNS):
            raise UsageError(f"`{source}` has the columns `{','.join(header)}`, needs `{','.join(COLUMNS)}`")
        for row in rows:
            if row:
                interval = _interval(dict(zip(header, row, strict=False)), len(row), f"`{source}` line {rows.line_num}")
                if interval.id in seen:
                    raise UsageError(f"`{source}` line {rows.line_num}: id `{interval.id}` is there twice")
                seen.add(interval.id)
                intervals.append(interval)
    except csv.Error as error:
        raise UsageError(f"`{source}` line {rows.line_num}: {error}") from None
    total = sum(interval.size for interval in intervals)
    if total > MAX_VALUE:
        raise UsageError(f"`{source}`: the sizes sum to {total} bytes, limit {MAX_VALUE}")
    return tuple(intervals)


def _interval(row: Mapping[str, str], width: int, place: str) -> Interval:
    if width != len(COLUMNS):
        raise UsageError(f"{place} has {width} values, needs {len(COLUMNS)}")
    lower, upper, size = (_number(row[name], name, place) for name in COLUMNS[1:])
    if lower >= upper:
        raise UsageError(f"{place}: upper {upper} is not above lower {lower}")
    if size < 1:
        raise UsageError(f"{place}: size {size}, needs at least 1")
    return Interval(row["id"], lower, upper, size)


def _number(text: str, name: str, place: str) -> int:
    if _NUMBER.fullmatch(text.strip()) is None:
        raise UsageError(f"{place}: {name} `{text}` is not a whole number")
    number = int(text)
    if abs(number) > MAX_VALUE:
        raise UsageError(f"{place}: {name} {number} is beyond {MAX_VALUE}")
    return number


def answer_text(intervals: Sequence[Interval], offsets: Mapping[str, int]) -> str:
    """The instance as CSV text with one column more, the offset in bytes; rows in the order given."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow([*COLUMNS, "offset"])
    rows.writerows([i.id, i.lower, i.upper, i.size, offsets[i.id]] for i in intervals)
    return text.getvalue()
