"""Stays in buffers: against every possible seating."""

from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st

from sfopt.allocate.seating import Stay, seat

BUFFERS = 3


@st.composite
def stays(draw: st.DrawFn) -> list[Stay]:
    """Up to seven, at most three at one step, by ascending first step."""
    found = list[Stay]()
    for _ in range(draw(st.integers(0, 7))):
        first = draw(st.integers(0, 6))
        stay = Stay(first, draw(st.integers(first, 7)), draw(st.integers(1, 20)))
        if all(sum(s.first <= step <= s.last for s in found) < BUFFERS for step in range(stay.first, stay.last + 1)):
            found.append(stay)
    return sorted(found, key=lambda s: s.first)


def sizes_of(items: list[Stay], seats: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(
        max((s.size_bytes for s, at in zip(items, seats, strict=True) if at == i), default=0) for i in range(BUFFERS)
    )


def clash(items: list[Stay], seats: tuple[int, ...]) -> bool:
    return any(
        seats[i] == seats[j] and items[i].first <= items[j].last and items[j].first <= items[i].last
        for j in range(len(items))
        for i in range(j)
    )


@settings(max_examples=200, deadline=None)
@given(stays())
def test_the_sum_of_buffers_is_the_least_there_is(items: list[Stay]) -> None:
    every = [s for s in product(range(BUFFERS), repeat=len(items)) if not clash(items, s)]
    least = min(sum(sizes_of(items, s)) for s in every)
    found = seat(items, BUFFERS, least)
    assert found is not None
    assert not clash(items, found.seats)
    assert found.sizes == sizes_of(items, found.seats)
    assert found.size_bytes == least
    assert items == [] or seat(items, BUFFERS, least - 1) is None


def test_looking_ahead_keeps_the_large_buffer_free() -> None:
    """Beside a shortcut of 8, two stays of 2 meet and an 8 follows: the first 2 belongs where 8 has room, not the second."""
    before = [Stay(0, 3, 8), Stay(0, 0, 8), Stay(0, 0, 2)]
    found = seat([*before, Stay(1, 2, 2), Stay(2, 3, 2), Stay(3, 4, 8)], BUFFERS, 100)
    assert found is not None
    assert sorted(found.sizes) == [2, 8, 8]
