"""Data of the placement: rectangles in (step, address), and which pairs of them must lie in disjoint banks."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from itertools import combinations

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

    @property
    def size_bytes(self) -> int:
        """Bytes of scratchpad."""
        return self.block.size_bytes

    def meets(self, other: "Rectangle") -> bool:
        """Whether both are live at one step."""
        return self.first <= other.last and other.first <= self.last


@dataclass(frozen=True)
class Layout:
    """Rectangles, the pairs of indices (smaller first) that may not share a bank, and those (operand, output) with one offset.

    An output begins at the step at which the operand ends that it is written over; both have one size.
    """

    items: tuple[Rectangle, ...]
    apart: frozenset[tuple[int, int]]
    over: frozenset[tuple[int, int]] = frozenset()

    def part(self, wanted: Iterable[int]) -> "Layout":
        """The layout of some of the items only, in their order here."""
        kept = sorted(wanted)
        new = {old: i for i, old in enumerate(kept)}
        pairs = frozenset((new[a], new[b]) for a, b in self.apart if a in new and b in new)
        over = frozenset((new[a], new[b]) for a, b in self.over if a in new and b in new)
        return Layout(tuple(self.items[i] for i in kept), pairs, over)

    def merged(self) -> tuple["Layout", tuple[int, ...]]:
        """The layout with each chain of items that are written over each other as one; and for each item its index there.

        The one lives from the first item's first step to the last one's last, without a gap, apart from whatever any of them is.
        """
        head = list(range(len(self.items)))
        for operand, output in sorted(self.over, key=lambda pair: self.items[pair[1]].first):
            head[output] = head[operand]
        heads = sorted(set(head))
        last = {h: max(r.last for r, mine in zip(self.items, head, strict=True) if mine == h) for h in heads}
        place = tuple(heads.index(h) for h in head)
        pairs = {(min(place[a], place[b]), max(place[a], place[b])) for a, b in self.apart}
        return Layout(tuple(replace(self.items[h], last=last[h]) for h in heads), frozenset(pairs)), place

    def live_at(self, first: int, last: int) -> list[int]:
        """Indices of the items live at some step of `first..last`."""
        return [i for i, r in enumerate(self.items) if r.first <= last and first <= r.last]


def rectangles(problem: Problem, choice: Choice) -> Layout:
    """Everything that a choice puts into the scratchpad. Step s is its segment s, HOST groups included.

    Groups that a partial choice leaves open have no step; maps that live only there are left out, the others keep apart for them.
    """
    items = list[Rectangle]()
    spans = problem.spans(choice)
    for m in problem.free_maps:
        if m in choice.resident:
            born, dies = problem.life(choice, m)
            steps = [s for s, (first, last) in enumerate(spans) if first <= dies and born <= last]
            if steps:
                items.append(_held(problem, m, steps[0], steps[-1]))
    for step, (first, _) in enumerate(spans):
        option = choice.options.get(first)
        for block in option.blocks if option is not None else ():
            suffix = f".{block.role.value}" if block.role in (Role.WEIGHTS, Role.PARAMETERS) else ""
            items.append(Rectangle(f"{step}:{block.content}{suffix}", option, block, step - block.early, step))
    index = {item.name: i for i, item in enumerate(items)}
    outputs = {g: problem.network.groups[g].output for g in choice.in_place}
    over = frozenset((index[m], index[outputs[g]]) for g, m in choice.in_place.items())
    return Layout(tuple(items), _apart(problem, choice, index) - over - {(b, a) for a, b in over}, over)


def held_rectangles(problem: Problem, resident: Collection[str]) -> Layout:
    """Resident maps alone, every group being a step of its own."""
    items = tuple(_held(problem, m, *problem.live[m]) for m in problem.free_maps if m in resident)
    return Layout(items, _apart(problem, Choice({}, frozenset()), {item.name: i for i, item in enumerate(items)}))


def _held(problem: Problem, tensor: str, first: int, last: int) -> Rectangle:
    fmap = problem.network.maps[tensor]
    block = Block(Role.RESIDENT, tensor, fmap.height, problem.map_bytes[tensor] // fmap.height)
    return Rectangle(tensor, None, block, first, last)


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
