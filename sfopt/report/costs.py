"""What each group costs in a plan: the DRAM bytes that move for it, and the cycles that either side of the machine needs for it."""

from collections.abc import Mapping
from dataclasses import dataclass

from sfopt import cost
from sfopt.check.cycles import edge_and_rest
from sfopt.check.view import View
from sfopt.device import Device
from sfopt.groups import Kind, Network
from sfopt.plan import Category, Plan, Transfer

__all__ = ["KINDS_OF_BYTES", "GroupCost", "group_costs"]

SHORTCUTS = "shortcuts"
KINDS_OF_BYTES = (*(category.value for category in Category), SHORTCUTS)
"""Here `feature_maps` are those that are no shortcuts: the kinds add up to all bytes that a plan moves."""


@dataclass(frozen=True)
class GroupCost:
    """One group. What a segment reads is counted for the first of its groups that reads it."""

    index: int
    name: str
    kind: Kind
    step: int
    macs: int
    moved_bytes: Mapping[str, int]
    """By kind."""
    baseline_bytes: int
    compulsory_bytes: int
    compute_cycles: int
    """Of its COMPUTE instructions."""
    dram_cycles: int
    """Of its transfers, one after another, each with its start."""

    @property
    def dram_bytes(self) -> int:
        """All that moves for it."""
        return sum(self.moved_bytes.values())

    @property
    def bound_by(self) -> str:
        """Which side of the machine it keeps busy longer."""
        if self.kind is Kind.HOST:
            return "host"
        return "compute" if self.compute_cycles >= self.dram_cycles else "DRAM"


def group_costs(network: Network, plan: Plan, device: Device) -> tuple[GroupCost, ...]:
    """One for each group, in order. The plan must be one that the checker accepts."""
    view = View(plan, network, device)
    moved = [dict.fromkeys(KINDS_OF_BYTES, 0) for _ in network.groups]
    dram = [0] * len(network.groups)
    for transfer in plan.transfers:
        owner = _owner(view, transfer)
        moved[owner][_kind(transfer)] += transfer.size_bytes
        dram[owner] += sum(edge_and_rest(view, transfer))
    compute, steps = [0] * len(network.groups), [0] * len(network.groups)
    for step, segment in enumerate(plan.segments):
        for group in view.groups(step):
            steps[group.index] = step
            if not view.is_host(step):
                rows, tile = view.run_rows(step, group), segment.run(group.index).channel_tile
                folded = view.folded(step, group)
                compute[group.index] = cost.group_cycles(
                    network, group, device, rows, segment.bands, tile, folded=folded
                )
    return tuple(
        GroupCost(
            g.index,
            g.name,
            g.kind,
            steps[g.index],
            cost.group_macs(network, g),
            moved[g.index],
            _constants(network, g.index) + sum(network.maps[n].size_bytes for n in (*g.reads, *g.writes)),
            _compulsory(network, g.index),
            compute[g.index],
            dram[g.index],
        )
        for g in network.groups
    )


def _owner(view: View, transfer: Transfer) -> int:
    producers = view.network.producers
    if transfer.category is Category.WEIGHTS:
        return producers[transfer.tensor.rpartition(".")[0]]
    if transfer.direction == "write":
        return producers[transfer.tensor]
    return view.inside_readers(transfer.segment, transfer.tensor)[0].index


def _kind(transfer: Transfer) -> str:
    if transfer.category is Category.FEATURE_MAPS and transfer.shortcut:
        return SHORTCUTS
    return transfer.category.value


def _constants(network: Network, index: int) -> int:
    return sum(c.size_bytes for c in cost.constants(network, network.groups[index], folded=False))


def _compulsory(network: Network, index: int) -> int:
    """Its constants, the network inputs of which it is the first reader, the network outputs that it writes."""
    group = network.groups[index]
    first = [n for n in network.inputs if network.readers[n][0] == index]
    last = [n for n in network.outputs if n in group.writes]
    return _constants(network, index) + sum(network.maps[n].size_bytes for n in (*first, *last))
