"""The named networks as ONNX files, converted once and kept in a cache folder."""

from collections.abc import Callable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from sfopt.convert import convert
from sfopt.examples import digits_model_path
from sfopt.output import write_file

__all__ = ["NETWORKS", "build_onnx"]

SEED = 20240


def _keras(name: str, **arguments: object) -> Callable[[], bytes]:
    def build() -> bytes:
        import keras  # noqa: PLC0415 - TensorFlow is optional and slow to load

        keras.utils.set_random_seed(SEED)
        model = getattr(keras.applications, name)(weights=None, **arguments)
        _settle_batch_norms(model)
        return convert(model)

    return build


def _settle_batch_norms(model: Any) -> None:
    """Set every BatchNormalization's statistics to those of one random batch.

    With the initial ones, activations of an untrained network die out towards the end, and comparing zeros proves little.
    """
    norms = [layer for layer in model.layers if type(layer).__name__ == "BatchNormalization"]
    for layer in norms:
        layer.momentum = 0.0
    batch = np.random.default_rng(SEED).random((4, *model.input_shape[1:]), dtype=np.float32)
    model(batch, training=True)


def _light(name: str) -> Callable[[], bytes]:
    def build() -> bytes:
        return (files("onnx") / "backend" / "test" / "data" / "light" / f"light_{name}.onnx").read_bytes()

    return build


NETWORKS: Mapping[str, Callable[[], bytes]] = {
    "digits": lambda: digits_model_path().read_bytes(),
    "light_resnet50": _light("resnet50"),
    "mobilenet_v2": _keras("MobileNetV2", input_shape=(224, 224, 3)),
    "efficientnet_b0": _keras("EfficientNetB0", input_shape=(224, 224, 3)),
    "resnet50": _keras("ResNet50", input_shape=(224, 224, 3)),
}


def build_onnx(name: str, cache: Path) -> Path:
    """The network as an ONNX file under `cache`, built if it is not there yet. KeyError names an unknown network."""
    path = cache / f"{name}.onnx"
    if not path.exists():
        write_file(path, NETWORKS[name]())
    return path
