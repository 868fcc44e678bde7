"""One form for operators whose parameters moved between attributes and inputs over the opsets.

In a Graph such a parameter is a plain attribute when it is constant. In a file of opset `OPSET` it is an input.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from sfopt.errors import ModelError
from sfopt.graph import Attribute, Op, Tensor

__all__ = ["OPSET", "Constants", "from_inputs", "schema_of", "to_node"]

_KINDS = onnx.AttributeProto.AttributeType

OPSET = 21
"""The opset of every file that is written, unless an operator needs a newer one."""

Constants = dict[str, npt.NDArray[np.generic]]

_REDUCTIONS = ("L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "Sum", "SumSquare")
_AXES = (("axes", "int64"),)
_FORMS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "Clip": (("min", "scalar"), ("max", "scalar")),
    "Expand": (("shape", "int64"),),
    "Pad": (("pads", "int64"), ("value", "scalar"), ("axes", "int64")),
    "Reshape": (("shape", "int64"),),
    "Resize": (("roi", "float32"), ("scales", "float32"), ("sizes", "int64")),
    "Slice": (("starts", "int64"), ("ends", "int64"), ("axes", "int64"), ("steps", "int64")),
    "Split": (("split", "int64"),),
    "Squeeze": _AXES,
    "Tile": (("repeats", "int64"),),
    "TopK": (("k", "int64"),),
    "Unsqueeze": _AXES,
    "Upsample": (("scales", "float32"),),
    **{f"Reduce{name}": _AXES for name in _REDUCTIONS},
}
"""Parameters by input position, counted from 1, and their element type ("scalar": that of input 0, rank 0)."""


def schema_of(op_type: str, domain: str) -> onnx.defs.OpSchema | None:
    """The schema at `OPSET`, or the first one when the operator came later; None when nobody knows it."""
    domain = "" if domain == "ai.onnx" else domain
    newest = onnx.defs.onnx_opset_version() if domain == "" else OPSET
    for version in range(OPSET, newest + 1):
        try:
            return onnx.defs.get_schema(op_type, version, domain)
        except onnx.defs.SchemaError:
            continue
    return None


def from_inputs(op: Op, version: int, data_of: Callable[[str], npt.NDArray[np.generic] | None]) -> Op:
    """`op` with its constant parameter inputs turned into attributes, unchanged when one of them is computed.

    `version` is the opset of the file: Resize had no `roi` before 11.
    """
    form = _FORMS.get("Upsample" if op.op_type == "Resize" and version < 11 else op.op_type)
    if form is None or len(op.inputs) < 2:
        return op
    found: dict[str, Attribute] = {}
    for (key, kind), name in zip(form, op.inputs[1:], strict=False):
        data = data_of(name) if name else None
        if name and data is None:
            return op
        if data is not None and (data.size or key == "shape"):
            found[key] = data.reshape(-1)[0].item() if kind == "scalar" else tuple(data.reshape(-1).tolist())
    return replace(op, inputs=op.inputs[:1], attributes={**op.attributes, **found})


def to_node(op: Op, tensors: Mapping[str, Tensor]) -> tuple[onnx.NodeProto, Constants]:
    """The operator as a node of opset `OPSET`, and the constants (by fresh name) that its attributes became."""
    if op.op_type == "Resize" and "scale_h" in op.attributes:
        op = _expand_resize(op)
    form = _FORMS.get(op.op_type, ()) if not op.domain else ()
    attributes, inputs, constants = dict(op.attributes), list(op.inputs), Constants()
    for position, (key, kind) in enumerate(form, start=1):
        value = attributes.pop(key, None)
        if value is None or (isinstance(value, float) and np.isinf(value)):
            continue
        array = _parameter(op, key, tensors[op.inputs[0]].dtype if kind == "scalar" else kind)
        name = f"{op.name}:{key}"
        constants[name] = array
        inputs += [""] * (position + 1 - len(inputs))
        inputs[position] = name
    node = helper.make_node(op.op_type, inputs, list(op.outputs), name=op.name, domain=op.domain)
    node.attribute.extend(_attribute(op, key, attributes[key]) for key in sorted(attributes))
    return node, constants


def _parameter(op: Op, key: str, dtype: str) -> npt.NDArray[np.generic]:
    value = op.attributes[key]
    try:
        return np.asarray(value, dtype)
    except (OverflowError, TypeError, ValueError):
        raise ModelError(f"{op.op_type} `{op.name}`: `{key}` cannot be {value!r}, needs {dtype}") from None


def _attribute(op: Op, key: str, value: Attribute) -> onnx.AttributeProto:
    if isinstance(value, np.ndarray):
        return helper.make_attribute(key, numpy_helper.from_array(value))
    schema = schema_of(op.op_type, op.domain)
    declared = schema.attributes.get(key) if schema else None
    kind = None if declared is None else _KINDS.Value(str(declared.type).rsplit(".", 1)[-1])
    try:
        return helper.make_attribute(key, value, attr_type=kind)
    except (TypeError, ValueError):
        raise ModelError(f"{op.op_type} `{op.name}`: attribute `{key}` cannot be {value!r}") from None


def _expand_resize(op: Op) -> Op:
    scales = (1.0, 1.0, float(op.ints("scale_h")[0]), float(op.ints("scale_w")[0]))
    attributes: dict[str, Attribute] = {
        "scales": scales,
        "mode": "nearest",
        "coordinate_transformation_mode": "asymmetric",
        "nearest_mode": "floor",
    }
    return replace(op, attributes=attributes)
