"""Every plan maker: its plans pass the checker, which finds the traffic and peak that they claim."""

import pytest
from networks import GraphBuilder, random_network

from sfopt.allocate import METHODS, plan
from sfopt.check import check_plan
from sfopt.cost import baseline_bytes, compulsory_bytes
from sfopt.device import load_device
from sfopt.errors import InfeasibleError


@pytest.mark.parametrize("method", METHODS)
def test_every_method_makes_checked_plans(method: str) -> None:
    checked = 0
    for seed in range(28):
        network = random_network(seed, ops=8, side=10, channels=20)
        device = load_device("sim8").with_sram(8192 << seed % 4)
        try:
            made = plan(network, device, method, time_limit_s=5)
        except InfeasibleError:
            continue
        facts = check_plan(made, network, device)
        assert compulsory_bytes(network) <= facts.traffic_bytes == made.traffic_bytes
        assert facts.peak_bytes == made.peak_bytes <= device.sram_bytes
        checked += 1
    assert checked > 14


def test_once_per_layer_is_the_baseline_where_weights_fit() -> None:
    network, device = random_network(4, ops=8), load_device("sim8")
    assert plan(network, device, "once-per-layer").traffic_bytes == baseline_bytes(network)


def test_two_readers_of_one_map_and_a_map_read_twice_by_one_group() -> None:
    b = GraphBuilder("twice")
    x = b.input(8, 6, 6)
    squared = b.mul(x, x)
    network = b.network([b.concat(squared, squared)])
    for sram in (1024, 2048, 4096):
        device = load_device("sim8").with_sram(sram)
        check_plan(plan(network, device), network, device)
