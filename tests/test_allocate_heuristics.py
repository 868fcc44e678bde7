"""Every heuristic, on random networks: a plan that the checker takes and the machine runs, never better than the optimum."""

from collections import Counter
from functools import cache

import pytest
from emit_cases import Case, moved_bytes, promised_bytes
from networks import GraphBuilder, mobilenet_v2, random_network, resnet50
from small_cases import tiny_device
from test_emit import host_network

from sfopt.allocate import METHODS, plan
from sfopt.allocate.heuristics import HEURISTICS
from sfopt.check import check_plan
from sfopt.cost import baseline_bytes, compulsory_bytes
from sfopt.device import Device, load_device
from sfopt.errors import InfeasibleError
from sfopt.groups import Kind, Network
from sfopt.plan import Plan, Role, Status

SEEDS = range(20)


@cache
def instance(seed: int) -> tuple[Network, Device]:
    network = random_network(seed, ops=3 + seed % 7, side=6 + seed % 5, channels=6 + seed % 15)
    device = tiny_device(seed) if seed % 4 == 1 else load_device("sim8").with_sram((3, 4, 6, 12)[seed // 2 % 4] << 10)
    return network, device


@cache
def plan_of(seed: int, method: str) -> Plan | None:
    try:
        return plan(*instance(seed), method, time_limit_s=60)
    except InfeasibleError:
        return None


def run(network: Network, device: Device, found: Plan, seed: int = 0) -> None:
    """The checker's word, then the machine's: every tensor as ONNX Runtime has it, every byte as planned."""
    from sfopt_fpga.emit import emit

    check_plan(found, network, device)
    case = Case(network, seed)
    result = case.simulate(emit(found, network, device))
    assert case.differing(result) == []
    assert moved_bytes(result) == promised_bytes(found)


@pytest.mark.parametrize("method", HEURISTICS)
@pytest.mark.parametrize("seed", SEEDS)
def test_plans_run_and_are_never_below_the_optimum(seed: int, method: str) -> None:
    best, found = plan_of(seed, "optimal"), plan_of(seed, method)
    if found is None:
        return
    network, device = instance(seed)
    run(network, device, found, seed)
    assert best is not None
    assert best.certificate.objectives[0].bound <= found.traffic_bytes
    assert best.certificate.status is not Status.OPTIMAL or best.traffic_bytes <= found.traffic_bytes


def test_the_instances_tell_methods_apart() -> None:
    """Otherwise the comparison above would say nothing: heuristics are worse than the optimum, and differ from each other."""
    worse, answers = Counter[str](), Counter[str]()
    for seed in SEEDS:
        best = plan_of(seed, "optimal")
        for method in HEURISTICS:
            found = plan_of(seed, method)
            if best is not None and found is not None:
                answers[method] += 1
                worse[method] += found.traffic_bytes > best.traffic_bytes
    assert min(answers[m] for m in HEURISTICS) >= 12
    assert all(worse[m] >= 1 for m in HEURISTICS)
    assert worse["cutpoint"] > worse["greedy-size"]
    assert len({tuple(plan_of(s, m).buffers for s in SEEDS if plan_of(s, m)) for m in HEURISTICS}) == len(HEURISTICS)


@pytest.mark.parametrize("method", HEURISTICS)
def test_host_groups_are_gone_around(method: str) -> None:
    network, device = host_network(), load_device("sim8")
    found = plan(network, device, method)
    run(network, device, found)
    touched = {m for g in network.groups if g.kind is Kind.HOST for m in (*g.reads, *g.writes)}
    assert touched
    assert touched.isdisjoint(b.content for b in found.buffers if b.role is Role.RESIDENT)


@pytest.mark.parametrize("method", HEURISTICS)
def test_a_concat_wider_than_residency_is_decided_for(method: str) -> None:
    """Nine maps into one: options exist only for all or none of the smallest."""
    b = GraphBuilder("wide")
    x = b.input(4, 8, 8)
    network = b.network([b.conv(b.concat(*(b.conv(x, 3 + i) for i in range(9))), 8)])
    for sram_bytes in (4 << 10, 8 << 10, 64 << 10):
        device = load_device("sim8").with_sram(sram_bytes)
        run(network, device, plan(network, device, method))


@pytest.mark.parametrize("method", HEURISTICS)
def test_known_networks(method: str) -> None:
    """Between the compulsory traffic, which all but one reach in 6 MiB, and the baseline."""
    for network in (mobilenet_v2(), resnet50()):
        for sram_bytes in (1 << 20, 6 << 20):
            device = load_device("kcu1500").with_sram(sram_bytes)
            found = plan(network, device, method)
            check_plan(found, network, device)
            assert compulsory_bytes(network) <= found.traffic_bytes <= baseline_bytes(network)
            held = sram_bytes == 6 << 20 and method != "once-per-layer"
            assert (found.traffic_bytes == compulsory_bytes(network)) == held
            proven = found.certificate.objectives[0].status is Status.OPTIMAL
            assert proven == held
            assert found.certificate.status is Status.HEURISTIC


@pytest.mark.parametrize("method", METHODS)
def test_the_same_seed_gives_the_same_plan(method: str) -> None:
    network, device = mobilenet_v2(64), load_device("kcu1500").with_sram(192 << 10)
    one, two = (plan(network, device, method, seed=5) for _ in range(2))
    assert (one.buffers, one.segments) == (two.buffers, two.segments)


@pytest.mark.parametrize("method", HEURISTICS)
def test_what_does_not_fit_is_named(method: str) -> None:
    with pytest.raises(InfeasibleError, match=r"needs .*, scratchpad has 255\.0 KiB"):
        plan(resnet50(), load_device("kcu1500").with_sram(256 << 10), method)
