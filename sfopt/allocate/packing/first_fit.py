"""First fit: one block after another at the lowest offset that is free. Fast, and often enough where room is plenty."""

from collections.abc import Sequence

import numpy as np

from sfopt.allocate.packing.stack import Stack

__all__ = ["first_fit"]


def first_fit(stack: Stack, ranks: Sequence[float]) -> tuple[int, ...]:
    """Offsets in units, by block; blocks of higher rank are placed first. A foe blocks every bank that it touches."""
    firsts = np.array([block.first for block in stack.blocks])
    ends = np.array([block.end for block in stack.blocks])
    bottoms = np.zeros(len(stack.blocks), dtype=np.int64)
    tops = np.zeros(len(stack.blocks), dtype=np.int64)  # 0: not placed
    for index in np.argsort(-np.asarray(ranks), kind="stable"):
        block = stack.blocks[index]
        in_the_way = np.flatnonzero((tops > 0) & (firsts < block.end) & (ends > block.first))
        lows, highs = bottoms[in_the_way], tops[in_the_way]
        if stack.foes[index]:
            foes = np.isin(in_the_way, list(stack.foes[index]))
            lows = np.where(foes, lows // stack.bank * stack.bank, lows)
            highs = np.where(foes, -(-highs // stack.bank) * stack.bank, highs)
        offset = 0
        for position in np.argsort(lows):
            if lows[position] - offset >= block.size:
                break
            offset = max(offset, int(highs[position]))
        bottoms[index], tops[index] = offset, offset + block.size
    return tuple(map(int, bottoms))
