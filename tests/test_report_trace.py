"""`trace.json`: a valid Chrome trace in which every instruction, cycle and byte of the run is found again."""

import json
from collections import Counter, defaultdict
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from segment_networks import SEGMENT_NETWORKS
from transposed_networks import transposed_network

from sfopt.backend import Event, Execution
from sfopt.device import load_device
from sfopt.errors import InternalError
from sfopt.groups import Network
from sfopt.plan import Plan
from sfopt.report.trace import trace_json
from sfopt.testing.naive_plan import Choice, naive_plan
from sfopt_fpga.backend import FpgaBackend
from sfopt_fpga.simulator import simulate
from sfopt_fpga.slices import label_events

DEVICE = replace(load_device("sim8"), banks=256)
"""Naive plans give each buffer banks of its own."""
ENGINES = ("load", "compute", "store")
NETWORKS = {**SEGMENT_NETWORKS, "transposed": lambda: transposed_network(3)}


def executed(name: str, choice: Choice | None = None, cuts: tuple[int, ...] = ()) -> tuple[Network, Plan, Execution]:
    network = NETWORKS[name]()
    plan = naive_plan(network, DEVICE, choice or Choice(band_rows=2), [*cuts])
    rng = np.random.default_rng(0)
    maps = [network.maps[n] for n in network.inputs]
    inputs = {m.name: rng.integers(-128, 128, (1, m.channels, m.height, m.width), np.int8) for m in maps}
    return network, plan, FpgaBackend().compile(network, plan, DEVICE).run(inputs)


def read(text: str) -> list[dict[str, Any]]:
    trace = json.loads(text)
    assert trace["displayTimeUnit"] == "ns"
    return list(trace["traceEvents"])


def require_valid(records: list[dict[str, Any]]) -> None:
    """The rules of the format for what is in it: names for every track, and slices that follow each other."""
    tracks = defaultdict(list)
    named = {(r["name"], r["pid"], r["tid"]) for r in records if r["ph"] == "M"}
    for r in records:
        assert r["ph"] in ("M", "X")
        assert type(r["pid"]) is type(r["tid"]) is int
        if r["ph"] == "M":
            assert r["name"] in ("process_name", "process_sort_index", "thread_name", "thread_sort_index")
            continue
        assert ("process_name", r["pid"], 0) in named
        assert ("thread_name", r["pid"], r["tid"]) in named
        assert r["name"]
        assert r["ts"] >= 0
        assert r["dur"] >= 0
        tracks[r["pid"], r["tid"]].append((r["ts"], r["ts"] + r["dur"]))
    for slices in tracks.values():
        nanoseconds = [(round(1000 * a), round(1000 * b)) for a, b in slices]
        assert all(abs(1000 * a - n) < 1e-4 for (a, _), (n, _) in zip(slices, nanoseconds, strict=True))
        assert all(before[1] <= after[0] for before, after in pairwise(nanoseconds))


@pytest.mark.parametrize("name", ["residual_chain", "forks", "inception", "pyramid", "transposed"])
def test_every_cycle_and_byte_is_in_it(name: str) -> None:
    _, plan, execution = executed(name, cuts=(1,))
    records = read(trace_json({"timing model": execution.events}, DEVICE))
    require_valid(records)
    slices = [r for r in records if r["ph"] == "X"]
    engine = {r["tid"]: r["args"]["name"] for r in records if r["name"] == "thread_name"}
    assert tuple(engine.values()) == ENGINES
    for tid, track in engine.items():
        mine = [r["args"] for r in slices if r["tid"] == tid]
        assert sum(a["end_cycle"] - a["start_cycle"] for a in mine) == execution.busy_cycles[track]
        assert round(1e3 * sum(r["dur"] for r in slices if r["tid"] == tid)) == 10 * execution.busy_cycles[track]
    assert execution.cycles is not None
    assert max(r["args"]["end_cycle"] for r in slices) <= execution.cycles
    moved = Counter[str]()
    for r in slices:
        moved[r["name"]] += r["args"]["dram_bytes"]
    planned = Counter[str]()
    for t in plan.transfers:
        planned[t.tensor] += t.size_bytes
    assert +moved == +planned


@pytest.mark.parametrize("name", ["residual_chain", "forks", "pyramid", "transposed"])
def test_slices_name_group_rows_and_channels(name: str) -> None:
    network, _, execution = executed(name)
    groups = {g.name: g for g in network.groups}
    done: dict[str, set[tuple[int, int]]] = defaultdict(set)
    for event in execution.events:
        assert event.instruction is not None
        group = groups[event.group or ""]
        if event.engine == "compute":
            assert event.name == group.output
            assert event.rows is not None
            assert event.channels is not None
            done[group.name].update((r, c) for r in range(*event.rows) for c in range(*event.channels))
        elif event.name in network.maps:
            assert event.name in (group.reads if event.engine == "load" else group.writes)
            assert event.rows is not None
            row_bytes = network.maps[event.name].size_bytes // network.maps[event.name].height
            assert event.dram_bytes == row_bytes * (event.rows[1] - event.rows[0])
        else:
            assert event.name in (f"{group.name}.weights", f"{group.name}.parameters")
            assert event.rows is None
    for g in network.groups:
        out = network.maps[g.output]
        assert {row for row, _ in done[g.name]} == set(range(out.height)), g.name
        pieces = [network.maps[p.tensor].channels for p in g.pieces]
        assert {c for _, c in done[g.name]} == set(range(max(pieces) if len(pieces) > 1 else out.channels)), g.name


def test_ends_of_neighbours_meet_at_any_clock() -> None:
    """A third of a nanosecond more or less would let one slice hang over into the next."""
    for clock_hz in (333_000_000, 300_000_000, 187_500_000, 1_000_000_007):
        ends = np.random.default_rng(clock_hz).integers(1, 5, 500).cumsum().tolist()
        events = [Event("load", "x", a, b) for a, b in pairwise([0, *ends])]
        records = read(trace_json({"any": events}, replace(DEVICE, clock_hz=clock_hz)))
        require_valid(records)
        slices = [r for r in records if r["ph"] == "X"]
        assert slices[-1]["ts"] + slices[-1]["dur"] == pytest.approx(1e6 * ends[-1] / clock_hz, abs=1e-3)


def test_two_runs_are_two_processes() -> None:
    records = read(trace_json({"timing model": [Event("load", "x", 0, 4)], "RTL": [Event("load", "x", 1, 6)]}, DEVICE))
    require_valid(records)
    assert [r["args"]["name"] for r in records if r["name"] == "process_name"] == ["timing model", "RTL"]
    assert [(r["pid"], r["args"]["end_cycle"]) for r in records if r["ph"] == "X"] == [(1, 4), (2, 6)]


def test_an_engine_of_another_backend_gets_a_track_of_its_own() -> None:
    records = read(trace_json({"run": [Event("dma", "x", 0, 4), Event("load", "y", 0, 4)]}, DEVICE))
    require_valid(records)
    assert [r["args"]["name"] for r in records if r["name"] == "thread_name"] == [*ENGINES, "dma"]


def test_intervals_that_are_not_the_programs_are_refused() -> None:
    network = SEGMENT_NETWORKS["forks"]()
    program = FpgaBackend().compile(network, naive_plan(network, DEVICE, Choice()), DEVICE).program
    maps = [network.maps[n] for n in network.inputs]
    events = simulate(program, {m.name: np.zeros((m.height, m.width, m.channels), np.int8) for m in maps}).events
    assert len(list(label_events(program, network, events))) == len(events)
    for wrong in ([*events, events[-1]], events[1:]):
        with pytest.raises(InternalError, match=r"instruction \d+ \w+ was executed out of turn"):
            list(label_events(program, network, wrong))
