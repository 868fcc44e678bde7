"""Image classifiers that Keras has no builder for."""

from typing import Any

import keras

from .layers import add, conv, conv_norm, image, max_pool

__all__ = ["resnet", "squeezenet"]

CLASSES = 1000
_relu = keras.layers.ReLU


def resnet(blocks: tuple[int, int, int, int], side: int = 224) -> Any:
    """ResNet of basic blocks: (2, 2, 2, 2) is ResNet-18, (3, 4, 6, 3) ResNet-34. He et al., arXiv:1512.03385, table 1, with the
    projection shortcuts (option B) and no convolution biases, as torchvision has it.
    """
    x = inputs = image(side)
    x = max_pool(_relu()(conv_norm(x, 64, 7, 2)), 3, 2, pad=1)
    for stage, repeats in enumerate(blocks):
        channels = 64 << stage
        for block in range(repeats):
            stride = 2 if stage and not block else 1
            shortcut = conv_norm(x, channels, 1, stride) if stride > 1 else x
            y = conv_norm(_relu()(conv_norm(x, channels, 3, stride)), channels, 3)
            x = _relu()(add(y, shortcut))
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, keras.layers.Dense(CLASSES)(x))


def squeezenet(side: int = 224) -> Any:
    """SqueezeNet 1.1. Iandola et al., arXiv:1602.07360, with the changes of that version's release notes: a 3 x 3 first layer of 64
    channels, and pooling earlier.
    """
    inputs = image(side)
    x = keras.layers.Conv2D(64, 3, 2, kernel_initializer="he_normal", activation="relu")(inputs)
    for stage in (((16, 64), (16, 64)), ((32, 128), (32, 128)), ((48, 192), (48, 192), (64, 256), (64, 256))):
        x = max_pool(x, 3, 2)
        for squeezed, expanded in stage:
            x = _fire(x, squeezed, expanded)
    x = _relu()(conv(keras.layers.Dropout(0.5)(x), CLASSES))
    return keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(x))


def _fire(x: Any, squeezed: int, expanded: int) -> Any:
    x = _relu()(conv(x, squeezed))
    return keras.layers.Concatenate()([_relu()(conv(x, expanded)), _relu()(conv(x, expanded, 3))])
