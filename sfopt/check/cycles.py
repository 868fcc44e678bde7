"""Rule 9's step model: DMA that is exposed, behind its own step's compute, or behind the step before's."""

from collections.abc import Mapping

from sfopt import cost
from sfopt.check.traffic import Key
from sfopt.check.view import View
from sfopt.groups import Kind
from sfopt.plan import Role, Transfer, WeightMode

__all__ = ["model_cycles"]


def model_cycles(view: View, moved: Mapping[Key, Transfer]) -> int:
    """The sum over steps of exposed + max(compute, behind + what the next step loads ahead)."""
    steps = len(view.plan.segments)
    exposed, behind, ahead, compute = ([0] * (steps + 1) for _ in range(4))
    for (step, name, _), transfer in moved.items():
        edge, rest = _edge_and_rest(view, transfer)
        b = view.buffers.get(f"{step}:{name}")
        (ahead if b is not None and b.first_step < step else exposed)[step] += edge
        (behind if view.plan.segments[step].overlap else exposed)[step] += rest
    for step, segment, groups in view.segments:
        for group in groups:
            rows, tile = view.run_rows(step, group), segment.run(group.index).channel_tile
            folded = view.folded(step, group)
            compute[step] += cost.group_cycles(
                view.network, group, view.device, rows, segment.bands, tile, folded=folded
            )
    return sum(exposed[s] + max(compute[s], behind[s] + ahead[s + 1]) for s in range(steps))


def _edge_and_rest(view: View, t: Transfer) -> tuple[int, int]:
    """Cycles of a transfer's first piece (of an output's last), and of all its other pieces."""
    b, segment, maps = view.buffers.get(f"{t.segment}:{t.tensor}"), view.plan.segments[t.segment], view.network.maps
    if b is None:
        return cost.dma_cycles(t.size_bytes, view.device), 0
    if b.role is Role.WEIGHTS:
        group = view.network.groups[view.network.producers[b.content]]
        return cost.piece_cycles(t.size_bytes, _weight_pieces(view, t.segment, group.index), view.device)
    if b.role in (Role.INPUT, Role.OUTPUT):
        fmap, bands = maps[t.tensor], segment.bands
        row_bytes, reading = fmap.width * fmap.channels, b.role is Role.INPUT
        if reading:
            rows, times = view.feed_rows[t.segment][t.tensor], view.times_read(t.segment, t.tensor)
            edge, rest = cost.stream_cycles(row_bytes, rows, bands, view.device, reading=True)
            return edge * times, rest * times
        group = view.network.groups[view.network.producers[t.tensor]]
        if group.kind is not Kind.GLOBAL_MEAN and segment.run(group.index).weight_mode is not WeightMode.INPUT_REREAD:
            return cost.stream_cycles(row_bytes, view.run_rows(t.segment, group), bands, view.device, reading=False)
    return cost.dma_cycles(t.size_bytes, view.device), 0


def _weight_pieces(view: View, step: int, group: int) -> int:
    segment = view.plan.segments[step]
    run = segment.run(group)
    if run.weight_mode is WeightMode.RESIDENT:
        return 1
    return view.tiles(run) * (segment.bands if run.weight_mode is WeightMode.REREAD else 1)
