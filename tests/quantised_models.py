"""Quantised ONNX models for tests: one convolution in any form of QDQ, single operators in uint8, and ONNX Runtime's own fusion."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
import onnxruntime
from models import ModelBuilder
from onnx import TensorProto, helper

__all__ = ["MICROSOFT", "ConvForm", "QdqBuilder", "fused_integers", "unsigned_operator"]

MICROSOFT = "com.microsoft"
_RANGES: Mapping[int, tuple[int, int]] = {
    TensorProto.INT4: (-7, 8), TensorProto.UINT4: (0, 16), TensorProto.INT8: (-127, 128), TensorProto.UINT8: (1, 256),
    TensorProto.INT16: (-300, 300), TensorProto.UINT16: (0, 600),
}  # fmt: skip


class QdqBuilder(ModelBuilder):
    """Nodes of a model in QDQ form."""

    def typed(self, kind: int, shape: Sequence[int], values: Sequence[float]) -> str:
        """A constant of any element type."""
        name = f"c{len(self.initializers)}"
        self.initializers.append(helper.make_tensor(name, kind, shape, list(values)))
        return name

    def parameters(self, scale: float | np.ndarray, zero_point: int | np.ndarray | None, kind: int) -> list[str]:
        """Names of a scale and, unless it is None, a zero point of the same shape."""
        names = [self.constant(scale)]
        if zero_point is not None:
            points = np.broadcast_to(np.asarray(zero_point), np.shape(scale))
            names.append(self.typed(kind, np.shape(scale), points.reshape(-1).tolist()))
        return names

    def rounded(
        self, x: str, scale: float | np.ndarray, zero_point: int | None = 0, kind: int = TensorProto.INT8, **axis: int
    ) -> str:
        """QuantizeLinear and DequantizeLinear behind `x`; the integers are called `x:q`."""
        names = self.parameters(scale, zero_point, kind)
        self.add("QuantizeLinear", x, *names, outputs=[f"{x}:q"], **axis)
        return self.add("DequantizeLinear", f"{x}:q", *names, outputs=[f"{x}:dq"], **axis)

    def weights(
        self,
        shape: Sequence[int],
        scale: float | np.ndarray = 0.01,
        zero_point: int | np.ndarray = 0,
        kind: int = TensorProto.INT8,
        **attributes: int,
    ) -> str:
        """Random weights behind a DequantizeLinear."""
        count = int(np.prod(shape))
        values = self.random.integers(*_RANGES[kind], count) if kind in _RANGES else self.random.uniform(-1, 1, count)
        data = self.typed(kind, shape, values.tolist())
        return self.add("DequantizeLinear", data, *self.parameters(scale, zero_point, kind), **attributes)

    def model(self, *outputs: str, opset: int = 17) -> bytes:
        """The finished model."""
        values = [helper.make_empty_tensor_value_info(name) for name in outputs]
        graph = helper.make_graph(self.nodes, "g", self.inputs, values, self.initializers)
        opsets = [helper.make_opsetid("", opset), helper.make_opsetid(MICROSOFT, 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=10).SerializeToString()


@dataclass(frozen=True)
class ConvForm:
    """One convolution of three channels into four between two roundings, in some form of QDQ."""

    activation: int = TensorProto.INT8
    weight: int = TensorProto.INT8
    opset: int = 21
    bias: str = "int32"
    scale: float = 0.03
    weight_scale: float = 0.0107
    zero_point: int | None = 0
    weight_zero_point: int | tuple[int, ...] = 0
    per_channel: bool = False
    in_blocks: bool = False
    activation_axis: bool = False
    rounded_result: bool = True

    def model(self) -> bytes:
        """The model, with input `x` (1, 3, 5, 5) and the convolution's result `y`."""
        b = QdqBuilder()
        x = b.input((1, 3, 5, 5))
        scale = np.full(3, self.scale) if self.activation_axis else self.scale
        axis = {"axis": 1} if self.activation_axis else {}
        operands = [b.rounded(x, scale, self.zero_point, self.activation, **axis)]
        shape = (4,) if self.per_channel else ()
        weight_scale, form = np.full(shape, self.weight_scale), {"axis": 0} if self.per_channel else {}
        if self.in_blocks:
            weight_scale, form = np.full((4, 1, 1, 1), self.weight_scale), {"axis": 1, "block_size": 3}
        points = np.asarray(self.weight_zero_point)
        operands.append(b.weights((4, 3, 1, 1), weight_scale, points, self.weight, **form))
        if self.bias == "int32":
            product = np.full(shape, np.float32(self.scale) * np.float32(self.weight_scale), np.float32)
            integers = b.constant([300, -200, 5, 0], "int32")
            operands.append(b.add("DequantizeLinear", integers, b.constant(product), **({"axis": 0} if shape else {})))
        elif self.bias == "float":
            operands.append(b.constant([0.5, -1, 0.1, 0]))
        y = b.add("Conv", *operands, outputs=["y"])
        if self.rounded_result:
            y = b.rounded(y, 0.0411, self.zero_point, self.activation)
        return b.model(y, opset=self.opset)


def unsigned_operator(
    op_type: str, shape: tuple[int, ...], seed: int, *, same_scale: bool = False
) -> tuple[bytes, dict[str, np.ndarray]]:
    """A model of the one quantised operator, all in uint8 with random scales and zero points, and random input."""
    b = QdqBuilder(seed)
    random = b.random

    def parameters() -> list[str]:
        return b.parameters(random.uniform(0.005, 0.05), int(random.integers(0, 256)), TensorProto.UINT8)

    x, first = b.input(shape, "x", TensorProto.UINT8), parameters()
    second = ["b", *parameters()]
    if op_type in ("QLinearAdd", "QLinearConcat", "QLinearMul"):
        b.input(shape, "b", TensorProto.UINT8)
    result = first if same_scale else parameters()
    if op_type == "QLinearConv":
        weights = b.constant(random.integers(-127, 128, (8, shape[1], 3, 3)), "int8")
        scale = [b.constant(random.uniform(0.001, 0.01, 8)), b.constant(np.zeros(8), "int8")]
        bias = b.constant(random.integers(-3000, 3000, 8), "int32")
        y = b.add(op_type, x, *first, weights, *scale, *result, bias, pads=[1] * 4)
    elif op_type == "QLinearConcat":
        y = b.add(op_type, *result, x, *first, *second, domain=MICROSOFT, axis=1)
    elif op_type in ("QLinearAdd", "QLinearMul"):
        y = b.add(op_type, x, *first, *second, *result, domain=MICROSOFT)
    else:
        more = {"QLinearAveragePool": {"kernel_shape": [3, 3], "pads": [1] * 4}, "QLinearLeakyRelu": {"alpha": 0.1}}
        y = b.add(op_type, x, *first, *result, domain=MICROSOFT, **more.get(op_type, {}))
    feeds = {i.name: random.integers(0, 256, shape).astype(np.uint8) for i in b.inputs}
    return b.model(y), feeds


def fused_integers(model: bytes, feeds: Mapping[str, np.ndarray], names: Sequence[str]) -> dict[str, np.ndarray]:
    """The named integer tensors of QDQ `model` from ONNX Runtime with all its optimisations, which fuse QDQ into int8 kernels."""
    proto = onnx.load_from_string(model)
    types = {i.name: i.data_type for i in proto.graph.initializer}
    quantizers = [n for n in proto.graph.node if n.op_type == "QuantizeLinear"]
    written = {n.output[0]: types[n.input[2]] if len(n.input) > 2 else TensorProto.UINT8 for n in quantizers}
    present = {o.name for o in proto.graph.output}
    proto.graph.output.extend(helper.make_tensor_value_info(n, written[n], None) for n in names if n not in present)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.add_session_config_entry("session.x64quantprecision", "1")
    session = onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return dict(zip(names, session.run(list(names), dict(feeds)), strict=True))
