"""In which order a search tries blocks, and for how long: fixed orders first, then ones that learn from what failed.

How long a search takes depends on luck with its first choices, so that many short runs find what one long run does not. Blocks
that were left waiting when a section overflowed are tried earlier in later runs (Joslin and Clements, "Squeaky wheel
optimization", JAIR 1999).
"""

import random
from collections.abc import Callable, Sequence

from sfopt.allocate.packing.stack import Block, Stack

__all__ = ["FIXED_ORDERS", "Orders", "fixed_ranks"]

Rank = Callable[[Block, Sequence[int]], tuple[int, ...]]
"""Of a block, given the loads of the sections; higher goes first."""

FIXED_ORDERS: tuple[Rank, ...] = (
    lambda block, _: (block.sections, block.size),
    lambda block, _: (block.size, block.sections),
    lambda block, loads: (max(loads[block.first : block.end]), block.sections),
)

MEMORY = 0.5
"""Share of a weight that a run leaves as it was."""

WEIGHT_NOISE = 0.5
"""A learned rank is the weight times a factor between 1 - WEIGHT_NOISE and 1 + WEIGHT_NOISE."""

FIXED_NOISE = 0.3
"""A fixed order's ranks are between 0 and 1; when the order returns, up to this much is added to each."""


class Orders:
    """Ranks for one run after another: `next_ranks`, run, `learn`, and so on.

    The fixed orders as they are, then in turn a learned order and one of the fixed ones, each with noise.
    """

    def __init__(self, stack: Stack, seed: int) -> None:
        self._random = random.Random(seed)
        self._weights = [1.0] * len(stack.blocks)
        self._fixed = fixed_ranks(stack)
        self._runs = 0

    def next_ranks(self) -> Sequence[float]:
        """A rank for each block; those of higher rank are to be tried first."""
        self._runs += 1
        if self._runs <= len(self._fixed):
            return self._fixed[self._runs - 1]
        if self._runs % 2:
            return [weight * self._random.uniform(1 - WEIGHT_NOISE, 1 + WEIGHT_NOISE) for weight in self._weights]
        ranks = self._fixed[self._runs // 2 % len(self._fixed)]
        return [rank + self._random.uniform(0, FIXED_NOISE) for rank in ranks]

    def learn(self, blame: Sequence[int]) -> None:
        """Raise the weights of the blocks that were to blame for the failures of a run."""
        most = max(blame, default=0)
        if most:
            self._weights = [
                MEMORY * weight + (1 - MEMORY) * (0.5 + count / most)
                for weight, count in zip(self._weights, blame, strict=True)
            ]


def fixed_ranks(stack: Stack) -> list[list[float]]:
    """Ranks, from 0 to below 1, of the blocks in each of the `FIXED_ORDERS`."""
    return [_ranks(stack, order) for order in FIXED_ORDERS]


def _ranks(stack: Stack, order: Rank) -> list[float]:
    keys = [order(block, stack.loads) for block in stack.blocks]
    distinct = sorted(set(keys))
    rank = {key: position / len(distinct) for position, key in enumerate(distinct)}
    return [rank[key] for key in keys]
