"""SETUP, PHASE and COMPUTE words of one group, without tokens: geometry, post-processing, and where the operands lie."""

from dataclasses import dataclass, replace

from sfopt.constant_blocks import first_operand, quant_of
from sfopt.cost import TABLE_BYTES, padded_bytes
from sfopt.graph import Op
from sfopt.groups import Kind, Piece
from sfopt.phases import Phase, kernel_positions, phases
from sfopt.plan import Role
from sfopt.rows import phase_schedule
from sfopt_fpga.isa import Binary, ComputeKind, Opcode
from sfopt_fpga.operands import Operands
from sfopt_fpga.program import Trace
from sfopt_fpga.tokens import Word

__all__ = ["Part", "compute_word", "parts_of", "phase_word", "setup_word"]

MAX_POOL_PAD = -128
_BINARY = {"QLinearAdd": Binary.ADD, "QLinearMul": Binary.MUL}


@dataclass(frozen=True)
class Part:
    """What one COMPUTE does of a group in a band: copy a piece of a concat, make a phase of a transposed convolution, or all."""

    piece: Piece
    phase: Phase | None
    height: int
    width: int
    """Rows and pixels of a row that it writes in all bands."""

    def trace(self, own: Operands) -> Trace:
        """What it writes of which tensor; `word` is not known here."""
        trace = Trace(0, own.group.output, self.piece.channel_offset)
        if self.phase is None:
            return trace
        return replace(trace, column_first=self.phase.columns.first, column_step=own.group.window.stride[1])


def parts_of(own: Operands) -> tuple[Part, ...]:
    """The parts of the group, in order; without phases that have no pixels, as where a stride is above the output's size."""
    group, height, width = own.group, own.output.height, own.output.width
    if not group.window.transposed:
        return tuple(Part(piece, None, height, width) for piece in group.pieces)
    (piece,), (down, across) = group.pieces, group.window.stride
    parts = (Part(piece, p, p.rows.rows(height, down), p.columns.rows(width, across)) for p in phases(group.window))
    return tuple(p for p in parts if p.height and p.width)


def setup_word(own: Operands, part: Part) -> Word:
    """SETUP for one part of the group."""
    group, piece = own.group, part.piece
    values = {
        "kind": int(ComputeKind[group.kind.name]),
        **_window(own, part),
        "out_height": part.height,
        "out_width": part.width,
        "out_channels": _channels(own, piece),
        "parameters": _parameters(own, part),
        "has_table0": int(bool(group.before) or piece.requantise),
        "has_table1": int(bool(group.after)),
        **_values_outside(own, own.network.graph.ops_by_name[group.heavy]),
    }
    if group.scale is not None:
        values |= {"has_scale": 1, "scale": own.stage.base(group.scale)}
    if group.binary is not None:
        op = own.network.graph.ops_by_name[group.binary]
        swapped = group.residual != piece.tensor and first_operand(own.network.graph, op) == group.residual
        values |= {"binary": int(_BINARY[op.op_type]), "swapped": int(swapped)}
    if group.residual is not None:
        values["residual_pixel_words"] = own.stage.pixel_words(group.residual)
    return Word(Opcode.SETUP, values)


def phase_word(own: Operands, phase: Phase) -> Word:
    """PHASE for one phase of a transposed convolution."""
    stage, down = own.stage, own.group.window.stride[0]
    values = {
        "out_row_words": down * stage.words(stage.buffer(own.group.output).row_bytes),
        "weights_row_words": kernel_positions(own.group.window) * _depth_words(own),
        "row_first": phase.rows.first,
        "row_step": down,
    }
    return Word(Opcode.PHASE, values)


def compute_word(own: Operands, part: Part, tile: int | None = None) -> Word:
    """COMPUTE for one part: a band of rows for each index of the row loop, `tile` channels for each of the channel loop."""
    group, stage, rows, piece = own.group, own.stage, own.rows, part.piece
    values = {
        "x_base": stage.base(piece.tensor),
        "x_ring": stage.buffer(piece.tensor).rows,
        "x_pixel_words": stage.pixel_words(piece.tensor),
        "out_base": stage.base(group.output),
        "out_ring": stage.buffer(group.output).rows,
        "out_pixel_words": stage.pixel_words(group.output),
        "out_channel": piece.channel_offset,
        "first": min(rows.first, rows.total),
        "step": rows.step,
        "channel_first": tile or _channels(own, piece),
        "channel_step": tile or 0,
    }
    weights = own.constant_buffer(Role.WEIGHTS)
    if weights is not None:
        values |= {"weights_base": stage.words(weights.offset), "weights_ring": weights.rows}
    if group.residual is not None:
        values |= {"residual_base": stage.base(group.residual), "residual_ring": stage.buffer(group.residual).rows}
    if part.phase is not None:
        _interleave(own, part.phase, values)
    return Word(Opcode.COMPUTE, values)


def _interleave(own: Operands, phase: Phase, values: dict[str, int]) -> None:
    """Turn a COMPUTE of all rows and columns into that of a phase of them."""
    down, across = own.group.window.stride
    rows, row_words = (
        phase_schedule(phase, own.rows, down),
        own.stage.words(own.stage.buffer(own.group.output).row_bytes),
    )
    values["out_base"] += phase.rows.first * row_words + phase.columns.first * values["out_pixel_words"]
    values["out_ring"] = -(-values["out_ring"] // down)
    values["out_pixel_words"] *= across
    values["weights_base"] += phase.first_position * _depth_words(own)
    values |= {"first": min(rows.first, rows.total), "step": rows.step}


def _depth_words(own: Operands) -> int:
    """Words of the weights at one kernel position."""
    return own.stage.words(padded_bytes(own.blocks[0].channels, own.stage.device))


def _window(own: Operands, part: Part) -> dict[str, int]:
    window, x = own.group.window, own.stage.layout(part.piece.tensor)
    down = (window.kernel[0], window.stride[0], window.dilation[0], window.pads[0])
    across = (1, 1, 1, 0) if own.folded else (window.kernel[1], window.stride[1], window.dilation[1], window.pads[1])
    if part.phase is not None:
        down, across = ((len(p.taps), 1, p.dilation, p.pad) for p in (part.phase.rows, part.phase.columns))
    kernel_h, stride_h, dilation_h, pad_top = down
    kernel_w, stride_w, dilation_w, pad_left = across
    return {
        "kernel_h": kernel_h,
        "kernel_w": kernel_w,
        "stride_h": stride_h,
        "stride_w": stride_w,
        "dilation_h": dilation_h,
        "dilation_w": dilation_w,
        "pad_top": pad_top,
        "pad_left": pad_left,
        "groups": own.group.conv_groups,
        "x_height": x.height,
        "x_width": x.width,
        "x_channels": x.channels,
    }


def _values_outside(own: Operands, heavy: Op) -> dict[str, int]:
    """The heavy operation's output zero point, and what it sees where there is no input."""
    graph = own.network.graph
    match own.group.kind:
        case Kind.CONV | Kind.DEPTHWISE | Kind.GLOBAL_MEAN:
            zeros = [quant_of(graph, name).zero_point for name in (heavy.inputs[0], heavy.output)]
            return {"pad_value": zeros[0], "out_zero": zeros[1]}
        case Kind.AVERAGE_POOL:
            counted = int(bool(heavy.attributes.get("count_include_pad", 0)))
            return {"pad_value": quant_of(graph, heavy.inputs[0]).zero_point, "include_pad": counted}
        case Kind.MAX_POOL:
            return {"pad_value": MAX_POOL_PAD}
    return {}


def _parameters(own: Operands, part: Part) -> int:
    """Word of the parameter block; a requantised piece of a concat has its table further on in it, a phase a block of its own."""
    piece = part.piece
    buffer = own.constant_buffer(Role.PARAMETERS)
    if buffer is None:
        return 0
    if part.phase is not None:
        block = own.blocks[-1]
        size_bytes = padded_bytes(block.channels, own.stage.device)
        return own.stage.words(buffer.offset + phases(own.group.window).index(part.phase) * size_bytes)
    earlier = own.group.pieces[: own.group.pieces.index(piece)] if piece.requantise else ()
    return own.stage.words(buffer.offset + TABLE_BYTES * sum(p.requantise for p in earlier))


def _channels(own: Operands, piece: Piece) -> int:
    """Output channels that the piece's instruction writes."""
    return own.output.channels if len(own.group.pieces) == 1 else own.network.maps[piece.tensor].channels
