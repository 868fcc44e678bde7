"""f(x) = x -> nothing: Identity, Transpose in order, Reshape, Expand and Pad by nothing, Concat of one, Mul by 1, Add of 0"""

from sfopt.graph import Graph, Op
from sfopt.passes.rewrite import redirect, scalar_of, sweep

__all__ = ["remove_identities"]

_SHAPED = frozenset({"Concat", "Expand", "Pad", "Reshape"})
_NEUTRAL = {"Add": 0.0, "Mul": 1.0}


def remove_identities(graph: Graph) -> Graph:
    """Apply the rewrite of this module."""
    return sweep(graph, _rule)


def _rule(graph: Graph, op: Op) -> Graph | None:
    return redirect(graph, op, op.inputs[0]) if _is_identity(graph, op) else None


def _is_identity(graph: Graph, op: Op) -> bool:
    if not op.inputs or not op.inputs[0] or graph.tensor(op.inputs[0]).is_constant:
        return False
    source, target = graph.tensor(op.inputs[0]), graph.tensor(op.output)
    if (source.shape, source.dtype) != (target.shape, target.dtype):
        return False
    if op.op_type == "Transpose":
        return op.ints("perm") == tuple(range(len(source.shape)))
    if op.op_type in _NEUTRAL:
        return scalar_of(graph, op.inputs[1]) == _NEUTRAL[op.op_type]
    return op.op_type == "Identity" or (op.op_type in _SHAPED and len(op.inputs) == 1 and not any(_pads(op)))


def _pads(op: Op) -> tuple[int, ...]:
    return op.ints("pads") if op.op_type == "Pad" else ()
