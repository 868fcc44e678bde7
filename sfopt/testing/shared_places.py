"""Plans whose operands lie in their outputs: places made by hand out of a naive plan's buffers."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from sfopt.check import check_plan
from sfopt.cost import map_row_bytes
from sfopt.device import Device, load_device
from sfopt.errors import PlanCheckError
from sfopt.groups import Network
from sfopt.plan import Plan, Role
from sfopt.testing.naive_plan import can_be_resident, claimed

__all__ = ["DEVICE", "candidates", "everything", "in_places", "in_places_where_possible"]

DEVICE = replace(load_device("sim8"), banks=4000, bank_bytes=512, lanes_in=8, lanes_out=4)
"""So many small banks that a naive placement finds room."""


def everything(network: Network) -> frozenset[str]:
    """All maps that may be resident."""
    return frozenset(m for m in network.maps if can_be_resident(network, m))


def in_places(made: Plan, network: Network, device: Device, outputs: Mapping[str, str]) -> Plan:
    """The plan with each of these operands in the place of its output; every place, and every other buffer, in banks of its own."""
    offsets, buffers, top = dict[str, int](), [], 0
    for b in made.buffers:
        outer = b.name
        while outer in outputs:
            outer = outputs[outer]
        row_bytes = map_row_bytes(network.maps[outer], device) if b.role is Role.RESIDENT else b.row_bytes
        if outer not in offsets:
            offsets[outer], top = top, -(-(top + b.rows * row_bytes) // device.bank_bytes) * device.bank_bytes
        buffers.append(replace(b, offset=offsets[outer], row_bytes=row_bytes))
    return claimed(replace(made, buffers=tuple(buffers)), network, device)


def candidates(made: Plan, network: Network) -> Iterator[tuple[str, str]]:
    """Operands that end where an output begins of a group that reads them element by element, and that output."""
    resident = {b.content: b for b in made.buffers if b.role is Role.RESIDENT}
    for name, b in resident.items():
        segment = made.segments[b.last_step]
        for group in network.groups[segment.first : segment.last + 1]:
            output = resident.get(group.output)
            if name in group.replaceable and output is not None and output.first_step == b.last_step:
                yield name, group.output


def in_places_where_possible(made: Plan, network: Network, device: Device) -> tuple[Plan, Mapping[str, str]]:
    """Each candidate in turn, if the checker has nothing against it. The plan, and what lies in which output."""
    outputs, found = dict[str, str](), in_places(made, network, device, {})
    for operand, output in candidates(made, network):
        if operand in outputs:
            continue
        try:
            moved = in_places(made, network, device, {**outputs, operand: output})
            check_plan(moved, network, device)
        except PlanCheckError:
            continue
        outputs[operand], found = output, moved
    return found, outputs
