"""One network's traffic against SRAM. The only importer of matplotlib, which is optional: `files` imports this when it needs it.

A method keeps its colour, marker and dashes from plot to plot, whatever it is compared with. The colours are M. A. Petroff's for
colour-vision deficiency ("Accessible color sequences for data visualization", 2021); markers and dashes carry a print in grey.
"""

import io
import math
from collections.abc import Sequence
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator

from sfopt.allocate import METHODS
from sfopt.study.points import FAILED, INFEASIBLE, Row
from sfopt.units import format_bytes

__all__ = ["FORMATS", "plot"]

FORMATS = ("png", "svg")
"""Files of each plot: one to look at, one to print."""

_MARKERS = "osD^vXP<>ph"
_DASHES = ((0, ()), (0, (5, 1.5)), (0, (1.5, 1.5)), (0, (6, 1.5, 1.5, 1.5)))
_SYMBOLS = {INFEASIBLE: ("x", "no plan"), FAILED: ("$?$", "failed")}
_STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "svg.hashsalt": "sfopt",
}


def plot(title: str, rows: Sequence[Row]) -> dict[str, bytes]:
    """Format -> file: DRAM traffic of one network against SRAM, both on log axes, a line for each method.

    The compulsory limit and the baseline are drawn across. Where a method has no plan, or failed, a strip above says so.
    """
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(6.4, 4.4), layout="constrained")
        methods = list(dict.fromkeys(row.method for row in rows))
        gaps = [m for m in methods if any(r.method == m and r.traffic is None for r in rows)]
        strip, axes = _panels(figure, len(gaps))
        for rank, method in enumerate(methods):
            _line(axes, [row for row in rows if row.method == method], method, rank)
        _limits(axes, rows)
        _axes(axes, rows)
        if strip is not None:
            _strip(strip, gaps, rows)
        figure.suptitle(title, x=0.01, ha="left", weight="bold", size=10)
        figure.legend(loc="outside lower center", ncols=4, frameon=False)
        return {kind: _saved(figure, kind) for kind in FORMATS}


def _panels(figure: Figure, gaps: int) -> tuple[Axes | None, Axes]:
    """The axes of the strip, None if it would be empty, and those of the plot."""
    if not gaps:
        return None, figure.add_subplot()
    strip, axes = figure.subplots(2, 1, sharex=True, height_ratios=[0.06 * gaps, 1])
    return strip, axes


def _look(method: str) -> dict[str, Any]:
    """What a method looks like wherever it is drawn."""
    place, colours = list(METHODS).index(method), matplotlib.color_sequences["petroff10"]
    return {"color": colours[place % len(colours)], "marker": _MARKERS[place % len(_MARKERS)]}


def _line(axes: Axes, rows: Sequence[Row], method: str, rank: int) -> None:
    """Points that coincide stay visible: the first method is filled, small and on top, later ones are rings around it."""
    place = list(METHODS).index(method)
    axes.plot(
        [row.sram_bytes for row in rows],
        [math.nan if row.traffic is None else row.traffic / 1e6 for row in rows],
        **_look(method),
        linestyle=_DASHES[place % len(_DASHES)],
        linewidth=2.0 if rank == 0 else 1.3,
        markersize=4.5 + 1.5 * rank,
        markerfacecolor=None if rank == 0 else "none",
        markeredgewidth=1.2,
        zorder=4 - 0.1 * rank,
        label=method,
    )


def _limits(axes: Axes, rows: Sequence[Row]) -> None:
    limits = (("compulsory", rows[0].compulsory, "-", "top", -3), ("baseline", rows[0].baseline, ":", "bottom", 3))
    for name, size_bytes, style, side, shift in limits:
        axes.axhline(size_bytes / 1e6, color="black", linewidth=1.1, linestyle=style, zorder=2)
        axes.annotate(
            f"{name} {size_bytes / 1e6:.3g} MB",
            (1, size_bytes / 1e6),
            (0, shift),
            xycoords=axes.get_yaxis_transform(),
            textcoords="offset points",
            ha="right",
            va=side,
        )


def _axes(axes: Axes, rows: Sequence[Row]) -> None:
    """Scales, limits, ticks and labels. Both axes are labelled in plain numbers, at binary sizes across and round ones up."""
    sizes = sorted({row.sram_bytes for row in rows})
    moved = [rows[0].compulsory, rows[0].baseline, *(row.traffic for row in rows if row.traffic is not None)]
    low, high = min(moved) / 1e6, max(moved) / 1e6
    margin = max(1.05, (high / low) ** 0.12)
    axes.set(xscale="log", yscale="log", xlabel="SRAM", ylabel="DRAM traffic, MB")
    axes.set(xlim=(sizes[0] / 1.15, sizes[-1] * 1.15), ylim=(low / margin, high * margin))
    axes.xaxis.set_major_locator(_binary_ticks(sizes))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda size, _: format_bytes(round(size)).replace(".0 ", " ")))
    axes.yaxis.set_major_locator(
        LogLocator(subs=(1, 2, 5)) if high > 5 * low else MaxNLocator(6, steps=[1, 2, 2.5, 5, 10])
    )
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_minor_locator(NullLocator())


def _binary_ticks(sizes: Sequence[int]) -> FixedLocator:
    """At most eight ticks: the sizes if they are few, else powers of two among them."""
    ticks = list(sizes)
    if len(ticks) > 8:
        ticks = [1 << i for i in range((sizes[0] - 1).bit_length(), sizes[-1].bit_length())] or [sizes[0], sizes[-1]]
    return FixedLocator(ticks[:: -(-len(ticks) // 8)])


def _strip(axes: Axes, methods: Sequence[str], rows: Sequence[Row]) -> None:
    """A row of symbols for each method that lacks a plan somewhere."""
    shown = dict[str, str]()
    for line, method in enumerate(methods):
        for row in (r for r in rows if r.method == method and r.traffic is None):
            symbol, meaning = _SYMBOLS[row.status]
            axes.plot(row.sram_bytes, line, **{**_look(method), "marker": symbol}, markersize=5)
            shown[meaning] = symbol
    axes.set_yticks(range(len(methods)), methods)
    axes.set_ylim(len(methods) - 0.5, -0.5)
    axes.tick_params(bottom=False, left=False, labelbottom=False)
    axes.spines[:].set_visible(False)


def _saved(figure: Figure, kind: str) -> bytes:
    """The same figure, the same bytes: no date is written."""
    file = io.BytesIO()
    figure.savefig(file, format=kind, dpi=200, metadata={"Date": None} if kind == "svg" else None)
    return file.getvalue()
