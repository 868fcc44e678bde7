"""Questions of what if against enumeration: the best plan that has a tensor elsewhere, or two groups in one segment."""

from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
from brute_force import Frame, TooManyCasesError, optimum
from small_cases import heavy_case, small_case

from sfopt.allocate import plan
from sfopt.allocate.choice import ChoiceProgram
from sfopt.allocate.demand import Demand
from sfopt.allocate.linear import Limits, relaxed
from sfopt.allocate.needs import Verdict, judge
from sfopt.allocate.problem import Problem
from sfopt.allocate.smallest import smallest_sram
from sfopt.allocate.switches import Switches
from sfopt.allocate.what_if import Proof, WhatIf
from sfopt.check import check_plan
from sfopt.device import Device
from sfopt.errors import InfeasibleError
from sfopt.groups import Network

LEVELS = ("traffic", "cycles", "peak")
Case = Callable[[int], tuple[Network, Device]]


def stays_on_chip(network: Network, frame: Frame, name: str) -> bool:
    """Whether no group of the frame reads a map back from DRAM."""

    def step(group: int) -> int:
        return next(i for i, (a, b) in enumerate(frame.spans) if a <= group <= b)

    made = [network.producers[name]] if name in network.producers else []
    steps = {step(g) for g in (*made, *network.readers[name])}
    return len(steps) == 1 or any(b.name == name and b.last == step(network.readers[name][-1]) for b in frame.stays)


def demands(problem: Problem) -> Iterator[tuple[Demand, Callable[[Frame], bool]]]:
    """Every question about one tensor or one boundary, and the frames that the enumeration may take."""
    network = problem.network
    for name in problem.free_maps:
        for on in (True, False):
            yield Demand(on_chip={name: on}), lambda f, n=name, on=on: stays_on_chip(network, f, n) == on
    for g in range(len(network.groups) - 1):
        yield Demand(together=frozenset({g})), lambda f, g=g: any(a <= g < b for a, b in f.spans)


def compare(case: Case, seeds: range) -> tuple[int, int]:
    """Questions compared, and how many of them have no plan."""
    compared = impossible = 0
    for seed in seeds:
        network, device = case(seed)
        if not 2 <= len(network.groups) <= 4:
            continue
        ask = WhatIf(network, device, 600)
        for demand, among in demands(ask.problem):
            try:
                expected = optimum(
                    network,
                    device,
                    ends_early=True,
                    in_place=True,
                    side_by_side=True,
                    among=among,
                    most=4000,
                    nodes=4000,
                )
            except TooManyCasesError:
                continue
            found = ask.placed(demand)
            chosen = ask.answer(demand)
            compared += 1
            if expected is None:
                impossible += 1
                assert found.proof is Proof.IMPOSSIBLE, (seed, demand)
                continue
            assert tuple(found.levels[n] for n in LEVELS) == expected, (seed, demand)
            assert found.proof is Proof.EXACT
            assert chosen.proof is Proof.EXACT
            assert (chosen.levels["traffic"], chosen.levels["cycles"]) <= expected[:2], (seed, demand)
    return compared, impossible


@pytest.mark.parametrize(("case", "seeds"), [(small_case, range(3, 9)), (heavy_case, range(2))])
def test_what_the_opposite_costs_equals_enumeration(case: Case, seeds: range) -> None:
    compared, impossible = compare(case, seeds)
    assert compared >= 5
    assert 0 < impossible < compared


@pytest.mark.nightly
@pytest.mark.parametrize("block", range(4))
@pytest.mark.parametrize("case", [small_case, heavy_case])
def test_what_the_opposite_costs_equals_enumeration_on_hundreds(case: Case, block: int) -> None:
    assert compare(case, range(25 * block, 25 * block + 25))[0] > 50


def test_the_smallest_scratchpad_works_and_the_next_smaller_does_not() -> None:
    enumerated = 0
    for seed in range(1, 5):
        network, device = small_case(seed)
        tiny = device.with_sram(device.banks * device.word_bytes)
        found = smallest_sram(network, tiny, 60)
        assert found.proven
        assert found.works_bytes is not None
        assert found.works_bytes - found.step_bytes == found.fails_bytes
        sized, smaller = device.with_sram(found.works_bytes), device.with_sram(found.fails_bytes)
        check_plan(plan(network, sized), network, sized)
        with pytest.raises(InfeasibleError):
            plan(network, smaller)
        with suppress(TooManyCasesError):
            assert optimum(network, smaller, ends_early=True, in_place=True, side_by_side=True) is None
            enumerated += 1
    assert enumerated > 1


def test_no_time_leaves_questions_open() -> None:
    network, device = small_case(3)
    ask = WhatIf(network, device, 0)
    assert ask.answer(Demand(on_chip={ask.problem.free_maps[0]: False})).proof is Proof.UNKNOWN


def test_a_price_is_what_the_relaxation_loses_with_a_word_less() -> None:
    """Prices are slopes of a convex function: a word less costs at least the price. Where traffic is compulsory there is none."""
    checked = 0
    for seed in range(3, 20):
        network, device = small_case(seed)
        ask = WhatIf(network, device, 60)
        if ask.base.proof is not Proof.EXACT:
            continue
        prices = {(p.rule, p.group): p.dram_bytes_per_byte for p in ask.capacity_prices()}
        excess = ask.base.levels["traffic"] - ask.problem.compulsory_bytes
        assert excess or not prices
        if not prices:
            continue
        program = ChoiceProgram(ask.problem, ask.problem.lean(excess), ask.known, ask.switches)
        whole = relaxed(program.minimise("traffic", {}), Limits(60))
        assert whole is not None
        for row, what in program.limits.items():
            columns, factors, low, high = program.program.rows[row]
            program.program.rows[row] = (columns, factors, low, -1)
            less = relaxed(program.program, Limits(60))
            program.program.rows[row] = (columns, factors, low, high)
            if less is not None:
                assert less[0] - whole[0] > prices.get(what, 0.0) * device.word_bytes - 1e-6
                checked += what in prices
    assert checked > 2


def test_pairs_that_cannot_fuse_are_told_apart() -> None:
    network, device = small_case(0)
    problem = Problem.build(network, device, Switches())
    verdicts = {g: judge(problem, g) for g in range(len(network.groups) - 1)}
    lean = problem.lean()
    for g, fusion in verdicts.items():
        assert (fusion.verdict is Verdict.POSSIBLE) >= any(o.first <= g < o.last for o in lean)
        if fusion.verdict is Verdict.TOO_LARGE:
            assert fusion.need_bytes is not None
            assert fusion.need_bytes > device.sram_bytes
        if fusion.verdict is Verdict.NO_GAIN:
            assert fusion.need_bytes is not None
            assert fusion.apart_bytes is not None
            assert fusion.apart_bytes <= fusion.need_bytes <= device.sram_bytes
