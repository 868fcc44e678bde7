"""Rule 9's step model: DMA that is exposed, behind its own step's compute, or behind the step before's."""

from collections.abc import Mapping

from sfopt import cost
from sfopt.check.traffic import Key
from sfopt.check.view import View
from sfopt.groups import Group, Kind
from sfopt.plan import Role, Transfer, WeightMode

__all__ = ["edge_and_rest", "model_cycles"]


def model_cycles(view: View, moved: Mapping[Key, Transfer]) -> int:
    """The sum over steps of exposed + max(compute, behind + what the next step loads ahead)."""
    steps = len(view.plan.segments)
    exposed, behind, ahead, compute = ([0] * (steps + 1) for _ in range(4))
    for (step, name, _), transfer in moved.items():
        edge, rest = edge_and_rest(view, transfer)
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


def edge_and_rest(view: View, t: Transfer) -> tuple[int, int]:
    """Cycles of a transfer's first piece (of an output's last), and of all its other pieces."""
    b, segment, device = view.buffers.get(f"{t.segment}:{t.tensor}"), view.plan.segments[t.segment], view.device
    if b is not None and b.role in (Role.WEIGHTS, Role.PARAMETERS):
        return _constant_cycles(view, t.segment, view.network.groups[view.network.producers[b.content]], t.tensor)
    fmap = view.network.maps[t.tensor]
    if b is not None:
        row = cost.Moved.row(fmap, b.row_bytes, device)
        if b.role is Role.INPUT:
            rows, times = view.feed_rows[t.segment][t.tensor], view.times_read(t.segment, t.tensor)
            edge, rest = cost.stream_cycles(row, rows, segment.bands, device, reading=True)
            return edge * times, rest * times
        group = view.network.groups[view.network.producers[t.tensor]]
        if group.kind is not Kind.GLOBAL_MEAN and segment.run(group.index).weight_mode is not WeightMode.INPUT_REREAD:
            return cost.stream_cycles(row, view.run_rows(t.segment, group), segment.bands, device, reading=False)
    return cost.dma_cycles(cost.Moved.whole(fmap, device), device, reading=t.direction == "read"), 0


def _constant_cycles(view: View, step: int, group: Group, name: str) -> tuple[int, int]:
    """First piece and all others of a constant block: weights that the group does not hold come in tiles."""
    blocks = cost.constants(view.network, group, folded=view.folded(step, group))
    moved = next(b for b in blocks if b.name == name).moved(view.device)
    segment, run = view.plan.segments[step], view.plan.segments[step].run(group.index)
    if run.weight_mode is WeightMode.RESIDENT or not name.endswith(".weights"):
        return cost.dma_cycles(moved, view.device, reading=True), 0
    times = segment.bands if run.weight_mode is WeightMode.REREAD else 1
    return cost.piece_cycles(moved * times, view.tiles(run) * times, view.device)
