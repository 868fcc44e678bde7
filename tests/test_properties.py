"""What must hold of every plan, whatever the network: the planner's claims, re-derived from docs/plan-rules.md alone."""

from dataclasses import replace
from functools import cache

import pytest
from networks import GraphBuilder, random_network

from sfopt.allocate import Switches, plan
from sfopt.check import check_plan
from sfopt.cost import compulsory_bytes, constant_bytes
from sfopt.device import Device, load_device
from sfopt.errors import InfeasibleError, PlanCheckError
from sfopt.groups import Kind, Network
from sfopt.plan import Plan, Role, Status, WeightMode

SRAM_BYTES = (1 << 10, 2 << 10, 3 << 10, 4 << 10, 6 << 10, 8 << 10, 16 << 10, 1 << 20)
SEEDS = range(12)
PATIENCE_S = 240.0
"""All of them are proven, in some seconds each; for a machine that is busy with other tests."""


@cache
def network_of(seed: int) -> Network:
    return random_network(seed, ops=3 + seed % 5, side=10, channels=20)


@cache
def plan_of(seed: int, sram_bytes: int, method: str = "optimal") -> Plan | None:
    """The plan on an 8-lane device with that scratchpad; None where there is none."""
    try:
        return plan(network_of(seed), load_device("sim8").with_sram(sram_bytes), method, time_limit_s=PATIENCE_S)
    except InfeasibleError:
        return None


def plans(seed: int, method: str = "optimal") -> list[Plan | None]:
    return [plan_of(seed, size, method) for size in SRAM_BYTES]


def traffic(found: Plan) -> int:
    return next(o.value for o in found.certificate.objectives if o.name == "traffic")


def derived_traffic(network: Network, found: Plan) -> int:
    """Bytes that a plan must move, from its segments, its residents and its weight modes; its transfers are not looked at.

    A map is read once by each segment that neither makes it nor sees it resident, and once where it becomes resident as a network
    input. It is written once if it is a network output, or if anything reads it from DRAM. A ring costs nothing.
    """
    steps = {g: step for step, s in enumerate(found.segments) for g in range(s.first, s.last + 1)}
    lives = {b.content: range(b.first_step, b.last_step + 1) for b in found.buffers if b.role is Role.RESIDENT}
    total = constant_bytes(network)
    for name, fmap in network.maps.items():
        made = steps[network.producers[name]] if name in network.producers else None
        reading = {steps[g] for g in network.readers[name]} - {made}
        streamed = [step for step in reading if step not in lives.get(name, ())]
        nobody = not network.readers[name]
        reads = len(streamed) + (name in network.inputs and name in lives)
        writes = made is not None and (name in network.outputs or bool(streamed) or nobody)
        total += fmap.height * fmap.width * fmap.channels * (reads + writes)
    for segment in found.segments:
        for run in segment.runs:
            if run.weight_mode is WeightMode.REREAD:
                op = network.graph.ops_by_name[network.groups[run.group].heavy]
                total += network.graph.tensor(op.inputs[1]).elements * (segment.bands - 1)
            if run.weight_mode is WeightMode.INPUT_REREAD:
                tiles = -(-network.maps[network.groups[run.group].output].channels // run.channel_tile)
                banded = (network.maps[f.tensor] for f in segment.feeds if f.first < network.maps[f.tensor].height)
                total += (tiles - 1) * sum(m.height * m.width * m.channels for m in banded)
    return total


@pytest.mark.parametrize("seed", SEEDS)
def test_traffic_is_what_residents_and_weight_modes_say(seed: int) -> None:
    found = [p for m in ("optimal", "greedy-size") for p in plans(seed, m) if p is not None]
    assert found
    for p in found:
        assert traffic(p) == derived_traffic(network_of(seed), p) == sum(t.size_bytes for t in p.transfers)


def test_the_sweep_spills_rereads_and_joins() -> None:
    """Otherwise the properties here would say nothing."""
    found = [(network_of(s), p) for s in SEEDS for p in (*plans(s), *plans(s, "greedy-size")) if p is not None]
    assert sum(traffic(p) > compulsory_bytes(n) for n, p in found) >= 10
    segments = [s for _, p in found for s in p.segments]
    modes = {run.weight_mode for s in segments for run in s.runs}
    assert modes == set(WeightMode)
    assert any(s.bands > 1 and s.first == s.last for s in segments)
    assert sum(s.first < s.last for s in segments) >= 10
    assert {b.role for _, p in found for b in p.buffers} == set(Role)


@pytest.mark.parametrize("seed", SEEDS)
def test_more_scratchpad_never_costs_traffic(seed: int) -> None:
    """A plan for banks of b bytes is one for banks of more: every offset moves to the same place in the same bank."""
    feasible = [p is not None for p in plans(seed)]
    assert feasible == sorted(feasible)
    proven = [traffic(p) for p in plans(seed) if p is not None and p.certificate.status is Status.OPTIMAL]
    assert proven
    assert proven == sorted(proven, reverse=True)


@pytest.mark.parametrize("seed", SEEDS)
def test_everything_fits_means_compulsory_traffic(seed: int) -> None:
    network = network_of(seed)
    for found in plans(seed):
        assert found is None or traffic(found) >= compulsory_bytes(network)
    largest = plan_of(seed, SRAM_BYTES[-1])
    assert largest is not None
    read_by_nobody = sum(
        m.size_bytes for n, m in network.maps.items() if not network.readers[n] and n not in network.outputs
    )
    assert read_by_nobody == 0
    if all(g.kind is not Kind.HOST for g in network.groups):
        ends = sum(network.maps[n].size_bytes for n in (*network.inputs, *network.outputs))
        assert traffic(largest) == compulsory_bytes(network) == ends + constant_bytes(network)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_heuristic_is_never_below_the_optimum_nor_a_bound_above_its_value(seed: int) -> None:
    for best, greedy in zip(plans(seed), plans(seed, "greedy-size"), strict=True):
        if greedy is None:
            continue
        assert best is not None
        for found in (best, greedy):
            for o in found.certificate.objectives:
                assert o.bound <= o.value
                assert (o.bound == o.value) == (o.status is Status.OPTIMAL)
        bound = next(o.bound for o in best.certificate.objectives if o.name == "traffic")
        assert bound <= traffic(greedy)
        if best.certificate.status is Status.OPTIMAL:
            assert [o.value for o in best.certificate.objectives] <= [o.value for o in greedy.certificate.objectives]


def widened(side: int = 16) -> Network:
    """8 channels, 64 in the middle, 8 again: the middle map has 16 KiB, its neighbours 2 KiB."""
    b = GraphBuilder("widened")
    return b.network([b.conv(b.conv(b.input(8, side, side), 64), 8)])


@pytest.mark.parametrize(
    ("sram_bytes", "segments", "middle_crossings"),
    [
        (8 << 10, False, 2),
        (12 << 10, False, 2),
        (15 << 10, False, 2),
        (40 << 10, False, 0),
        (2560, True, 2),  # less than the constants, two rows of 1 KiB in banks of their own and a row of the input
        (3 << 10, True, 0),
        (8 << 10, True, 0),
        (15 << 10, True, 0),
        (40 << 10, True, 0),
    ],
)
def test_a_map_larger_than_the_scratchpad_crosses_twice_or_never(
    sram_bytes: int, segments: bool, middle_crossings: int
) -> None:
    """Weights read once: one group at a time, it is written and read; a segment of both groups keeps a ring of it."""
    network, switches = widened(), Switches(segments=segments, reread_weights=False)
    found = plan(network, load_device("sim8").with_sram(sram_bytes), switches=switches)
    weights = 8 * 64 + 64 * 8
    constants = constant_bytes(network)
    assert constants >= weights
    assert traffic(found) == 2048 + 2048 + middle_crossings * 16384 + constants
    assert found.certificate.status is Status.OPTIMAL


def test_a_shortcut_that_does_not_fit_is_read_again_unless_one_segment_holds_its_readers() -> None:
    """x is read by two groups, a convolution and one that ends with the sum."""
    b = GraphBuilder("shortcut")
    x = b.input(8, 32, 32)
    network = b.network([b.add(b.conv(b.conv(x, 8, 3), 8, 3), x)])
    size, constants = 8 * 32 * 32, constant_bytes(network)
    large = plan(network, load_device("sim8"))
    assert traffic(large) == 2 * size + constants
    device = load_device("sim8").with_sram(6 << 10)  # less than one map: everything streams
    apart = plan(network, device, switches=Switches(segments=False))
    assert traffic(apart) == 2 * size + size + 2 * size + constants  # x twice, the middle out and in, the result
    joined = plan(network, device)
    assert traffic(joined) == 2 * size + constants
    small = plan(network, device.with_sram(3 << 10))  # no room for the rings of both convolutions
    assert traffic(small) == traffic(apart)


@pytest.mark.parametrize("seed", SEEDS)
def test_segments_never_cost_traffic(seed: int) -> None:
    network = network_of(seed)
    for size, joined in zip(SRAM_BYTES, plans(seed), strict=True):
        if joined is not None:
            device = load_device("sim8").with_sram(size)
            apart = plan(network, device, switches=Switches(segments=False), time_limit_s=PATIENCE_S)
            assert traffic(joined) <= traffic(apart)


def spilling() -> tuple[Network, Device, Plan]:
    network, device = widened(), load_device("sim8").with_sram(2560)
    return network, device, plan(network, device)


def test_these_derivations_see_a_plan_that_lies() -> None:
    network, device, honest = spilling()
    assert derived_traffic(network, honest) == traffic(honest)
    first, *rest = honest.certificate.objectives
    assert first.name == "traffic"
    lower = replace(first, value=first.value - 1, bound=first.bound - 1)
    lying = replace(honest, certificate=replace(honest.certificate, objectives=(lower, *rest)))
    assert derived_traffic(network, lying) != traffic(lying)
    with pytest.raises(PlanCheckError):
        check_plan(lying, network, device)
