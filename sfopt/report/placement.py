"""Why each feature map is where it is, in words that follow from the plan."""

from collections.abc import Mapping

from sfopt.groups import Kind, Network
from sfopt.plan import Buffer, Plan, Role
from sfopt.units import format_bytes

__all__ = ["placement_reasons"]


def placement_reasons(network: Network, plan: Plan) -> Mapping[str, tuple[str, str]]:
    """Feature map -> (where it lives, why)."""
    kept = {b.content: b for b in plan.buffers if b.role in (Role.RESIDENT, Role.RING)}
    readers = network.readers
    reasons: dict[str, tuple[str, str]] = {}
    for name, fmap in network.maps.items():
        buffer = kept.get(name)
        if buffer is not None and buffer.role is Role.RING:
            rows = f"{buffer.rows} of its {fmap.height} rows on-chip at {buffer.offset}"
            reasons[name] = (rows, "made and read in one segment, never whole")
        elif buffer is not None:
            reasons[name] = (f"on-chip at {buffer.offset}", _why_resident(network, plan, buffer))
        elif any(network.groups[r].kind is Kind.HOST for r in readers[name]):
            reasons[name] = ("in DRAM", "the host reads it")
        elif not readers[name]:
            reasons[name] = ("in DRAM", "network output")
        elif name in network.inputs:
            reasons[name] = ("in DRAM", "network input, streamed in")
        else:
            reasons[name] = (
                "in DRAM",
                f"spilled: keeping its {format_bytes(fmap.size_bytes)} does not lower the objective within the scratchpad",
            )
    return reasons


def _why_resident(network: Network, plan: Plan, buffer: Buffer) -> str:
    name, last = buffer.content, plan.segments[buffer.last_step].last
    seeing = [r for r in network.readers[name] if r <= last]
    kind = "shortcut kept" if name in network.shortcuts else "kept"
    later = len(network.readers[name]) - len(seeing)
    then = f", read back by {later} more" if later else ""
    reader = network.groups[seeing[-1]].name
    return f"{kind} until `{reader}`{then}; spilling it would move {_spill_cost(network, plan, buffer)}"


def _spill_cost(network: Network, plan: Plan, buffer: Buffer) -> str:
    """What spilling a resident map would move: a write unless there is one anyhow, a read for each segment but its producer's."""
    name = buffer.content
    steps = range(buffer.first_step, buffer.last_step + 1)
    reads = sum(_reads(network, plan, step, name) for step in steps)
    if name in network.inputs:
        return format_bytes(network.maps[name].size_bytes * (reads - 1))
    stored = any(region.tensor == name for region in plan.dram)
    return format_bytes(network.maps[name].size_bytes * (reads + (not stored)))


def _reads(network: Network, plan: Plan, step: int, name: str) -> bool:
    """Whether the segment at `step` would have to read the map from DRAM."""
    segment = plan.segments[step]
    groups = range(segment.first, segment.last + 1)
    return network.producer(name) not in groups and any(r in groups for r in network.readers[name])
