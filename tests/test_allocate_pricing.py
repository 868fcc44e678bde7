"""Linear programs, their prices and two solvers against enumeration; the choice program with and without prices."""

import random
from collections.abc import Iterator
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from small_cases import small_case

from sfopt.allocate import pricing
from sfopt.allocate.choice import LEVELS, ChoiceProgram, Known
from sfopt.allocate.linear import Limits, LinearProgram, relaxed, solve_with_cp_sat
from sfopt.allocate.options import Option
from sfopt.allocate.pricing import Priced, minimise
from sfopt.allocate.problem import Problem
from sfopt.allocate.second_opinion import solve_with_highs
from sfopt.allocate.switches import Switches
from sfopt.errors import InfeasibleError
from sfopt.plan import Status

LIMITS = Limits(20.0)
ROUNDING = 1e-6


def random_program(seed: int) -> LinearProgram:
    """Up to six columns of up to four values; rows that choose, limit and tie; now and then without a solution."""
    r, program = random.Random(seed), LinearProgram()
    for i in range(r.randint(1, 6)):
        low = r.choice([0, 0, 0, -1, 2])
        program.column(f"c{i}", low, low + r.choice([1, 1, 1, 3]))
    for _ in range(r.randint(0, 5)):
        terms = [(c, r.choice([-3, -1, 0, 1, 1, 2, 7])) for c in range(len(program.names)) if r.random() < 0.7]
        middle = sum(f * r.randint(program.low[c], program.high[c]) for c, f in terms)
        low, high = r.choice([(middle, None), (None, middle), (middle, middle), (middle - 2, middle + 1)])
        program.row(terms, low, high)
    program.objective = {c: r.randint(-9, 30) for c in range(len(program.names)) if r.random() < 0.9}
    least = sum(min(f * program.low[c], f * program.high[c]) for c, f in program.objective.items())
    program.constant = r.randint(0, 50) - least  # no value below 0: no level of a plan has one
    return program


def solutions(program: LinearProgram) -> Iterator[tuple[tuple[int, ...], int]]:
    """All values of the columns that meet the rows, with their objective."""
    for values in product(*(range(low, high + 1) for low, high in zip(program.low, program.high, strict=True))):
        sums = [sum(values[c] * f for c, f in zip(cs, fs, strict=True)) for cs, fs, _, _ in program.rows]
        sides = [(low, high) for _, _, low, high in program.rows]
        if all(
            (low is None or low <= s) and (high is None or s <= high)
            for s, (low, high) in zip(sums, sides, strict=True)
        ):
            yield values, program.constant + sum(values[c] * f for c, f in program.objective.items())


def test_cp_sat_finds_what_enumeration_finds() -> None:
    without = 0
    for seed in range(150):
        program = random_program(seed)
        found, values = solve_with_cp_sat(program, LIMITS), dict(solutions(program))
        assert found.status is Status.OPTIMAL
        if found.values is None:
            assert not values, f"seed {seed}"
            without += 1
            continue
        assert values[tuple(found.values)] == found.value == found.bound == min(values.values()), f"seed {seed}"
    assert 5 < without < 75


@pytest.mark.parametrize("solver", ["glop", "pdlp"])
def test_prices_hold_for_every_solution(solver: str) -> None:
    """Value >= bound + what the columns' reduced costs add away from their cheap end: what excluding an option relies on."""
    tight = excluded = 0
    for seed in range(150):
        program = random_program(seed)
        found = relaxed(program, LIMITS, solver)
        values = dict(solutions(program))
        if found is None or not values:
            continue
        bound, costs = found
        cheapest = np.minimum(costs * np.array(program.low), costs * np.array(program.high))
        slack = ROUNDING * max(1.0, abs(bound))
        best = min(values.values())
        assert bound <= best + slack, f"seed {seed}"
        for point, value in values.items():
            assert bound + float((costs * np.array(point) - cheapest).sum()) <= value + slack, f"seed {seed}"
        tight += bound > best - 1
        excluded += any(bound + c > best + slack for c in np.abs(costs))
    assert tight >= 60, "a bound that is always far off would pass as well"
    assert excluded >= 30


def test_no_prices_of_a_program_without_solution() -> None:
    program = LinearProgram()
    program.row([(program.column("x"), 1)], low=2)
    assert relaxed(program, LIMITS) is None
    assert solve_with_cp_sat(program, LIMITS).values is None


def programs(seeds: range) -> Iterator[tuple[int, Problem, tuple[Option, ...]]]:
    """Problems of small networks with all of their options."""
    for seed in seeds:
        network, device = small_case(seed)
        try:
            problem = Problem.build(network, device, Switches())
        except InfeasibleError:
            continue
        yield seed, problem, problem.full(None)


def solved(problem: Problem, options: tuple[Option, ...], level: str, fixed: dict[str, int], *, priced: bool) -> Priced:
    switches = replace(Switches(), reduced_costs=priced)
    return minimise(ChoiceProgram(problem, options, Known(), switches), level, fixed, LIMITS, switches, None)


def test_prices_leave_every_level_and_every_optimum_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small programs are solved as they are unless asked otherwise. What prices drop cannot be part of an optimum."""
    monkeypatch.setattr(pricing, "SMALL", 0)
    dropped = levels = 0
    for seed, problem, options in programs(range(500, 516)):
        fixed, pool = dict[str, int](), options
        for level in LEVELS:
            plain = solved(problem, options, level, fixed, priced=False)
            priced = solved(problem, pool, level, fixed, priced=True)
            assert plain.useful == options
            assert (priced.answer.value, priced.answer.status) == (plain.answer.value, Status.OPTIMAL), f"seed {seed}"
            if plain.answer.values is None:
                break
            useful = {id(o) for o in priced.useful}
            gone = [o for o in pool if id(o) not in useful]
            for option in random.Random(seed).sample(gone, min(3, len(gone))):
                program = ChoiceProgram(problem, options, Known(), Switches())
                rows = program.minimise(level, fixed)
                rows.low[program.x[options.index(option)]] = 1
                forced = solve_with_cp_sat(rows, LIMITS)
                assert forced.values is None or forced.value > plain.answer.value, f"seed {seed}"
                dropped += 1
            fixed[level], pool = plain.answer.value, priced.useful
            levels += 1
    assert levels >= 20
    assert dropped >= 20


def test_highs_finds_the_same_optima() -> None:
    compared = 0
    for seed in range(60):
        one, other = (solve(random_program(seed), LIMITS) for solve in (solve_with_cp_sat, solve_with_highs))
        assert (one.value, one.bound, one.status) == (other.value, other.bound, other.status), seed
        assert (one.values is None) == (other.values is None), seed
    for seed, problem, options in programs(range(700, 712)):
        fixed: dict[str, int] = {}
        for level in LEVELS:
            rows = ChoiceProgram(problem, options, Known(), Switches()).minimise(level, fixed)
            one, other = solve_with_cp_sat(rows, LIMITS), solve_with_highs(rows, LIMITS)
            assert (one.value, one.status) == (other.value, other.status), (seed, level)
            assert (one.values is None) == (other.values is None), (seed, level)
            if one.values is None:
                break
            fixed[level] = one.value
            compared += 1
    assert compared >= 12
