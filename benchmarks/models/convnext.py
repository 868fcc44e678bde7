"""ConvNeXt as a PyTorch export writes it: layer normalisation and matrix products channels last, GELU spelt out with Erf.

Liu et al., arXiv:2201.03545, as torchvision has it. Built from operators directly: tf2onnx cannot convert Keras's own.
"""

from dataclasses import dataclass, field
from math import prod

import numpy as np
import numpy.typing as npt

from sfopt.graph import Attribute, Graph, Op, Tensor

__all__ = ["convnext_block", "convnext_tiny", "multiply_accumulates", "parameters"]

SEED = 20240
_TINY = ((96, 3), (192, 3), (384, 9), (768, 3))
_Array = npt.NDArray[np.float32]


def convnext_tiny(side: int = 224) -> Graph:
    """All four stages and the classifier."""
    net = _Network()
    x = net.stem(side)
    for stage, (channels, blocks) in enumerate(_TINY):
        if stage:
            x = net.conv(net.norm_map(x), channels, 2, stride=2)
        for _ in range(blocks):
            x = net.block(x)
    x = net.op("GlobalAveragePool", [x], (1, _TINY[-1][0], 1, 1))
    x = net.op("Flatten", [net.norm_map(x)], (1, _TINY[-1][0]), axis=1)
    return net.graph("convnext_tiny", net.linear(x, 1000))


def convnext_block(side: int = 224) -> Graph:
    """The patches and the first stage: three blocks of 96 channels at a quarter of the resolution."""
    net = _Network()
    x = net.stem(side)
    for _ in range(_TINY[0][1]):
        x = net.block(x)
    return net.graph("convnext_block", x)


def parameters(graph: Graph) -> int:
    """Numbers that training sets: all constants but the single numbers of GELU."""
    return sum(t.elements for t in graph.tensors.values() if t.is_constant and t.elements > 1)


def multiply_accumulates(graph: Graph) -> int:
    """MACs in convolutions and matrix products."""
    total = 0
    for op in graph.ops:
        if op.op_type == "Conv":
            total += graph.tensor(op.output).elements * prod(graph.tensor(op.inputs[1]).shape[1:])
        elif op.op_type == "MatMul":
            total += graph.tensor(op.output).elements * graph.tensor(op.inputs[0]).shape[-1]
    return total


@dataclass
class _Network:
    """Operators and tensors under construction; every method returns the name of what it writes."""

    random: np.random.Generator = field(default_factory=lambda: np.random.default_rng(SEED))
    ops: list[Op] = field(default_factory=list)
    tensors: dict[str, Tensor] = field(default_factory=dict)

    def graph(self, name: str, output: str) -> Graph:
        """Everything that leads to `output`."""
        return Graph(name, self.tensors, tuple(self.ops), ("image",), (output,))

    def shape(self, name: str) -> tuple[int, ...]:
        """Of a tensor."""
        return self.tensors[name].shape

    def op(self, op_type: str, inputs: list[str], shape: tuple[int, ...], **attributes: Attribute) -> str:
        """One operator with one output."""
        name = f"{op_type.lower()}{len(self.ops)}"
        self.tensors[name] = Tensor(name, shape, "float32")
        self.ops.append(Op(name, op_type, tuple(inputs), (name,), attributes))
        return name

    def constant(self, data: npt.ArrayLike) -> str:
        """A parameter or number."""
        array: _Array = np.asarray(data, np.float32)
        name = f"constant{len(self.tensors)}"
        self.tensors[name] = Tensor(name, array.shape, "float32", data=array)
        return name

    def normal(self, shape: tuple[int, ...], deviation: float) -> str:
        """Random weights."""
        return self.constant(self.random.normal(0, deviation, shape))

    def stem(self, side: int) -> str:
        """4 x 4 patches of the image."""
        self.tensors["image"] = Tensor("image", (1, 3, side, side), "float32")
        return self.norm_map(self.conv("image", _TINY[0][0], 4, stride=4))

    def conv(self, x: str, channels: int, kernel: int, *, stride: int = 1, pad: int = 0, group: int = 1) -> str:
        """With bias."""
        _, depth, height, width = self.shape(x)
        weights = self.normal((channels, depth // group, kernel, kernel), (depth // group * kernel**2) ** -0.5)
        size = tuple((n + 2 * pad - kernel) // stride + 1 for n in (height, width))
        return self.op(
            "Conv", [x, weights, self.normal((channels,), 0.1)], (1, channels, *size),
            kernel_shape=(kernel, kernel), strides=(stride, stride), pads=(pad,) * 4, dilations=(1, 1), group=group,
        )  # fmt: skip

    def norm(self, x: str) -> str:
        """Over the last axis."""
        channels = self.shape(x)[-1]
        gamma, beta = self.constant(self.random.uniform(0.5, 1.5, channels)), self.normal((channels,), 0.1)
        return self.op("LayerNormalization", [x, gamma, beta], self.shape(x), axis=-1, epsilon=1e-6)

    def norm_map(self, x: str) -> str:
        """Over the channels of a map."""
        return self.channels_first(self.norm(self.channels_last(x)))

    def channels_last(self, x: str) -> str:
        """(1, C, H, W) to (1, H, W, C)."""
        n, c, h, w = self.shape(x)
        return self.op("Transpose", [x], (n, h, w, c), perm=(0, 2, 3, 1))

    def channels_first(self, x: str) -> str:
        """(1, H, W, C) to (1, C, H, W)."""
        n, h, w, c = self.shape(x)
        return self.op("Transpose", [x], (n, c, h, w), perm=(0, 3, 1, 2))

    def linear(self, x: str, channels: int) -> str:
        """Along the last axis, with bias."""
        *outer, depth = self.shape(x)
        shape = (*outer, channels)
        product = self.op("MatMul", [x, self.normal((depth, channels), depth**-0.5)], shape)
        return self.op("Add", [product, self.normal((channels,), 0.1)], shape)

    def gelu(self, x: str) -> str:
        """GELU: x / 2 * (1 + erf(x / sqrt(2)))."""
        shape = self.shape(x)
        erf = self.op("Erf", [self.op("Div", [x, self.constant(2**0.5)], shape)], shape)
        product = self.op("Mul", [x, self.op("Add", [erf, self.constant(1.0)], shape)], shape)
        return self.op("Mul", [product, self.constant(0.5)], shape)

    def block(self, x: str) -> str:
        """7 x 7 depthwise, normalisation, four times as many channels and back, times one number per channel, plus x."""
        channels = self.shape(x)[1]
        y = self.channels_last(self.conv(x, channels, 7, pad=3, group=channels))
        y = self.linear(self.gelu(self.linear(self.norm(y), 4 * channels)), channels)
        scale = self.constant(self.random.uniform(0.2, 0.6, (channels, 1, 1)))
        y = self.op("Mul", [scale, self.channels_first(y)], self.shape(x))
        return self.op("Add", [y, x], self.shape(x))
