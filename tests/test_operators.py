"""Every operator that users bring, through the whole flow: where it runs, or why the host runs it, and the same bits everywhere."""

from collections.abc import Callable
from pathlib import Path

import pytest
from models import ModelBuilder, quantised
from onnxruntime.quantization import QuantFormat
from operator_cases import CASES, Case

from sfopt.device import load_device
from sfopt.errors import ModelError
from sfopt.host_reasons import FIXED_REASONS
from sfopt.importer import import_model
from sfopt.onnx_io import read_onnx
from sfopt.opset import SUPPORT
from sfopt.passes.expand_qoperators import QOPERATORS
from sfopt.passes.pointwise import TABLE_FUNCTIONS
from sfopt.pipeline import Options, Result, optimize
from sfopt.quantize import random_calibration
from sfopt.report import build_report, host_ops

DEVICE = load_device("sim8").with_sram(256 * 1024)
BOUNDARY = ("DequantizeLinear", "QuantizeLinear")
LEAST_SQNR_DB = 30.0


def flow(model: bytes, folder: Path, *, calibrated: bool = True) -> Result:
    """The whole flow; it raises where the run differs from ONNX Runtime in one bit, or moves a byte more than planned."""
    path = folder / "model.onnx"
    path.write_bytes(model)
    samples = list(random_calibration(read_onnx(model), 0, 3)) if calibrated else None
    return optimize(path, Options(DEVICE, method="greedy-size", calibration=samples))


def require_as_said(case: Case, result: Result) -> None:
    """The groups and the reasons of the row."""
    assert result.verification is not None
    assert result.verification.equivalence.elements > 0
    hosts = [(h["op"], h["reason"]) for h in build_report(result)["host_ops"] if h["op"] not in BOUNDARY]
    if case.host:
        assert (case.operator, case.host) in hosts
    else:
        assert not hosts
    assert [str(g.kind) for g in result.imported.network.groups] == case.kinds


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_operator(case: Case, tmp_path: Path) -> None:
    result = flow(case.model(), tmp_path)
    require_as_said(case, result)
    assert result.verification is not None
    deviation = result.verification.deviation
    assert deviation is not None
    assert deviation.sqnr_db > LEAST_SQNR_DB


@pytest.mark.parametrize("case", [case for case in CASES if case.qdq], ids=lambda case: case.name)
def test_quantised_operator(case: Case, tmp_path: Path) -> None:
    require_as_said(case, flow(quantised(case.model()), tmp_path, calibrated=False))


def test_every_function_of_one_value_is_a_table(tmp_path: Path) -> None:
    """All in one network, each behind a convolution of its own and before another."""
    m, outputs = ModelBuilder(1), []
    x = m.conv(m.input((1, 3, 5, 4)), 3, 8)
    for name in sorted(TABLE_FUNCTIONS):
        y = m.conv(x, 8, 8, 1)
        if name in ("Log", "Reciprocal", "Sqrt"):
            y = m.add("Exp", y)
        y = m.add(name, y, domain="com.microsoft" if name == "QuickGelu" else "")
        outputs.append(m.conv(y, 8, 4, 1))
    result = flow(m.build(*outputs, opset=24, ir_version=10), tmp_path)
    kinds = [str(g.kind) for g in result.imported.network.groups]
    assert kinds == ["conv"] * (1 + 2 * len(TABLE_FUNCTIONS))
    assert not [h for h in build_report(result)["host_ops"] if h["op"] not in BOUNDARY]


def two_of_each(m: ModelBuilder) -> list[str]:
    a, b = m.conv(m.input((1, 3, 6, 6), "a"), 3, 8), m.conv(m.input((1, 2, 6, 6), "b"), 2, 8)
    return [m.conv(m.add("Add", a, b), 8, 4), m.add("Relu", b)]


def read_inside(m: ModelBuilder) -> list[str]:
    x = m.add("Relu", m.conv(m.input((1, 3, 6, 6)), 3, 8))
    return [x, m.conv(x, 8, 4)]


def passed_through(m: ModelBuilder) -> list[str]:
    x = m.input((1, 3, 6, 6))
    return [m.conv(x, 3, 4), x, m.add("Identity", x)]


def any_batch(m: ModelBuilder) -> list[str]:
    return [m.conv(m.input(("batch", 3, 6, 6)), 3, 4)]


@pytest.mark.parametrize(
    ("build", "kinds"),
    [
        (two_of_each, "conv conv conv copy copy"),
        (read_inside, "conv conv"),
        (passed_through, "conv"),
        (any_batch, "conv"),
    ],
)
def test_ends_of_a_network(build: Callable[[ModelBuilder], list[str]], kinds: str, tmp_path: Path) -> None:
    m = ModelBuilder(1)
    outputs = build(m)
    result = flow(m.build(*outputs), tmp_path)
    assert sorted(str(g.kind) for g in result.imported.network.groups) == sorted(kinds.split())
    assert not [h for h in build_report(result)["host_ops"] if h["op"] not in BOUNDARY]
    assert result.imported.network.graph.outputs == tuple(outputs)
    assert result.verification is not None
    assert result.verification.deviation is not None
    assert result.verification.deviation.sqnr_db > LEAST_SQNR_DB


def test_a_batch_of_two_is_refused_in_one_line(tmp_path: Path) -> None:
    m = ModelBuilder(1)
    with pytest.raises(ModelError, match=r"input `x` has batch 2, needs 1: export it with batch 1 or a dynamic batch$"):
        flow(m.build(m.conv(m.input((2, 3, 6, 6)), 3, 4)), tmp_path, calibrated=False)


def test_a_part_that_nothing_reads_is_a_part_all_the_same(tmp_path: Path) -> None:
    m = ModelBuilder(1)
    x = m.conv(m.input((1, 3, 6, 6)), 3, 8)
    m.add("Split", x, outputs=["few", "unread"], axis=1)
    result = flow(m.build(m.conv("few", 4, 4, 1)), tmp_path)
    assert [str(g.kind) for g in result.imported.network.groups] == ["conv", "conv"]
    assert result.verification is not None
    assert result.verification.deviation is not None
    assert result.verification.deviation.sqnr_db > LEAST_SQNR_DB


def always_hosted(m: ModelBuilder, x: str) -> list[str]:
    """Every operator whose reason is always the same, on one map."""
    ones, zeros = m.constant([1.0] * 8), m.constant([0.0] * 8)
    inputs = {
        "ArgMax": (),
        "Div": (m.add("Exp", m.conv(x, 8, 8, 1)),),
        "GroupNormalization": (ones, zeros),
        "InstanceNormalization": (ones, zeros),
        "LRN": (),
        "LayerNormalization": (m.random_constant(6),),
        "LogSoftmax": (),
        "LpNormalization": (),
        "Max": (m.conv(x, 8, 8, 1),),
        "MeanVarianceNormalization": (),
        "Min": (m.conv(x, 8, 8, 1),),
        "RMSNormalization": (m.random_constant(6),),
        "Softmax": (),
    }
    more = {"GroupNormalization": {"num_groups": 2}, "LRN": {"size": 3}}
    assert inputs.keys() == FIXED_REASONS.keys()
    return [m.add(op_type, x, *names, **more.get(op_type, {})) for op_type, names in inputs.items()]


def test_what_the_host_always_runs(tmp_path: Path) -> None:
    m = ModelBuilder(1)
    outputs = always_hosted(m, m.conv(m.input((1, 3, 6, 6)), 3, 8))
    path = tmp_path / "model.onnx"
    path.write_bytes(m.build(*outputs, opset=23, ir_version=11))
    network = import_model(path).network
    hosts = {h["op"]: h["reason"] for h in host_ops(network)}
    assert {op: hosts.get(op) for op in FIXED_REASONS} == FIXED_REASONS


def test_quantised_operators_are_their_float_forms(tmp_path: Path) -> None:
    rows = [case for case in CASES if case.name in ("add", "multiply", "concat", "average pool", "mean of all", "gemm")]
    found = set[str]()
    for case in rows:
        model = quantised(case.model(), QuantFormat.QOperator)
        found |= {op.op_type for op in read_onnx(model).ops} & QOPERATORS
        require_as_said(case, flow(model, tmp_path, calibrated=False))
    assert found >= {"QGemm", "QLinearAdd", "QLinearConcat", "QLinearConv", "QLinearGlobalAveragePool", "QLinearMul"}


def test_the_table_of_operators_says_what_the_rows_show() -> None:
    shown: dict[str, set[str]] = {op: {"folded"} for op in TABLE_FUNCTIONS}
    shown |= {op: {"host"} for op in FIXED_REASONS}
    shown |= {op: {"accelerator"} for op in QOPERATORS}
    for case in CASES:
        for op in case.operator.split(", "):
            shown.setdefault(op, set()).add(case.engine)
    for row in SUPPORT:
        if row.operators != BOUNDARY:
            assert set(row.engines) == set().union(*(shown[op] for op in row.operators)), row.operators
    listed = [op for row in SUPPORT for op in row.operators]
    assert shown.keys() | set(BOUNDARY) == set(listed)
    assert len(listed) == len(set(listed))
