"""The integer programs against enumeration, with every modelling trick on and off."""

from collections.abc import Callable
from dataclasses import fields, replace

import pytest
from brute_force import TooManyCasesError, optimum
from networks import efficientnet_b0, mobilenet_v2, random_network, resnet50

from sfopt.allocate import OBJECTIVES, Switches, plan
from sfopt.check import check_plan
from sfopt.cost import compulsory_bytes
from sfopt.device import Device, load_device
from sfopt.errors import InfeasibleError, UsageError
from sfopt.groups import Network
from sfopt.plan import Status


def tiny_device(seed: int) -> Device:
    """Four lanes and a scratchpad of a few hundred bytes to a few KiB."""
    banks, bank_bytes = 5 + seed % 4, (32, 48, 64, 96, 160, 256)[seed // 4 % 6]
    latency = (3, 40)[seed % 2]
    return replace(
        load_device("sim8"),
        name="tiny",
        lanes_in=4,
        lanes_out=4,
        banks=banks,
        bank_bytes=bank_bytes,
        accumulator_pixels=8,
        dram_latency_cycles=latency,
    )


def solved(
    network: Network, device: Device, switches: Switches | None = None, objective: str = "traffic"
) -> tuple[int, ...] | None:
    """Values of the proven plan, which the checker has seen; None when infeasible."""
    try:
        found = plan(network, device, objective=objective, switches=switches)
    except InfeasibleError:
        return None
    check_plan(found, network, device)
    assert found.certificate.status is Status.OPTIMAL
    return tuple(o.value for o in found.certificate.objectives)


def compare(seeds: range, switches: Switches | None = None, objective: str = "traffic") -> tuple[int, int]:
    """Planner against enumeration: how many instances were compared, and how many of them had a plan."""
    compared = feasible = 0
    for seed in seeds:
        network = random_network(seed, ops=1 + seed % 3, side=4, channels=9)
        device = tiny_device(seed * 7 + seed // 60)
        if len(network.groups) > 3:
            continue
        try:
            expected = optimum(network, device, OBJECTIVES[objective])
        except TooManyCasesError:
            continue
        assert solved(network, device, switches, objective) == expected, f"seed {seed}"
        compared += 1
        feasible += expected is not None
    return compared, feasible


@pytest.mark.parametrize("block", range(6))
def test_optimum_equals_enumeration(block: int) -> None:
    compared, feasible = compare(range(block * 80, block * 80 + 80))
    assert compared >= 40
    assert feasible >= 20


def test_optimum_for_latency_equals_enumeration() -> None:
    compared, feasible = compare(range(500, 560), objective="latency")
    assert compared >= 25
    assert feasible >= 12


ALL_OFF = Switches(**{f.name: False for f in fields(Switches)})


@pytest.mark.parametrize(
    "switches", [*(replace(Switches(), **{f.name: False}) for f in fields(Switches)), ALL_OFF], ids=str
)
def test_switches_leave_the_optimum_alone(switches: Switches) -> None:
    compared, _ = compare(range(600, 640), switches)
    assert compared >= 20


@pytest.mark.parametrize("make", [mobilenet_v2, efficientnet_b0, resnet50])
@pytest.mark.parametrize("sram", [6 << 20, 2 << 20])
def test_known_networks_are_proven(make: Callable[[], Network], sram: int) -> None:
    network, device = make(), load_device("kcu1500").with_sram(sram)
    found = plan(network, device, time_limit_s=60)
    check_plan(found, network, device)
    assert [o.status for o in found.certificate.objectives] == [Status.OPTIMAL] * 3
    if sram == 6 << 20:
        assert found.traffic_bytes == compulsory_bytes(network)


def test_same_arguments_give_the_same_plan() -> None:
    network, device = mobilenet_v2(64), load_device("kcu1500").with_sram(256 << 10)
    one, two = (plan(network, device, workers=w, seed=3) for w in (1, 1))
    assert one.buffers == two.buffers
    assert one.segments == two.segments


def test_more_scratchpad_never_costs_traffic() -> None:
    network = mobilenet_v2(64)
    sizes = (96 << 10, 128 << 10, 192 << 10, 512 << 10)
    traffic = [plan(network, load_device("kcu1500").with_sram(s)).traffic_bytes for s in sizes]
    assert traffic == sorted(traffic, reverse=True)
    assert traffic[-1] == compulsory_bytes(network)


def test_no_time_gives_a_plan_that_claims_no_more_than_it_knows() -> None:
    network, device = resnet50(), load_device("kcu1500").with_sram(1 << 20)
    found = plan(network, device, time_limit_s=0.01)
    check_plan(found, network, device)
    assert found.certificate.status is Status.FEASIBLE


def test_what_does_not_fit_is_named_with_its_numbers() -> None:
    with pytest.raises(InfeasibleError, match=r"t101.*needs .* KiB.*scratchpad has 255\.0 KiB, short by .* KiB"):
        plan(resnet50(), load_device("kcu1500").with_sram(256 << 10))


def test_unknown_method_and_objective_are_named() -> None:
    network, device = random_network(0), load_device("sim8")
    with pytest.raises(UsageError, match="unknown method `best`; known: optimal"):
        plan(network, device, "best")
    with pytest.raises(UsageError, match="unknown objective `area`; known: traffic"):
        plan(network, device, objective="area")


def test_progress_reports_every_level() -> None:
    seen = list[tuple[str, int, int]]()
    plan(random_network(0), load_device("sim8"), on_progress=lambda *news: seen.append(news))
    assert [name for name, _, _ in seen][:3] == ["traffic", "cycles", "peak"]
    assert all(bound <= value for _, value, bound in seen)
