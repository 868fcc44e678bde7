"""Why each feature map is where it is, in words that follow from the plan."""

from collections.abc import Mapping

from sfopt.groups import Kind, Network
from sfopt.plan import Plan, Role
from sfopt.units import format_bytes

__all__ = ["placement_reasons"]


def placement_reasons(network: Network, plan: Plan) -> Mapping[str, tuple[str, str]]:
    """Feature map -> (where it lives, why)."""
    resident = {b.content: b for b in plan.buffers if b.role is Role.RESIDENT}
    readers, shortcuts = network.readers, network.shortcuts
    reasons: dict[str, tuple[str, str]] = {}
    for name, fmap in network.maps.items():
        buffer = resident.get(name)
        if buffer is not None:
            last = network.groups[readers[name][-1]].name
            kind = "shortcut kept" if name in shortcuts else "kept"
            reasons[name] = (
                f"on-chip at {buffer.offset}",
                f"{kind} until `{last}`; spilling it would move {_spill_cost(network, name)}",
            )
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


def _spill_cost(network: Network, name: str) -> str:
    """Bytes that spilling a resident map would add: one write (none for a network input or output), one read per reader."""
    size, readers = network.maps[name].size_bytes, len(network.readers[name])
    if name in network.inputs:
        return format_bytes(size * (readers - 1))
    return format_bytes(size * (readers + (name not in network.outputs)))
