"""The network and the images that ship with sfopt: a small residual classifier of 8x8 digits.

`examples/train_digits.py` in the source tree made both files; `examples/README.md` there says what it measured.
"""

from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
import numpy.typing as npt

__all__ = ["Digits", "digits_data", "digits_model_path"]


@dataclass(frozen=True)
class Digits:
    """Images as the model takes them, float32 of shape (N, 8, 8, 1) in 0..1, and what they show."""

    images: npt.NDArray[np.float32]
    """The 360 images that training did not see."""
    labels: npt.NDArray[np.int64]
    """The digit on each of `images`."""
    calibration: npt.NDArray[np.float32]
    """100 of the training images, for calibration."""


def _path(name: str) -> Path:
    return Path(str(resources.files(__name__) / name))


def digits_model_path() -> Path:
    """Path of `digits.onnx`: float32, input `image` (N, 8, 8, 1), output `probabilities` (N, 10), N left open."""
    return _path("digits.onnx")


def digits_data() -> Digits:
    """The test and calibration images of the digits model."""
    with np.load(_path("digits.npz")) as arrays:
        return Digits(images=arrays["images"], labels=arrays["labels"], calibration=arrays["calibration"])
