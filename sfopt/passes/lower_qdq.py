"""QuantizeLinear(activation(operator(DequantizeLinear(..)))) -> integer operator [, Lookup(activation)]

Every QuantizeLinear is the root of one pattern. What matches nothing stays: a float operator on the host, read through
DequantizeLinear and left through QuantizeLinear.
"""

from collections.abc import Callable, Mapping

import numpy as np

from sfopt.expression import FUNCTION, step_texts
from sfopt.graph import Attribute, Graph, Op, Quant, Tensor
from sfopt.passes.lower_conv import lower_conv, lower_conv_transpose, lower_dense
from sfopt.passes.lower_features import (
    lower_add,
    lower_average_pool,
    lower_concat,
    lower_global_pool,
    lower_max_pool,
    lower_mul,
    lower_resize,
    lower_sub,
)
from sfopt.passes.lowering import Decline, Lowering, feature_map_shape
from sfopt.passes.pointwise import TABLE_FUNCTIONS, Function, find_function
from sfopt.passes.qdq import quantization_of, stored_dtype

__all__ = ["lower_qdq"]

Rule = Callable[[Lowering, Op, Tensor], None]

_RULES: Mapping[str, Rule] = {
    "Add": lower_add,
    "AveragePool": lower_average_pool,
    "Concat": lower_concat,
    "Conv": lower_conv,
    "ConvTranspose": lower_conv_transpose,
    "Gemm": lower_dense,
    "GlobalAveragePool": lower_global_pool,
    "MatMul": lower_dense,
    "MaxPool": lower_max_pool,
    "Mul": lower_mul,
    "ReduceMean": lower_global_pool,
    "Resize": lower_resize,
    "Sub": lower_sub,
    "Sum": lower_add,
    "Upsample": lower_resize,
}


def lower_qdq(graph: Graph) -> Graph:
    """Replace every quantised pattern of `graph` (see `normalise_qdq`) by integer operators."""
    low = Lowering(graph)
    declined: dict[str, str] = {}
    for op in graph.ops:
        if op.op_type == "QuantizeLinear":
            _lower(low, op, declined)
        elif op.op_type == "DequantizeLinear":
            low.dequantize(op)
        else:
            low.draft.ops.append(op)
    lowered = low.draft.finish()
    notes = [note for name, note in declined.items() if name in lowered.producers]
    return lowered.with_ops(lowered.ops, notes=[*dict.fromkeys(low.notes), *notes])


def _lower(low: Lowering, op: Op, declined: dict[str, str]) -> None:
    """Append what computes the integers of QuantizeLinear `op`; the reason for leaving it on the host goes to `declined`."""
    quant, whole = quantization_of(low.graph, op), low.graph.tensor(op.inputs[0]).shape
    shape = feature_map_shape(whole)
    if quant is None or quant.axis is not None or stored_dtype(low.graph, op) != "int8":
        low.draft.ops.append(op)
        return
    root = low.root(op.inputs[0])
    if root is not None and shape is not None:
        try:
            _lower_root(low, root, low.output(op.output, shape, quant))
            return
        except Decline as reason:
            if any(low.is_dequantized(name) for name in root.inputs if name):
                declined[root.output] = f"{root.op_type} `{root.name}` stays on the host: {reason}"
    low.draft.tensors[op.output] = Tensor(op.output, whole, "int8", quant)
    low.draft.ops.append(op)


def _lower_root(low: Lowering, op: Op, output: Tensor) -> None:
    """A function of one tensor that no single rule knows is one table; so is any other that its rule declines."""
    function = find_function(low.graph, op, alone=False)
    if function is not None and function.is_new:
        _lower_function(low, op, function, output)
        return
    try:
        _lower_operator(low, op, output)
    except Decline:
        if function is None or len(function.ops) == 1:
            raise
        _lower_function(low, op, function, output)


def _lower_function(low: Lowering, op: Op, function: Function, output: Tensor) -> None:
    attributes: dict[str, Attribute] = {"function": FUNCTION, "steps": step_texts(function.steps)}
    low.emit(op, "Lookup", (low.operand(function.source),), output, attributes)


def _lower_operator(low: Lowering, op: Op, output: Tensor) -> None:
    if op.op_type in ("Relu", "Clip"):
        inner = low.root(op.inputs[0])
        if inner is not None and inner.op_type in _RULES:
            _lower_activated(low, inner, op, output)
            return
    if op.op_type in _RULES:
        _RULES[op.op_type](low, op, output)
    elif op.op_type in TABLE_FUNCTIONS:
        low.emit(op, "Lookup", (low.operand(op.inputs[0]),), output, _function(op))
    elif op.op_type == "DequantizeLinear":
        low.emit(op, "Lookup", (low.operand(op.output),), output, {"function": "Requantize"})
    else:
        raise Decline("the accelerator has no such operator")


def _lower_activated(low: Lowering, op: Op, activation: Op, output: Tensor) -> None:
    """`op` then Relu or Clip. The clamp to int8 often does the activation's work; where it does not, a look-up follows."""
    assert output.quant is not None
    if _saturation_suffices(activation, output.quant):
        _RULES[op.op_type](low, op, output)
        return
    name = low.draft.define(f"{op.output}_int8", output.shape, "int8", output.quant)
    _RULES[op.op_type](low, op, low.draft.tensor(name))
    low.emit(activation, "Lookup", (name,), output, _function(activation))


def _saturation_suffices(activation: Op, quant: Quant) -> bool:
    low_limit, high_limit = _limits(activation)
    with np.errstate(over="ignore"):  # a bound that is as good as infinite
        lowest = np.rint(np.float32(low_limit) / quant.scale) + quant.zero_point
        highest = np.rint(np.float32(high_limit) / quant.scale) + quant.zero_point
    return bool(lowest <= -128 and highest >= 127)


def _limits(op: Op) -> tuple[float, float]:
    """Bounds of a Relu or Clip as float32 values."""
    largest = float(np.finfo(np.float32).max)
    if op.op_type == "Relu":
        return 0.0, largest
    if len(op.inputs) > 1:
        raise Decline("its bounds are not constant")
    low, high = op.attributes.get("min", -largest), op.attributes.get("max", largest)
    if not isinstance(low, int | float) or not isinstance(high, int | float):
        raise Decline(f"its bounds are {low!r} and {high!r}, needs numbers")
    return float(np.float32(low)), float(np.float32(high))


def _function(op: Op) -> dict[str, Attribute]:
    attributes: dict[str, Attribute] = {"function": op.op_type, **op.attributes}
    if op.op_type == "Clip":
        attributes["min"], attributes["max"] = _limits(op)
    return attributes
