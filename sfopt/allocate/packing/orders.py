"""In which order a search tries blocks, and for how long: fixed orders first, then ones that learn from what failed.

How long a search takes depends on luck with its first choices, so that many short runs find what one long run does not. Blocks
that were left waiting when a section overflowed are tried earlier in later runs (Joslin and Clements, "Squeaky wheel
optimization", JAIR 1999).
"""

import random
from collections.abc import Callable, Sequence

from sfopt.allocate.packing.stack import Block, Stack

__all__ = ["FIXED_ORDERS", "Orders", "fixed_ranks", "luby"]

Rank = Callable[[Block, Sequence[int]], tuple[int, ...]]
"""Of a block, given the loads of the sections; higher goes first."""

FIXED_ORDERS: tuple[Rank, ...] = (
    lambda block, _: (block.sections, block.size),
    lambda block, _: (block.size, block.sections),
    lambda block, loads: (max(loads[block.first : block.end]), block.sections),
)

MEMORY = 0.5
"""Share of a weight that a run leaves as it was."""

NOISE = 0.5
"""A rank is the weight times a factor between 1 - NOISE and 1 + NOISE."""


class Orders:
    """Ranks for one run after another: `next_ranks`, run, `learn`, and so on."""

    def __init__(self, stack: Stack, seed: int) -> None:
        self._random = random.Random(seed)
        self._weights = [1.0] * len(stack.blocks)
        self._fixed = fixed_ranks(stack)[::-1]

    def next_ranks(self) -> Sequence[float]:
        """A rank for each block; those of higher rank are to be tried first."""
        if self._fixed:
            return self._fixed.pop()
        return [weight * self._random.uniform(1 - NOISE, 1 + NOISE) for weight in self._weights]

    def learn(self, blame: Sequence[int]) -> None:
        """Raise the weights of the blocks that were to blame for the failures of a run."""
        most = max(blame, default=0)
        if most:
            self._weights = [
                MEMORY * weight + (1 - MEMORY) * (0.5 + count / most)
                for weight, count in zip(self._weights, blame, strict=True)
            ]


def fixed_ranks(stack: Stack) -> list[list[float]]:
    """Ranks of the blocks in each of the `FIXED_ORDERS`."""
    return [_ranks(stack, order) for order in FIXED_ORDERS]


def _ranks(stack: Stack, order: Rank) -> list[float]:
    keys = [order(block, stack.loads) for block in stack.blocks]
    position = {key: float(rank) for rank, key in enumerate(sorted(set(keys)))}
    return [position[key] for key in keys]


def luby(index: int) -> int:
    """Term `index` >= 1 of 1, 1, 2, 1, 1, 2, 4, 1, ...: run lengths that lose little to the best ones, which nobody knows.

    Luby, Sinclair and Zuckerman, "Optimal speedup of Las Vegas algorithms", Information Processing Letters 1993.
    """
    while (index + 1) & index:
        index -= (1 << (index.bit_length() - 1)) - 1
    return (index + 1) >> 1
