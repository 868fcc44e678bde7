"""Pools over the whole map -> GlobalAveragePool, MaxPool

    ReduceMean(axes 2, 3)                       -> GlobalAveragePool
    AveragePool with a kernel of the whole map  -> GlobalAveragePool
    ReduceMax(axes 2, 3), GlobalMaxPool         -> MaxPool with a kernel of the whole map

The map is the whole (H, W) of a (1, C, H, W) tensor.
"""

from collections.abc import Mapping
from dataclasses import replace

from sfopt.graph import Attribute, Graph, Op
from sfopt.passes.rewrite import substitute, sweep

__all__ = ["unify_pools"]


def unify_pools(graph: Graph) -> Graph:
    """Apply the rewrites of this module."""
    return sweep(graph, _rule)


def _rule(graph: Graph, op: Op) -> Graph | None:
    if op.op_type == "GlobalMaxPool" or (op.op_type == "ReduceMax" and _covers(graph, op)):
        return _maximum(graph, op)
    whole = op.op_type == "AveragePool" and _is_whole(graph, op)
    if whole or (op.op_type == "ReduceMean" and _covers(graph, op)):
        return substitute(graph, [op], [replace(op, op_type="GlobalAveragePool", attributes={})])
    return None


def _covers(graph: Graph, op: Op) -> bool:
    rank = len(graph.tensor(op.inputs[0]).shape)
    return len(op.inputs) == 1 and rank == 4 and op.ints("axes") == (2, 3) and op.attributes.get("keepdims", 1) == 1


def _is_whole(graph: Graph, op: Op) -> bool:
    shape, target = graph.tensor(op.inputs[0]).shape, graph.tensor(op.output).shape
    plain = not any(op.ints("pads")) and set(op.ints("dilations")) == {1}
    return plain and len(shape) == 4 and op.ints("kernel_shape") == shape[2:] and target[2:] == (1, 1)


def _maximum(graph: Graph, op: Op) -> Graph | None:
    shape = graph.tensor(op.inputs[0]).shape
    if len(shape) != 4:
        return None
    attributes: Mapping[str, Attribute] = {
        "kernel_shape": shape[2:], "strides": (1, 1), "pads": (0, 0, 0, 0), "dilations": (1, 1), "ceil_mode": 0, "storage_order": 0,
    }  # fmt: skip
    return substitute(graph, [op], [replace(op, op_type="MaxPool", attributes=attributes)])
