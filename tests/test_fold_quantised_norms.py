"""Batch normalisation behind convolutions whose weights are integers."""

import numpy as np
import pytest
from models import random_inputs, run
from onnx import TensorProto
from quantised_models import QdqBuilder

from sfopt.graph import Graph
from sfopt.onnx_io import read_onnx, write_onnx
from sfopt.passes import run_passes
from sfopt.passes.fold_quantised_norms import fold_quantised_norms
from sfopt.quantize import complete, needs_calibration

GAMMA = [0.9, -0.5, 1.2, 0.3]


def model(
    bias: str = "", *, per_channel: bool = True, gamma: list[float] = GAMMA, kind: int = TensorProto.INT8
) -> bytes:
    b = QdqBuilder()
    x = b.rounded(b.input((1, 3, 8, 8)), 0.02)
    scale = np.array([0.004, 0.005, 0.006, 0.003]) if per_channel else np.float32(0.004)
    zero_point = 128 if kind == TensorProto.UINT8 else 0
    inputs = [x, b.weights((4, 3, 3, 3), scale, zero_point, kind, **({"axis": 0} if per_channel else {}))]
    if bias == "float":
        inputs.append(b.constant([0.1, -0.2, 0.3, 0]))
    elif bias == "int32":
        inputs.append(b.add("DequantizeLinear", b.constant([100, -200, 300, 0], "int32"), b.constant(0.001)))
    y = b.add("Conv", *inputs, pads=[1] * 4)
    statistics = [b.constant([0.1, 0.2, 0, 0.3]), b.constant([0.1, 0.2, 0, -0.3]), b.constant([0.9, 0.8, 0.7, 0.6])]
    y = b.add("Relu", b.add("BatchNormalization", y, b.constant(gamma), *statistics))
    return b.model(b.rounded(y, 0.02))


def kinds(graph: Graph) -> set[str]:
    return {op.op_type for op in graph.ops}


@pytest.mark.parametrize("bias", ["", "float", "int32"])
@pytest.mark.parametrize("per_channel", [True, False])
@pytest.mark.parametrize("kind", [TensorProto.INT8, TensorProto.UINT8])
def test_folded_network_computes_the_same(bias: str, per_channel: bool, kind: int) -> None:
    source = read_onnx(model(bias, per_channel=per_channel, kind=kind))
    graph = fold_quantised_norms(source)
    assert "BatchNormalization" not in kinds(graph)
    outputs = [op.inputs[0] for op in source.ops if op.op_type == "Relu"]
    feeds = random_inputs(source)
    (want,), (got,) = (run(write_onnx(g.with_ops(g.ops, outputs=outputs)), feeds) for g in (source, graph))
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-5)


def test_integers_stay_but_for_their_sign() -> None:
    source = read_onnx(model())
    graph = fold_quantised_norms(source)
    (before,), (after,) = (
        [
            g.tensor(op.inputs[0]).data
            for op in g.ops
            if op.op_type == "DequantizeLinear" and g.tensor(op.inputs[0]).is_constant
        ]
        for g in (source, graph)
    )
    np.testing.assert_array_equal(after, before * np.int8([1, -1, 1, 1]).reshape(4, 1, 1, 1))


def test_it_is_part_of_import_and_nothing_is_calibrated_then() -> None:
    graph = run_passes(read_onnx(model()))
    assert not needs_calibration(graph)
    assert complete(graph, []) is graph


def test_a_factor_of_zero_is_declined() -> None:
    graph = fold_quantised_norms(read_onnx(model(gamma=[0.9, 0.0, 1, 1])))
    assert "BatchNormalization" in kinds(graph)
    assert [note for note in graph.notes if "int8 cannot hold weights `c2`" in note]


def test_float_convolutions_are_left_to_other_passes() -> None:
    b = QdqBuilder()
    y = b.conv(b.input((1, 3, 8, 8)), 3, 4)
    y = b.add("BatchNormalization", y, *(b.constant(np.full(4, v)) for v in (0.9, 0.1, 0.2, 0.8)))
    source = read_onnx(b.model(y))
    assert fold_quantised_norms(source).dump() == source.dump()
