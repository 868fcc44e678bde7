"""Add(Mul(x, a), Mul(y, b)) -> Mul(Add(Mul(x, a / b), y), b)      a, b numbers, y read elsewhere too

A weighted sum of feature maps (the fusion nodes of a bidirectional pyramid) needs one factor less than it has terms; the common one
goes to whatever follows. A factor costs nothing behind the operator that writes x, or behind the sum: both become part of a table.
In front of the second operand of a sum there is no table, so y, which its writer cannot scale for all its readers, is the one that
is left plain.
"""

import numpy as np

from sfopt.graph import Graph, Op
from sfopt.passes.rewrite import constant, fresh, holds_integers, number_operand, substitute, sweep

__all__ = ["share_factors"]


def share_factors(graph: Graph) -> Graph:
    """Apply the rewrite of this module."""
    return graph if holds_integers(graph) else sweep(graph, _rule)


def _rule(graph: Graph, op: Op) -> Graph | None:
    if op.op_type != "Add":
        return None
    terms = [_term(graph, op, name) for name in op.inputs]
    if terms[0] is None or terms[1] is None:
        return None
    shared = [graph.sole_consumer(source) is None for _, source, _ in (terms[0], terms[1])]
    if not any(shared):
        return None
    (product, x, a), (_, y, b) = (terms[0], terms[1]) if shared[1] else (terms[1], terms[0])
    target = graph.tensor(op.output)
    ratio = constant(graph, f"{product.output}:ratio", np.asarray(np.float64(a) / np.float64(b), np.float32))
    factor = constant(graph, f"{op.output}:factor", np.asarray(b, np.float32))
    scaled = type(target)(fresh(graph, f"{product.output}:shared"), target.shape, target.dtype)
    total = type(target)(fresh(graph, f"{op.output}:sum"), target.shape, target.dtype)
    ops = (
        Op(fresh(graph, f"{product.name}:shared"), "Mul", (x, ratio.name), (scaled.name,)),
        Op(fresh(graph, f"{op.name}:sum"), "Add", (scaled.name, y), (total.name,)),
        Op(op.name, "Mul", (total.name, factor.name), op.outputs),
    )
    return substitute(graph, [op], ops, [ratio, factor, scaled, total])


def _term(graph: Graph, total: Op, name: str) -> tuple[Op, str, float] | None:
    """(product, x, factor) of a Mul by a number other than 0 that only `total` reads, over a map as large as the sum."""
    op = graph.producers.get(name)
    found = number_operand(graph, op, "Mul")
    if op is None or found is None or not found[1] or graph.sole_consumer(name) is not total:
        return None
    tensor = graph.tensor(name)
    return (op, *found) if tensor.dtype == "float32" and tensor.shape == graph.tensor(total.output).shape else None
