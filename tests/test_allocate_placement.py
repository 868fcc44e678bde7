"""Stacking, first fit and the placement program against enumeration of all orders."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from brute_force import Box, Effort, lowest_placement
from hypothesis import given, settings
from hypothesis import strategies as st

from sfopt.allocate.first_fit import first_fit, peak_of, place_constructively
from sfopt.allocate.linear import Limits
from sfopt.allocate.options import Block, bank_floor
from sfopt.allocate.placement import place
from sfopt.allocate.rectangles import Layout, Rectangle
from sfopt.allocate.stack import MAX_STACK, stack_height
from sfopt.device import load_device
from sfopt.plan import Role

BANK = 32
DEVICE = replace(load_device("sim8"), bank_bytes=BANK, banks=40)


@st.composite
def layouts(draw: st.DrawFn, most: int = 6, steps: int = 4) -> Layout:
    """Rectangles of whole words, and pairs of those live together that must be apart."""
    count = draw(st.integers(1, most))
    items = list[Rectangle]()
    for i in range(count):
        first = draw(st.integers(0, steps - 1))
        last = draw(st.integers(first, steps - 1))
        items.append(Rectangle(f"b{i}", 0, Block(Role.INPUT, f"b{i}", draw(st.integers(1, 9)), 8), first, last))
    meeting = [(i, j) for j in range(count) for i in range(j) if items[i].meets(items[j])]
    apart = draw(st.sets(st.sampled_from(meeting))) if meeting else set[tuple[int, int]]()
    return Layout(tuple(items), frozenset(apart))


@st.composite
def layouts_with_shared_places(draw: st.DrawFn) -> Layout:
    """The same, and some items share their place with others of their size, the next of which begins when one before is live."""
    items = list[Rectangle]()
    for item in draw(layouts(steps=3)).items:
        end, members = item.last, draw(st.integers(1, 3))
        items.append(replace(item, place=item.name if members > 1 else None))
        for k in range(1, members):
            first = draw(st.integers(item.first, end))
            last = draw(st.integers(first, 3))
            items.append(replace(item, name=f"{item.name} {k}", first=first, last=last, place=item.name))
            end = max(end, last)
    pairs = [
        (i, j) for j in range(len(items)) for i in range(j) if items[i].meets(items[j]) and not together(items, i, j)
    ]
    apart = draw(st.sets(st.sampled_from(pairs))) if pairs else set[tuple[int, int]]()
    return Layout(tuple(items), frozenset(apart))


def together(items: Sequence[Rectangle], i: int, j: int) -> bool:
    return items[i].place is not None and items[i].place == items[j].place


def exact(layout: Layout) -> int:
    """By enumeration."""
    boxes, index = list[Box](), list[int]()
    for i, r in enumerate(layout.items):
        other = next((index[j] for j in range(i) if together(layout.items, i, j)), None)
        index.append(len(boxes) if other is None else other)
        if other is None:
            boxes.append(Box(r.name, r.size_bytes, r.first, r.last))
        else:
            old = boxes[other]
            boxes[other] = replace(old, first=min(old.first, r.first), last=max(old.last, r.last))
    pairs = {(min(index[a], index[b]), max(index[a], index[b])) for a, b in layout.apart}
    return lowest_placement(boxes, pairs, BANK, 10**6, Effort(10**6))


def require_valid(layout: Layout, offsets: tuple[int, ...]) -> None:
    for j, b in enumerate(layout.items):
        for i, a in enumerate(layout.items[:j]):
            if together(layout.items, i, j):
                assert offsets[i] == offsets[j]
            elif a.meets(b):
                unit = BANK if (i, j) in layout.apart else 1
                low, high = sorted([(offsets[i], a.size_bytes), (offsets[j], b.size_bytes)])
                assert (sum(low) - 1) // unit < high[0] // unit


@settings(max_examples=150, deadline=None)
@given(layouts(steps=1))
def test_stack_height_is_exact(layout: Layout) -> None:
    assert stack_height(layout, BANK) == exact(layout)


def test_stack_of_too_many_is_their_sum() -> None:
    items = tuple(Rectangle(f"b{i}", 0, Block(Role.INPUT, f"b{i}", 1, 8), 0, 0) for i in range(MAX_STACK + 1))
    assert stack_height(Layout(items, frozenset()), BANK) == 8 * (MAX_STACK + 1)


@settings(max_examples=100, deadline=None)
@given(layouts())
def test_first_fit_is_valid_and_never_below_the_optimum(layout: Layout) -> None:
    offsets = first_fit(layout, range(len(layout.items)), BANK)
    require_valid(layout, offsets)
    best = place_constructively(layout, BANK, 0, rounds=20, seed=1)
    require_valid(layout, best)
    assert exact(layout) <= min(peak_of(layout, best), peak_of(layout, offsets))


@settings(max_examples=100, deadline=None)
@given(layouts(), st.booleans())
def test_placement_program_is_exact(layout: Layout, constructive: bool) -> None:
    found = place(layout, DEVICE, 0, Limits(10), constructive=constructive)
    assert found.offsets is not None
    require_valid(layout, found.offsets)
    assert found.peak_bytes == found.bound_bytes == exact(layout)


@settings(max_examples=60, deadline=None)
@given(layouts_with_shared_places())
def test_placement_of_what_shares_places_is_exact(layout: Layout) -> None:
    found = place(layout, DEVICE, 0, Limits(10))
    assert found.offsets is not None
    require_valid(layout, found.offsets)
    assert found.peak_bytes == found.bound_bytes == exact(layout)


@settings(max_examples=60, deadline=None)
@given(layouts(), st.integers(1, 8))
def test_what_does_not_fit_is_proven_not_to(layout: Layout, banks: int) -> None:
    found = place(layout, replace(DEVICE, banks=banks), 0, Limits(10))
    fits = exact(layout) <= banks * BANK
    assert (found.offsets is not None) == fits
    assert fits or found.bound_bytes > banks * BANK


@pytest.mark.parametrize(
    ("sizes", "floor"),
    [([8], 8), ([8, 8], 40), ([32, 32], 64), ([33, 33], 97), ([64, 8, 40], 64 + 64 + 8), ([40, 8], 72 - 32 + 32)],
)
def test_bank_floor(sizes: list[int], floor: int) -> None:
    items = tuple(Rectangle(f"b{i}", 0, Block(Role.INPUT, f"b{i}", s, 1), 0, 0) for i, s in enumerate(sizes))
    pairs = frozenset((i, j) for j in range(len(sizes)) for i in range(j))
    assert bank_floor(sizes, BANK) == floor == stack_height(Layout(items, pairs), BANK)
