"""Shapes and element types of one operator's outputs, and its values when everything it reads is constant."""

from collections.abc import Mapping
from dataclasses import replace

import ml_dtypes
import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from sfopt.errors import ModelError
from sfopt.graph import Op, Tensor
from sfopt.onnx_io.forms import OPSET, schema_of, to_node
from sfopt.onnx_io.load import first_line

__all__ = ["element_type", "evaluate", "infer_outputs", "is_known"]

_UNARY = ("AveragePool", "GlobalAveragePool", "LeakyRelu", "ReduceMean", "Sigmoid", "Softmax")
_MICROSOFT: Mapping[str, tuple[str, tuple[int, ...], int | None]] = {
    **{f"QLinear{name}": (name, (0,), 4) for name in _UNARY},
    "QLinearAdd": ("Add", (0, 3), 7),
    "QLinearMul": ("Mul", (0, 3), 7),
    "QLinearWhere": ("Where", (0, 1, 4), 8),
    "QLinearConcat": ("Concat", (), 1),
    "QGemm": ("Gemm", (0, 3), 8),
    "QuantizeLinear": ("Identity", (0,), 2),
    "DequantizeLinear": ("Identity", (0,), None),
    "Gelu": ("Identity", (0,), None),
    "QuickGelu": ("Identity", (0,), None),
}
"""com.microsoft operator -> the ONNX operator with its shapes, the positions of its operands, that of the result's zero point."""

_POOLS = frozenset({"AveragePool", "LpPool", "MaxPool"})

_SHAPE_OF_INPUT = frozenset({"GroupNormalization", "MeanVarianceNormalization"})
"""Operators of ONNX without inference of their own: it defines them by others."""

_SHAPE_ATTRIBUTES = frozenset(
    {"auto_pad", "axes", "axis", "ceil_mode", "count_include_pad", "keepdims", "kernel_shape"}
)
_SHAPE_ATTRIBUTES |= {"dilations", "pads", "strides", "transA", "transB"}


def is_known(op_type: str, domain: str) -> bool:
    """Whether outputs of the operator can be inferred."""
    return (domain == "com.microsoft" and op_type in _MICROSOFT) or schema_of(op_type, domain) is not None


def infer_outputs(op: Op, tensors: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
    """The named outputs of `op`, with concrete shapes; raises ModelError naming the one that has none."""
    if op.domain == "com.microsoft":
        return (_infer_microsoft(op, tensors),)
    schema = schema_of(op.op_type, op.domain)
    assert schema is not None
    node, constants = to_node(op, tensors)
    table = {**tensors, **{n: Tensor(n, a.shape, a.dtype.name, data=a) for n, a in constants.items()}}
    used = {name: table[name] for name in node.input if name}
    types = {name: _type_proto(t) for name, t in used.items()}
    # Large constants never decide a shape; handing them over would copy the weights of every convolution.
    data = {n: numpy_helper.from_array(t.data, n) for n, t in used.items() if t.data is not None and t.elements <= 4096}
    opset = max(OPSET, schema.since_version) if not op.domain else schema.since_version
    try:
        found = onnx.shape_inference.infer_node_outputs(
            schema, node, types, data, opset_imports=[helper.make_opsetid(op.domain, opset)], ir_version=10
        )
    except (onnx.shape_inference.InferenceError, onnx.checker.ValidationError, RuntimeError, TypeError) as error:
        raise ModelError(f"{op.op_type} `{op.name}`: {first_line(error)}") from None
    if op.op_type in _SHAPE_OF_INPUT and not op.domain:
        found = {op.output: types[op.inputs[0]]}
    results = [_tensor(op, name, found.get(name)) for name in op.outputs if name]
    if op.op_type == "Reshape" and not op.domain:
        _require_same_elements(op, tensors[op.inputs[0]], results[0])
    if op.op_type in _POOLS and op.attributes.get("ceil_mode"):
        results = [replace(t, shape=_starting_inside(op, tensors[op.inputs[0]].shape, t.shape)) for t in results]
    return tuple(results)


def _require_same_elements(op: Op, source: Tensor, target: Tensor) -> None:
    """ONNX's inference believes any shape that has no -1 in it."""
    if source.elements != target.elements:
        raise ModelError(
            f"Reshape `{op.name}`: {source.elements} elements of `{source.name}` {source.shape} into {target.shape}, "
            f"which has {target.elements}"
        )


def _starting_inside(op: Op, source: tuple[int, ...], target: tuple[int, ...]) -> tuple[int, ...]:
    """`target` without windows that start behind the input: the operator drops them under ceil_mode, ONNX's inference does not."""
    dims = len(source) - 2
    strides = op.ints("strides") if "strides" in op.attributes else (1,) * dims
    begin = op.ints("pads")[:dims] if "pads" in op.attributes else (0,) * dims
    most = (-(-(n + b) // s) for n, b, s in zip(source[2:], begin, strides, strict=True))
    return (*target[:2], *(min(o, m) for o, m in zip(target[2:], most, strict=True)))


def evaluate(op: Op, tensors: Mapping[str, Tensor]) -> tuple[npt.NDArray[np.generic], ...] | None:
    """The outputs of `op` on its constant inputs, None when it cannot be evaluated here."""
    node, constants = to_node(op, tensors)
    feeds = {n: data for n in op.inputs if n and (data := tensors[n].data) is not None} | constants
    inputs = [
        helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape) for n, a in feeds.items()
    ]
    outputs = [helper.make_empty_tensor_value_info(name) for name in op.outputs if name]
    graph = helper.make_graph([node], "node", inputs, outputs)
    schema = schema_of(op.op_type, op.domain)
    opset = max(OPSET, schema.since_version) if schema else OPSET
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid(op.domain, opset)], ir_version=10)
    try:
        results = ReferenceEvaluator(model).run(None, feeds)
    except Exception:  # noqa: BLE001 - the evaluator raises whatever its numpy code does; the operator then simply stays
        return None
    return tuple(np.asarray(value) for value in results)


def element_type(dtype: str) -> int:
    """The ONNX number of an element type, given its numpy name (or that of the ml_dtypes package)."""
    try:
        return int(helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))
    except TypeError:
        return int(helper.np_dtype_to_tensor_dtype(np.dtype(getattr(ml_dtypes, dtype))))


def _type_proto(tensor: Tensor) -> onnx.TypeProto:
    return helper.make_tensor_type_proto(element_type(tensor.dtype), tensor.shape)


def _tensor(op: Op, name: str, proto: onnx.TypeProto | None) -> Tensor:
    if proto is None or not proto.HasField("tensor_type") or not proto.tensor_type.HasField("shape"):
        raise ModelError(f"tensor `{name}`, written by {op.op_type} `{op.name}`, has a shape that cannot be inferred")
    dims = proto.tensor_type.shape.dim
    if any(not d.HasField("dim_value") or d.dim_value < 0 for d in dims):
        text = ", ".join(str(d.dim_value) if d.HasField("dim_value") else d.dim_param or "?" for d in dims)
        raise ModelError(
            f"tensor `{name}`, written by {op.op_type} `{op.name}`, has shape ({text}), which depends on the data"
        )
    dtype = helper.tensor_dtype_to_np_dtype(proto.tensor_type.elem_type)
    return Tensor(name, tuple(d.dim_value for d in dims), np.dtype(dtype).name)


def _infer_microsoft(op: Op, tensors: Mapping[str, Tensor]) -> Tensor:
    op_type, operands, zero_point = _MICROSOFT[op.op_type]
    operands = tuple(range(2, len(op.inputs), 3)) if op.op_type == "QLinearConcat" else operands
    names = tuple(op.inputs[i] for i in operands)
    plain = {n: replace(tensors[n], dtype="float32", data=None) for n in names}
    if op_type == "Where":
        plain[names[0]] = replace(tensors[names[0]], data=None)
    attributes = {k: v for k, v in op.attributes.items() if k in _SHAPE_ATTRIBUTES}
    (result,) = infer_outputs(Op(op.name, op_type, names, (op.output,), attributes), plain)
    dtype = "float32"
    if zero_point is not None and len(op.inputs) > zero_point and op.inputs[zero_point]:
        dtype = tensors[op.inputs[zero_point]].dtype
    elif zero_point is not None and op.op_type != "QGemm":
        dtype = "uint8" if op.op_type == "QuantizeLinear" else tensors[names[0]].dtype
    return Tensor(op.output, result.shape, dtype)
