"""`report.html`: one self-contained page, drawn with Plotly, that opens offline."""

from html import escape
from typing import Any

import plotly.graph_objects as go
import plotly.io

from sfopt.device import Device
from sfopt.groups import Network
from sfopt.plan import Plan, Role
from sfopt.report.placement import placement_reasons
from sfopt.units import format_bytes

__all__ = ["memory_map", "report_page", "traffic_figure"]

_COLOURS = {
    Role.RESIDENT: "#4c78a8",
    Role.INPUT: "#72b7b2",
    Role.OUTPUT: "#54a24b",
    Role.RING: "#eeca3b",
    Role.WEIGHTS: "#b279a2",
    Role.PARAMETERS: "#9d755d",
}
_SHORTCUT_COLOUR = "#f58518"

_STYLE = """
:root{color-scheme:light dark}
body{font:16px/1.5 system-ui,sans-serif;margin:0 auto;max-width:1200px;padding:1rem}
pre{overflow-x:auto;padding:.75rem;border:1px solid #8886}
table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.25rem .5rem;border-bottom:1px solid #8884}
.plot{background:#fff}
"""


def report_page(network: Network, plan: Plan, device: Device, facts: dict[str, Any], summary: list[str]) -> str:
    """HTML text: the summary, the scratchpad over time, DRAM bytes per group, host ops with their reasons."""
    title = escape(f"sfopt: {facts['model']['name']} on {device.name}")
    figures = (memory_map(network, plan, device), traffic_figure(network, plan))
    plots = "".join(
        f'<div class="plot">{plotly.io.to_html(f, full_html=False, include_plotlyjs=i == 0, config={"responsive": True})}</div>'
        for i, f in enumerate(figures)
    )
    hosted = "".join(
        f"<tr><td>{escape(h['op'])}</td><td>{escape(h['name'])}</td><td>{escape(h['reason'])}</td></tr>"
        for h in facts["host_ops"]
    )
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><style>{_STYLE}</style></head><body>'
        f"<h1>{title}</h1><pre>{escape(chr(10).join(summary))}</pre>{plots}"
        f"<h2>On the host</h2><table><tr><th>op</th><th>name</th><th>reason</th></tr>{hosted}</table></body></html>\n"
    )


def memory_map(network: Network, plan: Plan, device: Device) -> go.Figure:
    """Rectangles of scratchpad: steps across, byte address up; shortcuts in their own colour."""
    figure = go.Figure()
    reasons, shortcuts = placement_reasons(network, plan), network.shortcuts
    kinds: dict[tuple[str, str], list[Any]] = {}
    for buffer in plan.buffers:
        shortcut = buffer.role in (Role.RESIDENT, Role.RING) and buffer.content in shortcuts
        key = ("shortcut", _SHORTCUT_COLOUR) if shortcut else (buffer.role.value, _COLOURS[buffer.role])
        kinds.setdefault(key, []).append(buffer)
    for (label, colour), buffers in kinds.items():
        figure.add_bar(
            name=label,
            marker={"color": colour, "line": {"color": "#fff", "width": 0.5}},
            x=[(b.first_step + b.last_step) / 2 for b in buffers],
            width=[b.last_step - b.first_step + 1 for b in buffers],
            base=[b.offset for b in buffers],
            y=[b.size_bytes for b in buffers],
            hovertext=[
                f"{escape(b.name)}<br>{format_bytes(b.size_bytes)} at {b.offset}<br>steps {b.first_step} to {b.last_step}<br>"
                + escape(reasons[b.content][1] if b.role is Role.RESIDENT else f"{b.role.value} buffer, {b.rows} rows")
                for b in buffers
            ],
            hoverinfo="text",
        )
    figure.add_hline(
        device.sram_bytes, line={"dash": "dash"}, annotation_text=f"scratchpad {format_bytes(device.sram_bytes)}"
    )
    figure.update_layout(
        title="Scratchpad over time", barmode="overlay", xaxis_title="step", yaxis_title="address (bytes)", height=560
    )
    return figure


def traffic_figure(network: Network, plan: Plan) -> go.Figure:
    """DRAM bytes of each step by category, with the feature maps that the baseline would move beside them."""
    figure = go.Figure()
    ends = [dict.fromkeys((network.groups[s.first].name, network.groups[s.last].name)) for s in plan.segments]
    names = [" to ".join(names) for names in ends]
    steps = list(range(len(plan.segments)))
    for category in dict.fromkeys(t.category for t in plan.transfers):
        sums = dict.fromkeys(steps, 0)
        for transfer in plan.transfers:
            if transfer.category is category:
                sums[transfer.segment] += transfer.size_bytes
        figure.add_bar(name=category.value, x=steps, y=list(sums.values()), hovertext=names)
    baseline = [
        sum(
            network.maps[n].size_bytes
            for i in range(s.first, s.last + 1)
            for n in (*network.groups[i].reads, *network.groups[i].writes)
        )
        for s in plan.segments
    ]
    figure.add_scatter(
        name="feature maps of the baseline",
        x=steps,
        y=baseline,
        mode="markers",
        marker={"symbol": "line-ew-open", "size": 8},
    )
    figure.update_layout(
        title="DRAM bytes of each step", barmode="stack", xaxis_title="step", yaxis_title="bytes", height=460
    )
    return figure
