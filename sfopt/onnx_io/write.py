"""Graph -> ONNX file. The same graph always gives the same bytes."""

from pathlib import Path

import onnx
from onnx import helper, numpy_helper

from sfopt.errors import ModelError
from sfopt.graph import Graph, Op, Tensor
from sfopt.onnx_io.forms import OPSET, schema_of, to_node
from sfopt.onnx_io.infer import element_type, is_known
from sfopt.onnx_io.load import first_line

__all__ = ["write_onnx"]

_IR_VERSION = 10
_FLOOR_MOD_OPSET = 28
"""Mod of floats without `fmod`: the same node was illegal before, so its schema's version alone does not tell."""
_LIMIT_BYTES = (1 << 31) - 1


def write_onnx(graph: Graph, path: Path | None = None) -> bytes:
    """The model as bytes, also stored at `path` when given.

    Raises ModelError when an operator has no ONNX form or the model exceeds 2 GiB.
    """
    size = sum(t.data.nbytes for t in graph.tensors.values() if t.data is not None)
    if size > _LIMIT_BYTES:
        raise ModelError(
            f"model `{graph.name}` holds {size} bytes of constants, an ONNX file holds at most {_LIMIT_BYTES}"
        )
    model = helper.make_model(
        _graph(graph), opset_imports=_opsets(graph), ir_version=_IR_VERSION, producer_name="sfopt"
    )
    if all(op.domain == "" for op in graph.ops):
        try:
            onnx.checker.check_model(model)
        except onnx.checker.ValidationError as error:
            raise ModelError(f"model `{graph.name}` cannot be written: {first_line(error)}") from None
    data: bytes = model.SerializeToString(deterministic=True)
    if path is not None:
        path.write_bytes(data)
    return data


def _graph(graph: Graph) -> onnx.GraphProto:
    nodes, constants = [], {n: t.data for n, t in graph.tensors.items() if t.data is not None}
    for op in graph.ops:
        if not is_known(op.op_type, op.domain):
            raise ModelError(f"{op.op_type} `{op.name}` has no form in ONNX")
        node, parameters = to_node(op, graph.tensors)
        nodes.append(node)
        constants.update(parameters)
    used = {name for node in nodes for name in node.input}
    outer = {*graph.inputs, *graph.outputs}
    inner = sorted(n for op in graph.ops for n in op.outputs if n and n not in outer)
    return helper.make_graph(
        nodes,
        graph.name or "graph",
        [_value_info(graph.tensor(n)) for n in graph.inputs],
        [_value_info(graph.tensor(n)) for n in graph.outputs],
        [numpy_helper.from_array(data, name) for name, data in sorted(constants.items()) if name in used],
        value_info=[_value_info(graph.tensor(n)) for n in inner],
    )


def _opsets(graph: Graph) -> list[onnx.OperatorSetIdProto]:
    versions = {"": OPSET}
    for op in graph.ops:
        schema = schema_of(op.op_type, op.domain)
        version = 1 if schema is None else schema.since_version
        if _is_floor_mod_of_floats(graph, op):
            version = _FLOOR_MOD_OPSET
        versions[op.domain] = max(versions.get(op.domain, 1), version)
    return [helper.make_opsetid(domain, version) for domain, version in sorted(versions.items())]


def _is_floor_mod_of_floats(graph: Graph, op: Op) -> bool:
    return (
        op.op_type == "Mod" and not op.attributes.get("fmod") and graph.tensor(op.inputs[0]).dtype.startswith("float")
    )


def _value_info(tensor: Tensor) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(tensor.name, element_type(tensor.dtype), tensor.shape)
