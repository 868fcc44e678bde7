"""Packing under the bank rule: search, program, sweep and placement against enumeration, with many pairs and sizes of banks."""

import math
import random
from dataclasses import replace

import pytest
from brute_placement import Box, Effort, TooManyCasesError, lowest_placement

from sfopt.allocate.linear import Limits
from sfopt.allocate.options import Block as Buffer
from sfopt.allocate.packing import Packer
from sfopt.allocate.packing.first_fit import first_fit
from sfopt.allocate.packing.orders import fixed_ranks
from sfopt.allocate.packing.program import solve_program
from sfopt.allocate.packing.search import search
from sfopt.allocate.packing.stack import Block, Stack, split_into_stacks
from sfopt.allocate.packing.sweep import STEP, sweep
from sfopt.allocate.placement import place
from sfopt.allocate.rectangles import Layout, Rectangle
from sfopt.device import load_device
from sfopt.interval import Interval
from sfopt.plan import Role

NEVER = math.inf


def banked_instance(seed: int) -> tuple[list[Interval], set[tuple[int, int]], int]:
    """Two to ten intervals, some of them equal, pairs of them that meet, and the bytes of a bank."""
    rng = random.Random(seed)
    steps, largest, bank = rng.randint(1, 5), rng.choice([3, 6, 12, 20]), rng.choice([2, 3, 4, 5, 7, 8, 16])
    shapes = list[tuple[int, int, int]]()
    for _ in range(rng.randint(2, 8)):
        lower = rng.randrange(steps)
        size = rng.randint(1, largest) * rng.choice([1, 1, 1, 2])
        shapes.append((lower, min(steps, lower + 1 + rng.randrange(steps)), size))
    if rng.random() < 0.4:
        shapes += rng.choices(shapes, k=rng.randint(1, 2))
    intervals = [Interval(f"b{k}", *shape) for k, shape in enumerate(shapes)]
    share = rng.choice([0.15, 0.4, 0.8])
    pairs = {
        (i, j)
        for j, b in enumerate(intervals)
        for i, a in enumerate(intervals[:j])
        if a.lower < b.upper and b.lower < a.upper and rng.random() < share
    }
    return intervals, pairs, bank


def enumerate_least_peak(intervals: list[Interval], pairs: set[tuple[int, int]], bank: int) -> int | None:
    """None if there are too many cases."""
    boxes = [Box(i.id, i.size, i.lower, i.upper - 1) for i in intervals]
    try:
        return lowest_placement(boxes, pairs, bank, 10**6, Effort(40_000))
    except TooManyCasesError:
        return None


def require_valid(intervals: list[Interval], pairs: set[tuple[int, int]], bank: int, offsets: dict[str, int]) -> None:
    for j, b in enumerate(intervals):
        for i, a in enumerate(intervals[:j]):
            if a.lower < b.upper and b.lower < a.upper:
                unit = bank if (i, j) in pairs else 1
                (low, size), (high, _) = sorted([(offsets[a.id], a.size), (offsets[b.id], b.size)])
                assert (low + size - 1) // unit < high // unit, f"{a} and {b}"


def bytes_by_id(stack: Stack, offsets: tuple[int, ...]) -> dict[str, int]:
    return {b.id: offset * stack.unit_bytes for b, offset in zip(stack.blocks, offsets, strict=True)}


def least_by_search(stack: Stack, order: int) -> tuple[int, ...]:
    """The first peak of which the search, with all the nodes it wants, does not say that there is nothing."""
    ranks = fixed_ranks(stack)[order]
    for peak in range(max(stack.loads), 10**6):
        found = search(stack, peak, ranks, 10**6, NEVER)
        if not found.exhausted:
            assert found.offsets is not None
            assert stack.peak(found.offsets) == peak
            return found.offsets
    raise AssertionError


def require_searched(seeds: range) -> tuple[int, int]:
    """Search against enumeration in every fixed order; how many were compared, how many of them need more than their load."""
    compared = above = 0
    for seed in seeds:
        intervals, pairs, bank = banked_instance(seed)
        least = enumerate_least_peak(intervals, pairs, bank)
        if least is None:
            continue
        stacks = split_into_stacks(intervals, pairs, bank)
        for order in range(3):
            offsets = dict[str, int]()
            for stack in stacks:
                offsets |= bytes_by_id(stack, least_by_search(stack, order))
            require_valid(intervals, pairs, bank, offsets)
            assert max(offsets[i.id] + i.size for i in intervals) == least, f"seed {seed}, order {order}"
        compared += 1
        above += least > max(max(stack.loads) * stack.unit_bytes for stack in stacks)
    return compared, above


def test_search_equals_enumeration() -> None:
    compared, above = require_searched(range(400))
    assert compared > 380
    assert above > 100


@pytest.mark.nightly
@pytest.mark.parametrize("block", range(10))
def test_search_equals_enumeration_on_thousands(block: int) -> None:
    compared, above = require_searched(range(10_000 + 1000 * block, 11_000 + 1000 * block))
    assert compared > 950
    assert above > 250


def test_program_equals_enumeration_and_refuses_all_below() -> None:
    refused = 0
    for seed in range(500, 620):
        intervals, pairs, bank = banked_instance(seed)
        least = enumerate_least_peak(intervals, pairs, bank)
        if least is None:
            continue
        peaks = []
        for stack in split_into_stacks(intervals, pairs, bank):
            load = max(stack.loads)
            proof = solve_program(stack, load, 10_000, effort=1e6, deadline_s=NEVER, seed=0)
            assert proof.offsets is not None
            assert proof.bound == stack.peak(proof.offsets)
            peaks.append(proof.bound * stack.unit_bytes)
            if proof.bound > load:
                refusal = solve_program(stack, load, proof.bound - 1, effort=1e6, deadline_s=NEVER, seed=0)
                assert (refusal.offsets, refusal.bound) == (None, proof.bound)
                refused += 1
        assert max(peaks) == least, f"seed {seed}"
    assert refused > 30


def test_first_fit_is_valid() -> None:
    for seed in range(700, 900):
        intervals, pairs, bank = banked_instance(seed)
        for order in range(3):
            offsets = dict[str, int]()
            for stack in split_into_stacks(intervals, pairs, bank):
                offsets |= bytes_by_id(stack, first_fit(stack, fixed_ranks(stack)[order]))
            require_valid(intervals, pairs, bank, offsets)


def require_packed(seeds: range) -> tuple[int, int]:
    """Packer, all its parts in turn and the program alone, against enumeration."""
    compared = above = 0
    for seed in seeds:
        intervals, pairs, bank = banked_instance(seed)
        least = enumerate_least_peak(intervals, pairs, bank)
        if least is None:
            continue
        for constructive in (True, False):
            packer = Packer(intervals, 10_000, seed, apart=pairs, bank_bytes=bank, constructive=constructive)
            while packer.take_turn(0, NEVER):
                pass
            assert packer.offsets is not None
            require_valid(intervals, pairs, bank, packer.offsets)
            assert packer.peak_bytes == packer.bound_bytes == least, f"seed {seed}, constructive {constructive}"
            short = Packer(intervals, least - 1, seed, apart=pairs, bank_bytes=bank, constructive=constructive)
            while short.take_turn(0, NEVER):
                pass
            assert short.offsets is None
            assert short.bound_bytes >= least
        compared += 1
        above += least > max(max(s.stack.loads) * s.stack.unit_bytes for s in packer.solvers)
    return compared, above


def test_packer_equals_enumeration() -> None:
    compared, above = require_packed(range(1000, 1080))
    assert compared > 70
    assert above > 20


@pytest.mark.nightly
@pytest.mark.parametrize("block", range(10))
def test_packer_equals_enumeration_on_thousands(block: int) -> None:
    compared, above = require_packed(range(30_000 + 300 * block, 30_300 + 300 * block))
    assert compared > 280
    assert above > 75


def long_stack(seed: int) -> tuple[Stack, int]:
    """A chain of small instances that overlap in time, far more sections than join at once, and the least peak by the program."""
    rng, intervals, pairs = random.Random(seed), list[Interval](), set[tuple[int, int]]()
    for start in range(0, 6 * STEP, 2):
        spans = [(start, start + 4), *((start + rng.randrange(2), start + rng.randint(3, 4)) for _ in range(2))]
        more = [Interval("", *span, rng.randint(1, 9)) for span in spans]
        intervals += [replace(i, id=f"b{len(intervals) + k}") for k, i in enumerate(more)]
    for j, b in enumerate(intervals):
        pairs |= {(i, j) for i, a in enumerate(intervals[:j]) if a.upper > b.lower and rng.random() < 0.3}
    (stack,) = split_into_stacks(intervals, pairs, 8)
    assert stack.sections > 2 * STEP
    proof = solve_program(stack, max(stack.loads), 10_000, effort=1e6, deadline_s=NEVER, seed=0)
    return stack, proof.bound


@pytest.mark.parametrize("seed", range(25))
def test_sweep_finds_the_least_peak_and_refuses_what_is_below(seed: int) -> None:
    stack, least = long_stack(seed)
    former = first_fit(stack, fixed_ranks(stack)[0])
    found = sweep(stack, former, least, effort=1e6, deadline_s=NEVER, seed=0)
    assert found.offsets is not None
    assert not found.refused
    assert stack.peak(found.offsets) <= least
    intervals = [Interval(b.id, b.first, b.end, b.size) for b in stack.blocks]
    by_id = dict(zip([b.id for b in stack.blocks], found.offsets, strict=True))
    require_valid(intervals, set(stack.apart), stack.bank, by_id)
    below = sweep(stack, former, least - 1, effort=1e6, deadline_s=NEVER, seed=0)
    assert below.offsets is None
    assert below.refused


def test_sweep_without_effort_refuses_nothing() -> None:
    stack, least = next(case for case in map(long_stack, range(50)) if case[1] > max(case[0].loads))
    nothing = sweep(stack, [0] * len(stack.blocks), least, effort=0.0, deadline_s=NEVER, seed=0)
    assert nothing.offsets is None
    assert not nothing.refused


def test_twins_are_blocks_that_can_change_places() -> None:
    blocks = tuple(Block(f"b{k}", 0, 1, 2) for k in range(5))
    # 0 and 1 both have the foe 4; 2 and 3 are each other's only foes; 4 is like none of them.
    stack = Stack(blocks, 1, 1, frozenset({(0, 4), (1, 4), (2, 3)}), 4)
    assert stack.twins == (0, 0, 2, 2, 4)
    assert replace(stack, apart=frozenset()).twins == (0, 0, 0, 0, 0)
    # Had 2 and 3 the foe 4 as well, 2 would still differ from 0: 0 and 3 are no foes.
    assert replace(stack, apart=stack.apart | {(2, 4), (3, 4)}).twins == (0, 0, 2, 2, 4)


def test_equal_blocks_with_other_rooms_are_no_twins() -> None:
    stack = Stack((Block("a", 0, 1, 2), Block("b", 0, 1, 2)), 1, 1)
    proof = solve_program(stack, 4, 4, effort=1.0, deadline_s=NEVER, seed=0, rooms=[[(2, 2)], [(0, 2)]])
    assert proof.offsets == (2, 0)


def test_a_block_without_room_is_refused() -> None:
    stack = Stack((Block("a", 0, 1, 2), Block("b", 0, 1, 2)), 1, 1)
    proof = solve_program(stack, 4, 4, effort=1.0, deadline_s=NEVER, seed=0, rooms=[[(3, 9)], [(0, 2)]])
    assert (proof.offsets, proof.bound) == (None, 5)


def test_pairs_that_never_meet_and_banks_that_nothing_asks_for_change_nothing() -> None:
    intervals = [Interval("a", 0, 2, 6), Interval("b", 1, 3, 4), Interval("c", 2, 4, 6)]
    (plain,) = split_into_stacks(intervals)
    assert split_into_stacks(intervals, {(0, 2)}, 4) == [plain]
    (banked,) = split_into_stacks(intervals, {(0, 1)}, 5)
    assert (plain.unit_bytes, banked.unit_bytes, banked.bank) == (2, 1, 5)


def test_placement_has_the_same_result_after_as_many_turns() -> None:
    rng = random.Random(0)
    items = []
    for k in range(60):
        first = rng.randrange(20)
        items.append(Rectangle(f"b{k}", None, Buffer(Role.INPUT, f"b{k}", rng.randint(1, 40), 8), first, first + 2))
    pairs = frozenset((i, j) for j in range(60) for i in range(j) if items[i].meets(items[j]) and rng.random() < 0.3)
    layout, device = Layout(tuple(items), pairs), replace(load_device("sim8"), bank_bytes=128, banks=64)
    first, second = (place(layout, device, 0, Limits(60.0, seed=3), turns=1) for _ in range(2))
    assert first == second
    assert first.offsets is not None
