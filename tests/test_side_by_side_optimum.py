"""Operands that lie in a concat's output from the start: the planner against enumeration, and where it pays."""

from collections.abc import Callable, Iterable
from dataclasses import replace

import pytest
from brute_force import TooManyCasesError, optimum
from checked import proven_levels
from small_cases import concats_case, scaled_concats_case

from sfopt.allocate import OBJECTIVES, Switches
from sfopt.cost import compulsory_bytes
from sfopt.device import Device
from sfopt.groups import Network

Make = Callable[[int], tuple[Network, Device]]


def case(seed: int, objective: str, make: Make) -> tuple[Network, Device]:
    """Four times as many banks for the least scratchpad, where everything but what is compulsory stays inside."""
    network, device = make(seed)
    return network, replace(device, banks=4 * device.banks) if objective == "sram" else device


def solved(seed: int, objective: str, switches: Switches, make: Make = concats_case) -> tuple[int, ...] | None:
    """Values of the proven plan, which the checker has seen; None when infeasible."""
    network, device = case(seed, objective, make)
    return proven_levels(network, device, switches, objective)


def enumerated(
    seed: int, objective: str, switches: Switches, nodes: int, make: Make = concats_case
) -> tuple[int, ...] | None:
    network, device = case(seed, objective, make)
    return optimum(
        network,
        device,
        OBJECTIVES[objective],
        nodes=nodes,
        segments=switches.segments,
        ends_early=switches.early_ends,
        in_place=switches.in_place,
        side_by_side=switches.side_by_side,
        traffic_limit=compulsory_bytes(network) if objective == "sram" else None,
    )


def compare(
    seeds: Iterable[int],
    objective: str,
    switches: Switches | None = None,
    *,
    most_groups: int = 5,
    nodes: int = 20_000,
    make: Make = concats_case,
) -> tuple[int, int]:
    """How many cases were compared, and how many of them had a plan."""
    compared = feasible = 0
    switches = switches or Switches()
    for seed in seeds:
        if len(make(seed)[0].groups) > most_groups:
            continue
        try:
            expected = enumerated(seed, objective, switches, nodes, make)
        except TooManyCasesError:
            continue
        assert solved(seed, objective, switches, make) == expected, f"seed {seed}"
        compared += 1
        feasible += expected is not None
    return compared, feasible


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("block", range(2))
def test_optimum_of_concats_equals_enumeration(objective: str, block: int) -> None:
    compared, feasible = compare(range(block * 25, block * 25 + 25), objective)
    assert compared >= 14
    assert feasible >= 8


@pytest.mark.nightly
@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("block", range(10))
def test_optimum_of_concats_equals_enumeration_on_hundreds(objective: str, block: int) -> None:
    compared, feasible = compare(range(100 + block * 50, 150 + block * 50), objective, most_groups=7, nodes=100_000)
    assert compared >= 30
    assert feasible >= 18


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_an_operand_read_back_behind_the_group_that_took_its_place(objective: str) -> None:
    """Seed 118: the concat's first operand lies where its second did, which the concat reads from DRAM."""
    assert compare([118], objective, nodes=100_000) == (1, 1)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_optimum_of_concats_in_company_equals_enumeration(objective: str) -> None:
    """Among these is one (seed 8, least scratchpad) that needs the concat in the segment that makes one of its pieces."""
    compared, feasible = compare(range(12), objective, make=scaled_concats_case)
    assert compared >= 6
    assert feasible >= 4


@pytest.mark.nightly
@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("block", range(4))
def test_optimum_of_concats_in_company_equals_enumeration_on_hundreds(objective: str, block: int) -> None:
    seeds = range(100 + block * 50, 150 + block * 50)
    compared, feasible = compare(seeds, objective, nodes=100_000, make=scaled_concats_case)
    assert compared >= 25
    assert feasible >= 15


@pytest.mark.parametrize(
    "switches",
    [
        Switches(side_by_side=False),
        Switches(in_place=False),
        Switches(segments=False),
        Switches(drop_dominated=False),
        Switches(bank_floors=False),
        Switches(budgets=False),
        Switches(reduced_costs=False),
        Switches(constructive_placement=False),
        Switches(step_cuts=False),
    ],
    ids=str,
)
def test_switches_leave_the_optimum_of_concats_alone(switches: Switches) -> None:
    """Without the first three, the enumeration does not have what they add either."""
    for objective in ("traffic", "sram"):
        compared, _ = compare(range(60, 70), objective, switches)
        assert compared >= 5


PAYS = {
    ("traffic", "traffic"): (25, 42, 48, 63),
    ("traffic", "cycles"): (9, 44, 60),
    ("traffic", "peak"): (13, 17, 61),
    ("latency", "cycles"): (9, 42, 44),
    ("sram", "peak"): (0, 4, 8, 13, 43),
    ("sram", "cycles"): (10,),
}
"""Seeds by objective and the first level that lying in concats lowers."""


@pytest.mark.parametrize(("objective", "level"), PAYS)
def test_operands_lie_in_concats_where_it_pays(objective: str, level: str) -> None:
    seeds = PAYS[objective, level]
    for on in (True, False):
        assert compare(seeds, objective, Switches(side_by_side=on), most_groups=7, nodes=100_000) == (
            len(seeds),
            len(seeds),
        )
    for seed in seeds:
        apart = solved(seed, objective, Switches(side_by_side=False))
        inside = solved(seed, objective, Switches())
        lower = [n for n, a, b in zip(OBJECTIVES[objective], inside or (), apart or (), strict=True) if a != b]
        assert lower[0] == level
