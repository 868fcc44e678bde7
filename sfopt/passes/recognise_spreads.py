"""Reshape . Pad . Reshape . Pad . QLinearConv -> QLinearConvTranspose

ONNX has no transposed convolution of integers, so `model.int8.onnx` has it as the textbook says: zero points between the rows and
columns of the input, then a convolution with the kernel turned around. Read again, that is one operator; its operands are placed as
QLinearConv's are, its weights as ConvTranspose's, (I, O / group, H, W).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sfopt.graph import Attribute, Graph, Op
from sfopt.passes.rewrite import constant, data_of, scalar_of, substitute, sweep

__all__ = ["recognise_spreads"]


def recognise_spreads(graph: Graph) -> Graph:
    """Apply the rewrite of this module."""
    return sweep(graph, _rule)


@dataclass(frozen=True)
class _Spread:
    source: str
    strides: tuple[int, int]
    begin: tuple[int, int]
    """Rows above and columns on the left of the spread input; below 0 cut off."""


def _rule(graph: Graph, op: Op) -> Graph | None:
    if op.op_type != "QLinearConv" or op.ints("strides") != (1, 1) or any(op.ints("pads")):
        return None
    zero_point = scalar_of(graph, op.inputs[2]) if op.inputs[2] else 0
    spread, weights = _spread(graph, op.inputs[0], zero_point), data_of(graph, op.inputs[3])
    if spread is None or weights is None or weights.ndim != 4:
        return None
    group, scale = op.ints("group")[0], data_of(graph, op.inputs[4])
    if scale is None or (group > 1 and np.unique(scale).size > 1):
        return None
    kernel, dilations = op.ints("kernel_shape"), op.ints("dilations")
    top, left = ((k - 1) * d - n for k, d, n in zip(kernel, dilations, spread.begin, strict=True))
    if min(top, left) < 0:
        return None
    size, result = graph.tensor(spread.source).shape[2:], graph.tensor(op.output).shape[2:]
    full = [(n - 1) * s + (k - 1) * d + 1 for n, s, k, d in zip(size, spread.strides, kernel, dilations, strict=True)]
    bottom, right = (f - n - r for f, n, r in zip(full, (top, left), result, strict=True))
    attributes: dict[str, Attribute] = {
        "kernel_shape": kernel, "strides": spread.strides, "dilations": dilations, "group": group,
        "pads": (top, left, max(0, bottom), max(0, right)), "output_padding": (max(0, -bottom), max(0, -right)),
    }  # fmt: skip
    kept = constant(graph, f"{op.output}:weights", _as_transposed(weights, group))
    one = constant(graph, f"{op.output}:weight_scale", scale.reshape(-1)[:1] if group > 1 else scale)
    inputs = (spread.source, *op.inputs[1:3], kept.name, one.name, *op.inputs[5:])
    return substitute(graph, [op], [Op(op.name, "QLinearConvTranspose", inputs, op.outputs, attributes)], [kept, one])


def _as_transposed(weights: npt.NDArray[np.generic], group: int) -> npt.NDArray[np.generic]:
    """OIHW weights, turned around, as (I, O / group, H, W)."""
    outputs, depth, *kernel = weights.shape
    by_group = weights[:, :, ::-1, ::-1].reshape(group, outputs // group, depth, *kernel)
    return np.ascontiguousarray(by_group.swapaxes(1, 2).reshape(group * depth, outputs // group, *kernel))


def _spread(graph: Graph, name: str, zero_point: float | None) -> _Spread | None:
    """What `name` is: a map with zero points between its rows and columns, and around it."""
    chain = list[Op]()
    for op_type in ("Pad", "Reshape", "Pad", "Reshape"):
        op = graph.producers.get(name)
        if op is None or op.op_type != op_type or len(op.inputs) != 1:
            return None
        chain.append(op)
        name = op.inputs[0]
    around, together, between, apart = chain
    shape, spread = graph.tensor(name).shape, graph.tensor(apart.output).shape
    if len(shape) != 4 or spread != (*shape[:3], 1, shape[3], 1):
        return None
    if any(
        op.attributes.get("value", 0) != zero_point or op.attributes.get("mode", "constant") != "constant"
        for op in (around, between)
    ):
        return None
    inner, outer = between.ints("pads"), around.ints("pads")
    down, across = 1 + inner[9], 1 + inner[11]
    grown = (*shape[:2], shape[2] * down, shape[3] * across)
    if inner != (*(0,) * 9, down - 1, 0, across - 1) or graph.tensor(together.output).shape != grown:
        return None
    return _Spread(name, (down, across), (outer[2], outer[3])) if not any(outer[i] for i in (0, 1, 4, 5)) else None
