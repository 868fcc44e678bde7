"""Pooling, element-wise, concatenation and resizing between DequantizeLinear and QuantizeLinear -> their integer operators.

MaxPool and Resize move integers, so their input and output share one quantisation: where it differs, a look-up requantises what
they produce (exact: requantisation is monotonic and element-wise).
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from sfopt.graph import Op, Tensor
from sfopt.passes.lower_conv import lower_dense
from sfopt.passes.lowering import Decline, Lowering
from sfopt.passes.pointwise import number_of
from sfopt.passes.windows import sliding_window

__all__ = [
    "lower_add",
    "lower_average_pool",
    "lower_concat",
    "lower_global_pool",
    "lower_max_pool",
    "lower_mul",
    "lower_resize",
    "lower_sub",
]


def lower_add(low: Lowering, op: Op, output: Tensor) -> None:
    """Append QLinearAdd(a, b); a constant added to a MatMul is its bias."""
    if len(op.inputs) != 2:
        raise Decline(f"it adds {len(op.inputs)} tensors, needs two")
    for product, addend in (op.inputs, op.inputs[::-1]):
        producer = low.root(product)
        if producer is not None and producer.op_type == "MatMul":
            lower_dense(low, producer, output, addend)
            return
    a, b = low.operand(op.inputs[0]), low.operand(op.inputs[1])
    if low.shape(a) != output.shape or low.shape(b) != output.shape:
        raise Decline(f"it adds {low.shape(a)} and {low.shape(b)}, needs equal shapes")
    low.emit(op, "QLinearAdd", (a, b), output)


def lower_sub(low: Lowering, op: Op, output: Tensor) -> None:
    """Append QLinearAdd(a, -b). The table of -b is exact: integer q with zero point z becomes -1 - q with zero point -1 - z."""
    a, b = low.operand(op.inputs[0]), low.operand(op.inputs[1])
    if low.shape(a) != output.shape or low.shape(b) != output.shape:
        raise Decline(f"it subtracts {low.shape(b)} from {low.shape(a)}, needs equal shapes")
    quant = low.quant(b)
    negative = replace(quant, zero_point=-1 - quant.zero_point)
    name = low.draft.define(f"{op.output}_negative", output.shape, "int8", negative)
    low.emit(replace(op, name=name), "Lookup", (b,), low.draft.tensor(name), {"function": "Neg"})
    low.emit(op, "QLinearAdd", (a, name), output)


def lower_mul(low: Lowering, op: Op, output: Tensor) -> None:
    """Append QLinearMul(a, b), the full map first; b may hold one value per channel. A number makes it a look-up."""
    for source, other in (op.inputs, op.inputs[::-1]):
        factor = number_of(low.graph, other)
        if factor is not None:
            low.emit(op, "Lookup", (low.operand(source),), output, {"function": "Mul", "factor": factor})
            return
    a, b = low.operand(op.inputs[0]), low.operand(op.inputs[1])
    if low.shape(a) != output.shape:
        a, b = b, a
    if low.shape(a) != output.shape or low.shape(b) not in (output.shape, (1, output.shape[1], 1, 1)):
        raise Decline(f"it multiplies {low.shape(a)} by {low.shape(b)}, needs equal shapes or (1, C, 1, 1)")
    low.emit(op, "QLinearMul", (a, b), output)


def lower_concat(low: Lowering, op: Op, output: Tensor) -> None:
    """Append QLinearConcat along channels."""
    rank = len(low.graph.tensor(op.output).shape)
    (axis,) = op.ints("axis")
    if axis % rank != 1:
        raise Decline(f"it concatenates along axis {axis}, needs channels")
    low.emit(op, "QLinearConcat", [low.operand(name) for name in op.inputs], output)


def lower_global_pool(low: Lowering, op: Op, output: Tensor) -> None:
    """Append QLinearGlobalAveragePool for GlobalAveragePool, or for ReduceMean over rows and columns."""
    if op.op_type == "ReduceMean" and _axes(low, op) != {2, 3}:
        raise Decline(f"it averages axes {sorted(_axes(low, op))}, needs rows and columns")
    low.emit(op, "QLinearGlobalAveragePool", (low.operand(op.inputs[0]),), output)


def _axes(low: Lowering, op: Op) -> set[int]:
    rank = len(low.graph.tensor(op.inputs[0]).shape)
    return {a % rank for a in op.ints("axes")} if "axes" in op.attributes else set()


def lower_average_pool(low: Lowering, op: Op, output: Tensor) -> None:
    """Append QLinearAveragePool."""
    window = sliding_window(low.graph, op, _kernel(op))
    counted = int(bool(op.attributes.get("count_include_pad", 0)))
    if window.dilations != (1, 1):
        raise Decline(f"it has dilations {window.dilations}, needs none")
    if window.grown and counted:
        raise Decline("it has ceil_mode and count_include_pad together")
    attributes = {**window.attributes(), "count_include_pad": counted}
    low.emit(op, "QLinearAveragePool", (low.operand(op.inputs[0]),), output, attributes)


def lower_max_pool(low: Lowering, op: Op, output: Tensor) -> None:
    """Append MaxPool, and a look-up that requantises where the source does."""
    window = sliding_window(low.graph, op, _kernel(op))
    if len(op.outputs) > 1:
        raise Decline("it also writes where the maxima are")
    attributes = {**window.attributes(), "dilations": window.dilations}
    _moved(low, op, output, lambda x, y: low.emit(op, "MaxPool", (x,), y, attributes))


def lower_resize(low: Lowering, op: Op, output: Tensor) -> None:
    """Append Resize when it repeats every pixel a whole number of times."""
    shape = low.shape(low.operand(op.inputs[0]))
    if output.shape[1] != shape[1] or output.shape[2] % shape[2] or output.shape[3] % shape[3]:
        raise Decline(f"it goes from {shape} to {output.shape}, needs a whole factor for rows and columns")
    factors = {"scale_h": output.shape[2] // shape[2], "scale_w": output.shape[3] // shape[3]}
    if op.attributes.get("scales", (1, 1, *factors.values())) != (1, 1, *factors.values()):
        raise Decline(f"its scales {op.attributes['scales']} are no whole numbers")
    for size, factor in ((shape[2], factors["scale_h"]), (shape[3], factors["scale_w"])):
        wanted = np.repeat(np.arange(size), factor)
        if not np.array_equal(_nearest(op, size, factor), wanted):
            raise Decline("it does not repeat whole pixels (mode nearest, asymmetric and floor, or half_pixel)")
    _moved(low, op, output, lambda x, y: low.emit(op, "Resize", (x,), y, factors))


def _nearest(op: Op, size: int, factor: int) -> npt.NDArray[np.float64]:
    """Which input row each output row copies, by the formulas of the ONNX operator; empty for other modes."""
    mode = op.attributes.get(
        "coordinate_transformation_mode", "asymmetric" if op.op_type == "Upsample" else "half_pixel"
    )
    i, length = np.arange(size * factor, dtype=np.float64), size * factor
    coordinates = {
        "asymmetric": i / factor,
        "half_pixel": (i + 0.5) / factor - 0.5,
        "half_pixel_symmetric": (i + 0.5) / factor - 0.5,
        "pytorch_half_pixel": (i + 0.5) / factor - 0.5 if length > 1 else np.zeros(1),
        "align_corners": i * (size - 1) / (length - 1) if length > 1 else np.zeros(1),
    }
    rounding: dict[str, Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]]] = {
        "floor": np.floor,
        "ceil": np.ceil,
        "round_prefer_floor": lambda x: np.ceil(x - 0.5),
        "round_prefer_ceil": lambda x: np.floor(x + 0.5),
    }
    nearest = op.attributes.get("nearest_mode", "floor" if op.op_type == "Upsample" else "round_prefer_floor")
    if op.attributes.get("mode", "nearest") != "nearest" or mode not in coordinates or nearest not in rounding:
        return np.empty(0)
    return np.clip(rounding[str(nearest)](coordinates[str(mode)]), 0, size - 1)


def _kernel(op: Op) -> tuple[int, int]:
    kernel = op.ints("kernel_shape")
    if len(kernel) != 2:
        raise Decline(f"its window has {len(kernel)} dimensions, needs two")
    return kernel[0], kernel[1]


def _moved(low: Lowering, op: Op, output: Tensor, emit: Callable[[str, Tensor], None]) -> None:
    x = low.operand(op.inputs[0])
    quant = low.quant(x)
    if quant.same_as(output.quant):
        emit(x, output)
        return
    name = low.draft.define(f"{op.output}_int8", output.shape, "int8", quant)
    emit(x, low.draft.tensor(name))
    low.emit(op, "Lookup", (name,), output, {"function": "Requantize"})
