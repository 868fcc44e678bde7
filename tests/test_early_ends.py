"""A resident map that the planner ends before its last reader: in the plan, in its bytes, and on the machine."""

from dataclasses import replace

import pytest
from emit_cases import DEVICE, Case
from networks import GraphBuilder

from sfopt.allocate import Switches, plan
from sfopt.check import check_plan
from sfopt.device import Device
from sfopt.groups import Network
from sfopt.plan import Plan, Role

SHORTCUT_BYTES = 8 * 6 * 6


def shortcut_around_wide_maps() -> tuple[Network, str]:
    """A map that is read next, and again by the sum behind three convolutions, the second of which is three times as wide."""
    b = GraphBuilder("shortcut")
    x = b.conv(b.input(8, 6, 6), 8)
    y = b.conv(b.conv(b.conv(x, 8), 24), 8)
    return b.network([b.add(b.conv(y, 8), x)]), x


def small(sram_bytes: int) -> Device:
    return replace(DEVICE, banks=sram_bytes // 32, bank_bytes=32)


def planned(network: Network, device: Device, switches: Switches) -> Plan:
    found = plan(network, device, switches=switches)
    check_plan(found, network, device)
    return found


def test_an_early_end_saves_one_read_and_runs_on_the_machine() -> None:
    """1536 B hold the shortcut beside the first convolution, not beside the wide map: whole, it must be written and read twice."""
    (network, x), device = shortcut_around_wide_maps(), small(1536)
    early = planned(network, device, Switches(segments=False))
    whole = planned(network, device, Switches(segments=False, early_ends=False))
    assert whole.traffic_bytes - early.traffic_bytes == SHORTCUT_BYTES
    assert not any(b.role is Role.RESIDENT and b.content == x for b in whole.buffers)
    (held,) = (b for b in early.buffers if b.role is Role.RESIDENT and b.content == x)
    assert (held.first_step, held.last_step) == (0, 1)
    assert [(t.segment, t.direction, t.size_bytes) for t in early.transfers if t.tensor == x] == [
        (0, "write", SHORTCUT_BYTES),
        (4, "read", SHORTCUT_BYTES),
    ]
    Case(network).check(early, device)


@pytest.mark.parametrize("sram_bytes", [1408, 1536, 1664])
def test_early_ends_beside_segments_run_on_the_machine(sram_bytes: int) -> None:
    (network, _), device = shortcut_around_wide_maps(), small(sram_bytes)
    Case(network).check(planned(network, device, Switches()), device)
