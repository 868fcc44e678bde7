"""Rule 4: how weights reach the scratchpad, and the buffers of weights and parameters."""

from sfopt import cost
from sfopt.check.require import require
from sfopt.check.shape import own_buffer
from sfopt.check.view import View
from sfopt.groups import Group, Kind
from sfopt.plan import Role, Segment, WeightMode

__all__ = ["check_constants"]


def check_constants(view: View) -> set[str]:
    """Check the weight mode of every run and the buffers of every group's constants; returns the buffers' names."""
    known = set[str]()
    for step, segment, groups in view.segments:
        for group in groups:
            _check_weight_mode(view, step, segment, group)
            known |= _blocks(view, step, segment, group)
    return known


def _check_weight_mode(view: View, step: int, segment: Segment, group: Group) -> None:
    """Tiles are for a plain convolution: STREAMED in one band, REREAD in several, INPUT_REREAD in several of a group on its own."""
    run, channels, lanes = segment.run(group.index), view.network.maps[group.output].channels, view.device.lanes_out
    where, mode, tile = f"`{group.name}` in segment {step}", run.weight_mode, run.channel_tile
    if mode is WeightMode.RESIDENT:
        require(tile == channels, 4, f"{where} has a tile of {tile} channels, RESIDENT needs {channels}")
        return
    plain = group.kind is Kind.CONV and group.conv_groups == 1
    require(plain, 4, f"{where} is {group.kind}, {mode} needs a plain conv")
    count = len(segment.runs)
    alone = count == 1 or mode is WeightMode.REREAD
    require(alone, 4, f"{where} is {mode} among {count} groups, needs a segment of its own")
    require(0 < tile <= channels, 4, f"{where} has a tile of {tile} of {channels} channels")
    whole = tile % lanes == 0 or tile == channels
    require(whole, 4, f"{where} has a tile of {tile} channels, no multiple of {lanes} nor all {channels}")
    right = (segment.bands == 1) == (mode is WeightMode.STREAMED)
    require(right, 4, f"{where} is {mode} with {segment.bands} bands")
    again = mode is not WeightMode.INPUT_REREAD or any(view.times_read(step, t) > 1 for t in view.fed[step])
    require(again, 4, f"{where} is {mode} and reads no input again, needs a feed of several bands and tiles")


def _blocks(view: View, step: int, segment: Segment, group: Group) -> set[str]:
    """WEIGHTS and PARAMETERS: whole, and then perhaps a step early; or a tile of weights, two with overlap."""
    known, run = set[str](), segment.run(group.index)
    may_be_early = step > 0 and not view.is_host(step - 1)
    for block in cost.constants(view.network, group, folded=view.folded(step, group)):
        role = Role.WEIGHTS if block.name.endswith(".weights") else Role.PARAMETERS
        tiled = role is Role.WEIGHTS and run.weight_mode is not WeightMode.RESIDENT
        rows = min(block.rows, run.channel_tile * (2 if segment.overlap else 1)) if tiled else block.rows
        row_bytes = block.row_bytes(view.device)
        b = own_buffer(view, step, block.name, role, group.name, row_bytes, early=may_be_early and not tiled)
        require(b.rows == rows, 4, f"`{b.name}` has {b.rows} rows, needs {rows}")
        known.add(b.name)
    return known
