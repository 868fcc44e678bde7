"""How far the int8 network is from the model that the user gave: reported, never judged."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sfopt.errors import ModelError, UsageError
from sfopt.graph import Graph
from sfopt.host import run_session
from sfopt.importer import Imported

__all__ = ["Deviation", "deviation", "source_feeds", "source_outputs"]

Arrays = Mapping[str, npt.NDArray[np.generic]]


@dataclass(frozen=True)
class Deviation:
    """Difference of the first output from the original model's on one sample. `sqnr_db` is inf where they are equal.

    `error` says why there is nothing to compare (an opset that ONNX Runtime does not know yet); the figures are then None.
    """

    output: str
    max_abs_diff: float | None = None
    sqnr_db: float | None = None
    same_top1: bool | None = None
    error: str | None = None


def deviation(imported: Imported, feeds: Arrays, outputs: Arrays) -> Deviation:
    """Run the original model in ONNX Runtime on the same sample and compare the first output, both as the model has it.

    `feeds` and `outputs` are in graph layout.
    """
    name = imported.network.graph.outputs[0]
    try:
        want = source_outputs(imported, feeds)[name].astype(np.float64)
    except (ModelError, UsageError) as error:
        return Deviation(name, error=str(error))
    got = _to_layout(outputs[name], imported.normalised.output_layouts.get(name)).astype(np.float64)
    if got.shape != want.shape:
        return Deviation(name, error=f"its output `{name}` has shape {want.shape}, ours {got.shape}")
    noise = float(np.sum((want - got) ** 2))
    signal = float(np.sum(want**2))
    sqnr = float("inf") if noise == 0 else float(10 * np.log10(max(signal, np.finfo(np.float64).tiny) / noise))
    return Deviation(name, float(np.abs(want - got).max()), sqnr, bool(want.argmax() == got.argmax()))


def source_feeds(graph: Graph, feeds: Arrays) -> dict[str, npt.NDArray[np.generic]]:
    """Feeds in the layout of the model file: import turns NHWC inputs into NCHW, this turns them back."""
    return {name: _to_layout(value, graph.input_layouts.get(name)) for name, value in feeds.items()}


def source_outputs(imported: Imported, feeds: Arrays) -> dict[str, npt.NDArray[np.generic]]:
    """What the original model computes on feeds given in graph layout."""
    return run_session(imported.source_session, source_feeds(imported.normalised, feeds))


def _to_layout(value: npt.NDArray[np.generic], layout: str | None) -> npt.NDArray[np.generic]:
    return np.ascontiguousarray(np.moveaxis(value, 1, -1)) if layout == "NHWC" else value
