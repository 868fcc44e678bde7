"""PRelu(x, a) -> Add(x, Conv(Clip(x, -inf, 0), a - 1)), depthwise 1x1        a one number per channel

A table is the same for all channels of a map, so slopes that differ need a multiplication: what is negative of x, times a - 1,
on top of x. One number for all channels is a LeakyRelu before this (`unify_operators`).
"""

from dataclasses import replace

import numpy as np

from sfopt.graph import Attribute, Graph, Op
from sfopt.passes.rewrite import constant, data_of, fresh, holds_integers, substitute, sweep

__all__ = ["expand_prelus"]


def expand_prelus(graph: Graph) -> Graph:
    """Apply the rewrite of this module."""
    return graph if holds_integers(graph) else sweep(graph, _rule)


def _rule(graph: Graph, op: Op) -> Graph | None:
    source = graph.tensor(op.inputs[0]) if op.op_type == "PRelu" else None
    slopes = data_of(graph, op.inputs[1]) if source is not None else None
    if source is None or slopes is None or len(source.shape) != 4 or source.shape[0] != 1 or source.dtype != "float32":
        return None
    channels = source.shape[1]
    if slopes.size != channels or slopes.shape[-3:] != (channels, 1, 1):
        return None
    negative, scaled = (replace(source, name=fresh(graph, f"{op.output}:{part}")) for part in ("negative", "scaled"))
    weights = constant(graph, f"{op.output}:slopes", (slopes.reshape(channels, 1, 1, 1) - 1).astype(np.float32))
    attributes: dict[str, Attribute] = {
        "kernel_shape": (1, 1), "strides": (1, 1), "dilations": (1, 1), "pads": (0, 0, 0, 0), "group": channels,
    }  # fmt: skip
    ops = (
        Op(negative.name, "Clip", (source.name,), (negative.name,), {"min": -float("inf"), "max": 0.0}),
        Op(scaled.name, "Conv", (negative.name, weights.name), (scaled.name,), attributes),
        Op(op.name, "Add", (source.name, scaled.name), op.outputs),
    )
    return substitute(graph, [op], ops, [negative, scaled, weights])
