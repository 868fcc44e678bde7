"""f(x) over (1, C, L) -> Reshape . f . Reshape over (1, C, 1, L)

For convolutions and pools of one dimension, and for the element-wise operators, sums and concatenations between them. Applied where
there is a convolution over a sequence with constant weights; `move_transposes` then takes the reshapes between two operators away.
"""

from collections.abc import Mapping
from dataclasses import replace

from sfopt.graph import Attribute, Graph, Op, Tensor
from sfopt.passes.pointwise import TABLE_FUNCTIONS
from sfopt.passes.rewrite import constant, data_of, fresh, holds_integers, substitute, sweep

__all__ = ["widen_sequences"]

_WINDOWED = frozenset({"AveragePool", "Conv", "GlobalAveragePool", "GlobalMaxPool", "MaxPool"})
_ELEMENTWISE = TABLE_FUNCTIONS | {"Add", "Concat", "Div", "Max", "Min", "Mul", "PRelu", "Pow", "Sub"}


def widen_sequences(graph: Graph) -> Graph:
    """Apply the rewrite of this module."""
    if holds_integers(graph) or not any(_is_sequence_conv(graph, op) for op in graph.ops):
        return graph
    return sweep(graph, _rule)


def _is_sequence_conv(graph: Graph, op: Op) -> bool:
    return op.op_type == "Conv" and len(graph.tensor(op.output).shape) == 3 and data_of(graph, op.inputs[1]) is not None


def _is_sequence(tensor: Tensor) -> bool:
    return len(tensor.shape) == 3 and tensor.shape[0] == 1 and tensor.dtype == "float32" and not tensor.is_constant


def _rule(graph: Graph, op: Op) -> Graph | None:
    if op.op_type not in _WINDOWED | _ELEMENTWISE or len(op.outputs) != 1 or not _is_sequence(graph.tensor(op.output)):
        return None
    if op.op_type == "Conv" and not _is_sequence_conv(graph, op):
        return None
    axis = op.attributes.get("axis", 1)
    if (op.op_type == "Clip" and len(op.inputs) > 1) or (op.op_type == "Concat" and axis != 1):
        return None
    wides = {name: wide for name in dict.fromkeys(op.inputs) if name and (wide := _wide(graph, op, name)) is not None}
    moved = {name: wide for name, wide in wides.items() if not wide.is_constant}
    ops = [Op(wide.name, "Reshape", (name,), (wide.name,), {"shape": wide.shape}) for name, wide in moved.items()]
    inputs = [wides[name].name if name in wides else name for name in op.inputs]
    target = graph.tensor(op.output)
    result = replace(target, name=fresh(graph, f"{op.output}:wide"), shape=_widened(target.shape))
    ops.append(replace(op, inputs=tuple(inputs), outputs=(result.name,), attributes=_attributes(op)))
    ops.append(Op(fresh(graph, f"{op.name}:narrow"), "Reshape", (result.name,), op.outputs, {"shape": target.shape}))
    return substitute(graph, [op], ops, [*wides.values(), result])


def _wide(graph: Graph, op: Op, name: str) -> Tensor | None:
    """The operand with a row axis; None where it stays as it is: a number, a bias."""
    tensor = graph.tensor(name)
    if tensor.data is None:
        shape = _widened(tensor.shape)
        return (
            replace(tensor, name=fresh(graph, f"{name}:for:{op.output}"), shape=shape)
            if shape != tensor.shape
            else None
        )
    if tensor.elements == 1 or len(tensor.shape) < (3 if op.op_type in _WINDOWED else 1):
        return None
    return constant(graph, f"{name}:for:{op.output}", tensor.data.reshape(_widened(tensor.shape)))


def _widened(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (*shape[:-1], 1, shape[-1]) if shape else shape


def _attributes(op: Op) -> Mapping[str, Attribute]:
    changed: dict[str, Attribute] = {
        key: (1, *op.ints(key)) for key in ("kernel_shape", "strides", "dilations") if key in op.attributes
    }
    if "pads" in op.attributes:
        begin, end = op.ints("pads")
        changed["pads"] = (0, begin, 0, end)
    return {**op.attributes, **changed}
