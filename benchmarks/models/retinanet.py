"""RetinaNet: ResNet-50 with a feature pyramid and two sub-networks that all its levels share."""

from typing import Any

import keras

from .layers import add, conv, image

__all__ = ["retinanet"]

ANCHORS, CLASSES, CHANNELS = 9, 80, 256


def retinanet(side: int | tuple[int, int] = 512) -> Any:
    """RetinaNet-ResNet-50-FPN on COCO's 80 classes, raw outputs: classes of P3 to P7, then boxes of P3 to P7.

    Lin et al., arXiv:1708.02002, section 4: P6 is a strided convolution of C5, P7 of ReLU(P6); no normalisation in the heads.
    """
    inputs = image(side)
    backbone = keras.applications.ResNet50(include_top=False, weights=None, input_tensor=inputs)
    names = ("conv3_block4_out", "conv4_block6_out", "conv5_block3_out")
    levels = _pyramid(*(backbone.get_layer(name).output for name in names))
    classes, boxes = _head("class", ANCHORS * CLASSES), _head("box", ANCHORS * 4)
    return keras.Model(inputs, [head(level) for head in (classes, boxes) for level in levels])


def _pyramid(c3: Any, c4: Any, c5: Any) -> list[Any]:
    p5 = conv(c5, CHANNELS)
    p4 = add(keras.layers.UpSampling2D()(p5), conv(c4, CHANNELS))
    p3 = add(keras.layers.UpSampling2D()(p4), conv(c3, CHANNELS))
    p6 = conv(c5, CHANNELS, 3, 2)
    p7 = conv(keras.layers.ReLU()(p6), CHANNELS, 3, 2)
    return [*(conv(p, CHANNELS, 3) for p in (p3, p4, p5)), p6, p7]


def _head(name: str, outputs: int) -> Any:
    """Four convolutions and a last one, whose weights every level shares."""
    layers = [
        keras.layers.Conv2D(CHANNELS, 3, padding="same", activation="relu", kernel_initializer="he_normal")
        for _ in range(4)
    ]
    last = keras.layers.Conv2D(outputs, 3, padding="same")
    return keras.Sequential([keras.Input((None, None, CHANNELS)), *layers, last], name=name)
