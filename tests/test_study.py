"""Studies: what is planned, kept, resumed, and said about what went wrong."""

import dataclasses
import os
import signal
import sqlite3
from pathlib import Path
from xml.etree import ElementTree

import pytest
from models import conv_chain, residual

from sfopt.allocate import METHODS, plan
from sfopt.cost import baseline_bytes, compulsory_bytes
from sfopt.device import load_device
from sfopt.errors import ModelError, OutputError, PlanCheckError, UsageError
from sfopt.examples import digits_model_path
from sfopt.importer import import_model
from sfopt.plan import Plan
from sfopt.study import FAILED, INFEASIBLE, Study, run
from sfopt.study.points import Outcome, Point, compute, read_subject
from sfopt.study.store import Store

SIM8 = load_device("sim8")
HEURISTICS = ("greedy-size", "once-per-layer")


@pytest.fixture(scope="module")
def point() -> Point:
    return Point(read_subject(digits_model_path()), SIM8.with_sram(16384), 16384, "greedy-size", "traffic", 10.0)


def without_seconds(made: Plan) -> Plan:
    return dataclasses.replace(made, certificate=dataclasses.replace(made.certificate, seconds=0.0))


class TestPoint:
    @pytest.mark.parametrize("method", METHODS)
    def test_a_plan_needs_no_weights(self, point, method):
        """Points carry the network without its graph; every method must plan from the rest alone."""
        full = import_model(digits_model_path()).network
        made, wanted = (plan(n, point.device, method, time_limit_s=60) for n in (point.subject.network, full))
        assert without_seconds(made) == without_seconds(wanted)

    def test_outcome_is_what_the_plan_shows(self, point):
        network, outcome = point.subject.network, compute(point)
        made = plan(network, point.device, point.method)
        assert (outcome.status, outcome.error) == ("heuristic", None)
        assert (outcome.traffic, outcome.peak) == (made.traffic_bytes, made.peak_bytes)
        assert outcome.bound == point.subject.compulsory == compulsory_bytes(network)
        assert point.subject.baseline == baseline_bytes(network)
        maps = [t for t in made.transfers if t.category == "feature_maps"]
        assert outcome.feature_map_bytes == sum(t.size_bytes for t in maps)
        assert outcome.shortcut_bytes == sum(t.size_bytes for t in maps if t.shortcut)
        assert outcome.weights_bytes == sum(t.size_bytes for t in made.transfers if t.category == "weights")
        assert outcome.cycles == next(o.value for o in made.certificate.objectives if o.name == "cycles")

    def test_no_plan_is_an_outcome_with_a_reason(self, point):
        outcome = compute(dataclasses.replace(point, device=SIM8.with_sram(4096), sram_bytes=4096))
        assert outcome.status == INFEASIBLE
        assert outcome.traffic is None
        assert "short by" in outcome.error

    def test_a_plan_that_breaks_a_rule_does_not_count(self, point, monkeypatch):
        def halved(*arguments: object, **options: object) -> Plan:
            made = plan(*arguments, **options)
            return dataclasses.replace(made, transfers=made.transfers[1:])

        monkeypatch.setattr("sfopt.study.points.plan", halved)
        with pytest.raises(PlanCheckError, match="rule 7"):
            compute(point)


class TestStore:
    FOUND = Outcome("heuristic", 9, 8, 7, 6, 5, 4, 3, 0.25)

    def test_an_outcome_is_read_back(self, point, tmp_path):
        path = tmp_path / "new" / "s.sqlite"
        with Store(path) as store:
            assert store.get(point) is None
            store.put(point, self.FOUND)
        with Store(path) as store:
            assert store.get(point) == self.FOUND

    @pytest.mark.parametrize(
        "change",
        [
            {"method": "once-per-layer"},
            {"objective": "latency"},
            {"sram_bytes": 16390},
            {"device": SIM8},
            {"device": dataclasses.replace(SIM8.with_sram(16384), dram_latency_cycles=7)},
        ],
    )
    def test_another_point_is_another_outcome(self, point, change):
        with Store(None) as store:
            store.put(point, self.FOUND)
            assert store.get(dataclasses.replace(point, **change)) is None

    def test_another_network_is_another_outcome(self, point):
        other = dataclasses.replace(point.subject, fingerprint="other")
        with Store(None) as store:
            store.put(point, self.FOUND)
            assert store.get(dataclasses.replace(point, subject=other)) is None

    def test_another_version_plans_anew(self, point, monkeypatch):
        with Store(None) as store:
            store.put(point, self.FOUND)
            monkeypatch.setattr("sfopt.study.store.__version__", "99.0")
            assert store.get(point) is None

    @pytest.mark.parametrize(
        ("status", "given_s", "offered_s", "kept"),
        [
            ("optimal", 1.0, 60.0, True),
            ("feasible", 60.0, 60.0, True),
            ("feasible", 60.0, 1.0, True),
            ("feasible", 1.0, 60.0, False),
            ("heuristic", 1.0, 60.0, False),
            (INFEASIBLE, 1.0, 60.0, False),
            (INFEASIBLE, 60.0, 60.0, True),
            (FAILED, 60.0, 60.0, False),
        ],
    )
    def test_what_could_be_better_is_tried_again(self, point, status, given_s, offered_s, kept):
        with Store(None) as store:
            store.put(dataclasses.replace(point, time_limit_s=given_s), Outcome(status))
            found = store.get(dataclasses.replace(point, time_limit_s=offered_s))
        assert (found is not None) == kept

    def test_a_file_that_is_no_database_is_named(self, tmp_path):
        (tmp_path / "s.sqlite").write_text("these are not the points you are looking for\n" * 100)
        with pytest.raises(OutputError, match=r"s\.sqlite`: file is not a database"):
            Store(tmp_path / "s.sqlite")

    def test_a_place_that_cannot_be_written_is_named(self, tmp_path):
        (tmp_path / "file").touch()
        with pytest.raises(OutputError, match=r"cannot write `.*s\.sqlite`: "):
            Store(tmp_path / "file" / "s.sqlite")


def import_and_note(model: Path):
    """`read_subject`, which leaves a file of the process and the model behind."""
    (Path(os.environ["STUDY_NOTES"]) / f"{model.name}-{os.getpid()}-{os.urandom(4).hex()}").touch()
    return read_subject(model)


def answer_at_once(point: Point) -> Outcome:
    return Outcome("heuristic", *[point.sram_bytes] * 7)


def misbehave(point: Point) -> Outcome:
    match point.method:
        case "greedy-size":
            raise PlanCheckError("rule 5: `a` and `b`\noverlap")
        case "greedy-order":
            return [][point.sram_bytes]
        case "once-per-layer":
            os.kill(os.getpid(), signal.SIGKILL)
    return compute(point)


@pytest.mark.slow
class TestRun:
    def test_rows_by_network_size_and_method(self, tmp_path, monkeypatch):
        models = [tmp_path / "chain.onnx", tmp_path / "residual.onnx"]
        for path, content in zip(models, (conv_chain(), residual()), strict=True):
            path.write_bytes(content)
        notes = tmp_path / "notes"
        notes.mkdir()
        monkeypatch.setenv("STUDY_NOTES", str(notes))
        monkeypatch.setattr("sfopt.study.sweep.read_subject", import_and_note)
        seen = list[tuple[str, int, int]]()
        study = run(
            [*models, models[0]],
            [16384, 1024, 16384],
            HEURISTICS,
            device=SIM8,
            jobs=2,
            progress=lambda *at: seen.append(at),
        )
        assert [(r.network, r.sram_bytes, r.method) for r in study.rows] == [
            (network, size, method)
            for network in ("chain", "residual")
            for size in (1024, 16384)
            for method in HEURISTICS
        ]
        assert len(list(notes.iterdir())) == len(models), "each network is imported once"
        assert seen == [("import", i, 2) for i in range(3)] + [("plan", i, 8) for i in range(9)]
        assert study.computed == len(study.rows) == 8
        assert study.failures == ()
        assert {r.status for r in study.rows if r.sram_bytes == 16384} == {"heuristic"}
        assert {r.status for r in study.rows if r.sram_bytes == 1024} == {INFEASIBLE}
        assert study.infeasible == tuple(r for r in study.rows if r.sram_bytes == 1024)
        for row in study.rows:
            assert (row.traffic is None) == (row.status == INFEASIBLE) == (row.error is not None)
            assert row.traffic is None or row.compulsory <= row.bound <= row.traffic

    def test_where_nothing_is_said_the_device_has_its_own_size_and_every_method_is_tried(self, monkeypatch):
        monkeypatch.setattr("sfopt.study.sweep.compute", answer_at_once)
        study = run([digits_model_path()], device=SIM8, jobs=1)
        assert [(r.sram_bytes, r.method) for r in study.rows] == [(SIM8.sram_bytes, method) for method in METHODS]

    def test_failures_are_rows_and_are_tried_again(self, tmp_path, monkeypatch):
        request = {"device": SIM8, "jobs": 2, "database": tmp_path / "s.sqlite"}
        methods = ("greedy-size", "greedy-order", "once-per-layer")
        with monkeypatch.context() as patched:
            patched.setattr("sfopt.study.sweep.compute", misbehave)
            study = run([digits_model_path()], [16384], [*methods, "optimal"], **request)
        assert [r.status for r in study.rows] == [FAILED, FAILED, FAILED, "optimal"]
        assert study.failures == study.rows[:3]
        refused, broken, died = (r.error for r in study.failures)
        assert refused == "rule 5: `a` and `b` overlap"
        assert broken == "internal error: IndexError: list index out of range"
        assert died.startswith("the worker process died")
        again = run([digits_model_path()], [16384], [*methods, "optimal"], **request)
        assert (again.computed, again.failures) == (3, ())
        assert again.rows[3] == study.rows[3]

    def test_two_models_of_one_shape_are_planned_once(self, tmp_path):
        for folder in ("a", "b"):
            (tmp_path / folder).mkdir()
            (tmp_path / folder / "same.onnx").write_bytes(conv_chain())
        models = [tmp_path / "a" / "same.onnx", tmp_path / "b" / "same.onnx"]
        study = run(models, [16384], ["greedy-size"], device=SIM8, jobs=1, database=tmp_path / "s.sqlite")
        assert [r.network for r in study.rows] == [str(m) for m in models]
        assert dataclasses.replace(study.rows[0], network="") == dataclasses.replace(study.rows[1], network="")
        with sqlite3.connect(tmp_path / "s.sqlite") as database:
            assert database.execute("SELECT count(*) FROM points").fetchone() == (1,)

    @pytest.mark.parametrize(
        ("change", "text"),
        [
            ({"methods": ["magic"]}, "unknown method `magic`; known: optimal"),
            ({"objective": "beauty"}, "unknown objective `beauty`"),
            ({"sram_bytes": [8]}, "scratchpad of 8 B is too small"),
            ({"models": []}, "at least one model"),
        ],
    )
    def test_a_wrong_request_costs_no_time(self, change, text):
        request = {"models": [digits_model_path()], "device": SIM8, **change}
        with pytest.raises(UsageError, match=text):
            run(**request)

    def test_a_model_that_cannot_be_imported_is_named(self, tmp_path):
        bad = tmp_path / "bad.onnx"
        bad.write_text("not a model")
        with pytest.raises(ModelError, match=r"bad\.onnx"):
            run([digits_model_path(), bad], device=SIM8, database=tmp_path / "s.sqlite")
        assert not (tmp_path / "s.sqlite").exists()

    def test_an_interruption_says_what_is_done(self, tmp_path):
        def interrupt(stage: str, done: int, total: int) -> None:
            if (stage, done) == ("plan", 3):
                raise KeyboardInterrupt

        request = {"device": SIM8, "jobs": 1, "database": tmp_path / "s.sqlite"}
        sizes = [8192, 16384, 32768]
        with pytest.raises(KeyboardInterrupt, match="3 of 6 points are done"):
            run([digits_model_path()], sizes, HEURISTICS, progress=interrupt, **request)
        assert run([digits_model_path()], sizes, HEURISTICS, **request).computed == 3


def test_a_notebook_shows_tables_and_pandas_takes_the_rows():
    study = Study(SIM8, "traffic", (), 0)
    assert study._repr_html_() == ""
    pandas = pytest.importorskip("pandas")
    row = run([digits_model_path()], [16384], ["greedy-size"], device=SIM8, jobs=1).rows[0]
    frame = pandas.DataFrame((row,))
    assert list(frame.columns) == [f.name for f in dataclasses.fields(row)]
    assert frame.traffic[0] == row.traffic
    shown = Study(SIM8, "traffic", (dataclasses.replace(row, network="<b>&"),), 1)._repr_html_()
    assert "<td>16.0 KiB</td><td>0.190</td>" in shown
    assert "<b>&: " in "".join(ElementTree.fromstring(shown).itertext())
