"""A random ONNX model as it grows: what there is so far, and the blocks that the moves of `random_models` are made of."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from models import ModelBuilder

__all__ = ["Grower", "Limits", "Shape"]

Shape = tuple[int, int, int]
"""Channels, height, width."""

_ACTIVATIONS = (
    "Relu", "Relu", "Clip", "LeakyRelu", "Tanh", "Sigmoid", "SiLU", "HardSwish", "hswish", "HardSigmoid", "Elu", "none",
    "Erf", "Gelu", "Mish", "Neg", "Selu", "Softplus", "Softsign", "gelu",
)  # fmt: skip


@dataclass(frozen=True)
class Limits:
    """How large a model may get."""

    steps: int
    channels: int
    side: int
    macs: int
    """Multiply-accumulates of one convolution."""
    decodes: bool = False
    """Whether ways to more rows and columns come often."""


@dataclass
class Grower:
    """A model under construction: what has been computed so far, and building blocks that add to it."""

    limits: Limits
    r: np.random.Generator
    m: ModelBuilder
    shapes: dict[str, Shape] = field(default_factory=dict)
    made: list[str] = field(default_factory=list)
    moves: list[str] = field(default_factory=list)
    host: set[str] = field(default_factory=set)
    sources: list[str] = field(default_factory=list)
    """What the network starts from: its inputs, channels first."""
    opset: int = 17
    """20 is the first with Gelu and Mish, 18 the first with axes as inputs."""
    clamped: bool = False
    """A pool dropped a window that ONNX's shape inference counts: nothing may depend on the exact size any more."""

    # -- building blocks ------------------------------------------------------------------------------------------------

    def between(self, low: int, high: int) -> int:
        return int(self.r.integers(low, max(low, high) + 1))

    def chance(self, p: float) -> bool:
        return bool(self.r.random() < p)

    def pick(self, choices: Sequence[Any]) -> Any:
        return choices[int(self.r.integers(len(choices)))]

    def channels(self) -> int:
        """Any count, small ones more often than not, on and around the multiples of the lanes."""
        most = self.limits.channels
        few, any_, many = self.between(1, 9), self.between(1, most), self.between(most // 2, most)
        return min(most, self.pick([few, any_, few, any_, many, 8, 16, 17, 7]))

    def source(self, shape: Shape, name: str, *, last: bool) -> str:
        """A network input, its channels first or last."""
        c, h, w = shape
        x = self.m.add("Transpose", self.m.input((1, h, w, c), name), perm=[0, 3, 1, 2]) if last else ""
        x = x or self.m.input((1, c, h, w), name)
        self.sources.append(x)
        return self.keep(self.note(x, shape))

    def note(self, name: str, shape: Shape) -> str:
        self.shapes[name] = shape
        return name

    def unary(self, op_type: str, x: str, **attributes: object) -> str:
        return self.note(self.m.add(op_type, x, **attributes), self.shapes[x])

    def binary(self, op_type: str, a: str, b: str) -> str:
        if self.chance(0.5):
            a, b = b, a
        c = tuple(max(p, q) for p, q in zip(self.shapes[a], self.shapes[b], strict=True))
        return self.note(self.m.add(op_type, a, b), c)  # type: ignore[arg-type]

    def conv(
        self,
        x: str,
        channels: int,
        kernel: tuple[int, int] = (1, 1),
        strides: tuple[int, int] = (1, 1),
        pads: tuple[int, int, int, int] = (0, 0, 0, 0),
        dilations: tuple[int, int] = (1, 1),
        group: int = 1,
        auto_pad: str = "",
    ) -> str:
        """Weights that keep the size of what they multiply."""
        depth, *sides = self.shapes[x]
        bound = (3 / (depth // group * kernel[0] * kernel[1])) ** 0.5
        spread = self.r.uniform(0.2, 2.0, (channels, 1, 1, 1))
        weights = self.r.uniform(-bound, bound, (channels, depth // group, *kernel)) * spread
        inputs = [x, self.m.constant(weights)]
        if self.chance(0.7):
            inputs.append(self.m.random_constant(channels, low=-0.5, high=0.5))
        extent = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
        if auto_pad.startswith("SAME"):
            out = [-(-n // s) for n, s in zip(sides, strides, strict=True)]
            how: dict[str, object] = {"auto_pad": auto_pad}
        else:
            total = [pads[0] + pads[2], pads[1] + pads[3]]
            out = [(n + p - e) // s + 1 for n, p, e, s in zip(sides, total, extent, strides, strict=True)]
            how = {"auto_pad": auto_pad} if auto_pad else {"pads": list(pads)}
        name = self.m.add("Conv", *inputs, strides=list(strides), dilations=list(dilations), group=group, **how)
        return self.note(name, (channels, out[0], out[1]))

    def affordable(self, x: str, channels: int, kernel: tuple[int, int]) -> int:
        """`channels`, or as many as the limits allow."""
        depth, height, width = self.shapes[x]
        return max(1, min(channels, self.limits.macs // max(1, depth * height * width * kernel[0] * kernel[1])))

    def same(self, x: str, channels: int) -> str:
        """A convolution that keeps height and width."""
        k = (self.pick([1, 3, 3, 5]), self.pick([1, 3, 3]))
        p = (k[0] // 2, k[1] // 2, k[0] // 2, k[1] // 2)
        return self.conv(x, channels, k, pads=p)

    def activation(self, x: str) -> str:
        match self.pick(_ACTIVATIONS):
            case "Clip":
                if x in self.sources:
                    self.host |= {"Clip"}
                low, high = self.pick([(0.0, 6.0), (0.0, 1.0), (-1.0, 1.0)])
                return self.note(self.m.add("Clip", x, self.m.constant(low), self.m.constant(high)), self.shapes[x])
            case "LeakyRelu":
                return self.unary("LeakyRelu", x, alpha=float(self.pick([0.01, 0.1, 0.3])))
            case "gelu":
                gate = self.m.add("Erf", self.m.add("Mul", x, self.m.constant(2**-0.5)))
                gate = self.m.add("Mul", x, self.m.add("Add", gate, self.m.constant(1.0)))
                return self.note(self.m.add("Mul", gate, self.m.constant(0.5)), self.shapes[x])
            case "Gelu" if self.opset >= 20:
                return self.unary("Gelu", x, approximate=self.pick(["none", "tanh"]))
            case "Gelu" | "Mish" if self.opset < 20:
                return self.unary("Softplus", x)
            case "SiLU":
                return self.binary("Mul", x, self.unary("Sigmoid", x))
            case "hswish":
                return self.binary("Mul", x, self.unary("HardSigmoid", x, alpha=1 / 6, beta=0.5))
            case "none":
                return x
            case name:
                if name == "Relu" and x in self.sources:
                    self.host |= {"Relu"}  # onnxruntime.quantization starts no int8 at a Relu
                return self.unary(name, x)

    def maybe(self, x: str) -> str:
        return self.activation(x) if self.chance(0.6) else x

    def keep(self, *names: str) -> str:
        self.made += [n for n in dict.fromkeys(names) if n not in self.made]
        return names[-1]
