"""Options of several groups: every one is a way that the enumeration knows, and its sums are those of its blocks."""

import random
from collections.abc import Iterator
from dataclasses import replace
from functools import cache

import pytest
from brute_rows import Timing, can_join, ring_rows, timings
from brute_ways import Way, ways
from brute_worth import cut_bytes, inner_bytes
from networks import random_network
from segment_networks import SEGMENT_NETWORKS
from small_cases import small_case

from sfopt import cost
from sfopt.allocate.growth import Growth
from sfopt.allocate.options import Block, Option
from sfopt.allocate.rereads import RereadOptions
from sfopt.allocate.segments import UNLIMITED, SegmentOptions
from sfopt.device import Device
from sfopt.groups import Kind, Network
from sfopt.plan import Role, WeightMode
from sfopt.rows import RowSchedule, rows_to_run

MOST_GROUPS = 6
"""Longest segment whose worth the plain recursion can tell in good time."""
MOST_OPERANDS = 5
"""Of one instruction: each may have to leave up to a bank empty."""


def case(seed: int) -> tuple[Network, Device]:
    """A random network or one whose shapes make segments hard, on a device with room for a part of it."""
    r, names = random.Random(seed), list(SEGMENT_NETWORKS)
    if seed < len(names):
        network = SEGMENT_NETWORKS[names[seed]]()
    else:
        network = random_network(seed, ops=r.randint(2, 6), side=r.randint(6, 18), channels=6, width=r.randint(2, 8))
    _, device = small_case(0)
    device = replace(device, lanes_in=r.choice((4, 16)))  # 16: the first convolution folds its input
    maps = sum(f.height * cost.map_row_bytes(f, device) for f in network.maps.values())
    words = int(maps * r.uniform(0.3, 1.2)) // (10 * device.word_bytes)
    return network, replace(device, banks=10, bank_bytes=max(1, words) * device.word_bytes)


@cache
def found(seed: int) -> tuple[Network, Device, SegmentOptions, tuple[Option, ...]]:
    """A case, its lean options, and all options of some of their keys."""
    network, device = case(seed)
    options = SegmentOptions(network, device)
    keys = [o.key for o in options.lean(UNLIMITED)]
    chosen = frozenset(random.Random(seed).sample(keys, min(25, len(keys))))
    return network, device, options, tuple(options.full(chosen))


SEEDS = range(len(SEGMENT_NETWORKS) + 14)


def rows_of(network: Network, option: Option) -> Timing:
    """The schedules that an option's body writes into the plan."""
    runs = {
        run.group: RowSchedule(run.first, run.step, rows_to_run(network, network.groups[run.group]))
        for run in option.body.runs
    }
    feeds = {f.tensor: RowSchedule(f.first, f.step, network.maps[f.tensor].height) for f in option.body.feeds}
    return Timing(option.bands, runs, feeds)


@pytest.mark.parametrize("seed", SEEDS)
def test_sums_are_those_of_the_blocks_and_rows_those_of_the_bands(seed: int) -> None:
    network, _, options, full = found(seed)
    for option in (*options.lean(UNLIMITED), *full):
        assert option.own_bytes == sum(b.size_bytes for b in option.blocks)
        assert option.early_bytes == sum(b.size_bytes for b in option.blocks if b.early)
        groups, timing = network.groups[option.first : option.last + 1], rows_of(network, option)
        assert can_join(groups)
        assert [run.group for run in option.body.runs] == [g.index for g in groups]
        assert all(run.after(option.bands - 1) == run.total for run in timing.runs.values())
        for block in option.blocks:
            if block.role in (Role.INPUT, Role.OUTPUT, Role.RING):
                ahead, behind = (option.overlap and block.role is role for role in (Role.INPUT, Role.OUTPUT))
                assert block.rows == ring_rows(network, groups, timing, block.content, ahead=ahead, behind=behind)
        streamed = {b.content for b in option.blocks if b.role is Role.INPUT}
        assert streamed == set(timing.feeds)
        made = {g.output for g in groups}
        assert streamed | (option.resident - made) == {m for g in groups for m in g.reads} - made


@pytest.mark.parametrize("seed", SEEDS)
def test_a_lean_option_is_nowhere_larger_than_any_other_of_its_key(seed: int) -> None:
    _, _, options, full = found(seed)
    every = tuple(options.lean(UNLIMITED))
    lean = {o.key: o for o in every}
    assert len(lean) == len(every), "one for each key"
    for option in full:
        least = {(b.role, b.content): b.size_bytes for b in lean[option.key].blocks}
        assert least.keys() == {(b.role, b.content) for b in option.blocks}
        assert all(least[b.role, b.content] <= b.size_bytes for b in option.blocks)
        assert lean[option.key].traffic_bytes == option.traffic_bytes
        assert lean[option.key].floor_bytes <= option.floor_bytes


@pytest.mark.parametrize("seed", SEEDS)
def test_a_budget_keeps_the_options_that_move_no_more(seed: int) -> None:
    network, _, options, _ = found(seed)
    every = tuple(options.lean(UNLIMITED))
    least: dict[tuple[int, int], int] = {}
    for o in every:
        least[o.first, o.last] = min(o.traffic_bytes, least.get((o.first, o.last), o.traffic_bytes))
    for budget in (0, max(f.size_bytes for f in network.maps.values())):
        kept = {o.key for o in options.lean(budget)}
        assert kept <= {o.key for o in every}
        assert all(o.key in kept for o in every if o.traffic_bytes - compulsory(network, o) <= budget)
        assert all(o.key not in kept for o in every if o.traffic_bytes - compulsory(network, o) > budget)


def compulsory(network: Network, option: Option) -> int:
    """Bytes of constants, of network inputs first read here and of network outputs made here."""
    inside = range(option.first, option.last + 1)
    maps = [m for m in network.inputs if network.readers[m][0] in inside]
    maps += [m for m in network.outputs if network.producers[m] in inside]
    blocks = [c for g in inside for c in cost.constants(network, network.groups[g], folded=False)]
    return sum(network.maps[m].size_bytes for m in maps) + sum(c.size_bytes for c in blocks)


def known_ways(network: Network, device: Device, option: Option, *, rereads: bool = False) -> Iterator[Way]:
    """The enumeration's ways for the groups and residents of an option; maps that leave and are not resident are stored."""
    groups = network.groups[option.first : option.last + 1]
    leaving = {g.output for g in groups if not is_inner(network, option.last, g.output)}
    stored = (leaving - option.resident) | (leaving & {*network.outputs})
    kinds = frozenset({"weights"} if rereads else ())
    for way in ways(network, device, (option.first, option.last), option.resident, frozenset(stored), kinds):
        if way.how is not None and bool(way.how.tiled) == rereads:
            yield way


def is_inner(network: Network, last: int, tensor: str) -> bool:
    """Whether a map that a segment makes stays inside it."""
    readers = network.readers[tensor]
    return bool(readers) and readers[-1] <= last and tensor not in network.outputs


def named(option: Option) -> dict[str, Block]:
    """The blocks by the names that the enumeration gives them."""
    constants = (Role.WEIGHTS, Role.PARAMETERS)
    return {f"{b.content}.{b.role}" if b.role in constants else b.content: b for b in option.blocks}


def costs(way: Way | Option) -> tuple[int, ...]:
    traffic = way.traffic_bytes if isinstance(way, Option) else way.traffic
    return traffic, way.exposed, way.compute, way.behind, way.ahead


def figures(way: Way | Option) -> tuple[object, ...]:
    """Everything by which two ways to run a segment differ."""
    if isinstance(way, Option):
        parts = frozenset((name, b.rows, b.row_bytes, b.early) for name, b in named(way).items())
    else:
        parts = frozenset((p.name, p.rows, p.row_bytes, p.early) for p in way.parts)
    return (*costs(way), parts)


def no_worse(option: Option, way: Way) -> bool:
    """Whether an option costs and takes no more than a way."""
    blocks = named(option)
    cheap = all(a <= b for a, b in zip(costs(option), costs(way), strict=True))
    return cheap and all(blocks[p.name].size_bytes <= p.size and blocks[p.name].early <= p.early for p in way.parts)


@pytest.mark.parametrize("seed", SEEDS)
def test_options_are_ways_that_the_enumeration_knows(seed: int) -> None:
    """And what it knows beside them is too large for the device, or needs as much of everything as one of them."""
    network, device, _, full = found(seed)
    compare_with_enumeration(network, device, full, rereads=False)


@pytest.mark.parametrize("seed", SEEDS)
def test_options_that_read_weights_again_are_ways_that_the_enumeration_knows(seed: int) -> None:
    network, device, options, _ = found(seed)
    again = RereadOptions(options)
    every = tuple(again.full(None))
    keys = sorted({o.key for o in every}, key=str)
    chosen = frozenset(random.Random(seed).sample(keys, min(10, len(keys))))
    few = tuple(again.full(chosen))
    assert {figures(o) for o in few} == {figures(o) for o in every if o.key in chosen}
    assert {o.key for o in again.lean(UNLIMITED)} == {*keys}
    compare_with_enumeration(network, device, few, rereads=True)


def test_cases_read_the_weights_of_one_and_of_two_groups_again() -> None:
    every = [o for seed in SEEDS for o in RereadOptions(found(seed)[2]).lean(UNLIMITED)]
    counts = {sum(run.weight_mode is WeightMode.REREAD for run in o.body.runs) for o in every}
    assert counts == {1, 2}


def compare_with_enumeration(network: Network, device: Device, full: tuple[Option, ...], *, rereads: bool) -> None:
    by_key: dict[tuple[int, int, frozenset[str]], list[Option]] = {}
    for option in full:
        assert option.own_bytes == sum(b.size_bytes for b in option.blocks)
        assert option.early_bytes == sum(b.size_bytes for b in option.blocks if b.early)
        if option.last - option.first < MOST_GROUPS:
            by_key.setdefault(option.key, []).append(option)
    for options in by_key.values():
        held = sum(whole_bytes(network, device, m) for m in options[0].resident)
        known = list(known_ways(network, device, options[0], rereads=rereads))
        listed = {figures(way) for way in known}
        assert all(figures(o) in listed for o in options)
        for way in known:
            if way.own_bytes + held <= device.sram_bytes:
                assert any(no_worse(o, way) for o in options), options[0].key


def whole_bytes(network: Network, device: Device, tensor: str) -> int:
    fmap = network.maps[tensor]
    return fmap.height * cost.map_row_bytes(fmap, device)


@pytest.mark.parametrize("seed", SEEDS)
def test_segments_are_offered_exactly_where_they_are_worth_it(seed: int) -> None:
    """Where some band height needs less than any two parts, an option exists if it fits at all; elsewhere there is none."""
    network, device, options, _ = found(seed)
    offered = {(o.first, o.last) for o in options.lean(UNLIMITED)}
    for first in range(len(network.groups)):
        for last in range(first + 1, min(len(network.groups), first + MOST_GROUPS)):
            groups = network.groups[first : last + 1]
            if any(g.kind is Kind.HOST for g in groups):
                continue
            lowest = next(timings(network, groups, ()), None) if can_join(groups) else None
            cut = cut_bytes(network, device, (first, last))
            worth = lowest is not None and inner_bytes(network, device, groups, lowest) < cut
            assert worth or (first, last) not in offered
            if (first, last) in offered:
                assert options.cut_bytes(first, last) == cut
            elif worth:
                least = min(way.own_bytes for way in streaming(network, device, (first, last)))
                assert least + MOST_OPERANDS * device.bank_bytes > device.sram_bytes


def streaming(network: Network, device: Device, span: tuple[int, int]) -> Iterator[Way]:
    """The enumeration's ways to run a segment that sees nothing resident."""
    stored = {g.output for g in network.groups[span[0] : span[1] + 1] if not is_inner(network, span[1], g.output)}
    return ways(network, device, span, frozenset(), frozenset(stored), frozenset())


def test_cases_have_segments_of_many_lengths_with_and_without_rings() -> None:
    every = [o for seed in SEEDS for o in found(seed)[3]]
    assert {o.last - o.first + 1 for o in every} >= {2, 3, 4, 5}
    assert {b.role for o in every for b in o.blocks} == {*Role} - {Role.RESIDENT}
    assert {o.overlap for o in every} == {o.early_bytes > 0 for o in every} == {False, True}
    assert any(o.resident for o in every)


def test_cases_have_early_constants_that_are_laid_out_for_folding() -> None:
    folded = 0
    for seed in SEEDS:
        network, device, _, full = found(seed)
        for option in full:
            for run in option.body.runs if option.early_bytes else ():
                group = network.groups[run.group]
                plain, other = (cost.constants(network, group, folded=f) for f in (False, True))
                blocks = [b for b in option.blocks if b.content == group.name and b.early]
                sizes = [b.size_bytes for b in blocks]
                if sizes != [c.rows * c.row_bytes(device) for c in plain]:
                    assert sizes == [c.rows * c.row_bytes(device) for c in other]
                    folded += 1
    assert folded >= 5


def test_growth_adds_groups_in_front_and_leaves_those_behind_alone() -> None:
    for name, make in SEGMENT_NETWORKS.items():
        network = make()
        for last in range(len(network.groups)):
            growth, runs = Growth(network, last, 4), dict[int, RowSchedule]()
            while growth.grow():
                assert runs.items() <= growth.runs.items(), name
                assert growth.connected == (growth.runs.keys() == {*range(growth.first, last + 1)})
                runs = dict(growth.runs)
