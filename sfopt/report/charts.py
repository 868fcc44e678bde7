"""Charts of a plan beside its memory map: DRAM bytes and cycles of each group, the roofline, how the planner came to its plan."""

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from sfopt.device import Device
from sfopt.report.costs import GroupCost
from sfopt.report.memory_map import hover_text
from sfopt.units import format_bytes

__all__ = ["cycles_figure", "roofline_figure", "search_figure", "traffic_figure"]

BYTES = {
    "weights": ("weights", "#b279a2"),
    "inputs": ("network inputs", "#54a24b"),
    "outputs": ("network outputs", "#2f9e94"),
    "feature_maps": ("feature maps", "#e45756"),
    "shortcuts": ("shortcuts", "#f58518"),
}
COMPUTE, DRAM, HOST = ("compute", "#4c78a8"), ("DRAM", "#e45756"), ("host", "#c05a9b")
INK = "#888"
"""Lines that are seen on light and on dark."""
LEVELS = {"traffic": "DRAM bytes", "cycles": "cycles", "peak": "peak bytes"}


def _grouped(figure: go.Figure, costs: Sequence[GroupCost], axis: str, **meta: Any) -> None:
    """A figure with a column for each group, which zooms with the memory map."""
    figure.update_layout(
        hovermode="closest",
        xaxis={"title": "group, in execution order", "range": [-0.5, len(costs) - 0.5]},
        yaxis={"title": axis, "rangemode": "tozero"},
        height=380,
        meta={"groups": True, **meta},
    )


def _title(cost: GroupCost) -> str:
    return f"group {cost.index}: {cost.kind} {cost.name}"


def traffic_figure(costs: Sequence[GroupCost]) -> go.Figure:
    """Planned DRAM bytes of each group by kind, stacked; the baseline's and the compulsory ones as lines."""
    figure, at = go.Figure(), [c.index for c in costs]
    texts = [hover_text(_title(c), *_byte_lines(c)) for c in costs]
    for kind, (name, colour) in BYTES.items():
        values = [c.moved_bytes[kind] for c in costs]
        if any(values):
            figure.add_bar(name=name, x=at, y=values, marker={"color": colour}, hovertext=texts, hoverinfo="text")
    lines = (
        ("baseline", [c.baseline_bytes for c in costs], {"color": INK, "width": 1.5, "dash": "dot"}),
        ("compulsory", [c.compulsory_bytes for c in costs], {"color": INK, "width": 1.5}),
    )
    for name, values, line in lines:
        figure.add_scatter(
            name=name, **_steps(at, values), mode="lines", line={**line, "shape": "hv"}, hoverinfo="skip"
        )
    _grouped(figure, costs, "DRAM bytes", bytes=["yaxis"])
    return figure.update_layout(barmode="stack", bargap=0.15)


def _byte_lines(cost: GroupCost) -> list[str]:
    moved = [f"{name}: {cost.moved_bytes[kind]} bytes" for kind, (name, _) in BYTES.items() if cost.moved_bytes[kind]]
    total = f"planned: {format_bytes(cost.dram_bytes)} ({cost.dram_bytes} bytes)"
    return [total, *moved, f"baseline: {cost.baseline_bytes} bytes", f"compulsory: {cost.compulsory_bytes} bytes"]


def _steps(at: Sequence[int], values: Sequence[int]) -> dict[str, list[float]]:
    """A line that runs level through each column."""
    return {"x": [*(i - 0.5 for i in at), *(i + 0.5 for i in at[-1:])], "y": [*values, *values[-1:]]}


def cycles_figure(costs: Sequence[GroupCost]) -> go.Figure:
    """Cycles of each group's COMPUTEs beside those of its transfers, as the plan's cycle model has them."""
    figure, at = go.Figure(), [c.index for c in costs]
    texts = [hover_text(_title(c), *_cycle_lines(c)) for c in costs]
    for (name, colour), values in (
        (COMPUTE, [c.compute_cycles for c in costs]),
        (DRAM, [c.dram_cycles for c in costs]),
    ):
        figure.add_bar(name=name, x=at, y=values, marker={"color": colour}, hovertext=texts, hoverinfo="text")
    _grouped(figure, costs, "cycles")
    return figure.update_layout(barmode="group", bargap=0.15)


def _cycle_lines(cost: GroupCost) -> list[str]:
    sides = f"compute {cost.compute_cycles} cycles, DRAM {cost.dram_cycles} cycles"
    return [sides, "on the host" if cost.bound_by == HOST[0] else f"{cost.bound_by}-bound"]


def roofline_figure(costs: Sequence[GroupCost], device: Device) -> go.Figure:
    """Groups with multiply-accumulates and DRAM bytes: MAC a cycle over MAC a byte, under the machine's two roofs."""
    figure, peak = go.Figure(), device.lanes_in * device.lanes_out
    bytes_a_cycle = device.dram_bytes_per_s / device.clock_hz
    shown = [c for c in costs if c.macs and c.dram_bytes and max(c.compute_cycles, c.dram_cycles)]
    ridge = peak / bytes_a_cycle
    reach = [*(c.macs / c.dram_bytes for c in shown), ridge]
    ends = [min(reach) / 2, ridge, max(reach) * 2]
    figure.add_scatter(
        name="roofs of the machine",
        x=ends,
        y=[min(peak, x * bytes_a_cycle) for x in ends],
        mode="lines",
        line={"color": INK, "width": 2},
        hovertext=f"{peak} MAC a cycle at most; {bytes_a_cycle:g} bytes of DRAM a cycle at most",
        hoverinfo="text",
    )
    for name, colour in (COMPUTE, DRAM):
        mine = [c for c in shown if c.bound_by == name]
        if mine:
            figure.add_scatter(
                name=f"{name}-bound: {len(mine)} group{'s' * (len(mine) > 1)}",
                x=[c.macs / c.dram_bytes for c in mine],
                y=[_attained(c) for c in mine],
                mode="markers",
                marker={"color": colour, "size": 9, "opacity": 0.75, "line": {"width": 0.5, "color": INK}},
                hovertext=[hover_text(_title(c), *_roof_lines(c, device)) for c in mine],
                hoverinfo="text",
            )
    return figure.update_layout(
        hovermode="closest",
        xaxis={"title": "MAC per byte of DRAM", "type": "log", "dtick": 1},
        yaxis={"title": "MAC per cycle", "type": "log", "dtick": 1},
        height=460,
    )


def _attained(cost: GroupCost) -> float:
    """MAC a cycle, if the group ran alone with its transfers behind its COMPUTEs."""
    return cost.macs / max(cost.compute_cycles, cost.dram_cycles)


def _roof_lines(cost: GroupCost, device: Device) -> list[str]:
    share = 100 * _attained(cost) / (device.lanes_in * device.lanes_out)
    work = f"{cost.macs} MAC, {cost.dram_bytes} bytes: {cost.macs / cost.dram_bytes:.1f} MAC a byte"
    return [work, f"{_attained(cost):.0f} MAC a cycle, {share:.1f} % of the array", *_cycle_lines(cost)]


def search_figure(solver: Mapping[str, Any]) -> go.Figure | None:
    """The best choice's value and the proven bound of each level over time, and the gap between them; None without a search.

    A solver that starts anew tells its bounds from the beginning. What was proven of the first level holds on, as long as it is
    one order of the groups that is planned.
    """
    names = [level["name"] for level in solver["levels"]]
    history = [m for m in solver["history"] if m["level"] in names]
    told = {name: [m for m in history if m["level"] == name] for name in names}
    if solver["order"] is None:
        bounds = accumulate((m["bound"] for m in told[names[0]]), max)
        told[names[0]] = [{**m, "bound": bound} for m, bound in zip(told[names[0]], bounds, strict=True)]
    names = [name for name in names if told[name]]
    if not names:
        return None
    figure = make_subplots(rows=len(names), cols=1, shared_xaxes=True, vertical_spacing=0.07)
    found = {level["name"]: level for level in solver["levels"]}
    end = max(solver["seconds"], *(m["seconds"] for m in history))
    for row, name in enumerate(names, 1):
        for trace in _level_traces(told[name], found[name], end):
            figure.add_trace(trace, row=row, col=1)
        figure.update_yaxes(
            title=LEVELS.get(name, name), range=_around(told[name], found[name]["value"]), row=row, col=1
        )
    figure.update_xaxes(range=[0, 1.02 * end])
    figure.update_xaxes(title="seconds since planning began", row=len(names), col=1)
    axes = [f"yaxis{row}" if row > 1 else "yaxis" for row, name in enumerate(names, 1) if name != "cycles"]
    return figure.update_layout(hovermode="closest", height=100 + 150 * len(names), meta={"bytes": axes})


def _around(moments: Sequence[Mapping[str, Any]], value: int) -> list[float]:
    """A range that shows all values and bounds, and does not blow up a difference that is next to none."""
    known = [value, *(n for m in moments for n in (m["value"], m["bound"]) if n is not None)]
    low, high = min(known), max(known)
    room = max(0.08 * (high - low), 0.03 * high)
    return [max(0, low - room), high + room]


def _level_traces(moments: Sequence[Mapping[str, Any]], level: Mapping[str, Any], end: float) -> list[go.Scatter]:
    """Bound and value as steps with the gap filled between them, and the plan that came of it."""
    known = [m for m in moments if m["value"] is not None]
    (bound, red), (value, blue) = ("proven bound", DRAM[1]), ("best choice", COMPUTE[1])
    traces = [_stepped(bound, red, moments, "bound", end)]
    if known:
        floor = _stepped(value, blue, known, "bound", end, hoverinfo="skip")
        floor.update(mode="lines", line_width=0)
        traces += [floor, _stepped(value, blue, known, "value", end, fill="tonexty", fillcolor="rgba(128,128,128,0.2)")]
    plan = hover_text("the plan", f"{level['name']} {level['value']}, bound {level['bound']}: {level['status']}")
    star = go.Scatter(
        name="the plan",
        legendgroup="the plan",
        x=[end],
        y=[level["value"]],
        mode="markers",
        marker={"symbol": "star", "size": 13, "color": "#d9b310", "line": {"width": 1, "color": INK}},
        hovertext=[plan],
        hoverinfo="text",
    )
    return [*traces, star]


def _stepped(
    name: str, colour: str, moments: Sequence[Mapping[str, Any]], key: str, end: float, **options: Any
) -> go.Scatter:
    """What was known from each moment on, up to the end."""
    texts = {"hovertext": [_moment_text(m) for m in (*moments, moments[-1])], "hoverinfo": "text"}
    return go.Scatter(
        name=name,
        legendgroup=name,
        x=[*(m["seconds"] for m in moments), end],
        y=[*(m[key] for m in moments), moments[-1][key]],
        mode="lines+markers",
        line={"color": colour, "width": 2, "shape": "hv"},
        marker={"size": 5},
        **{**texts, **options},
    )


def _moment_text(moment: Mapping[str, Any]) -> str:
    value, bound = moment["value"], moment["bound"]
    gap = "no choice yet" if value is None else f"gap {100 * (value - bound) / max(1, value):.2f} %"
    return hover_text(f"{moment['seconds']:.2f} s", f"value {value}, bound {bound}", gap)
