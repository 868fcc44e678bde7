"""Convolutions that only copy: 1 x 1, each output channel one input channel times 1. Exact in float and, at one scale, in int8."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from sfopt.graph import Attribute, Graph, Op, Tensor
from sfopt.passes.rewrite import constant, data_of, fresh

__all__ = ["selected_channels", "selection"]

Indices = npt.NDArray[np.int64]
_POINTWISE: Mapping[str, Attribute] = {
    "kernel_shape": (1, 1),
    "strides": (1, 1),
    "dilations": (1, 1),
    "pads": (0, 0, 0, 0),
    "group": 1,
}


def selection(graph: Graph, source: str, depth: int, channels: Indices, output: str) -> tuple[Op, Tensor]:
    """The Conv that writes the given ones of the `depth` channels of `source` to `output`, and its weights."""
    weights = np.zeros((channels.size, depth, 1, 1), np.float32)
    weights[np.arange(channels.size), channels] = 1
    tensor = constant(graph, f"{output}:selection", weights)
    return Op(fresh(graph, f"{output}:select"), "Conv", (source, tensor.name), (output,), _POINTWISE), tensor


def selected_channels(graph: Graph, op: Op | None) -> Indices | None:
    """Which channel of its input each output channel of `op` copies, None where it does anything else."""
    if (
        op is None
        or op.op_type != "Conv"
        or len(op.inputs) != 2
        or any(op.attributes.get(k) != v for k, v in _POINTWISE.items())
    ):
        return None
    weights = data_of(graph, op.inputs[1])
    if weights is None or weights.dtype != np.float32:
        return None
    rows = weights.reshape(weights.shape[0], -1)
    ones = rows == 1
    return ones.argmax(axis=1) if np.all(ones.sum(axis=1) == 1) and np.count_nonzero(rows) == len(rows) else None
