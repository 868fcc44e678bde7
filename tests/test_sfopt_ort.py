"""The oracle: every integer operator as ONNX Runtime sees it, against the rules of `sfopt.arithmetic`; tables; host operators."""

import importlib.metadata
from dataclasses import replace

import numpy as np
import pytest
from float_networks import PATTERNS, FloatBuilder, samples
from networks import GraphBuilder, random_graph

import sfopt_ort
from sfopt import arithmetic, tables
from sfopt.errors import InternalError, ModelError, UsageError
from sfopt.graph import Graph, Op, Quant, Tensor
from sfopt.grouping import build_network
from sfopt.host import run_host_ops, run_model
from sfopt.host_reasons import host_reason
from sfopt.onnx_io import read_onnx, write_onnx
from sfopt.passes import lower_quantized
from sfopt.quantize import quantize


def feeds(graph: Graph, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {n: rng.integers(-128, 128, graph.tensor(n).shape, dtype=np.int8) for n in graph.inputs}


def lookup_graph(function: str, y_scale: float = 0.02, **attributes: float) -> Graph:
    tensors = {
        "x": Tensor("x", (1, 256, 1, 1), "int8", Quant(np.float32(0.05), 3)),
        "y": Tensor("y", (1, 256, 1, 1), "int8", Quant(np.float32(y_scale), -7)),
    }
    op = Op("op", "Lookup", ("x",), ("y",), {"function": function, **attributes})
    return Graph("lookup", tensors, (op,), ("x",), ("y",))


BYTES = np.arange(256, dtype=np.uint8).view(np.int8)


@pytest.mark.parametrize(
    ("function", "attributes"),
    [
        ("Sigmoid", {}),
        ("LeakyRelu", {"alpha": 0.1}),
        ("HardSwish", {}),
        ("Clip", {"min": -0.3, "max": 1.5}),
        ("Requantize", {}),
        ("Swish", {"alpha": 1.0}),
        ("QuickGelu", {"alpha": 1.0}),
        ("Softplus", {}),
    ],
)
def test_lookup_table_is_what_the_exported_operator_computes(function: str, attributes: dict[str, float]) -> None:
    graph = lookup_graph(function, **attributes)
    table = tables.lookup_table(graph, graph.ops[0])
    assert table.shape == (256,)
    assert len(np.unique(table)) > 10
    got = sfopt_ort.run(graph, {"x": BYTES.reshape(1, 256, 1, 1)})["y"]
    np.testing.assert_array_equal(got.reshape(-1), arithmetic.apply_table(BYTES, table))


def test_a_rule_that_disagrees_with_the_kernel_is_a_defect(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arithmetic, "unary_table", lambda *_: np.zeros(256, np.int8))
    graph = lookup_graph("Tanh", y_scale=0.0123)
    with pytest.raises(InternalError, match="table of Tanh: numpy and ONNX Runtime differ by"):
        tables.lookup_table(graph, graph.ops[0])


def test_tables_are_copies() -> None:
    graph = lookup_graph("Relu")
    tables.lookup_table(graph, graph.ops[0])[:] = 0
    assert tables.lookup_table(graph, graph.ops[0]).any()


@pytest.mark.parametrize("seed", range(4))
def test_random_graphs_run_and_expose_every_tensor(seed: int) -> None:
    graph = random_graph(seed)
    found = sfopt_ort.run(graph, feeds(graph))
    assert set(found) == {op.output for op in graph.ops} | set(graph.outputs)
    for name, value in found.items():
        assert value.shape == graph.tensor(name).shape
        assert value.dtype == np.int8


def test_convolution_add_and_mul_match_the_numpy_rules() -> None:
    b = GraphBuilder("rules")
    x, y = b.input(6, 5, 4), b.input(6, 5, 4)
    total, product = b.add(x, y), b.mul(x, y)
    graph = b.graph([total, product])
    values = feeds(graph)
    found = sfopt_ort.run(graph, values)
    sides = [(q.scale, q.zero_point) for q in (graph.tensor(n).quant for n in (x, y, total))]
    np.testing.assert_array_equal(
        found[total], arithmetic.add(values[x], values[y], arithmetic.add_params(*sum(sides, ())))
    )
    sides[2] = (graph.tensor(product).quant.scale, graph.tensor(product).quant.zero_point)
    np.testing.assert_array_equal(
        found[product], arithmetic.mul(values[x], values[y], arithmetic.mul_params(*sum(sides, ())))
    )


def test_resize_repeats_pixels() -> None:
    quant = Quant(np.float32(0.1))
    tensors = {n: Tensor(n, s, "int8", quant) for n, s in (("x", (1, 2, 2, 3)), ("y", (1, 2, 4, 9)))}
    op = Op("op", "Resize", ("x",), ("y",), {"scale_h": 2, "scale_w": 3})
    graph = Graph("resize", tensors, (op,), ("x",), ("y",))
    values = feeds(graph)
    np.testing.assert_array_equal(sfopt_ort.run(graph, values)["y"], values["x"].repeat(2, axis=2).repeat(3, axis=3))


def test_compiled_model_runs_on_int8_inputs_and_writes_the_whole_network() -> None:
    graph = PATTERNS["classifier"]()
    lowered = lower_quantized(read_onnx(quantize(write_onnx(graph), samples(graph))))
    network = build_network(lowered)
    compiled = sfopt_ort.OrtBackend().compile(network, None, None)
    sample = samples(graph)[0]
    (file,) = compiled.files.items()
    assert file[0] == "model.int8.onnx"
    whole = run_model(file[1], sample)
    head = run_host_ops(lowered, [lowered.ops_by_name[n] for n in network.head], sample)
    execution = compiled.run({n: head[n] for n in network.inputs})
    assert set(sfopt_ort.integer_tensors(lowered)) <= set(execution.tensors)
    assert all(t.dtype == np.int8 for t in execution.tensors.values())
    assert set(compiled.run({n: head[n] for n in network.inputs}, expose=False).tensors) == set(network.outputs)
    tail = run_host_ops(lowered, [lowered.ops_by_name[n] for n in network.tail], dict(execution.tensors))
    np.testing.assert_array_equal(tail[lowered.outputs[0]], whole[lowered.outputs[0]])


def test_operand_without_scale_is_a_defect() -> None:
    graph = lookup_graph("Relu")
    broken = replace(graph, tensors={**graph.tensors, "y": replace(graph.tensor("y"), quant=None)})
    with pytest.raises(InternalError, match="Lookup `op` has an operand without quantisation"):
        sfopt_ort.model_bytes(broken)
    with pytest.raises(InternalError, match="Lookup `op` has an operand without quantisation"):
        tables.lookup_table(broken, broken.ops[0])


def test_wrong_feeds_and_models_are_one_line() -> None:
    b = FloatBuilder("relu")
    x = b.input(1, 4)
    model = write_onnx(b.graph(b.unary("Relu", x)))
    with pytest.raises(UsageError, match="input `in0` was not given; given: other"):
        run_model(model, {"other": np.zeros(1)})
    with pytest.raises(UsageError, match="cannot run the model on this input") as caught:
        run_model(model, {x: np.zeros((1, 3), np.float32)})
    assert "\n" not in str(caught.value)
    with pytest.raises(ModelError, match="ONNX Runtime refuses the model"):
        run_model(b"rubbish", {})


def test_host_reasons_are_sentences_for_any_operator() -> None:
    graph = Graph("g", {}, (), ("x",), ("y",))
    assert host_reason(graph, Op("n", "Softmax", ("x",), ("y",))) == "needs exponentials and sums in float"
    assert host_reason(graph, Op("n", "Reshape", ("x",), ("y",))).startswith("only moves elements")
    assert host_reason(graph, Op("n", "Det", ("x",), ("y",))) == "the accelerator has no int8 form of Det here"


def test_entry_point_names_the_backend() -> None:
    found = [e for e in importlib.metadata.entry_points(group="sfopt.backends") if e.name == "ort"]
    if not found:
        pytest.skip("sfopt is not installed")
    assert found[0].load() is sfopt_ort.OrtBackend
