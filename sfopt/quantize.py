"""Float ONNX -> int8 ONNX in QDQ form, with onnxruntime.quantization.

Activations int8 with a zero point, weights int8 symmetric per output channel, biases int32, ranges by minimum and maximum over the
calibration samples. Only operators that the accelerator runs are quantised: what the host runs stays float.
"""

import logging
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence, Sized
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.calibrate import CalibrationDataReader
from onnxruntime.quantization.quant_utils import compute_scale_zp

from sfopt.calibration import RANDOM_CALIBRATION_WARNING, RandomSamples, Sample, random_calibration, read_calibration
from sfopt.errors import CalibrationError, ModelError
from sfopt.fences import fence_functions, neighbours, origin
from sfopt.graph import Graph, Op, Quant
from sfopt.host import open_session, run_session
from sfopt.onnx_io import read_onnx, write_onnx
from sfopt.passes.complete_scales import complete_scales, missing_scales
from sfopt.passes.expand_qoperators import QOPERATORS
from sfopt.passes.lowering import feature_map_shape
from sfopt.passes.pointwise import TABLE_FUNCTIONS
from sfopt.passes.qdq import LAYOUT_OPS
from sfopt.passes.rewrite import number_operand

__all__ = [
    "RANDOM_CALIBRATION_WARNING",
    "RandomSamples",
    "complete",
    "is_quantized",
    "needs_calibration",
    "quantize",
    "quantized_operators",
    "random_calibration",
    "read_calibration",
]

MINIMUM_RANGE = 1e-4
"""Least range of a tensor. One that calibration saw as 0 throughout would get scale 1, zero point 0; the Relu that wrote it, which
onnxruntime.quantization drops because int8 saturates, would let negative numbers pass."""

_WARNING, _FATAL = 2, 4
"""Severities of ONNX Runtime's log; the first is its default."""

_DENSE = frozenset({"Gemm", "MatMul"})
_FEATURE_OPS = frozenset(
    {"Add", "AveragePool", "Concat", "Conv", "GlobalAveragePool", "MaxPool", "Mul", "Resize", "Sum"}
)


def is_quantized(graph: Graph) -> bool:
    """Whether any operator is in QDQ or QOperator form; such a model is lowered as it is, without calibration."""
    return any(op.op_type in QOPERATORS or op.op_type in ("DequantizeLinear", "QuantizeLinear") for op in graph.ops)


def quantize(model: bytes, calibration: Iterable[Sample], progress: Callable[[int, int], None] | None = None) -> bytes:
    """The QDQ model of float `model`. `progress` is called with (samples done, samples in all or 0 where unknown).

    Raises CalibrationError when there is no sample. A model without any operator for the accelerator comes back as it is.
    """
    original = read_onnx(model)
    fenced = fence_functions(original, quantized_operators(original))
    graph, names = fenced.graph, [n for n in quantized_operators(fenced.graph) if n not in fenced.inner]
    names += sorted(fenced.fences)
    if not names:
        return model
    watched = _watched_outputs(graph)
    with tempfile.TemporaryDirectory(prefix="sfopt-") as folder, _quiet():
        source, target = Path(folder) / "float.onnx", Path(folder) / "int8.onnx"
        source.write_bytes(model if watched is original else write_onnx(watched))
        try:
            quantize_static(
                source,
                target,
                _Reader(calibration, progress),
                quant_format=QuantFormat.QDQ,
                activation_type=QuantType.QInt8,
                weight_type=QuantType.QInt8,
                per_channel=True,
                calibrate_method=CalibrationMethod.MinMax,
                op_types_to_quantize=sorted({op.op_type for op in graph.ops if op.name in names}),
                nodes_to_quantize=names,
                extra_options={
                    "ForceQuantizeNoInputCheck": True,
                    "MinimumRealRange": MINIMUM_RANGE,
                    "TensorQuantOverrides": {**_exact_factors(graph, set(names)), **_single_scales(graph, names)},
                },
            )
        except CalibrationError:
            raise
        except Exception as error:  # noqa: BLE001 - onnxruntime raises another class for every status code
            raise ModelError(
                f"onnxruntime.quantization cannot quantise the model: {' '.join(str(error).split())}"
            ) from None
        data = target.read_bytes()
    if watched.outputs == original.outputs:
        return data
    quantised = read_onnx(data)
    return write_onnx(quantised.with_ops(quantised.ops, outputs=original.outputs))


def needs_calibration(graph: Graph) -> bool:
    """Whether quantised `graph` has a tensor whose scale neither it nor a later rounding tells."""
    return None in missing_scales(graph).values()


def complete(graph: Graph, calibration: Iterable[Sample], progress: Callable[[int, int], None] | None = None) -> Graph:
    """Quantised `graph` with a scale for every tensor that the accelerator writes, its own ones kept; see `complete_scales`.

    `calibration` is read where `needs_calibration` says so. Raises CalibrationError when there is no sample then.
    """
    missing = missing_scales(graph)
    names = [name for name, quant in missing.items() if quant is None]
    ranges = _ranges(graph, names, _Reader(calibration, progress)) if names else {}
    known = {name: quant for name, quant in missing.items() if quant is not None}
    return complete_scales(graph, known | {name: _quant(*pair) for name, pair in ranges.items()}) if missing else graph


def _ranges(graph: Graph, names: list[str], reader: "_Reader") -> dict[str, tuple[np.float32, np.float32]]:
    """Least and greatest value of each tensor over the samples."""
    session = open_session(write_onnx(graph.with_ops(graph.ops, outputs=names)))
    ranges: dict[str, tuple[np.float32, np.float32]] = {}
    while (sample := reader.get_next()) is not None:
        for name, value in run_session(session, sample).items():
            low, high = ranges.get(name, (np.float32(0), np.float32(0)))
            ranges[name] = (min(low, value.min()), max(high, value.max()))
    return ranges


def _quant(low: np.float32, high: np.float32) -> Quant:
    zero_point, scale = compute_scale_zp(low, high, np.int8(-128), np.int8(127), min_real_range=MINIMUM_RANGE)
    return Quant(np.asarray(scale, np.float32).reshape(()), int(zero_point))


def _watched_outputs(graph: Graph) -> Graph:
    """`graph` with a second reader for every network output that only a Relu or Clip reads, without outputs that are inputs.

    onnxruntime.quantization gives what a Relu alone reads the range of the Relu's result, and overlooks that it is an output.
    An output that it quantises gets another writer, which an input cannot have.
    """
    given = set(graph.inputs)
    if given.intersection(graph.outputs):
        graph = graph.with_ops(graph.ops, outputs=[n for n in graph.outputs if n not in given])
    cut = (op.inputs[0] for op in graph.ops if op.op_type in ("Clip", "Relu"))
    watched = [n for n in dict.fromkeys(cut) if n in graph.outputs and len(graph.consumers[n]) == 1]
    if not watched:
        return graph
    copies = [Op(f"{n}:watch", "Identity", (n,), (f"{n}:watch",)) for n in watched]
    tensors = [replace(graph.tensor(n), name=f"{n}:watch") for n in watched]
    outputs = (*graph.outputs, *(t.name for t in tensors))
    return graph.with_ops((*graph.ops, *copies), tensors, outputs=outputs)


def quantized_operators(graph: Graph) -> list[str]:
    """Names of the operators of float `graph` that get int8 inputs and outputs."""
    chosen = _beside_accelerator(graph, {op.name for op in graph.ops if _is_for_accelerator(graph, op)})
    between = _layouts_between(graph, chosen)
    return [op.name for op in graph.ops if op.name in chosen or op.name in between]


def _beside_accelerator(graph: Graph, chosen: set[str]) -> set[str]:
    """`chosen` without tables that only operators of the host are next to: they would round its floats for nothing."""
    tables = [op for op in graph.ops if op.name in chosen and (op.op_type in TABLE_FUNCTIONS or _factor(graph, op))]
    sources = {op.name: next(n for n in op.inputs if not graph.tensor(n).is_constant) for op in tables}
    near = {op.name: {o.name for o in neighbours(graph, sources[op.name], op.output)} for op in tables}
    joined = chosen - sources.keys() | {name for name, source in sources.items() if origin(graph, source) is None}
    while more := {name for name in sources.keys() - joined if near[name] & joined}:
        joined |= more
    return joined


def _is_for_accelerator(graph: Graph, op: Op) -> bool:
    if feature_map_shape(graph.tensor(op.output).shape) is None or graph.tensor(op.output).dtype != "float32":
        return False
    computed = [name for name in op.inputs if name and not graph.tensor(name).is_constant]
    if op.op_type in ("Conv", "ConvTranspose") or op.op_type in _DENSE:
        return len(computed) == 1 and computed[0] == op.inputs[0]
    if op.op_type == "Concat":
        (axis,) = op.ints("axis")
        return axis % len(graph.tensor(op.output).shape) == 1 and len(computed) == len(op.inputs)
    if _factor(graph, op) is not None:
        return True
    if op.op_type in ("Add", "Mul", "Sub", "Sum"):
        return len(computed) == len(op.inputs) == 2 and _fits_operands(graph, op)
    if op.op_type == "Clip":
        return _clips_around_zero(op)
    if op.op_type == "Resize":
        return op.attributes.get("mode", "nearest") == "nearest"
    return op.op_type in _FEATURE_OPS or op.op_type in TABLE_FUNCTIONS


def _fits_operands(graph: Graph, op: Op) -> bool:
    """Two maps of the result's shape, or for a product one of them and a number per channel."""
    whole = feature_map_shape(graph.tensor(op.output).shape)
    shapes = [feature_map_shape(graph.tensor(n).shape) for n in op.inputs]
    if whole is None or whole not in shapes:
        return False
    return all(s == whole or (op.op_type == "Mul" and s == (1, whole[1], 1, 1)) for s in shapes)


def _factor(graph: Graph, op: Op) -> tuple[str, float] | None:
    """(name, value) of the number, not 0, that a Mul multiplies its one computed operand by."""
    found = number_operand(graph, op, "Mul")
    if found is None or not np.float32(found[1]):
        return None
    return (op.inputs[1] if op.inputs[0] == found[0] else op.inputs[0]), found[1]


def _exact_factors(graph: Graph, names: Collection[str]) -> dict[str, list[dict[str, Any]]]:
    """Every such number as its own scale: its integer is then 1 or -1, and nothing is rounded."""
    factors = dict(f for op in graph.ops if op.name in names and (f := _factor(graph, op)) is not None)
    return {name: [{"scale": np.float32(abs(k)), "zero_point": np.int8(0)}] for name, k in factors.items()}


def _single_scales(graph: Graph, names: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """Weights of grouped transposed convolutions get one scale: an axis of theirs has the outputs of one group, a scale for each of
    these would be several groups' at once, and onnxruntime.quantization cannot match biases with them.
    """
    ops = (graph.ops_by_name[name] for name in names)
    grouped = (op for op in ops if op.op_type == "ConvTranspose" and op.ints("group") != (1,))
    return {op.inputs[1]: [{"symmetric": True}] for op in grouped}


def _clips_around_zero(op: Op) -> bool:
    """onnxruntime.quantization drops a Clip behind a quantised operator, relying on saturation; int8 ranges always hold zero."""
    low, high = op.attributes.get("min", -np.inf), op.attributes.get("max", np.inf)
    return len(op.inputs) == 1 and isinstance(low, int | float) and isinstance(high, int | float) and low <= 0 <= high


def _layouts_between(graph: Graph, chosen: set[str]) -> set[str]:
    """Layout operators on the way from one chosen operator to another: they keep the scale of their input."""

    def follows(op: Op | None) -> bool:
        while op is not None and op.op_type in LAYOUT_OPS:
            op = graph.producers.get(op.inputs[0])
        return op is not None and op.name in chosen

    def leads(op: Op) -> bool:
        readers = graph.consumers.get(op.output, ())
        return any(r.name in chosen or (r.op_type in LAYOUT_OPS and leads(r)) for r in readers)

    return {op.name for op in graph.ops if op.op_type in LAYOUT_OPS - {"Identity"} and follows(op) and leads(op)}


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    """Hands samples to the calibrator one at a time."""

    def __init__(self, samples: Iterable[Sample], progress: Callable[[int, int], None] | None) -> None:
        self._samples = iter(samples)
        self._total = len(samples) if isinstance(samples, Sized) else 0
        self._progress = progress
        self._done = 0

    def get_next(self) -> dict[str, Any] | None:
        """The next sample; None at the end."""
        if self._done and self._progress:
            self._progress(self._done, self._total)
        sample = next(self._samples, None)
        if sample is None:
            if not self._done:
                raise CalibrationError("calibration data has no samples")
            return None
        self._done += 1
        return {name: np.asarray(value) for name, value in sample.items()}


@contextmanager
def _quiet() -> Iterator[None]:
    """onnxruntime.quantization advises on the root logger to run its own optimiser first; the float passes did that."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    onnxruntime.set_default_logger_severity(_FATAL)  # what it says on standard error is in its exception too
    try:
        yield
    finally:
        root.setLevel(level)
        onnxruntime.set_default_logger_severity(_WARNING)
