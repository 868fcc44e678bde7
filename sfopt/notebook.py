"""What a notebook shows of a plan: one table of its own, without script or style sheet."""

from collections.abc import Iterable
from html import escape
from typing import TYPE_CHECKING

from sfopt.units import format_bytes

if TYPE_CHECKING:
    from sfopt.plan import Plan

__all__ = ["plan_html"]

HEADER = ("segment", "groups", "mode", "bands", "scratchpad bytes", "DRAM bytes", "DRAM maps")


def plan_html(plan: "Plan") -> str:
    """A line for each segment; the caption says what is proven."""
    lines = (_line(plan, step) for step in range(len(plan.segments)))
    head = "".join(f"<th>{escape(text)}</th>" for text in HEADER)
    total = _cells(("", "", "", "", f"peak {plan.peak_bytes}", str(plan.traffic_bytes), ""))
    return (
        f"<table><caption>{escape(_caption(plan))}</caption><thead><tr>{head}</tr></thead>"
        f"<tbody>{''.join(map(_cells, lines))}</tbody><tfoot>{total}</tfoot></table>"
    )


def _caption(plan: "Plan") -> str:
    certificate, device = plan.certificate, plan.device
    levels = ", ".join(
        f"{o.name} {o.value}" + ("" if o.bound == o.value else f" (bound {o.bound})") for o in certificate.objectives
    )
    capacity = int(device["banks"]) * int(device["bank_bytes"])
    where = f"{device['name']} with {format_bytes(capacity)}"
    return f"Plan for {where}: {certificate.method}, {certificate.status}; {levels}"


def _line(plan: "Plan", step: int) -> tuple[str, ...]:
    segment = plan.segments[step]
    moved = [t for t in plan.transfers if t.segment == step]
    maps = (f"{t.direction} {t.tensor}" for t in moved if t.category != "weights")
    groups = str(segment.first) if segment.first == segment.last else f"{segment.first} to {segment.last}"
    mode = segment.mode if segment.runs else "host"
    total = sum(t.size_bytes for t in moved)
    return str(step), groups, mode, str(segment.bands), str(plan.held_bytes(step)), str(total), ", ".join(maps)


def _cells(texts: Iterable[str]) -> str:
    return f"<tr>{''.join(f'<td>{escape(text)}</td>' for text in texts)}</tr>"
