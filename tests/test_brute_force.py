"""The enumeration that judges the planner, judged itself: its ways are plans that the checker takes, at the cost that it says."""

import random
from collections.abc import Iterator
from dataclasses import replace

import pytest
from brute_force import Frame, TooManyCasesError, combined, frames, optimum
from brute_ways import How, Way
from checked import claimed, roomy_device
from networks import GraphBuilder
from small_cases import small_case

from sfopt import cost
from sfopt.check import check_plan
from sfopt.check.traffic import dram_lives, expected_transfers
from sfopt.check.view import View
from sfopt.device import Device
from sfopt.groups import Network
from sfopt.plan import Buffer, Certificate, DramRegion, Feed, Plan, Role, Run, Segment, Status, WeightMode


def plan_of(network: Network, device: Device, frame: Frame, chosen: tuple[Way, ...]) -> Plan:
    """The plan of a combination, every buffer in banks of its own."""
    segments = tuple(
        Segment(first, last, 1, False, (), ()) if way.how is None else _segment(network, first, last, way.how)
        for (first, last), way in zip(frame.spans, chosen, strict=True)
    )
    residents = [
        Buffer(b.name, Role.RESIDENT, b.name, fmap.height, cost.map_row_bytes(fmap, device), 0, b.first, b.last)
        for b in frame.stays
        for fmap in [network.maps[b.name]]
    ]
    own = [b for step, way in enumerate(chosen) for b in _own(network, segments[step], step, way)]
    buffers, offset = list[Buffer](), 0
    for b in (*residents, *own):
        buffers.append(replace(b, offset=offset))
        offset = -(-(offset + b.size_bytes) // device.bank_bytes) * device.bank_bytes
    bare = Plan("", device.to_dict(), segments, tuple(buffers), (), (), Certificate("", Status.HEURISTIC, (), 0.0))
    view = View(bare, network, device)
    view = View(_with_outputs(view), network, device)
    regions, at = list[DramRegion](), 0
    for name, life in dram_lives(view).items():
        size = network.maps[name].size_bytes
        regions.append(DramRegion(name, at, size, *life))
        at += -(-size // 64) * 64
    plan = replace(view.plan, transfers=tuple(expected_transfers(view)), dram=tuple(regions))
    return claimed(plan, network, device)


def _segment(network: Network, first: int, last: int, how: How) -> Segment:
    bands = how.timing.bands
    mode = WeightMode.STREAMED if bands == 1 else WeightMode.INPUT_REREAD if how.again else WeightMode.REREAD
    runs = []
    for group in network.groups[first : last + 1]:
        rows, channels = how.timing.runs[group.index], network.maps[group.output].channels
        tiled = how.tile is not None and (first == last or group.index in how.tiled)
        weights = (mode, how.tile) if tiled else (WeightMode.RESIDENT, channels)
        runs.append(Run(group.index, rows.first, rows.step, *weights))
    feeds = tuple(Feed(t, rows.first, rows.step) for t, rows in how.timing.feeds.items())
    return Segment(first, last, bands, how.overlap, tuple(runs), feeds)


def _own(network: Network, segment: Segment, step: int, way: Way) -> Iterator[Buffer]:
    fed = {f.tensor for f in segment.feeds}
    for part in way.parts:
        name, last = part.name, part.name.rsplit(".", 1)[-1]
        role = Role(last) if part.name not in network.maps else Role.INPUT if name in fed else Role.RING
        content = name if name in network.maps else name.removesuffix(f".{last}")
        yield Buffer(f"{step}:{name}", role, content, part.rows, part.row_bytes, 0, step - part.early, step)


def _with_outputs(view: View) -> Plan:
    """Rings of maps that are in DRAM are OUTPUT buffers."""
    buffers = (
        replace(b, role=Role.OUTPUT) if b.role is Role.RING and b.content in view.in_dram else b
        for b in view.plan.buffers
    )
    return replace(view.plan, buffers=tuple(buffers))


def compare_combinations(seeds: range, each: int) -> int:
    """Random combinations of random small networks, as plans."""
    checked = 0
    for seed in seeds:
        network, tiny = small_case(seed)
        if len(network.groups) > 5:
            continue
        device = replace(roomy_device(), lanes_in=tiny.lanes_in, lanes_out=tiny.lanes_out)
        found, r = list(frames(network, device, ends_early=seed % 2 == 0)), random.Random(seed)
        for frame in r.choices(found, k=each):
            chosen = tuple(r.choice(table) for table in frame.tables)
            facts = check_plan(plan_of(network, device, frame, chosen), network, device)
            assert {"traffic": facts.traffic_bytes, "cycles": facts.cycles} == combined(chosen), f"seed {seed}"
            checked += 1
    return checked


def test_combinations_are_plans_at_the_cost_that_is_said() -> None:
    assert compare_combinations(range(40), 6) > 150


@pytest.mark.nightly
def test_many_combinations_are_plans_at_the_cost_that_is_said() -> None:
    assert compare_combinations(range(40, 1000), 20) > 12_000


def test_more_freedom_is_never_worse_and_sometimes_better() -> None:
    gains = {"segments": 0, "ends_early": 0}
    for seed in range(60):
        network, device = small_case(seed)
        if not 2 <= len(network.groups) <= 4:
            continue
        try:
            plain = optimum(network, device, segments=False)
            joined = optimum(network, device)
            shorter = optimum(network, device, ends_early=True)
        except TooManyCasesError:
            continue
        worst = (device.sram_bytes * 1000,) * 3
        assert (shorter or worst) <= (joined or worst) <= (plain or worst), f"seed {seed}"
        gains["segments"] += joined != plain
        gains["ends_early"] += shorter != joined
    assert gains["segments"] >= 3


def test_a_segment_saves_what_is_between_its_groups() -> None:
    """A map has 128 bytes, all constants 96: 240 bytes hold the one between beside them, 160 only a ring of it."""
    b = GraphBuilder("two")
    network = b.network([b.conv(b.conv(b.input(4, 16, 2), 4), 4)])
    _, tiny = small_case(0)
    device = replace(tiny, banks=10, bank_bytes=24)
    joined, plain = optimum(network, device), optimum(network, device, segments=False)
    assert joined is not None
    assert plain is not None
    assert joined[0] == cost.compulsory_bytes(network) == plain[0]
    smaller = replace(device, bank_bytes=16)
    joined, plain = optimum(network, smaller), optimum(network, smaller, segments=False)
    assert joined is not None
    assert plain is not None
    assert (joined[0], plain[0]) == (cost.compulsory_bytes(network), cost.compulsory_bytes(network) + 2 * 128)
