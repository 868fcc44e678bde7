"""Calibration data in every form, good and bad, and what is quantised with it."""

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from float_networks import PATTERNS, FloatBuilder, samples
from models import ModelBuilder
from PIL import Image

from sfopt.errors import CalibrationError
from sfopt.graph import Graph
from sfopt.onnx_io import read_onnx, write_onnx
from sfopt.passes import lower_quantized, run_passes
from sfopt.quantize import (
    RANDOM_CALIBRATION_WARNING,
    is_quantized,
    quantize,
    quantized_operators,
    random_calibration,
    read_calibration,
)


def image_graph(channels: int = 3) -> Graph:
    b = FloatBuilder("image")
    return b.graph(b.conv(b.input(1, channels, 4, 6), 2))


def two_inputs() -> Graph:
    b = FloatBuilder("two")
    return b.graph(b.binary("Add", b.conv(b.input(1, 2, 4, 4), 3), b.conv(b.input(1, 1, 4, 4), 3)))


def read_all(path: Path, graph: Graph, limit: int = 8) -> list[dict[str, np.ndarray]]:
    return [dict(sample) for sample in read_calibration(path, graph, limit)]


def saved(folder: Path, **arrays: np.ndarray) -> Path:
    path = folder / "data.npz"
    np.savez(path, **arrays)
    return path


def test_npz_channels_first(tmp_path: Path) -> None:
    data = np.random.default_rng(0).random((5, 3, 4, 6))
    found = read_all(saved(tmp_path, anything=data), image_graph(), limit=3)
    assert len(found) == 3
    assert found[0]["in0"].dtype == np.float32
    np.testing.assert_array_equal(found[2]["in0"], data[2:3].astype(np.float32))


def test_npz_channels_last_is_turned(tmp_path: Path) -> None:
    data = np.random.default_rng(0).random((2, 4, 6, 3)).astype(np.float32)
    found = read_all(saved(tmp_path, in0=data), image_graph())
    np.testing.assert_array_equal(found[1]["in0"][0], data[1].transpose(2, 0, 1))


def test_npz_of_a_cube_follows_the_layout_of_the_source_model(tmp_path: Path) -> None:
    b = FloatBuilder("cube")
    graph = b.graph(b.conv(b.input(1, 4, 4, 4), 2))
    data = np.random.default_rng(0).random((1, 4, 4, 4)).astype(np.float32)
    path = saved(tmp_path, in0=data)
    np.testing.assert_array_equal(read_all(path, graph)[0]["in0"], data)
    turned = read_all(path, replace(graph, input_layouts={"in0": "NHWC"}))[0]["in0"]
    np.testing.assert_array_equal(turned, data.transpose(0, 3, 1, 2))


def test_npz_with_two_inputs(tmp_path: Path) -> None:
    found = read_all(saved(tmp_path, in0=np.ones((2, 2, 4, 4)), in1=np.zeros((2, 1, 4, 4))), two_inputs())
    assert [sorted(s) for s in found] == [["in0", "in1"]] * 2


@pytest.mark.parametrize(
    ("arrays", "text"),
    [
        (
            {"x": np.zeros((2, 3, 4, 5))},
            "array for input `in0`: shape (2, 3, 4, 5), needs (samples, 3, 4, 6) or (samples, 4, 6, 3)",
        ),
        ({"x": np.zeros(3)}, "array for input `in0`: shape (3,), needs (samples, 3, 4, 6) or (samples, 4, 6, 3)"),
        ({"x": np.zeros((0, 3, 4, 6))}, "array for input `in0`: no samples"),
        ({"x": np.full((1, 3, 4, 6), np.nan)}, "array for input `in0`: NaN or infinity, needs finite numbers"),
        ({"x": np.full((1, 3, 4, 6), "a")}, "array for input `in0`: dtype <U1, needs finite numbers"),
    ],
)
def test_npz_that_does_not_fit_is_named(arrays: dict[str, np.ndarray], text: str, tmp_path: Path) -> None:
    path = saved(tmp_path, **arrays)
    with pytest.raises(CalibrationError) as caught:
        read_all(path, image_graph())
    assert str(caught.value) == f"calibration data `{path}`, {text}"


def test_npz_without_an_input_or_with_unequal_counts(tmp_path: Path) -> None:
    path = saved(tmp_path, in0=np.zeros((2, 2, 4, 4)), other=np.zeros(1))
    with pytest.raises(CalibrationError) as caught:
        read_all(path, two_inputs())
    assert str(caught.value) == f"calibration data `{path}` has no array for input `in1`; arrays: in0, other"
    path = saved(tmp_path, in0=np.zeros((2, 2, 4, 4)), in1=np.zeros((3, 1, 4, 4)))
    with pytest.raises(CalibrationError) as caught:
        read_all(path, two_inputs())
    assert str(caught.value) == f"calibration data `{path}` has different numbers of samples: `in0` 2, `in1` 3"


def test_paths_that_are_no_data(tmp_path: Path) -> None:
    missing, text, broken = tmp_path / "none.npz", tmp_path / "data.txt", tmp_path / "broken.npz"
    text.write_text("1 2 3")
    broken.write_bytes(b"PK\x03\x04 not really")
    for path, expected in (
        (missing, f"calibration data `{missing}` does not exist"),
        (text, f"calibration data `{text}` is neither a .npz file nor a folder of images"),
        (broken, f"calibration data `{broken}` is no .npz file"),
        (tmp_path, f"calibration folder `{tmp_path}` has no image files (.bmp, .jpeg, .jpg, .png, .tif, .tiff, .webp)"),
    ):
        with pytest.raises(CalibrationError) as caught:
            read_all(path, image_graph())
        assert str(caught.value).startswith(expected)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("channels", [1, 3])
def test_images_are_resized_and_scaled_to_one(channels: int, tmp_path: Path) -> None:
    Image.new("RGB", (12, 8), (255, 0, 51)).save(tmp_path / "b.png")
    Image.new("L", (5, 5), 0).save(tmp_path / "a.PNG")
    (tmp_path / "readme.txt").write_text("not an image")
    first, second = (s["in0"] for s in read_all(tmp_path, image_graph(channels)))
    assert first.shape == second.shape == (1, channels, 4, 6)
    assert not first.any()
    if channels == 3:
        np.testing.assert_allclose(second[0, :, 1, 2], [1, 0, 0.2], atol=1e-6)
    else:
        np.testing.assert_allclose(second, 82 / 255, atol=1e-6)


def test_images_that_cannot_be_used(tmp_path: Path) -> None:
    path = tmp_path / "bad.png"
    path.write_bytes(b"no picture")
    with pytest.raises(CalibrationError, match=f"calibration image `{path}` is unreadable"):
        read_all(tmp_path, image_graph())
    with pytest.raises(CalibrationError, match="input `in0` has 5 channels, images have 1 or 3"):
        read_all(tmp_path, image_graph(5))
    with pytest.raises(CalibrationError, match="needs a network with one image input"):
        read_all(tmp_path, two_inputs())


def test_random_calibration_repeats_by_seed() -> None:
    graph = image_graph()
    one, same, other = (list(random_calibration(graph, seed, 2)) for seed in (7, 7, 8))
    np.testing.assert_array_equal(one[1]["in0"], same[1]["in0"])
    assert (one[0]["in0"] != other[0]["in0"]).any()
    assert (one[0]["in0"] != one[1]["in0"]).any()
    assert "\n" not in RANDOM_CALIBRATION_WARNING


def test_no_samples() -> None:
    with pytest.raises(CalibrationError, match="calibration data has no samples"):
        quantize(write_onnx(image_graph()), [])


def test_progress_counts_samples_and_nothing_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    graph, calls = image_graph(), []
    quantize(write_onnx(graph), samples(graph, 3), lambda done, total: calls.append((done, total)))
    assert calls == [(1, 3), (2, 3), (3, 3)]
    assert not [r for r in caplog.records if r.levelno >= logging.WARNING]


def test_weights_are_symmetric_per_channel_and_activations_have_a_zero_point() -> None:
    graph = PATTERNS["conv_relu"]()
    quantised = read_onnx(quantize(write_onnx(graph), samples(graph)))
    weights = [
        op for op in quantised.ops if op.op_type == "DequantizeLinear" and quantised.tensor(op.inputs[0]).is_constant
    ]
    kernels = [op for op in weights if quantised.tensor(op.inputs[0]).dtype == "int8"]
    assert [quantised.tensor(op.inputs[1]).shape for op in kernels] == [(8,), (5,)]
    assert all(not quantised.tensor(op.inputs[2]).data.any() for op in weights)
    zero_points = {int(quantised.tensor(op.inputs[2]).data) for op in quantised.ops if op.op_type == "QuantizeLinear"}
    assert len(zero_points) > 1
    assert "Relu" not in {op.op_type for op in quantised.ops}


def test_is_quantized() -> None:
    graph = PATTERNS["conv_relu"]()
    assert not is_quantized(graph)
    assert is_quantized(read_onnx(quantize(write_onnx(graph), samples(graph))))


def test_host_operators_and_what_only_they_read_stay_float() -> None:
    b = FloatBuilder("head")
    x = b.conv(b.input(1, 2, 4, 4), 4)
    kept = b.unary("Softmax", b.reshape(b.conv(x, 4, 1), 1, 4, 16), axis=1)
    flat = b.reshape(b.mean(x), 1, 4)
    graph = b.graph(kept, b.gemm(flat, 3))
    chosen = set(quantized_operators(graph))
    by_type = {op.op_type: op.name in chosen for op in graph.ops if op.op_type != "Reshape"}
    assert by_type == {"Conv": True, "Softmax": False, "GlobalAveragePool": True, "Gemm": True}
    assert [op.name in chosen for op in graph.ops if op.op_type == "Reshape"] == [False, True]


def test_clip_away_from_zero_is_not_dropped() -> None:
    b = FloatBuilder("clip")
    away = b.unary("Clip", b.conv(b.input(1, 2, 4, 4), 4), min=0.5, max=2.0)
    around = b.unary("Clip", b.conv(away, 4), min=-0.5, max=2.0)
    graph = b.graph(b.conv(around, 2, 1))
    assert [op.name in quantized_operators(graph) for op in graph.ops if op.op_type == "Clip"] == [False, True]
    quantised = read_onnx(quantize(write_onnx(graph), samples(graph)))
    assert sum(op.op_type == "Clip" for op in quantised.ops) == 1


@pytest.mark.parametrize("factor", [0.3, -1.7, 3e-6])
def test_a_number_is_not_rounded(factor: float) -> None:
    b = FloatBuilder("factor")
    scaled = b.binary("Mul", b.unary("Relu", b.conv(b.input(1, 2, 4, 4), 4)), b.constant(np.float32(factor)))
    graph = b.graph(scaled)
    lowered = lower_quantized(read_onnx(quantize(write_onnx(graph), samples(graph))))
    (lookup,) = (op for op in lowered.ops if op.op_type == "Lookup")
    assert lookup.attributes == {"function": "Mul", "factor": float(np.float32(factor))}


def test_a_model_with_nothing_for_the_accelerator_comes_back() -> None:
    b = FloatBuilder("softmax")
    model = write_onnx(b.graph(b.unary("Softmax", b.input(1, 5), axis=1)))
    assert quantize(model, []) == model


def scales(model: bytes) -> dict[str, tuple[float, int]]:
    """Tensor -> scale and zero point that it is rounded with."""
    graph = read_onnx(model)
    found = {}
    for op in graph.ops:
        if op.op_type == "QuantizeLinear":
            scale, zero_point = (graph.tensor(n).data for n in op.inputs[1:])
            found[op.inputs[0]] = (float(scale), int(zero_point))
    return found


@pytest.mark.parametrize("function", ["Relu", "Clip"])
def test_an_output_in_front_of_a_relu_keeps_its_own_range(function: str) -> None:
    b = FloatBuilder("before_relu")
    x = b.conv(b.input(1, 3, 6, 6), 4)
    attributes = {"min": 0.0, "max": 1.0} if function == "Clip" else {}
    graph = b.graph(x, b.conv(b.unary(function, x, **attributes), 2))
    quantised = quantize(write_onnx(graph), samples(graph))
    scale, zero_point = next(v for n, v in scales(quantised).items() if n.startswith(x))
    assert scale * (-128 - zero_point) < -0.5
    assert read_onnx(quantised).outputs == graph.outputs


def test_a_relu_that_calibration_saw_closed_stays_closed() -> None:
    """Scale 1 and zero point 0 for a tensor of zeros would let negative numbers through: the Relu itself is dropped."""
    b = FloatBuilder("dead")
    w, bias = b.constant(np.zeros((4, 3, 1, 1), np.float32)), b.constant(np.full(4, -5, np.float32))
    shape = (1, 4, 6, 6)
    attributes = {"kernel_shape": (1, 1), "strides": (1, 1), "pads": (0, 0, 0, 0), "dilations": (1, 1), "group": 1}
    x = b.unary("Relu", b.op("Conv", (b.input(1, 3, 6, 6), w, bias), shape, **attributes))
    graph = b.graph(b.conv(x, 2))
    quantised = quantize(write_onnx(graph), samples(graph))
    scale, zero_point = next(v for n, v in scales(quantised).items() if n.startswith(x))
    assert scale * (-128 - zero_point) == 0.0


def test_a_table_between_operators_of_the_host_stays_float() -> None:
    m = ModelBuilder()
    x = m.conv(m.input((1, 3, 6, 6)), 3, 8)
    hosted = m.add("Softmax", m.add("Tanh", x), axis=1)
    ends = [m.add("Floor", m.add("Exp", hosted)), m.conv(m.add("Sqrt", hosted), 8, 4, 1)]
    graph = run_passes(read_onnx(m.build(*ends)))
    names = quantized_operators(graph)
    assert {op.op_type: op.name in names for op in graph.ops} == {
        "Conv": True, "Exp": False, "Floor": False, "Softmax": False, "Sqrt": True, "Tanh": True,
    }  # fmt: skip
