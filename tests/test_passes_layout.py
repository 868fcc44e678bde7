"""Transposes, reshapes and everything that turns a channels-last network into a channels-first one."""

from collections.abc import Callable
from pathlib import Path

import models
import numpy as np
import onnx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from models import ModelBuilder, assert_equivalent, assert_passes_keep, count, random_inputs

from sfopt.graph import Graph, Tensor
from sfopt.onnx_io import read_onnx
from sfopt.passes import run_passes
from sfopt.passes.move_transposes import move_transposes
from sfopt.passes.views import View, moves_data, rearrangement, reshaped, stored_shape, transposed

MOVERS = {"Transpose", "Reshape", "Flatten", "Squeeze", "Unsqueeze"}


def restore(view: View, stored: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The model's tensor, by the definition of a view."""
    return stored.reshape(view.shape).transpose(view.perm).reshape(shape)


shapes = st.lists(st.integers(1, 4), min_size=1, max_size=5).map(tuple)


@st.composite
def views(draw: st.DrawFn) -> tuple[View, tuple[int, ...], np.ndarray]:
    shape = draw(shapes)
    perm = tuple(draw(st.permutations(range(len(shape)))))
    seen = [shape[a] for a in perm]
    for _ in range(draw(st.integers(0, 2))):
        seen.insert(draw(st.integers(0, len(seen))), 1)
    return View("s", shape, perm), tuple(seen), np.arange(np.prod(shape)).reshape(shape)


@given(views(), st.data())
def test_rearrangement_gives_the_wanted_order(
    case: tuple[View, tuple[int, ...], np.ndarray], data: st.DataObject
) -> None:
    view, shape, stored = case
    perm = tuple(data.draw(st.permutations(range(len(shape)))))
    axes = rearrangement(view, shape, perm)
    kept = stored.transpose(axes).reshape(stored_shape(shape, perm))
    np.testing.assert_array_equal(kept.transpose(perm), restore(view, stored, shape))
    if not moves_data(view.shape, axes):
        np.testing.assert_array_equal(stored.reshape(kept.shape), kept)


@given(views(), st.data())
def test_transposing_changes_the_view_only(case: tuple[View, tuple[int, ...], np.ndarray], data: st.DataObject) -> None:
    view, shape, stored = case
    perm = tuple(data.draw(st.permutations(range(len(shape)))))
    result = transposed(view, shape, perm)
    wanted = restore(view, stored, shape).transpose(perm)
    np.testing.assert_array_equal(restore(result, stored, wanted.shape), wanted)


@given(views(), st.data())
def test_reshaping_never_moves_an_element(case: tuple[View, tuple[int, ...], np.ndarray], data: st.DataObject) -> None:
    view, shape, stored = case
    new: list[int] = []
    rest = stored.size
    while rest > 1:
        step = data.draw(st.sampled_from([d for d in range(2, rest + 1) if rest % d == 0]))
        new.append(step)
        rest //= step
    new.insert(data.draw(st.integers(0, len(new))), 1)
    result = reshaped(view, shape, new)
    if result is not None:
        wanted = restore(view, stored, shape).reshape(new)
        np.testing.assert_array_equal(restore(result, stored, tuple(new)), wanted)


def test_channels_last_network_keeps_nothing_that_moves_data() -> None:
    graph = assert_passes_keep(models.channels_last())
    assert not MOVERS & count(graph).keys()
    assert graph.tensor("x").shape == (1, 3, 16, 16)
    assert (graph.input_layouts, graph.output_layouts) == ({"x": "NHWC"}, {graph.outputs[0]: "NHWC"})
    assert "input `x`: NHWC in the model, kept as NCHW (1, 3, 16, 16)" in graph.notes


def test_channels_first_network_is_left_alone() -> None:
    graph = run_passes(read_onnx(models.conv_chain()))
    assert (graph.input_layouts, graph.output_layouts, graph.notes) == ({}, {}, ())


@pytest.mark.parametrize(
    ("op_type", "constants", "attributes"),
    [
        ("Relu", (), {}),
        ("LeakyRelu", (), {"alpha": 0.1}),
        ("Softmax", (), {"axis": -1}),
        ("Softmax", (), {"axis": 1}),
        ("Pad", ([0, 1, 2, 0, 0, 3, 4, 0],), {}),
        ("Slice", ([1], [5], [1]), {}),
        ("Tile", ([1, 1, 1, 2],), {}),
        ("ReduceMean", (), {"axes": [1], "keepdims": 1}),
        ("ReduceMean", (), {"axes": [1, 2], "keepdims": 0}),
        ("ReduceMax", (), {"axes": [3], "keepdims": 1}),
        ("ArgMax", (), {"axis": 3, "keepdims": 1}),
        ("Split", (), {"axis": 3}),
    ],
)
def test_operators_along_axes(op_type: str, constants: tuple[list[int], ...], attributes: dict[str, object]) -> None:
    m = ModelBuilder()
    x = m.add(
        "Transpose", m.conv(m.add("Transpose", m.input((1, 6, 5, 4)), perm=[0, 3, 1, 2]), 4, 4), perm=[0, 2, 3, 1]
    )
    y = m.add(op_type, x, *(m.constant(c, "int64") for c in constants), **attributes)
    graph = assert_passes_keep(m.build(y))
    assert "Transpose" not in count(graph)


@pytest.mark.parametrize("shape", [(), (1,), (4,), (5, 4), (6, 5, 4), (6, 1, 1), (1, 1, 1, 4), (1, 6, 5, 1)])
def test_broadcast_constants_are_permuted(shape: tuple[int, ...]) -> None:
    m = ModelBuilder()
    x = m.add(
        "Transpose", m.conv(m.add("Transpose", m.input((1, 6, 5, 4)), perm=[0, 3, 1, 2]), 4, 4), perm=[0, 2, 3, 1]
    )
    graph = assert_passes_keep(m.build(m.add("Max", x, m.random_constant(*shape))))
    assert "Transpose" not in count(graph)


def test_flatten_of_a_channels_last_map_goes_into_the_weights() -> None:
    m = ModelBuilder()
    x = m.add(
        "Transpose", m.conv(m.add("Transpose", m.input((1, 6, 5, 4)), perm=[0, 3, 1, 2]), 4, 3), perm=[0, 2, 3, 1]
    )
    x = m.add("MatMul", m.add("Reshape", x, m.constant([-1, 90], "int64")), m.random_constant(90, 7))
    graph = assert_passes_keep(m.build(m.add("Add", x, m.random_constant(7))))
    assert count(graph) == {"Conv": 2, "Reshape": 1}
    assert graph.ops[1].ints("kernel_shape") == (6, 5)


def test_dense_layer_on_a_channels_last_map_is_a_pointwise_conv() -> None:
    m = ModelBuilder()
    x = m.add("MatMul", m.input((1, 6, 5, 4)), m.random_constant(4, 7))
    graph = assert_passes_keep(m.build(m.add("Relu", x)))
    assert count(graph) == {"Conv": 1, "Relu": 1}
    assert graph.output_layouts == {"t1": "NHWC"}


def test_hidden_layers_of_a_classifier_lose_their_reshapes() -> None:
    m = ModelBuilder()
    x = m.add("Flatten", m.add("GlobalAveragePool", m.conv(m.input((1, 3, 8, 8)), 3, 6)))
    for _ in range(2):
        x = m.add("Relu", m.add("Gemm", x, m.random_constant(6, 6), m.random_constant(6), alpha=0.5, beta=2.0))
    graph = assert_passes_keep(m.build(m.add("Softmax", x)))
    assert count(graph) == {"Conv": 3, "GlobalAveragePool": 1, "Relu": 2, "Reshape": 1, "Softmax": 1}
    assert graph.tensor(graph.outputs[0]).shape == (1, 6)


def test_reordered_rows_stay_and_say_so() -> None:
    """A transpose between rows and channels is no channel shuffle: it stays as it is."""
    m = ModelBuilder()
    x = m.add("Reshape", m.conv(m.input((1, 3, 4, 4)), 3, 6), m.constant([1, 6, 2, 2, 4], "int64"))
    x = m.add("Reshape", m.add("Transpose", x, perm=[0, 2, 1, 3, 4]), m.constant([1, 6, 4, 4], "int64"))
    graph = assert_passes_keep(m.build(m.conv(x, 6, 2)))
    assert count(graph)["Transpose"] == 1
    assert any(
        n.startswith("move_transposes: ") and n.endswith("its elements are needed in another order")
        for n in graph.notes
    )


def test_input_that_is_also_an_output() -> None:
    m = ModelBuilder()
    x = m.input((1, 5, 4, 3))
    y = m.add("Transpose", m.conv(m.add("Transpose", x, perm=[0, 3, 1, 2]), 3, 2), perm=[0, 2, 3, 1])
    graph = assert_passes_keep(m.build(y, m.add("Identity", x), m.add("Transpose", y, perm=[0, 3, 1, 2])))
    assert len(graph.outputs) == 3


def test_transposed_weights_behind_dequantize() -> None:
    m = ModelBuilder()
    data = m.random.integers(-127, 127, (3, 3, 3, 4))
    w = m.add(
        "DequantizeLinear",
        m.constant(data, "int8"),
        m.constant([0.1, 0.2, 0.3, 0.4]),
        m.constant([0] * 4, "int8"),
        axis=3,
    )
    w = m.add("Transpose", w, perm=[3, 2, 0, 1])
    graph = assert_passes_keep(m.build(m.add("Conv", m.input((1, 3, 5, 5)), w)))
    assert count(graph) == {"DequantizeLinear": 1, "Conv": 1}
    assert graph.ops[0].attributes["axis"] == 0


@pytest.mark.parametrize("build", [models.residual, models.channels_last, models.inverted_residual, models.pyramid])
@pytest.mark.parametrize("quant_format", [models.QuantFormat.QDQ, models.QuantFormat.QOperator])
def test_quantised_networks_stay_exact(build: Callable[[], bytes], quant_format: models.QuantFormat) -> None:
    model = models.quantised(build(), quant_format)
    source = read_onnx(model)
    graph = run_passes(source)
    assert_equivalent(model, graph, random_inputs(source, 9), tolerance=1e-6)
    if quant_format == models.QuantFormat.QDQ:
        weights = [graph.tensor(op.inputs[1]).data for op in graph.ops if op.op_type == "Conv"]
        assert all(np.isin(w, (0, 1)).all() for w in weights if w is not None), "what copies needs no rounding"
        assert "Transpose" not in count(graph)


operations = st.lists(
    st.sampled_from(["add", "scale", "relu", "conv", "pad", "concat", "mean", "turn"]), min_size=1, max_size=8
)


@given(operations, st.integers(0, 3))
@settings(max_examples=40, deadline=None)
@example(["conv", "conv", "turn"], 2)  # with a Relu in the turn, nothing but zeros came out
def test_random_channels_last_networks(names: list[str], seed: int) -> None:
    # Every operation but the convolution can be undone, and a convolution adds a random bias to each channel: no network
    # ends in a constant, where the comparison would say nothing.
    m = ModelBuilder(seed)
    x, height, channels = m.input((1, 5, 4, 3)), 5, 3
    for name in ["conv", *names]:
        if name == "conv":
            inner = m.conv(m.add("Transpose", x, perm=[0, 3, 1, 2]), channels, channels)
            x = m.add("Transpose", inner, perm=[0, 2, 3, 1])
        elif name == "add":
            x = m.add("Add", m.add("Tanh", x), x)
        elif name == "scale":
            x = m.add("Mul", x, m.random_constant(channels, low=0.5))
        elif name == "relu":
            x = m.add("LeakyRelu", x)
        elif name == "pad":
            x, height = m.add("Pad", x, m.constant([0, 1, 0, 0, 0, 0, 0, 0], "int64")), height + 1
        elif name == "concat":
            x, channels = m.add("Concat", x, m.add("Neg", x), axis=-1), 2 * channels
        elif name == "mean":
            s = m.add("Squeeze", m.add("ReduceMean", x, axes=[1, 2]), m.constant([1, 2], "int64"))
            x = m.add("Mul", m.add("Reshape", m.add("Sigmoid", s), m.constant([1, 1, 1, channels], "int64")), x)
        else:
            back = m.add("Transpose", x, perm=[0, 2, 1, 3])
            x = m.add("Transpose", m.add("LeakyRelu", back), perm=[0, 2, 1, 3])
    graph = assert_passes_keep(m.build(x), seed)
    assert not {"Transpose", "Reshape"} & count(graph).keys()


def _varied(graph: Graph) -> Graph:
    """The same network with seeded random weights: those of the stored one are all alike and would hide a mistake."""
    random = np.random.default_rng(1)
    tensors = []
    for op in graph.ops:
        if op.op_type in ("Conv", "Gemm"):
            for name in op.inputs[1:]:
                t = graph.tensor(name)
                bound = max(int(np.prod(t.shape[1:])), 1) ** -0.5
                tensors.append(
                    Tensor(name, t.shape, t.dtype, data=random.normal(0, 1.4 * bound, t.shape).astype(t.dtype))
                )
        if op.op_type == "BatchNormalization":
            for name, low, high in zip(op.inputs[1:], (0.5, -0.3, -0.3, 0.5), (1.5, 0.3, 0.3, 1.5), strict=True):
                t = graph.tensor(name)
                tensors.append(Tensor(name, t.shape, t.dtype, data=random.uniform(low, high, t.shape).astype(t.dtype)))
    return graph.with_ops(graph.ops, tensors)


@pytest.mark.parametrize("name", ["light_resnet50", "light_squeezenet", "light_inception_v2", "light_shufflenet"])
def test_stored_networks(name: str) -> None:
    from sfopt.onnx_io import write_onnx

    path = Path(onnx.__file__).parent / f"backend/test/data/light/{name}.onnx"
    source = _varied(read_onnx(path))
    graph = run_passes(source)
    assert not {"BatchNormalization", "Sum", "Gemm", "Flatten"} & count(graph).keys()
    if name != "light_shufflenet":
        assert "Transpose" not in count(graph)
    assert_equivalent(write_onnx(source), graph, random_inputs(source))


def test_moving_transposes_twice_changes_nothing() -> None:
    once = run_passes(read_onnx(models.channels_last()))
    assert move_transposes(once).dump() == once.dump()


def test_repeated_rows_and_columns_are_a_resize() -> None:
    m = ModelBuilder()
    x = m.add(
        "Transpose", m.conv(m.add("Transpose", m.input((1, 4, 5, 3)), perm=[0, 3, 1, 2]), 3, 2), perm=[0, 2, 3, 1]
    )
    x = m.add("Tile", m.add("Unsqueeze", x, m.constant([2], "int64")), m.constant([1, 1, 2, 1, 1], "int64"))
    x = m.add("Reshape", x, m.constant([1, 8, 5, 2], "int64"))
    x = m.add("Tile", m.add("Unsqueeze", x, m.constant([3], "int64")), m.constant([1, 1, 1, 3, 1], "int64"))
    x = m.add("Reshape", x, m.constant([1, 8, 15, 2], "int64"))
    graph = assert_passes_keep(m.build(x))
    assert count(graph) == {"Conv": 1, "Resize": 1}
    assert dict(graph.ops[1].attributes) == {"mode": "nearest", "scale_h": 2, "scale_w": 3}


def test_a_tile_that_does_not_repeat_neighbours_stays() -> None:
    m = ModelBuilder()
    x = m.add("Tile", m.conv(m.input((1, 3, 4, 4)), 3, 2), m.constant([1, 1, 2, 1], "int64"))
    assert count(assert_passes_keep(m.build(x))) == {"Conv": 1, "Tile": 1}


@pytest.mark.parametrize("shape", [(1, 1, 10, 1), (1, 1, 1, 10)])
def test_a_map_of_one_channel_and_one_column_is_not_taken_for_a_row_of_channels(shape: tuple[int, ...]) -> None:
    m = ModelBuilder()
    x = m.input(shape)
    y = m.add("Add", m.conv(x, 1, 1), m.conv(x, 1, 1))
    graph = assert_passes_keep(m.build(m.conv(m.add("Relu", y), 1, 4)))
    assert set(count(graph)) == {"Add", "Conv", "Relu"}


@pytest.mark.parametrize("shape", [(1, 1, 10, 1), (1, 10, 1, 1)])
def test_so_with_channels_last_in_the_model(shape: tuple[int, ...]) -> None:
    m = ModelBuilder()
    x = m.add("Transpose", m.input(shape), perm=[0, 3, 1, 2])
    graph = assert_passes_keep(m.build(m.conv(m.add("Add", x, x), 1, 4)))
    assert set(count(graph)) == {"Add", "Conv"}
