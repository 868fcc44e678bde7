"""Where resident maps lie in the pixels of their buffers: beside others, if they have the place of a concat's output (rule 5)."""

from collections.abc import Mapping

from sfopt.groups import Network
from sfopt.plan import Plan, Role

__all__ = ["first_channels"]


def first_channels(plan: Plan, network: Network) -> Mapping[str, int]:
    """Resident map -> the channel of its buffer's pixels where its own channel 0 lies: 0, but for what lies in a concat's output.

    For valid plans. There, a map that has the place of an output of its last step is an operand of that output's group, and begins
    where `Group.replaceable` says; the output may lie in another one in turn.
    """
    resident = {b.content: b for b in plan.buffers if b.role is Role.RESIDENT}
    holders = dict[str, tuple[str, int]]()
    """Operand -> the output whose place it has, the channel of it where it begins."""
    for name, b in resident.items():
        segment = plan.segments[b.last_step]
        for reader in network.readers[name]:
            group = network.groups[reader]
            output = resident.get(group.output)
            if not segment.first <= reader <= segment.last or output is None or name not in group.replaceable:
                continue
            same_place = (b.offset, b.rows, b.row_bytes) == (output.offset, output.rows, output.row_bytes)
            if same_place and output.first_step == b.last_step:
                holders[name] = group.output, group.replaceable[name]
    return {name: _first_channel(name, holders) for name in resident}


def _first_channel(name: str, holders: Mapping[str, tuple[str, int]]) -> int:
    """Sum of the channels where each map on the way outwards begins in the next."""
    channel = 0
    while name in holders:
        name, more = holders[name]
        channel += more
    return channel
