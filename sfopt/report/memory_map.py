"""The memory map: groups in execution order across, addresses in the scratchpad up, DRAM below them."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html import escape
from textwrap import wrap
from typing import Any

import plotly.graph_objects as go

from sfopt.device import Device
from sfopt.groups import Kind, Network
from sfopt.plan import Buffer, Category, Plan, Role, Transfer, WeightMode
from sfopt.report.placement import placement_reasons
from sfopt.units import format_bytes

__all__ = ["hover_text", "memory_map", "name_of_segment"]

SHORTCUT = "shortcut"
BUFFERS = {
    Role.RESIDENT.value: ("resident", "#4c78a8"),
    SHORTCUT: ("shortcut", "#f58518"),
    Role.RING.value: ("ring", "#d9b310"),
    Role.INPUT.value: ("input staging", "#54a24b"),
    Role.OUTPUT.value: ("output staging", "#2f9e94"),
    Role.WEIGHTS.value: ("weights", "#b279a2"),
    Role.PARAMETERS.value: ("parameters", "#9d755d"),
}
"""Kind of buffer -> its name and colour, in the order of the legend."""
SPILLED, PORT = ("spilled", "#d81b60"), ("network input, output", "#8a8f98")
SEGMENTS = {"row": ("row mode", "#7f8fd1"), "frame": ("frame mode", "#a9a9b8"), "host": ("host", "#c05a9b")}
DRAM_SHARE, STRIP_SHARE = 0.22, 0.05
"""Of the scratchpad's height: what the lanes of DRAM take up below it, and the strip of segments above it."""
NEAR = 1.6
"""The scratchpad's end is drawn where it is at most so many times as high as the peak."""
LINE = 62
"""Characters of a line in a hover text."""


def memory_map(network: Network, plan: Plan, device: Device) -> go.Figure:
    """Every buffer a rectangle, every map in DRAM one below it, every read and write of one an arrow; the segments above.

    The column of group i is i - 0.5 to i + 0.5. A buffer has those of all groups of the steps that it lives.
    """
    figure, top = go.Figure(), _top(plan, device)
    for bars in _buffers(network, plan):
        figure.add_trace(bars)
    for trace in _dram(network, plan, top):
        figure.add_trace(trace)
    for bars in _strip(network, plan, top):
        figure.add_trace(bars)
    if device.sram_bytes == top:
        figure.add_hline(device.sram_bytes, line={"dash": "dash", "width": 1, "color": "#888"})
    figure.add_hline(0, line={"width": 1.5, "color": "#888"})
    lowest = -DRAM_SHARE * top
    figure.update_layout(
        barmode="overlay",
        hovermode="closest",
        xaxis={"title": "group, in execution order", "range": [-0.5, len(network.groups) - 0.5]},
        yaxis={"title": "address in the scratchpad", "range": [lowest, (1 + 1.8 * STRIP_SHARE) * top]},
        height=620,
        meta={"bytes": ["yaxis"], "groups": True, "dram": lowest / 2, "top": top, "end": device.sram_bytes},
    )
    return figure


def hover_text(title: str, *facts: str) -> str:
    """A hover label: the title in bold, then facts, each wrapped."""
    lines = [line for fact in facts for line in wrap(fact, LINE)]
    bold = "<br>".join(f"<b>{escape(line)}</b>" for line in wrap(title, LINE) or [""])
    return "<br>".join([bold, *map(escape, lines)])


def name_of_segment(plan: Plan, step: int) -> str:
    """`segment 3, groups 4 to 7` or, of one group, `segment 3, group 4`."""
    segment = plan.segments[step]
    which = f"group {segment.first}" if segment.first == segment.last else f"groups {segment.first} to {segment.last}"
    return f"segment {step}, {which}"


def _top(plan: Plan, device: Device) -> int:
    """What the map shows: the whole scratchpad unless most of it is empty."""
    return device.sram_bytes if device.sram_bytes <= NEAR * plan.peak_bytes else max(1, plan.peak_bytes)


@dataclass
class _Bars:
    """Rectangles of one kind."""

    left: list[float] = field(default_factory=list)
    right: list[float] = field(default_factory=list)
    base: list[float] = field(default_factory=list)
    height: list[float] = field(default_factory=list)
    text: list[str] = field(default_factory=list)

    def add(self, x: tuple[float, float], y: tuple[float, float], text: str) -> None:
        """From and to on both axes."""
        for column, value in zip((self.left, self.right, self.base, self.height), (*x, y[0], y[1] - y[0]), strict=True):
            column.append(value)
        self.text.append(text)

    def trace(self, name: str, colour: str, **options: Any) -> go.Bar:
        """As one trace."""
        return go.Bar(
            name=name,
            x=[(a + b) / 2 for a, b in zip(self.left, self.right, strict=True)],
            width=[b - a for a, b in zip(self.left, self.right, strict=True)],
            base=self.base,
            y=self.height,
            hovertext=self.text,
            hoverinfo="text",
            marker={"color": colour, "line": {"color": "rgba(128,128,128,0.7)", "width": 0.5}},
            **options,
        )


def _columns(plan: Plan, first_step: int, last_step: int) -> tuple[float, float]:
    return plan.segments[first_step].first - 0.5, plan.segments[last_step].last + 0.5


def _buffers(network: Network, plan: Plan) -> Iterator[go.Bar]:
    why, kinds = _Reasons(network, plan), {kind: _Bars() for kind in BUFFERS}
    for b in sorted(
        plan.buffers, key=lambda b: b.size_bytes, reverse=True
    ):  # what lies within another is drawn over it
        shortcut = b.role is Role.RESIDENT and b.content in network.shortcuts
        kind = SHORTCUT if shortcut else b.role.value
        place = f"{format_bytes(b.size_bytes)} ({b.size_bytes} bytes) at {b.offset}, {b.rows} x {b.row_bytes} bytes"
        steps = name_of_segment(plan, b.first_step)
        if b.last_step > b.first_step:
            steps += f", until {name_of_segment(plan, b.last_step)}"
        text = hover_text(b.content, f"{BUFFERS[kind][0]}: {place}", steps, why.of(b))
        kinds[kind].add(_columns(plan, b.first_step, b.last_step), (b.offset, b.end), text)
    for kind, bars in kinds.items():
        if bars.text:
            yield bars.trace(*BUFFERS[kind])


class _Reasons:
    """Why a buffer is there."""

    def __init__(self, network: Network, plan: Plan) -> None:
        self.network, self.plan = network, plan
        self.placement = placement_reasons(network, plan)

    def of(self, b: Buffer) -> str:
        """A sentence without its stop."""
        if b.role is Role.RESIDENT:
            return self.placement[b.content][1]
        step = int(b.name.split(":", 1)[0])
        if b.role in (Role.WEIGHTS, Role.PARAMETERS):
            ahead = "; loaded ahead, while the segment before runs" if b.first_step < step else ""
            return self._constants(step, b) + ahead
        height = self.network.maps[b.content].height
        rows = "whole" if b.rows >= height else f"{b.rows} of its {height} rows at a time"
        if b.role is Role.RING:
            return f"made and read inside segment {step}, {rows}: it never exists whole"
        way = "streams in from DRAM" if b.role is Role.INPUT else "streams out to DRAM"
        return f"{way}, {rows}; {self.placement[b.content][1]}"

    def _constants(self, step: int, b: Buffer) -> str:
        if b.role is Role.PARAMETERS:
            return "biases, factors and tables of the group that writes this map"
        run = self.plan.segments[step].run(self.network.producers[b.content])
        if run.weight_mode is WeightMode.RESIDENT:
            return "all weights, read once, before the first band"
        channels = self.network.maps[b.content].channels
        return f"weights of {run.channel_tile} of {channels} output channels at a time, {_TIMES[run.weight_mode]}"


_TIMES = {
    WeightMode.STREAMED: "read once: the only band is the frame",
    WeightMode.REREAD: "read again for every band",
    WeightMode.INPUT_REREAD: "read once; the input again for each",
}


def _in_dram(plan: Plan) -> list[Transfer]:
    return [t for t in plan.transfers if t.category is not Category.WEIGHTS]


def _dram(network: Network, plan: Plan, top: int) -> Iterator[Any]:
    """Maps in DRAM, each in a lane while it is needed there, and arrows from and to the buffers."""
    moved: dict[str, list[tuple[float, Transfer]]] = defaultdict(list)
    for t in _in_dram(plan):
        moved[t.tensor].append((_column_of(network, plan, t), t))
    lives = {name: (min(x for x, _ in uses) - 0.1, max(x for x, _ in uses) + 0.1) for name, uses in moved.items()}
    lanes = _lanes(lives)
    height = DRAM_SHARE * top / (max(lanes.values(), default=0) + 2)
    placed = {b.name: b for b in plan.buffers}
    for (label, colour), spilled in ((SPILLED, True), (PORT, False)):
        bars, arrows, reasons = _Bars(), _Arrows(), placement_reasons(network, plan)
        for name, uses in moved.items():
            if (name in (*network.inputs, *network.outputs)) == spilled:
                continue
            roof = -(lanes[name] + 0.8) * height
            times = [f"{t.direction} by {name_of_segment(plan, t.segment)}" for _, t in uses]
            total = sum(t.size_bytes for _, t in uses)
            facts = (
                f"in DRAM: {format_bytes(network.maps[name].size_bytes)}, {total} bytes moved",
                *times,
                reasons[name][1],
            )
            bars.add(lives[name], (roof - 0.8 * height, roof), hover_text(name, *facts))
            for x, t in uses:
                buffer = placed.get(f"{t.segment}:{name}", placed.get(name))
                arrows.add(x, roof, 0 if buffer is None else buffer.offset, upwards=t.direction == "read")
        if bars.text:
            yield bars.trace(label, colour, legendgroup=label)
            yield arrows.trace(colour, legendgroup=label)


def _column_of(network: Network, plan: Plan, t: Transfer) -> float:
    """Where an arrow stands: in the column of the group that makes the map, or of the segment's first that reads it."""
    segment = plan.segments[t.segment]
    if t.direction == "write":
        return network.producers[t.tensor] + 0.2
    return next(r for r in network.readers[t.tensor] if segment.first <= r <= segment.last) - 0.2


def _lanes(lives: Mapping[str, tuple[float, float]]) -> dict[str, int]:
    """The first free lane for each."""
    ends, lanes = list[float](), dict[str, int]()
    for name, (start, end) in sorted(lives.items(), key=lambda item: item[1]):
        lane = next((i for i, free in enumerate(ends) if free < start), len(ends))
        ends[lane : lane + 1] = [end]
        lanes[name] = lane
    return lanes


@dataclass
class _Arrows:
    x: list[float | None] = field(default_factory=list)
    y: list[float | None] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)

    def add(self, x: float, dram: float, sram: float, *, upwards: bool) -> None:
        """One arrow; its head is the second point."""
        self.x += [x, x, None]
        self.y += [dram, sram, None] if upwards else [sram, dram, None]
        self.sizes += [0, 8, 0]

    def trace(self, colour: str, **options: Any) -> go.Scatter:
        """All as one trace."""
        return go.Scatter(
            x=self.x,
            y=self.y,
            mode="lines+markers",
            line={"color": colour, "width": 1},
            marker={
                "symbol": "arrow",
                "angleref": "previous",
                "size": self.sizes,
                "color": colour,
                "opacity": 1,
                "line": {"width": 0},
            },
            hoverinfo="skip",
            **options,
        )


def _strip(network: Network, plan: Plan, top: int) -> Iterator[go.Bar]:
    """The segments, above the scratchpad."""
    modes, base = {mode: _Bars() for mode in SEGMENTS}, top * (1 + 0.6 * STRIP_SHARE)
    for step, segment in enumerate(plan.segments):
        groups = network.groups[segment.first : segment.last + 1]
        mode = "host" if groups[0].kind is Kind.HOST else segment.mode
        bands = (
            f"{segment.mode} mode, {segment.bands} band{'s' * (segment.bands > 1)}" if mode != "host" else "on the host"
        )
        moved = sum(t.size_bytes for t in plan.transfers if t.segment == step)
        names = [f"{g.index}: {g.kind} {g.name}" for g in groups[:12]]
        more = [f"and {len(groups) - 12} more"] if len(groups) > 12 else []
        text = hover_text(name_of_segment(plan, step), f"{bands}; {moved} DRAM bytes", *names, *more)
        modes[mode].add(_columns(plan, step, step), (base, base + STRIP_SHARE * top), text)
    for mode, bars in modes.items():
        if bars.text:
            yield bars.trace(*SEGMENTS[mode])
