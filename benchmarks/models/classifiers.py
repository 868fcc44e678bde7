"""Image classifiers that Keras has no builder for."""

from typing import Any

import keras

from .layers import add, conv, conv_norm, depthwise_norm, image, max_pool

__all__ = ["resnet", "resnet_cifar", "shufflenet_v2", "squeezenet"]

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


def resnet_cifar(blocks: int, side: int = 32) -> Any:
    """ResNet for CIFAR-10 of 6 x `blocks` + 2 layers: 3 is ResNet-20. He et al., arXiv:1512.03385, section 4.2, with projection
    shortcuts.
    """
    x = inputs = image(side)
    x = _relu()(conv_norm(x, 16, 3))
    for stage, channels in enumerate((16, 32, 64)):
        for block in range(blocks):
            stride = 2 if stage and not block else 1
            shortcut = conv_norm(x, channels, 1, stride) if stride > 1 else x
            y = conv_norm(_relu()(conv_norm(x, channels, 3, stride)), channels, 3)
            x = _relu()(add(y, shortcut))
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, keras.layers.Dense(10)(x))


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


def shufflenet_v2(side: int = 224) -> Any:
    """ShuffleNetV2 1.0x. Ma et al., arXiv:1807.11164, table 5 and figure 3 (c) and (d)."""
    x = inputs = image(side)
    x = max_pool(_relu()(conv_norm(x, 24, 3, 2)), 3, 2, pad=1)
    for channels, repeats in ((116, 4), (232, 8), (464, 4)):
        half = channels // 2
        x = _shuffled(conv_relu(depthwise_norm(x, 3, 2), half), _branch(x, half, 2))
        for _ in range(repeats - 1):
            kept, changed = keras.ops.split(x, 2, axis=-1)
            x = _shuffled(kept, _branch(changed, half, 1))
    x = keras.layers.GlobalAveragePooling2D()(conv_relu(x, 1024))
    return keras.Model(inputs, keras.layers.Dense(CLASSES)(x))


def conv_relu(x: Any, channels: int) -> Any:
    """1 x 1 convolution, batch normalisation, ReLU."""
    return _relu()(conv_norm(x, channels))


def _branch(x: Any, channels: int, stride: int) -> Any:
    return conv_relu(depthwise_norm(conv_relu(x, channels), 3, stride), channels)


def _shuffled(a: Any, b: Any) -> Any:
    """Channels of `a` and `b` in turn."""
    x = keras.layers.Concatenate()([a, b])
    _, rows, columns, channels = x.shape
    pairs = keras.layers.Permute((1, 2, 4, 3))(keras.layers.Reshape((rows, columns, 2, channels // 2))(x))
    return keras.layers.Reshape((rows, columns, channels))(pairs)
