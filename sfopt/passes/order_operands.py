"""Add(b, a) -> Add(a, b), Mul likewise: the full feature map first, what is broadcast or constant second"""

from dataclasses import replace

from sfopt.graph import Graph, Op
from sfopt.passes.rewrite import substitute, sweep

__all__ = ["order_operands"]


def order_operands(graph: Graph) -> Graph:
    """Apply the rewrite of this module."""
    return sweep(graph, _rule)


def _rule(graph: Graph, op: Op) -> Graph | None:
    if op.op_type not in ("Add", "Mul"):
        return None
    first, second = (graph.tensor(n) for n in op.inputs)
    if (first.elements, not first.is_constant) >= (second.elements, not second.is_constant):
        return None
    return substitute(graph, [op], [replace(op, inputs=op.inputs[::-1])])
