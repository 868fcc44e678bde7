"""`report.html`: one self-contained page, drawn with Plotly, that opens offline. The folder's page.css and page.js go into it."""

import json
from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files
from typing import Any

import plotly.graph_objects as go
import plotly.offline

from sfopt.device import Device
from sfopt.groups import Network
from sfopt.plan import Plan
from sfopt.report import sections
from sfopt.report.charts import cycles_figure, roofline_figure, search_figure, traffic_figure
from sfopt.report.costs import group_costs
from sfopt.report.memory_map import memory_map

__all__ = ["report_page"]


def report_page(network: Network, plan: Plan, device: Device, facts: dict[str, Any], summary: Sequence[str]) -> str:
    """HTML text. `facts` are those of `report.json`, `summary` the lines that end a run."""
    costs = group_costs(network, plan, device)
    page = _Page()
    body = [
        sections.heading(facts),
        sections.cards(facts),
        page.section("memory", "Memory map", sections.memory_note(plan, device), memory_map(network, plan, device)),
        page.section("traffic", "DRAM traffic of each group", sections.TRAFFIC_NOTE, traffic_figure(costs)),
        page.section("cycles", "Cycles of each group", sections.CYCLES_NOTE, cycles_figure(costs)),
        page.section("roofline", "Roofline", sections.roofline_note(costs, device), roofline_figure(costs, device)),
        page.section("segments", "Segments", sections.SEGMENTS_NOTE, text=sections.segments(network, plan, costs)),
        page.section(
            "proof", "Proof", sections.proof_note(facts), search_figure(facts["solver"]), sections.levels(facts)
        ),
        page.section("equivalence", "Equivalence", text=sections.equivalence(facts)),
        page.section("host", "On the host", text=sections.hosted(facts)),
        page.section("summary", "Summary to paste", text=f"<pre>{escape(chr(10).join(summary))}</pre>"),
    ]
    body.insert(1, page.contents())
    title = escape(f"sfopt: {facts['model']['name']} on {device.name}")
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><style>{_asset("page.css")}</style></head>'
        f"<body>{''.join(body)}{page.scripts()}</body></html>\n"
    )


class _Page:
    """Collects the figures of the sections, and their names for the list of contents."""

    def __init__(self) -> None:
        self.figures: dict[str, Any] = {}
        self.titles: dict[str, str] = {}

    def section(self, name: str, title: str, note: str = "", figure: go.Figure | None = None, text: str = "") -> str:
        """A heading, a sentence or two, a plot if there is one, more text."""
        self.titles[name] = title
        plot = tools = ""
        if figure is not None:
            self.figures[name] = _plain(figure)
            plot, tools = f'<div class="legend"></div><div class="plot" data-figure="{name}"></div>', _TOOLS
        head = f'<div class="head"><h2>{escape(title)}</h2>{tools}</div>'
        said = f'<p class="note">{escape(note)}</p>' if note else ""
        return f'<section id="{name}">{head}{said}{plot}{text}</section>'

    def contents(self) -> str:
        """Links to the sections."""
        links = (f'<a href="#{name}">{escape(title)}</a>' for name, title in self.titles.items())
        return f"<nav>{''.join(links)}</nav>"

    def scripts(self) -> str:
        """The figures as data, the library, and what draws them."""
        data = json.dumps(self.figures, separators=(",", ":")).replace("<", "\\u003c")
        library = plotly.offline.get_plotlyjs().replace("</script", "<\\/script")
        return _joined((f'<script type="application/json" id="figures">{data}</script>', library, _asset("page.js")))


_TOOLS = (
    '<div class="tools"><button type="button" data-tool="in" aria-label="zoom in">+</button>'
    '<button type="button" data-tool="out" aria-label="zoom out">−</button>'
    '<button type="button" data-tool="reset">Reset</button></div>'
)


def _joined(parts: Iterable[str]) -> str:
    data, *scripts = parts
    return data + "".join(f"<script>{script}</script>" for script in scripts)


def _plain(figure: go.Figure) -> dict[str, Any]:
    """Data and layout without the template: colours are the page's."""
    figure.layout.template = None
    made = json.loads(figure.to_json())
    return {"data": made["data"], "layout": made["layout"]}


def _asset(name: str) -> str:
    return (files("sfopt.report") / name).read_text(encoding="utf-8")
