"""Several ways to write one thing -> one way

    Sum(a, b, c)        -> Add(Add(a, b), c)          likewise Max and Min
    Sub(x, k)           -> Add(x, -k)                 k constant
    Sub(k, x)           -> Add(Mul(x, -1), k)
    Div(x, k)           -> Mul(x, 1/k)
    Div(k, x)           -> Mul(Reciprocal(x), k)      k more than one number
    PRelu(x, k)         -> LeakyRelu(x)               k one number
    Max(x, k)           -> Clip(x, k, inf)            k one number; Min likewise
    Clip . Clip, Clip . Relu -> Clip                  bounds intersected
    Clip(x, 0, inf)     -> Relu(x)
    Swish(x)            -> Mul(x, Sigmoid(x))         alpha 1

Float operators only: an integer graph is left as it is.
"""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from sfopt.graph import Graph, Op
from sfopt.passes.rewrite import constant, data_of, fresh, scalar_of, substitute, sweep

__all__ = ["unify_operators"]

_INFINITY = float("inf")


def unify_operators(graph: Graph) -> Graph:
    """Apply the rewrites of this module."""
    return sweep(graph, _rule)


def _rule(graph: Graph, op: Op) -> Graph | None:
    if "float" not in graph.tensor(op.output).dtype or op.domain:
        return None
    if op.op_type in ("Sum", "Max", "Min") and (len(op.inputs) != 2 or op.op_type == "Sum"):
        return _split(graph, op)
    if op.op_type in ("Sub", "Div"):
        return _constant_operand(graph, op)
    if op.op_type == "PRelu":
        return _leaky(graph, op)
    if op.op_type in ("Max", "Min"):
        return _bound(graph, op)
    if op.op_type == "Clip" and len(op.inputs) == 1:
        return _merge_clips(graph, op)
    return _expand_swish(graph, op) if op.op_type == "Swish" else None


def _split(graph: Graph, op: Op) -> Graph | None:
    op_type = "Add" if op.op_type == "Sum" else op.op_type
    if len(op.inputs) == 1:
        return substitute(graph, [op], [replace(op, op_type="Identity", attributes={})])
    if len(op.inputs) == 2:
        return substitute(graph, [op], [replace(op, op_type=op_type)])
    first, second, *rest = op.inputs
    partial = fresh(graph, f"{op.output}:partial")
    shape = np.broadcast_shapes(graph.tensor(first).shape, graph.tensor(second).shape)
    head = Op(fresh(graph, f"{op.name}:partial"), op_type, (first, second), (partial,))
    tail = replace(op, op_type=op_type if len(rest) == 1 else op.op_type, inputs=(partial, *rest))
    return substitute(graph, [op], [head, tail], [replace(graph.tensor(op.output), name=partial, shape=shape)])


def _constant_operand(graph: Graph, op: Op) -> Graph | None:
    data = data_of(graph, op.inputs[1])
    if data is None:
        return _constant_first(graph, op)
    if op.op_type == "Div" and not np.all(data):
        return None
    changed: npt.NDArray[np.generic] = np.negative(data) if op.op_type == "Sub" else np.reciprocal(data)
    operand = constant(graph, f"{op.inputs[1]}:inverse", changed)
    op_type = "Add" if op.op_type == "Sub" else "Mul"
    return substitute(graph, [op], [replace(op, op_type=op_type, inputs=(op.inputs[0], operand.name))], [operand])


def _constant_first(graph: Graph, op: Op) -> Graph | None:
    data = data_of(graph, op.inputs[0])
    if data is None or (op.op_type == "Div" and scalar_of(graph, op.inputs[0]) is not None):
        return None
    source = graph.tensor(op.inputs[1])
    turned = fresh(graph, f"{op.output}:turned")
    if op.op_type == "Sub":
        minus = constant(graph, f"{op.output}:minus", np.asarray(-1, source.dtype))
        head, tensors = Op(turned, "Mul", (source.name, minus.name), (turned,)), [minus]
    else:
        head, tensors = Op(turned, "Reciprocal", (source.name,), (turned,)), []
    op_type = "Add" if op.op_type == "Sub" else "Mul"
    tail = replace(op, op_type=op_type, inputs=(turned, op.inputs[0]))
    return substitute(graph, [op], [head, tail], [*tensors, replace(source, name=turned)])


def _leaky(graph: Graph, op: Op) -> Graph | None:
    slope = scalar_of(graph, op.inputs[1])
    if slope is None:
        return None
    leaky = replace(op, op_type="LeakyRelu", inputs=op.inputs[:1], attributes={"alpha": slope})
    return substitute(graph, [op], [leaky])


def _bound(graph: Graph, op: Op) -> Graph | None:
    for name, bound in (op.inputs, op.inputs[::-1]):
        value = scalar_of(graph, bound)
        if value is not None and graph.tensor(name).shape == graph.tensor(op.output).shape:
            low, high = (value, _INFINITY) if op.op_type == "Max" else (-_INFINITY, value)
            return substitute(
                graph, [op], [replace(op, op_type="Clip", inputs=(name,), attributes={"min": low, "max": high})]
            )
    return None


def _merge_clips(graph: Graph, op: Op) -> Graph | None:
    low, high = _range(op)
    inner = graph.producers.get(op.inputs[0])
    bounds = None if inner is None else _range_of(inner)
    if inner is not None and bounds is not None and graph.sole_consumer(inner.output) is op:
        merged = (min(max(bounds[0], low), high), min(max(bounds[1], low), high))
        return substitute(graph, [inner, op], [_clip(replace(op, inputs=inner.inputs), *merged)])
    return substitute(graph, [op], [_clip(op, low, high)]) if (low, high) == (0.0, _INFINITY) else None


def _clip(op: Op, low: float, high: float) -> Op:
    if (low, high) == (0.0, _INFINITY):
        return replace(op, op_type="Relu", attributes={})
    return replace(op, attributes={"min": low, "max": high})


def _range_of(op: Op) -> tuple[float, float] | None:
    if op.op_type == "Relu":
        return 0.0, _INFINITY
    return _range(op) if op.op_type == "Clip" and len(op.inputs) == 1 else None


def _range(op: Op) -> tuple[float, float]:
    low, high = op.attributes.get("min", -_INFINITY), op.attributes.get("max", _INFINITY)
    assert isinstance(low, int | float)
    assert isinstance(high, int | float)
    return float(low), float(high)


def _expand_swish(graph: Graph, op: Op) -> Graph | None:
    if op.attributes.get("alpha", 1.0) != 1.0:
        return None
    gate = fresh(graph, f"{op.output}:gate")
    sigmoid = Op(fresh(graph, f"{op.name}:gate"), "Sigmoid", op.inputs, (gate,))
    product = replace(op, op_type="Mul", inputs=(op.inputs[0], gate), attributes={})
    return substitute(graph, [op], [sigmoid, product], [replace(graph.tensor(op.output), name=gate)])
