"""Naive plans that claim what they show, so that the whole checker can judge them, and random ones of every kind."""

import random
from collections.abc import Iterator
from dataclasses import replace
from functools import cache

from networks import random_network
from segment_networks import SEGMENT_NETWORKS

from sfopt.allocate import Switches, plan
from sfopt.check import check_plan
from sfopt.device import Device, load_device
from sfopt.errors import InfeasibleError
from sfopt.groups import Group, Kind, Network
from sfopt.plan import Plan, Status, WeightMode
from sfopt.testing.naive_plan import Choice, can_be_resident, claimed, naive_plan

__all__ = ["Case", "claimed", "proven_levels", "random_cases", "roomy_device", "segment_cases", "with_host_group"]

Case = tuple[Plan, Network, Device]


def roomy_device(banks: int = 1000) -> Device:
    """`sim8` with so many small banks that a naive placement finds room."""
    return replace(load_device("sim8"), banks=banks, bank_bytes=512)


def proven_levels(network: Network, device: Device, switches: Switches, objective: str) -> tuple[int, ...] | None:
    """Values of the planner's proven plan, which the checker has seen; None when infeasible."""
    try:
        found = plan(network, device, objective=objective, switches=switches)
    except InfeasibleError:
        return None
    check_plan(found, network, device)
    assert found.certificate.status is Status.OPTIMAL
    return tuple(o.value for o in found.certificate.objectives)


def with_host_group(network: Network, index: int) -> Network:
    """The network with one of its groups on the host, as far as a plan can tell."""
    group = network.groups[index]
    host = Group(index, Kind.HOST, group.heavy, group.pieces, group.output, host_outputs=(group.output,))
    return replace(network, groups=(*network.groups[:index], host, *network.groups[index + 1 :]))


@cache
def random_cases(count: int) -> tuple[Case, ...]:
    """Plans of random networks: now one group a segment, now several; resident maps, some ending early; every weight mode."""
    return tuple(_random_cases(count))


def _random_cases(count: int) -> Iterator[Case]:
    device = roomy_device()
    for seed in range(count):
        r = random.Random(seed)
        network = random_network(seed, ops=r.randint(1, 8), side=r.randint(3, 14), channels=20)
        if seed % 6 == 5:
            network = with_host_group(network, r.randrange(len(network.groups)))
        maps = [m for m in network.maps if can_be_resident(network, m)]
        resident = frozenset(m for m in maps if r.random() < 0.4)
        choice = Choice(
            resident,
            {m: r.choice(network.readers[m]) for m in sorted(resident) if r.random() < 0.3},
            r.choice([None, 1, 1, 2, 3]),
            r.choice([WeightMode.RESIDENT, WeightMode.RESIDENT, WeightMode.REREAD, WeightMode.INPUT_REREAD]),
            kept=frozenset(g.index for g in network.groups if r.random() < 0.4),
            overlap=r.random() < 0.5,
            early=r.random() < 0.5,
        )
        starts = [i for i in range(len(network.groups)) if r.random() < 0.4]
        yield claimed(naive_plan(network, device, choice, starts), network, device), network, device


@cache
def segment_cases() -> tuple[Case, ...]:
    """Plans of the networks whose shapes make segments hard, in segments as long as the rules allow and in random ones."""
    device, found = roomy_device(), list[Case]()
    for seed, make in enumerate(SEGMENT_NETWORKS.values()):
        network, r = make(), random.Random(seed)
        for starts in ([0], sorted(r.sample(range(len(network.groups)), 2))):
            for band_rows in (1, 2):
                choice = Choice(band_rows=band_rows, overlap=r.random() < 0.5)
                found.append((claimed(naive_plan(network, device, choice, starts), network, device), network, device))
    return tuple(found)
