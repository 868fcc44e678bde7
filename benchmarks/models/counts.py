"""Parameters and multiply-accumulates of a Keras model, counted in the operations that TensorFlow would run."""

from collections.abc import Callable, Mapping
from math import prod
from typing import Any

import tensorflow as tf

__all__ = ["multiply_accumulates", "parameters"]


def parameters(model: Any, *, statistics: bool) -> int:
    """Numbers that training sets; with `statistics`, the moving means and variances of batch normalisation as well."""
    weights = model.weights if statistics else model.trainable_weights
    return sum(prod(w.shape) for w in weights)


def multiply_accumulates(model: Any) -> int:
    """MACs of one sample in convolutions and matrix products; nothing is run.

    Raises ValueError where TensorFlow hides operations in a function (a grouped convolution): they would not be counted.
    """
    specs = [tf.TensorSpec((1, *x.shape[1:]), x.dtype) for x in model.inputs]
    function = tf.function(lambda *x: model(x[0] if len(x) == 1 else list(x), training=False))
    operations = function.get_concrete_function(*specs).graph.get_operations()
    hidden = [op.name for op in operations if op.type.endswith("PartitionedCall")]
    if hidden:
        raise ValueError(f"operations of `{hidden[0]}` are in a function of their own")
    return sum(_MACS[op.type](op) for op in operations if op.type in _MACS)


def _out(op: Any) -> int:
    return prod(op.outputs[0].shape)


_MACS: Mapping[str, Callable[[Any], int]] = {
    "Conv2D": lambda op: _out(op) * prod(op.inputs[1].shape[:3]),
    "Conv2DBackpropInput": lambda op: prod(op.inputs[2].shape) * prod(op.inputs[1].shape[:3]),
    "DepthwiseConv2dNative": lambda op: _out(op) * prod(op.inputs[1].shape[:2]),
    "MatMul": lambda op: _out(op) * op.inputs[0].shape[-1],
}
"""Shapes of weights: rows, columns, input channels of a group, output channels; for the transposed one the last two are swapped."""
