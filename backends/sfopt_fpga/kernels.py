"""SETUP and COMPUTE words of one step, without tokens: geometry, post-processing, and where the operands lie."""

from sfopt.cost import TABLE_BYTES
from sfopt.graph import Op
from sfopt.groups import Kind, Piece
from sfopt.plan import Role
from sfopt_fpga.constants import first_operand, quant_of
from sfopt_fpga.isa import Binary, ComputeKind, Opcode
from sfopt_fpga.operands import Operands
from sfopt_fpga.tokens import Word

__all__ = ["compute_word", "setup_word"]

MAX_POOL_PAD = -128
_BINARY = {"QLinearAdd": Binary.ADD, "QLinearMul": Binary.MUL}


def setup_word(step: Operands, piece: Piece) -> Word:
    """SETUP for one piece of the group."""
    group = step.group
    values = {
        "kind": int(ComputeKind[group.kind.name]),
        **_window(step, piece),
        "out_height": step.output.height,
        "out_width": step.output.width,
        "out_channels": _channels(step, piece),
        "parameters": _parameters(step, piece),
        "has_table0": int(bool(group.before) or piece.requantise),
        "has_table1": int(bool(group.after)),
        **_values_outside(step, step.network.graph.ops_by_name[group.heavy]),
    }
    if group.scale is not None:
        values |= {"has_scale": 1, "scale": step.words(step.buffer(group.scale).offset)}
    if group.binary is not None:
        op = step.network.graph.ops_by_name[group.binary]
        swapped = group.residual != piece.tensor and first_operand(step.network.graph, op) == group.residual
        values |= {"binary": int(_BINARY[op.op_type]), "swapped": int(swapped)}
    return Word(Opcode.SETUP, values)


def compute_word(step: Operands, piece: Piece, tile: int | None = None) -> Word:
    """COMPUTE for one piece: a band of rows for each index of the row loop, `tile` channels for each of the channel loop."""
    group, segment = step.group, step.segment
    x, out = step.buffer(piece.tensor), step.buffer(group.output)
    height = (step.network.maps[piece.tensor] if group.kind is Kind.GLOBAL_MEAN else step.output).height
    values = {
        "x_base": step.words(x.offset),
        "x_ring": x.rows,
        "x_pixel_words": step.pixel_words(step.layout(piece.tensor).channels),
        "out_base": step.words(out.offset),
        "out_ring": out.rows,
        "out_pixel_words": step.pixel_words(step.output.channels),
        "out_channel": piece.channel_offset,
        "first": segment.band_rows if segment.bands > 1 else height,
        "step": segment.band_rows if segment.bands > 1 else 0,
        "channel_first": tile or _channels(step, piece),
        "channel_step": tile or 0,
    }
    weights = step.constant_buffer(Role.WEIGHTS)
    if weights is not None:
        values |= {"weights_base": step.words(weights.offset), "weights_ring": weights.rows}
    if group.residual is not None:
        residual = step.buffer(group.residual)
        values |= {"residual_base": step.words(residual.offset), "residual_ring": residual.rows}
    return Word(Opcode.COMPUTE, values)


def _window(step: Operands, piece: Piece) -> dict[str, int]:
    window, x = step.group.window, step.layout(piece.tensor)
    across = (1, 1, 1, 0) if step.folded else (window.kernel[1], window.stride[1], window.dilation[1], window.pads[1])
    kernel_w, stride_w, dilation_w, pad_left = across
    return {
        "kernel_h": window.kernel[0],
        "kernel_w": kernel_w,
        "stride_h": window.stride[0],
        "stride_w": stride_w,
        "dilation_h": window.dilation[0],
        "dilation_w": dilation_w,
        "pad_top": window.pads[0],
        "pad_left": pad_left,
        "groups": step.group.conv_groups,
        "x_height": x.height,
        "x_width": x.width,
        "x_channels": x.channels,
    }


def _values_outside(step: Operands, heavy: Op) -> dict[str, int]:
    """The heavy operation's output zero point, and what it sees where there is no input."""
    graph = step.network.graph
    match step.group.kind:
        case Kind.CONV | Kind.DEPTHWISE | Kind.GLOBAL_MEAN:
            zeros = [quant_of(graph, name).zero_point for name in (heavy.inputs[0], heavy.output)]
            return {"pad_value": zeros[0], "out_zero": zeros[1]}
        case Kind.AVERAGE_POOL:
            counted = int(bool(heavy.attributes.get("count_include_pad", 0)))
            return {"pad_value": quant_of(graph, heavy.inputs[0]).zero_point, "include_pad": counted}
        case Kind.MAX_POOL:
            return {"pad_value": MAX_POOL_PAD}
    return {}


def _parameters(step: Operands, piece: Piece) -> int:
    """Word of the parameter block; a requantised piece of a concat has its table further on in it."""
    buffer = step.constant_buffer(Role.PARAMETERS)
    if buffer is None:
        return 0
    earlier = step.group.pieces[: step.group.pieces.index(piece)] if piece.requantise else ()
    return step.words(buffer.offset + TABLE_BYTES * sum(p.requantise for p in earlier))


def _channels(step: Operands, piece: Piece) -> int:
    """Output channels that the piece's instruction writes."""
    return step.output.channels if len(step.group.pieces) == 1 else step.network.maps[piece.tensor].channels
