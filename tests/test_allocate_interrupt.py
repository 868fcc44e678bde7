"""Ctrl-C while a plan is searched: the best so far comes back, beside what was proven until then."""

import time
from dataclasses import replace
from types import SimpleNamespace

import pytest
from networks import resnet50
from small_cases import shared_case

from sfopt.allocate import optimal, plan
from sfopt.allocate.cuts import Cut
from sfopt.allocate.linear import Limits
from sfopt.allocate.placement import PlacementResult, place
from sfopt.allocate.problem import Problem
from sfopt.allocate.switches import Switches
from sfopt.check import check_plan
from sfopt.device import load_device
from sfopt.errors import TimeLimitError
from sfopt.plan import Status

DEVICE = load_device("kcu1500").with_sram(1 << 20)


def interrupt_at(level: str):
    def on_progress(name: str, value: int | None, bound: int) -> None:
        if name == level:
            raise KeyboardInterrupt

    return on_progress


def test_nothing_placed_yet_gives_a_plan_beside_the_proven_bound() -> None:
    network, proven = resnet50(), dict[str, int]()

    def on_progress(name: str, value: int | None, bound: int) -> None:
        if name == "cycles":
            raise KeyboardInterrupt
        proven[name] = bound

    found = plan(network, DEVICE, on_progress=on_progress)
    check_plan(found, network, DEVICE)
    traffic = found.certificate.objectives[0]
    assert found.certificate.status is Status.FEASIBLE
    assert traffic.bound == proven["traffic"] < traffic.value


def test_a_limit_to_traffic_that_no_plan_kept_in_time_is_said() -> None:
    network = resnet50()
    with pytest.raises(TimeLimitError, match=r"no plan of at most 28000000 bytes was found before Ctrl-C"):
        plan(network, DEVICE, on_progress=interrupt_at("traffic"), traffic_limit=28_000_000)


def test_the_best_placement_so_far_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first placement is made one bank too high; the second never comes."""
    network, device = resnet50(), load_device("kcu1500")
    peaks = list[int]()

    def placed_high(search, choice, layout):
        if peaks:
            raise KeyboardInterrupt
        lower = replace(device, banks=device.banks - 1)
        found = place(layout, lower, 0, search.left())
        assert found.offsets is not None
        peaks.append(found.peak_bytes + device.bank_bytes)
        raised = tuple(o + device.bank_bytes for o in found.offsets)
        return PlacementResult(raised, peaks[0], 0), Cut(0, {}, {}, frozenset())

    monkeypatch.setattr(optimal, "_place", placed_high)
    found = plan(network, device)
    check_plan(found, network, device)
    traffic, cycles, peak = found.certificate.objectives
    assert (traffic.status, cycles.status, peak.status) == (Status.OPTIMAL, Status.OPTIMAL, Status.FEASIBLE)
    assert peak.value == peaks[0]
    assert found.certificate.status is Status.FEASIBLE


def test_a_bound_over_small_budgets_alone_is_not_claimed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time runs out when the plans that move little at each step have been proven, but not those that move more at one."""
    network, device = shared_case(75)
    problem = Problem.build(network, device, Switches())
    least = optimal.traffic_bound(problem, Limits(60), Switches())
    levels, late = list[tuple[str, int | None]](), [0.0]
    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + late[0])
    monkeypatch.setattr(optimal, "time", clock)

    def stop(name: str, value: int | None, bound: int) -> None:
        levels.append((name, value))
        assert value is None or bound <= value
        late[0] = 1e6

    outcome = optimal.solve(problem, ("traffic", "cycles", "peak"), Limits(60), Switches(), stop)
    assert [value for name, value in levels if name == "traffic"][-1] == 2380
    assert least == 2310
    assert outcome.bounds["traffic"] <= least
    assert outcome.best is not None
    assert [o.status for o in outcome.best.objectives] == [Status.FEASIBLE] * 3
