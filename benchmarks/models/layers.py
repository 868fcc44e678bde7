"""Layers that the architectures here share, padded and initialised as their original implementations have them."""

from typing import Any

import keras

__all__ = ["add", "batch_norm", "conv", "conv_norm", "depthwise_norm", "image", "max_pool"]

Map = Any
"""A symbolic Keras tensor, batch x rows x columns x channels."""


def image(side: int | tuple[int, int], channels: int = 3) -> Map:
    """The network's input: square, or (rows, columns)."""
    rows, columns = (side, side) if isinstance(side, int) else side
    return keras.Input((rows, columns, channels))


def conv(x: Map, filters: int, kernel: int = 1, stride: int = 1, *, bias: bool = True) -> Map:
    """Convolution padded by kernel // 2 on every side, whatever the stride (TensorFlow's SAME is lopsided when it strides)."""
    if kernel > 1 and stride > 1:
        x = keras.layers.ZeroPadding2D(kernel // 2)(x)
    padding = "valid" if stride > 1 else "same"
    return keras.layers.Conv2D(
        filters, kernel, stride, padding, use_bias=bias, kernel_initializer="he_normal",
        bias_initializer=keras.initializers.RandomNormal(stddev=0.05),
    )(x)  # fmt: skip


def batch_norm(x: Map, epsilon: float = 1e-5) -> Map:
    """Batch normalisation over channels."""
    return keras.layers.BatchNormalization(epsilon=epsilon)(x)


def conv_norm(x: Map, filters: int, kernel: int = 1, stride: int = 1) -> Map:
    """Convolution without bias, then batch normalisation."""
    return batch_norm(conv(x, filters, kernel, stride, bias=False))


def depthwise_norm(x: Map, kernel: int, stride: int = 1) -> Map:
    """Depthwise convolution without bias, padded as `conv`, then batch normalisation."""
    if stride > 1:
        x = keras.layers.ZeroPadding2D(kernel // 2)(x)
    padding = "valid" if stride > 1 else "same"
    return batch_norm(
        keras.layers.DepthwiseConv2D(kernel, stride, padding, use_bias=False, depthwise_initializer="he_normal")(x)
    )


def max_pool(x: Map, kernel: int, stride: int, pad: int = 0) -> Map:
    """Max pool; `pad` puts zeros around `x`, which is only right where nothing in it is negative."""
    if pad:
        x = keras.layers.ZeroPadding2D(pad)(x)
    return keras.layers.MaxPooling2D(kernel, stride)(x)


def add(*maps: Map) -> Map:
    """Element-wise sum."""
    return keras.layers.Add()(list(maps))
