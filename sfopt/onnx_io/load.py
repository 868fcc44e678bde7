"""Bytes -> a valid ModelProto, or a ModelError that says in one line what is wrong with the file."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError
from onnx import external_data_helper, inliner

from sfopt.errors import ModelError

__all__ = ["OLDEST_OPSET", "first_line", "load_model"]

OLDEST_OPSET = 7
"""First opset with today's broadcasting rules."""

_FUNCTION_DEPTH = 50
_MOST_NODES = 100_000
"""Operators of a model whose functions are written out."""


def load_model(source: Path | bytes) -> tuple[onnx.ModelProto, str]:
    """The model in `source`, its functions inlined and its external data loaded, and what to call it in messages.

    Raises ModelError when the file is missing, empty, damaged, not ONNX, or of an opset nobody here knows.
    """
    label = "model" if isinstance(source, bytes) else str(source)
    model = _parse(source if isinstance(source, bytes) else _read(source), label)
    _check_versions(model, label)
    _load_external(model, source, label)
    if model.functions:
        model = _inline(model, label)
    _check(model, label)
    return model, label


def _read(path: Path) -> bytes:
    if path.is_dir():
        raise ModelError(f"{path}: is a folder, needs an ONNX file")
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise ModelError(f"{path}: no such file") from None
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror}") from None


def _parse(data: bytes, label: str) -> onnx.ModelProto:
    if not data:
        raise ModelError(f"{label}: the file is empty")
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except DecodeError:
        kind = "a text file" if _is_text(data) else "damaged, truncated or of another format"
        raise ModelError(f"{label}: not an ONNX model: {kind}") from None
    if not model.ir_version or not model.opset_import or not model.HasField("graph"):
        raise ModelError(f"{label}: not an ONNX model: it holds no graph with an IR version and an opset")
    if not all(isinstance(text, str) for text in _texts(model.graph)):
        raise ModelError(f"{label}: not an ONNX model: it holds a name that is not UTF-8")
    return model


def _texts(graph: onnx.GraphProto) -> Iterator[object]:
    """Names of operators and tensors; protobuf hands out bytes for what is not UTF-8."""
    for node in graph.node:
        yield from (node.op_type, node.name, node.domain, *node.input, *node.output)
        yield from (attribute.name for attribute in node.attribute)
    yield from (value.name for value in (*graph.input, *graph.output, *graph.initializer))


def _is_text(data: bytes) -> bool:
    head = data[:512]
    return all(32 <= byte < 127 or byte in b"\t\n\r\f" for byte in head)


def _check_versions(model: onnx.ModelProto, label: str) -> None:
    newest = onnx.defs.onnx_opset_version()
    for entry in model.opset_import:
        if entry.domain in ("", "ai.onnx") and not OLDEST_OPSET <= entry.version <= newest:
            raise ModelError(f"{label}: opset {entry.version} is not supported, needs {OLDEST_OPSET} to {newest}")


def _load_external(model: onnx.ModelProto, source: Path | bytes, label: str) -> None:
    external = [t for t in model.graph.initializer if external_data_helper.uses_external_data(t)]
    if not external:
        return
    if isinstance(source, bytes):
        raise ModelError(
            f"{label}: tensor `{external[0].name}` is in an external file, so the model must be given as a path"
        )
    folder = source.resolve().parent
    try:
        for tensor in external:
            _check_location(tensor, folder, label)
        external_data_helper.load_external_data_for_model(model, str(folder))
    except (OSError, ValueError, onnx.checker.ValidationError) as error:
        raise ModelError(f"{label}: external data cannot be loaded: {first_line(error)}") from None


def _check_location(tensor: onnx.TensorProto, folder: Path, label: str) -> None:
    info = external_data_helper.ExternalDataInfo(tensor)
    file = folder / info.location
    if not file.is_file():
        raise ModelError(f"{label}: tensor `{tensor.name}` is in `{info.location}`, which does not exist")
    end, size = (info.offset or 0) + (info.length or 0), file.stat().st_size
    if size < end:
        raise ModelError(f"{label}: tensor `{tensor.name}` ends at byte {end} of `{info.location}`, which has {size}")


def _inline(model: onnx.ModelProto, label: str) -> onnx.ModelProto:
    """The model with its functions in the places where they are called, if that makes no monster of a small file."""
    functions = {(f.domain, f.name): f for f in model.functions}
    known = dict[tuple[str, str], int]()

    def count(nodes: Iterable[onnx.NodeProto], depth: int) -> int:
        if depth > _FUNCTION_DEPTH:
            raise ModelError(f"{label}: functions call themselves, or each other more than {_FUNCTION_DEPTH} deep")
        total = 0
        for node in nodes:
            key = (node.domain, node.op_type)
            if key in functions and key not in known:
                known[key] = count(functions[key].node, depth + 1)
            graphs = [g for a in node.attribute for g in (*a.graphs, *([a.g] if a.HasField("g") else []))]
            total += known.get(key, 1) + sum(count(g.node, depth + 1) for g in graphs)
        return total

    nodes = count(model.graph.node, 0)
    if nodes > _MOST_NODES:
        raise ModelError(f"{label}: its functions written out have {nodes} operators, the limit is {_MOST_NODES}")
    try:
        return inliner.inline_local_functions(model)
    except (RuntimeError, onnx.checker.ValidationError) as error:
        raise ModelError(f"{label}: its functions cannot be written out: {first_line(error)}") from None


def _check(model: onnx.ModelProto, label: str) -> None:
    # Only the names of outputs are used, and some exporters leave the rest out, which the checker minds.
    for value in model.graph.output:
        if value.type.WhichOneof("value") in (None, "tensor_type"):
            value.type.tensor_type.elem_type = value.type.tensor_type.elem_type or onnx.TensorProto.FLOAT
            value.type.tensor_type.shape.SetInParent()
    for value in model.graph.input:
        if value.type.HasField("tensor_type") and not value.type.tensor_type.HasField("shape"):
            raise ModelError(f"{label}: input `{value.name}` has no shape")  # the checker does not say which input
    try:
        onnx.checker.check_model(model)
    except onnx.checker.ValidationError as error:
        raise ModelError(f"{label}: not a valid ONNX model: {first_line(error)}") from None
    except ValueError:
        raise ModelError(f"{label}: larger than 2 GiB, which is not supported") from None


def first_line(error: Exception) -> str:
    """The first line of an exception's text that says something."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
