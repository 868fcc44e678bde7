"""The networks that backends are tested on: together every kind of group, every fused part, and every geometry of a window."""

from collections.abc import Callable, Mapping

from sfopt.groups import Network
from sfopt.testing.builder import NetworkBuilder

__all__ = ["NETWORKS", "build"]


def _convolutions(b: NetworkBuilder) -> list[str]:
    """Strides, dilations, lopsided padding, groups, no bias; a first layer whose columns fold; the result is fully connected."""
    x = b.conv(b.input(2, 13, 10), 8, (3, 3), stride=(2, 2))
    y = b.conv(x, 6, (3, 2), pads=(0, 1, 3, 0), dilation=(2, 1), bias=False)
    y = b.conv(y, 12, (3, 3), groups=3)
    y = b.conv(y, 9, (1, 5), pads=(2, 2, 1, 2), stride=(2, 1))
    return [b.conv(b.conv(b.mean(y), 16), 5), x]


def _pools(b: NetworkBuilder) -> list[str]:
    """Maxima and averages over windows that overlap, leave rows out, or lie in the padding; with and without counting it."""
    x = b.conv(b.input(4, 12, 9), 7, (3, 3))
    most = b.max_pool(x, (3, 2), stride=(2, 2), pads=(1, 0, 1, 1))
    some = b.average_pool(x, (3, 3), stride=(2, 2), pads=(1, 1, 1, 1))
    all_ = b.average_pool(x, (2, 3), stride=(1, 2), pads=(1, 1, 0, 1), include_pad=True)
    return [b.lookup(most, "Relu"), b.conv(some, 5), all_, b.max_pool(x, (1, 1), stride=(4, 3))]


def _elements(b: NetworkBuilder) -> list[str]:
    """Sums, products, functions before and behind them, a map with itself, either operand first, single elements."""
    x = b.input(5, 7, 6)
    y = b.lookup(b.conv(x, 5, (3, 3)), "LeakyRelu")
    z = b.lookup(b.add(b.lookup(b.conv(x, 5), "Sigmoid"), y), "HardSwish")
    w = b.mul(b.add(x, z), y)
    v = b.mul(b.conv(w, 5, (3, 3)), b.lookup(x, "Tanh"))
    one = b.conv(b.mean(b.conv(v, 1)), 1)
    return [b.add(v, v), b.add(one, b.conv(one, 1)), b.lookup(b.mul(w, b.lookup(w, "Sigmoid")), "Relu")]


def _inverted(b: NetworkBuilder) -> list[str]:
    """Blocks of a depthwise convolution between two others, a scale for each channel, shortcuts."""
    x = b.conv(b.input(3, 16, 8), 8, (3, 3), stride=(2, 2))
    for stride in (1, 2):
        y = b.lookup(b.conv(x, 16), "Relu")
        y = b.lookup(b.depthwise(y, stride=(stride, stride)), "HardSwish")
        gate = b.lookup(b.conv(b.lookup(b.conv(b.mean(y), 4), "Relu"), 16), "HardSigmoid")
        y = b.conv(b.mul(y, gate), 8)
        x = b.add(y, x) if stride == 1 else y
    gate = b.lookup(b.conv(b.mean(x), 8), "Sigmoid")
    return [b.depthwise(b.mul(x, gate)), b.mul(x, gate)]


def _branches(b: NetworkBuilder) -> list[str]:
    """Concats of pieces in one scale and in others, pieces that are concats, a map that is two pieces' source, resizes."""
    x = b.conv(b.input(3, 8, 6), 8, (3, 3))
    left, right = b.conv(x, 8), b.lookup(b.conv(x, 4, (3, 3)), "Relu")
    y = b.concat(left, right, b.max_pool(x, (3, 3), stride=(1, 1), pads=(1, 1, 1, 1)), like=left)
    y = b.concat(y, b.conv(y, 4, (3, 3)))
    low = b.conv(y, 6, (3, 3), stride=(2, 2))
    return [b.conv(b.concat(b.resize(low), x), 5), b.resize(low, 3, 1)]


def _residual(b: NetworkBuilder) -> list[str]:
    """Residual blocks, one behind the other."""
    x = b.conv(b.input(3, 12, 8), 8, (3, 3))
    for _ in range(3):
        y = b.lookup(b.conv(x, 8, (3, 3)), "Relu")
        x = b.lookup(b.add(b.conv(y, 8, (3, 3)), x), "Relu")
    return [x]


def _wide(b: NetworkBuilder) -> list[str]:
    """Convolutions whose weights outgrow their maps."""
    x = b.conv(b.input(4, 12, 4), 24, (3, 3))
    y = b.conv(b.lookup(b.conv(x, 40), "Relu"), 24, (3, 3))
    return [b.conv(b.add(y, x), 32, (3, 3), stride=(2, 1))]


def _hosted(b: NetworkBuilder) -> list[str]:
    """Float functions in the middle, of which one reads what the other wrote."""
    x = b.conv(b.input(4, 6, 6), 8, (3, 3))
    y = b.on_host(x)
    z = b.conv(b.add(y, x), 8, (3, 3))
    return [b.conv(b.on_host(z, "Cos"), 5), b.conv(y, 3)]


def _transposed(b: NetworkBuilder) -> list[str]:
    """Transposed convolutions: kernels below, of and above the stride, cut edges, groups, chains, before a concat."""
    x = b.conv(b.input(3, 6, 5), 8, (3, 3))
    y = b.lookup(b.transposed(x, 6, (3, 3), (2, 2), pads=(0, 1, 1, 0)), "Relu")
    y = b.conv(b.concat(y, b.resize(x)), 6)
    z = b.transposed(y, 6, (2, 5), (1, 2), groups=2)
    return [z, b.transposed(b.conv(x, 4), 4, (1, 2), (3, 2), groups=4), b.conv(z, 3, (3, 3), stride=(2, 2))]


def _ties(b: NetworkBuilder) -> list[str]:
    """What every rounding rule is for: values in the middle between two integers, zero points that are odd."""
    x = b.conv(b.input(4, 8, 8), 8, (3, 3))
    y = b.add(b.depthwise(x), x)
    y = b.mul(y, b.mul(y, b.mean(y)))
    small = b.average_pool(y, (2, 2), stride=(2, 2))
    padded = b.average_pool(x, (3, 3), stride=(2, 2), pads=(1, 1, 1, 1))
    z = b.concat(small, padded, b.conv(b.mul(small, b.mean(small)), 5))
    return [b.lookup(z, "LeakyRelu"), b.large_sums(x, 16), b.conv(b.mean(z), 3)]


NETWORKS: Mapping[str, Callable[[NetworkBuilder], list[str]]] = {
    "convolutions": _convolutions,
    "pools": _pools,
    "elements": _elements,
    "inverted": _inverted,
    "branches": _branches,
    "residual": _residual,
    "wide": _wide,
    "hosted": _hosted,
    "ties": _ties,
    "transposed": _transposed,
}
"""Name -> what builds it, and returns its outputs."""


def build(name: str) -> Network:
    """The network called `name`, the same each time."""
    builder = NetworkBuilder(name, seed=len(name), ties=name == "ties")
    return builder.network(*NETWORKS[name](builder))
