"""What the page says beside its figures: HTML from the facts of `report.json` and from the plan."""

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from sfopt.device import Device
from sfopt.groups import Kind, Network
from sfopt.plan import Plan, Segment
from sfopt.report.costs import GroupCost
from sfopt.units import format_bytes

__all__ = [
    "CYCLES_NOTE",
    "SEGMENTS_NOTE",
    "TRAFFIC_NOTE",
    "cards",
    "equivalence",
    "heading",
    "hosted",
    "levels",
    "memory_note",
    "proof_note",
    "roofline_note",
    "segments",
]

TRAFFIC_NOTE = (
    "What the plan moves for each group, the program's own fetches aside. Dotted: the baseline, where every group reads all "
    "its inputs and writes its output. Solid: what no plan can avoid."
)
CYCLES_NOTE = (
    "By the plan's cycle model: a group's COMPUTE instructions, and its transfers one after another. DRAM works behind "
    "compute where the plan lets it; the higher of the two bounds the group."
)
SEGMENTS_NOTE = "Groups that run together, band by band; what is inside a segment never exists whole."


def heading(facts: dict[str, Any]) -> str:
    """What was planned, and for which machine."""
    model, device = facts["model"], facts["device"]
    what = f"{model['groups']} groups, {model['macs'] / 1e6:.1f} MMAC, constants {format_bytes(model['weight_bytes'])}"
    lanes = f"{device['lanes_in']} x {device['lanes_out']} lanes at {device['clock_hz'] / 1e6:.0f} MHz"
    bus = f"DRAM {device['dram_bytes_per_s'] / 1e9:g} GB/s"
    where = f"{device['name']}: {lanes}, scratchpad {format_bytes(device['sram_bytes'])}, {bus}"
    title = f"<h1>{escape(model['name'])} on {escape(device['name'])}</h1>"
    return title + "".join(f'<p class="sub">{escape(line)}</p>' for line in (what, where))


def cards(facts: dict[str, Any]) -> str:
    """The figures that matter most."""
    made = (_traffic_card, _proof_card, _sram_card, _time_card, _equivalence_card)
    return f'<div class="cards">{"".join(card(facts) for card in made)}</div>'


def _card(title: str, figure: str, *details: str, verdict: str = "") -> str:
    lines = "".join(f"<span>{escape(line)}</span>" for line in details)
    return f'<div class="card"><h3>{escape(title)}</h3><b class="{verdict}">{escape(figure)}</b>{lines}</div>'


def _traffic_card(facts: dict[str, Any]) -> str:
    dram = facts["dram_bytes"]
    planned = dram["planned"]["total"]
    less = f"{100 * (1 - planned / dram['baseline']):.1f} % less than the baseline" if dram["baseline"] else ""
    above = planned - dram["planned"]["program"] - dram["compulsory"]
    more = "as little as any plan" if above == 0 else f"{format_bytes(above)} above compulsory"
    return _card("DRAM traffic", format_bytes(planned), less, more)


def _proof_card(facts: dict[str, Any]) -> str:
    solver = facts["solver"]
    gaps = [f"{o['name']}: {_gap(o)}" for o in solver["levels"]]
    verdict = "good" if solver["status"] == "optimal" else ""
    return _card(f"Proof (method {solver['method']})", solver["status"], *gaps, verdict=verdict)


def _gap(level: dict[str, Any]) -> str:
    if level["bound"] == level["value"]:
        return "proven"
    return f"gap {100 * (1 - level['bound'] / level['value']):.1f} %" if level["bound"] else "no bound"


def _sram_card(facts: dict[str, Any]) -> str:
    sram = facts["sram"]
    share = f"{100 * sram['peak'] / sram['capacity']:.0f} % of {format_bytes(sram['capacity'])}"
    return _card("Scratchpad, peak", format_bytes(sram["peak"]), share)


def _time_card(facts: dict[str, Any]) -> str:
    cycles, clock_hz = facts["cycles"], facts["device"]["clock_hz"]
    if cycles is None:
        modelled = next(o["value"] for o in facts["solver"]["levels"] if o["name"] == "cycles")
        return _card("Time (plan's model)", f"{1e3 * modelled / clock_hz:.3f} ms", f"{modelled} cycles", "not run")
    efficiency = f"MAC efficiency {100 * cycles['mac_efficiency']:.1f} %"
    rtl = [] if cycles["rtl"] is None else [f"RTL: {cycles['rtl']} cycles"]
    return _card("Time (timing model)", f"{facts['latency_ms']:.3f} ms", f"{cycles['total']} cycles", efficiency, *rtl)


def _equivalence_card(facts: dict[str, Any]) -> str:
    result = facts["equivalence"]
    if result is None:
        return _card("Equivalence", "not run", "plan only")
    wrong = result["mismatches"]
    figure = "bit for bit" if wrong == 0 else f"{wrong} mismatches"
    return _card(
        "Equivalence", figure, f"{result['tensors']} tensors, {result['elements']} elements",
        verdict="bad" if wrong else "good",
    )  # fmt: skip


def memory_note(plan: Plan, device: Device) -> str:
    """How to read the memory map."""
    most = f"The peak is {format_bytes(plan.peak_bytes)} of {format_bytes(device.sram_bytes)}."
    return (
        f"{most} Across: the groups in execution order. Up: the address in the scratchpad. Below it: feature maps in DRAM, "
        "with an arrow for each write and read. Point at a rectangle for its tensor, its bytes and why it is there. "
        "Drag, or +, to zoom in; double-click, or Reset, to see all."
    )


def roofline_note(costs: Sequence[GroupCost], device: Device) -> str:
    """How many groups either roof holds down."""
    found = [c.bound_by for c in costs]
    without = sum(not (c.macs and c.dram_bytes) for c in costs)
    left_out = f" {without} groups without multiply-accumulates or DRAM bytes are not shown." if without else ""
    peak = device.lanes_in * device.lanes_out
    bus = device.dram_bytes_per_s / device.clock_hz
    return (
        f"{found.count('compute')} groups are compute-bound, {found.count('DRAM')} DRAM-bound: what takes more cycles, each "
        f"by itself. The array does {peak} MAC a cycle, DRAM moves {bus:g} bytes a cycle.{left_out}"
    )


def segments(network: Network, plan: Plan, costs: Sequence[GroupCost]) -> str:
    """A row for each segment."""
    rows = (_segment_row(network, step, segment, costs) for step, segment in enumerate(plan.segments))
    head = ("segment", "groups", "mode", "bands", "weights", "DRAM bytes", "compute cycles", "DRAM cycles", "bound by")
    return f'<div class="tall">{_table(head, rows, numbers={0, 3, 5, 6, 7})}</div>'


def _segment_row(network: Network, step: int, segment: Segment, costs: Sequence[GroupCost]) -> tuple[str, ...]:
    groups = network.groups[segment.first : segment.last + 1]
    mine = costs[segment.first : segment.last + 1]
    compute, dram = sum(c.compute_cycles for c in mine), sum(c.dram_cycles for c in mine)
    host = groups[0].kind is Kind.HOST
    modes = dict.fromkeys(
        str(segment.run(g.index).weight_mode) for g in groups if g.kind in (Kind.CONV, Kind.DEPTHWISE) and not host
    )
    span = f"{segment.first}" if segment.first == segment.last else f"{segment.first} to {segment.last}"
    names = f"{span}: {', '.join(g.name for g in groups)}"
    bound = "host" if host else ("compute" if compute >= dram else "DRAM")
    moved = sum(c.dram_bytes for c in mine)
    how = "host" if host else segment.mode
    return (str(step), names, how, str(segment.bands), ", ".join(modes), str(moved), str(compute), str(dram), bound)


def proof_note(facts: dict[str, Any]) -> str:
    """Who made the plan, how long it took, what the chart shows."""
    solver = facts["solver"]
    made = f"Made by the method {solver['method']} in {solver['seconds']:.2f} s."
    if not solver["history"]:
        return f"{made} There was no search to show."
    order = solver["order"]
    several = "" if order is None else f" {order['tried']} orders of the groups were tried, one after another."
    return f"{made} The levels are minimised in turn; the area between value and bound is the gap.{several}"


def levels(facts: dict[str, Any]) -> str:
    """A row for each level of the objective."""
    rows = ((o["name"], str(o["value"]), str(o["bound"]), _gap(o), o["status"]) for o in facts["solver"]["levels"])
    return f'<div class="wide">{_table(("level", "value", "bound", "gap", "status"), rows, numbers={1, 2})}</div>'


def equivalence(facts: dict[str, Any]) -> str:
    """What the runs showed against the reference, the plan and each other."""
    result, dram, lines = facts["equivalence"], facts["dram_bytes"], list[str]()
    if result is None:
        return "<p>Plan only: the program was not run (--no-verify).</p>"
    compared = f"{result['tensors']} tensors, {result['elements']} elements"
    lines.append(f"{result['mismatches']} mismatches in {compared}, against {result['reference']}, bit for bit.")
    if dram["simulated"]:
        lines.append(
            f"The simulator moved {dram['simulated']['total']} bytes, the plan says {dram['planned']['total']}."
        )
    if dram["rtl"]:
        cycles = facts["cycles"]
        lines.append(
            f"The RTL gave the same results and moved {dram['rtl']['total']} bytes, in {cycles['rtl']} cycles; "
            f"the timing model has {cycles['total']}."
        )
    original = facts["original"]
    if original and not original["error"]:
        top = "the same" if original["same_top1"] else "another"
        lines.append(
            f"Against the model as it was given, output {original['output']}, one sample: largest difference "
            f"{original['max_abs_diff']:.3g}, SQNR {original['sqnr_db']:.1f} dB, {top} top-1."
        )
    return "".join(f"<p>{escape(line)}</p>" for line in lines)


def hosted(facts: dict[str, Any]) -> str:
    """Ops that the host runs, each with its reason."""
    ops = facts["host_ops"]
    if not ops:
        return "<p>Nothing: every op runs on the accelerator.</p>"
    rows = ((h["op"], h["name"], h["reason"]) for h in ops)
    return f'<div class="wide">{_table(("op", "name", "reason"), rows)}</div>'


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], numbers: Iterable[int] = ()) -> str:
    right = frozenset(numbers)
    kinds = ["n" if i in right else "name" if name in ("groups", "name") else "" for i, name in enumerate(head)]
    top = "".join(f'<th class="{k}">{escape(name)}</th>' for k, name in zip(kinds, head, strict=True))
    body = "".join(
        "<tr>" + "".join(f'<td class="{k}">{escape(cell)}</td>' for k, cell in zip(kinds, row, strict=True)) + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"
