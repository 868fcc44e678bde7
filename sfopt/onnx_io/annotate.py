"""Notes on the nodes and tensors of an ONNX file, where viewers such as Netron show them; what the model computes stays."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import onnx

__all__ = ["Notes", "annotate_onnx"]

_METADATA_IR = 10
"""The first version of the format in which nodes and tensors have metadata; before, there are only their descriptions."""

Note = Mapping[str, str]
"""Key -> value."""


@dataclass(frozen=True)
class Notes:
    """What is to be noted: on the model, on nodes by their name or by a tensor that they write, on tensors by name."""

    model: Note = field(default_factory=dict)
    nodes: Mapping[str, Note] = field(default_factory=dict)
    writers: Mapping[str, Note] = field(default_factory=dict)
    tensors: Mapping[str, Note] = field(default_factory=dict)


def annotate_onnx(data: bytes, notes: Notes) -> bytes:
    """The model with the notes as metadata, and in the descriptions of nodes and tensors as lines `key: value`."""
    model = onnx.load_from_string(data)
    graph, metadata = model.graph, model.ir_version >= _METADATA_IR
    _add(model.metadata_props, notes.model)
    for node in graph.node:
        written = (notes.writers[name] for name in node.output if name in notes.writers)
        note = notes.nodes.get(node.name) or next(written, {})
        _describe(node, note, metadata=metadata)
    for value in (*graph.input, *graph.output, *graph.value_info):
        _describe(value, notes.tensors.get(value.name, {}), metadata=metadata)
    return bytes(model.SerializeToString(deterministic=True))


def _describe(item: onnx.NodeProto | onnx.ValueInfoProto, note: Note, *, metadata: bool) -> None:
    if not note:
        return
    item.doc_string = "\n".join(f"{key}: {value}" for key, value in note.items())
    if metadata:
        _add(item.metadata_props, note)


def _add(props: object, note: Note) -> None:
    for key, value in note.items():
        props.add(key=key, value=value)  # type: ignore[attr-defined]
