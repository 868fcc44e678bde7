"""QuantizeLinear(Conv(DequantizeLinear(x), DequantizeLinear(w), b)) -> QLinearConv(x, w, round(b / (s_x * s_w)))

ConvTranspose alike: QLinearConvTranspose, an operator of ours, since ONNX has none for integers.

Gemm and MatMul with constant weights are convolutions whose kernel covers the whole map; a layout operator in front of them
(Flatten of NCHW or NHWC) is a permutation of the weights.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from sfopt.errors import ModelError
from sfopt.graph import Attribute, Op, Quant, Tensor
from sfopt.passes.lowering import Decline, Lowering
from sfopt.passes.qdq import channel_quantization_of, quantization_of
from sfopt.passes.windows import sliding_window, transposed_window

__all__ = ["lower_conv", "lower_conv_transpose", "lower_dense"]

Array = npt.NDArray[np.generic]


@dataclass(frozen=True)
class _Weights:
    name: str
    data: npt.NDArray[np.int8]
    scale: npt.NDArray[np.float32]
    axis: int | None


def lower_conv(low: Lowering, op: Op, output: Tensor) -> None:
    """Append the QLinearConv for two-dimensional Conv `op`."""
    x = low.operand(op.inputs[0])
    weights = _weights(low, op)
    if weights.data.ndim != 4:
        raise Decline(f"its weights `{op.inputs[1]}` have shape {weights.data.shape}, needs (O, I, H, W)")
    if weights.axis not in (None, 0):
        raise Decline(f"its weights `{op.inputs[1]}` are quantised along axis {weights.axis}, needs axis 0")
    window = sliding_window(low.graph, op, (weights.data.shape[2], weights.data.shape[3]))
    group = op.attributes.get("group", 1)
    attributes = {**window.attributes(), "dilations": window.dilations, "group": group}
    _emit(low, op, x, weights, op.inputs[2] if len(op.inputs) > 2 else "", output, attributes)


def lower_conv_transpose(low: Lowering, op: Op, output: Tensor) -> None:
    """Append the QLinearConvTranspose for two-dimensional ConvTranspose `op`, whose weights are (I, O / group, H, W)."""
    x = low.operand(op.inputs[0])
    weights = _weights(low, op)
    if weights.data.ndim != 4:
        raise Decline(f"its weights `{op.inputs[1]}` have shape {weights.data.shape}, needs (I, O / group, H, W)")
    group = op.ints("group")[0] if "group" in op.attributes else 1
    if weights.axis not in (None, 1) or (weights.axis == 1 and group > 1 and weights.data.shape[1] > 1):
        raise Decline(
            f"its weights `{op.inputs[1]}` are quantised along axis {weights.axis} in {group} groups, needs outputs"
        )
    inputs, outputs, *kernel = weights.data.shape
    by_group = weights.data.reshape(group, inputs // group, outputs, *kernel).swapaxes(1, 2)
    data = np.ascontiguousarray(by_group.reshape(group * outputs, inputs // group, *kernel))
    scale = weights.scale if weights.axis is None or group == 1 else np.broadcast_to(weights.scale, group * outputs)
    weights = replace(weights, data=data, scale=np.ascontiguousarray(scale), axis=None if weights.axis is None else 0)
    window = transposed_window(low.graph, op, (kernel[0], kernel[1]))
    attributes = {**window.attributes(), "dilations": window.dilations, "group": group}
    bias = op.inputs[2] if len(op.inputs) > 2 else ""
    _emit(low, op, x, weights, bias, output, attributes, op_type="QLinearConvTranspose")


def lower_dense(low: Lowering, op: Op, output: Tensor, addend: str = "") -> None:
    """Append the QLinearConv for Gemm or MatMul `op`; `addend` is a constant added to a MatMul's product."""
    if (
        op.attributes.get("alpha", 1.0) != 1.0
        or op.attributes.get("beta", 1.0) != 1.0
        or op.attributes.get("transA", 0)
    ):
        raise Decline("it has alpha, beta or transA, needs a plain product")
    weights = _weights(low, op)
    if weights.data.ndim != 2:
        raise Decline(f"its weights `{op.inputs[1]}` have shape {weights.data.shape}, needs two dimensions")
    if not op.attributes.get("transB", 0):
        axis = None if weights.axis is None else 1 - weights.axis
        weights = replace(weights, data=np.ascontiguousarray(weights.data.T), axis=axis)
    if weights.axis not in (None, 0):
        raise Decline(f"its weights `{op.inputs[1]}` are quantised along their inputs, needs along their outputs")
    x, order = low.source(op.inputs[0])
    rows = low.graph.tensor(op.output).shape[:-1]
    if any(d != 1 for d in rows):
        raise Decline(f"it multiplies {int(np.prod(rows))} rows, needs one")
    x_shape = low.shape(x)
    if low.draft.tensor(x).shape != x_shape:
        x, order = low.operand(op.inputs[0]), None
    data = weights.data
    if order is not None:
        data = np.empty_like(weights.data)
        data[:, order] = weights.data
    weights = replace(weights, data=data.reshape(-1, *x_shape[1:]))
    kernel: tuple[int, ...] = x_shape[2:]
    bias = addend or (op.inputs[2] if len(op.inputs) > 2 else "")
    attributes: dict[str, Attribute] = {"kernel_shape": kernel, "strides": (1, 1), "pads": (0, 0, 0, 0)}
    _emit(low, op, x, weights, bias, output, {**attributes, "dilations": (1, 1), "group": 1})


def _emit(
    low: Lowering,
    op: Op,
    x: str,
    weights: _Weights,
    bias: str,
    output: Tensor,
    attributes: dict[str, Attribute],
    op_type: str = "QLinearConv",
) -> None:
    quant = Quant(weights.scale, 0, None if weights.scale.ndim == 0 else 0)
    inputs = [x, _named(low, weights.name, weights.data, quant)]
    if bias:
        scale = np.asarray(low.quant(x).scale * weights.scale, np.float32)
        integers = _bias(low, bias, scale, weights.data.shape[0])
        inputs.append(_named(low, _integer_name(low, bias), integers, None))
    low.emit(op, op_type, inputs, output, attributes)


def _named(low: Lowering, name: str, data: Array, quant: Quant | None) -> str:
    """A constant under its name in the source where it is unchanged, else under a new one."""
    old = low.graph.tensors.get(name)
    if old is not None and old.data is not None and old.dtype == data.dtype.name and np.array_equal(old.data, data):
        low.draft.tensors[name] = Tensor(name, data.shape, data.dtype.name, quant, data)
        return name
    return low.draft.constant(f"{name}_nchw", data, quant)


def _integer_name(low: Lowering, real: str) -> str:
    dequantize, _ = low.dequantized(real)
    return real if dequantize is None else dequantize.inputs[0]


def _weights(low: Lowering, op: Op) -> _Weights:
    dequantize, layouts = low.dequantized(op.inputs[1])
    if dequantize is None:
        return _whole_numbers(low, op.inputs[1])
    tensor = low.graph.tensor(dequantize.inputs[0])
    if tensor.data is None:
        raise Decline(f"its weights `{op.inputs[1]}` are not constant")
    if tensor.dtype not in ("int8", "uint8"):
        raise Decline(f"its weights `{tensor.name}` are {tensor.dtype}, needs int8")
    quant, zero_points = channel_quantization_of(low.graph, dequantize)
    data = tensor.data.astype(np.int32) - zero_points
    if data.min(initial=0) < -128 or data.max(initial=0) > 127:
        raise ModelError(
            f"weights `{tensor.name}` span {data.min()}..{data.max()} around their zero point, needs -128..127; "
            "quantise them symmetrically (int8, zero point 0)"
        )
    weights = _Weights(tensor.name, data.astype(np.int8), quant.scale, quant.axis)
    return _reordered(low, weights, layouts) if layouts else weights


def _whole_numbers(low: Lowering, name: str) -> _Weights:
    """Float weights that are integers already, such as those of a convolution that copies: their scale is 1."""
    data = low.graph.tensor(name).data
    if data is None or data.dtype != np.float32 or not np.array_equal(data, np.clip(np.rint(data), -127, 127)):
        raise Decline(f"its weights `{name}` are not quantised")
    return _Weights(name, data.astype(np.int8), np.asarray(1, np.float32), None)


def _reordered(low: Lowering, weights: _Weights, layouts: list[Op]) -> _Weights:
    """Weights after layout operators; their scales must still belong to one axis."""
    data = np.ascontiguousarray(low.moved(weights.data, layouts))
    if weights.axis is None:
        return replace(weights, data=data)
    along = [-1 if d == weights.axis else 1 for d in range(weights.data.ndim)]
    scales = low.moved(np.broadcast_to(weights.scale.reshape(along), weights.data.shape), layouts)
    for axis in range(data.ndim):
        line = scales[tuple(slice(None) if d == axis else slice(0, 1) for d in range(data.ndim))]
        if np.array_equal(np.broadcast_to(line, scales.shape), scales):
            return replace(weights, data=data, scale=np.ascontiguousarray(line.reshape(-1)), axis=axis)
    raise Decline(f"its weights `{weights.name}` are reshaped across their channels")


def _bias(low: Lowering, name: str, scale: npt.NDArray[np.float32], channels: int) -> npt.NDArray[np.int32]:
    """Bias `name` as integers of `scale`, as onnxruntime.quantization rounds it; integers of that scale already stay."""
    op, layouts = low.dequantized(name)
    tensor = low.graph.tensor(name if op is None else op.inputs[0])
    if tensor.data is None:
        raise Decline(f"its bias `{name}` is not constant")
    if tensor.data.size not in (1, channels):
        raise Decline(f"its bias `{name}` has {tensor.data.size} elements, needs {channels}")
    flat = np.broadcast_to(low.moved(tensor.data, layouts).reshape(-1), (channels,))
    if op is None:
        return _rounded(flat.astype(np.float64), scale)
    quant = quantization_of(low.graph, op)
    if quant is None:
        raise Decline(f"its bias `{name}` has zero points that differ between channels")
    integers = flat.astype(np.int64) - quant.zero_point
    if tensor.dtype == "int32" and np.allclose(quant.scale, scale, rtol=1e-6, atol=0):
        return integers.astype(np.int32)
    return _rounded(integers.astype(np.float64) * quant.scale.astype(np.float64), scale)


def _rounded(real: npt.NDArray[np.float64], scale: npt.NDArray[np.float32]) -> npt.NDArray[np.int32]:
    limits = np.iinfo(np.int32)
    return np.clip(np.rint(real / scale.astype(np.float64)), limits.min, limits.max).astype(np.int32)
