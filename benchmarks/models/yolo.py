"""YOLO detectors on COCO's 80 classes, without decoding: one raw map of boxes for each scale."""

from collections.abc import Sequence
from typing import Any

import keras

from .layers import add, conv, conv_norm, image

__all__ = ["yolov3"]

ANCHORS, CLASSES = 3, 80


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
        results.append(conv(_unit(x, 2 * channels, 3), ANCHORS * (5 + CLASSES)))
    return keras.Model(inputs, results)


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
