"""Which segments are worth having, by plain recursion: they need less than any two parts beside what crosses the cut."""

from collections.abc import Iterator, Sequence

from brute_rows import Timing, can_join, ring_rows, timings

from sfopt import cost
from sfopt.device import Device
from sfopt.groups import Group, Kind, Network

__all__ = ["cut_bytes", "inner_bytes", "reread_sets"]


def inner_bytes(network: Network, device: Device, groups: Sequence[Group], timing: Timing) -> int:
    """Constants, and the rings of maps that nobody outside touches."""
    total = sum(b.rows * b.row_bytes(device) for g in groups for b in cost.constants(network, g, folded=False))
    indices = {g.index for g in groups}
    for group in groups:
        readers = {*network.readers[group.output]}
        if readers and readers <= indices and group.output not in network.outputs:
            rows = ring_rows(network, groups, timing, group.output, ahead=False, behind=False)
            total += rows * cost.map_row_bytes(network.maps[group.output], device)
    return total


def reread_sets(network: Network, device: Device, groups: Sequence[Group], timing: Timing) -> Iterator[frozenset[int]]:
    """The group, and the two groups, whose weights are worth reading again in every band, `lanes_out` channels at a time.

    They are those that leave most scratchpad free that way. Then the segment needs less than if it held them, in its lowest bands,
    and less than any two parts; and what it reads too much is less than to write and read all maps inside.
    """
    plain = [g for g in groups if g.kind is Kind.CONV and g.conv_groups == 1]
    weights = {g.index: cost.constants(network, g, folded=False)[0] for g in plain}
    freed = {
        i: (w.rows - device.lanes_out) * w.row_bytes(device) for i, w in weights.items() if w.rows > device.lanes_out
    }
    indices = {g.index for g in groups}
    inner = [g.output for g in groups if network.readers[g.output] and {*network.readers[g.output]} <= indices]
    spilled = sum(network.maps[n].size_bytes * (1 + len(network.readers[n])) for n in inner if n not in network.outputs)
    lowest = inner_bytes(network, device, groups, next(timings(network, groups, ())))
    limit = min(lowest, cut_bytes(network, device, (groups[0].index, groups[-1].index)))
    order = sorted(freed, key=lambda i: (-freed[i], i))
    for count in (1, 2)[: len(order)]:
        chosen = order[:count]
        need = inner_bytes(network, device, groups, timing) - sum(freed[i] for i in chosen)
        again = sum(weights[i].size_bytes for i in chosen) * (timing.bands - 1)
        syncs_and_loops = 4 + 2 * count
        touched = {n for g in groups for n in (*g.reads, g.output)}
        words = 2 * sum(len(g.pieces) for g in groups) + len(touched) + syncs_and_loops
        if need < limit and again < spilled and words <= cost.LOOP_WORDS:
            yield frozenset(chosen)


def cut_bytes(network: Network, device: Device, span: tuple[int, int]) -> int:
    """The least need of two parts of a segment, each beside the maps that groups on both sides of the cut touch."""
    first, last = span
    needs = []
    for k in range(first, last):
        front, back = network.groups[first : k + 1], network.groups[k + 1 : last + 1]
        touched = [{n for g in part for n in (*g.reads, g.output)} for part in (front, back)]
        crossing = {n for n in touched[0] & touched[1] if any(n in g.reads for g in back)}
        held = sum(network.maps[n].height * cost.map_row_bytes(network.maps[n], device) for n in crossing)
        needs.append(held + max(_need(network, device, (first, k)), _need(network, device, (k + 1, last))))
    return min(needs)


def _need(network: Network, device: Device, span: tuple[int, int]) -> int:
    """The least scratchpad in which these groups run with all maps between them on-chip; what comes in and goes out not counted."""
    groups = network.groups[span[0] : span[1] + 1]
    if len(groups) == 1:
        return sum(b.rows * b.row_bytes(device) for b in cost.constants(network, groups[0], folded=False))
    needs = [cut_bytes(network, device, span)]
    if can_join(groups):
        lowest = next(timings(network, groups, ()), None)
        needs += [] if lowest is None else [inner_bytes(network, device, groups, lowest)]
    return min(needs)
