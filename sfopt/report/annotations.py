"""The plan's decisions as notes on the int8 model: on each node how its group runs, on each tensor where it lives and why."""

from collections import defaultdict
from collections.abc import Mapping

from sfopt import cost
from sfopt.groups import Group, Kind, Network
from sfopt.onnx_io import Notes
from sfopt.plan import Plan, Role, Segment, Status
from sfopt.report.placement import placement_reasons

__all__ = ["plan_notes"]

Note = Mapping[str, str]


def plan_notes(network: Network, plan: Plan) -> Notes:
    """Notes with keys that begin with `sfopt.`; sizes in bytes. A group's DRAM bytes are those of its constants, of its output
    and of the maps that it is the first in its segment to read: over all groups they add up to the plan's.
    """
    moved = _moved_by_group(network, plan)
    nodes, writers = dict[str, Note](), dict[str, Note]()
    for step, segment in enumerate(plan.segments):
        for group in network.groups[segment.first : segment.last + 1]:
            note = _group_note(network, step, segment, group, moved[group.index])
            nodes |= dict.fromkeys(group.ops, note)
            outputs = [n for name in group.ops for n in network.graph.ops_by_name[name].outputs if n]
            writers |= dict.fromkeys(outputs, note)
    return Notes(_plan_note(plan), nodes, writers, _tensor_notes(network, plan))


def _plan_note(plan: Plan) -> Note:
    certificate = plan.certificate
    levels = {f"sfopt.{o.name}": _level_text(o.value, o.bound, o.status) for o in certificate.objectives}
    return {
        "sfopt.device": str(plan.device.get("name", "")),
        "sfopt.method": certificate.method,
        "sfopt.status": str(certificate.status),
        **levels,
    }


def _level_text(value: int, bound: int, status: Status) -> str:
    return f"{value} (proven least)" if status is Status.OPTIMAL else f"{value} (bound {bound})"


def _group_note(network: Network, step: int, segment: Segment, group: Group, dram_bytes: int) -> Note:
    names = [network.groups[i].name for i in dict.fromkeys((segment.first, segment.last))]
    note = {
        "sfopt.group": group.name,
        "sfopt.segment": f"{step}: " + " to ".join(names),
        "sfopt.mode": "host" if group.kind is Kind.HOST else segment.mode,
        "sfopt.bands": str(segment.bands),
    }
    if segment.runs:
        run = segment.run(group.index)
        note["sfopt.band_rows"] = f"{run.first}, then {run.step} a band" if segment.bands > 1 else str(run.first)
        if group.kind in (Kind.CONV, Kind.DEPTHWISE):
            note["sfopt.weights"] = f"{run.weight_mode}, {run.channel_tile} channels at a time"
    return {**note, "sfopt.dram_bytes": str(dram_bytes)}


def _moved_by_group(network: Network, plan: Plan) -> Mapping[int, int]:
    """Group -> DRAM bytes, so that each transfer is counted once."""
    moved = defaultdict[int, int](int)
    for transfer in plan.transfers:
        segment = plan.segments[transfer.segment]
        groups = network.groups[segment.first : segment.last + 1]
        moved[next(g.index for g in groups if _is_of(network, g, transfer.tensor, transfer.direction))] += (
            transfer.size_bytes
        )
    return moved


def _is_of(network: Network, group: Group, tensor: str, direction: str) -> bool:
    if tensor in network.maps:
        return tensor in (group.reads if direction == "read" else group.writes)
    return any(block.name == tensor for block in cost.constants(network, group, folded=False))


def _tensor_notes(network: Network, plan: Plan) -> Mapping[str, Note]:
    reasons = placement_reasons(network, plan)
    kept = {b.content: b for b in plan.buffers if b.role in (Role.RESIDENT, Role.RING)}
    notes = dict[str, Note]()
    for name, (where, why) in reasons.items():
        note = {"sfopt.place": where, "sfopt.why": why}
        if name in kept:
            b = kept[name]
            note["sfopt.scratchpad"] = f"bytes {b.offset} to {b.end - 1}, segments {b.first_step} to {b.last_step}"
        for direction in ("read", "write"):
            size = sum(t.size_bytes for t in plan.transfers if (t.tensor, t.direction) == (name, direction))
            note[f"sfopt.dram_{direction}_bytes"] = str(size)
        notes[name] = note
    return notes
