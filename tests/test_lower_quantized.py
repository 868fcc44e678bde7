"""Models in QDQ and QOperator form against the int8 model that is written from their integer graph."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import models
import numpy as np
import pytest
from float_networks import PATTERNS, FloatBuilder, samples
from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.calibrate import CalibrationDataReader

import sfopt_ort
from sfopt.errors import ModelError
from sfopt.graph import Graph, Op, Quant, Tensor, verify_graph
from sfopt.host import run_model
from sfopt.onnx_io import read_onnx, write_onnx
from sfopt.passes import lower_quantized
from sfopt.passes.qdq import Draft
from sfopt.quantize import quantize

HOST = {"DequantizeLinear", "QuantizeLinear", "Reshape", "Softmax"}


class _Reader(CalibrationDataReader):
    def __init__(self, graph: Graph) -> None:
        self.samples = iter(samples(graph))

    def get_next(self) -> Mapping[str, np.ndarray] | None:
        return next(self.samples, None)


def qoperator(
    graph: Graph,
    folder: Path,
    activation: QuantType = QuantType.QInt8,
    weight: QuantType = QuantType.QInt8,
    per_channel: bool = True,
) -> Graph:
    """`graph` in QOperator form, as onnxruntime.quantization writes it."""
    source, target = folder / "float.onnx", folder / "qoperator.onnx"
    write_onnx(graph, source)
    quantize_static(
        source,
        target,
        _Reader(graph),
        QuantFormat.QOperator,
        per_channel=per_channel,
        activation_type=activation,
        weight_type=weight,
    )
    return read_onnx(target)


def run_float_graph(graph: Graph, outputs: list[str]) -> dict[str, np.ndarray]:
    return run_model(write_onnx(graph.with_ops(graph.ops, outputs=outputs)), samples(graph)[0], outputs)


def shared_integers(source: Graph, lowered: Graph) -> list[str]:
    return [op.output for op in lowered.ops if lowered.is_integer(op) and op.output in source.tensors]


def require_bit_equal(source: Graph, lowered: Graph, *, least: int) -> None:
    """Every int8 tensor that both graphs have is the same; uint8 is int8 shifted by 128."""
    names = shared_integers(source, lowered)
    assert len(names) >= least
    want, got = run_float_graph(source, names), sfopt_ort.run(lowered, samples(source)[0])
    for name in names:
        integers = want[name].astype(np.int16) - (128 if want[name].dtype == np.uint8 else 0)
        np.testing.assert_array_equal(got[name].reshape(-1), integers.reshape(-1), err_msg=name)


def sqnr_db(want: np.ndarray, got: np.ndarray) -> float:
    noise = np.sum((want.astype(np.float64) - got) ** 2)
    return float(10 * np.log10(np.sum(want.astype(np.float64) ** 2) / max(noise, 1e-30)))


@pytest.mark.parametrize("name", PATTERNS)
@pytest.mark.parametrize("activation", [QuantType.QInt8, QuantType.QUInt8])
def test_qoperator_model_keeps_every_integer(name: str, activation: QuantType, tmp_path: Path) -> None:
    source = qoperator(PATTERNS[name](), tmp_path, activation)
    lowered = lower_quantized(source)
    verify_graph(lowered)
    require_bit_equal(source, lowered, least=2)


def test_qoperator_per_tensor_weights(tmp_path: Path) -> None:
    source = qoperator(PATTERNS["residual"](), tmp_path, per_channel=False)
    lowered = lower_quantized(source)
    scales = [lowered.tensor(op.inputs[1]).quant.scale for op in lowered.ops if op.op_type == "QLinearConv"]
    assert {s.shape for s in scales} == {()}
    require_bit_equal(source, lowered, least=4)


@pytest.mark.parametrize("name", PATTERNS)
def test_quantised_network_is_close_to_float_and_leaves_nothing_else_on_the_host(name: str) -> None:
    graph = PATTERNS[name]()
    lowered = lower_quantized(read_onnx(quantize(write_onnx(graph), samples(graph))))
    verify_graph(lowered)
    host = {op.op_type for op in lowered.ops if not lowered.is_integer(op)}
    assert host <= HOST
    assert not lowered.notes
    assert sum(op.op_type == "QuantizeLinear" for op in lowered.ops) == 1
    (output,) = graph.outputs
    want, got = run_float_graph(graph, [output])[output], sfopt_ort.run(lowered, samples(graph)[0], [output])[output]
    assert want.shape == got.shape
    assert sqnr_db(want, got) > 22


def test_integer_operators_are_complete_and_well_formed() -> None:
    for build in PATTERNS.values():
        graph = build()
        lowered = lower_quantized(read_onnx(quantize(write_onnx(graph), samples(graph))))
        for op in lowered.ops:
            if not lowered.is_integer(op):
                continue
            for name in (op.inputs[0], op.output):
                tensor = lowered.tensor(name)
                assert tensor.dtype == "int8"
                assert len(tensor.shape) == 4
                assert tensor.quant is not None
                assert tensor.quant.scale.shape == ()
            if op.op_type in ("QLinearConv", "MaxPool", "QLinearAveragePool"):
                assert len(op.ints("pads")) == 4
                assert "auto_pad" not in op.attributes
            if op.op_type in ("MaxPool", "Resize"):
                assert lowered.tensor(op.inputs[0]).quant.same_as(lowered.tensor(op.output).quant)


def test_relu_is_free_where_saturation_does_it() -> None:
    graph = PATTERNS["conv_relu"]()
    lowered = lower_quantized(read_onnx(quantize(write_onnx(graph), samples(graph))))
    assert integer_ops(lowered) == ["QLinearConv", "QLinearConv"]


def qdq(
    b: FloatBuilder, x: str, scale: float, zero_point: int = 0, dtype: str = "int8", axis: int | None = None
) -> str:
    """QuantizeLinear and DequantizeLinear behind `x`."""
    s, z = b.constant(np.float32(scale)), b.constant(np.array(zero_point, dtype))
    q = b.op("QuantizeLinear", (x, s, z), b.shape(x))
    b.tensors[q] = replace(b.tensors[q], dtype=dtype)
    return b.op("DequantizeLinear", (q, s, z), b.shape(x))


def dequantized(b: FloatBuilder, data: np.ndarray, scale: np.ndarray, zero_point: int = 0, axis: int = 0) -> str:
    """A quantised constant behind a DequantizeLinear."""
    s = b.constant(np.asarray(scale, np.float32))
    z = b.constant(np.full(np.shape(scale), zero_point, data.dtype))
    attributes = {"axis": axis} if np.ndim(scale) else {}
    return b.op("DequantizeLinear", (b.constant(data), s, z), data.shape, **attributes)


def conv_qdq(b: FloatBuilder, x: str, w: str, *, bias: str | None = None) -> str:
    shape = (1, b.shape(w)[0], *b.shape(x)[2:])
    pads = (b.shape(w)[2] // 2,) * 4
    inputs = [x, w] if bias is None else [x, w, bias]
    return b.op(
        "Conv", inputs, shape, kernel_shape=b.shape(w)[2:], pads=pads, strides=(1, 1), dilations=(1, 1), group=1
    )


def close_to_qdq(graph: Graph) -> Graph:
    """Lower `graph`; its output must be within one step in nearly all elements (float against integer rounding of ties)."""
    lowered = lower_quantized(read_onnx(write_onnx(graph)))
    (output,) = graph.outputs
    want = run_float_graph(graph, [output])[output]
    got = sfopt_ort.run(lowered, samples(graph)[0], [output])[output]
    assert want.shape == got.shape
    assert np.mean(want != got) < 0.03
    return lowered


def integer_ops(graph: Graph) -> list[str]:
    return [op.op_type for op in graph.ops if graph.is_integer(op)]


def test_clip_that_saturation_does_not_cover_becomes_an_exact_look_up() -> None:
    b = FloatBuilder("clip")
    x = qdq(b, b.input(1, 3, 6, 6), 0.03)
    w = dequantized(b, b.random.integers(-127, 128, (4, 3, 3, 3), dtype=np.int8), np.full(4, 0.005))
    y = b.unary("Clip", conv_qdq(b, x, w), min=-0.5, max=1.0)
    lowered = close_to_qdq(b.graph(qdq(b, y, 0.02)))
    assert integer_ops(lowered) == ["QLinearConv", "Lookup"]
    clip = next(op for op in lowered.ops if op.op_type == "Lookup")
    assert (clip.attributes["function"], clip.attributes["min"], clip.attributes["max"]) == ("Clip", -0.5, 1.0)


def test_float_and_foreign_biases_are_rounded_to_the_product_of_scales() -> None:
    b = FloatBuilder("bias")
    x = qdq(b, b.input(1, 3, 6, 6), 0.03, 4)
    data = b.random.integers(-127, 128, (4, 3, 1, 1), dtype=np.int8)
    first = conv_qdq(
        b, x, dequantized(b, data, np.full(4, 0.0107)), bias=b.constant(np.array([0.5, -1, 2, 0], np.float32))
    )
    second_w = dequantized(b, b.random.integers(-127, 128, (2, 4, 1, 1), dtype=np.int8), np.float32(0.0113))
    bias = dequantized(b, np.array([700, -300], np.int32), np.float32(0.001))
    lowered = close_to_qdq(b.graph(qdq(b, conv_qdq(b, qdq(b, first, 0.04), second_w, bias=bias), 0.05)))
    biases = [lowered.tensor(op.inputs[2]).data for op in lowered.ops if op.op_type == "QLinearConv"]
    np.testing.assert_array_equal(
        biases[0], np.rint(np.array([0.5, -1, 2, 0]) / np.float64(np.float32(0.03) * np.float32(0.0107)))
    )
    np.testing.assert_array_equal(
        biases[1], np.rint(np.array([0.7, -0.3]) / np.float64(np.float32(0.04) * np.float32(0.0113)))
    )


def test_weights_that_are_quantised_at_run_time_of_the_source_are_folded() -> None:
    b = FloatBuilder("weights")
    x = qdq(b, b.input(1, 3, 5, 5), 0.03)
    w = qdq(b, b.weights(4, 3, 3, 3), 0.01)
    lowered = close_to_qdq(b.graph(qdq(b, conv_qdq(b, x, w), 0.03)))
    assert integer_ops(lowered) == ["QLinearConv"]


def test_uint8_weights_with_zero_point_128_become_int8() -> None:
    b = FloatBuilder("uint8")
    x = qdq(b, b.input(1, 3, 5, 5), 0.03, 130, "uint8")
    w = dequantized(b, b.random.integers(0, 256, (4, 3, 3, 3), dtype=np.uint8), np.float32(0.0113), 128)
    lowered = close_to_qdq(b.graph(qdq(b, conv_qdq(b, x, w), 0.03, 100, "uint8")))
    assert integer_ops(lowered) == ["QLinearConv"]
    assert {t.dtype for t in lowered.tensors.values()} <= {"int8", "int32", "float32", "int64"}


def test_uint8_weights_that_do_not_fit_are_refused_by_name() -> None:
    b = FloatBuilder("uint8")
    x = qdq(b, b.input(1, 3, 5, 5), 0.03)
    data = np.array([0, 255, 7], np.uint8).reshape(1, 3, 1, 1)
    w = dequantized(b, data, np.float32(0.0113), 10)
    name = next(op.inputs[0] for op in b.ops if op.output == w)
    graph = b.graph(qdq(b, conv_qdq(b, x, w), 0.03))
    with pytest.raises(ModelError) as caught:
        lower_quantized(read_onnx(write_onnx(graph)))
    assert str(caught.value) == (
        f"weights `{name}` span -10..245 around their zero point, needs -128..127; "
        "quantise them symmetrically (int8, zero point 0)"
    )


def test_uint8_network_input_and_output_stay_uint8() -> None:
    b = FloatBuilder("boundary")
    x = b.input(1, 2, 4, 4)
    b.tensors[x] = replace(b.tensors[x], dtype="uint8")
    s, z = b.constant(np.float32(0.02)), b.constant(np.array(120, np.uint8))
    real = b.op("DequantizeLinear", (x, s, z), b.shape(x))
    w = dequantized(b, b.random.integers(-127, 128, (3, 2, 1, 1), dtype=np.int8), np.float32(0.0113))
    q = b.op("QuantizeLinear", (conv_qdq(b, real, w), s, z), (1, 3, 4, 4))
    b.tensors[q] = replace(b.tensors[q], dtype="uint8")
    graph = b.graph(q)
    lowered = lower_quantized(read_onnx(write_onnx(graph)))
    assert (lowered.tensor(x).dtype, lowered.tensor(q).dtype) == ("uint8", "uint8")
    assert integer_ops(lowered) == ["QLinearConv"]
    feed = {x: np.arange(32, dtype=np.uint8).reshape(1, 2, 4, 4) * 8}
    np.testing.assert_array_equal(sfopt_ort.run(lowered, feed)[q], run_model(write_onnx(graph), feed)[q])


def test_a_change_of_scale_becomes_a_requantising_look_up_and_none_becomes_nothing() -> None:
    b = FloatBuilder("requantise")
    x = qdq(b, qdq(b, b.input(1, 3, 5, 5), 0.03), 0.03)
    w = dequantized(b, b.random.integers(-127, 128, (3, 3, 1, 1), dtype=np.int8), np.float32(0.0113))
    y = qdq(b, conv_qdq(b, x, w), 0.03)
    lowered = close_to_qdq(b.graph(qdq(b, y, 0.05, 3)))
    assert integer_ops(lowered) == ["QLinearConv", "Lookup"]
    assert [op.attributes["function"] for op in lowered.ops if op.op_type == "Lookup"] == ["Requantize"]


def test_max_pool_that_changes_the_scale_is_followed_by_a_look_up() -> None:
    b = FloatBuilder("pool")
    x = qdq(b, b.input(1, 3, 6, 6), 0.03)
    lowered = close_to_qdq(b.graph(qdq(b, b.pool("MaxPool", x, 2, 2), 0.05, -7)))
    assert integer_ops(lowered) == ["MaxPool", "Lookup"]


def test_matmul_with_a_constant_added_is_one_convolution() -> None:
    b = FloatBuilder("matmul")
    x = qdq(b, b.input(1, 6), 0.03)
    w = dequantized(b, b.random.integers(-127, 128, (6, 4), dtype=np.int8), np.full(4, 0.0107), axis=1)
    y = b.binary("Add", b.op("MatMul", (x, w), (1, 4)), b.constant(np.array([1, 2, 3, 4], np.float32)))
    lowered = close_to_qdq(b.graph(qdq(b, y, 0.05)))
    assert integer_ops(lowered) == ["QLinearConv"]


@pytest.mark.parametrize("activation", ["", "Relu"])
def test_matmul_with_a_quantised_constant_added_behind_a_reshape_is_one_convolution(activation: str) -> None:
    """What tf2onnx makes of a dense layer of TFLite, once the layouts have been moved."""
    b = FloatBuilder("dense")
    x = qdq(b, b.input(1, 6), 0.03)
    w = dequantized(b, b.random.integers(-127, 128, (6, 4), dtype=np.int8), np.full(4, 0.0107), axis=1)
    bias = dequantized(b, np.int32([900, -2000, 3000, 0]), np.full(4, 0.03 * 0.0107))
    y = b.binary("Add", b.reshape(b.op("MatMul", (x, w), (1, 4)), 1, 4, 1, 1), b.reshape(bias, 1, 4, 1, 1))
    y = b.op(activation, (y,), (1, 4, 1, 1)) if activation else y
    lowered = close_to_qdq(b.graph(qdq(b, y, 0.05, -128 if activation else 0)))
    assert integer_ops(lowered) == ["QLinearConv"]
    (conv,) = (op for op in lowered.ops if op.op_type == "QLinearConv")
    np.testing.assert_array_equal(lowered.tensor(conv.inputs[-1]).data, [900, -2000, 3000, 0])


def test_reordering_between_accelerator_operators_happens_on_the_host_without_new_rounding() -> None:
    b = FloatBuilder("shuffle")
    x = qdq(b, b.input(1, 4, 4, 4), 0.03)
    w = dequantized(b, b.random.integers(-127, 128, (4, 4, 1, 1), dtype=np.int8), np.float32(0.0113))
    y = qdq(b, conv_qdq(b, x, w), 0.03)
    y = b.reshape(b.op("Transpose", (b.reshape(y, 1, 2, 2, 4, 4),), (1, 2, 2, 4, 4), perm=(0, 2, 1, 3, 4)), 1, 4, 4, 4)
    lowered = close_to_qdq(b.graph(qdq(b, conv_qdq(b, qdq(b, y, 0.03), w), 0.03)))
    assert integer_ops(lowered) == ["QLinearConv", "QLinearConv"]
    assert sum(op.op_type == "Transpose" for op in lowered.ops) == 1


def test_unquantised_operators_stay_on_the_host_and_say_why() -> None:
    b = FloatBuilder("partial")
    x = qdq(b, b.input(1, 3, 5, 5), 0.03)
    y = qdq(b, conv_qdq(b, x, b.weights(4, 3, 3, 3)), 0.03)
    graph = b.graph(qdq(b, b.pool("MaxPool", y, 2, 1), 0.03))
    lowered = close_to_qdq(graph)
    assert integer_ops(lowered) == ["MaxPool"]
    conv = next(op for op in graph.ops if op.op_type == "Conv")
    assert lowered.notes == (f"Conv `{conv.name}` stays on the host: its weights `{conv.inputs[1]}` are not quantised",)


@pytest.mark.parametrize(
    ("mode", "nearest", "lowered_ops"),
    [
        ("asymmetric", "floor", ["Resize"]),
        ("asymmetric", "ceil", []),
        ("half_pixel", "round_prefer_ceil", ["Resize"]),
        ("align_corners", "floor", []),
    ],
)
def test_resize_runs_on_the_accelerator_only_when_it_repeats_pixels(
    mode: str, nearest: str, lowered_ops: list[str]
) -> None:
    b = FloatBuilder("resize")
    x = qdq(b, b.input(1, 2, 4, 4), 0.03)
    y = b.upsample(x, 3, coordinate_transformation_mode=mode, nearest_mode=nearest)
    assert integer_ops(close_to_qdq(b.graph(qdq(b, y, 0.03)))) == lowered_ops


@pytest.mark.parametrize("auto_pad", ["SAME_UPPER", "SAME_LOWER", "VALID"])
def test_automatic_padding_is_resolved(auto_pad: str) -> None:
    b = FloatBuilder("auto_pad")
    x = qdq(b, b.input(1, 2, 7, 6), 0.03)
    w = dequantized(b, b.random.integers(-127, 128, (3, 2, 3, 3), dtype=np.int8), np.float32(0.0113))
    side = (3, 2) if auto_pad == "VALID" else (4, 3)
    attributes = {"kernel_shape": (3, 3), "strides": (2, 2), "auto_pad": auto_pad}
    y = b.op("Conv", (x, w), (1, 3, *side), **attributes)
    lowered = close_to_qdq(b.graph(qdq(b, y, 0.03)))
    assert integer_ops(lowered) == ["QLinearConv"]


def test_weights_behind_layout_operators_are_moved_when_compiling() -> None:
    b = FloatBuilder("transposed")
    x = qdq(b, b.input(1, 3, 5, 5), 0.03)
    data = b.random.integers(-127, 128, (3, 3, 3, 4), dtype=np.int8)
    w = b.transpose(dequantized(b, data, b.random.uniform(0.005, 0.02, 4), axis=3), 3, 2, 0, 1)
    lowered = close_to_qdq(b.graph(qdq(b, conv_qdq(b, x, w), 0.031)))
    (conv,) = (op for op in lowered.ops if lowered.is_integer(op))
    assert lowered.tensor(conv.inputs[1]).quant.axis == 0
    np.testing.assert_array_equal(lowered.tensor(conv.inputs[1]).data, data.transpose(3, 2, 0, 1))


def bare(b: FloatBuilder, name: str) -> str:
    """Makes the tensor that an operator has just written an int8 one."""
    b.tensors[name] = replace(b.tensors[name], dtype="int8")
    return name


def test_operators_on_bare_integers_between_qdq_pairs() -> None:
    b = FloatBuilder("bare")
    x = qdq(b, b.input(1, 3, 4, 4), 0.03, 5)
    first, scale, zero_point = b.ops[-1].inputs
    w = dequantized(b, b.random.integers(-127, 128, (3, 3, 1, 1), dtype=np.int8), np.float32(0.0113))
    qdq(b, conv_qdq(b, x, w), 0.03, 5)
    both = bare(b, b.concat(b.ops[-1].inputs[0], first))
    flat = bare(b, b.reshape(bare(b, b.transpose(both, 0, 2, 3, 1)), 1, 96))
    real = b.op("DequantizeLinear", (flat, scale, zero_point), (1, 96))
    dense = dequantized(b, b.random.integers(-127, 128, (96, 4), dtype=np.int8), np.float32(0.0113))
    lowered = close_to_qdq(b.graph(qdq(b, b.op("Gemm", (real, dense), (1, 4)), 0.041)))
    assert integer_ops(lowered) == ["QLinearConv", "QLinearConcat", "QLinearConv"]
    kernels = [op.ints("kernel_shape") for op in lowered.ops if op.op_type == "QLinearConv"]
    assert kernels == [(1, 1), (4, 4)]


@pytest.mark.parametrize(("value", "folded"), [(5, True), (9, False), (None, False)])
def test_bare_integers_are_padded_with_the_real_number_of_the_value(value: int | None, folded: bool) -> None:
    b = FloatBuilder("pad")
    x = qdq(b, b.input(1, 3, 4, 4), 0.03, 5)
    integer, scale, zero_point = b.ops[-1].inputs
    attributes = {} if value is None else {"value": value}
    padded = bare(
        b, b.op("Pad", (integer,), (1, 3, 5, 6), pads=(0, 0, 0, 0, 0, 0, 1, 2), mode="constant", **attributes)
    )
    x = b.op("DequantizeLinear", (padded, scale, zero_point), (1, 3, 5, 6))
    w = dequantized(b, b.random.integers(-127, 128, (3, 3, 1, 1), dtype=np.int8), np.float32(0.0113))
    lowered = close_to_qdq(b.graph(qdq(b, conv_qdq(b, x, w), 0.05)))
    (conv,) = (op for op in lowered.ops if op.op_type == "QLinearConv")
    assert conv.ints("pads") == ((0, 0, 1, 2) if folded else (0, 0, 0, 0))
    assert ("Pad" in [op.op_type for op in lowered.ops]) != folded


def test_a_function_of_bare_integers_is_not_taken_for_one_of_reals() -> None:
    """Relu of int8 cuts at the integer 0, not at the zero point."""
    b = FloatBuilder("bare relu")
    qdq(b, b.input(1, 3, 4, 4), 0.03, 50)
    integer, scale, zero_point = b.ops[-1].inputs
    cut = bare(b, b.op("Relu", (integer,), (1, 3, 4, 4)))
    x = b.op("DequantizeLinear", (cut, scale, zero_point), (1, 3, 4, 4))
    w = dequantized(b, b.random.integers(-127, 128, (3, 3, 1, 1), dtype=np.int8), np.float32(0.0113))
    lowered = close_to_qdq(b.graph(qdq(b, conv_qdq(b, x, w), 0.05)))
    assert integer_ops(lowered) == ["QLinearConv"]


@pytest.mark.parametrize("quant_format", [QuantFormat.QDQ, QuantFormat.QOperator])
def test_padding_between_quantised_convolutions_is_theirs(quant_format: QuantFormat, tmp_path: Path) -> None:
    b = FloatBuilder("padded")
    x = b.conv(b.input(1, 3, 8, 8), 4)
    x = b.op("Pad", (x,), (1, 4, 9, 9), pads=(0, 0, 0, 0, 0, 0, 1, 1), mode="constant", value=0.0)
    graph = b.graph(b.conv(x, 4, stride=2, pads=(0, 0, 0, 0)))
    write_onnx(graph, tmp_path / "float.onnx")
    types = {"activation_type": QuantType.QInt8, "weight_type": QuantType.QInt8}
    target = tmp_path / "int8.onnx"
    quantize_static(tmp_path / "float.onnx", target, _Reader(graph), quant_format, per_channel=True, **types)
    source = read_onnx(target)
    lowered = close_to_qdq(source)
    assert [op.ints("pads") for op in lowered.ops if op.op_type == "QLinearConv"] == [(1, 1, 1, 1), (0, 0, 1, 1)]
    assert "Pad" not in [op.op_type for op in lowered.ops]
    if quant_format == QuantFormat.QOperator:
        require_bit_equal(source, lowered, least=2)


def test_several_pieces_of_bare_integers(tmp_path: Path) -> None:
    m = models.ModelBuilder()
    x = m.conv(m.input((1, 3, 8, 8)), 3, 8)
    m.add("Split", x, m.constant([3, 5], "int64"), outputs=["a", "b"], axis=1)
    source = read_onnx(models.quantised(m.build(m.conv("a", 3, 4), m.conv("b", 5, 4)), QuantFormat.QOperator))
    lowered = lower_quantized(source)
    assert [op.op_type for op in lowered.ops].count("QLinearConv") == 3
    require_bit_equal(source, lowered, least=3)


def test_a_value_that_is_read_before_and_after_rounding_is_read_as_int8() -> None:
    b = FloatBuilder("island")
    x = qdq(b, b.input(1, 4, 6, 6), 0.03)
    real = b.unary("HardSwish", x)
    rounded = qdq(b, real, 0.02)
    scaled = b.binary("Mul", rounded, qdq(b, b.mean(real), 0.004))
    graph = b.graph(qdq(b, scaled, 0.005))
    lowered = lower_quantized(read_onnx(write_onnx(graph)))
    assert integer_ops(lowered) == ["Lookup", "QLinearGlobalAveragePool", "QLinearMul"]
    assert lowered.notes == (f"`{real}` is read as int8 throughout; the source also reads it before rounding",)
    want = run_float_graph(graph, list(graph.outputs))[graph.outputs[0]]
    got = sfopt_ort.run(lowered, samples(graph)[0], graph.outputs)[graph.outputs[0]]
    assert sqnr_db(want, got) > 25


@pytest.mark.parametrize("form", ["plain", "first", "quantised", "one for each channel"])
def test_a_product_with_a_number_is_a_table(form: str) -> None:
    b = FloatBuilder("number")
    x = qdq(b, b.input(1, 4, 6, 6), 0.03)
    number = np.float32(-0.37) if form != "one for each channel" else np.full((1, 4, 1, 1), 0.21, np.float32)
    operand = dequantized(b, np.int8(-1), np.float32(0.37)) if form == "quantised" else b.constant(np.asarray(number))
    product = b.op("Mul", (operand, x) if form == "first" else (x, operand), (1, 4, 6, 6))
    graph = b.graph(qdq(b, product, 0.012))
    lowered = lower_quantized(read_onnx(write_onnx(graph)))
    assert integer_ops(lowered) == ["Lookup"]
    (output,) = graph.outputs
    want, got = run_float_graph(graph, [output])[output], sfopt_ort.run(lowered, samples(graph)[0], [output])[output]
    np.testing.assert_array_equal(got, want)
    again = lower_quantized(read_onnx(sfopt_ort.model_bytes(lowered)))
    assert [op.attributes for op in again.ops if op.op_type == "Lookup"] == [
        op.attributes for op in lowered.ops if op.op_type == "Lookup"
    ]


def test_int8_network_output_keeps_its_shape() -> None:
    b = FloatBuilder("output")
    x = qdq(b, b.input(1, 6), 0.03)
    w = dequantized(b, b.random.integers(-127, 128, (6, 4), dtype=np.int8), np.float32(0.0113))
    qdq(b, b.op("Gemm", (x, w), (1, 4)), 0.05)
    graph = b.graph(b.ops[-1].inputs[0])
    lowered = lower_quantized(read_onnx(write_onnx(graph)))
    assert lowered.tensor(lowered.outputs[0]).shape == (1, 4)
    assert lowered.tensor(lowered.outputs[0]).dtype == "int8"
    got = sfopt_ort.run(lowered, samples(graph)[0], lowered.outputs)
    want = run_float_graph(graph, list(graph.outputs))
    np.testing.assert_array_equal(got[graph.outputs[0]], want[graph.outputs[0]])


def test_bit_equality_check_can_fail() -> None:
    graph = PATTERNS["conv_relu"]()
    source = read_onnx(quantize(write_onnx(graph), samples(graph)))
    lowered = lower_quantized(source)
    conv = next(op for op in lowered.ops if op.op_type == "QLinearConv")
    w = lowered.tensor(conv.inputs[1])
    wrong = replace(w, data=(w.data // 2).astype(np.int8))
    with pytest.raises(AssertionError):
        require_bit_equal(source, lowered.with_ops(lowered.ops, [wrong]), least=1)


def test_draft_makes_names_unique() -> None:
    tensors = {n: Tensor(n, (1, 1, 1, 1), "int8", Quant(np.float32(1))) for n in ("x", "y", "z")}
    draft = Draft(Graph("names", tensors, (), ("x",), ("z",)))
    draft.ops = [Op("same", "Lookup", ("x",), ("y",)), Op("same", "Lookup", ("y",), ("z",))]
    assert [op.name for op in draft.finish().ops] == ["same", "same.z"]
    assert draft.fresh("x") == "x_1"
