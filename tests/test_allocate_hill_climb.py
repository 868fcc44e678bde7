"""Best fit and hill climbing: valid, bounded, repeatable, and each doing what first fit does not."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_allocate_placement import BANK, DEVICE, exact, layouts, require_valid

from sfopt.allocate.best_fit import best_fit, tightest
from sfopt.allocate.first_fit import first_fit, lowest, peak_of
from sfopt.allocate.hill_climb import climb, memory_pressure
from sfopt.allocate.options import Block
from sfopt.allocate.rectangles import Layout, Rectangle
from sfopt.allocate.static import in_order
from sfopt.plan import Role


def boxes(*items: tuple[int, int, int]) -> Layout:
    """(size in words of 8 bytes, first step, last step), free to share banks."""
    made = (Rectangle(f"b{i}", 0, Block(Role.INPUT, f"b{i}", w, 8), f, t) for i, (w, f, t) in enumerate(items))
    return Layout(tuple(made), frozenset())


@pytest.mark.parametrize(
    ("size", "blocked", "low", "tight"),
    [
        (8, [], 0, 0),
        (8, [(0, 8)], 8, 8),
        (8, [(24, 32), (40, 64)], 0, 32),  # the gap of 8 between them, not the 24 below
        (8, [(16, 32), (48, 64)], 0, 0),  # two gaps of 16: the lower
        (24, [(16, 32), (40, 64)], 64, 64),  # no gap is large enough
        (8, [(8, 64), (16, 24), (72, 80)], 0, 0),  # a range within a range makes no gap
        (16, [(24, 64), (32, 40), (80, 88)], 0, 64),
    ],
)
def test_gaps(size: int, blocked: list[tuple[int, int]], low: int, tight: int) -> None:
    assert lowest(size, blocked) == low
    assert tightest(size, blocked) == tight


@settings(max_examples=100, deadline=None)
@given(layouts(), st.integers(0, 3))
def test_placements_are_valid_and_never_below_the_optimum(layout: Layout, seed: int) -> None:
    for place in (best_fit, climb(seed), in_order("step")):
        offsets = place(layout, DEVICE)
        require_valid(layout, offsets)
        assert memory_pressure(layout) <= exact(layout) <= peak_of(layout, offsets)


@settings(max_examples=100, deadline=None)
@given(layouts(most=9), st.integers(0, 3))
def test_climbing_never_ends_above_where_it_started_and_repeats(layout: Layout, seed: int) -> None:
    once = climb(seed)(layout, DEVICE)
    assert once == climb(seed)(layout, DEVICE)
    assert peak_of(layout, once) <= peak_of(layout, in_order("size")(layout, DEVICE))


def test_climbing_swaps_its_way_to_the_memory_pressure() -> None:
    """Largest first puts 5 at the bottom and the long 3 upon it, where it leaves a gap of 2; the long one first leaves none."""
    layout = boxes((3, 0, 2), (3, 0, 1), (3, 0, 1), (5, 2, 4))
    assert memory_pressure(layout) == 9 * 8
    assert peak_of(layout, in_order("size")(layout, DEVICE)) == 11 * 8
    assert peak_of(layout, climb(0)(layout, DEVICE)) == 9 * 8


def test_best_fit_saves_the_large_gap_for_what_comes_later() -> None:
    """The last 6 has two gaps, 9 below and 6 above: in the lower one it leaves no place for the 4."""
    layout = boxes((9, 2, 4), (4, 5, 7), (6, 2, 5), (6, 3, 6), (8, 3, 6), (6, 6, 7))
    assert in_order("size")(layout, DEVICE) == tuple(8 * o for o in (0, 29, 17, 23, 9, 0))
    assert best_fit(layout, DEVICE) == tuple(8 * o for o in (0, 0, 17, 23, 9, 17))


def test_what_no_order_can_fit_is_not_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    layout = boxes((9, 0, 0), (9, 0, 0))
    monkeypatch.setattr("sfopt.allocate.hill_climb.ROUNDS", -1)
    small = replace(DEVICE, banks=1)
    assert memory_pressure(layout) > small.sram_bytes
    assert climb(0)(layout, small) == first_fit(layout, (0, 1), BANK)
