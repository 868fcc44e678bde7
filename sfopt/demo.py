"""The embedded network through the whole flow, and its accuracy at each stage."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sfopt.backend import Compiled
from sfopt.device import Device
from sfopt.examples import digits_data, digits_model_path
from sfopt.execute import run_network
from sfopt.pipeline import Options, Progress, Result, SolverProgress, optimize
from sfopt.source import source_outputs

__all__ = ["Outcome", "run"]

CALIBRATION_IMAGES = 16

Floats = npt.NDArray[np.float32]
Feeds = dict[str, npt.NDArray[np.generic]]


@dataclass(frozen=True, eq=False)
class Outcome:
    """The flow's result; accuracies are shares of the test images classified as labelled."""

    result: Result
    float_accuracy: float
    int8_accuracy: float
    simulated_accuracy: float
    images: int
    simulated_images: int

    @property
    def lines(self) -> list[str]:
        """Three lines to print."""
        held_out = f"ONNX Runtime, {self.images} held-out images"
        backend, device = self.result.options.backend, self.result.options.device.name
        return [
            f"accuracy  float {100 * self.float_accuracy:.2f} % ({held_out})",
            f"accuracy  int8  {100 * self.int8_accuracy:.2f} % ({held_out})",
            f"accuracy  {backend} {100 * self.simulated_accuracy:.2f} % ({self.simulated_images} of them, {device}'s program)",
        ]


def run(device: Device, simulated_images: int, progress: Progress, on_solve: SolverProgress | None = None) -> Outcome:
    """Optimise the digits network for `device`, then classify the held-out digits: all in float and int8, some on the backend."""
    data = digits_data()
    samples = tuple(_feeds(image) for image in data.calibration[:CALIBRATION_IMAGES])
    result = optimize(digits_model_path(), Options(device, calibration=samples), progress, on_solve)
    chosen = data.images[:simulated_images]
    labels = data.labels

    def accuracy(stage: str, images: Floats, classify: Callable[[Feeds], int]) -> float:
        hits = 0
        for index, image in enumerate(images):
            progress(stage, index, len(images))
            hits += classify(_feeds(image)) == labels[index]
        return hits / len(images)

    return Outcome(
        result,
        accuracy("classify in float", data.images, lambda feeds: _top(source_outputs(result.imported, feeds))),
        accuracy("classify in int8", data.images, lambda feeds: _classify(result, result.reference, feeds)),
        accuracy("classify on the backend", chosen, lambda feeds: _classify(result, result.compiled, feeds)),
        len(data.images),
        len(chosen),
    )


def _classify(result: Result, compiled: Compiled, feeds: Feeds) -> int:
    return _top(run_network(result.imported.network, compiled, feeds)[1])


def _feeds(image: Floats) -> Feeds:
    """(8, 8, 1) as the file has it -> the graph's (1, 1, 8, 8)."""
    return {"image": image.transpose(2, 0, 1)[np.newaxis]}


def _top(outputs: Feeds) -> int:
    return int(next(iter(outputs.values())).argmax())
