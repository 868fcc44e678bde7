"""Quantised models that leave some tensors unrounded: which get a scale, from where, and what stays as the model has it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from models import random_inputs
from quantised_models import QdqBuilder

import sfopt_ort
from sfopt.errors import CalibrationError
from sfopt.graph import Graph, verify_graph
from sfopt.host import run_model
from sfopt.importer import import_model
from sfopt.onnx_io import read_onnx, write_onnx
from sfopt.passes import lower_quantized, run_passes
from sfopt.passes.complete_scales import complete_scales, missing_scales
from sfopt.quantize import RANDOM_CALIBRATION_WARNING, complete, needs_calibration

PADS = {"pads": [1, 1, 1, 1]}


def operands_only() -> bytes:
    """A residual network whose convolutions and dense layer read rounded tensors, and nothing else does: as TensorRT wants it."""
    b = QdqBuilder()
    x = b.rounded(b.input((1, 3, 16, 16)), 0.01)
    x = b.add("Relu", b.add("Conv", x, b.weights((8, 3, 3, 3), 0.004), b.random_constant(8), **PADS, outputs=["stem"]))
    pool = b.add("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2], outputs=["pool"])
    shortcut = b.rounded(pool, 0.011)
    y = b.add("Conv", shortcut, b.weights((8, 8, 3, 3), 0.002), b.random_constant(8), **PADS, outputs=["second"])
    y = b.add("HardSwish", y, outputs=["swish"])
    y = b.rounded(b.add("Relu", b.add("Add", y, shortcut, outputs=["sum"]), outputs=["joined"]), 0.013)
    y = b.rounded(b.add("Flatten", b.add("GlobalAveragePool", y, outputs=["mean"])), 0.008)
    return b.model(b.add("Gemm", y, b.weights((10, 8), 0.008), b.random_constant(10), transB=1, outputs=["logits"]))


def normalised(model: bytes) -> Graph:
    return run_passes(read_onnx(model))


def samples(graph: Graph, count: int = 6) -> list[dict[str, np.ndarray]]:
    return [random_inputs(graph, seed) for seed in range(count)]


def test_what_lacks_a_scale_and_where_it_comes_from() -> None:
    graph = normalised(operands_only())
    missing = missing_scales(graph)
    relu = next(op.output for op in graph.ops if op.op_type == "Relu" and op.inputs[0] == "stem")
    assert list(missing) == [relu, "second", "swish", "logits"]
    behind = missing[relu]
    assert behind is not None, "MaxPool picks, so the scale behind it is as good in front of it"
    assert (float(behind.scale), behind.zero_point) == (float(np.float32(0.011)), 0)
    assert [missing[n] for n in ("second", "swish", "logits")] == [None] * 3
    assert needs_calibration(graph)


def test_completed_model_runs_in_int8_with_its_own_scales_kept() -> None:
    model = operands_only()
    graph = normalised(model)
    completed = complete(graph, samples(graph))
    verify_graph(completed)
    assert not missing_scales(completed)
    lowered = lower_quantized(completed)
    host = [op.op_type for op in lowered.ops if not lowered.is_integer(op)]
    assert sorted(set(host)) == ["DequantizeLinear", "QuantizeLinear", "Reshape"]
    assert host.count("QuantizeLinear") == host.count("DequantizeLinear") == 1
    scales = {op.output: float(lowered.tensor(op.output).quant.scale) for op in lowered.ops if lowered.is_integer(op)}
    given = {"pool:q": 0.011, "joined:q": 0.013}
    assert {n: scales[n] for n in given} == {n: float(np.float32(s)) for n, s in given.items()}
    feeds = random_inputs(graph)
    want, got = run_model(model, feeds)["logits"], sfopt_ort.run(lowered, feeds, ["logits"])["logits"]
    noise = np.sum((want - got) ** 2) / np.sum(want**2)
    assert noise < 1e-3
    assert len(np.unique(got)) >= 8


def test_ranges_are_those_of_the_samples() -> None:
    graph = normalised(operands_only())
    feeds = samples(graph)
    completed = complete(graph, feeds)
    probe = write_onnx(graph.with_ops(graph.ops, outputs=["second"]))
    values = np.concatenate([run_model(probe, f)["second"] for f in feeds])
    (quantize,) = (op for op in completed.ops if op.op_type == "QuantizeLinear" and op.inputs[0] == "second")
    scale = completed.tensor(quantize.inputs[1]).data
    assert scale == pytest.approx((values.max() - values.min()) / 255, rel=1e-6)
    zero_point = int(completed.tensor(quantize.inputs[2]).data)
    assert -128 - values.min() / scale == pytest.approx(zero_point, abs=0.5)


def test_a_network_output_keeps_its_name_and_its_float_type() -> None:
    graph = normalised(operands_only())
    completed = complete(graph, samples(graph))
    assert completed.outputs == ("logits",)
    assert completed.tensor("logits").dtype == "float32"
    assert completed.producers["logits"].op_type == "DequantizeLinear"


def test_a_model_that_lacks_nothing_is_left_alone() -> None:
    b = QdqBuilder()
    x = b.rounded(b.input((1, 3, 8, 8)), 0.01)
    y = b.add("Relu", b.add("Conv", x, b.weights((4, 3, 3, 3)), **PADS))
    graph = normalised(b.model(b.add("Softmax", b.rounded(y, 0.02))))
    assert not missing_scales(graph)
    assert complete(graph, []) is graph


def test_what_was_left_in_float_on_purpose_stays() -> None:
    b = QdqBuilder()
    x = b.rounded(b.input((1, 3, 8, 8)), 0.01)
    y = b.add("Conv", x, b.random_constant(4, 3, 3, 3), **PADS)
    y = b.rounded(b.add("Relu", y), 0.02)
    z = b.add("Mul", b.add("Sigmoid", y), b.constant(2.0))
    assert not missing_scales(normalised(b.model(z)))


def test_a_layout_between_product_and_rounding_is_looked_through() -> None:
    b = QdqBuilder()
    x = b.rounded(b.input((1, 6)), 0.01)
    y = b.add("MatMul", x, b.weights((6, 4), 0.01))
    y = b.add("Reshape", y, b.constant([1, 4, 1, 1], "int64"))
    y = b.add("Relu", b.add("Add", y, b.random_constant(1, 4, 1, 1)))
    assert not missing_scales(normalised(b.model(b.rounded(y, 0.01))))


def silu(b: QdqBuilder, x: str) -> str:
    return b.add("Mul", x, b.add("Sigmoid", x), outputs=["activated"])


def soft_gate(b: QdqBuilder, x: str) -> str:
    clipped = b.add("Clip", b.add("Add", x, b.constant(3.0)), b.constant(0.0), b.constant(6.0))
    return b.add("Div", b.add("Sub", clipped, b.constant(1.0)), b.constant(7.0), outputs=["activated"])


@pytest.mark.parametrize("activation", [silu, soft_gate])
@pytest.mark.parametrize("rounded", [True, False])
def test_a_function_of_several_operators_is_rounded_once(
    activation: Callable[[QdqBuilder, str], str], rounded: bool
) -> None:
    b = QdqBuilder()
    x = b.rounded(b.input((1, 4, 8, 8)), 0.01)
    y = activation(b, b.add("Conv", x, b.weights((4, 4, 3, 3)), **PADS, outputs=["y"]))
    if rounded:
        y = b.rounded(y, 0.02)
    graph = normalised(b.model(b.rounded(b.add("Add", y, x), 0.02)))
    assert list(missing_scales(graph)) == (["y"] if rounded else ["y", "activated"])
    lowered = lower_quantized(complete(graph, samples(graph)))
    kinds = [op.op_type for op in lowered.ops if lowered.is_integer(op)]
    assert kinds == ["QLinearConv", "Lookup", "QLinearAdd"]


def test_a_transposed_convolution_is_completed_too() -> None:
    b = QdqBuilder()
    x = b.rounded(b.input((1, 3, 8, 8)), 0.01)
    y = b.add("ConvTranspose", x, b.weights((3, 4, 2, 2)), strides=[2, 2], outputs=["y"])
    graph = normalised(b.model(y))
    assert list(missing_scales(graph)) == ["y"]
    lowered = lower_quantized(complete(graph, samples(graph)))
    assert [op.op_type for op in lowered.ops if lowered.is_integer(op)] == ["QLinearConvTranspose"]


def test_unsigned_scales_behind_a_pool_are_shifted() -> None:
    from onnx import TensorProto

    b = QdqBuilder()
    x = b.rounded(b.input((1, 3, 8, 8)), 0.01, 128, TensorProto.UINT8)
    y = b.add("Conv", x, b.weights((4, 3, 3, 3)), **PADS, outputs=["y"])
    y = b.add("MaxPool", y, kernel_shape=[2, 2], strides=[2, 2])
    graph = normalised(b.model(b.rounded(y, 0.02, 100, TensorProto.UINT8)))
    assert missing_scales(graph)["y"].zero_point == -28
    lowered = lower_quantized(complete(graph, []))
    assert [op.op_type for op in lowered.ops if lowered.is_integer(op)] == ["QLinearConv", "MaxPool"]


def test_completing_needs_samples_only_where_a_scale_is_unknown() -> None:
    with pytest.raises(CalibrationError, match="no samples"):
        complete(normalised(operands_only()), [])


def test_import_calibrates_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "operands.onnx"
    path.write_bytes(operands_only())
    done: list[int] = []
    imported = import_model(path, on_calibration=lambda n, _: done.append(n))
    assert imported.warnings == (RANDOM_CALIBRATION_WARNING,)
    assert done[-1] == 16
    notes = [note.split(":")[0] for note in imported.network.graph.notes]
    assert {"`second`", "`swish`", "`logits`"} <= set(notes)
    graph = normalised(operands_only())
    with_samples = import_model(path, samples(graph))
    assert with_samples.warnings == ()
    assert with_samples.sample is not None


def test_completion_takes_the_scales_that_it_is_given() -> None:
    graph = normalised(operands_only())
    quants = {name: quant for name, quant in missing_scales(graph).items() if quant is not None}
    (name,) = quants
    completed = complete_scales(graph, quants)
    assert (
        completed.notes[-1] == f"`{name}`: the model gives it no scale; it is rounded to int8 with 0.010999999940395355"
    )
    feeds = random_inputs(graph)
    before, after = (run_model(write_onnx(g), feeds)["logits"] for g in (graph, completed))
    np.testing.assert_array_equal(before, after)
