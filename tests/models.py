"""Small float ONNX models for tests, a builder for more, and the check that a rewritten graph still computes the same."""

import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
from onnx import helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from sfopt.graph import Graph
from sfopt.onnx_io import read_onnx, write_onnx
from sfopt.passes import run_passes

__all__ = [
    "ModelBuilder",
    "assert_equivalent",
    "assert_passes_keep",
    "channels_last",
    "concat_branches",
    "conv_chain",
    "count",
    "fork",
    "inverted_residual",
    "pyramid",
    "quantised",
    "random_inputs",
    "residual",
    "run",
]

ort.set_default_logger_severity(3)
Array = npt.NDArray[np.generic]


class ModelBuilder:
    """Adds ONNX nodes one by one; every method returns the name of the tensor that it writes."""

    def __init__(self, seed: int = 0) -> None:
        self.random = np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.inputs: list[onnx.ValueInfoProto] = []
        self.initializers: list[onnx.TensorProto] = []

    def input(self, shape: Sequence[int | str | None], name: str = "x", dtype: int = onnx.TensorProto.FLOAT) -> str:
        self.inputs.append(helper.make_tensor_value_info(name, dtype, shape))
        return name

    def constant(self, value: npt.ArrayLike, dtype: str = "float32", name: str = "") -> str:
        name = name or f"c{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def random_constant(self, *shape: int, low: float = -1.0, high: float = 1.0) -> str:
        return self.constant(self.random.uniform(low, high, shape))

    def add(
        self, op_type: str, *inputs: str, outputs: Sequence[str] = (), domain: str = "", **attributes: object
    ) -> str:
        names = list(outputs) or [f"t{len(self.nodes)}"]
        self.nodes.append(
            helper.make_node(op_type, list(inputs), names, f"n{len(self.nodes)}", domain=domain, **attributes)
        )
        return names[0]

    def conv(
        self, x: str, channels_in: int, channels: int, kernel: int = 3, *, bias: bool = True, **attributes: object
    ) -> str:
        group = int(attributes.get("group", 1))  # type: ignore[call-overload]
        bound = (channels_in // group * kernel * kernel) ** -0.5
        weights = self.random_constant(channels, channels_in // group, kernel, kernel, low=-bound, high=bound)
        inputs = [x, weights, *([self.random_constant(channels)] if bias else [])]
        if "auto_pad" not in attributes:
            attributes.setdefault("pads", [kernel // 2] * 4)
        return self.add("Conv", *inputs, **attributes)

    def batch_norm(self, x: str, channels: int) -> str:
        gamma, beta, mean = (self.random_constant(channels, low=0.5, high=1.5) for _ in range(3))
        return self.add("BatchNormalization", x, gamma, beta, mean, self.random_constant(channels, low=0.2, high=2.0))

    def build(self, *outputs: str, opset: int = 17, ir_version: int = 8) -> bytes:
        infos = [helper.make_empty_tensor_value_info(name) for name in outputs]
        graph = helper.make_graph(self.nodes, "test", self.inputs, infos, self.initializers)
        domains = {"": opset} | {n.domain: 1 for n in self.nodes if n.domain}
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid(d, v) for d, v in domains.items()], ir_version=ir_version
        )
        data: bytes = model.SerializeToString()
        return data


def conv_chain(channels: int = 8, size: int = 16) -> bytes:
    """Conv, BatchNormalization, Relu, three times, one of them strided."""
    m = ModelBuilder()
    x, depth = m.input((1, 3, size, size)), 3
    for stride in (1, 2, 1):
        x = m.add("Relu", m.batch_norm(m.conv(x, depth, channels, bias=False, strides=[stride, stride]), channels))
        depth = channels
    return m.build(x)


def residual(channels: int = 8, size: int = 16) -> bytes:
    """A stem, two residual blocks, global pooling and a classifier."""
    m = ModelBuilder()
    x = m.add("Relu", m.conv(m.input((1, 3, size, size)), 3, channels))
    for _ in range(2):
        y = m.add("Relu", m.batch_norm(m.conv(x, channels, channels), channels))
        x = m.add("Relu", m.add("Add", m.conv(y, channels, channels), x))
    x = m.add("Flatten", m.add("GlobalAveragePool", x))
    return m.build(m.add("Gemm", x, m.random_constant(10, channels), m.random_constant(10), transB=1))


def inverted_residual(channels: int = 8, size: int = 16) -> bytes:
    """Expand, depthwise, squeeze-and-excite, project, add; SiLU activations."""
    m = ModelBuilder()

    def silu(x: str) -> str:
        return m.add("Mul", x, m.add("Sigmoid", x))

    x = silu(m.conv(m.input((1, 3, size, size)), 3, channels))
    wide = 4 * channels
    y = silu(m.conv(x, channels, wide, 1))
    y = silu(m.conv(y, wide, wide, group=wide))
    s = m.add("ReduceMean", y, axes=[2, 3], keepdims=1)
    s = m.add("Sigmoid", m.conv(silu(m.conv(s, wide, 4, 1)), 4, wide, 1))
    return m.build(m.add("Add", m.conv(m.add("Mul", s, y), wide, channels, 1), x))


def pyramid(channels: int = 8, size: int = 16) -> bytes:
    """Two resolutions down, one up again with a lateral connection, two outputs."""
    m = ModelBuilder()
    high = m.add("Relu", m.conv(m.input((1, 3, size, size)), 3, channels))
    low = m.add("Relu", m.conv(high, channels, channels, strides=[2, 2]))
    scales = m.constant([1, 1, 2, 2])
    up = m.add(
        "Resize", low, "", scales, mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor"
    )
    merged = m.add("Add", m.conv(high, channels, channels, 1), up)
    return m.build(m.conv(merged, channels, channels), m.conv(low, channels, channels))


def concat_branches(channels: int = 8, size: int = 16) -> bytes:
    """Three branches side by side, as in Inception, concatenated and merged."""
    m = ModelBuilder()
    x = m.add("Relu", m.conv(m.input((1, 3, size, size)), 3, channels))
    pooled = m.add("MaxPool", x, kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    branches = [
        m.conv(x, channels, channels, 1),
        m.conv(x, channels, 2 * channels),
        m.conv(pooled, channels, channels, 1),
    ]
    return m.build(m.conv(m.add("Concat", *branches, axis=1), 4 * channels, channels, 1))


def fork() -> bytes:
    """A long branch through a wide map and a short one that ends wide, concatenated and merged: the long one first is better."""
    m = ModelBuilder()
    x = m.conv(m.input((1, 3, 8, 8)), 3, 4)
    long = m.conv(m.conv(x, 4, 32), 32, 4)
    both = m.add("Concat", m.conv(x, 4, 40, 1), long, axis=1)
    return m.build(m.conv(both, 44, 4, 1))


def channels_last(channels: int = 8, size: int = 16) -> bytes:
    """A network whose tensors are NHWC, transposed to and fro around every convolution."""
    m = ModelBuilder()

    def conv(x: str, channels_in: int, kernel: int = 3) -> str:
        inner = m.conv(m.add("Transpose", x, perm=[0, 3, 1, 2]), channels_in, channels, kernel)
        return m.add("Transpose", inner, perm=[0, 2, 3, 1])

    x = m.add("Relu", conv(m.input((1, size, size, 3)), 3))
    y = m.add("Add", conv(x, channels), x)
    y = m.add("Mul", y, m.random_constant(channels))
    s = m.add("ReduceMean", y, axes=[1, 2], keepdims=0)
    s = m.add(
        "Relu", m.add("Add", m.add("MatMul", s, m.random_constant(channels, channels)), m.random_constant(channels))
    )
    s = m.add("Reshape", m.add("Sigmoid", s), m.constant([1, 1, 1, channels], "int64"))
    z = m.add("Concat", m.add("Mul", y, s), x, axis=3)
    z = m.add("Pad", z, m.constant([0, 0, 0, 0, 0, 1, 1, 0], "int64"))
    return m.build(z)


def count(graph: Graph) -> Counter[str]:
    """How many operators of each kind."""
    return Counter(op.op_type for op in graph.ops)


def quantised(model: bytes, quant_format: QuantFormat = QuantFormat.QDQ) -> bytes:
    """The model as ONNX Runtime's own quantiser writes it, int8 with a scale per output channel, calibrated on random inputs."""
    graph = read_onnx(model)

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        samples = iter([random_inputs(graph, seed) for seed in range(4)])

        def get_next(self) -> dict[str, Array] | None:
            return next(self.samples, None)

    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "float.onnx", Path(folder) / "int8.onnx"
        source.write_bytes(model)
        types = {"activation_type": QuantType.QInt8, "weight_type": QuantType.QInt8, "per_channel": True}
        quantize_static(source, target, Reader(), quant_format=quant_format, **types)
        return target.read_bytes()


def run(model: bytes, feeds: Mapping[str, Array]) -> list[Array]:
    """The outputs of a model, run by ONNX Runtime without its own rewrites."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return list(session.run(None, dict(feeds)))


def random_inputs(graph: Graph, seed: int = 0) -> dict[str, Array]:
    """Standard normal numbers for every input."""
    random = np.random.default_rng(seed)
    tensors = [graph.tensor(n) for n in graph.inputs]
    return {t.name: random.standard_normal(t.shape).astype(t.dtype) for t in tensors}


def assert_equivalent(model: bytes, graph: Graph, feeds: Mapping[str, Array], tolerance: float = 1e-4) -> None:
    """Fail unless `graph` computes what `model` does, within `tolerance` of the largest output, and the outputs say something."""
    wanted = run(model, feeds)
    turned = {n: x.transpose(0, 3, 1, 2) if graph.input_layouts.get(n) == "NHWC" else x for n, x in feeds.items()}
    got = run(write_onnx(graph), turned)
    assert len(wanted) == len(got)
    for name, a, b in zip(graph.outputs, wanted, got, strict=True):
        b = b.transpose(0, 2, 3, 1) if graph.output_layouts.get(name) == "NHWC" else b  # noqa: PLW2901
        assert a.shape == b.shape, name
        if a.dtype == np.float32:
            assert a.size == 1 or np.ptp(a) > 1e-3 * np.abs(a).max(), (
                f"{name} is almost constant: this compares nothing"
            )
        np.testing.assert_allclose(b, a, rtol=0, atol=tolerance * float(np.abs(a).max()), err_msg=name)


def assert_passes_keep(model: bytes, seed: int = 0) -> Graph:
    """The graph of `model` after all passes, which must compute what `model` does."""
    source = read_onnx(model)
    graph = run_passes(source)
    assert_equivalent(model, graph, random_inputs(source, seed))
    return graph
