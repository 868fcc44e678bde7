"""A study as text: every row as CSV, a comparison of methods for each network as Markdown or HTML."""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from html import escape

from sfopt.plan import Status
from sfopt.study.points import Row
from sfopt.units import format_bytes

__all__ = ["CELLS", "COLUMNS", "Comparison", "by_network", "comparisons", "csv_text", "html_table", "markdown_table"]

CELLS = "DRAM traffic in MB, in brackets as a multiple of the least in its line"
"""What stands in the cells of a comparison. A time-limited answer adds the bound that was proven."""
COLUMNS = tuple(f.name for f in fields(Row))
"""Column names of `study.csv`."""


@dataclass(frozen=True)
class Comparison:
    """One network's traffic as a table of texts: a line for each SRAM size, a column for each method."""

    network: str
    caption: str
    header: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]


def by_network(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """Network -> its rows, both in the order given."""
    table: dict[str, list[Row]] = {}
    for row in rows:
        table.setdefault(row.network, []).append(row)
    return table


def comparisons(rows: Iterable[Row]) -> list[Comparison]:
    """For each network what each method moves, in MB (1,000,000 bytes), and how many times the least of its line that is."""
    return [_comparison(network, found) for network, found in by_network(rows).items()]


def _comparison(network: str, rows: Sequence[Row]) -> Comparison:
    methods = tuple(dict.fromkeys(row.method for row in rows))
    lines = []
    for size in dict.fromkeys(row.sram_bytes for row in rows):
        line = [row for row in rows if row.sram_bytes == size]
        least = min((row.traffic for row in line if row.traffic is not None), default=0)
        lines.append((format_bytes(size), *(_cell(row, least) for row in line)))
    first = rows[0]
    limits = f"compulsory {first.compulsory / 1e6:.3f} MB, baseline {first.baseline / 1e6:.3f} MB"
    return Comparison(network, f"{first.groups} groups; {limits}", ("SRAM", *methods), tuple(lines))


def _cell(row: Row, least: int) -> str:
    if row.traffic is None:
        return row.status
    text = f"{row.traffic / 1e6:.3f}"
    if row.traffic > least:
        text += f" ({row.traffic / least:.2f}x)"
    if row.status == Status.FEASIBLE and row.bound != row.traffic:
        text += f", bound {(row.bound or 0) / 1e6:.3f}"
    return text


def csv_text(rows: Iterable[Row]) -> str:
    """A header and a line for each row; a figure that there is not is an empty field."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(astuple(row) for row in rows)
    return text.getvalue()


def markdown_table(header: Sequence[str], lines: Iterable[Sequence[object]]) -> str:
    """A GitHub table; None is an empty cell."""
    texts = [["" if cell is None else str(cell).replace("|", "\\|") for cell in line] for line in (header, *lines)]
    texts.insert(1, ["---"] * len(header))
    return "".join(f"| {' | '.join(line)} |\n" for line in texts)


def html_table(comparison: Comparison) -> str:
    """A comparison as an HTML table with its caption."""
    header = "".join(f"<th>{escape(text)}</th>" for text in comparison.header)
    lines = "".join(f"<tr>{''.join(f'<td>{escape(text)}</td>' for text in line)}</tr>" for line in comparison.lines)
    caption = f"<caption>{escape(comparison.network)}: {escape(comparison.caption)}; {escape(CELLS)}</caption>"
    return f"<table>{caption}<thead><tr>{header}</tr></thead><tbody>{lines}</tbody></table>"
