"""The named networks as ONNX files, converted once and kept in a cache folder."""

import os
from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from sfopt.convert import convert
from sfopt.examples import digits_model_path
from sfopt.graph import Graph
from sfopt.onnx_io import write_onnx
from sfopt.output import write_file

from .chains import chain_resnet_onnx
from .convnext import convnext_block, convnext_tiny
from .light import LIGHT, light_onnx

__all__ = ["GRAPHS", "NETWORKS", "build_keras", "build_onnx"]

SEED = 20240


def _application(name: str, side: int, **options: Any) -> Any:
    import keras  # noqa: PLC0415 - TensorFlow is optional and slow to load

    return getattr(keras.applications, name)(weights=None, input_shape=(side, side, 3), **options)


def _own(module: str, function: str, *arguments: object, side: int) -> Any:
    """A builder of this package; it imports Keras, so it is not imported before it is needed."""
    return getattr(import_module(f".{module}", __package__), function)(*arguments, side=side)


_KERAS: Mapping[str, tuple[Callable[..., Any], int]] = {
    "densenet121": (partial(_application, "DenseNet121"), 224),
    "efficientdet_d0": (partial(_own, "efficientdet", "efficientdet_d0"), 512),
    "efficientdet_d1": (partial(_own, "efficientdet", "efficientdet_d1"), 640),
    "efficientnet_b0": (partial(_application, "EfficientNetB0"), 224),
    "efficientnet_b1": (partial(_application, "EfficientNetB1"), 256),
    "efficientnet_b2": (partial(_application, "EfficientNetB2"), 260),
    "efficientnet_b3": (partial(_application, "EfficientNetB3"), 300),
    "efficientnet_b4": (partial(_application, "EfficientNetB4"), 380),
    "efficientnet_b5": (partial(_application, "EfficientNetB5"), 456),
    "efficientnet_b6": (partial(_application, "EfficientNetB6"), 528),
    "efficientnet_b7": (partial(_application, "EfficientNetB7"), 600),
    "inception_v3": (partial(_application, "InceptionV3"), 299),
    "mobilenet_v1": (partial(_application, "MobileNet"), 224),
    "mobilenet_v2": (partial(_application, "MobileNetV2"), 224),
    "mobilenet_v2_035": (partial(_application, "MobileNetV2", alpha=0.35), 96),
    "mobilenet_v3_large": (partial(_application, "MobileNetV3Large"), 224),
    "mobilenet_v3_small": (partial(_application, "MobileNetV3Small"), 224),
    "resnet18": (partial(_own, "classifiers", "resnet", (2, 2, 2, 2)), 224),
    "resnet20": (partial(_own, "classifiers", "resnet_cifar", 3), 32),
    "resnet34": (partial(_own, "classifiers", "resnet", (3, 4, 6, 3)), 224),
    "resnet50": (partial(_application, "ResNet50"), 224),
    "resnet50_v2": (partial(_application, "ResNet50V2"), 224),
    "resnet101": (partial(_application, "ResNet101"), 224),
    "resnet152": (partial(_application, "ResNet152"), 224),
    "retinanet": (partial(_own, "retinanet", "retinanet"), 512),
    "shufflenet_v2": (partial(_own, "classifiers", "shufflenet_v2"), 224),
    "squeezenet": (partial(_own, "classifiers", "squeezenet"), 224),
    "unet": (partial(_own, "unet", "unet"), 256),
    "vgg16": (partial(_application, "VGG16"), 224),
    "yolov2": (partial(_own, "yolo", "yolov2"), 416),
    "yolov3": (partial(_own, "yolo", "yolov3"), 416),
    "yolov3_tiny": (partial(_own, "yolo", "yolov3_tiny"), 416),
}
"""Builder and the side of its input that the benchmarks use."""

GRAPHS: Mapping[str, Callable[[], Graph]] = {"convnext_block": convnext_block, "convnext_tiny": convnext_tiny}
"""Networks that no framework here exports: built from ONNX operators."""


def build_keras(name: str, side: int | tuple[int, int] | None = None) -> Any:
    """The Keras model, weights as its layers initialise them, seeded. KeyError names a network that Keras does not build."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras  # noqa: PLC0415 - as above

    keras.utils.set_random_seed(SEED)
    build, usual = _KERAS[name]
    return build(side=usual if side is None else side)


def _converted(name: str) -> bytes:
    model = build_keras(name)
    _settle_batch_norms(model)
    return convert(model)


def _settle_batch_norms(model: Any) -> None:
    """Set every BatchNormalization's statistics to those of one random batch.

    With the initial ones, activations of an untrained network die out towards the end, and comparing zeros proves little.
    """
    import tensorflow as tf  # noqa: PLC0415 - as above

    norms = [layer for layer in model.layers if type(layer).__name__ == "BatchNormalization"]
    if not norms:
        return
    for layer in norms:
        layer.momentum = 0.0
    batch = np.random.default_rng(SEED).random((4, *model.input_shape[1:]), dtype=np.float32)
    # As one graph, which forgets a map after its last reader; called layer by layer, Keras holds them all.
    tf.function(lambda x: model(x, training=True))(batch)


def _written(build: Callable[[], Graph]) -> bytes:
    return write_onnx(build())


NETWORKS: Mapping[str, Callable[[], bytes]] = {
    "digits": lambda: digits_model_path().read_bytes(),
    **{f"light_{name}": partial(light_onnx, name, SEED) for name in LIGHT},
    **{name: partial(_converted, name) for name in _KERAS},
    **{name: partial(_written, build) for name, build in GRAPHS.items()},
    **{f"chain_{groups}": partial(chain_resnet_onnx, groups) for groups in (300, 600, 1200)},
}


def build_onnx(name: str, cache: Path) -> Path:
    """The network as an ONNX file under `cache`, built if it is not there yet. KeyError names an unknown network."""
    path = cache / f"{name}.onnx"
    if not path.exists():
        write_file(path, NETWORKS[name]())
    return path
