"""Constant blocks of a network, byte for byte as a plan counts them: weights, and the parameter block of each group.

The sizes are those of `cost.constants`, the records of parameters those of `records`. Folding an input changes how weights are
spread over words, never their bytes.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sfopt import arithmetic
from sfopt.errors import InternalError
from sfopt.graph import Graph, Op, Quant
from sfopt.groups import Group, Kind, Network, Window
from sfopt.phases import NO_TAP, Phase, phases
from sfopt.records import pack_average, pack_binary, pack_channels, pack_scale, pack_table
from sfopt.tables import lookup_table

__all__ = ["chain_table", "first_operand", "parameter_block", "quant_of", "weight_block"]


def weight_block(network: Network, group: Group) -> bytes:
    """CONV: OHWI, one row an output channel. DEPTHWISE: HWC in one row. Others: nothing."""
    if group.kind not in (Kind.CONV, Kind.DEPTHWISE):
        return b""
    weights = _weights(network.graph, network.graph.ops_by_name[group.heavy])
    order = (0, 2, 1) if group.kind is Kind.CONV else (2, 0, 1)
    return _positions(weights, group.window).transpose(order).tobytes()


def _positions(weights: npt.NDArray[np.int8], window: Window) -> npt.NDArray[np.int8]:
    """OIHW weights as (O, I, kernel positions), in the order in which `cost.constants` has them."""
    if not window.transposed:
        return weights.reshape(*weights.shape[:2], -1)
    return np.concatenate([_phase_weights(weights, phase) for phase in phases(window)], axis=2)


def _phase_weights(weights: npt.NDArray[np.int8], phase: Phase) -> npt.NDArray[np.int8]:
    """Of a transposed convolution's OIHW weights those of a phase, as (O, I, its kernel positions)."""
    for axis, taps in ((2, phase.rows.taps), (3, phase.columns.taps)):
        chosen = np.take(weights, [max(t, 0) for t in taps], axis=axis)
        absent = np.array([t == NO_TAP for t in taps]).reshape([-1 if d == axis else 1 for d in range(4)])
        weights = np.where(absent, np.int8(0), chosen)
    return weights.reshape(*weights.shape[:2], -1)


def parameter_block(network: Network, group: Group) -> bytes:
    """Binary, scale, average, tables of requantised pieces, table0, table1, bias and factor by channel: what the group has of it.

    Of a transposed convolution the same for each phase.
    """
    if group.kind is Kind.HOST:
        return b""
    if group.window.transposed:
        return b"".join(_parameters(network, group, phase) for phase in phases(group.window))
    return _parameters(network, group, None)


def _parameters(network: Network, group: Group, phase: Phase | None) -> bytes:
    graph = network.graph
    heavy = graph.ops_by_name[group.heavy]
    parts = list[bytes]()
    if group.binary is not None:
        parts.append(_binary(graph, graph.ops_by_name[group.binary]))
    if group.scale_op is not None:
        parts.append(_scale(graph, graph.ops_by_name[group.scale_op]))
    if group.kind is Kind.AVERAGE_POOL:
        x, y = quant_of(graph, heavy.inputs[0]), quant_of(graph, heavy.output)
        average = arithmetic.AveragePoolParams(np.float32(x.scale), x.zero_point, np.float32(y.scale), y.zero_point)
        parts.append(pack_average(average))
    parts += [_requantise(graph, p.tensor, group.output) for p in group.pieces if p.requantise]
    parts += [pack_table(chain_table(graph, chain)) for chain in (group.before, group.after) if chain]
    parts.append(_channels(network, group, heavy, phase))
    return b"".join(parts)


def chain_table(graph: Graph, names: Sequence[str]) -> npt.NDArray[np.int8]:
    """int8 (256,), indexed by the input's byte: what a chain of operators on one value makes of it."""
    first = graph.ops_by_name[names[0]]
    values = {first.inputs[0]: np.arange(256, dtype=np.uint8).view(np.int8)}
    for name in names:
        op = graph.ops_by_name[name]
        a = values[op.inputs[0]]
        match op.op_type:
            case "Lookup":
                values[op.output] = arithmetic.apply_table(a, lookup_table(graph, op))
            case "QLinearMul":
                values[op.output] = arithmetic.mul(a, values[op.inputs[1]], _mul_params(graph, op))
            case _:
                raise InternalError(f"{op.op_type} `{op.name}` is not a function of one value")
    return values[graph.ops_by_name[names[-1]].output]


def _binary(graph: Graph, op: Op) -> bytes:
    if op.op_type == "QLinearMul":
        return pack_binary(_mul_params(graph, op))
    inputs = op.inputs if first_operand(graph, op) == op.inputs[0] else op.inputs[::-1]
    quants = [quant_of(graph, n) for n in (*inputs, op.output)]
    scales = [np.float32(q.scale) for q in quants]
    zeros = [q.zero_point for q in quants]
    return pack_binary(arithmetic.add_params(scales[0], zeros[0], scales[1], zeros[1], scales[2], zeros[2]))


def first_operand(graph: Graph, op: Op) -> str:
    """First operand of a sum or product as the kernel takes it: those of sums of a single element are exchanged."""
    exchanged = op.op_type == "QLinearAdd" and graph.tensor(op.output).elements == 1
    return op.inputs[1 if exchanged else 0]


def _scale(graph: Graph, op: Op) -> bytes:
    return pack_scale(_mul_params(graph, op))


def _mul_params(graph: Graph, op: Op) -> arithmetic.MulParams:
    a, b, y = (quant_of(graph, n) for n in (op.inputs[0], op.inputs[1], op.output))
    return arithmetic.mul_params(
        np.float32(a.scale), a.zero_point, np.float32(b.scale), b.zero_point, np.float32(y.scale), y.zero_point
    )


def _requantise(graph: Graph, source: str, target: str) -> bytes:
    x, y = quant_of(graph, source), quant_of(graph, target)
    return pack_table(arithmetic.requantize_table(np.float32(x.scale), x.zero_point, np.float32(y.scale), y.zero_point))


def _channels(network: Network, group: Group, heavy: Op, phase: Phase | None) -> bytes:
    if group.kind not in (Kind.CONV, Kind.DEPTHWISE, Kind.GLOBAL_MEAN):
        return b""
    graph = network.graph
    x, y = quant_of(graph, heavy.inputs[0]), quant_of(graph, heavy.output)
    if group.kind is Kind.GLOBAL_MEAN:
        fmap = network.maps[group.pieces[0].tensor]
        pixels = fmap.height * fmap.width
        factor = arithmetic.global_mean_factor(np.float32(x.scale), np.float32(y.scale), pixels)
        return pack_channels(np.array([-x.zero_point * pixels], np.int32), np.array([factor], np.float32))
    weights = _weights(graph, heavy)
    if phase is not None:
        weights = _phase_weights(weights, phase)
    given = graph.tensor(heavy.inputs[2]).data if len(heavy.inputs) > 2 and heavy.inputs[2] else None
    bias = arithmetic.fold_input_zero_point(weights, None if given is None else given.astype(np.int32), x.zero_point)
    w_scale = np.broadcast_to(quant_of(graph, heavy.inputs[1]).scale, bias.shape)
    return pack_channels(bias, arithmetic.conv_factor(np.float32(x.scale), w_scale, np.float32(y.scale)))


def _weights(graph: Graph, op: Op) -> npt.NDArray[np.int8]:
    data = graph.tensor(op.inputs[1]).data
    if data is None:
        raise InternalError(f"{op.op_type} `{op.name}` has weights that are computed")
    return np.asarray(data, np.int8)


def quant_of(graph: Graph, name: str) -> Quant:
    """Quantisation of a tensor, which every operand of an integer operator has."""
    quant = graph.tensor(name).quant
    if quant is None:
        raise InternalError(f"tensor `{name}` has no quantisation")
    return quant
