"""SETUP and COMPUTE words of one group, without tokens: geometry, post-processing, and where the operands lie."""

from sfopt.constant_blocks import first_operand, quant_of
from sfopt.cost import TABLE_BYTES
from sfopt.graph import Op
from sfopt.groups import Kind, Piece
from sfopt.plan import Role
from sfopt_fpga.isa import Binary, ComputeKind, Opcode
from sfopt_fpga.operands import Operands
from sfopt_fpga.tokens import Word

__all__ = ["compute_word", "setup_word"]

MAX_POOL_PAD = -128
_BINARY = {"QLinearAdd": Binary.ADD, "QLinearMul": Binary.MUL}


def setup_word(own: Operands, piece: Piece) -> Word:
    """SETUP for one piece of the group."""
    group = own.group
    values = {
        "kind": int(ComputeKind[group.kind.name]),
        **_window(own, piece),
        "out_height": own.output.height,
        "out_width": own.output.width,
        "out_channels": _channels(own, piece),
        "parameters": _parameters(own, piece),
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


def compute_word(own: Operands, piece: Piece, tile: int | None = None) -> Word:
    """COMPUTE for one piece: a band of rows for each index of the row loop, `tile` channels for each of the channel loop."""
    group, stage, rows = own.group, own.stage, own.rows
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
    return Word(Opcode.COMPUTE, values)


def _window(own: Operands, piece: Piece) -> dict[str, int]:
    window, x = own.group.window, own.stage.layout(piece.tensor)
    across = (1, 1, 1, 0) if own.folded else (window.kernel[1], window.stride[1], window.dilation[1], window.pads[1])
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


def _parameters(own: Operands, piece: Piece) -> int:
    """Word of the parameter block; a requantised piece of a concat has its table further on in it."""
    buffer = own.constant_buffer(Role.PARAMETERS)
    if buffer is None:
        return 0
    earlier = own.group.pieces[: own.group.pieces.index(piece)] if piece.requantise else ()
    return own.stage.words(buffer.offset + TABLE_BYTES * sum(p.requantise for p in earlier))


def _channels(own: Operands, piece: Piece) -> int:
    """Output channels that the piece's instruction writes."""
    return own.output.channels if len(own.group.pieces) == 1 else own.network.maps[piece.tensor].channels
