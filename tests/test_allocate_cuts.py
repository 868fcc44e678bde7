"""Cuts of the choice program: what they say holds for every choice that they are about, and they say no more."""

from dataclasses import replace

import pytest
from checked import roomy_device
from networks import GraphBuilder

from sfopt.allocate.choice import ChoiceProgram, Known
from sfopt.allocate.cuts import Cut, cut_from
from sfopt.allocate.linear import Limits, solve_with_cp_sat
from sfopt.allocate.options import Option
from sfopt.allocate.problem import Choice, Problem
from sfopt.allocate.rectangles import rectangles
from sfopt.allocate.segments import UNLIMITED
from sfopt.allocate.switches import Switches


def two_maps_around_a_segment() -> tuple[Problem, Choice, str, str]:
    """Groups 1 and 2 in one segment; one map ends at 1, another one begins at 2: they meet only because of the segment."""
    b = GraphBuilder("around")
    x = b.conv(b.input(4, 24, 16), 4)
    z = b.conv(b.conv(x, 4), 4)
    network = b.network([b.conv(z, 4)])
    problem = Problem.build(network, roomy_device(), Switches())
    both = next(o for o in problem.segments.lean(UNLIMITED) if o.key == (1, 2, frozenset({x, z})))
    ends = {first: _single(problem, first, name) for first, name in ((0, x), (3, z))}
    return problem, Choice({**ends, 1: both}, frozenset({x, z})), x, z


def _single(problem: Problem, first: int, name: str) -> Option:
    return next(o for o in problem.lean_singles if o.key == (first, first, frozenset({name})))


def solved(problem: Problem, options: tuple[Option, ...], cut: Cut) -> Choice | None:
    program = ChoiceProgram(problem, options, Known(cuts=[cut]), Switches())
    return program.choice(solve_with_cp_sat(program.minimise("traffic", {}), Limits(10)))


def test_maps_that_meet_in_a_segment_are_cut_off_in_that_segment_only() -> None:
    problem, choice, x, z = two_maps_around_a_segment()
    layout = rectangles(problem, choice)
    part = layout.part(i for i, r in enumerate(layout.items) if r.name in (x, z))
    cut = cut_from(problem, choice, part, 2 * problem.device.sram_bytes)
    assert cut.blocks == {(1, 2): ()}
    assert solved(problem, tuple(choice.options.values()), cut) is None
    apart = solved(problem, problem.lean_singles, cut)
    assert apart is not None
    assert {x, z} <= apart.resident


def sum_over_its_residual() -> tuple[Problem, Choice, str, str]:
    """The cheapest choice of one group at a time: everything resident, the sum over the map that is its residual."""
    b = GraphBuilder("sum")
    x = b.conv(b.input(8, 6, 6), 8)
    y = b.add(b.conv(b.conv(x, 8), 8), x)
    problem = Problem.build(b.network([b.conv(y, 8)]), roomy_device(), Switches(segments=False))
    program = ChoiceProgram(problem, problem.lean_singles, Known(), problem.switches)
    held = program.choice(solve_with_cp_sat(program.minimise("traffic", {}), Limits(10)))
    assert held is not None
    return problem, replace(held, in_place=frozenset({(problem.network.producers[y], x)})), x, y


@pytest.mark.parametrize("over", [True, False])
def test_cut_of_maps_written_over_holds_for_those_alone(over: bool) -> None:
    """A cut that says that the two cannot be there as they are, one over the other or not, leaves only the other way."""
    problem, choice, x, y = sum_over_its_residual()
    choice = choice if over else replace(choice, in_place=frozenset())
    layout = rectangles(problem, choice)
    part = layout.part(i for i, r in enumerate(layout.items) if r.name in (x, y))
    assert len(part.merged()[0].items) == (1 if over else 2)
    cut = cut_from(problem, choice, part, 2 * problem.device.sram_bytes)
    assert cut.in_place == choice.in_place
    found = solved(problem, problem.lean_singles, cut)
    assert found is not None
    assert {x, y} <= found.resident
    assert bool(found.in_place) != over
