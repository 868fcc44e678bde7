"""Running float operators, and whole models, with ONNX Runtime on the host."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime

from sfopt.errors import ModelError, UsageError
from sfopt.graph import Graph, Op
from sfopt.onnx_io import write_onnx

__all__ = ["open_session", "run_host_ops", "run_model", "run_session"]

Arrays = Mapping[str, npt.NDArray[np.generic]]


def open_session(model: bytes | Path) -> onnxruntime.InferenceSession:
    """A session on the rules of the integer contract: no graph optimisation, exact int8 products.

    A model with external data needs its path, so that they are found beside it.
    """
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.add_session_config_entry("session.x64quantprecision", "1")
    options.log_severity_level = 3
    source = str(model) if isinstance(model, Path) else model
    try:
        return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # noqa: BLE001 - onnxruntime raises another class for every status code
        raise ModelError(f"ONNX Runtime refuses the model: {_one_line(error)}") from None


def run_session(
    session: onnxruntime.InferenceSession, feeds: Arrays, outputs: Sequence[str] | None = None
) -> dict[str, npt.NDArray[np.generic]]:
    """Outputs (all of them by default) by name. Raises UsageError when feeds do not fit."""
    names = [o.name for o in session.get_outputs()] if outputs is None else list(outputs)
    wanted = [i.name for i in session.get_inputs()]
    missing = [name for name in wanted if name not in feeds]
    if missing:
        raise UsageError(f"input `{missing[0]}` was not given; given: {', '.join(sorted(feeds)) or 'none'}")
    try:
        values = session.run(names, {name: np.asarray(feeds[name]) for name in wanted})
    except Exception as error:  # noqa: BLE001 - as above
        raise UsageError(f"ONNX Runtime cannot run the model on this input: {_one_line(error)}") from None
    return dict(zip(names, values, strict=True))


def run_model(model: bytes, feeds: Arrays, outputs: Sequence[str] | None = None) -> dict[str, npt.NDArray[np.generic]]:
    """`run_session` in a session for this one run."""
    return run_session(open_session(model), feeds, outputs)


def run_host_ops(graph: Graph, ops: Sequence[Op], feeds: Arrays) -> dict[str, npt.NDArray[np.generic]]:
    """Run `ops` of `graph` on `feeds` (graph inputs or results of earlier parts); every tensor that they write, by name."""
    written = [name for op in ops for name in op.outputs if name]
    inner = set(written)
    read = dict.fromkeys(n for op in ops for n in op.inputs if n and n not in inner and not graph.tensor(n).is_constant)
    part = graph.with_ops(ops, inputs=tuple(read), outputs=tuple(written))
    return run_session(_host_session(write_onnx(part, None)), feeds, written)


@lru_cache(maxsize=8)
def _host_session(model: bytes) -> onnxruntime.InferenceSession:
    """Kept open: the same few host operators run for every sample."""
    return open_session(model)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
