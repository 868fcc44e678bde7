"""What a person reads: ten lines that can be pasted into a mail, and the texts of `explain` and `devices`."""

from typing import Any

from rich.table import Table

from sfopt.device import Device
from sfopt.groups import Group, Kind, Network
from sfopt.plan import Plan, Segment
from sfopt.report.placement import placement_reasons
from sfopt.units import format_bytes

__all__ = ["device_table", "explain_lines", "summary_lines"]


def summary_lines(report: dict[str, Any]) -> list[str]:
    """The closing summary of a run: ten lines, one statement each."""
    model, device, dram, sram = report["model"], report["device"], report["dram_bytes"], report["sram"]
    planned, solver, hosted = dram["planned"], report["solver"], report["host_ops"]
    less = 100 * (1 - planned["total"] / dram["baseline"]) if dram["baseline"] else 0.0
    lanes = f"{device['lanes_in']} x {device['lanes_out']} lanes at {device['clock_hz'] / 1e6:.0f} MHz"
    size, macs = format_bytes(model["weight_bytes"]), model["macs"] / 1e6
    used = f"{sram['peak']} of {sram['capacity']} bytes of scratchpad used"
    lines = (
        f"model     {model['name']}: {model['groups']} groups, {macs:.1f} MMAC, constants {size}",
        f"import    {_import(report['notes'])}",
        f"device    {device['name']}: {lanes}, {used}",
        f"traffic   {planned['total']} bytes planned, {less:.1f} % less than the baseline's {dram['baseline']}",
        f"          {_parts_of(planned)}; compulsory {dram['compulsory']} without program",
        f"proof     {solver['method']}: {solver['status']}; {_levels(solver)}{_order(solver)}; {solver['seconds']:.2f} s",
        f"time      {_time(report)}",
        f"checked   {_equivalence(report)}",
        f"original  {_original(report['original'])}",
        f"host      {len(hosted)} ops: " + (", ".join(dict.fromkeys(h["op"] for h in hosted)) or "none"),
    )
    return [line.replace("\n", " ") for line in lines]


def _import(notes: list[str]) -> str:
    """What import decided by itself: the first note, and how many more there are."""
    if not notes:
        return "nothing to note"
    more = len(notes) - 1
    return notes[0] + (f"; {more} more {'note' if more == 1 else 'notes'}: sfopt explain" if more else "")


def _levels(solver: dict[str, Any]) -> str:
    """The levels in the order minimised, each with its bound where that is another number."""
    parts = []
    for level in solver["levels"]:
        proven = level["bound"] == level["value"]
        parts.append(f"{level['name']} {level['value']} ({'= bound' if proven else 'bound ' + str(level['bound'])})")
    return ", ".join(parts)


def _order(solver: dict[str, Any]) -> str:
    """Which order of the groups it is, and whether one of the others that were tried may allow less of the first objective."""
    order = solver["order"]
    if order is None:
        return ""
    first, which = solver["levels"][0]["name"], "the model's own" if order["chosen"] == 1 else "not the model's own"
    least = f"none of these has {first} below {order['bound']}"
    verdict = "proven" if order["bound"] == solver["objective"] else "one may have less than this plan"
    return f"; order {order['chosen']} of {order['tried']} tried, {which}; {least} ({verdict})"


def _parts_of(planned: dict[str, int]) -> str:
    names = ("weights", "inputs", "outputs", "feature_maps", "program")
    return ", ".join(f"{name.replace('_', ' ')} {planned[name]}" for name in names)


def _time(report: dict[str, Any]) -> str:
    """Cycles of the timing model, and of the hardware where it ran."""
    cycles = report["cycles"]
    if cycles is None:
        return "not measured: the program was not run"
    efficiency = f"MAC efficiency {100 * cycles['mac_efficiency']:.1f} %"
    modelled = f"{cycles['total']} cycles, {report['latency_ms']:.3f} ms, {efficiency} (timing model)"
    if cycles["rtl"] is None:
        return modelled
    more = 100 * (cycles["rtl"] / cycles["total"] - 1)
    return f"{modelled}; rtl {cycles['rtl']} cycles, {more:+.2f} % against it"


def _equivalence(report: dict[str, Any]) -> str:
    """What was compared; a difference in results or bytes would have been an error."""
    equivalence, dram = report["equivalence"], report["dram_bytes"]
    if equivalence is None:
        return "plan only; the program was not run (--no-verify)"
    moved = f"; simulated traffic {dram['simulated']['total']} bytes = planned" if dram["simulated"] else ""
    rtl = f"; rtl: same results and traffic, {dram['rtl']['total']} bytes" if dram["rtl"] else ""
    return (
        f"{equivalence['mismatches']} mismatches in {equivalence['tensors']} tensors, "
        f"{equivalence['elements']} elements, against {equivalence['reference']}{moved}{rtl}"
    )


def _original(original: dict[str, Any] | None) -> str:
    """How far int8 is from the model as it came."""
    if original is None:
        return "not compared: the program was not run"
    if original["error"]:
        return f"not compared: {original['error']}"
    top = "same" if original["same_top1"] else "another"
    figures = f"largest difference {original['max_abs_diff']:.3g}, SQNR {original['sqnr_db']:.1f} dB, {top} top-1"
    return f"output `{original['output']}` on one sample: {figures}"


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
