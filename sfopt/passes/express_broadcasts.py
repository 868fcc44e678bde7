"""Add, Mul, Sub of a map and a smaller computed one -> of two maps of one shape

    (1, 1, ..) with (1, C, ..)        -> Conv 1x1 that copies the one channel C times
    (.., 1, W) or (.., H, 1) or both  -> Resize(scale_h, scale_w) that repeats the row, the column or the pixel

The accelerator multiplies by one number per channel, and by nothing else that is smaller than the map: a Mul by (1, C, 1, 1) stays.
"""

from dataclasses import replace

import numpy as np

from sfopt.graph import Attribute, Graph, Op, Tensor
from sfopt.passes.rewrite import decline, fresh, holds_integers, substitute, sweep
from sfopt.passes.selection import selection
from sfopt.passes.windows import LARGEST

__all__ = ["express_broadcasts"]


def express_broadcasts(graph: Graph) -> Graph:
    """Apply the rewrites of this module."""
    return graph if holds_integers(graph) else sweep(graph, _rule)


def _rule(graph: Graph, op: Op) -> Graph | None:
    if op.op_type not in ("Add", "Mul", "Sub") or not all(_is_map(graph, n) for n in (*op.inputs, op.output)):
        return None
    shape = graph.tensor(op.output).shape
    for name in op.inputs:
        small = graph.tensor(name)
        is_scale = op.op_type == "Mul" and small.shape == (1, shape[1], 1, 1)
        others = [n for n in op.inputs if n != name]
        if small.shape == shape or (is_scale and graph.tensor(others[0]).shape == shape):
            continue
        producer = graph.producers.get(name)
        if producer is not None and producer.op_type.startswith("Reduce"):
            return None  # it stays on the host, and what is subtracted from its own input needs more than 8 bits
        return _widened(graph, op, small, shape)
    return None


def _is_map(graph: Graph, name: str) -> bool:
    tensor = graph.tensor(name)
    return not tensor.is_constant and len(tensor.shape) == 4 and tensor.shape[0] == 1 and tensor.dtype == "float32"


def _widened(graph: Graph, op: Op, small: Tensor, shape: tuple[int, ...]) -> Graph | None:
    ops, tensors, current = list[Op](), list[Tensor](), small
    if small.shape[1] != shape[1]:
        current = replace(small, name=fresh(graph, f"{small.name}:channels"), shape=(1, shape[1], *small.shape[2:]))
        conv, weights = selection(graph, small.name, 1, np.zeros(shape[1], np.int64), current.name)
        ops.append(conv)
        tensors += [current, weights]
    factors = tuple(b // a for a, b in zip(current.shape[2:], shape[2:], strict=True))
    if factors != (1, 1) and not (op.op_type == "Mul" and current.shape[2:] == (1, 1)):
        if max(factors) > LARGEST:
            note = f"express_broadcasts: `{op.output}` stays: it repeats `{small.name}` {max(factors)} times, at most"
            return decline(graph, f"{note} {LARGEST} fit an instruction")
        source = current.name
        current = replace(small, name=fresh(graph, f"{small.name}:repeated"), shape=shape)
        scales: dict[str, Attribute] = {"mode": "nearest", "scale_h": factors[0], "scale_w": factors[1]}
        ops.append(Op(current.name, "Resize", (source,), (current.name,), scales))
        tensors.append(current)
    inputs = tuple(current.name if n == small.name else n for n in op.inputs)
    return substitute(graph, [op], [*ops, replace(op, inputs=inputs)], tensors)
