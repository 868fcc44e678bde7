"""Reshape . Reshape -> Reshape;  Reshape to the same shape -> nothing"""

from dataclasses import replace

from sfopt.graph import Graph, Op
from sfopt.passes.rewrite import redirect, substitute, sweep

__all__ = ["merge_reshapes"]


def merge_reshapes(graph: Graph) -> Graph:
    """Apply the rewrite of this module."""
    return sweep(graph, _rule)


def _rule(graph: Graph, op: Op) -> Graph | None:
    if op.op_type != "Reshape" or len(op.inputs) != 1:
        return None
    if graph.tensor(op.inputs[0]).shape == graph.tensor(op.output).shape:
        return redirect(graph, op, op.inputs[0])
    inner = graph.producers.get(op.inputs[0])
    if inner is None or inner.op_type != "Reshape" or len(inner.inputs) != 1:
        return None
    return substitute(graph, [op], [replace(op, inputs=inner.inputs)])
