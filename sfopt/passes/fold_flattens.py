"""Conv 1x1 . Reshape(1, C*H*W, 1, 1) [. Transpose] -> Conv HxW

The weights are reordered where the map was flattened channels last, which is what the Transpose says.
"""

from dataclasses import replace

import numpy as np

from sfopt.graph import Graph, Op
from sfopt.passes.rewrite import constant, data_of, substitute, sweep

__all__ = ["fold_flattens"]


def fold_flattens(graph: Graph) -> Graph:
    """Apply the rewrite of this module."""
    return sweep(graph, _rule)


def _rule(graph: Graph, op: Op) -> Graph | None:
    weights = data_of(graph, op.inputs[1]) if op.op_type == "Conv" else None
    reshape = graph.producers.get(op.inputs[0]) if weights is not None else None
    if weights is None or reshape is None or reshape.op_type != "Reshape" or op.ints("group") != (1,):
        return None
    if op.ints("kernel_shape") != (1, 1) or any(op.ints("pads")) or graph.tensor(op.inputs[0]).shape[2:] != (1, 1):
        return None
    source, perm = reshape.inputs[0], (0, 1, 2, 3)
    mover = graph.producers.get(source)
    if mover is not None and mover.op_type == "Transpose" and len(mover.ints("perm")) == 4:
        source, perm = mover.inputs[0], mover.ints("perm")  # type: ignore[assignment]
    shape = graph.tensor(source).shape
    if len(shape) != 4 or shape[0] != 1 or perm[0] != 0:
        return None
    flattened = tuple(shape[a] for a in perm[1:])
    inverse = (0, *(perm.index(a) for a in (1, 2, 3)))
    kernel = np.ascontiguousarray(weights.reshape(weights.shape[0], *flattened).transpose(inverse))
    tensor = constant(graph, f"{op.inputs[1]}:map", kernel)
    attributes = {**op.attributes, "kernel_shape": shape[2:], "strides": (1, 1)}
    folded = replace(op, inputs=(source, tensor.name, *op.inputs[2:]), attributes=attributes)
    return substitute(graph, [op], [folded], [tensor])
