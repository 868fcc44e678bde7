"""Rule 3: which maps pass through a segment, each through a buffer of its own, and what may not share a segment."""

from sfopt import cost
from sfopt.check.bands import check_bands
from sfopt.check.require import require
from sfopt.check.shape import own_buffer
from sfopt.check.view import View
from sfopt.groups import Group, Kind
from sfopt.plan import Role

__all__ = ["check_streams"]


def check_streams(view: View) -> set[str]:
    """Check INPUT, OUTPUT and RING buffers, feeds and runs of every segment; returns the buffers' names."""
    for step, segment, groups in view.segments:
        _check_company(step, groups)
        feeds, fed = sorted(f.tensor for f in segment.feeds), sorted(view.fed[step])
        require(feeds == fed, 3, f"segment {step} has feeds of {feeds}, needs {fed}")
    known = set[str]()
    for step, _, _ in view.segments:
        known |= _inputs(view, step) | _outputs(view, step)
        check_bands(view, step)
    return known


def _inputs(view: View, step: int) -> set[str]:
    """An INPUT for each map that is streamed in; folded only for a single reader."""
    network, device, known = view.network, view.device, set[str]()
    for tensor in view.fed[step]:
        readers = view.inside_readers(step, tensor)
        row_bytes = cost.map_row_bytes(network.maps[tensor], device)
        if len(readers) == 1:
            row_bytes = cost.stream_row_bytes(network, readers[0], tensor, device)
        known.add(own_buffer(view, step, tensor, Role.INPUT, tensor, row_bytes, early=False).name)
    return known


def _outputs(view: View, step: int) -> set[str]:
    """An OUTPUT for each map that is made and goes to DRAM, a RING for each that only this segment reads; none if resident."""
    known = set[str]()
    for tensor in view.made[step]:
        if not view.keeps(step, tensor):
            role = Role.OUTPUT if tensor in view.in_dram else Role.RING
            row_bytes = cost.map_row_bytes(view.network.maps[tensor], view.device)
            known.add(own_buffer(view, step, tensor, role, tensor, row_bytes, early=False).name)
    return known


def _check_company(step: int, groups: tuple[Group, ...]) -> None:
    """No group scales by what its own segment makes; at most one global mean, whose row nobody in the segment reads."""
    made = {g.output for g in groups}
    means = [g.output for g in groups if g.kind is Kind.GLOBAL_MEAN]
    require(len(means) < 2, 3, f"segment {step} takes {len(means)} global means: {', '.join(means)}")
    for group in groups:
        inside = group.scale in made
        require(not inside, 3, f"`{group.name}` scales by `{group.scale}`, which its own segment {step} makes")
        read = next((m for m in means if m in group.reads), None)
        require(read is None, 3, f"`{group.name}` reads global mean `{read}`, which its own segment {step} takes")
