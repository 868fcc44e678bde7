"""Small integer networks for tests of backends, with scales that spread what flows through them over the integers.

A map that is one value, or saturated, would equal the reference's in a wrong backend too.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from sfopt.graph import Attribute, Graph, Op, Quant, Tensor, verify_graph
from sfopt.grouping import build_network
from sfopt.groups import Network

__all__ = ["NetworkBuilder"]

Pair = tuple[int, int]
_STEPS = 48.0
"""Standard deviation of a map in steps of its scale, about."""
_WEIGHT_SPREAD = 5.5
"""Standard deviation of a weight in steps of its scale. Scales are such that a convolution keeps its input's spread."""
_BOUNDED: Mapping[str, tuple[float, int]] = {"Sigmoid": (1 / 256, -128), "HardSigmoid": (1 / 256, -128)}
"""Functions whose values lie in 0..1: scale and zero point of what they write."""


class NetworkBuilder:
    """Adds integer operators one by one; every method returns the name of the tensor that it writes.

    With `ties`, scales are powers of two and zero points odd: what is rounded often lies in the middle between two integers.
    """

    def __init__(self, name: str, seed: int = 0, *, ties: bool = False) -> None:
        self.name, self.ties = name, ties
        self.random = np.random.default_rng(seed)
        self.tensors: dict[str, Tensor] = {}
        self.ops: list[Op] = []
        self.inputs: list[str] = []
        self.spread: dict[str, float] = {}
        """Standard deviation of a map's real values, estimated."""

    def network(self, *outputs: str) -> Network:
        """What was built, in groups."""
        graph = Graph(self.name, self.tensors, tuple(self.ops), tuple(self.inputs), outputs)
        verify_graph(graph)
        return build_network(graph)

    def shape(self, tensor: str) -> tuple[int, int, int]:
        """Channels, height, width."""
        _, channels, height, width = self.tensors[tensor].shape
        return channels, height, width

    def input(self, channels: int, height: int, width: int) -> str:
        """A network input; random int8 fill its range."""
        name = f"in{len(self.inputs)}"
        self.inputs.append(name)
        return self._map(name, (1, channels, height, width), 74 / 64, Quant(np.asarray(1 / 64, np.float32), 3))

    def conv(
        self,
        x: str,
        channels: int,
        kernel: Pair = (1, 1),
        *,
        stride: Pair = (1, 1),
        pads: tuple[int, int, int, int] | None = None,
        dilation: Pair = (1, 1),
        groups: int = 1,
        bias: bool = True,
    ) -> str:
        """Convolution with a factor for each channel; `pads` (top, left, bottom, right) keep the size if not given."""
        depth = self.shape(x)[0] // groups
        reach = [(k - 1) * d for k, d in zip(kernel, dilation, strict=True)]
        top, left = (r // 2 for r in reach)
        pads = pads or (top, left, reach[0] - top, reach[1] - left)
        name = self._name()
        products = depth * kernel[0] * kernel[1]
        scale = self._scales(self.random.integers(8, 17, channels) / (12 * _WEIGHT_SPREAD * products**0.5))
        weights = self.random.integers(-9, 10, (channels, depth, *kernel), dtype=np.int8)
        self.tensors[f"{name}.w"] = Tensor(f"{name}.w", weights.shape, "int8", Quant(scale, axis=0), weights)
        inputs = [x, f"{name}.w"]
        if bias:
            inputs.append(self._constant(f"{name}.b", self.random.integers(-300, 300, channels, dtype=np.int32)))
        attributes: dict[str, Attribute] = {"group": groups, **_window(kernel, stride, pads), "dilations": dilation}
        size = self._size(x, kernel, stride, pads, dilation)
        return self._op("QLinearConv", inputs, (channels, *size), self.spread[x], attributes)

    def large_sums(self, x: str, channels: int) -> str:
        """Convolution whose sums need more than the 24 bits of a float32: it rounds them, and then half of them lie on a tie."""
        name, quant = self._name(), self.tensors[x].quant
        assert quant is not None
        shape = (channels, self.shape(x)[0], 1, 1)
        weights = self.random.integers(-1, 2, shape, dtype=np.int8)
        steps = self.random.integers(-100, 100, channels).astype(np.int64)
        bias = self._constant(f"{name}.b", ((2 * steps + 1) << 22).astype(np.int32))
        scale = np.full(channels, 2.0**-23, np.float32)
        self.tensors[f"{name}.w"] = Tensor(f"{name}.w", shape, "int8", Quant(scale, axis=0), weights)
        attributes = {"group": 1, **_window((1, 1), (1, 1), (0, 0, 0, 0)), "dilations": (1, 1)}
        inputs, same = [x, f"{name}.w", bias], Quant(quant.scale, 1)
        return self._op("QLinearConv", inputs, (channels, *self.shape(x)[1:]), self.spread[x], attributes, same)

    def transposed(
        self,
        x: str,
        channels: int,
        kernel: Pair,
        stride: Pair,
        *,
        pads: tuple[int, int, int, int] = (0, 0, 0, 0),
        groups: int = 1,
    ) -> str:
        """Transposed convolution; `pads` are cut off the output."""
        depth, height, width = self.shape(x)
        products = max(1.0, depth // groups * kernel[0] * kernel[1] / (stride[0] * stride[1]))
        name, shape = self._name(), (channels, depth // groups, *kernel)
        scale = self._scales(self.random.integers(8, 17, channels) / (12 * _WEIGHT_SPREAD * products**0.5))
        weights = self.random.integers(-9, 10, shape, dtype=np.int8)
        self.tensors[f"{name}.w"] = Tensor(f"{name}.w", shape, "int8", Quant(scale, axis=0), weights)
        bias = self._constant(f"{name}.b", self.random.integers(-300, 300, channels, dtype=np.int32))
        attributes: dict[str, Attribute] = {"group": groups, **_window(kernel, stride, pads), "dilations": (1, 1)}
        rows = (height - 1) * stride[0] + kernel[0] - pads[0] - pads[2]
        columns = (width - 1) * stride[1] + kernel[1] - pads[1] - pads[3]
        inputs = [x, f"{name}.w", bias]
        return self._op("QLinearConvTranspose", inputs, (channels, rows, columns), self.spread[x], attributes)

    def depthwise(self, x: str, kernel: Pair = (3, 3), *, stride: Pair = (1, 1)) -> str:
        """Depthwise convolution."""
        channels = self.shape(x)[0]
        return self.conv(x, channels, kernel, stride=stride, groups=channels)

    def add(self, a: str, b: str) -> str:
        """Sum of two maps of one shape."""
        return self._op("QLinearAdd", [a, b], self.shape(a), (self.spread[a] ** 2 + self.spread[b] ** 2) ** 0.5)

    def mul(self, a: str, b: str) -> str:
        """Product of two maps of one shape, or of a map and a scale for each channel, (1, C, 1, 1)."""
        return self._op("QLinearMul", [a, b], self.shape(a), self.spread[a] * self.spread[b])

    def lookup(self, x: str, function: str) -> str:
        """A function of each value by itself."""
        quant = None
        if function in _BOUNDED:
            scale, zero = _BOUNDED[function]
            quant = Quant(np.asarray(scale, np.float32), zero)
        spread = 0.3 if quant else self.spread[x] * 0.7
        return self._op("Lookup", [x], self.shape(x), spread, {"function": function}, quant)

    def mean(self, x: str) -> str:
        """Mean of each channel."""
        channels, height, width = self.shape(x)
        spread = self.spread[x] / min(4.0, (height * width) ** 0.5)
        return self._op("QLinearGlobalAveragePool", [x], (channels, 1, 1), spread)

    def max_pool(self, x: str, kernel: Pair, *, stride: Pair, pads: tuple[int, int, int, int] = (0, 0, 0, 0)) -> str:
        """Maximum of each window."""
        attributes, size = _window(kernel, stride, pads), self._size(x, kernel, stride, pads)
        quant = self.tensors[x].quant
        return self._op("MaxPool", [x], (self.shape(x)[0], *size), self.spread[x], attributes, quant)

    def average_pool(
        self,
        x: str,
        kernel: Pair,
        *,
        stride: Pair,
        pads: tuple[int, int, int, int] = (0, 0, 0, 0),
        include_pad: bool = False,
    ) -> str:
        """Average of each window; `include_pad` counts the padding as zeros."""
        attributes = {**_window(kernel, stride, pads), "count_include_pad": int(include_pad)}
        spread, size = self.spread[x] / 2, self._size(x, kernel, stride, pads)
        return self._op("QLinearAveragePool", [x], (self.shape(x)[0], *size), spread, attributes)

    def resize(self, x: str, down: int = 2, across: int = 2) -> str:
        """Each pixel several times."""
        channels, height, width = self.shape(x)
        attributes: dict[str, Attribute] = {"scale_h": down, "scale_w": across}
        shape = (channels, height * down, width * across)
        return self._op("Resize", [x], shape, self.spread[x], attributes, self.tensors[x].quant)

    def concat(self, *xs: str, like: str | None = None) -> str:
        """Channels side by side, in the scale of `like` or one of their own."""
        shape = (sum(self.shape(x)[0] for x in xs), *self.shape(xs[0])[1:])
        quant = None if like is None else self.tensors[like].quant
        return self._op("QLinearConcat", xs, shape, max(self.spread[x] for x in xs), quant=quant)

    def on_host(self, x: str, function: str = "Sin") -> str:
        """A float function that runs on the host."""
        quant = self.tensors[x].quant
        assert quant is not None
        name, shape = self._name(), self.tensors[x].shape
        zero = self._constant(f"{name}.zero", np.asarray(quant.zero_point, np.int8))
        scale = self._constant(f"{name}.scale", np.asarray(quant.scale, np.float32))
        for part in ("real", "made"):
            self.tensors[f"{name}.{part}"] = Tensor(f"{name}.{part}", shape, "float32")
        steps = (("DequantizeLinear", (x, scale, zero), "real"), (function, (f"{name}.real",), "made"))
        self.ops += [Op(f"{name}.{t}", t, inputs, (f"{name}.{made}",)) for t, inputs, made in steps]
        fine, none = np.asarray(1 / 96, np.float32), np.asarray(0, np.int8)
        inputs = (f"{name}.made", self._constant(f"{name}.fine", fine), self._constant(f"{name}.none", none))
        self.ops.append(Op(f"{name}.QuantizeLinear", "QuantizeLinear", inputs, (name,)))
        return self._map(name, shape, 0.7, Quant(fine, 0))

    def _size(self, x: str, kernel: Pair, stride: Pair, pads: Sequence[int], dilation: Pair = (1, 1)) -> Pair:
        height, width = self.shape(x)[1:]
        rows, columns = height + pads[0] + pads[2], width + pads[1] + pads[3]
        return (
            (rows - dilation[0] * (kernel[0] - 1) - 1) // stride[0] + 1,
            (columns - dilation[1] * (kernel[1] - 1) - 1) // stride[1] + 1,
        )

    def _op(
        self,
        op_type: str,
        inputs: Sequence[str],
        shape: tuple[int, ...],
        spread: float,
        attributes: Mapping[str, Attribute] | None = None,
        quant: Quant | None = None,
    ) -> str:
        name = self._name()
        self.ops.append(Op(f"op{len(self.ops)}", op_type, tuple(inputs), (name,), attributes or {}))
        return self._map(name, (1, *shape), spread, quant or self._quant(spread))

    def _quant(self, spread: float) -> Quant:
        scale = self._scales(spread / _STEPS * self.random.uniform(0.8, 1.25))
        zero = int(self.random.integers(-20, 21))
        return Quant(scale, zero | 1 if self.ties else zero)

    def _scales(self, wanted: npt.ArrayLike) -> npt.NDArray[np.float32]:
        return np.asarray(2 ** np.round(np.log2(wanted)) if self.ties else wanted, np.float32)

    def _name(self) -> str:
        return f"t{len(self.ops)}"

    def _map(self, name: str, shape: tuple[int, ...], spread: float, quant: Quant) -> str:
        self.tensors[name], self.spread[name] = Tensor(name, shape, "int8", quant), spread
        return name

    def _constant(self, name: str, data: npt.NDArray[np.generic]) -> str:
        self.tensors[name] = Tensor(name, data.shape, data.dtype.name, data=data)
        return name


def _window(kernel: Pair, stride: Pair, pads: tuple[int, int, int, int]) -> dict[str, Attribute]:
    return {"kernel_shape": kernel, "strides": stride, "pads": pads}
