"""Reads model files with damage, in a process whose memory is limited: `python damaged_models.py FIRST COUNT FOLDER`.

Prints each seed before it is tried, so that a crash names it, and at the end a count of what came out.
"""

import resource
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from models import run
from random_models import random_model

from sfopt.errors import ModelError, UsageError
from sfopt.graph import Graph
from sfopt.importer import import_model
from sfopt.onnx_io import read_onnx, write_onnx

MEMORY_LIMIT_BYTES = 4 << 30
NUMBERS = (0, -1, 1, 2, 3, 7, 1 << 16, 1 << 20, 1 << 31, -(1 << 31), (1 << 62), -(1 << 63))
ATTRIBUTES = (
    "alpha", "auto_pad", "axes", "axis", "ceil_mode", "dilations", "group", "kernel_shape", "pads", "perm", "strides", "to",
)  # fmt: skip
OPERATORS = (
    "Add", "AveragePool", "Concat", "Conv", "ConvTranspose", "Expand", "Flatten", "Gemm", "Loop", "MatMul", "MaxPool", "Mul",
    "Pad", "ReduceMean", "Relu", "Reshape", "Resize", "Slice", "Softmax", "Split", "Tile", "Transpose", "Nope",
)  # fmt: skip

Random = np.random.Generator


def damaged(seed: int) -> bytes:
    """The file of a small random model with one to three damages, of its bytes or of its content."""
    r = np.random.default_rng([seed, 7])
    data = random_model(seed % 97).data
    if r.random() < 0.3:
        return _bytes(data, r)
    model = onnx.load_from_string(data)
    for _ in range(int(r.integers(1, 4))):
        kinds = (_attribute, _attribute, _attribute, _wire, _operator, _initializer, _values, _input, _order)
        damage: Callable[[onnx.GraphProto, Random], None] = _pick(r, kinds)  # type: ignore[assignment]
        damage(model.graph, r)
    return model.SerializeToString()


def _pick(r: Random, choices: object) -> object:
    return choices[int(r.integers(len(choices)))]  # type: ignore[index, arg-type]


def _number(r: Random) -> int:
    return int(_pick(r, NUMBERS)) if r.random() < 0.7 else int(r.integers(-10, 100))  # type: ignore[call-overload]


def _bytes(data: bytes, r: Random) -> bytes:
    """Flipped bits, bytes missing at the end or in the middle, a part twice."""
    changed = bytearray(data)
    a, b = sorted(int(n) for n in r.integers(0, len(data), 2))
    match int(r.integers(4)):
        case 0:
            for _ in range(int(r.integers(1, 9))):
                changed[int(r.integers(len(changed)))] ^= 1 << int(r.integers(8))
        case 1:
            del changed[a:]
        case 2:
            del changed[a : a + min(b - a, 40)]
        case _:
            changed[a:a] = changed[a:b]
    return bytes(changed)


def _attribute(graph: onnx.GraphProto, r: Random) -> None:
    node = _pick(r, graph.node)
    name = str(_pick(r, ATTRIBUTES))
    if node.attribute and r.random() < 0.7:  # type: ignore[attr-defined]
        name = str(_pick(r, node.attribute).name)  # type: ignore[attr-defined]
    old = [a for a in node.attribute if a.name == name]  # type: ignore[attr-defined]
    for a in old:
        node.attribute.remove(a)  # type: ignore[attr-defined]
    count = len(old[0].ints) if old and old[0].ints and r.random() < 0.8 else int(r.integers(0, 6))
    values: list[object] = [
        [_number(r) for _ in range(count)],
        _number(r),
        float(_number(r)),
        "SAME_LOWER",
        [0.5] * count,
    ]
    value = _pick(r, values[:2] if r.random() < 0.8 else values)
    if value != []:
        node.attribute.append(onnx.helper.make_attribute(name, value))  # type: ignore[attr-defined]


def _wire(graph: onnx.GraphProto, r: Random) -> None:
    """An operator reads or writes another tensor, or one fewer."""
    node, names = _pick(r, graph.node), [n for other in graph.node for n in (*other.input, *other.output)]
    side = node.input if r.random() < 0.7 else node.output  # type: ignore[attr-defined]
    if side:
        at = int(r.integers(len(side)))
        side[at] = str(_pick(r, [*names, "", "nowhere"]))
        if r.random() < 0.2:
            del side[at]


def _operator(graph: onnx.GraphProto, r: Random) -> None:
    node = _pick(r, graph.node)
    node.op_type = str(_pick(r, OPERATORS))  # type: ignore[attr-defined]
    if r.random() < 0.1:
        node.domain = str(_pick(r, ("com.microsoft", "nowhere")))  # type: ignore[attr-defined]


def _initializer(graph: onnx.GraphProto, r: Random) -> None:
    """Another shape, another type, fewer bytes."""
    if not graph.initializer:
        return
    tensor: onnx.TensorProto = _pick(r, graph.initializer)  # type: ignore[assignment]
    match int(r.integers(5)):
        case 0 if tensor.dims:
            tensor.dims[int(r.integers(len(tensor.dims)))] = _number(r)
        case 1:
            tensor.dims.append(_number(r))
        case 2:
            tensor.data_type = int(r.integers(0, 30))
        case 3:
            tensor.raw_data = tensor.raw_data[: int(r.integers(0, len(tensor.raw_data) + 1))]
        case _:
            tensor.data_location = onnx.TensorProto.EXTERNAL
            tensor.external_data.add(
                key=str(_pick(r, ("location", "offset", "x"))), value=str(_pick(r, ("../x", "", "\0", "9")))
            )


def _values(graph: onnx.GraphProto, r: Random) -> None:
    """Numbers that are none, or huge, or a shape that is not that of anything."""
    if not graph.initializer:
        return
    tensor: onnx.TensorProto = _pick(r, graph.initializer)  # type: ignore[assignment]
    if tensor.data_type not in (onnx.TensorProto.FLOAT, onnx.TensorProto.INT64):
        return
    floats = tensor.data_type == onnx.TensorProto.FLOAT
    array = onnx.numpy_helper.to_array(tensor).copy()
    if array.size:
        odd = _pick(r, (np.nan, np.inf, -np.inf, 1e38, 0.0)) if floats else _number(r)
        array.reshape(-1)[int(r.integers(array.size))] = odd
        tensor.CopyFrom(onnx.numpy_helper.from_array(array, tensor.name))


def _input(graph: onnx.GraphProto, r: Random) -> None:
    kind = _pick(r, graph.input).type.tensor_type  # type: ignore[attr-defined]
    if kind.shape.dim and r.random() < 0.8:
        _pick(r, kind.shape.dim).dim_value = _number(r)  # type: ignore[attr-defined]
    else:
        kind.elem_type = int(r.integers(0, 30))


def _order(graph: onnx.GraphProto, r: Random) -> None:
    """A node twice, away, or at another place."""
    node, at = onnx.NodeProto(), int(r.integers(len(graph.node)))
    node.CopyFrom(graph.node[at])
    if r.random() < 0.6 and len(graph.node) > 1:
        del graph.node[at]
    if r.random() < 0.6:
        graph.node.insert(int(r.integers(len(graph.node) + 1)), node)


def attempt(data: bytes, folder: Path) -> str:
    """What becomes of a file: refused by the reader or by the import, or read; then it computes what the file says."""
    try:
        graph = read_onnx(data)
    except ModelError as error:
        return _refused(error, "reader")
    same = _compares(data, graph)
    path = folder / "damaged.onnx"
    path.write_bytes(data)
    try:
        import_model(path)
    except UsageError as error:
        return _refused(error, "import")
    except MemoryError:
        return "out of memory"
    return "read" if same else "read, but ONNX Runtime refuses it"


def _refused(error: UsageError, by: str) -> str:
    """Raises ValueError for a text of several lines."""
    if "\n" in str(error):
        raise ValueError(f"several lines: {error}")
    return f"refused by the {by}"


def _compares(data: bytes, graph: Graph) -> bool:
    """Whether ONNX Runtime takes the file; if so, the graph that was read must compute the same."""
    r = np.random.default_rng(0)
    feeds = {n: r.random(graph.tensor(n).shape).astype(graph.tensor(n).dtype) for n in graph.inputs}
    try:
        wanted = run(data, feeds)
    except Exception:  # noqa: BLE001 - whatever ONNX Runtime finds wrong with it
        return False
    for want, got in zip(wanted, run(write_onnx(graph), feeds), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-3, atol=1e-4)
    return True


def main() -> None:
    """Try them all."""
    first, count, folder = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT_BYTES, MEMORY_LIMIT_BYTES))
    onnxruntime.set_default_logger_severity(4)
    outcomes = Counter[str]()
    for seed in range(first, first + count):
        print("seed", seed, flush=True)  # noqa: T201
        outcomes[attempt(damaged(seed), folder)] += 1
    print(dict(outcomes))  # noqa: T201


if __name__ == "__main__":
    main()
