"""The enumeration that judges the planner, judged itself: its ways are plans that the checker takes, at the cost that it says."""

import random
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
from brute_force import Box, Frame, TooManyCasesError, combined, frames, optimum
from brute_places import alternatives, placings
from brute_rows import timings
from brute_ways import How, Way
from checked import claimed, roomy_device
from networks import GraphBuilder
from small_cases import concats_case, small_case

from sfopt import cost
from sfopt.check import check_plan
from sfopt.check.traffic import dram_lives, expected_transfers
from sfopt.check.view import View
from sfopt.device import Device
from sfopt.graph import Quant
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


def test_side_by_side_is_never_worse() -> None:
    compared = 0
    for seed in range(20):
        network, device = concats_case(seed)
        if len(network.groups) > 5:
            continue
        with suppress(TooManyCasesError):
            apart, inside = (optimum(network, device, side_by_side=on) for on in (False, True))
            worst = (device.sram_bytes * 1000,) * 3
            assert (inside or worst) <= (apart or worst), f"seed {seed}"
            compared += 1
    assert compared >= 8


class Maps(GraphBuilder):
    """Maps of 4 channels, 8 rows of 2 pixels, 64 bytes in words of 4, all of one scale; a window of one of them has 24 bytes."""

    def start(self) -> str:
        """A network input through a window of 3 x 3."""
        return self.window(self.input(4, 8, 2))

    def window(self, x: str) -> str:
        """What its shape is, without constants."""
        return self.max_pool(x, 3, 1, 1)

    def _quant(self) -> Quant:
        return Quant(np.asarray(0.125, dtype=np.float32), 0)


def least_peaks(network: Network, **options: bool) -> tuple[int, int]:
    """Apart and side by side, at the compulsory traffic, in a scratchpad without banks, one group at a time."""
    device = replace(roomy_device(1024), lanes_in=4, lanes_out=4, bank_bytes=4)
    peaks = []
    for on in (False, True):
        found = optimum(
            network,
            device,
            ("peak",),
            segments=False,
            side_by_side=on,
            traffic_limit=cost.compulsory_bytes(network),
            **options,
        )
        assert found is not None
        peaks.append(found[0])
    return peaks[0], peaks[1]


def test_a_concat_needs_no_room_beside_its_pieces() -> None:
    """Apart, two maps of 64 bytes and one of 128; else only that, beside a window of what is read to make a piece."""
    b = Maps("pair")
    assert least_peaks(b.network([b.window(b.concat(b.start(), b.start()))])) == (256, 128 + 24)


def test_concats_lie_in_concats() -> None:
    """Apart 128 + 64 + 192; else 192 from the first piece on, beside a window."""
    b = Maps("nested")
    inner = b.concat(b.start(), b.start())
    assert least_peaks(b.network([b.window(b.concat(inner, b.start()))])) == (384, 192 + 24)


def test_sums_lie_in_concats_with_what_they_are_written_over() -> None:
    """At the sum, its operands, of which one has the place of the concat; it has 16 bytes of parameters."""
    b = Maps("sum")
    x = b.start()
    total = b.add(b.window(b.window(x)), x)
    network = b.network([b.window(b.concat(b.start(), total))])
    assert [len(g.pieces) for g in network.groups].count(2) == 1
    apart, inside = least_peaks(network, in_place=True)
    assert (apart, inside) == (256, 192 + 16)


def test_a_piece_that_waits_while_room_is_scarce_stays_outside() -> None:
    """Apart, the concat is highest: 3 * 64 + 192. With all inside, the sum is: 192 for the piece that waits, two maps, a row of
    the sum, 16 bytes of parameters. If that piece alone stays outside, the next one's step is: 64 + 192 + 24.
    """
    b = Maps("waits")
    waiting = b.start()
    x = b.start()
    total = b.add(b.window(x), x)
    end = b.window(b.concat(waiting, b.start(), b.start()))
    assert least_peaks(b.network([total, end])) == (384, 280)


def test_a_piece_does_not_lie_beside_one_that_is_made_of_it() -> None:
    """Both stream through one instruction: 64 + 128 for one inside, not 128 + 24 for both."""
    b = Maps("banks")
    x = b.start()
    assert least_peaks(b.network([b.window(b.concat(x, b.window(x)))])) == (256, 192)


def test_pieces_lie_at_whole_words() -> None:
    """The second one is at channel 3 of words of 4, and has 64 bytes of its own, beside 128 from the first one on, and a window."""
    b = Maps("words")
    x = b.window(b.input(3, 8, 2))
    assert least_peaks(b.network([b.window(b.concat(x, b.start()))])) == (256, 64 + 128 + 24)


@pytest.mark.parametrize(("kernel", "behind", "allowed"), [(1, False, True), (3, False, False), (1, True, False)])
def test_nobody_in_the_segment_reads_what_the_concat_has_written_over(kernel: int, behind: bool, allowed: bool) -> None:
    """A window of 3 rows reads the row above, which the concat has done the band before; what is behind it reads any too late."""
    b = GraphBuilder("rows")
    x, other = b.conv(b.input(4, 8, 2), 4), b.conv(b.input(4, 8, 2), 4)
    if behind:
        c = b.concat(x, other)
        end = b.add(b.conv(c, 4, 1), x)
    else:
        c = b.concat(x, b.conv(x, 4, kernel))
        end = b.conv(c, 4, 1)
    network = b.network([end, b.conv(c, 4, 1)])
    concat = network.groups[network.producers[c]]
    groups = (
        network.groups[concat.index : concat.index + 2]
        if behind
        else network.groups[concat.index - 1 : concat.index + 1]
    )
    sets = alternatives(network, roomy_device(), groups, 1, {x: (0, 1), c: (1, 2)}, in_place=False, side_by_side=True)
    assert sets == (((), ((x, c),)) if allowed else ((),))
    timing, boxes = next(timings(network, groups, ())), [Box(x, 64, 0, 0), Box(c, 128, 0, 1)]
    span = (groups[0].index, groups[-1].index)
    made = list(placings(network, [span], [((), ((x, c),))], [timing], boxes))
    assert made == ([boxes, [Box(f"{x}|{c}", 128, 0, 1)]] if allowed else [boxes])
