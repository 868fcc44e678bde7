"""A build for checking: every map that the machine makes is stored, also those that the plan keeps on-chip."""

from dataclasses import replace

from sfopt.groups import Network
from sfopt.plan import DramRegion, Plan
from sfopt_fpga.program import align

__all__ = ["exposed_maps", "with_all_in_dram"]


def exposed_maps(network: Network) -> tuple[str, ...]:
    """All maps but the network's inputs, its outputs first."""
    return tuple(dict.fromkeys((*network.outputs, *(t for t in network.maps if t not in network.inputs))))


def with_all_in_dram(plan: Plan, network: Network) -> Plan:
    """`plan` with a DRAM region for every map, one behind the other, to the end: the emitter stores each map that has a region."""
    regions, offset = [], 0
    for tensor, fmap in network.maps.items():
        regions.append(DramRegion(tensor, offset, fmap.size_bytes, 0, len(plan.segments) - 1))
        offset += align(fmap.size_bytes)
    return replace(plan, dram=tuple(regions))
