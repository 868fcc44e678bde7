"""Where things are, as C initialisers: maps and constants on their way into the arena and out of it, and what computes a group."""

from dataclasses import dataclass

from sfopt.constant_blocks import first_operand, quant_of
from sfopt.cost import (
    AVERAGE_BYTES,
    BINARY_BYTES,
    SCALE_BYTES,
    TABLE_BYTES,
    Constant,
    padded_bytes,
)
from sfopt.groups import Kind, Piece
from sfopt.phases import Phase, phases
from sfopt.plan import Role
from sfopt.rows import RowSchedule, phase_schedule
from sfopt.stage import Member, Stage
from sfopt_c.kernels import RUN
from sfopt_c.text import Value

__all__ = ["Part", "block_fields", "layer_fields", "multiplies", "parts_of", "stream_fields"]

Fields = dict[str, Value]


def stream_fields(stage: Stage, tensor: str, rows: RowSchedule, dram: int, count: int) -> Fields:
    """A map at DRAM byte `dram`; `rows` are there after each band, `count` is the number of its counter."""
    fmap, layout, folder = stage.network.maps[tensor], stage.layout(tensor), stage.folder(tensor)
    fields: Fields = {
        "dram": dram,
        "in": _view(stage, tensor),
        "rows": _schedule(rows),
        "width": fmap.width,
        "channels": fmap.channels,
        "count": count,
        "pixels": layout.width,
        "taps": 1,
        "stride": 1,
    }
    if folder is not None:
        window, quant = folder.window, quant_of(stage.network.graph, tensor)
        fields |= {"taps": window.kernel[1], "stride": window.stride[1], "pad": window.pads[1]}
        fields["zero"] = int(quant.zero_point)
    return fields


def block_fields(member: Member, block: Constant, source: str, count: int) -> Fields:
    """A constant block out of array `source`: tile by tile if the member's weights come so, else whole."""
    tile = member.run.channel_tile if block == member.tiled else 0
    return {
        "from": source,
        "to": _block_view(member, block),
        "rows": (tile or block.rows, tile, block.rows),
        "pixels": block.pixels,
        "channels": block.channels,
        "count": count,
    }


def multiplies(member: Member) -> bool:
    """Whether the group's second operand is a factor."""
    group = member.group
    return group.binary is not None and member.network.graph.ops_by_name[group.binary].op_type == "QLinearMul"


@dataclass(frozen=True)
class Part:
    """What one layer does of a group: a piece of a concat, a phase of a transposed convolution, or all."""

    piece: Piece
    phase: Phase | None = None


def parts_of(member: Member) -> tuple[Part, ...]:
    """The parts of a group; without phases that have no pixels, as where a stride is above the output's size."""
    group, out, (down, across) = member.group, member.output, member.group.window.stride
    if not group.window.transposed:
        return tuple(Part(piece) for piece in group.pieces)
    made = (p for p in phases(group.window) if p.rows.rows(out.height, down) and p.columns.rows(out.width, across))
    return tuple(Part(group.pieces[0], phase) for phase in made)


def layer_fields(member: Member, part: Part, number: int) -> Fields:
    """What computes a part of the group; `number` is that of the map that it writes."""
    group, stage, piece = member.group, member.stage, part.piece
    x, whole = stage.layout(piece.tensor), len(group.pieces) == 1
    channels = member.output.channels if whole else stage.network.maps[piece.tensor].channels
    tile = member.run.channel_tile if member.tiled else 0
    fields: Fields = {
        "run": RUN[group.kind],
        "x": _view(stage, piece.tensor),
        "out": _view(stage, group.output),
        "rows": _schedule(member.rows),
        "channels": (tile or channels, tile, channels),
        "x_height": x.height,
        "x_width": x.width,
        "x_channels": x.channels,
        "out_width": member.output.width,
        "out_channels": channels,
        "out_channel": piece.channel_offset,
        "groups": group.conv_groups,
        **_window(member),
        "row_step": 1,
        "column_step": 1,
        **_values_outside(member),
        "mean": int(group.kind is Kind.GLOBAL_MEAN),
        "map": number,
        "scales": -1 if group.scale is None else stage.first_byte(group.scale),
        **_places(member, piece),
    }
    if group.kind in (Kind.CONV, Kind.DEPTHWISE):
        fields["weights"] = _block_view(member, member.blocks[0])
    if group.scale is not None:
        fields["scale"] = "scale_channel"
    if group.residual is not None and group.binary is not None:
        op = member.network.graph.ops_by_name[group.binary]
        swapped = group.residual != piece.tensor and first_operand(member.network.graph, op) == group.residual
        fields |= {"combine": "multiply" if multiplies(member) else "add", "residual": _view(stage, group.residual)}
        fields["swapped"] = int(swapped)
    return fields if part.phase is None else fields | _phase(member, part.phase)


def _phase(member: Member, phase: Phase) -> Fields:
    """What is other in a phase: its pixels, its kernel, its weights among those of all phases, its parameters."""
    (down, across), axes = member.group.window.stride, (phase.rows, phase.columns)
    weights, parameters = member.blocks
    base, ring, row_bytes, pixel_bytes = _block_view(member, weights)
    fields: Fields = {
        "rows": _schedule(phase_schedule(phase, member.rows, down)),
        "out_width": phase.columns.rows(member.output.width, across),
        "first_row": phase.rows.first,
        "row_step": down,
        "first_column": phase.columns.first,
        "column_step": across,
        "weights": (base + phase.first_position * pixel_bytes, ring, row_bytes, pixel_bytes),
        "stride_h": 1,
        "stride_w": 1,
        **{f"kernel_{way}": len(axis.taps) for way, axis in zip("hw", axes, strict=True)},
        **{f"dilation_{way}": axis.dilation for way, axis in zip("hw", axes, strict=True)},
        "pad_top": phase.rows.pad,
        "pad_left": phase.columns.pad,
    }
    own = phases(member.group.window).index(phase) * padded_bytes(parameters.channels, member.stage.device)
    return fields | {name: place + own for name, place in _places(member, member.group.pieces[0]).items() if place >= 0}


def _view(stage: Stage, tensor: str) -> tuple[int, ...]:
    buffer = stage.buffer(tensor)
    return stage.first_byte(tensor), buffer.rows, buffer.row_bytes, stage.pixel_bytes(tensor)


def _block_view(member: Member, block: Constant) -> tuple[int, ...]:
    buffer = member.block_buffer(block)
    return buffer.offset, buffer.rows, buffer.row_bytes, padded_bytes(block.channels, member.stage.device)


def _schedule(rows: RowSchedule) -> tuple[int, ...]:
    return min(rows.first, rows.total), rows.step, rows.total


def _window(member: Member) -> Fields:
    window = member.group.window
    across = (1, 1, 1, 0) if member.folded else (window.kernel[1], window.stride[1], window.dilation[1], window.pads[1])
    return {
        "kernel_h": window.kernel[0],
        "kernel_w": across[0],
        "stride_h": window.stride[0],
        "stride_w": across[1],
        "dilation_h": window.dilation[0],
        "dilation_w": across[2],
        "pad_top": window.pads[0],
        "pad_left": across[3],
    }


def _values_outside(member: Member) -> Fields:
    """What the heavy operation sees where there is no input, and its output's zero point."""
    graph = member.network.graph
    heavy = graph.ops_by_name[member.group.heavy]
    match member.group.kind:
        case Kind.CONV | Kind.DEPTHWISE | Kind.GLOBAL_MEAN:
            zeros = [int(quant_of(graph, name).zero_point) for name in (heavy.inputs[0], heavy.output)]
            return {"pad_value": zeros[0], "out_zero": zeros[1]}
        case Kind.AVERAGE_POOL:
            return {"include_pad": int(bool(heavy.attributes.get("count_include_pad", 0)))}
    return {}


def _places(member: Member, piece: Piece) -> dict[str, int]:
    """Arena bytes of the group's records (`sfopt.records`), -1 for those that it lacks."""
    group, buffer = member.group, member.constant_buffer(Role.PARAMETERS)
    requantised = [p for p in group.pieces if p.requantise]
    sizes = {
        "binary_record": BINARY_BYTES * (group.binary is not None),
        "scale_record": SCALE_BYTES * (group.scale is not None),
        "average_record": AVERAGE_BYTES * (group.kind is Kind.AVERAGE_POOL),
        "pieces": TABLE_BYTES * len(requantised),
        "before": TABLE_BYTES * bool(group.before),
        "after": TABLE_BYTES * bool(group.after),
        "records": int(group.kind in (Kind.CONV, Kind.DEPTHWISE, Kind.GLOBAL_MEAN)),
    }
    fields, place = dict[str, int](), 0 if buffer is None else buffer.offset
    for name, size in sizes.items():
        fields[name], place = (place if size else -1), place + size
    tables = fields.pop("pieces")
    if piece.requantise:
        fields["before"] = tables + TABLE_BYTES * requantised.index(piece)
    return fields
