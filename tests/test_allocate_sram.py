"""The least scratchpad for a traffic limit: one bank less, and no plan keeps the limit; as many banks, and one does."""

from dataclasses import replace

import pytest
from small_cases import small_case

from sfopt.allocate import plan
from sfopt.check import check_plan
from sfopt.cost import compulsory_bytes
from sfopt.errors import InfeasibleError, UsageError
from sfopt.plan import Status


@pytest.mark.parametrize("block", range(4))
def test_least_scratchpad_is_where_the_limit_can_just_be_kept(block: int) -> None:
    compared = loosened = 0
    for seed in range(15 * block, 15 * block + 15):
        network, device = small_case(seed)
        roomy = replace(device, banks=4 * device.banks)
        try:
            limit = plan(network, device).traffic_bytes
        except InfeasibleError:
            continue
        found = plan(network, roomy, objective="sram", traffic_limit=limit)
        check_plan(found, network, roomy)
        assert found.certificate.status is Status.OPTIMAL
        assert [o.name for o in found.certificate.objectives] == ["peak", "traffic", "cycles"]
        assert found.traffic_bytes <= limit
        banks = max(1, -(-found.peak_bytes // device.bank_bytes))
        assert plan(network, replace(device, banks=banks)).traffic_bytes <= limit
        assert banks <= device.banks
        if banks > 1:
            try:
                less = plan(network, replace(device, banks=banks - 1)).traffic_bytes
            except InfeasibleError:
                less = limit + 1
            assert less > limit
        compared += 1
        loosened += limit > compulsory_bytes(network)
    assert compared >= 6
    assert loosened >= 1


def test_the_limit_is_the_compulsory_traffic_by_default() -> None:
    network, device = small_case(1)
    found = plan(network, replace(device, banks=8 * device.banks), objective="sram")
    assert found.traffic_bytes == compulsory_bytes(network)


def test_a_limit_that_no_plan_keeps_is_named() -> None:
    network, device = small_case(1)
    with pytest.raises(InfeasibleError, match="no plan moves at most 1 bytes of data in a scratchpad of"):
        plan(network, device, objective="sram", traffic_limit=1)


@pytest.mark.parametrize("method", ["greedy-size", "cutpoint"])
def test_only_the_proven_planner_heeds_a_limit(method: str) -> None:
    network, device = small_case(1)
    with pytest.raises(UsageError, match=f"need method `optimal`, not `{method}`"):
        plan(network, device, method, objective="sram")
