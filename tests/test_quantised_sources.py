"""Models that onnxruntime.quantization wrote, in all its ways, and uint8 kernels against the int8 that stands for them.

A QDQ model has two readings: float kernels between roundings, or the int8 kernels that ONNX Runtime fuses it into. The second is
what the accelerator computes, so that is compared here, in every element of every tensor that both have.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from float_networks import PATTERNS, FloatBuilder, samples
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from quantised_models import fused_integers, unsigned_operator

import sfopt_ort
from sfopt.errors import ModelError
from sfopt.graph import Graph
from sfopt.host import run_model
from sfopt.importer import import_model
from sfopt.onnx_io import read_onnx, write_onnx
from sfopt.passes import lower_quantized

S8, U8 = QuantType.QInt8, QuantType.QUInt8
TYPES = ((S8, S8), (U8, S8), (U8, U8))
"""Activations and weights; the tool itself refuses int8 activations with uint8 weights."""
FLAGS = ("per_channel", "reduce_range", "symmetric", "symmetric_weights")
Way = tuple[QuantType, QuantType, tuple[bool, ...]]
WAYS: list[Way] = [(*types, flags) for types, flags in product(TYPES, product((False, True), repeat=len(FLAGS)))]


def named(way: Way) -> str:
    return "-".join([way[0].name, way[1].name, *(n for n, f in zip(FLAGS, way[2], strict=True) if f)])


class _Reader(CalibrationDataReader):
    def __init__(self, graph: Graph) -> None:
        self.samples: Iterator[dict[str, np.ndarray]] = iter(samples(graph))

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self.samples, None)


def everything() -> Graph:
    """One of each operator that the tool and ONNX Runtime both have in int8."""
    b = FloatBuilder("everything")
    x = b.unary("Relu", b.conv(b.input(1, 3, 12, 8), 8, stride=2))
    y = b.unary("Clip", b.conv(x, 8, group=8), min=0.0, max=6.0)
    y = b.binary("Mul", y, b.unary("Sigmoid", b.conv(b.mean(y), 8, 1)))
    x = b.binary("Add", b.conv(y, 8), x)
    x = b.concat(x, b.upsample(b.pool("MaxPool", x, 2, 2), 2), b.unary("LeakyRelu", b.conv(x, 3), alpha=0.1))
    return b.graph(b.gemm(b.reshape(b.mean(b.conv(x, 6, bias=False)), 1, 6), 5))


def tool_model(graph: Graph, folder: Path, way: Way) -> Path:
    """`graph` in QDQ form."""
    activation, weight, flags = way
    source, target = folder / "float.onnx", folder / "int8.onnx"
    write_onnx(graph, source)
    per_channel, reduce_range, symmetric, symmetric_weights = flags
    quantize_static(
        source,
        target,
        _Reader(graph),
        QuantFormat.QDQ,
        per_channel=per_channel,
        reduce_range=reduce_range,
        activation_type=activation,
        weight_type=weight,
        extra_options={"ActivationSymmetric": symmetric, "WeightSymmetric": symmetric_weights},
    )
    return target


def differences(path: Path, graph: Graph, feeds: dict[str, np.ndarray]) -> dict[str, int]:
    """Wrong elements of every tensor that integer graph `graph` shares with the QDQ model, by the operator that writes it."""
    source = read_onnx(path)
    rounded = {op.inputs[0]: op.output for op in source.ops if op.op_type == "QuantizeLinear"}
    pairs = {op.output: rounded[op.output] for op in graph.ops if graph.is_integer(op) and op.output in rounded}
    want, got = fused_integers(path.read_bytes(), feeds, list(pairs.values())), sfopt_ort.run(graph, feeds)
    wrong = {}
    for ours, theirs in pairs.items():
        shift = 128 if want[theirs].dtype == np.uint8 else 0
        wrong[ours] = int(np.count_nonzero(got[ours].reshape(-1) != want[theirs].astype(np.int16).reshape(-1) - shift))
    return wrong


def require_equal(graph: Graph, path: Path) -> None:
    network = import_model(path).network
    host = {op.op_type for op in network.graph.ops if not network.graph.is_integer(op)}
    assert host <= {"QuantizeLinear", "DequantizeLinear", "Reshape", "Softmax"}
    wrong = differences(path, network.graph, samples(graph)[0])
    integer = [op.output for op in network.graph.ops if network.graph.is_integer(op)]
    assert len(wrong) >= len(integer) - 1, "all are compared, but for what the network writes as int8"
    assert wrong == dict.fromkeys(wrong, 0)


def weights_fit(path: Path) -> bool:
    """Whether all weights lie within int8 around their zero points."""
    source = read_onnx(path)
    for op in source.ops:
        data = source.tensor(op.inputs[0]).data
        if op.op_type == "DequantizeLinear" and data is not None and data.ndim > 1:
            around = data.astype(np.int32) - source.tensor(op.inputs[2]).data.astype(np.int32).max()
            if around.min() < -128 or around.max() > 127:
                return False
    return True


def check(graph: Graph, path: Path) -> None:
    if weights_fit(path):
        require_equal(graph, path)
    else:
        with pytest.raises(
            ModelError, match=r"^weights `\w+` span -?\d+\.\.-?\d+ around their zero point, needs -128\.\.127; "
        ):
            import_model(path)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "way",
    [pytest.param(w, id=named(w), marks=() if i % 5 == 0 else pytest.mark.nightly) for i, w in enumerate(WAYS)],
)
def test_every_way_of_the_tool(way: Way, tmp_path: Path) -> None:
    graph = everything()
    check(graph, tool_model(graph, tmp_path, way))


@pytest.mark.nightly
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", sorted(PATTERNS.keys() - {"pools"}))
@pytest.mark.parametrize("way", WAYS, ids=named)
def test_every_way_on_every_network(name: str, way: Way, tmp_path: Path) -> None:
    graph = PATTERNS[name]()
    check(graph, tool_model(graph, tmp_path, way))


@pytest.mark.filterwarnings("ignore")
def test_average_pools_of_signed_models(tmp_path: Path) -> None:
    graph = PATTERNS["pools"]()
    require_equal(graph, tool_model(graph, tmp_path, (S8, S8, (True, False, False, True))))


def test_the_comparison_can_fail(tmp_path: Path) -> None:
    graph = everything()
    path = tool_model(graph, tmp_path, (U8, S8, (True, False, False, True)))
    lowered = lower_quantized(read_onnx(path))
    conv = next(op for op in lowered.ops if op.op_type == "QLinearConv")
    weights = lowered.tensor(conv.inputs[1])
    wrong = lowered.with_ops(lowered.ops, [replace(weights, data=(weights.data // 2).astype(np.int8))])
    assert differences(path, wrong, samples(graph)[0])[conv.output] > 0


UNSIGNED = {
    "QLinearConv": (1, 16, 16, 16),
    "QLinearConcat": (1, 16, 16, 16),
    "QLinearGlobalAveragePool": (1, 256, 7, 7),
    "QLinearLeakyRelu": (1, 16, 16, 16),
    "QLinearMul": (1, 16, 64, 64),
    "QLinearSigmoid": (1, 16, 16, 16),
}
"""uint8 kernels that equal int8 ones whose zero points are 128 less, and the maps that they are tried on."""


def count_wrong(op_type: str, shape: tuple[int, ...], *, same_scale: bool = False) -> tuple[int, int, int]:
    """(wrong elements, elements, greatest difference) of the integer forms of 20 random uint8 operators."""
    wrong = elements = largest = 0
    for seed in range(20):
        model, feeds = unsigned_operator(op_type, shape, seed, same_scale=same_scale)
        lowered = lower_quantized(read_onnx(model))
        (name,) = lowered.outputs
        assert sum(lowered.is_integer(op) for op in lowered.ops) == 1
        want, got = run_model(model, feeds)[name], sfopt_ort.run(lowered, feeds, [name])[name]
        gap = np.abs(want.astype(int) - got)
        wrong, elements, largest = wrong + np.count_nonzero(gap), elements + gap.size, max(largest, int(gap.max()))
    return wrong, elements, largest


@pytest.mark.parametrize("op_type", UNSIGNED)
def test_unsigned_kernels_equal_the_signed_ones_that_stand_for_them(op_type: str) -> None:
    wrong, elements, _ = count_wrong(op_type, UNSIGNED[op_type])
    assert wrong == 0
    assert elements >= 5000


def test_unsigned_sums_are_off_by_one_step_in_a_few_of_a_million() -> None:
    """ONNX Runtime adds the zero point in float32 before it rounds: near a tie, 128 more can tip the balance."""
    wrong, elements, largest = count_wrong("QLinearAdd", (1, 32, 64, 64))
    assert elements > 2_000_000
    assert wrong < 20
    assert largest <= 1


def test_unsigned_average_pools_are_off_by_one_step_where_ties_are_common() -> None:
    """With equal scales a mean of 4 or 6 pixels often lies on a tie."""
    wrong, elements, largest = count_wrong("QLinearAveragePool", (1, 16, 16, 16), same_scale=True)
    assert largest == 1
    assert 0 < wrong < elements / 100
    assert count_wrong("QLinearAveragePool", (1, 16, 16, 16))[0] == 0
