"""What a person reads: a dozen lines that can be pasted into a mail, and the texts of `explain` and `devices`."""

from typing import Any

from rich.table import Table

from sfopt.device import Device
from sfopt.groups import Group, Kind, Network
from sfopt.plan import Plan, Segment
from sfopt.report.placement import placement_reasons
from sfopt.units import format_bytes

__all__ = ["device_table", "explain_lines", "summary_lines"]

_NOTES_SHOWN = 3


def summary_lines(report: dict[str, Any]) -> list[str]:
    """The closing summary of a run, one statement a line."""
    model, device, dram, sram = report["model"], report["device"], report["dram_bytes"], report["sram"]
    planned, solver = dram["planned"], report["solver"]
    less = 100 * (1 - planned["total"] / dram["baseline"]) if dram["baseline"] else 0.0
    lanes = f"{device['lanes_in']} x {device['lanes_out']} lanes at {device['clock_hz'] / 1e6:.0f} MHz"
    size, macs = format_bytes(model["weight_bytes"]), model["macs"] / 1e6
    lines = [
        f"model     {model['name']}: {model['groups']} groups, {macs:.1f} MMAC, constants {size}",
        *_import_lines(report["notes"]),
        f"device    {device['name']}: {lanes}, scratchpad {format_bytes(sram['capacity'])}",
        f"traffic   {planned['total']} bytes planned, {less:.1f} % less than the baseline's {dram['baseline']}",
        f"          {_parts_of(planned)}; compulsory {dram['compulsory']} without program",
        f"proof     {solver['method']}: {solver['status']}; {_levels(solver)}; {solver['seconds']:.2f} s",
        *_order_lines(solver),
        f"sram      peak {sram['peak']} of {sram['capacity']} bytes",
    ]
    if report["cycles"]:
        cycles = report["cycles"]
        efficiency = f"MAC efficiency {100 * cycles['mac_efficiency']:.1f} %"
        lines.append(f"time      {cycles['total']} cycles, {report['latency_ms']:.3f} ms, {efficiency} (timing model)")
    lines.append(_equivalence_line(report))
    if report["dram_bytes"]["rtl"]:
        lines.append(_rtl_line(report))
    if report["original"]:
        lines.append(_original_line(report["original"]))
    hosted = report["host_ops"]
    lines.append(f"host      {len(hosted)} ops: " + (", ".join(dict.fromkeys(h["op"] for h in hosted)) or "none"))
    return lines


def _import_lines(notes: list[str]) -> list[str]:
    """What import decided by itself: the first notes, and how many more there are."""
    more = len(notes) - _NOTES_SHOWN
    lines = [f"import    {note}" for note in notes[:_NOTES_SHOWN]]
    return [*lines, f"import    {more} more notes: sfopt explain"] if more > 0 else lines


def _levels(solver: dict[str, Any]) -> str:
    """The levels in the order minimised, each with its bound where that is another number."""
    parts = []
    for level in solver["levels"]:
        proven = level["bound"] == level["value"]
        parts.append(f"{level['name']} {level['value']} ({'= bound' if proven else 'bound ' + str(level['bound'])})")
    return ", ".join(parts)


def _order_lines(solver: dict[str, Any]) -> list[str]:
    """Which order of the groups it is, and whether one of the others that were tried may allow less of the first objective."""
    order = solver["order"]
    if order is None:
        return []
    first, which = solver["levels"][0]["name"], "the model's own" if order["chosen"] == 1 else "not the model's own"
    least = f"none of these has {first} below {order['bound']}"
    verdict = "proven" if order["bound"] == solver["objective"] else "one may have less than this plan"
    return [f"order     {order['chosen']} of {order['tried']} tried, {which}; {least} ({verdict})"]


def _parts_of(planned: dict[str, int]) -> str:
    names = ("weights", "inputs", "outputs", "feature_maps", "program")
    return ", ".join(f"{name.replace('_', ' ')} {planned[name]}" for name in names)


def _original_line(original: dict[str, Any]) -> str:
    if original["error"]:
        return f"original  not compared: {original['error']}"
    top = "same" if original["same_top1"] else "another"
    figures = f"largest difference {original['max_abs_diff']:.3g}, SQNR {original['sqnr_db']:.1f} dB, {top} top-1"
    return f"original  output `{original['output']}` on one sample: {figures}"


def _equivalence_line(report: dict[str, Any]) -> str:
    equivalence = report["equivalence"]
    if equivalence is None:
        return "checked   plan only; the program was not run (--no-verify)"
    simulated = report["dram_bytes"]["simulated"]
    moved = f"; simulated traffic {simulated['total']} bytes = planned" if simulated else ""
    return (
        f"checked   {equivalence['mismatches']} mismatches in {equivalence['tensors']} tensors, "
        f"{equivalence['elements']} elements, against {equivalence['reference']}{moved}"
    )


def _rtl_line(report: dict[str, Any]) -> str:
    """What the hardware's run showed; a difference in anything but the cycles would have been an error."""
    cycles, moved = report["cycles"], report["dram_bytes"]["rtl"]["total"]
    more = 100 * (cycles["rtl"] / cycles["total"] - 1)
    return f"rtl       same results and traffic, {moved} bytes; {cycles['rtl']} cycles, {more:+.2f} % against the timing model"


def explain_lines(network: Network, plan: Plan) -> list[str]:
    """A line per segment: how it runs and what it moves; two per group: its rows and weights, where its output lives and why."""
    reasons, lines = placement_reasons(network, plan), list[str]()
    for step, segment in enumerate(plan.segments):
        groups = network.groups[segment.first : segment.last + 1]
        moved = sum(t.size_bytes for t in plan.transfers if t.segment == step)
        bands = f"{segment.mode}, {segment.bands} bands" if segment.bands > 1 else f"{segment.mode}, one band"
        how = bands if segment.runs else "on the host"
        count = "1 group" if len(groups) == 1 else f"{len(groups)} groups"
        lines.append(f"{step:4d} {count}: {how}; {moved} DRAM bytes")
        for group in groups:
            where, why = reasons.get(group.output, ("on the host", "not an int8 feature map"))
            lines.append(f"     {group.kind} `{group.name}`{_run_text(segment, group)}")
            lines.append(f"       output {where}: {why}")
    return lines


def _run_text(segment: Segment, group: Group) -> str:
    """Rows of a band and where the weights are, as far as that says something."""
    if not segment.runs:
        return ""
    run, facts = segment.run(group.index), []
    if segment.bands > 1:
        facts.append(f"{run.first} rows, then {run.step} a band")
    if group.kind in (Kind.CONV, Kind.DEPTHWISE):
        facts.append(f"weights {run.weight_mode}")
    return ": " + ", ".join(facts) if facts else ""


def device_table(device: Device) -> Table:
    """Every figure of a device with its source."""
    table = Table("figure", "value", "source", title=device.name)
    for key, value in device.to_dict().items():
        if key not in ("name", "sources"):
            table.add_row(key, str(value), device.sources.get(key, ""))
    return table
