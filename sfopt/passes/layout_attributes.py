"""How the attributes of an operator change when its input is kept in another axis order. `perm[axis]` is where an axis is kept."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from sfopt.graph import Attribute, Op

__all__ = ["AXIS_RULES", "ELEMENTWISE", "reduced"]

ELEMENTWISE = frozenset(
    {
        "Abs",
        "Acos",
        "Acosh",
        "Add",
        "And",
        "Asin",
        "Asinh",
        "Atan",
        "Atanh",
        "BitShift",
        "Cast",
        "Ceil",
        "Celu",
        "Clip",
        "Cos",
    }
    | {
        "Cosh",
        "Div",
        "Elu",
        "Equal",
        "Erf",
        "Exp",
        "Floor",
        "Gelu",
        "Greater",
        "GreaterOrEqual",
        "HardSigmoid",
        "HardSwish",
    }
    | {
        "LeakyRelu",
        "Less",
        "LessOrEqual",
        "Log",
        "Max",
        "Mean",
        "Min",
        "Mish",
        "Mod",
        "Mul",
        "Neg",
        "Not",
        "Or",
        "PRelu",
        "Pow",
    }
    | {
        "Reciprocal",
        "Relu",
        "Round",
        "Selu",
        "Sigmoid",
        "Sign",
        "Sin",
        "Sinh",
        "Softplus",
        "Softsign",
        "Sqrt",
        "Sub",
        "Sum",
    }
    | {"Swish", "Tan", "Tanh", "ThresholdedRelu", "Where", "Xor"}
)
"""Operators that compute each element from the elements at its place, with broadcasting."""


def _axis(op: Op, perm: Sequence[int]) -> Op:
    return _with(op, axis=perm[op.ints("axis")[0]])


def _reduce(op: Op, perm: Sequence[int]) -> Op:
    return _with(op, axes=tuple(sorted(perm[a] for a in op.ints("axes"))), keepdims=1)


def _arg(op: Op, perm: Sequence[int]) -> Op:
    return _with(op, axis=perm[op.ints("axis")[0]], keepdims=1)


def _pad(op: Op, perm: Sequence[int]) -> Op:
    rank, pads = len(perm), op.ints("pads")
    moved = [0] * (2 * rank)
    for axis, stored in enumerate(perm):
        moved[stored], moved[stored + rank] = pads[axis], pads[axis + rank]
    return _with(op, pads=tuple(moved))


def _slice(op: Op, perm: Sequence[int]) -> Op:
    axes = op.ints("axes") if "axes" in op.attributes else tuple(range(len(op.ints("starts"))))
    return _with(op, axes=tuple(perm[a % len(perm)] for a in axes))


def _resize(op: Op, perm: Sequence[int]) -> Op:
    changed: dict[str, Attribute] = {}
    for key in ("repeats", "scales", "sizes"):
        values = op.attributes.get(key)
        if isinstance(values, tuple):
            moved = list(values)
            for axis, stored in enumerate(perm):
                moved[stored] = values[axis]
            changed[key] = tuple(moved)  # type: ignore[assignment]
    return _with(op, **changed)


def _same(op: Op, _: Sequence[int]) -> Op:
    return op


def _with(op: Op, **changed: Attribute) -> Op:
    return replace(op, attributes={**op.attributes, **changed})


_REDUCTIONS = ("L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "Sum", "SumSquare")
AXIS_RULES: Mapping[str, Callable[[Op, Sequence[int]], Op]] = {
    **{f"Reduce{name}": _reduce for name in _REDUCTIONS},
    "ArgMax": _arg,
    "ArgMin": _arg,
    "Expand": _same,
    "LogSoftmax": _axis,
    "Pad": _pad,
    "Resize": _resize,
    "Slice": _slice,
    "Softmax": _axis,
    "Split": _axis,
    "Tile": _resize,
}
"""Operators with one data input that work along axes."""


def reduced(op: Op, source: Sequence[int], out: tuple[int, ...]) -> tuple[int, ...]:
    """The output shape of `op` in the rank of its input: a reduction is rewritten to keep its dimensions."""
    if op.op_type in ("ArgMax", "ArgMin"):
        axes = op.ints("axis")
    elif op.op_type.startswith("Reduce"):
        axes = op.ints("axes")
    else:
        return out
    return tuple(1 if i in axes else n for i, n in enumerate(source))
