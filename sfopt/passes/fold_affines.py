"""Mul, Add by one constant per channel -> part of a Conv

    a * Conv(x, W, c) + b  -> Conv(x, a * W, a * c + b)
    Conv(a * x + b, W, c)  -> Conv(x, W * a, c + sum(W * b))     b = 0, or the outer Conv has no padding
    a * x + b              -> Conv(x, a, b), depthwise 1x1       otherwise: exact, and one more group
    a * x + b              -> a * x + b                          one number for all channels that no Conv takes: a table later

The second line is refused where padding is inserted between the two: a padded zero is not `a * 0 + b`.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from sfopt.graph import Attribute, Graph, Op
from sfopt.passes.rewrite import constant, data_of, decline, fresh, holds_integers, substitute, sweep

__all__ = ["fold_affines"]

_Array = npt.NDArray[np.float64]
_POINTWISE: Mapping[str, Attribute] = {
    "kernel_shape": (1, 1),
    "strides": (1, 1),
    "dilations": (1, 1),
    "pads": (0, 0, 0, 0),
}


def fold_affines(graph: Graph) -> Graph:
    """Apply the rewrites of this module."""
    if holds_integers(graph):
        return graph
    graph = sweep(graph, _fold_after)
    graph = sweep(graph, _express_depthwise)
    graph = sweep(graph, _fold_after)
    return sweep(graph, _fold_before)


def _affine(graph: Graph, op: Op) -> tuple[str, _Array, _Array] | None:
    """(x, a, b) when `op` computes a * x + b with float32 x of shape (1, C, H, W), a and b of shape (C,)."""
    target = graph.tensor(op.output)
    if op.op_type not in ("Add", "Mul") or len(target.shape) != 4 or target.dtype != "float32" or target.shape[0] != 1:
        return None
    for name, other in (op.inputs, op.inputs[::-1]):
        data = data_of(graph, other)
        if data is None or graph.tensor(name).shape != target.shape or graph.tensor(name).is_constant:
            continue
        channels = target.shape[1]
        if data.size != 1 and (data.ndim < 3 or data.shape[-3:] != (channels, 1, 1) or data.size != channels):
            return None
        values = np.broadcast_to(data.astype(np.float64).reshape(-1), (channels,))
        return (name, values, np.zeros(channels)) if op.op_type == "Mul" else (name, np.ones(channels), values)
    return None


def _parameters(graph: Graph, op: Op | None, types: tuple[str, ...] = ("Conv",)) -> tuple[_Array, _Array] | None:
    """Weights and bias of a convolution, None where they are not constant."""
    weights = data_of(graph, op.inputs[1]) if op is not None and op.op_type in types else None
    if op is None or weights is None or weights.dtype != np.float32 or weights.ndim != 4:
        return None
    if len(op.inputs) < 3 or not op.inputs[2]:
        return weights.astype(np.float64), np.zeros(graph.tensor(op.output).shape[1])
    bias = data_of(graph, op.inputs[2])
    return None if bias is None else (weights.astype(np.float64), bias.astype(np.float64))


def _fold_after(graph: Graph, op: Op) -> Graph | None:
    affine = _affine(graph, op)
    conv = graph.producers.get(affine[0]) if affine is not None else None
    found = _parameters(graph, conv, ("Conv", "ConvTranspose"))
    if affine is None or conv is None or found is None or graph.sole_consumer(conv.output) is not op:
        return None
    (weights, bias), (_, a, b) = found, affine
    if conv.op_type == "Conv":
        scaled = weights * a.reshape(-1, 1, 1, 1)
    elif conv.ints("group") == (1,):
        scaled = weights * a.reshape(1, -1, 1, 1)
    else:
        return None
    return _replace(graph, [conv, op], replace(conv, outputs=op.outputs), scaled, a * bias + b)


def _replace(graph: Graph, removed: list[Op], conv: Op, weights: _Array, bias: _Array) -> Graph:
    kernel = constant(graph, f"{conv.output}:weights", weights.astype(np.float32))
    offset = constant(graph, f"{conv.output}:bias", bias.astype(np.float32))
    return substitute(
        graph, removed, [replace(conv, inputs=(conv.inputs[0], kernel.name, offset.name))], [kernel, offset]
    )


def _express_depthwise(graph: Graph, op: Op) -> Graph | None:
    affine = _affine(graph, op)
    if affine is None:
        return None
    name, a, b = affine
    if np.ptp(a) == 0 and np.ptp(b) == 0 and not _is_taken_by_convs(graph, op.output, padded=not np.any(b)):
        return None
    attributes = {**_POINTWISE, "group": a.size}
    conv = Op(fresh(graph, f"{op.name}:affine"), "Conv", (name, ""), op.outputs, attributes)
    return _replace(graph, [op], conv, a.reshape(-1, 1, 1, 1), b)


def _fold_before(graph: Graph, op: Op) -> Graph | None:
    """`op` is a depthwise 1x1 Conv, read by convolutions only."""
    found = _parameters(graph, op)
    if found is None or not _is_affine(graph, op) or not _is_read_by_convs(graph, op.output):
        return None
    a, b = found[0].reshape(-1), found[1]
    readers = graph.consumers.get(op.output, ())
    padded = [r for r in readers if any(r.ints("pads"))]
    if padded and np.any(b):
        note = f"fold_affines: `{op.output}` stays a depthwise Conv: `{padded[0].output}` pads it with zeros"
        return decline(graph, note)
    for reader in readers:
        weights, bias = _parameters(graph, reader) or (a, b)
        group = reader.ints("group")[0]
        per_group = (a.reshape(group, -1), b.reshape(group, -1))
        scale, shift = (np.repeat(v, weights.shape[0] // group, axis=0)[:, :, None, None] for v in per_group)
        moved = replace(reader, inputs=(op.inputs[0], *reader.inputs[1:]))
        graph = _replace(graph, [reader], moved, weights * scale, bias + (weights * shift).sum(axis=(1, 2, 3)))
    return graph


def _is_read_by_convs(graph: Graph, name: str) -> bool:
    readers = graph.consumers.get(name, ())
    return name not in graph.outputs and all(r.inputs[0] == name and _parameters(graph, r) for r in readers)


def _is_taken_by_convs(graph: Graph, name: str, *, padded: bool) -> bool:
    """Whether convolutions alone read `name`, without padding unless `padded`."""
    readers = graph.consumers.get(name, ())
    return _is_read_by_convs(graph, name) and (padded or not any(any(r.ints("pads")) for r in readers))


def _is_affine(graph: Graph, op: Op) -> bool:
    channels = graph.tensor(op.inputs[0]).shape[1]
    plain = all(op.ints(key) == value for key, value in _POINTWISE.items())
    return plain and op.ints("group") == (channels,) and graph.tensor(op.output).shape[1] == channels
