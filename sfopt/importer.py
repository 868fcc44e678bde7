"""From a file to a grouped int8 network: convert, read, normalise, quantise, lower, group."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime

from sfopt import quantize
from sfopt.convert import convert, is_convertible
from sfopt.errors import ModelError
from sfopt.graph import Graph
from sfopt.grouping import build_network
from sfopt.groups import Network
from sfopt.host import open_session
from sfopt.onnx_io import read_onnx, write_onnx
from sfopt.passes import lower_quantized, run_passes
from sfopt.passes.refuse_formats import refuse_formats

__all__ = ["CALIBRATION_LIMIT", "RANDOM_SAMPLES", "Calibration", "Imported", "import_model"]

Sample = Mapping[str, npt.NDArray[np.generic]]
Calibration = str | Path | Sequence[Sample] | None
"""A `.npz` file or folder of images, samples in graph layout, or None for seeded random samples."""

CALIBRATION_LIMIT = 256
"""How many samples are read from `--calibration` at most."""

RANDOM_SAMPLES = 16
"""How many random samples stand in for it."""


@dataclass(frozen=True, eq=False)
class Imported:
    """A model ready to plan. `original` is the model as ONNX before any change of ours (a path where it is a file already),
    `normalised` after the float passes.
    """

    name: str
    sha256: str
    original: bytes | Path
    normalised: Graph
    network: Network
    warnings: tuple[str, ...]
    sample: Sample | None
    """The first calibration sample, in the layout of `normalised`; None where calibration was random or not needed."""

    @cached_property
    def source_session(self) -> onnxruntime.InferenceSession:
        """The original model in ONNX Runtime."""
        return open_session(self.original)


def import_model(
    path: str | Path,
    calibration: Calibration = None,
    *,
    seed: int = 0,
    on_calibration: Callable[[int, int], None] | None = None,
) -> Imported:
    """Read any supported model. Raises ModelError or CalibrationError with one line that names the file, tensor or operator."""
    path = Path(path)
    if not path.exists():
        raise ModelError(f"model `{path}` does not exist")
    converted = convert(path) if is_convertible(path) else None
    normalised = run_passes(refuse_formats(read_onnx(path if converted is None else converted)))
    if converted is not None:
        normalised = replace(normalised, notes=("converted from TensorFlow, with batch 1", *normalised.notes))
    original = path if converted is None else converted
    warnings, sample = tuple[str, ...](), None
    if quantize.is_quantized(normalised):
        samples: Iterable[Sample] = ()
        if quantize.needs_calibration(normalised):
            samples, warnings = _samples(normalised, calibration, seed)
            sample = None if calibration is None else next(iter(samples))
        lowered = lower_quantized(quantize.complete(normalised, samples, on_calibration))
    else:
        samples, warnings = _samples(normalised, calibration, seed)
        sample = None if calibration is None else next(iter(samples))
        quantised = quantize.quantize(write_onnx(normalised), samples, on_calibration)
        lowered = lower_quantized(read_onnx(quantised))
    digest = hashlib.sha256(path.read_bytes() if converted is None else converted).hexdigest()
    return Imported(path.name, digest, original, normalised, build_network(lowered), warnings, sample)


def _samples(graph: Graph, calibration: Calibration, seed: int) -> tuple[Iterable[Sample], tuple[str, ...]]:
    """Samples to calibrate with, and what the user should know about them."""
    if calibration is None:
        return quantize.RandomSamples(graph, seed, RANDOM_SAMPLES), (quantize.RANDOM_CALIBRATION_WARNING,)
    if not isinstance(calibration, str | Path):
        return calibration, ()
    samples = list(quantize.read_calibration(Path(calibration), graph, CALIBRATION_LIMIT + 1))
    if len(samples) <= CALIBRATION_LIMIT:
        return samples, ()
    return samples[:CALIBRATION_LIMIT], (f"only the first {CALIBRATION_LIMIT} samples of `{calibration}` are used",)
