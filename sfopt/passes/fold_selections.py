"""Conv(select(x), W) -> Conv(x, W with a zero for every channel that was left out), where that multiplies no more

    select(select(x, i), j) -> select(x, i[j])
    Conv(shuffle(x), W)     -> Conv(x, W shuffled)              also depthwise: the shuffle then follows it

`select` is a Conv that copies channels (`selection`), `shuffle` one that copies each once. Padding stays right: a selection adds
nothing, so zero remains zero.
"""

from dataclasses import replace
from math import prod

import numpy as np

from sfopt.graph import Graph, Op
from sfopt.passes.rewrite import constant, data_of, fresh, substitute, sweep
from sfopt.passes.selection import Indices, selected_channels, selection

__all__ = ["fold_selections"]


def fold_selections(graph: Graph) -> Graph:
    """Apply the rewrites of this module."""
    return sweep(sweep(sweep(graph, _compose), _pass_depthwise), _fold)


def _compose(graph: Graph, op: Op) -> Graph | None:
    outer = selected_channels(graph, op)
    inner_op = graph.producers.get(op.inputs[0]) if outer is not None else None
    inner = selected_channels(graph, inner_op)
    if outer is None or inner is None or inner_op is None:
        return None
    source = inner_op.inputs[0]
    conv, weights = selection(graph, source, graph.tensor(source).shape[1], inner[outer], op.output)
    return substitute(graph, [op], [replace(conv, name=op.name)], [weights])


def _pass_depthwise(graph: Graph, op: Op) -> Graph | None:
    """`op` is depthwise and reads a shuffle."""
    shuffle = graph.producers.get(op.inputs[0]) if op.op_type == "Conv" else None
    channels = selected_channels(graph, shuffle)
    if shuffle is None or channels is None or not _is_permutation(graph, shuffle, channels):
        return None
    weights = data_of(graph, op.inputs[1])
    bias = data_of(graph, op.inputs[2]) if len(op.inputs) > 2 and op.inputs[2] else None
    if weights is None or op.ints("group")[0] != channels.size or len(weights) != channels.size:
        return None
    if bias is None and len(op.inputs) > 2:
        return None
    back = np.argsort(channels)
    inner = replace(graph.tensor(op.output), name=fresh(graph, f"{op.output}:before"))
    parameters = [constant(graph, f"{op.output}:weights", np.ascontiguousarray(weights[back]))]
    if bias is not None:
        parameters.append(constant(graph, f"{op.output}:bias", np.ascontiguousarray(bias[back])))
    moved = replace(op, inputs=(shuffle.inputs[0], *(p.name for p in parameters)), outputs=(inner.name,))
    conv, chosen = selection(graph, inner.name, channels.size, channels, op.output)
    return substitute(graph, [op], [moved, conv], [inner, *parameters, chosen])


def _is_permutation(graph: Graph, op: Op, channels: Indices) -> bool:
    depth = graph.tensor(op.inputs[0]).shape[1]
    return channels.size == depth == np.unique(channels).size


def _fold(graph: Graph, op: Op) -> Graph | None:
    """`op` is a selection that convolutions read, and nothing else."""
    channels = selected_channels(graph, op)
    if channels is None or op.output in graph.outputs:
        return None
    readers = graph.consumers.get(op.output, ())
    depth = graph.tensor(op.inputs[0]).shape[1]
    spared = graph.tensor(op.output).elements * depth
    added = sum(
        graph.tensor(r.output).elements * prod(r.ints("kernel_shape"))
        for r in readers
        if "kernel_shape" in r.attributes
    )
    if not all(_is_plain(graph, r, op.output) for r in readers) or added * (depth - channels.size) > spared:
        return None
    for reader in readers:
        weights = data_of(graph, reader.inputs[1])
        assert weights is not None
        wide = np.zeros((weights.shape[0], depth, *weights.shape[2:]), np.float32)
        for i, channel in enumerate(channels):
            wide[:, channel] += weights[:, i]
        tensor = constant(graph, f"{reader.output}:weights", wide)
        moved = replace(reader, inputs=(op.inputs[0], tensor.name, *reader.inputs[2:]))
        graph = substitute(graph, [reader], [moved], [tensor])
    return graph


def _is_plain(graph: Graph, reader: Op, name: str) -> bool:
    """A convolution of one group over `name` with constant float weights, that is no selection itself."""
    if reader.op_type != "Conv" or reader.inputs[0] != name or reader.ints("group") != (1,):
        return False
    weights = data_of(graph, reader.inputs[1])
    return weights is not None and weights.dtype == np.float32 and selected_channels(graph, reader) is None
