"""The integer programs against enumeration, with every modelling trick on and off."""

from dataclasses import fields, replace

import pytest
from brute_force import TooManyCasesError, optimum
from networks import efficientnet_b0, mobilenet_v2, random_network, resnet50

from sfopt.allocate import Switches, plan
from sfopt.check import check_plan
from sfopt.device import Device, load_device
from sfopt.errors import InfeasibleError
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


def solved(network: Network, device: Device, switches: Switches | None = None) -> tuple[int, ...] | None:
    """Values of the proven plan, which the checker has seen; None when infeasible."""
    try:
        found = plan(network, device, switches=switches)
    except InfeasibleError:
        return None
    check_plan(found, network, device)
    assert found.certificate.status is Status.OPTIMAL
    return tuple(o.value for o in found.certificate.objectives)


@pytest.mark.parametrize("block", range(10))
def test_optimum_equals_enumeration(block: int) -> None:
    compared = feasible = 0
    for seed in range(block * 60, block * 60 + 60):
        network = random_network(seed, ops=1 + seed % 3, side=4, channels=9)
        device = tiny_device(seed * 7 + block)
        if len(network.groups) > 3:  # noqa: PLR2004
            continue
        try:
            expected = optimum(network, device, most=4000)
        except TooManyCasesError:
            continue
        assert solved(network, device) == expected, f"seed {seed}"
        compared += 1
        feasible += expected is not None
    assert compared >= 20  # noqa: PLR2004
    assert feasible >= 10  # noqa: PLR2004
