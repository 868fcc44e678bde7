"""Integer graphs for tests: a small builder, random networks with residuals, squeeze-excite, concats and resizes, and the shapes of
three well-known networks. Weights are small random numbers, or zeros that take no memory."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from sfopt.graph import Attribute, Graph, Op, Quant, Tensor, verify_graph
from sfopt.grouping import build_network
from sfopt.groups import Network

__all__ = ["GraphBuilder", "efficientnet_b0", "mobilenet_v2", "random_graph", "random_network", "resnet50"]


class GraphBuilder:
    """Adds integer operators one by one; every method returns the name of the tensor that it writes."""

    def __init__(self, name: str, *, seed: int = 0, zero_weights: bool = False) -> None:
        self.name = name
        self.random = np.random.default_rng(seed)
        self.zero_weights = zero_weights
        self.tensors = dict[str, Tensor]()
        self.ops = list[Op]()
        self.inputs = list[str]()

    def graph(self, outputs: Sequence[str]) -> Graph:
        """The finished graph."""
        graph = Graph(self.name, self.tensors, tuple(self.ops), tuple(self.inputs), tuple(outputs))
        if not self.zero_weights:
            verify_graph(graph)
        return graph

    def network(self, outputs: Sequence[str]) -> Network:
        """The finished graph in groups."""
        return build_network(self.graph(outputs))

    def shape(self, tensor: str) -> tuple[int, int, int]:
        """Channels, height, width."""
        _, channels, height, width = self.tensors[tensor].shape
        return channels, height, width

    def input(self, channels: int, height: int, width: int) -> str:
        """A network input."""
        name = f"in{len(self.inputs)}"
        self.inputs.append(name)
        return self._map(name, (1, channels, height, width), self._quant())

    def conv(
        self, x: str, channels: int, kernel: int = 1, stride: int = 1, *, group: int = 1, pad: int | None = None
    ) -> str:
        """Convolution with bias; `group` = input channels makes it depthwise."""
        depth, height, width = self.shape(x)
        pad = kernel // 2 if pad is None else pad
        side = [(n + 2 * pad - kernel) // stride + 1 for n in (height, width)]
        name = f"t{len(self.ops)}"
        w = self._weights(f"{name}.w", (channels, depth // group, kernel, kernel))
        b = self._constant(f"{name}.b", self.random.integers(-500, 500, channels, dtype=np.int32))
        attributes: dict[str, Attribute] = {
            "kernel_shape": (kernel, kernel),
            "strides": (stride, stride),
            "pads": (pad,) * 4,
            "dilations": (1, 1),
            "group": group,
        }
        return self._op("QLinearConv", (x, w, b), (1, channels, side[0], side[1]), attributes)

    def conv_with(self, x: str, channels: int, kernel: tuple[int, int], *, group: int = 1, **changes: Attribute) -> str:
        """A convolution of any geometry, without bias; `changes` replace attributes."""
        depth, height, width = self.shape(x)
        attributes = {"strides": (1, 1), "pads": (0, 0, 0, 0), "dilations": (1, 1)} | changes
        (top, left, bottom, right), stride, dilation = (attributes[k] for k in ("pads", "strides", "dilations"))
        rows = (height + top + bottom - dilation[0] * (kernel[0] - 1) - 1) // stride[0] + 1
        columns = (width + left + right - dilation[1] * (kernel[1] - 1) - 1) // stride[1] + 1
        w = self._weights(f"t{len(self.ops)}.w", (channels, depth // group, *kernel))
        attributes |= {"kernel_shape": kernel, "group": group}
        return self._op("QLinearConv", (x, w), (1, channels, rows, columns), attributes)

    def conv_transpose(
        self,
        x: str,
        channels: int,
        kernel: tuple[int, int],
        stride: tuple[int, int],
        *,
        group: int = 1,
        **changes: Attribute,
    ) -> str:
        """A transposed convolution of any geometry with bias; pads (t, l, b, r) are cut off, below 0 the output has more."""
        depth, height, width = self.shape(x)
        attributes = {"pads": (0, 0, 0, 0), "dilations": (1, 1)} | changes
        (top, left, bottom, right), dilation = attributes["pads"], attributes["dilations"]
        rows = (height - 1) * stride[0] + dilation[0] * (kernel[0] - 1) + 1 - top - bottom
        columns = (width - 1) * stride[1] + dilation[1] * (kernel[1] - 1) + 1 - left - right
        name = f"t{len(self.ops)}"
        w = self._weights(f"{name}.w", (channels, depth // group, *kernel))
        if group > 1:  # ONNX has an axis for the channels of one group only
            self.tensors[w] = replace(self.tensors[w], quant=Quant(self.tensors[w].quant.scale[0]))
        b = self._constant(f"{name}.b", self.random.integers(-500, 500, channels, dtype=np.int32))
        attributes |= {"kernel_shape": kernel, "strides": stride, "group": group}
        return self._op("QLinearConvTranspose", (x, w, b), (1, channels, rows, columns), attributes)

    def depthwise(self, x: str, kernel: int = 3, stride: int = 1) -> str:
        """Depthwise convolution, channel multiplier 1."""
        channels = self.shape(x)[0]
        return self.conv(x, channels, kernel, stride, group=channels)

    def add(self, a: str, b: str) -> str:
        """Element-wise sum of two maps of one shape."""
        return self._op("QLinearAdd", (a, b), self.tensors[a].shape)

    def mul(self, a: str, b: str) -> str:
        """Product of two maps of one shape, or of a map and a (1, C, 1, 1) channel scale."""
        return self._op("QLinearMul", (a, b), self.tensors[a].shape)

    def lookup(self, x: str, function: str = "Sigmoid") -> str:
        """A unary function."""
        return self._op("Lookup", (x,), self.tensors[x].shape, {"function": function})

    def relu(self, x: str) -> str:
        """Relu as a look-up."""
        return self.lookup(x, "Relu")

    def mean(self, x: str) -> str:
        """Global average pool."""
        return self._op("QLinearGlobalAveragePool", (x,), (1, self.shape(x)[0], 1, 1))

    def max_pool(self, x: str, kernel: int = 2, stride: int = 2, pad: int = 0) -> str:
        """Max pool; input and output share one quantisation."""
        return self._pool("MaxPool", x, kernel, stride, pad)

    def average_pool(self, x: str, kernel: int = 2, stride: int = 2, pad: int = 0) -> str:
        """Average pool."""
        return self._pool("QLinearAveragePool", x, kernel, stride, pad)

    def resize(self, x: str, factor: int = 2) -> str:
        """Nearest-neighbour upsampling by an integer factor."""
        c, h, w = self.shape(x)
        attributes: dict[str, Attribute] = {"scale_h": factor, "scale_w": factor}
        return self._op("Resize", (x,), (1, c, h * factor, w * factor), attributes, quant=self.tensors[x].quant)

    def concat(self, *xs: str, like: str | None = None) -> str:
        """Concat along channels, with a quantisation of its own or that of `like`."""
        _, h, w = self.shape(xs[0])
        quant = None if like is None else self.tensors[like].quant
        return self._op("QLinearConcat", xs, (1, sum(self.shape(x)[0] for x in xs), h, w), quant=quant)

    def squeeze_excite(self, x: str, squeezed: int) -> str:
        """x * sigmoid(conv(relu(conv(mean(x)))))."""
        hidden = self.relu(self.conv(self.mean(x), squeezed))
        return self.mul(x, self.lookup(self.conv(hidden, self.shape(x)[0])))

    def _pool(self, op_type: str, x: str, kernel: int, stride: int, pad: int) -> str:
        c, h, w = self.shape(x)
        side = [(n + 2 * pad - kernel) // stride + 1 for n in (h, w)]
        attributes: dict[str, Attribute] = {"kernel_shape": (kernel,) * 2, "strides": (stride,) * 2, "pads": (pad,) * 4}
        if op_type == "QLinearAveragePool":
            attributes["count_include_pad"] = 0
        quant = self.tensors[x].quant if op_type == "MaxPool" else None
        return self._op(op_type, (x,), (1, c, side[0], side[1]), attributes, quant=quant)

    def _op(
        self,
        op_type: str,
        inputs: tuple[str, ...],
        shape: tuple[int, ...],
        attributes: dict[str, Attribute] | None = None,
        quant: Quant | None = None,
    ) -> str:
        name = f"t{len(self.ops)}"
        self.ops.append(Op(f"op{len(self.ops)}", op_type, inputs, (name,), attributes or {}))
        return self._map(name, shape, quant or self._quant())

    def _map(self, name: str, shape: tuple[int, ...], quant: Quant) -> str:
        self.tensors[name] = Tensor(name, shape, "int8", quant)
        return name

    def _quant(self) -> Quant:
        scale = np.float32(self.random.integers(1, 64)) / np.float32(1024)
        return Quant(np.asarray(scale, dtype=np.float32), int(self.random.integers(-20, 20)))

    def _constant(self, name: str, data: np.ndarray) -> str:
        self.tensors[name] = Tensor(name, data.shape, data.dtype.name, data=data)
        return name

    def _weights(self, name: str, shape: tuple[int, ...]) -> str:
        quant = Quant(self.random.integers(1, 16, shape[0]).astype(np.float32) / np.float32(4096), axis=0)
        if self.zero_weights:
            data = np.broadcast_to(np.zeros((), dtype=np.int8), shape)
        else:
            data = self.random.integers(-9, 10, shape, dtype=np.int8)
        self.tensors[name] = Tensor(name, shape, "int8", quant, data)
        return name


def random_graph(
    seed: int, *, ops: int = 6, side: int = 8, channels: int = 12, width: int | None = None, name: str | None = None
) -> Graph:
    """A connected random graph of about `ops` steps; every operator of the integer set turns up over the seeds.

    Its input has `side` rows of `width` pixels; without, of half to all of `side`.
    """
    r = np.random.default_rng(seed)
    b = GraphBuilder(name or f"random{seed}", seed=seed)
    width = int(r.integers(max(2, side // 2), side + 1)) if width is None else width
    made = [b.input(int(r.integers(1, channels + 1)), side, width)]
    for _ in range(ops):
        x = made[-1] if r.random() < 0.7 else made[int(r.integers(len(made)))]
        made.append(_grow(b, r, x, made, channels))
    read = {n for op in b.ops for n in op.inputs}
    ends = [t for t in made[1:] if t not in read]
    if len(made) > 2 and r.random() < 0.2:
        ends.append(made[-2])
    return b.graph(tuple(dict.fromkeys(ends)))


def random_network(seed: int, *, ops: int = 6, side: int = 8, channels: int = 12, width: int | None = None) -> Network:
    """`random_graph` in groups."""
    return build_network(random_graph(seed, ops=ops, side=side, channels=channels, width=width))


def _grow(b: GraphBuilder, r: np.random.Generator, x: str, made: Sequence[str], channels: int) -> str:
    """One random step from `x`; what `x` cannot do becomes a convolution."""
    c, h, w = b.shape(x)
    same = [t for t in made if t != x and b.shape(t) == (c, h, w)]
    stackable = [t for t in made if t != x and b.shape(t)[1:] == (h, w)]
    choice = r.choice(
        ["conv", "conv", "block", "depthwise", "add", "mul", "concat", "se", "pool", "mean", "resize", "lookup"]
    )
    match choice:
        case "add" | "mul" if same:
            other = same[int(r.integers(len(same)))]
            return b.add(x, other) if choice == "add" else b.mul(x, other)
        case "block":
            return b.relu(b.add(b.conv(b.relu(b.conv(x, int(r.integers(1, channels + 1)), 3)), c), x))
        case "depthwise" if min(h, w) > 1 and c > 1:
            return b.relu(b.depthwise(x, 3, int(r.integers(1, 3))))
        case "concat" if stackable:
            return b.concat(x, *(stackable[:2] if r.random() < 0.3 else stackable[:1]))
        case "se" if h * w > 1 and c > 1:
            scaled = b.squeeze_excite(x, max(1, c // 2))
            return b.conv(scaled, int(r.integers(1, channels + 1))) if r.random() < 0.6 else scaled
        case "pool" if min(h, w) > 1:
            return b.max_pool(x) if r.random() < 0.5 else b.average_pool(x, 3, 2, 1)
        case "mean" if h * w > 1 and r.random() < 0.3:
            return b.mean(x)
        case "resize" if max(h, w) <= 6:
            return b.resize(x)
        case "lookup":
            return b.mul(x, b.lookup(x)) if r.random() < 0.5 else b.lookup(x, "LeakyRelu")
    kernel = 3 if r.random() < 0.5 and min(h, w) > 1 else 1
    y = b.conv(x, int(r.integers(1, channels + 1)), kernel, int(r.integers(1, 3)) if min(h, w) > 1 else 1)
    return b.relu(y) if r.random() < 0.5 else y


def resnet50(side: int = 224, blocks_of: tuple[int, ...] = (3, 4, 6, 3)) -> Network:
    """ResNet-50 v1.5, or with other numbers of blocks in its four stages: shapes only."""
    b = GraphBuilder("resnet50", zero_weights=True)
    x = b.max_pool(b.relu(b.conv(b.input(3, side, side), 64, 7, 2)), 3, 2, 1)
    for channels, blocks, stride in zip((64, 128, 256, 512), blocks_of, (1, 2, 2, 2), strict=True):
        for i in range(blocks):
            step = stride if i == 0 else 1
            shortcut = b.conv(x, channels * 4, 1, step) if i == 0 else x
            y = b.relu(b.conv(b.relu(b.conv(x, channels)), channels, 3, step))
            x = b.relu(b.add(b.conv(y, channels * 4), shortcut))
    return b.network([b.conv(b.mean(x), 1000)])


def mobilenet_v2(side: int = 224) -> Network:
    """MobileNetV2 1.0: shapes only."""
    b = GraphBuilder("mobilenet_v2", zero_weights=True)
    x = b.relu(b.conv(b.input(3, side, side), 32, 3, 2))
    table = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
    for factor, channels, repeats, stride in table:
        for i in range(repeats):
            step = stride if i == 0 else 1
            c = b.shape(x)[0]
            y = b.relu(b.conv(x, c * factor)) if factor > 1 else x
            y = b.conv(b.relu(b.depthwise(y, 3, step)), channels)
            x = b.add(y, x) if step == 1 and c == channels else y
    return b.network([b.conv(b.mean(b.relu(b.conv(x, 1280))), 1000)])


def efficientnet_b0(side: int = 224) -> Network:
    """EfficientNet-B0 with SiLU and squeeze-excite: shapes only."""
    b = GraphBuilder("efficientnet_b0", zero_weights=True)

    def silu(t: str) -> str:
        return b.mul(t, b.lookup(t))

    x = silu(b.conv(b.input(3, side, side), 32, 3, 2))
    table = (
        (1, 16, 1, 1, 3),
        (6, 24, 2, 2, 3),
        (6, 40, 2, 2, 5),
        (6, 80, 3, 2, 3),
        (6, 112, 3, 1, 5),
        (6, 192, 4, 2, 5),
        (6, 320, 1, 1, 3),
    )
    for factor, channels, repeats, stride, kernel in table:
        for i in range(repeats):
            step = stride if i == 0 else 1
            c = b.shape(x)[0]
            y = silu(b.conv(x, c * factor)) if factor > 1 else x
            y = silu(b.depthwise(y, kernel, step))
            hidden = silu(b.conv(b.mean(y), max(1, c // 4)))
            y = b.conv(b.mul(y, b.lookup(b.conv(hidden, b.shape(y)[0]))), channels)
            x = b.add(y, x) if step == 1 and c == channels else y
    return b.network([b.conv(b.mean(silu(b.conv(x, 1280))), 1000)])
