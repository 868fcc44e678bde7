"""Data of the placement: rectangles in (step, address), and which pairs of them must lie in disjoint banks."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from itertools import combinations

from sfopt.allocate.in_place import outermost
from sfopt.allocate.options import Block, Option, operand_sets
from sfopt.allocate.problem import Choice, Problem
from sfopt.plan import Role

__all__ = ["Layout", "Rectangle", "held_rectangles", "rectangles"]


@dataclass(frozen=True)
class Rectangle:
    """A buffer without its offset: a resident map (`option` is None), or a block of one option."""

    name: str
    option: Option | None
    block: Block
    first: int
    last: int
    place: str | None = None
    """The outermost map of the place that a map shares with others; None: it has its own."""

    @property
    def size_bytes(self) -> int:
        """Bytes of scratchpad."""
        return self.block.size_bytes

    def meets(self, other: "Rectangle") -> bool:
        """Whether both are live at one step."""
        return self.first <= other.last and other.first <= self.last


@dataclass(frozen=True)
class Layout:
    """Rectangles, and the pairs of indices (smaller first) that may not share a bank.

    Those with one `place` have one offset. They are of one size, and between the first one's first step and the last one's last
    step, one of them is live at each.
    """

    items: tuple[Rectangle, ...]
    apart: frozenset[tuple[int, int]]

    def part(self, wanted: Iterable[int]) -> "Layout":
        """The layout of some of the items only, in their order here."""
        kept = sorted(wanted)
        new = {old: i for i, old in enumerate(kept)}
        pairs = frozenset((new[a], new[b]) for a, b in self.apart if a in new and b in new)
        return Layout(tuple(self.items[i] for i in kept), pairs)

    def merged(self) -> tuple["Layout", tuple[int, ...]]:
        """The layout with all items of a place as one, apart from whatever any of them is; and for each item its index there."""
        heads = dict[str, int]()
        places = tuple(heads.setdefault(r.place or r.name, len(heads)) for r in self.items)
        members: list[list[Rectangle]] = [[] for _ in heads]
        for place, r in zip(places, self.items, strict=True):
            members[place].append(r)
        whole = (replace(m[0], first=min(r.first for r in m), last=max(r.last for r in m)) for m in members)
        pairs = {(min(places[a], places[b]), max(places[a], places[b])) for a, b in self.apart}
        return Layout(tuple(whole), frozenset(pairs)), places

    def live_at(self, first: int, last: int) -> list[int]:
        """Indices of the items live at some step of `first..last`."""
        return [i for i, r in enumerate(self.items) if r.first <= last and first <= r.last]


def rectangles(problem: Problem, choice: Choice) -> Layout:
    """Everything that a choice puts into the scratchpad. Step s is its segment s, HOST groups included.

    Groups that a partial choice leaves open have no step; maps that live only there are left out, the others keep apart for them.
    """
    items = list[Rectangle]()
    spans, outer = problem.spans(choice), outermost(problem, choice.in_place)
    for m in problem.free_maps:
        if m in choice.resident:
            born, dies = problem.life(choice, m)
            steps = [s for s, (first, last) in enumerate(spans) if first <= dies and born <= last]
            if steps:
                items.append(_held(problem, m, steps[0], steps[-1], outer.get(m)))
    for step, (first, _) in enumerate(spans):
        option = choice.options.get(first)
        for block in option.blocks if option is not None else ():
            suffix = f".{block.role.value}" if block.role in (Role.WEIGHTS, Role.PARAMETERS) else ""
            items.append(Rectangle(f"{step}:{block.content}{suffix}", option, block, step - block.early, step))
    index = {item.name: i for i, item in enumerate(items)}
    apart = _apart(problem, choice, index)
    together = {(a, b) for a, b in apart if items[a].place is not None and items[a].place == items[b].place}
    return Layout(tuple(items), apart - together)


def held_rectangles(problem: Problem, resident: Collection[str]) -> Layout:
    """Resident maps alone, every group being a step of its own."""
    items = tuple(_held(problem, m, *problem.live[m]) for m in problem.free_maps if m in resident)
    return Layout(items, _apart(problem, Choice({}, frozenset()), {item.name: i for i, item in enumerate(items)}))


def _held(problem: Problem, tensor: str, first: int, last: int, place: str | None = None) -> Rectangle:
    height = problem.network.maps[tensor].height
    block = Block(Role.RESIDENT, tensor, height, problem.map_bytes[place or tensor] // height)
    return Rectangle(tensor, None, block, first, last, place)


def _apart(problem: Problem, choice: Choice, index: dict[str, int]) -> frozenset[tuple[int, int]]:
    """Pairs of items that one instruction streams; of groups that a partial choice leaves open, only their resident maps."""
    pairs = set[tuple[int, int]]()
    step_of = {g: s for s, (first, last) in enumerate(problem.spans(choice)) for g in range(first, last + 1)}
    for group in problem.network.groups:
        step = step_of.get(group.index, -1)
        for names in operand_sets(group, f"{group.name}.weights"):
            seen = (n if _sees_resident(problem, choice, group.index, n) else "" for n in names)
            found = (index.get(f"{step}:{n}", index.get(held, -1)) for n, held in zip(names, seen, strict=True))
            pairs.update((min(a, b), max(a, b)) for a, b in combinations([i for i in found if i >= 0], 2))
    return frozenset(pairs)


def _sees_resident(problem: Problem, choice: Choice, group: int, tensor: str) -> bool:
    return tensor in problem.live and group <= problem.life(choice, tensor)[1]
