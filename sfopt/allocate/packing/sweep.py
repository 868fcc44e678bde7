"""Build a packing below a given peak from one end of the stack to the other, a few sections at a time.

A long stack is seldom hard all over, but one order of blocks, or one solve, would have to be right in all its sections at once.
Here the blocks that start in the next few sections join a packing of those before. They stay where a former packing had them if
that is free and low enough; else the program places them anew, together with the blocks of the sections just before, and of more
and more of these, while all others are fixed (a large neighbourhood, Shaw, CP 1998). A fixed block takes a range of offsets from
each block that it shares sections with, which is all that the program needs to know of it. When nothing is fixed any more and the
program still says no, the blocks so far prove that there is no such packing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sfopt.allocate.packing.program import Ranges, solve_program
from sfopt.allocate.packing.stack import Stack

__all__ = ["Swept", "sweep"]

STEP = 4
"""Sections that join at a time."""

LEAST_EFFORT = 2e-4
"""What a solve counts as at least: to build a program and to refuse it at once takes time as well."""


@dataclass(frozen=True)
class Swept:
    """Offsets by block, or None; then `refused` says whether it is proven that there are none."""

    offsets: tuple[int, ...] | None
    refused: bool


@dataclass
class _Budget:
    effort: float
    deadline_s: float
    seed: int


def sweep(stack: Stack, former: Sequence[int], capacity: int, *, effort: float, deadline_s: float, seed: int) -> Swept:
    """Look for a packing below `capacity` units. `former`: offsets of any packing, whatever its peak.

    `effort` as for `solve_program`, for all solves together. Without a deadline, the same arguments give the same result.
    """
    placed, budget = dict[int, int](), _Budget(effort, deadline_s, seed)
    for start in range(0, stack.sections, STEP):
        joining = [i for i, block in enumerate(stack.blocks) if start <= block.first < start + STEP]
        if not _keep(stack, former, capacity, placed, joining):
            back = STEP
            while True:
                free = sorted([*joining, *(i for i in placed if stack.blocks[i].end > start - back)])
                found = _solve_anew(stack, former, capacity, placed, free, budget)
                if found.offsets is not None:
                    placed |= dict(zip(free, found.offsets, strict=True))
                    break
                alone = len(free) == len(placed) + len(joining)
                if alone or budget.effort <= 0:
                    return Swept(None, refused=alone and found.refused)
                back *= 2
    return Swept(tuple(placed[i] for i in range(len(stack.blocks))), refused=False)


def _keep(stack: Stack, former: Sequence[int], capacity: int, placed: dict[int, int], joining: Sequence[int]) -> bool:
    """Whether the joining blocks can have their former offsets, which they then get."""
    fixed = _reaching(stack, placed, joining)
    for index in joining:
        if not any(low <= former[index] <= high for low, high in _room(stack, fixed, index, capacity)):
            return False
    placed.update((index, former[index]) for index in joining)
    return True


def _solve_anew(
    stack: Stack,
    former: Sequence[int],
    capacity: int,
    placed: Mapping[int, int],
    free: Sequence[int],
    budget: _Budget,
) -> Swept:
    """The free blocks below the capacity, the other placed ones where they are."""
    fixed = _reaching(stack, placed, free)
    proof = solve_program(
        stack.part(free),
        capacity,
        capacity,
        effort=budget.effort,
        deadline_s=budget.deadline_s,
        seed=budget.seed,
        rooms=[_room(stack, fixed, index, capacity) for index in free],
        hint=[placed.get(index, former[index]) for index in free],
    )
    budget.effort -= max(proof.effort, LEAST_EFFORT)
    return Swept(proof.offsets, refused=proof.bound > capacity)


def _reaching(stack: Stack, placed: Mapping[int, int], free: Sequence[int]) -> dict[int, int]:
    """The placed blocks, the free ones aside, that reach the first section of these."""
    first = min((stack.blocks[index].first for index in free), default=0)
    moving = set(free)
    return {i: offset for i, offset in placed.items() if stack.blocks[i].end > first and i not in moving}


def _room(stack: Stack, placed: Mapping[int, int], index: int, capacity: int) -> Ranges:
    """The offsets of a block at which it overlaps no placed one, nor shares a bank with a placed foe."""
    block, foes = stack.blocks[index], stack.foes[index]
    taken = []
    for other, offset in placed.items():
        neighbour = stack.blocks[other]
        if neighbour.first < block.end and block.first < neighbour.end:
            low, high = offset, offset + neighbour.size
            if other in foes:
                low, high = low // stack.bank * stack.bank, stack.next_bank(high)
            taken.append((low, high))
    room, bottom = list[tuple[int, int]](), 0
    for low, high in sorted(taken):
        room.append((bottom, low - block.size))
        bottom = max(bottom, high)
    return [*room, (bottom, capacity - block.size)]
