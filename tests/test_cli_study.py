"""`sfopt study` as a person meets it: files, texts, exit codes, kills and interruptions."""

import csv
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command_line import Run, one_line

from sfopt.errors import PlanCheckError
from sfopt.examples import digits_model_path
from sfopt.study.points import Outcome, Point, compute

SIZES = "8K:256K:16"
POINTS = 32


def arguments(out: Path) -> list[str]:
    model = str(digits_model_path())
    options = {
        "--device": "sim8",
        "--sram": SIZES,
        "--methods": "greedy-size,once-per-layer",
        "--jobs": "2",
        "--out": out,
    }
    return ["study", model, *(str(part) for option in options.items() for part in option)]


def start(out: Path) -> subprocess.Popen[str]:
    """The command in a process group of its own, standard error read back."""
    command = [sys.executable, "-c", "from sfopt.cli import main; main()", *arguments(out)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)


def kept(out: Path) -> dict[tuple[object, ...], tuple[object, ...]]:
    """What the database knows: (SRAM bytes, method) -> the whole record, with the time that planning took."""
    if not (out / "study.sqlite").exists():
        return {}
    with sqlite3.connect(f"file:{out / 'study.sqlite'}?mode=ro", uri=True) as database:
        if not database.execute("SELECT 1 FROM sqlite_master").fetchone():
            return {}
        return {tuple(r[:2]): r for r in database.execute("SELECT sram_bytes, method, * FROM points")}


def wait_for_points(process: subprocess.Popen[str], out: Path, count: int) -> None:
    while len(kept(out)) < count:
        assert process.poll() is None, "the study ended before it could be stopped"
        time.sleep(0.005)


def rows_of(out: Path) -> list[dict[str, str]]:
    with (out / "study.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def misbehave(point: Point) -> Outcome:
    if point.method == "once-per-layer":
        raise PlanCheckError("rule 5: `a` and `b` overlap")
    return compute(point)


def test_a_study_writes_its_files_and_says_so(sfopt: Run, tmp_path: Path) -> None:
    out = tmp_path / "s"
    code, text, err = sfopt(
        "study",
        digits_model_path(),
        "--device",
        "sim8",
        "--sram",
        "8K,16K",
        "--methods",
        "optimal, greedy-size",
        "--out",
        out,
    )
    assert (code, err) == (0, "")
    assert sorted(p.name for p in out.iterdir()) == [
        "digits.png",
        "digits.svg",
        "study.csv",
        "study.md",
        "study.sqlite",
    ]
    assert "digits: 14 groups; compulsory 0.190 MB, baseline 0.223 MB" in text
    assert "points    4: 4 computed, 0 kept from before; 2 infeasible, 0 failed" in text
    assert f"written   {out}" in text
    rows = rows_of(out)
    assert [(r["sram_bytes"], r["method"], r["status"]) for r in rows] == [
        ("8192", "optimal", "infeasible"),
        ("8192", "greedy-size", "infeasible"),
        ("16384", "optimal", "optimal"),
        ("16384", "greedy-size", "heuristic"),
    ]
    assert rows[2]["traffic"] == rows[2]["bound"] == rows[2]["compulsory"]


@pytest.mark.slow
def test_killed_and_started_again_it_computes_what_is_missing(sfopt: Run, tmp_path: Path) -> None:
    process = start(tmp_path)
    wait_for_points(process, tmp_path, 3)
    process.kill()
    # Standard error ends when the last process that holds it is gone: no worker outlives the command.
    assert "Traceback" not in process.communicate(timeout=60)[1]
    assert process.returncode == -signal.SIGKILL
    before = kept(tmp_path)
    assert 3 <= len(before) < POINTS
    assert not (tmp_path / "study.csv").exists()
    code, text, _ = sfopt(*arguments(tmp_path))
    assert code == 0
    assert f"points    {POINTS}: {POINTS - len(before)} computed, {len(before)} kept from before" in text
    after = kept(tmp_path)
    assert len(after) == len(rows_of(tmp_path)) == POINTS
    assert {key: after[key] for key in before} == before
    assert f"{POINTS}: 0 computed, {POINTS} kept from before" in sfopt(*arguments(tmp_path))[1]


@pytest.mark.slow
@pytest.mark.usefixtures("heeding_interrupts")
def test_interrupted_it_says_how_to_go_on(tmp_path: Path) -> None:
    process = start(tmp_path)
    wait_for_points(process, tmp_path, 2)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    done = len(kept(tmp_path))
    assert 2 <= done < POINTS
    assert one_line(err.strip()) == (
        f"interrupted; {done} of {POINTS} points are done and kept in `{tmp_path / 'study.sqlite'}`, "
        "the same command goes on from there"
    )


def test_a_failing_point_is_a_line_and_exit_code_1(
    sfopt: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sfopt.study.sweep.compute", misbehave)
    code, text, err = sfopt(
        "study",
        digits_model_path(),
        "--device",
        "sim8",
        "--methods",
        "once-per-layer,greedy-size",
        "--out",
        tmp_path / "s",
    )
    assert code == 1
    assert one_line(err) == "digits at 64.0 KiB by once-per-layer: rule 5: `a` and `b` overlap"
    assert "0 infeasible, 1 failed" in text
    failed, planned = rows_of(tmp_path / "s")
    assert (failed["status"], failed["error"], failed["traffic"]) == ("failed", "rule 5: `a` and `b` overlap", "")
    assert planned["status"] == "heuristic"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("absent.onnx",), "`absent.onnx` does not exist"),
        (("MODEL", "--methods", "optimal,magic"), "unknown method `magic`"),
        (("MODEL", "--sram", "8M:256K"), "`8M:256K` ends below its start"),
        (("MODEL", "--sram", "lots"), "lots"),
        (("MODEL", "--sram", "8"), "scratchpad of 8 B is too small"),
        (("MODEL", "--objective", "beauty"), "beauty"),
        (("MODEL", "--device", "kcu9999"), "kcu9999"),
        (("MODEL", "--jobs", "0"), "--jobs"),
        (("MODEL", "--out", "file/s"), "cannot write `file/s"),
        ((), "Missing argument"),
    ],
)
def test_wrong_usage_is_one_line_and_leaves_nothing(
    sfopt: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: tuple[str, ...],
    expected: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    code, _, err = sfopt("study", *(digits_model_path() if o == "MODEL" else o for o in options))
    assert code == 2
    assert expected in one_line(err)
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_without_matplotlib_nothing_is_planned(sfopt: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    code, _, err = sfopt("study", digits_model_path(), "--out", tmp_path / "s")
    assert code == 2
    assert "pip install 'sfopt[study]'" in one_line(err)
    assert not (tmp_path / "s").exists()
