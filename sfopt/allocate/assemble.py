"""Result: a placed choice, written out as a Plan: segments, buffers, transfers, DRAM regions."""

from collections.abc import Sequence

from sfopt.allocate.first_fit import first_fit
from sfopt.allocate.options import Block
from sfopt.allocate.problem import Choice, Problem
from sfopt.allocate.rectangles import Layout, Rectangle
from sfopt.cost import constants
from sfopt.groups import Group, Kind, network_fingerprint
from sfopt.plan import Buffer, Category, Certificate, DramRegion, Plan, Role, Segment, Transfer, WeightMode

__all__ = ["assemble"]

DRAM_ALIGNMENT_BYTES = 64


def assemble(
    problem: Problem, choice: Choice, layout: Layout, offsets: Sequence[int], certificate: Certificate
) -> Plan:
    """The plan of a choice whose layout has been given `offsets`."""
    groups = problem.network.groups
    placed = [
        Buffer(r.name, r.block.role, r.block.content, r.block.rows, r.block.row_bytes, offset, r.first, r.last)
        for r, offset in zip(layout.items, offsets, strict=True)
    ]
    return Plan(
        network=network_fingerprint(problem.network),
        device=problem.device.to_dict(),
        segments=tuple(_segment(choice, g) for g in groups),
        buffers=tuple(sorted(placed, key=lambda b: (b.first_step, b.last_step, b.name))),
        transfers=tuple(t for g in groups for t in _transfers(problem, choice, g)),
        dram=_dram_regions(problem, choice),
        certificate=certificate,
    )


def _segment(choice: Choice, group: Group) -> Segment:
    if group.kind is Kind.HOST:
        return Segment(group.index, group.index, 1, 1, WeightMode.RESIDENT, 1, overlap=False)
    o = choice.options[group.index]
    return Segment(group.index, group.index, o.band_rows, o.bands, o.weight_mode, o.channel_tile, o.overlap)


def _transfers(problem: Problem, choice: Choice, group: Group) -> list[Transfer]:
    """Reads in operand order, then constants, then writes."""
    network, step = problem.network, group.index
    reads = [m for m in group.reads if m not in choice.resident or _loads_here(problem, m, step)]
    writes = [m for m in group.writes if m not in choice.resident or m in network.outputs]
    found = [_map_transfer(problem, step, m, "read") for m in reads]
    if group.kind is not Kind.HOST:
        option = choice.options[step]
        for block in constants(network, group, folded=False):
            again = option.weight_mode is WeightMode.REREAD and block.name.endswith(".weights")
            size_bytes = block.size_bytes * (option.bands if again else 1)
            found.append(Transfer(step, block.name, "read", size_bytes, Category.WEIGHTS))
    return found + [_map_transfer(problem, step, m, "write") for m in writes]


def _loads_here(problem: Problem, tensor: str, step: int) -> bool:
    return tensor in problem.network.inputs and problem.network.readers[tensor][0] == step


def _map_transfer(problem: Problem, step: int, tensor: str, direction: str) -> Transfer:
    network = problem.network
    category = Category.FEATURE_MAPS
    if tensor in network.inputs:
        category = Category.INPUTS
    elif tensor in network.outputs:
        category = Category.OUTPUTS
    return Transfer(step, tensor, direction, network.maps[tensor].size_bytes, category, tensor in network.shortcuts)


def _dram_regions(problem: Problem, choice: Choice) -> tuple[DramRegion, ...]:
    """Network inputs, network outputs and spilled maps, first-fit by size at multiples of 64 bytes."""
    network = problem.network
    end = len(network.groups) - 1
    items = list[Rectangle]()
    for m, fmap in network.maps.items():
        if m in network.inputs:
            first, last = 0, max(network.readers[m])
        elif m in network.outputs:
            first, last = network.producers[m], end
        elif m not in choice.resident:
            first, last = network.producers[m], max((network.producers[m], *network.readers[m]))
        else:
            continue
        units = -(-fmap.size_bytes // DRAM_ALIGNMENT_BYTES)
        items.append(Rectangle(m, None, Block(Role.RESIDENT, m, units, DRAM_ALIGNMENT_BYTES), first, last))
    layout = Layout(tuple(items), frozenset())
    order = sorted(range(len(items)), key=lambda i: (-items[i].size_bytes, i))
    offsets = first_fit(layout, order, DRAM_ALIGNMENT_BYTES)
    return tuple(
        DramRegion(r.name, offset, network.maps[r.name].size_bytes, r.first, r.last)
        for r, offset in zip(items, offsets, strict=True)
    )
