"""The nine networks whose graphs the onnx package ships as `light_*.onnx`, with weights that tell one channel from another.

In the files every weight is made by ConstantOfShape and most are 0.02: all channels of a layer are then equal, their maps saturate
towards the end, and a comparison would not see two channels that have changed places. Here each of those constants is seeded random
numbers of its shape instead. Nothing else is changed.
"""

from importlib.resources import files
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sfopt.graph import Graph, Op, Tensor
from sfopt.onnx_io import read_onnx, write_onnx

__all__ = ["LIGHT", "light_onnx", "light_path"]

LIGHT = (
    "bvlc_alexnet", "densenet121", "inception_v1", "inception_v2", "resnet50", "shufflenet", "squeezenet", "vgg19", "zfnet512",
)  # fmt: skip
_RANGES = {
    "Add": {0: (-0.3, 0.3), 1: (-0.3, 0.3)},
    "BatchNormalization": {1: (0.7, 1.3), 2: (-0.3, 0.3), 3: (-0.3, 0.3), 4: (0.7, 1.3)},
    "Conv": {2: (-0.2, 0.2)},
    "Gemm": {2: (-0.2, 0.2)},
    "Mul": {0: (0.7, 1.3), 1: (0.7, 1.3)},
}
"""Operator -> position of an operand -> least and greatest value; weights are normal, of a size that keeps that of the maps."""


def light_path(name: str) -> Path:
    """The file as the onnx package ships it."""
    return Path(str(files("onnx") / "backend" / "test" / "data" / "light" / f"light_{name}.onnx"))


def light_onnx(name: str, seed: int) -> bytes:
    """The network with random weights, as ONNX."""
    graph = read_onnx(light_path(name))
    random = np.random.default_rng(seed)
    varied = {n: t for op in graph.ops for n, t in _varied(graph, op, random)}
    return write_onnx(graph.with_ops(graph.ops, varied.values()))


def _varied(graph: Graph, op: Op, random: np.random.Generator) -> list[tuple[str, Tensor]]:
    found = []
    for position, name in enumerate(op.inputs):
        tensor = graph.tensor(name)
        is_weight = op.op_type in ("Conv", "Gemm") and position == 1
        limits = _RANGES.get(op.op_type, {}).get(position)
        if not tensor.is_constant or tensor.dtype != "float32" or (limits is None and not is_weight):
            continue
        data = _weights(tensor.shape, random) if limits is None else random.uniform(*limits, tensor.shape)
        found.append((name, Tensor(name, tensor.shape, "float32", data=data.astype(np.float32))))
    return found


def _weights(shape: tuple[int, ...], random: np.random.Generator) -> npt.NDArray[np.floating]:
    """All Gemms of these networks have transB, so that outputs come first as in a Conv."""
    deviation = np.float32((2 / np.prod(shape[1:])) ** 0.5)
    return random.standard_normal(shape, np.float32) * deviation
