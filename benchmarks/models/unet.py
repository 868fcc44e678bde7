"""U-Net: a contracting path, an expanding path of transposed convolutions, and the shortcuts between them."""

from typing import Any

import keras

from .layers import conv, conv_norm, image

__all__ = ["unet"]


def unet(side: int = 256) -> Any:
    """U-Net. Ronneberger et al., arXiv:1505.04597, figure 1, padded and batch-normalised as in github.com/milesial/Pytorch-UNet:
    three input channels, two classes, raw.
    """
    inputs = image(side)
    x, shortcuts = _double(inputs, 64), list[Any]()
    for channels in (128, 256, 512, 1024):
        shortcuts.append(x)
        x = _double(keras.layers.MaxPooling2D()(x), channels)
    for channels in (512, 256, 128, 64):
        x = keras.layers.Conv2DTranspose(channels, 2, 2, kernel_initializer="he_normal")(x)
        x = _double(keras.layers.Concatenate()([shortcuts.pop(), x]), channels)
    return keras.Model(inputs, conv(x, 2))


def _double(x: Any, channels: int) -> Any:
    for _ in range(2):
        x = keras.layers.ReLU()(conv_norm(x, channels, 3))
    return x
