"""EfficientDet: EfficientNet with a bidirectional feature pyramid whose sums are weighted."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any

import keras

from .layers import batch_norm, image

__all__ = ["efficientdet_d0", "efficientdet_d1"]

ANCHORS, CLASSES, LEVELS = 9, 90, 5
EPSILON = 1e-3
"""Of batch normalisation."""


@dataclass(frozen=True)
class _Size:
    """Compound scaling. Tan et al., arXiv:1911.09070, table 1."""

    backbone: str
    taps: tuple[str, str, str]
    """Layers of the backbone at 1/8, 1/16 and 1/32 of the side."""
    channels: int
    cells: int
    repeats: int
    """Convolutions in a head before its last one."""


def efficientdet_d0(side: int = 512) -> Any:
    """EfficientDet-D0 on COCO's 90 category numbers, raw outputs: classes of P3 to P7, then boxes of P3 to P7."""
    taps = ("block3b_add", "block5c_add", "block7a_project_bn")
    return _build(_Size("EfficientNetB0", taps, channels=64, cells=3, repeats=3), side)


def efficientdet_d1(side: int = 640) -> Any:
    """EfficientDet-D1, outputs as D0's."""
    taps = ("block3c_add", "block5d_add", "block7b_add")
    return _build(_Size("EfficientNetB1", taps, channels=88, cells=4, repeats=3), side)


def _build(size: _Size, side: int) -> Any:
    inputs = image(side)
    backbone = getattr(keras.applications, size.backbone)(include_top=False, weights=None, input_tensor=inputs)
    levels = [backbone.get_layer(name).output for name in size.taps]
    levels.append(_halved(_resampled(levels[-1], size.channels)))
    levels.append(_halved(levels[-1]))
    for _ in range(size.cells):
        levels = _cell(levels, size.channels)
    classes, boxes = (_head(levels, size, ANCHORS * n) for n in (CLASSES, 4))
    return keras.Model(inputs, [*classes, *boxes])


@keras.saving.register_keras_serializable("sfopt")
class WeightedSum(keras.layers.Layer):
    """Fast normalised fusion: sum of relu(w_i) / (sum of relu(w_j) + 1e-4) times input i. arXiv:1911.09070, section 3.3."""

    def build(self, shapes: Sequence[Any]) -> None:
        """One weight for each input; random, since training would make them differ."""
        # An initialiser for each: one alone would give the same number again and again.
        spread = [keras.initializers.RandomUniform(0.3, 1.0) for _ in shapes]
        self.factors = [self.add_weight(shape=(), initializer=s, name=f"factor{i}") for i, s in enumerate(spread)]

    def call(self, maps: Sequence[Any]) -> Any:
        """The weighted sum of `maps`."""
        factors = [keras.ops.relu(f) for f in self.factors]
        total = reduce(add, factors) + 1e-4
        return reduce(add, (x * (f / total) for x, f in zip(maps, factors, strict=True)))


def _cell(levels: Sequence[Any], channels: int) -> list[Any]:
    """One bidirectional pass: down the pyramid from P7 to P3, and up again."""
    down = {LEVELS - 1: _resampled(levels[-1], channels)}
    for i in range(LEVELS - 2, -1, -1):
        down[i] = _node([_resampled(levels[i], channels), keras.layers.UpSampling2D()(down[i + 1])], channels)
    up = [down[0]]
    for i in range(1, LEVELS):
        middle = [down[i]] if i < LEVELS - 1 else []
        up.append(_node([_resampled(levels[i], channels), *middle, _halved(up[-1])], channels))
    return up


def _node(maps: Sequence[Any], channels: int) -> Any:
    x = keras.layers.Activation("swish")(WeightedSum()(list(maps)))
    return batch_norm(keras.layers.SeparableConv2D(channels, 3, padding="same")(x), EPSILON)


def _resampled(x: Any, channels: int) -> Any:
    """A 1 x 1 convolution where the number of channels differs."""
    return x if x.shape[-1] == channels else batch_norm(keras.layers.Conv2D(channels, 1)(x), EPSILON)


def _halved(x: Any) -> Any:
    return keras.layers.MaxPooling2D(3, 2, "same")(x)


def _head(levels: Sequence[Any], size: _Size, outputs: int) -> list[Any]:
    """Convolutions that the levels share, with normalisation of each level's own."""
    shared = [keras.layers.SeparableConv2D(size.channels, 3, padding="same") for _ in range(size.repeats)]
    last = keras.layers.SeparableConv2D(outputs, 3, padding="same")
    results = []
    for x in levels:
        for layer in shared:
            x = keras.layers.Activation("swish")(batch_norm(layer(x), EPSILON))  # noqa: PLW2901
        results.append(last(x))
    return results
