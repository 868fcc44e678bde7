"""Data of the placement: rectangles in (step, address), and which pairs of them must lie in disjoint banks."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations

from sfopt.allocate.options import Block, operand_sets
from sfopt.allocate.problem import Choice, Problem
from sfopt.plan import Role

__all__ = ["Layout", "Rectangle", "rectangles"]


@dataclass(frozen=True)
class Rectangle:
    """A buffer without its offset: a resident map (`group` is None), or a block of one group."""

    name: str
    group: int | None
    block: Block
    first: int
    last: int

    @property
    def size_bytes(self) -> int:
        """Bytes of scratchpad."""
        return self.block.size_bytes

    def meets(self, other: "Rectangle") -> bool:
        """Whether both are live at one step."""
        return self.first <= other.last and other.first <= self.last


@dataclass(frozen=True)
class Layout:
    """Rectangles, and the pairs of indices (smaller first) that may not share a bank."""

    items: tuple[Rectangle, ...]
    apart: frozenset[tuple[int, int]]

    def part(self, wanted: Iterable[int]) -> "Layout":
        """The layout of some of the items only, in their order here."""
        kept = sorted(wanted)
        new = {old: i for i, old in enumerate(kept)}
        pairs = frozenset((new[a], new[b]) for a, b in self.apart if a in new and b in new)
        return Layout(tuple(self.items[i] for i in kept), pairs)

    def live_at(self, first: int, last: int) -> list[int]:
        """Indices of the items live at some step of `first..last`."""
        return [i for i, r in enumerate(self.items) if r.first <= last and first <= r.last]


def rectangles(problem: Problem, choice: Choice) -> Layout:
    """Everything that a choice puts into the scratchpad.

    Groups that a partial choice leaves open still keep their resident maps apart.
    """
    items, index = list[Rectangle](), dict[str, int]()
    for m in problem.free_maps:
        if m in choice.resident:
            fmap = problem.network.maps[m]
            block = Block(Role.RESIDENT, m, fmap.height, problem.map_bytes[m] // fmap.height)
            items.append(Rectangle(m, None, block, *problem.live[m]))
    for step, option in choice.options.items():
        for block in option.blocks:
            suffix = f".{block.role.value}" if block.role in (Role.WEIGHTS, Role.PARAMETERS) else ""
            items.append(Rectangle(f"{step}:{block.content}{suffix}", step, block, step - block.early, step))
    for i, item in enumerate(items):
        index[item.name] = i
    apart = set[tuple[int, int]]()
    for group in problem.network.groups:
        for names in operand_sets(group, f"{group.name}.weights"):
            spelled = (n for m in names for n in (f"{group.index}:{m}", m) if n in index)
            apart.update((min(a, b), max(a, b)) for a, b in combinations([index[n] for n in spelled], 2))
    return Layout(tuple(items), frozenset(apart))
