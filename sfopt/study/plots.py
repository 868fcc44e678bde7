"""One network's traffic against SRAM. The only importer of matplotlib, which is optional: `files` imports this when it needs it.

A method keeps its colour, marker and dashes from plot to plot, whatever it is compared with. The colours are M. A. Petroff's for
colour-vision deficiency ("Accessible color sequences for data visualization", 2021); markers and dashes carry a print in grey.
"""

import io
import math
from collections.abc import Sequence
from itertools import chain
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator

from sfopt.allocate import METHODS
from sfopt.plan import Status
from sfopt.study.points import FAILED, INFEASIBLE, Row
from sfopt.units import format_bytes

__all__ = ["FORMATS", "draw", "plot"]

FORMATS = ("png", "svg")
"""Files of each plot: one to look at, one to print."""

_MARKERS = "osD^vXP<>ph"
_DASHES = ((0, ()), (0, (5, 1.5)), (0, (1.5, 1.5)), (0, (6, 1.5, 1.5, 1.5)))
_STRIP_INCHES = 0.16
_SYMBOLS = {INFEASIBLE: ("x", "no plan"), FAILED: ("*", "failed")}
_STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "svg.hashsalt": "sfopt",
    "text.parse_math": False,
}


def plot(title: str, rows: Sequence[Row]) -> dict[str, bytes]:
    """Format -> file of what `draw` draws; the same rows give the same bytes."""
    with matplotlib.rc_context(_STYLE):
        figure = draw(title, rows)
        return {kind: _saved(figure, kind) for kind in FORMATS}


def draw(title: str, rows: Sequence[Row]) -> Figure:
    """DRAM traffic of one network against SRAM, both on log axes, a line for each method.

    The compulsory limit and the baseline are drawn across. Where a method has no plan, or failed, a strip above says so.
    """
    methods = list(dict.fromkeys(row.method for row in rows))
    gaps = [m for m in methods if any(r.method == m and r.traffic is None for r in rows)]
    figure = Figure(figsize=(6.4, 4.4 + _STRIP_INCHES * len(gaps)), layout="constrained")
    strip, axes = _panels(figure, len(gaps))
    for rank, method in enumerate(methods):
        size = 4.5 + min(1.2 * rank, 6 * rank / len(methods))
        _line(axes, [row for row in rows if row.method == method], method, rank, size)
    _bounds(axes, rows)
    _limits(axes, rows)
    _axes(axes, rows)
    if strip is not None:
        _strip(strip, gaps, rows)
    figure.suptitle(title, x=0.01, ha="left", weight="bold", size=10)
    named = [axes.get_legend_handles_labels(), *([strip.get_legend_handles_labels()] if strip else [])]
    handles, labels = (list(chain.from_iterable(parts)) for parts in zip(*named, strict=True))
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)
    return figure


def _panels(figure: Figure, gaps: int) -> tuple[Axes | None, Axes]:
    """The axes of the strip, None if it would be empty, and those of the plot."""
    if not gaps:
        return None, figure.add_subplot()
    strip, axes = figure.subplots(2, 1, sharex=True, height_ratios=[_STRIP_INCHES * gaps, 3.5])
    return strip, axes


def _look(method: str) -> dict[str, Any]:
    """What a method looks like wherever it is drawn."""
    place, colours = list(METHODS).index(method), matplotlib.color_sequences["petroff10"]
    return {"color": colours[place % len(colours)], "marker": _MARKERS[place % len(_MARKERS)]}


def _line(axes: Axes, rows: Sequence[Row], method: str, rank: int, marker_points: float) -> None:
    """Points that coincide stay visible: the first method is filled, small and on top, later ones are rings around it."""
    place = list(METHODS).index(method)
    axes.plot(
        [row.sram_bytes for row in rows],
        [math.nan if row.traffic is None else row.traffic / 1e6 for row in rows],
        **_look(method),
        linestyle=_DASHES[place % len(_DASHES)],
        linewidth=2.0 if rank == 0 else 1.3,
        markersize=marker_points,
        markerfacecolor=None if rank == 0 else "none",
        markeredgewidth=1.2,
        zorder=4 - 0.1 * rank,
        label=method,
    )


def _bounds(axes: Axes, rows: Sequence[Row]) -> None:
    """From each plan that ran out of time down to the bound that was proven for it."""
    cut = [r for r in rows if r.status == Status.FEASIBLE and r.traffic is not None and r.bound != r.traffic]
    for row in cut:
        reach = (max(row.bound or 0, row.compulsory) / 1e6, (row.traffic or 0) / 1e6)
        axes.plot([row.sram_bytes] * 2, reach, color=_look(row.method)["color"], marker="_", linewidth=1, zorder=3)
    if cut:
        axes.plot([], [], color="#555555", marker="_", linewidth=1, label="to proven bound")


def _limits(axes: Axes, rows: Sequence[Row]) -> None:
    """Lines across, named in the right margin; the upper name above its line and the lower one below, so that they keep apart."""
    limits = (("compulsory", rows[0].compulsory, "-", "top"), ("baseline", rows[0].baseline, ":", "bottom"))
    for name, size_bytes, style, side in limits:
        axes.axhline(size_bytes / 1e6, color="black", linewidth=1.1, linestyle=style, zorder=2)
        place, corner = (1.01, size_bytes / 1e6), axes.get_yaxis_transform()
        axes.text(*place, f"{name}\n{size_bytes / 1e6:.3f} MB", transform=corner, va=side)


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
    for meaning, symbol in shown.items():
        axes.plot([], [], color="black", marker=symbol, linestyle="", markersize=5, label=meaning)
    axes.set_yticks(range(len(methods)), methods)
    axes.set_ylim(len(methods) - 0.5, -0.5)
    axes.tick_params(bottom=False, left=False, labelbottom=False)
    axes.spines[:].set_visible(False)


def _saved(figure: Figure, kind: str) -> bytes:
    """No date is written."""
    file = io.BytesIO()
    figure.savefig(file, format=kind, dpi=200, metadata={"Date": None} if kind == "svg" else None)
    return file.getvalue()
