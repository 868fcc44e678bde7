"""f(x), f(x) -> f(x): operators that compute the same from the same inputs become one"""

import numpy as np

from sfopt.graph import Attribute, Graph, Op
from sfopt.passes.rewrite import redirect

__all__ = ["merge_duplicates"]

_RANDOM = frozenset(
    {"Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"}
)


def merge_duplicates(graph: Graph) -> Graph:
    """Apply the rewrite of this module."""
    changed = True
    while changed:
        changed, seen = False, dict[object, Op]()
        for op in graph.ops:
            twin = seen.setdefault(_key(op), op)
            merged = redirect(graph, op, twin.output) if twin is not op and len(op.outputs) == 1 else None
            if merged is not None and op.op_type not in _RANDOM:
                graph, changed = merged, True
                break
    return graph


def _key(op: Op) -> object:
    return op.domain, op.op_type, op.inputs, tuple((k, _plain(v)) for k, v in sorted(op.attributes.items()))


def _plain(value: Attribute) -> object:
    return (value.dtype.name, value.shape, value.tobytes()) if isinstance(value, np.ndarray) else value
