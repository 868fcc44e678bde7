"""YOLO detectors on COCO's 80 classes, without decoding: one raw map of boxes for each scale."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from .layers import add, conv, conv_norm, image

__all__ = ["yolov2", "yolov3", "yolov3_tiny"]

CLASSES = 80


def yolov3(side: int = 416) -> Any:
    """YOLOv3. Redmon and Farhadi, arXiv:1804.02767, and cfg/yolov3.cfg of darknet: Darknet-53 and three scales."""
    inputs = image(side)
    scales = _darknet53(inputs)
    results = list[Any]()
    x = scales.pop()
    for channels in (512, 256, 128):
        if results:
            x = keras.layers.UpSampling2D()(_unit(x, channels))
            x = keras.layers.Concatenate()([x, scales.pop()])
        x = _neck(x, channels)
        results.append(conv(_unit(x, 2 * channels, 3), 3 * (5 + CLASSES)))
    return keras.Model(inputs, results)


def yolov3_tiny(side: int = 416) -> Any:
    """YOLOv3-tiny: cfg/yolov3-tiny.cfg of darknet."""
    x = inputs = image(side)
    for channels in (16, 32, 64, 128):
        x = _pooled(_unit(x, channels, 3))
    middle = _unit(x, 256, 3)
    x = _unit(_pooled(middle), 512, 3)
    # A pool that keeps the size: darknet pads the last row and column.
    x = keras.layers.MaxPooling2D(2, 1, "same")(x)
    x = _unit(_unit(x, 1024, 3), 256)
    coarse = conv(_unit(x, 512, 3), 3 * (5 + CLASSES))
    x = keras.layers.Concatenate()([keras.layers.UpSampling2D()(_unit(x, 128)), middle])
    return keras.Model(inputs, [coarse, conv(_unit(x, 256, 3), 3 * (5 + CLASSES))])


def yolov2(side: int = 416) -> Any:
    """YOLOv2. Redmon and Farhadi, arXiv:1612.08242, and cfg/yolov2.cfg of darknet: Darknet-19 and one scale of five anchors."""
    x = inputs = image(side)
    x = _pooled(_unit(x, 32, 3))
    x = _pooled(_unit(x, 64, 3))
    x = _pooled(_alternating(x, 128, 3))
    x = _pooled(_alternating(x, 256, 3))
    fine = _alternating(x, 512, 5)
    x = _alternating(_pooled(fine), 1024, 5)
    x = _unit(_unit(x, 1024, 3), 1024, 3)
    rows = _SpaceToDepth()(_unit(fine, 64))
    x = _unit(keras.layers.Concatenate()([rows, x]), 1024, 3)
    return keras.Model(inputs, conv(x, 5 * (5 + CLASSES)))


@keras.saving.register_keras_serializable("sfopt")
class _SpaceToDepth(keras.layers.Layer):
    """Blocks of 2 x 2 pixels become channels ("reorg")."""

    def call(self, x: Any) -> Any:
        """Half the rows and columns, four times the channels."""
        return tf.nn.space_to_depth(x, 2)

    def compute_output_shape(self, shape: Any) -> Any:
        """As `call`."""
        return (shape[0], shape[1] // 2, shape[2] // 2, 4 * shape[3])


def _alternating(x: Any, channels: int, layers: int) -> Any:
    for i in range(layers):
        x = _unit(x, channels // (1 + i % 2), 1 if i % 2 else 3)
    return x


def _pooled(x: Any) -> Any:
    return keras.layers.MaxPooling2D()(x)


def _darknet53(x: Any) -> list[Any]:
    """The maps at 1/8, 1/16 and 1/32 of the side."""
    x, scales = _unit(x, 32, 3), list[Any]()
    for channels, repeats in ((64, 1), (128, 2), (256, 8), (512, 8), (1024, 4)):
        x = _unit(x, channels, 3, 2)
        for _ in range(repeats):
            x = add(_unit(_unit(x, channels // 2), channels, 3), x)
        scales.append(x)
    return scales[2:]


def _neck(x: Any, channels: int, kernels: Sequence[int] = (1, 3, 1, 3, 1)) -> Any:
    for kernel in kernels:
        x = _unit(x, channels if kernel == 1 else 2 * channels, kernel)
    return x


def _unit(x: Any, channels: int, kernel: int = 1, stride: int = 1) -> Any:
    return keras.layers.LeakyReLU(negative_slope=0.1)(conv_norm(x, channels, kernel, stride))
