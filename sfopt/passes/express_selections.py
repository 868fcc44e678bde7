"""Split, Slice over channels -> Conv 1x1 with one 1 a row;  SpaceToDepth -> Conv with one 1 a row, as wide as its block and stride

The accelerator has no operator that reads some of the channels; a convolution that copies them is exact and stays on-chip.
`fold_selections` then lets the convolutions behind it read the whole map.
"""

from collections.abc import Mapping

import numpy as np

from sfopt.graph import Attribute, Graph, Op
from sfopt.passes.rewrite import constant, fresh, holds_integers, substitute, sweep
from sfopt.passes.selection import selection

__all__ = ["express_selections"]


def express_selections(graph: Graph) -> Graph:
    """Apply the rewrites of this module."""
    return graph if holds_integers(graph) else sweep(graph, _rule)


def _rule(graph: Graph, op: Op) -> Graph | None:
    if op.op_type not in ("Slice", "SpaceToDepth", "Split") or len(op.inputs) != 1:
        return None
    source = graph.tensor(op.inputs[0])
    if len(source.shape) != 4 or source.shape[0] != 1 or source.dtype != "float32" or source.is_constant:
        return None
    if op.op_type == "SpaceToDepth":
        return _blocks(graph, op)
    return _split(graph, op) if op.op_type == "Split" else _slice(graph, op)


def _split(graph: Graph, op: Op) -> Graph | None:
    if op.ints("axis")[0] % 4 != 1:
        return None
    depth = graph.tensor(op.inputs[0]).shape[1]
    ops, tensors, first = [], [], 0
    for name in op.outputs:
        size = graph.tensor(name).shape[1] if name else 0
        if name:
            conv, weights = selection(graph, op.inputs[0], depth, np.arange(first, first + size), name)
            ops.append(conv)
            tensors.append(weights)
        first += size
    return substitute(graph, [op], ops, tensors)


def _slice(graph: Graph, op: Op) -> Graph | None:
    starts, ends = op.ints("starts"), op.ints("ends")
    axes = op.ints("axes") if "axes" in op.attributes else tuple(range(len(starts)))
    steps = op.ints("steps") if "steps" in op.attributes else (1,) * len(starts)
    if tuple(a % 4 for a in axes) != (1,):
        return None
    depth = graph.tensor(op.inputs[0]).shape[1]
    channels = np.arange(depth)[slice(starts[0], ends[0], steps[0])]
    conv, weights = selection(graph, op.inputs[0], depth, channels, op.output)
    return substitute(graph, [op], [conv], [weights])


def _blocks(graph: Graph, op: Op) -> Graph:
    """Output channel (row * block + column) * C + c is channel c at that place of the block."""
    block, depth = op.ints("blocksize")[0], graph.tensor(op.inputs[0]).shape[1]
    weights = np.zeros((block, block, depth, depth, block, block), np.float32)
    for row in range(block):
        for column in range(block):
            weights[row, column, :, :, row, column] = np.eye(depth)
    tensor = constant(graph, f"{op.output}:blocks", weights.reshape(-1, depth, block, block))
    attributes: Mapping[str, Attribute] = {
        "kernel_shape": (block, block),
        "strides": (block, block),
        "dilations": (1, 1),
        "pads": (0, 0, 0, 0),
        "group": 1,
    }
    conv = Op(fresh(graph, f"{op.output}:blocks"), "Conv", (op.inputs[0], tensor.name), op.outputs, attributes)
    return substitute(graph, [op], [conv], [tensor])
