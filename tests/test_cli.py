"""The command line: exit codes and texts, for what works and for what does not."""

import errno
import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from command_line import Run, one_line
from intervals import cut_rectangle
from models import ModelBuilder
from onnx import TensorProto, helper

from sfopt import cli
from sfopt.allocate.packing import Packing
from sfopt.check_packing import check_packing
from sfopt.examples import digits_model_path
from sfopt.interval import read_intervals


def test_optimize_writes_every_file_and_check_confirms(sfopt: Run, tmp_path: Path) -> None:
    out = tmp_path / "digits"
    code, text, err = sfopt("optimize", digits_model_path(), "--device", "sim8", "--out", out)
    assert code == 0, err
    assert "0 mismatches" in text
    assert "optimal" in text
    names = {p.name for p in out.iterdir()}
    assert {
        "model.int8.onnx",
        "plan.json",
        "program.sfp",
        "program.s",
        "report.json",
        "report.html",
        "trace.json",
    } <= names
    report = json.loads((out / "report.json").read_text())
    assert report["schema"] == 1
    assert report["dram_bytes"]["planned"] == report["dram_bytes"]["simulated"]
    assert report["dram_bytes"]["rtl"] is None
    assert report["equivalence"]["mismatches"] == 0
    assert report["solver"]["status"] == "optimal"
    assert report["solver"]["objective"] == report["solver"]["bound"]
    assert {h["op"] for h in report["host_ops"]} == {"QuantizeLinear", "DequantizeLinear", "Softmax"}
    code, text, _ = sfopt("check", out)
    assert code == 0
    assert "every rule holds" in text
    code, text, _ = sfopt("disasm", out / "program.sfp")
    assert code == 0
    assert text == (out / "program.s").read_text()


def test_a_dynamic_batch_is_fixed_to_one_and_said_so(sfopt: Run, tmp_path: Path) -> None:
    m = ModelBuilder()
    (tmp_path / "open.onnx").write_bytes(m.build(m.conv(m.input(("N", 3, 8, 8)), 3, 4)))
    code, text, err = sfopt("optimize", tmp_path / "open.onnx", "--device", "sim8", "--out", tmp_path / "o")
    assert code == 0, err
    assert "import    input `x`: dynamic batch fixed to 1\n" in text
    assert json.loads((tmp_path / "o" / "report.json").read_text())["notes"] == ["input `x`: dynamic batch fixed to 1"]


def test_check_catches_a_shifted_offset(sfopt: Run, tmp_path: Path) -> None:
    out = tmp_path / "digits"
    assert sfopt("optimize", digits_model_path(), "--device", "sim8", "--out", out, "--no-verify")[0] == 0
    plan = json.loads((out / "plan.json").read_text())
    largest = max(plan["buffers"], key=lambda b: b["offset"])
    largest["offset"] = 65536
    (out / "plan.json").write_text(json.dumps(plan))
    code, _, err = sfopt("check", out)
    assert code == 1
    assert largest["name"] in one_line(err)


def test_json_report_is_all_that_is_printed(sfopt: Run, tmp_path: Path) -> None:
    code, text, _ = sfopt(
        "optimize", digits_model_path(), "--device", "sim8", "--out", tmp_path / "o", "--json", "--no-verify"
    )
    assert code == 0
    assert json.loads(text)["equivalence"] is None


def test_verify_says_what_was_compared(sfopt: Run) -> None:
    code, text, _ = sfopt("verify", digits_model_path(), "--device", "sim8")
    assert code == 0
    assert "0 mismatches in" in text
    assert "simulated traffic" in text


def test_explain_gives_each_host_op_a_reason(sfopt: Run) -> None:
    code, text, _ = sfopt(
        "explain", digits_model_path(), "--device", "sim8", "--method", "greedy-size", "--time-limit", "0.1"
    )
    assert code == 0
    assert "host: Softmax" in text


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("devices",), "kcu1500"),
        (("devices", "kcu1500"), "XCKU115"),
        (("backends",), "fpga"),
        (("ops",), "QLinearConv"),
        (("--version",), "0."),
        ((), "optimize"),
    ],
)
def test_listings(sfopt: Run, arguments: tuple[str, ...], expected: str) -> None:
    code, text, _ = sfopt(*arguments)
    assert code == 0
    assert expected in text


def model_with(op_type: str, domain: str, dims: tuple[object, ...], path: Path) -> Path:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, dims)
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    node = helper.make_node(op_type, ["x"], ["y"], name="odd", domain=domain)
    opsets = [helper.make_opsetid("", 17), *([helper.make_opsetid(domain, 1)] if domain else [])]
    graph = helper.make_graph([node], "g", [x], [y])
    path.write_bytes(helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString())
    return path


def test_missing_model(sfopt: Run, tmp_path: Path) -> None:
    code, _, err = sfopt("optimize", tmp_path / "absent.onnx")
    assert code == 2
    assert f"`{tmp_path / 'absent.onnx'}` does not exist" in one_line(err)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("keep", [0, 1, 1000, 400_000])
def test_truncated_model(sfopt: Run, tmp_path: Path, keep: int) -> None:
    model = tmp_path / "cut.onnx"
    model.write_bytes(digits_model_path().read_bytes()[:keep])
    code, _, err = sfopt("optimize", model, "--out", tmp_path / "o")
    assert code == 2
    assert "cut.onnx" in one_line(err)
    assert not (tmp_path / "o").exists()


def test_text_file_as_model(sfopt: Run, tmp_path: Path) -> None:
    (tmp_path / "notes.onnx").write_text("this is not a model\n" * 40)
    code, _, err = sfopt("optimize", tmp_path / "notes.onnx", "--out", tmp_path / "o")
    assert code == 2
    assert "notes.onnx" in one_line(err)


def test_unknown_operator(sfopt: Run, tmp_path: Path) -> None:
    model = model_with("Frobnicate", "", (1, 3, 8, 8), tmp_path / "odd.onnx")
    code, _, err = sfopt("optimize", model, "--out", tmp_path / "o")
    assert code == 2
    assert "Frobnicate" in one_line(err)


def test_operator_of_an_unknown_domain(sfopt: Run, tmp_path: Path) -> None:
    model = model_with("Frobnicate", "org.example", (1, 3, 8, 8), tmp_path / "odd.onnx")
    code, _, err = sfopt("optimize", model, "--out", tmp_path / "o")
    assert code == 2
    assert "Frobnicate" in one_line(err)


def test_shapes_that_cannot_be_inferred(sfopt: Run, tmp_path: Path) -> None:
    model = model_with("Relu", "", (1, 3, "height", "width"), tmp_path / "open.onnx")
    code, _, err = sfopt("optimize", model, "--out", tmp_path / "o")
    assert code == 2
    assert "`x`" in one_line(err)
    assert "height" in err


def test_sram_too_small_for_any_plan(sfopt: Run, tmp_path: Path) -> None:
    code, _, err = sfopt("optimize", digits_model_path(), "--device", "sim8", "--sram", "512", "--out", tmp_path / "o")
    assert code == 3
    line = one_line(err)
    assert "needs" in line
    assert "short by" in line
    assert not (tmp_path / "o").exists()


def test_sram_too_large_for_an_instruction(sfopt: Run, tmp_path: Path) -> None:
    arguments = ("optimize", digits_model_path(), "--device", "sim8", "--no-verify", "--out", tmp_path / "o")
    assert sfopt(*arguments, "--sram", "8M")[0] == 0
    code, _, err = sfopt(*arguments, "--sram", "64M")
    assert code == 2
    assert "64.0 MiB is too large, instructions address 8.0 MiB" in one_line(err)


def test_unknown_device(sfopt: Run, tmp_path: Path) -> None:
    code, _, err = sfopt("optimize", digits_model_path(), "--device", "kcu9999", "--out", tmp_path / "o")
    assert code == 2
    assert "kcu9999" in one_line(err)
    assert "kcu1500" in err


def test_device_file_with_a_wrong_key(sfopt: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('name = "mine"\nlanes_inn = 8\n')
    code, _, err = sfopt("optimize", digits_model_path(), "--device", tmp_path / "mine.toml", "--out", tmp_path / "o")
    assert code == 2
    assert "lanes_inn" in one_line(err)


def test_unwritable_output(sfopt: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    code, _, err = sfopt("optimize", digits_model_path(), "--device", "sim8", "--out", tmp_path / "file" / "o")
    assert code == 2
    assert "cannot write" in one_line(err)
    assert (tmp_path / "file").read_text() == "in the way"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("optimize", "MODEL", "--method", "magic"), "unknown method `magic`"),
        (("optimize", "MODEL", "--backend", "magic"), "unknown backend `magic`"),
        (("optimize", "MODEL", "--objective", "beauty"), "objective `beauty`"),
        (("optimize", "MODEL", "--sram", "lots"), "lots"),
        (("optimize", "MODEL", "--time-limit", "soon"), "--time-limit"),
        (("optimize", "MODEL", "--calibration", "absent.npz"), "absent.npz"),
        (("optimize",), "Missing argument"),
        (("optimise", "MODEL"), "optimise"),
        (("devices", "kcu9999"), "kcu9999"),
        (("disasm", "absent.sfp"), "absent.sfp"),
        (("disasm", "MODEL"), "program"),
        (("check", "absent"), "absent"),
        (("pack", "absent.csv", "--capacity", "10"), "cannot read `absent.csv`"),
        (("pack", "MODEL", "--capacity", "10"), "is not a text file"),
        (("pack", "MODEL"), "--capacity"),
        (("pack", "MODEL", "--capacity", "0"), "size `0` is 0 bytes"),
        (("pack", "--minimize"), "Missing argument"),
    ],
)
def test_wrong_usage_is_one_line(
    sfopt: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], expected: str
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, err = sfopt(*(digits_model_path() if a == "MODEL" else a for a in arguments))
    assert code == 2
    assert expected in one_line(err)
    assert list(tmp_path.iterdir()) == []


def test_a_refusal_of_the_operating_system_is_one_line(
    sfopt: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, _, err = sfopt("optimize", tmp_path / ("x" * 5000))
    assert code == 2
    assert one_line(err).endswith("File name too long")

    def full(stage: object, *arguments: object, **options: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("sfopt.pipeline.import_model", full)
    code, _, err = sfopt("optimize", digits_model_path(), "--out", tmp_path / "o")
    assert code == 2
    assert one_line(err) == f"a file (temporary ones go to `{tempfile.gettempdir()}`): No space left on device"
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_run_says_so(sfopt: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("sfopt.pipeline.import_model", stop)
    code, _, err = sfopt("optimize", digits_model_path(), "--out", tmp_path / "o")
    assert code == 130
    assert one_line(err) == "interrupted"
    assert list(tmp_path.iterdir()) == []


def test_demo_refuses_an_unwritable_folder_before_it_runs(
    sfopt: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sfopt.demo.run", None)
    (tmp_path / "file").touch()
    code, _, err = sfopt("demo", "--out", tmp_path / "file")
    assert code == 2
    assert one_line(err) == f"cannot write `{tmp_path / 'file'}`: not a directory"


INTERVALS = "id,lower,upper,size\na,0,4,600\nb,2,6,400\nc,4,8,500\nd,6,8,100\n"


@pytest.fixture
def intervals(tmp_path: Path) -> Path:
    path = tmp_path / "intervals.csv"
    path.write_text(INTERVALS)
    return path


def test_pack_prints_the_instance_with_offsets(sfopt: Run, intervals: Path) -> None:
    code, text, err = sfopt("pack", intervals, "--capacity", "1000")
    assert code == 0
    rows = [line.split(",") for line in text.splitlines()]
    assert [",".join(row[:4]) for row in rows] == INTERVALS.splitlines()
    assert rows[0][4] == "offset"
    offsets = {row[0]: int(row[4]) for row in rows[1:]}
    check_packing(read_intervals(intervals), offsets, 1000)
    assert err.startswith("4 intervals, peak 1000 bytes, bound 1000 bytes, optimal, ")


def test_pack_minimizes_into_a_file(sfopt: Run, intervals: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "answer.csv"
    code, text, err = sfopt("pack", intervals, "--minimize", "--out", out)
    assert (code, text) == (0, "")
    assert err.startswith("4 intervals, peak 1000 bytes, bound 1000 bytes, optimal, ")
    assert out.read_text().startswith("id,lower,upper,size,offset\na,0,4,600,")


def test_pack_says_that_nothing_fits(sfopt: Run, intervals: Path, tmp_path: Path) -> None:
    out = tmp_path / "answer.csv"
    code, text, err = sfopt("pack", intervals, "--capacity", "999", "--out", out)
    assert (code, text) == (3, "")
    assert one_line(err) == (
        "2 intervals that are live together, `b` the last to start, need 1000 bytes, capacity 999, short by 1"
    )
    assert not out.exists()


def test_pack_proves_what_no_load_shows(sfopt: Run, tmp_path: Path) -> None:
    path = tmp_path / "intervals.csv"
    rows = ((0, 2, 5), (4, 6, 3), (0, 3, 4), (2, 5, 3), (2, 4, 2), (5, 6, 5), (3, 5, 2))
    path.write_text("id,lower,upper,size\n" + "".join(f"{k},{a},{b},{z}\n" for k, (a, b, z) in enumerate(rows)))
    code, _, err = sfopt("pack", path, "--capacity", "9")
    assert code == 3
    assert one_line(err) == "no packing of the 7 intervals stays within 9 bytes, proven; heaviest load 9 bytes"
    code, _, err = sfopt("pack", path, "--capacity", "20", "--minimize")
    assert code == 0
    assert err.startswith("7 intervals, peak 10 bytes, bound 10 bytes, optimal, ")


def test_pack_says_that_time_ran_out(sfopt: Run, tmp_path: Path) -> None:
    path = tmp_path / "intervals.csv"
    puzzle = cut_rectangle(random.Random(1), 400, 60, 100_000)
    path.write_text("id,lower,upper,size\n" + "".join(f"{i.id},{i.lower},{i.upper},{i.size}\n" for i in puzzle))
    code, text, err = sfopt("pack", path, "--capacity", "100000", "--time-limit", "0.5")
    assert (code, text) == (1, "")
    assert one_line(err).startswith(
        "undecided after 0.5 s: no packing of the 400 intervals within 100000 bytes was found"
    )
    code, text, err = sfopt("pack", path, "--minimize", "--time-limit", "0.5")
    assert code == 0
    assert "bound 100000 bytes, feasible" in err
    assert len(text.splitlines()) == 401


def test_pack_checks_its_answer(sfopt: Run, intervals: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = Packing({"a": 0, "b": 500, "c": 0, "d": 500}, 900, 900, 0.0)
    monkeypatch.setattr(cli, "pack_intervals", lambda *_, **__: wrong)
    code, text, err = sfopt("pack", intervals, "--capacity", "1000")
    assert (code, text) == (1, "")
    assert one_line(err) == "interval `a` at 0 with 600 bytes overlaps `b` at 500, at time 2"


def test_pack_names_the_line(sfopt: Run, intervals: Path) -> None:
    intervals.write_text(INTERVALS.replace("6,8,100", "8,8,100"))
    code, text, err = sfopt("pack", intervals, "--capacity", "1000")
    assert (code, text) == (2, "")
    assert one_line(err) == f"`{intervals}` line 5: upper 8 is not above lower 8"


def test_pack_needs_a_capacity_or_a_wish(sfopt: Run, intervals: Path) -> None:
    code, _, err = sfopt("pack", intervals)
    assert code == 2
    assert one_line(err) == "pack needs --capacity BYTES, --minimize or both"


def test_installed_command_answers(tmp_path: Path) -> None:
    command = Path(sys.executable).with_name("sfopt")
    result = subprocess.run(
        [command, "optimize", "absent.onnx"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert result.returncode == 2
    assert result.stdout == ""
    assert one_line(result.stderr) == "model `absent.onnx` does not exist"


def test_a_model_of_one_unsupported_operator_is_refused_by_name(sfopt: Run, tmp_path: Path) -> None:
    model = model_with("Softmax", "", (1, 3, 8, 8), tmp_path / "soft.onnx")
    code, _, err = sfopt("optimize", model, "--out", tmp_path / "o")
    assert code == 2
    assert "no operator that the accelerator runs" in one_line(err)
