"""ModelProto -> Graph: one walk over the nodes that upgrades, folds constants and infers shapes as it goes."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from sfopt.errors import ModelError
from sfopt.graph import Attribute, Graph, Op, Tensor, verify_graph
from sfopt.onnx_io.forms import from_inputs
from sfopt.onnx_io.infer import evaluate, infer_outputs, is_known
from sfopt.onnx_io.load import first_line, load_model
from sfopt.onnx_io.upgrade import settle, upgrade

__all__ = ["read_onnx"]

_FOLD_LIMIT_BYTES = 1 << 30
"""Of all computed constants together."""
_ELEMENTS_LIMIT = 1 << 32
"""Of all tensors that are computed, together: some times those of EfficientNet-B7."""
_TENSOR_LIMIT = 1 << 29
"""Elements of one of them."""
_NEVER_FOLDED = frozenset({"Bernoulli", "DequantizeLinear", "Multinomial", "RandomNormal", "RandomNormalLike"})
_NEVER_FOLDED |= {"RandomUniform", "RandomUniformLike"}
"""Random operators, and the one whose integer input must stay visible."""


def read_onnx(source: Path | bytes) -> Graph:
    """The Graph of a model file or its bytes: batch 1, concrete shapes, constants folded, one form per operator.

    Raises ModelError, one line, when the model cannot be read or contains what sfopt cannot handle.
    """
    model, label = load_model(source)
    try:
        return _Reader(model).read(Path(label).stem)
    except ModelError as error:
        raise ModelError(f"{label}: {error}") from None


class _Reader:
    def __init__(self, model: onnx.ModelProto) -> None:
        self.proto = model.graph
        self.opsets = {"" if e.domain == "ai.onnx" else e.domain: e.version for e in model.opset_import}
        self.tensors: dict[str, Tensor] = {}
        self.alias: dict[str, str] = {}
        self.ops: list[Op] = []
        self.names: set[str] = set()
        self.notes: list[str] = []
        self.elements = self.folded_bytes = 0
        """Elements of all that the network computes; bytes of what was computed here."""
        self.numbers: dict[str, npt.NDArray[np.generic]] = {}
        """Values of single constants behind a DequantizeLinear: bounds of a Clip, what a Pad fills in."""
        self.read_names = {n for node in model.graph.node for n in node.input} | {o.name for o in model.graph.output}

    def read(self, name: str) -> Graph:
        """Walk the model and build the graph."""
        for proto in self.proto.initializer:
            self._constant(proto.name, _array(proto, f"initializer `{proto.name}`"))
        for sparse in self.proto.sparse_initializer:
            raise ModelError(f"initializer `{sparse.values.name}` is sparse, which is not supported")
        inputs = [i for i in self.proto.input if i.name not in self.tensors]
        for value in inputs:
            self.tensors[value.name] = self._input(value)
            self._count([self.tensors[value.name]])
        for node in self.proto.node:
            self._node(node)
        outputs = [o.name for o in self.proto.output]
        self._restore_outputs(outputs)
        empty = Graph(self.proto.name or name, self.tensors, (), tuple(i.name for i in inputs), tuple(outputs))
        graph = empty.with_ops(self.ops, notes=self.notes)
        verify_graph(graph)
        return graph

    def _constant(self, name: str, data: npt.NDArray[np.generic]) -> None:
        self.tensors[name] = Tensor(name, data.shape, data.dtype.name, data=data)

    def _input(self, value: onnx.ValueInfoProto) -> Tensor:
        kind = value.type.tensor_type
        if not value.type.HasField("tensor_type") or not kind.HasField("shape"):
            raise ModelError(f"input `{value.name}` is not a tensor of known rank")
        shape = [d.dim_value if d.HasField("dim_value") and d.dim_value > 0 else 0 for d in kind.shape.dim]
        if shape and shape[0] == 0:
            shape[0] = 1
            self.notes.append(f"input `{value.name}`: dynamic batch fixed to 1")
        for axis, size in enumerate(shape):
            if size == 0:
                said = kind.shape.dim[axis].dim_param or "unknown"
                raise ModelError(f"input `{value.name}`: dimension {axis} is dynamic ({said}), needs a fixed size")
        if len(shape) > 1 and shape[0] > 1:
            raise ModelError(
                f"input `{value.name}` has batch {shape[0]}, needs 1: export it with batch 1 or a dynamic batch"
            )
        return Tensor(value.name, tuple(shape), np.dtype(helper.tensor_dtype_to_np_dtype(kind.elem_type)).name)

    def _node(self, node: onnx.NodeProto) -> None:
        op = self._plain(node)
        if op.op_type == "Constant" and not op.domain:
            self._constant(op.output, _constant_value(op))
            return
        version = self.opsets.get(op.domain, 1)
        for step in upgrade(from_inputs(op, version, self._data), version, self.tensors):
            self._append(step)

    def _plain(self, node: onnx.NodeProto) -> Op:
        domain = "" if node.domain == "ai.onnx" else node.domain
        name = self._fresh(node.name or next((o for o in node.output if o), node.op_type))
        for attribute in node.attribute:
            if attribute.HasField("g") or attribute.graphs:
                raise ModelError(f"{node.op_type} `{name}` contains a subgraph (control flow), which is not supported")
        if not is_known(node.op_type, domain):
            where = f" of domain `{domain}`" if domain else ""
            raise ModelError(f"unknown operator {node.op_type}{where}, node `{name}`")
        inputs = tuple(self.alias.get(i, i) for i in node.input)
        for used in inputs:
            if used and used not in self.tensors:
                raise ModelError(f"{node.op_type} `{name}` reads `{used}`, which nothing defines before it")
        while inputs and not inputs[-1]:
            inputs = inputs[:-1]
        attributes = {a.name: _plain_attribute(a, node, name) for a in node.attribute}
        # What only training reads (a mask, running statistics, the indices of a MaxPool) is not an output here. A Split cuts its
        # input into as many parts as it has outputs, whoever reads them.
        outputs = [
            o if i == 0 or o in self.read_names or node.op_type == "Split" else "" for i, o in enumerate(node.output)
        ]
        while len(outputs) > 1 and not outputs[-1] and node.op_type != "Split":
            outputs.pop()
        return Op(name, node.op_type, inputs, tuple(outputs), attributes, domain)

    def _fresh(self, base: str) -> str:
        name, number = base, 1
        while name in self.names:
            name, number = f"{base}_{number}", number + 1
        self.names.add(name)
        return name

    def _data(self, name: str) -> npt.NDArray[np.generic] | None:
        data = self.tensors[name].data
        return self.numbers.get(name) if data is None else data

    def _append(self, op: Op) -> None:
        op = replace(op, inputs=tuple(self.alias.get(i, i) for i in op.inputs))
        if op.op_type == "Identity":
            self.alias[op.output] = op.inputs[0]
            return
        if op.op_type in ("Shape", "Size") and not op.domain:
            self._constant(op.output, self._measure(op))
            return
        outputs = infer_outputs(op, self.tensors)
        if self._fold(op, outputs):
            return
        self._count(outputs)
        op = settle(op, outputs)
        self.tensors.update((t.name, t) for t in outputs)
        self.ops.append(op)

    def _count(self, tensors: Sequence[Tensor]) -> None:
        """Keep a small file that declares huge shapes from taking all memory."""
        for tensor in tensors:
            self.elements += tensor.elements
            if tensor.elements > _TENSOR_LIMIT:
                raise ModelError(
                    f"tensor `{tensor.name}` of shape {tensor.shape} has {tensor.elements} elements, the limit is {_TENSOR_LIMIT}"
                )
            if self.elements > _ELEMENTS_LIMIT:
                raise ModelError(
                    f"tensor `{tensor.name}` of shape {tensor.shape} brings the network to {self.elements} elements, "
                    f"the limit is {_ELEMENTS_LIMIT}"
                )

    def _measure(self, op: Op) -> npt.NDArray[np.generic]:
        shape = self.tensors[op.inputs[0]].shape
        if op.op_type == "Size":
            return np.asarray(np.prod(shape, dtype=np.int64))
        start, end = op.attributes.get("start", 0), op.attributes.get("end", len(shape))
        assert isinstance(start, int)
        assert isinstance(end, int)
        return np.asarray(shape[start:end], np.int64)

    def _fold(self, op: Op, outputs: Sequence[Tensor]) -> bool:
        if op.domain or any(n and not self.tensors[n].is_constant for n in op.inputs):
            return False
        if op.op_type in _NEVER_FOLDED:
            self._note_number(op, outputs)
            return False
        size = sum(t.elements * np.dtype(t.dtype).itemsize for t in outputs)
        if self.folded_bytes + size > _FOLD_LIMIT_BYTES:
            limit, more = _FOLD_LIMIT_BYTES >> 20, f" on top of {self.folded_bytes >> 20}" if self.folded_bytes else ""
            raise ModelError(
                f"constant `{op.output}` would take {size >> 20} MiB{more}, the limit for computed constants is {limit} MiB"
            )
        self.folded_bytes += size
        values = evaluate(op, self.tensors)
        if values is None:
            return False
        for tensor, value in zip(outputs, values, strict=True):
            self._constant(tensor.name, value)
        return True

    def _note_number(self, op: Op, outputs: Sequence[Tensor]) -> None:
        if op.op_type == "DequantizeLinear" and outputs[0].elements == 1:
            values = evaluate(op, self.tensors)
            self.numbers.update({} if values is None else {op.output: values[0]})

    def _restore_outputs(self, outputs: Sequence[str]) -> None:
        """Give every output that is a copy of another tensor its own name back."""
        produced = {n for op in self.ops for n in op.outputs}
        for name in outputs:
            source = self.alias.get(name, name)
            if source not in self.tensors:
                raise ModelError(f"output `{name}` is never produced")
            if source == name and (name in produced):
                continue
            if source in produced and source not in outputs:
                self._rename(source, name)
                self.alias = {k: name if v == source else v for k, v in self.alias.items()}
                produced = produced - {source} | {name}
                continue
            self._copy(source, name)

    def _copy(self, source: str, name: str) -> None:
        if source == name:
            source = f"{name}:value"
            self.tensors[source] = replace(self.tensors[name], name=source)
        self.tensors[name] = replace(self.tensors[source], name=name, data=None)
        self.ops.append(Op(self._fresh(f"{name}:copy"), "Identity", (source,), (name,)))

    def _rename(self, old: str, new: str) -> None:
        self.tensors[new] = replace(self.tensors.pop(old), name=new)
        swap: Mapping[str, str] = {old: new}
        self.ops = [
            replace(
                op, inputs=tuple(swap.get(n, n) for n in op.inputs), outputs=tuple(swap.get(n, n) for n in op.outputs)
            )
            for op in self.ops
        ]


def _array(proto: onnx.TensorProto, label: str) -> npt.NDArray[np.generic]:
    try:
        return numpy_helper.to_array(proto)
    except (
        KeyError,
        TypeError,
        ValueError,
    ) as error:  # a type without a number, more or fewer numbers than the shape has
        raise ModelError(f"{label} of shape {tuple(proto.dims)} is damaged: {first_line(error)}") from None


def _constant_value(op: Op) -> npt.NDArray[np.generic]:
    key, value = next(iter(op.attributes.items()))
    kinds: Mapping[str, type[np.generic]] = {"value_float": np.float32, "value_floats": np.float32}
    kinds = {**kinds, "value_int": np.int64, "value_ints": np.int64}
    if key == "value" and isinstance(value, np.ndarray):
        return value
    if key in kinds:
        return np.asarray(value, kinds[key])
    raise ModelError(f"Constant `{op.name}`: `{key}` is not supported")


def _plain_attribute(attribute: onnx.AttributeProto, node: onnx.NodeProto, name: str) -> Attribute:
    value = helper.get_attribute_value(attribute)
    if isinstance(value, onnx.TensorProto):
        return _array(value, f"{node.op_type} `{name}`: attribute `{attribute.name}`")
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, int | float):
        return value
    if attribute.type in (onnx.AttributeProto.INTS, onnx.AttributeProto.FLOATS):
        return tuple(value)
    if attribute.type == onnx.AttributeProto.STRINGS:
        return tuple(v.decode(errors="replace") for v in value)
    raise ModelError(f"{node.op_type} `{name}`: attribute `{attribute.name}` is of a kind that is not supported")
