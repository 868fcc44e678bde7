"""Reductions, pools over the whole map -> GlobalAveragePool, AveragePool, MaxPool, Conv

    ReduceMean(axes 2, 3), AveragePool with a kernel of the whole map  -> GlobalAveragePool
    ReduceMean(axis 2)                            -> AveragePool with a kernel of all rows; axis 3 likewise, of all columns
    ReduceMean(axis 1)                            -> Conv 1x1 with the weights 1/C
    ReduceMean(axes 1, ..)                        -> ReduceMean(axis 1) . ReduceMean(..)
    ReduceSum(..)                                 -> Mul(ReduceMean(..), elements)
    ReduceMax(axes 2, 3 or one of them), GlobalMaxPool  -> MaxPool with a kernel of the whole map, all rows or all columns

The map is the whole (H, W) of a (1, C, H, W) tensor. A mean over channels that normalises (the difference from it, or a root or a
quotient, is what comes next) stays: it needs more than 8 bits.
"""

from collections.abc import Mapping
from dataclasses import replace
from math import prod

import numpy as np

from sfopt.graph import Attribute, Graph, Op
from sfopt.passes.rewrite import constant, fresh, holds_integers, substitute, sweep
from sfopt.passes.windows import LARGEST

__all__ = ["unify_pools"]

_POINTWISE: Mapping[str, Attribute] = {
    "kernel_shape": (1, 1), "strides": (1, 1), "dilations": (1, 1), "pads": (0, 0, 0, 0), "group": 1,
}  # fmt: skip
_NORMALISING = frozenset({"Div", "Pow", "Reciprocal", "Sqrt"})


def unify_pools(graph: Graph) -> Graph:
    """Apply the rewrites of this module."""
    return sweep(graph, _rule)


def _rule(graph: Graph, op: Op) -> Graph | None:
    if op.op_type == "GlobalMaxPool":
        return _window(graph, op, "MaxPool", (2, 3))
    if op.op_type == "AveragePool" and _is_whole(graph, op):
        return substitute(graph, [op], [replace(op, op_type="GlobalAveragePool", attributes={})])
    axes = _axes(graph, op)
    if not axes:
        return None
    match op.op_type:
        case "ReduceSum":
            return _sum(graph, op, axes)
        case "ReduceMax" if 1 not in axes:
            return _window(graph, op, "MaxPool", axes)
        case "ReduceMean" if axes == (2, 3):
            return substitute(graph, [op], [replace(op, op_type="GlobalAveragePool", attributes={})])
        case "ReduceMean" if 1 not in axes:
            return _window(graph, op, "AveragePool", axes)
        case "ReduceMean" if not holds_integers(graph) and not _normalises(graph, op):
            return _channels(graph, op, axes)
    return None


def _axes(graph: Graph, op: Op) -> tuple[int, ...]:
    """The axes of a reduction of a (1, C, H, W) map that keeps its dimensions; none for anything else."""
    source = graph.tensor(op.inputs[0]) if op.op_type.startswith("Reduce") and len(op.inputs) == 1 else None
    if source is None or len(source.shape) != 4 or source.dtype != "float32" or op.attributes.get("keepdims", 1) != 1:
        return ()
    axes = op.ints("axes")
    return axes if source.shape[0] == 1 and min(axes, default=0) > 0 else ()


def _is_whole(graph: Graph, op: Op) -> bool:
    shape, target = graph.tensor(op.inputs[0]).shape, graph.tensor(op.output).shape
    plain = not any(op.ints("pads")) and set(op.ints("dilations")) == {1}
    return plain and len(shape) == 4 and op.ints("kernel_shape") == shape[2:] and target[2:] == (1, 1)


def _window(graph: Graph, op: Op, op_type: str, axes: tuple[int, ...]) -> Graph | None:
    shape = graph.tensor(op.inputs[0]).shape
    if len(shape) != 4 or (axes != (2, 3) and max(shape[a] for a in axes) > LARGEST):
        return None
    kernel = tuple(shape[a] if a in axes else 1 for a in (2, 3))
    attributes: dict[str, Attribute] = {
        "kernel_shape": kernel, "strides": (1, 1), "pads": (0, 0, 0, 0), "dilations": (1, 1), "ceil_mode": 0,
        "storage_order" if op_type == "MaxPool" else "count_include_pad": 0,
    }  # fmt: skip
    return substitute(graph, [op], [replace(op, op_type=op_type, attributes=attributes)])


def _sum(graph: Graph, op: Op, axes: tuple[int, ...]) -> Graph:
    source, target = graph.tensor(op.inputs[0]), graph.tensor(op.output)
    count = prod(source.shape[a] for a in axes)
    mean = replace(target, name=fresh(graph, f"{op.output}:mean"))
    factor = constant(graph, f"{op.output}:elements", np.asarray(count, np.float32))
    ops = (
        Op(mean.name, "ReduceMean", op.inputs, (mean.name,), {"axes": axes, "keepdims": 1}),
        Op(op.name, "Mul", (mean.name, factor.name), op.outputs),
    )
    return substitute(graph, [op], ops, [mean, factor])


def _channels(graph: Graph, op: Op, axes: tuple[int, ...]) -> Graph:
    source, depth = op.inputs[0], graph.tensor(op.inputs[0]).shape[1]
    ops, tensors = list[Op](), []
    if axes != (1,):
        shape = tuple(1 if a in axes[1:] else n for a, n in enumerate(graph.tensor(source).shape))
        inner = replace(graph.tensor(op.output), name=fresh(graph, f"{op.output}:map"), shape=shape)
        tensors.append(inner)
        ops.append(Op(inner.name, "ReduceMean", (source,), (inner.name,), {"axes": axes[1:], "keepdims": 1}))
        source = inner.name
    weights = constant(graph, f"{op.output}:mean", np.full((1, depth, 1, 1), 1 / depth, np.float32))
    ops.append(Op(op.name, "Conv", (source, weights.name), op.outputs, _POINTWISE))
    return substitute(graph, [op], ops, [*tensors, weights])


def _normalises(graph: Graph, op: Op) -> bool:
    """Whether what is next is the difference from `op`'s own input, or, behind operators with a number, a root or a quotient."""
    for reader in graph.consumers.get(op.output, ()):
        if reader.op_type in ("Add", "Sub") and op.inputs[0] in reader.inputs:
            return True
        if reader.op_type in _NORMALISING:
            return True
        numbers = [n for n in reader.inputs if graph.tensor(n).is_constant]
        goes_on = reader.op_type in ("Add", "Mul", "Max", "Clip") and len(reader.inputs) == len(numbers) + 1
        if goes_on and _normalises(graph, reader):
            return True
    return False
