"""Calibration samples: from a `.npz` file, from a folder of images, or seeded random numbers.

A sample maps input names to arrays of the input's own shape (batch 1, channels first).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, is_zipfile

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from sfopt.errors import CalibrationError
from sfopt.graph import Graph, Tensor

__all__ = [
    "IMAGE_SUFFIXES",
    "RANDOM_CALIBRATION_WARNING",
    "RandomSamples",
    "Sample",
    "random_calibration",
    "read_calibration",
]

Sample = Mapping[str, npt.NDArray[np.generic]]

RANDOM_CALIBRATION_WARNING = (
    "no calibration data: int8 scales come from random inputs in [0, 1) and the network's accuracy means nothing; "
    "traffic, SRAM and cycles do not depend on it. Give --calibration DATA.npz or a folder of images"
)
IMAGE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})


def read_calibration(path: Path, graph: Graph, limit: int) -> Iterator[Sample]:
    """At most `limit` samples from `path`. Raises CalibrationError naming the file, the array, the shape needed and the one got.

    `.npz`: one array per input, keyed by its name; a network of one input takes a lone array of any key. The first axis counts
    samples, the rest is (C, H, W) or (H, W, C). Folder: image files in name order, resized (bilinear) to the input, as RGB or
    grey by its channels, and scaled to [0, 1]; for any other scaling use `.npz`.
    """
    if path.is_dir():
        return _read_images(path, graph, limit)
    if not path.exists():
        raise CalibrationError(f"calibration data `{path}` does not exist")
    if path.suffix != ".npz":
        raise CalibrationError(f"calibration data `{path}` is neither a .npz file nor a folder of images")
    return _read_npz(path, graph, limit)


@dataclass(frozen=True)
class RandomSamples:
    """`random_calibration` once more for each iteration: no two samples are held at a time."""

    graph: Graph
    seed: int
    samples: int

    def __len__(self) -> int:
        return self.samples

    def __iter__(self) -> Iterator[Sample]:
        return random_calibration(self.graph, self.seed, self.samples)


def random_calibration(graph: Graph, seed: int, samples: int) -> Iterator[Sample]:
    """`samples` seeded samples, uniform in [0, 1); integer inputs get 0 or 1."""
    rng = np.random.default_rng(seed)
    for _ in range(samples):
        yield {name: _random(graph.tensor(name), rng) for name in graph.inputs}


def _random(tensor: Tensor, rng: np.random.Generator) -> npt.NDArray[np.generic]:
    dtype = np.dtype(tensor.dtype)
    values = rng.random(tensor.shape) if dtype.kind == "f" else rng.integers(0, 2, tensor.shape)
    return values.astype(dtype)


def _read_npz(path: Path, graph: Graph, limit: int) -> Iterator[Sample]:
    if not is_zipfile(path):
        raise CalibrationError(f"calibration data `{path}` is no .npz file")
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in archive.files}
    except (OSError, ValueError, BadZipFile) as error:
        raise CalibrationError(f"calibration data `{path}` is no readable .npz file: {error}") from None
    if len(graph.inputs) == 1 and len(arrays) == 1:
        arrays = {graph.inputs[0]: next(iter(arrays.values()))}
    missing = [name for name in graph.inputs if name not in arrays]
    if missing:
        found = ", ".join(sorted(arrays)) or "none"
        raise CalibrationError(f"calibration data `{path}` has no array for input `{missing[0]}`; arrays: {found}")
    ready = {name: _arranged(path, graph, name, arrays[name]) for name in graph.inputs}
    counts = {name: len(array) for name, array in ready.items()}
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"`{name}` {count}" for name, count in counts.items())
        raise CalibrationError(f"calibration data `{path}` has different numbers of samples: {listed}")
    return ({name: array[i : i + 1] for name, array in ready.items()} for i in range(min(limit, *counts.values())))


def _arranged(path: Path, graph: Graph, name: str, array: npt.NDArray[Any]) -> npt.NDArray[np.generic]:
    """`array` with one sample per row, channels first, in the dtype of input `name`."""
    tensor = graph.tensor(name)
    needed, got = tensor.shape[1:], array.shape[1:]
    last = (*needed[1:], needed[0]) if len(needed) > 1 else needed
    if got not in (needed, last):
        choices = f"(samples, {_text(needed)})" + (f" or (samples, {_text(last)})" if last != needed else "")
        raise CalibrationError(
            f"calibration data `{path}`, array for input `{name}`: shape {array.shape}, needs {choices}"
        )
    if not len(array):
        raise CalibrationError(f"calibration data `{path}`, array for input `{name}`: no samples")
    if array.dtype.kind not in "fiub" or not np.isfinite(array).all():
        what = "NaN or infinity" if array.dtype.kind == "f" else f"dtype {array.dtype}"
        raise CalibrationError(f"calibration data `{path}`, array for input `{name}`: {what}, needs finite numbers")
    if got == last != needed or (got == last and graph.input_layouts.get(name) == "NHWC"):
        array = np.moveaxis(array, -1, 1)
    return np.ascontiguousarray(array, np.dtype(tensor.dtype))


def _text(shape: tuple[int, ...]) -> str:
    return ", ".join(map(str, shape))


def _read_images(path: Path, graph: Graph, limit: int) -> Iterator[Sample]:
    if len(graph.inputs) != 1 or len(graph.tensor(graph.inputs[0]).shape) != 4:
        raise CalibrationError(f"calibration folder `{path}`: needs a network with one image input; use a .npz file")
    name = graph.inputs[0]
    _, channels, height, width = graph.tensor(name).shape
    if channels not in (1, 3):
        raise CalibrationError(
            f"calibration folder `{path}`: input `{name}` has {channels} channels, images have 1 or 3; use .npz"
        )
    files = sorted(f for f in path.iterdir() if f.suffix.lower() in IMAGE_SUFFIXES)[:limit]
    if not files:
        raise CalibrationError(f"calibration folder `{path}` has no image files ({', '.join(sorted(IMAGE_SUFFIXES))})")

    def load(file: Path) -> npt.NDArray[np.float32]:
        try:
            with Image.open(file) as image:
                resized = image.convert("RGB" if channels == 3 else "L").resize(
                    (width, height), Image.Resampling.BILINEAR
                )
        except (UnidentifiedImageError, OSError) as error:
            raise CalibrationError(f"calibration image `{file}` is unreadable: {error}") from None
        pixels = np.asarray(resized, np.float32).reshape(height, width, channels) / np.float32(255)
        return np.ascontiguousarray(np.moveaxis(pixels, -1, 0)[None])

    return ({name: load(file)} for file in files)
