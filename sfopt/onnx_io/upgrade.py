"""What an operator of an old opset means in today's, with every attribute spelt out.

`upgrade` runs before shapes of outputs are known, `settle` after.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
from onnx import helper

from sfopt.errors import ModelError
from sfopt.graph import Attribute, Op, Tensor
from sfopt.onnx_io.forms import schema_of

__all__ = ["settle", "upgrade"]

_Tensors = Mapping[str, Tensor]
_AXIS_OF_INPUT = frozenset(
    {"ArgMax", "ArgMin", "Concat", "DequantizeLinear", "Flatten", "Gather", "Hardmax", "LogSoftmax", "QuantizeLinear"}
    | {"GatherElements", "Softmax", "Split", "TopK"}
)
_POOLS = frozenset({"AveragePool", "LpPool", "MaxPool"})


def upgrade(op: Op, version: int, tensors: _Tensors) -> tuple[Op, ...]:
    """`op` of opset `version` as operators of the written opset, attributes defaulted, axes counted from the front."""
    if op.domain not in ("", "ai.onnx"):
        return (op,)
    rule = _RULES.get(op.op_type)
    if rule is not None:
        op = rule(op, version, tensors)
    op = _with_defaults(op)
    if op.op_type in _AXIS_OF_INPUT or op.op_type.startswith("Reduce") or op.op_type in ("Squeeze", "Unsqueeze"):
        op = _front_axes(op, tensors)
    if op.op_type in ("Hardmax", "LogSoftmax", "Softmax") and version < 13:
        return _old_softmax(op, tensors)
    return (op,)


def settle(op: Op, outputs: tuple[Tensor, ...]) -> Op:
    """`op` with the attributes that its output shapes decide, as numbers."""
    if op.op_type in ("Reshape", "Expand") and len(op.inputs) == 1:
        return replace(op, attributes={"shape": outputs[0].shape})
    if op.op_type == "Split" and len(op.inputs) == 1 and not op.domain:
        axis = op.ints("axis")[0]
        return replace(op, attributes={"axis": axis, "split": tuple(t.shape[axis] for t in outputs)})
    return op


def _with_defaults(op: Op) -> Op:
    schema = schema_of(op.op_type, "")
    if schema is None:
        return op
    attributes = dict(op.attributes)
    for key, declared in schema.attributes.items():
        if key not in attributes and declared.default_value.ByteSize():
            value = _default(declared.default_value)
            if value is not None:
                attributes[key] = value
    return replace(op, attributes=attributes)


def _default(proto: object) -> Attribute | None:
    value = helper.get_attribute_value(proto)  # type: ignore[arg-type]
    if isinstance(value, bytes):
        return value.decode()
    return value if isinstance(value, int | float) else None


def _rank(op: Op, tensors: _Tensors) -> int:
    return len(tensors[op.inputs[0]].shape)


def _front_axes(op: Op, tensors: _Tensors) -> Op:
    rank = _rank(op, tensors)
    attributes = dict(op.attributes)
    axis = attributes.get("axis")
    if isinstance(axis, int) and rank and axis < 0:
        attributes["axis"] = axis + rank
    if op.op_type.startswith("Reduce") and not attributes.get("axes", (0,)):
        del attributes["axes"]  # no axes are all axes, whether absent or empty
    if "axes" in attributes:
        span = rank + len(op.ints("axes")) if op.op_type == "Unsqueeze" else rank
        attributes["axes"] = tuple(sorted(a % span for a in op.ints("axes")))
    elif op.op_type == "Squeeze" and len(op.inputs) == 1:
        attributes["axes"] = tuple(i for i, n in enumerate(tensors[op.inputs[0]].shape) if n == 1)
    elif op.op_type.startswith("Reduce") and len(op.inputs) == 1:
        if attributes.get("noop_with_empty_axes"):
            return replace(op, op_type="Identity", attributes={})
        attributes["axes"] = tuple(range(rank))
    attributes.pop("noop_with_empty_axes", None)
    return replace(op, attributes=attributes)


def _old_softmax(op: Op, tensors: _Tensors) -> tuple[Op, ...]:
    shape = tensors[op.inputs[0]].shape
    axis = op.ints("axis")[0]
    if int(np.prod(shape[axis + 1 :], dtype=np.int64)) == 1:
        return (op,)
    flat, result = f"{op.output}:flat", f"{op.output}:normalised"
    two = (int(np.prod(shape[:axis], dtype=np.int64)), int(np.prod(shape[axis:], dtype=np.int64)))
    return (
        Op(f"{op.name}:flatten", "Reshape", op.inputs, (flat,), {"shape": two}),
        replace(op, inputs=(flat,), outputs=(result,), attributes={"axis": 1}),
        Op(f"{op.name}:restore", "Reshape", (result,), op.outputs, {"shape": shape}),
    )


def _softmax(op: Op, version: int, _: _Tensors) -> Op:
    return replace(op, attributes={"axis": 1, **op.attributes}) if version < 13 else op


def _conv(op: Op, _: int, tensors: _Tensors) -> Op:
    weight = tensors[op.inputs[3 if op.op_type == "QLinearConv" else 1]].shape
    return _windowed(op, {"kernel_shape": tuple(weight[2:])}, len(weight) - 2)


def _pool(op: Op, _: int, tensors: _Tensors) -> Op:
    return _windowed(op, {}, _rank(op, tensors) - 2)


def _windowed(op: Op, found: dict[str, Attribute], dims: int) -> Op:
    attributes: dict[str, Attribute] = {"strides": (1,) * dims, "dilations": (1,) * dims, **found, **op.attributes}
    if attributes.get("auto_pad", "NOTSET") == "NOTSET" and "output_shape" not in attributes:
        attributes.setdefault("pads", (0,) * (2 * dims))
    return replace(op, attributes=attributes)


def _batch_norm(op: Op, _: int, __: _Tensors) -> Op:
    if op.attributes.get("spatial", 1) != 1:
        raise ModelError(f"BatchNormalization `{op.name}`: spatial=0 is not supported")
    return _without(replace(op, outputs=op.outputs[:1]), "spatial", "training_mode", "momentum", "is_test")


def _dropout(op: Op, _: int, __: _Tensors) -> Op:
    return replace(op, op_type="Identity", inputs=op.inputs[:1], outputs=op.outputs[:1], attributes={})


def _cast(op: Op, _: int, tensors: _Tensors) -> Op:
    same = np.dtype(helper.tensor_dtype_to_np_dtype(op.ints("to")[0])).name == tensors[op.inputs[0]].dtype
    return replace(op, op_type="Identity", attributes={}) if same else op


def _clip(op: Op, _: int, tensors: _Tensors) -> Op:
    if len(op.inputs) > 1 or "float" not in tensors[op.inputs[0]].dtype:
        return op
    return replace(op, attributes={"min": -float("inf"), "max": float("inf"), **op.attributes})


def _pad(op: Op, _: int, tensors: _Tensors) -> Op:
    if len(op.inputs) > 1:
        return op
    attributes = {"mode": "constant", "value": 0.0, **op.attributes}
    if "axes" in attributes:
        rank, axes, given = _rank(op, tensors), op.ints("axes"), op.ints("pads")
        pads = [0] * (2 * rank)
        for i, axis in enumerate(axes):
            pads[axis % rank], pads[axis % rank + rank] = given[i], given[i + len(axes)]
        attributes = {**attributes, "pads": tuple(pads)}
        del attributes["axes"]
    return replace(op, attributes=attributes)


def _upsample(op: Op, _: int, __: _Tensors) -> Op:
    attributes = {
        "mode": "nearest",
        **op.attributes,
        "coordinate_transformation_mode": "asymmetric",
        "nearest_mode": "floor",
    }
    return replace(op, op_type="Resize", attributes=attributes)


def _resize(op: Op, version: int, tensors: _Tensors) -> Op:
    if version < 11:
        return _upsample(op, version, tensors)
    attributes = dict(op.attributes)
    if attributes.get("coordinate_transformation_mode") != "tf_crop_and_resize":
        attributes.pop("roi", None)
    if "axes" in attributes and attributes.get("keep_aspect_ratio_policy", "stretch") == "stretch":
        shape = tensors[op.inputs[0]].shape
        axes = [a % len(shape) for a in op.ints("axes")]
        del attributes["axes"]
        for key, rest in (("scales", tuple(1.0 for _ in shape)), ("sizes", shape)):
            values = attributes.get(key)
            if isinstance(values, tuple):
                given = dict(zip(axes, values, strict=True))
                attributes[key] = tuple(given.get(i, old) for i, old in enumerate(rest))  # type: ignore[assignment]
    return replace(op, attributes=attributes)


def _split(op: Op, _: int, __: _Tensors) -> Op:
    if len(op.inputs) == 1 and "split" not in op.attributes:
        return replace(op, attributes={"axis": 0, **op.attributes, "num_outputs": len(op.outputs)})
    return _without(op, "num_outputs")


def _transpose(op: Op, _: int, tensors: _Tensors) -> Op:
    return replace(op, attributes={"perm": tuple(reversed(range(_rank(op, tensors)))), **op.attributes})


def _reshape(op: Op, _: int, tensors: _Tensors) -> Op:
    if len(op.inputs) > 1 or op.attributes.get("allowzero"):
        return op
    shape = tensors[op.inputs[0]].shape
    return replace(op, attributes={"shape": tuple(n or shape[i] for i, n in enumerate(op.ints("shape")))})


def _scatter(op: Op, _: int, __: _Tensors) -> Op:
    return replace(op, op_type="ScatterElements")


def _without(op: Op, *keys: str) -> Op:
    return replace(op, attributes={k: v for k, v in op.attributes.items() if k not in keys})


_RULES: Mapping[str, Callable[[Op, int, _Tensors], Op]] = {
    "BatchNormalization": _batch_norm,
    "Cast": _cast,
    "Clip": _clip,
    "Conv": _conv,
    "ConvInteger": _conv,
    "ConvTranspose": _conv,
    "Dropout": _dropout,
    "Hardmax": _softmax,
    "LogSoftmax": _softmax,
    "Pad": _pad,
    "QLinearConv": _conv,
    "Reshape": _reshape,
    "Resize": _resize,
    "Scatter": _scatter,
    "Softmax": _softmax,
    "Split": _split,
    "Transpose": _transpose,
    "Upsample": _upsample,
    **dict.fromkeys(_POOLS, _pool),
}
