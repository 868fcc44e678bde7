"""BatchNormalization(x) -> Add(Mul(x, a), b)

    a = gamma / sqrt(variance + epsilon),  b = beta - mean * a

Computed in float64, rounded to the model's type once.
"""

import numpy as np

from sfopt.graph import Graph, Op
from sfopt.passes.rewrite import constant, data_of, decline, fresh, holds_integers, substitute, sweep

__all__ = ["expand_batch_norms"]


def expand_batch_norms(graph: Graph) -> Graph:
    """Apply the rewrite of this module."""
    return graph if holds_integers(graph) else sweep(graph, _rule)


def _rule(graph: Graph, op: Op) -> Graph | None:
    if op.op_type != "BatchNormalization":
        return None
    parameters = [data_of(graph, name) for name in op.inputs[1:5]]
    if any(p is None for p in parameters):
        return decline(graph, f"expand_batch_norms: `{op.output}` stays: its parameters are computed at run time")
    gamma, beta, mean, variance = (np.asarray(p, np.float64) for p in parameters)
    epsilon = op.attributes.get("epsilon", 1e-5)
    assert isinstance(epsilon, float)
    target = graph.tensor(op.output)
    shape = (-1, *(1,) * (len(target.shape) - 2))
    factor = gamma / np.sqrt(variance + epsilon)
    a = constant(graph, f"{op.output}:a", factor.reshape(shape).astype(target.dtype))
    b = constant(graph, f"{op.output}:b", (beta - mean * factor).reshape(shape).astype(target.dtype))
    scaled = type(target)(fresh(graph, f"{op.output}:scaled"), target.shape, target.dtype)
    ops = (
        Op(fresh(graph, f"{op.name}:scale"), "Mul", (op.inputs[0], a.name), (scaled.name,)),
        Op(op.name, "Add", (scaled.name, b.name), op.outputs),
    )
    return substitute(graph, [op], ops, [a, b, scaled])
