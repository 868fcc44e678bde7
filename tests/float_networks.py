"""Small float networks for tests, written with the operators of ONNX."""

from collections.abc import Sequence

import numpy as np

from sfopt.graph import Attribute, Graph, Op, Tensor, verify_graph

__all__ = ["PATTERNS", "FloatBuilder", "samples"]

Pads = tuple[int, int, int, int]


class FloatBuilder:
    """Adds float operators one by one; every method returns the name of the tensor that it writes."""

    def __init__(self, name: str, *, seed: int = 0) -> None:
        self.name = name
        self.random = np.random.default_rng(seed)
        self.tensors = dict[str, Tensor]()
        self.ops = list[Op]()
        self.inputs = list[str]()

    def graph(self, *outputs: str) -> Graph:
        """The finished graph."""
        graph = Graph(self.name, self.tensors, tuple(self.ops), tuple(self.inputs), outputs)
        verify_graph(graph)
        return graph

    def input(self, *shape: int) -> str:
        """A network input of that shape."""
        self.inputs.append(f"in{len(self.inputs)}")
        return self._tensor(self.inputs[-1], shape)

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a tensor."""
        return self.tensors[name].shape

    def constant(self, data: np.ndarray) -> str:
        """A constant with a name of its own."""
        name = f"c{len(self.tensors)}"
        self.tensors[name] = Tensor(name, data.shape, data.dtype.name, None, data)
        return name

    def op(self, op_type: str, inputs: Sequence[str], shape: Sequence[int], /, **attributes: Attribute) -> str:
        """Any operator with one output."""
        name = f"{op_type.lower()}{len(self.ops)}"
        self.ops.append(Op(f"node_{name}", op_type, tuple(inputs), (name,), attributes))
        return self._tensor(name, shape)

    def _tensor(self, name: str, shape: Sequence[int]) -> str:
        self.tensors[name] = Tensor(name, tuple(shape), "float32")
        return name

    def weights(self, *shape: int) -> str:
        """Random weights that keep the size of what they multiply."""
        fan_in = max(int(np.prod(shape[1:])), 1)
        return self.constant((self.random.normal(size=shape) / np.sqrt(fan_in)).astype(np.float32))

    def conv(
        self,
        x: str,
        channels: int,
        kernel: int = 3,
        stride: int = 1,
        *,
        group: int = 1,
        bias: bool = True,
        pads: Pads | None = None,
    ) -> str:
        """Convolution; SAME-like padding by default."""
        _, depth, height, width = self.shape(x)
        p = (kernel // 2,) * 4 if pads is None else pads
        inputs = [x, self.weights(channels, depth // group, kernel, kernel)]
        if bias:
            inputs.append(self.constant(self.random.normal(size=channels).astype(np.float32)))
        rows, columns = (height + p[0] + p[2] - kernel) // stride + 1, (width + p[1] + p[3] - kernel) // stride + 1
        attributes = {"kernel_shape": (kernel, kernel), "strides": (stride, stride), "pads": p}
        return self.op("Conv", inputs, (1, channels, rows, columns), dilations=(1, 1), group=group, **attributes)

    def unary(self, op_type: str, x: str, **attributes: Attribute) -> str:
        """An operator that keeps the shape."""
        return self.op(op_type, (x,), self.shape(x), **attributes)

    def binary(self, op_type: str, a: str, b: str) -> str:
        """Add or Mul with broadcasting."""
        return self.op(op_type, (a, b), np.broadcast_shapes(self.shape(a), self.shape(b)))

    def pool(
        self, op_type: str, x: str, kernel: int, stride: int, pads: Pads = (0, 0, 0, 0), **attributes: Attribute
    ) -> str:
        """MaxPool or AveragePool."""
        _, channels, height, width = self.shape(x)
        ceil = int(bool(attributes.get("ceil_mode", 0)))
        sides = [height + pads[0] + pads[2], width + pads[1] + pads[3]]
        out = [-(-(s - kernel) // stride) + 1 if ceil else (s - kernel) // stride + 1 for s in sides]
        window: dict[str, Attribute] = {"kernel_shape": (kernel, kernel), "strides": (stride, stride), "pads": pads}
        return self.op(op_type, (x,), (1, channels, *out), **window, **attributes)

    def mean(self, x: str) -> str:
        """GlobalAveragePool."""
        return self.op("GlobalAveragePool", (x,), (1, self.shape(x)[1], 1, 1))

    def concat(self, *names: str) -> str:
        """Concatenation along channels."""
        first = self.shape(names[0])
        channels = sum(self.shape(n)[1] for n in names)
        return self.op("Concat", names, (1, channels, *first[2:]), axis=1)

    def reshape(self, x: str, *shape: int) -> str:
        """Reshape."""
        return self.op("Reshape", (x,), shape, shape=shape)

    def transpose(self, x: str, *perm: int) -> str:
        """Transpose."""
        return self.op("Transpose", (x,), tuple(self.shape(x)[p] for p in perm), perm=perm)

    def gemm(self, x: str, outputs: int, *, bias: bool = True) -> str:
        """Fully connected layer on (1, N), weights stored (N, outputs)."""
        w = self.constant(np.ascontiguousarray(self.tensors[self.weights(outputs, self.shape(x)[1])].data.T))
        inputs = [x, w, self.constant(self.random.normal(size=outputs).astype(np.float32))]
        return self.op("Gemm", inputs[: 3 if bias else 2], (1, outputs))

    def upsample(self, x: str, factor: int, **attributes: Attribute) -> str:
        """Resize to a multiple."""
        _, channels, height, width = self.shape(x)
        modes: dict[str, Attribute] = {
            "mode": "nearest",
            "coordinate_transformation_mode": "asymmetric",
            "nearest_mode": "floor",
        }
        shape = (1, channels, height * factor, width * factor)
        return self.op(
            "Resize", (x,), shape, scales=(1.0, 1.0, float(factor), float(factor)), **{**modes, **attributes}
        )


def samples(graph: Graph, count: int = 4, seed: int = 1) -> list[dict[str, np.ndarray]]:
    """Normally distributed samples."""
    rng = np.random.default_rng(seed)
    return [{n: rng.normal(size=graph.tensor(n).shape).astype(np.float32) for n in graph.inputs} for _ in range(count)]


def _conv_relu() -> Graph:
    b = FloatBuilder("conv_relu")
    x = b.unary("Relu", b.conv(b.input(1, 3, 9, 7), 8))
    return b.graph(b.conv(x, 5, 1, bias=False))


def _conv_relu6() -> Graph:
    b = FloatBuilder("conv_relu6")
    x = b.unary("Clip", b.conv(b.input(1, 3, 8, 8), 8, stride=2), min=0.0, max=6.0)
    x = b.unary("Clip", b.conv(x, 8, group=8, pads=(0, 0, 1, 1)), min=0.0, max=0.5)
    return b.graph(b.conv(x, 4, 1))


def _residual() -> Graph:
    b = FloatBuilder("residual")
    x = b.unary("Relu", b.conv(b.input(1, 3, 8, 8), 8))
    y = b.conv(b.unary("Relu", b.conv(x, 8)), 8)
    return b.graph(b.conv(b.unary("Relu", b.binary("Add", y, x)), 4, 1))


def _squeeze_excite() -> Graph:
    b = FloatBuilder("squeeze_excite")
    x = b.conv(b.input(1, 3, 8, 8), 8)
    x = b.binary("Mul", x, b.unary("Sigmoid", x))
    gate = b.unary("Sigmoid", b.conv(b.unary("Relu", b.conv(b.mean(x), 4, 1)), 8, 1))
    return b.graph(b.conv(b.binary("Mul", gate, x), 6, 1))


def _concat() -> Graph:
    b = FloatBuilder("concat")
    x = b.input(1, 4, 6, 6)
    parts = (b.conv(x, 3), b.unary("Sigmoid", b.conv(x, 5)), b.unary("LeakyRelu", b.conv(x, 2), alpha=0.1))
    return b.graph(b.conv(b.concat(*parts), 4, 1))


def _pools() -> Graph:
    b = FloatBuilder("pools")
    x = b.conv(b.input(1, 3, 11, 11), 6)
    x = b.pool("MaxPool", x, 3, 2, (1, 1, 1, 1))
    x = b.pool("MaxPool", b.conv(x, 6, 2, pads=(0, 0, 0, 0)), 2, 2, ceil_mode=1)
    x = b.pool("AveragePool", b.conv(x, 5), 3, 1, (1, 1, 1, 1))
    x = b.pool("AveragePool", b.conv(x, 5), 3, 1, (1, 1, 1, 1), count_include_pad=1)
    return b.graph(b.conv(x, 3, 1))


def _classifier() -> Graph:
    b = FloatBuilder("classifier")
    x = b.mean(b.unary("Relu", b.conv(b.input(1, 3, 8, 8), 8)))
    x = b.unary("Relu", b.gemm(b.reshape(x, 1, 8), 12))
    return b.graph(b.unary("Softmax", b.gemm(x, 10, bias=False), axis=1))


def _flatten() -> Graph:
    b = FloatBuilder("flatten")
    x = b.pool("MaxPool", b.unary("Relu", b.conv(b.input(1, 2, 6, 8), 5)), 2, 2)
    return b.graph(b.gemm(b.reshape(x, 1, 60), 7))


def _flatten_nhwc() -> Graph:
    b = FloatBuilder("flatten_nhwc")
    x = b.transpose(b.unary("Relu", b.conv(b.input(1, 2, 4, 3), 5)), 0, 2, 3, 1)
    return b.graph(b.gemm(b.reshape(x, 1, 60), 7))


def _upsample() -> Graph:
    b = FloatBuilder("upsample")
    x = b.conv(b.input(1, 3, 4, 5), 4)
    up = b.upsample(b.upsample(x, 2), 3, coordinate_transformation_mode="half_pixel", nearest_mode="round_prefer_floor")
    return b.graph(b.conv(up, 2, 1))


def _unary() -> Graph:
    b = FloatBuilder("unary")
    x = b.input(1, 3, 6, 6)
    for function in ("HardSwish", "Tanh", "HardSigmoid", "LeakyRelu", "Elu"):
        x = b.unary(function, b.conv(x, 6))
    return b.graph(b.conv(x, 4, 1))


PATTERNS = {
    build.__name__.strip("_"): build
    for build in (
        _conv_relu, _conv_relu6, _residual, _squeeze_excite, _concat, _pools, _classifier,
        _flatten, _flatten_nhwc, _upsample, _unary,
    )
}  # fmt: skip
"""Name -> function that builds the network."""
