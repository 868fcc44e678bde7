"""A residual network of any length, integer from the start: for measuring how planning time grows."""

import numpy as np

from sfopt.graph import Attribute, Graph, Op, Quant, Tensor, verify_graph
from sfopt_ort import model_bytes

__all__ = ["chain_resnet", "chain_resnet_onnx"]

SIDE, WIDTH, STAGES = 56, 16, 4
"""Rows and columns of the first map, channels inside its blocks; each further stage halves the one and doubles the other."""
EXPANSION, LEAST_GROUPS = 4, 19
SPREAD = 40.0
"""Standard deviation, in steps of int8, that every map is scaled to, as far as statistics of random weights tell."""


def chain_resnet(groups: int, seed: int = 0) -> Graph:
    """A ResNet of bottleneck blocks, a quarter as wide as the usual ones, that imports as exactly `groups` groups.

    Its blocks are shared out over four stages as ResNet-152 shares its 50 (3, 8, 36, 3); what three groups a block leave over
    are convolutions behind the first. ValueError for fewer than 19 groups.
    """
    if groups < LEAST_GROUPS:
        raise ValueError(f"a chain has at least {LEAST_GROUPS} groups, {groups} were asked for")
    # The first convolution, a projection in each stage, the mean and the classifier, besides the blocks.
    blocks, rest = divmod(groups - STAGES - 3, 3)
    counts = [max(1, blocks * share // 50) for share in (3, 8, 36, 3)]
    counts[2] += blocks - sum(counts)
    net = _Chain(f"chain_{groups}", seed)
    x = net.conv(net.input(3), WIDTH, 3)
    for _ in range(rest):
        x = net.conv(x, WIDTH, 3)
    for stage, count in enumerate(counts):
        for block in range(count):
            x = net.bottleneck(x, WIDTH << stage, stride=2 if stage and not block else 1, project=not block)
    return net.graph(net.conv(net.mean(x), 1000))


def chain_resnet_onnx(groups: int) -> bytes:
    """`chain_resnet` as an int8 ONNX model."""
    return model_bytes(chain_resnet(groups))


class _Chain:
    """Adds integer operators one by one; every method returns the name of the tensor that it writes."""

    def __init__(self, name: str, seed: int) -> None:
        self.name = name
        self.random = np.random.default_rng(seed)
        self.tensors: dict[str, Tensor] = {}
        self.ops: list[Op] = []

    def graph(self, output: str) -> Graph:
        graph = Graph(self.name, self.tensors, tuple(self.ops), ("x",), (output,))
        verify_graph(graph)
        return graph

    def input(self, channels: int) -> str:
        return self._map("x", (1, channels, SIDE, SIDE), 1 / SPREAD)

    def bottleneck(self, x: str, width: int, *, stride: int, project: bool) -> str:
        """Without an activation behind the sum: the spread of a sum is then known, however long the chain."""
        shortcut = self.conv(x, EXPANSION * width, 1, stride, activate=False) if project else x
        y = self.conv(self.conv(x, width, 1, stride), width, 3)
        y = self.conv(y, EXPANSION * width, activate=False)
        scale = (self._scale(y) ** 2 + self._scale(shortcut) ** 2) ** 0.5
        return self._op("QLinearAdd", (y, shortcut), self.tensors[y].shape, scale)

    def conv(self, x: str, channels: int, kernel: int = 1, stride: int = 1, *, activate: bool = True) -> str:
        """With bias; ReLU, if asked for, is the saturation at a zero point of -128."""
        _, depth, side, _ = self.tensors[x].shape
        data = self.random.integers(-127, 128, (channels, depth, kernel, kernel), dtype=np.int8)
        scale = np.float32(1 / (73 * (depth * kernel * kernel) ** 0.5))
        w = self._constant(f"w{len(self.ops)}", data, Quant(np.full(channels, scale), axis=0))
        b = self._constant(f"b{len(self.ops)}", self.random.integers(-500, 501, channels, dtype=np.int32))
        out = (side - 1) // stride + 1
        attributes: dict[str, Attribute] = {
            "kernel_shape": (kernel, kernel),
            "strides": (stride, stride),
            "pads": (kernel // 2,) * 4,
            "dilations": (1, 1),
            "group": 1,
        }
        # Half of what ReLU let through is zero, so its mean square is half of what it was.
        scale = self._scale(x) * (0.5**0.5 if self._is_activated(x) else 1)
        return self._op("QLinearConv", (x, w, b), (1, channels, out, out), scale, -128 if activate else 0, attributes)

    def mean(self, x: str) -> str:
        _, channels, side, _ = self.tensors[x].shape
        return self._op("QLinearGlobalAveragePool", (x,), (1, channels, 1, 1), self._scale(x) / side**0.5)

    def _is_activated(self, name: str) -> bool:
        quant = self.tensors[name].quant
        return quant is not None and quant.zero_point == -128

    def _scale(self, name: str) -> float:
        quant = self.tensors[name].quant
        assert quant is not None
        return float(quant.scale)

    def _op(
        self,
        op_type: str,
        inputs: tuple[str, ...],
        shape: tuple[int, ...],
        scale: float,
        zero_point: int = 0,
        attributes: dict[str, Attribute] | None = None,
    ) -> str:
        name = f"t{len(self.ops)}"
        self.ops.append(Op(name, op_type, inputs, (name,), attributes or {}))
        return self._map(name, shape, scale, zero_point)

    def _map(self, name: str, shape: tuple[int, ...], scale: float, zero_point: int = 0) -> str:
        self.tensors[name] = Tensor(name, shape, "int8", Quant(np.asarray(scale, np.float32), zero_point))
        return name

    def _constant(self, name: str, data: np.ndarray, quant: Quant | None = None) -> str:
        self.tensors[name] = Tensor(name, data.shape, data.dtype.name, quant, data)
        return name
