"""Operators that together compute a function of one value, found in float graphs and in quantised ones alike.

`1 - x`, `x ** 2`, GELU written with Erf: each element of the result depends on one element of one tensor, so the accelerator needs
one table for all of it, and rounds once.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sfopt.expression import Step
from sfopt.graph import Attribute, Graph, Op
from sfopt.passes.qdq import quantization_of
from sfopt.passes.rewrite import scalar_of

__all__ = ["TABLE_FUNCTIONS", "Function", "find_function", "number_of"]

TABLE_FUNCTIONS = frozenset(
    {
        "Abs", "Atan", "Ceil", "Celu", "Clip", "Cos", "Elu", "Erf", "Exp", "Floor", "Gelu", "HardSigmoid", "HardSwish",
        "LeakyRelu", "Log", "Mish", "Neg", "QuickGelu", "Reciprocal", "Relu", "Round", "Selu", "Sigmoid", "Sign", "Sin",
        "Softplus", "Softsign", "Sqrt", "Swish", "Tan", "Tanh", "ThresholdedRelu",
    }
)  # fmt: skip
"""Float operators with one input that become a table of 256 entries."""

_WITH_NUMBERS = frozenset({"Add", "Div", "Max", "Min", "Mul", "PRelu", "Pow", "Sub"})
"""Operators that do so where all but one of their operands are numbers, or where all operands are functions of one value."""

_LONGEST = 64


@dataclass(frozen=True)
class Function:
    """`output` as a function of `source`, the operators that compute it in order, and the same as steps."""

    source: str
    output: str
    ops: tuple[Op, ...]
    steps: tuple[Step, ...]

    @property
    def is_new(self) -> bool:
        """Whether it takes more than the operators that are tables, or products, by themselves."""
        return any(op.op_type not in TABLE_FUNCTIONS and op.op_type != "Mul" for op in self.ops)


def find_function(graph: Graph, root: Op, *, alone: bool) -> Function | None:
    """The largest function of one tensor that ends with `root`; None where it reads several, or is of another kind.

    `alone`: what it computes on the way must have no other reader. Otherwise tensors that a DequantizeLinear writes are where it
    begins, and two that hold the same integers are one.
    """
    shape = graph.tensor(root.output).shape
    if not _is_pointwise(graph, root, shape):
        return None
    inside = {root.output: root}
    while True:
        leaves = [n for op in inside.values() for n in _computed(graph, op) if n not in inside]
        inner = next((n for n in leaves if _is_inner(graph, n, inside, alone)), None)
        if inner is None:
            break
        inside[inner] = graph.producers[inner]
        if len(inside) > _LONGEST:
            return None
    sources = {n if alone else _integers_of(graph, n) for n in leaves}
    if len(sources) != 1 or any(graph.tensor(n).shape != shape for n in leaves):
        return None
    ops = tuple(op for op in graph.ops if op.output in inside)
    return Function(leaves[0], root.output, ops, _steps(graph, ops))


def number_of(graph: Graph, name: str) -> float | None:
    """The float32 value of a constant, plain or quantised, whose elements are all the same."""
    op = graph.producers.get(name)
    if op is None or op.op_type != "DequantizeLinear":
        return scalar_of(graph, name) if name and graph.tensor(name).dtype in ("float32", "int32", "int64") else None
    integer, quant = scalar_of(graph, op.inputs[0]), quantization_of(graph, op)
    if integer is None or quant is None or quant.axis is not None:
        return None
    return float(np.float32(integer - quant.zero_point) * np.float32(quant.scale))


def _is_pointwise(graph: Graph, op: Op, shape: tuple[int, ...]) -> bool:
    target = graph.tensor(op.output)
    if target.dtype != "float32" or target.shape != shape or len(op.outputs) != 1:
        return False
    if op.op_type in _WITH_NUMBERS:
        return True
    return op.op_type in TABLE_FUNCTIONS and len(op.inputs) == 1


def _computed(graph: Graph, op: Op) -> list[str]:
    return [n for n in op.inputs if number_of(graph, n) is None]


def _is_inner(graph: Graph, name: str, inside: Mapping[str, Op], alone: bool) -> bool:
    if name not in graph.producers or not _is_pointwise(graph, graph.producers[name], graph.tensor(name).shape):
        return False
    readers = graph.consumers.get(name, ())
    return not alone or (name not in graph.outputs and all(r.output in inside for r in readers))


def _integers_of(graph: Graph, real: str) -> str:
    op = graph.producers.get(real)
    return op.inputs[0] if op is not None and op.op_type == "DequantizeLinear" else real


def _steps(graph: Graph, ops: tuple[Op, ...]) -> tuple[Step, ...]:
    numbers = {op.output: i for i, op in enumerate(ops)}

    def operand(name: str) -> str | int | float:
        number = number_of(graph, name)
        return numbers.get(name, "x") if number is None else number

    return tuple(Step(op.op_type, tuple(map(operand, op.inputs)), _plain(op.attributes)) for op in ops)


def _plain(attributes: Mapping[str, Attribute]) -> dict[str, Attribute]:
    return {k: v for k, v in attributes.items() if isinstance(v, int | float | str)}
