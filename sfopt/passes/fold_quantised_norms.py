"""BatchNormalization(Conv(x, DequantizeLinear(w, s), b)) -> Conv(x, DequantizeLinear(sign(f) w, |f| s), (b - mean) f + beta)

with f = gamma / sqrt(variance + epsilon) for each output channel. Training that is aware of quantisation often leaves the
normalisation behind a convolution whose weights are integers already: they stay those integers, and their scales take the factor.
"""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from sfopt.graph import Graph, Op
from sfopt.passes.qdq import channel_quantization_of
from sfopt.passes.rewrite import constant, data_of, decline, fresh, substitute, sweep

__all__ = ["fold_quantised_norms"]


def fold_quantised_norms(graph: Graph) -> Graph:
    """Apply the rewrite of this module."""
    return sweep(graph, _rule)


def _rule(graph: Graph, op: Op) -> Graph | None:
    conv = graph.producers.get(op.inputs[0]) if op.op_type == "BatchNormalization" else None
    if conv is None or conv.op_type != "Conv" or graph.sole_consumer(conv.output) is not op:
        return None
    dequantize = graph.producers.get(conv.inputs[1])
    if (
        dequantize is None
        or dequantize.op_type != "DequantizeLinear"
        or not graph.tensor(dequantize.inputs[0]).is_constant
    ):
        return None
    parameters = [data_of(graph, name) for name in op.inputs[1:5]]
    bias = _bias(graph, conv)
    if bias is None or any(p is None for p in parameters):
        return decline(graph, f"fold_quantised_norms: `{op.output}` stays: its parameters are computed at run time")
    gamma, beta, mean, variance = (np.asarray(p, np.float64) for p in parameters)
    epsilon = op.attributes.get("epsilon", 1e-5)
    assert isinstance(epsilon, float)
    factor = gamma / np.sqrt(variance + epsilon)
    quant, zero_points = channel_quantization_of(graph, dequantize)
    weights = graph.tensor(dequantize.inputs[0])
    assert weights.data is not None
    sign = np.where(factor < 0, -1, 1).reshape(-1, *(1,) * (len(weights.shape) - 1))
    data = (weights.data.astype(np.int32) - zero_points) * sign
    scale = np.asarray(quant.scale * np.abs(factor), np.float32)
    if quant.axis not in (None, 0) or not scale.all() or data.min() < -128 or data.max() > 127:
        return decline(
            graph,
            f"fold_quantised_norms: `{op.output}` stays: int8 cannot hold weights `{weights.name}` with its factors",
        )
    constants = [
        constant(graph, f"{weights.name}:folded", data.astype(np.int8)),
        constant(graph, f"{weights.name}:scale", scale),
        constant(graph, f"{weights.name}:zero_point", np.zeros(scale.shape, np.int8)),
        constant(graph, f"{op.output}:bias", np.asarray((bias - mean) * factor + beta, np.float32)),
    ]
    integers, scales, zeros, folded = (t.name for t in constants)
    real = replace(graph.tensor(conv.inputs[1]), name=fresh(graph, f"{conv.inputs[1]}:folded"))
    again = Op(
        fresh(graph, f"{dequantize.name}:folded"),
        "DequantizeLinear",
        (integers, scales, zeros),
        (real.name,),
        {"axis": 0},
    )
    joined = replace(conv, inputs=(conv.inputs[0], real.name, folded), outputs=op.outputs[:1])
    return substitute(graph, [conv, op], [again, joined], [*constants, real])


def _bias(graph: Graph, conv: Op) -> npt.NDArray[np.float64] | None:
    """The real bias, 0 where there is none, None where it is computed."""
    if len(conv.inputs) < 3:
        return np.zeros(1)
    data = data_of(graph, conv.inputs[2])
    if data is not None:
        return data.astype(np.float64)
    op = graph.producers.get(conv.inputs[2])
    data = data_of(graph, op.inputs[0]) if op is not None and op.op_type == "DequantizeLinear" else None
    if op is None or data is None:
        return None
    quant, zero_points = channel_quantization_of(graph, op)
    return np.asarray((data.astype(np.int64) - zero_points) * quant.scale.astype(np.float64))
