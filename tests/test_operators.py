"""Every operator that users bring, through the whole flow: where it runs, why not on the accelerator, and the same bits everywhere."""

from pathlib import Path

import pytest
from models import quantised
from operator_cases import CASES, Case

from sfopt.device import load_device
from sfopt.importer import import_model
from sfopt.opset import SUPPORT
from sfopt.pipeline import Options, Result, optimize
from sfopt.quantize import random_calibration
from sfopt.onnx_io import read_onnx
from sfopt.report import build_report

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
