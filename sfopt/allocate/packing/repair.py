"""Mend a packing where it is too high: solve a few sections anew, with all blocks elsewhere where they are.

A long stack is seldom hard all over. Where a packing is too high in a few places, one order of blocks or one solve would have to be
right everywhere at once, whereas each place alone is a small program (a large neighbourhood, Shaw, CP 1998). A fixed block that
shares sections with a free one takes a range of offsets from it, which is all that the program needs to know of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sfopt.allocate.packing.program import Ranges, solve_program
from sfopt.allocate.packing.stack import Stack

__all__ = ["repair"]

RADII = (0, 1, 2, 4, 8, 16, 32)
"""Sections on either side of a block that is too high that are solved anew, one after the other until the block is low enough."""

LEAST_EFFORT = 2e-4
"""What a solve counts as at least: to build a program and to refuse it at once takes time as well."""

LARGEST_SHARE = 0.5
"""Of the blocks: with more of them free, the program of all is the better one."""


@dataclass
class _Budget:
    effort: float
    deadline_s: float
    seed: int


def repair(
    stack: Stack, offsets: Sequence[int], goal: int, *, effort: float, deadline_s: float, seed: int
) -> tuple[int, ...]:
    """The packing, with blocks that end above `goal` units lowered where that was found possible; never a higher peak.

    `effort` as for `solve_program`, for all of them together.
    """
    mended, budget = list(offsets), _Budget(effort, deadline_s, seed)
    for index, block in enumerate(stack.blocks):
        for radius in RADII:
            if mended[index] + block.size <= goal or budget.effort <= 0:
                break
            free = _around(stack, mended, index, radius, goal)
            if len(free) > LARGEST_SHARE * len(stack.blocks):
                break
            _solve_anew(stack, mended, free, goal, budget)
    return tuple(mended)


def _around(stack: Stack, offsets: Sequence[int], index: int, radius: int, goal: int) -> list[int]:
    """The blocks up to `radius` sections from a block, without those that are too high themselves but share no section with it.

    Those have their own turn: here, they would only forbid what helps this block.
    """
    block, free = stack.blocks[index], []
    for other, b in enumerate(stack.blocks):
        near = b.first < block.end + radius and block.first - radius < b.end
        beside = b.first < block.end and block.first < b.end
        if beside or (near and offsets[other] + b.size <= goal):
            free.append(other)
    return free


def _solve_anew(stack: Stack, offsets: list[int], free: Sequence[int], goal: int, budget: _Budget) -> None:
    """Lower the highest of the free blocks, if that can be done."""
    highest = max(offsets[index] + stack.blocks[index].size for index in free)
    proof = solve_program(
        stack.part(free),
        goal,
        highest - 1,
        effort=budget.effort,
        deadline_s=budget.deadline_s,
        seed=budget.seed,
        rooms=_rooms(stack, offsets, free),
    )
    budget.effort -= max(proof.effort, LEAST_EFFORT)
    for index, offset in zip(free, proof.offsets or (), strict=False):
        offsets[index] = offset


def _rooms(stack: Stack, offsets: Sequence[int], free: Sequence[int]) -> list[Ranges]:
    """The offsets of each free block at which it overlaps no fixed one, nor shares a bank with a fixed foe."""
    fixed = sorted(set(range(len(stack.blocks))).difference(free), key=offsets.__getitem__)
    rooms = []
    for index in free:
        block, foes = stack.blocks[index], stack.foes[index]
        taken = []
        for other in fixed:
            neighbour = stack.blocks[other]
            if neighbour.first < block.end and block.first < neighbour.end:
                low, high = offsets[other], offsets[other] + neighbour.size
                if other in foes:
                    low, high = low // stack.bank * stack.bank, stack.next_bank(high)
                taken.append((low, high))
        room, bottom = list[tuple[int, int]](), 0
        for low, high in sorted(taken):
            room.append((bottom, low - block.size))
            bottom = max(bottom, high)
        rooms.append([*room, (bottom, stack.peak(offsets))])
    return rooms
