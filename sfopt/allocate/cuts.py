"""What the placement teaches the choice: proven floors and no-goods, each valid for every choice that meets its condition."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from sfopt.allocate.in_place import edges_around
from sfopt.allocate.options import Block, Edge, Option, bank_floor
from sfopt.allocate.problem import Choice, Problem
from sfopt.allocate.rectangles import Layout, Rectangle, rectangles
from sfopt.allocate.stack import stack_height

__all__ = ["Cut", "StepFloor", "covers", "cut_from", "step_floors", "weaker"]

Span = tuple[int, int]
"""First and last group of a segment."""


@dataclass(frozen=True)
class Cut:
    """Maps `resident` together with `blocks`, each at least this large, cannot be placed below `height_bytes`.

    Maps are held to the reader that is given, or longer. Blocks belong to segments that hold at least the groups of their span; a
    span without blocks is one that some segment has to hold for two of the maps to meet.
    The operands `in_place` give their places, and no others do among the maps and what these lead to. A map that still shares its
    place with others has more demands to meet: a placement of the place is one of the map alone, and of several side by side.
    """

    height_bytes: int
    resident: Mapping[str, int]
    blocks: Mapping[Span, tuple[Block, ...]]
    in_place: frozenset[Edge]


@dataclass(frozen=True)
class StepFloor:
    """While `resident` are held and the next segment has the `early` blocks, an option of this key reaches `heights[option]`.

    Maps are held to the reader that is given, or longer. Operands give their places as for a Cut.
    """

    key: tuple[int, int, frozenset[str]]
    resident: Mapping[str, int]
    early: tuple[Block, ...]
    heights: Mapping[Option, int]
    in_place: frozenset[Edge]


def covers(option: Option, block: Block) -> bool:
    """Whether the option has this block, at least as large and as early."""
    return any(
        b.role is block.role
        and b.content == block.content
        and b.size_bytes >= block.size_bytes
        and b.early >= block.early
        for b in option.blocks
    )


def step_floors(problem: Problem, choice: Choice, options: Sequence[Option], limit_bytes: int) -> list[StepFloor]:
    """A floor for every step that a choice cannot place below `limit_bytes`, over all `options` of the same key."""
    layout, spans, bank_bytes = rectangles(problem, choice), problem.spans(choice), problem.device.bank_bytes
    found = list[StepFloor]()
    for step, (first, _) in enumerate(spans):
        if first in choice.options:
            live = layout.part(layout.live_at(step, step))
            worst = bank_floor([r.size_bytes for r in live.items], bank_bytes) if live.items else 0
            if worst > limit_bytes and stack_height(live, bank_bytes) > limit_bytes:
                found.append(_floor(problem, choice, first, options))
    return found


def _floor(problem: Problem, choice: Choice, first: int, options: Sequence[Option]) -> StepFloor:
    chosen = choice.options[first]
    following = choice.options.get(chosen.last + 1)
    lives = {m: problem.life(choice, m) for m in sorted(choice.resident)}
    held = {m: dies for m, (born, dies) in lives.items() if born <= chosen.last and first <= dies}
    early = tuple(b for b in following.blocks if b.early) if following else ()
    edges = edges_around(problem, choice.in_place, held)
    heights = dict[Option, int]()
    for option in options:
        if option.key == chosen.key:
            local = {first: option} | ({option.last + 1: following} if following else {})
            partial = Choice(local, choice.resident, choice.ends, edges)
            layout, step = rectangles(problem, partial), problem.spans(partial).index((first, option.last))
            heights[option] = stack_height(layout.part(layout.live_at(step, step)), problem.device.bank_bytes)
    return StepFloor(chosen.key, held, early, heights, edges)


def cut_from(problem: Problem, choice: Choice, layout: Layout, height_bytes: int) -> Cut:
    """The no-good that says of exactly these items of a choice's layout that they reach `height_bytes`."""
    maps = {r.name: problem.life(choice, r.name)[1] for r in layout.items if r.option is None}
    blocks = dict[Span, tuple[Block, ...]]()
    for r in layout.items:
        if r.option is not None:
            span = (r.option.first, r.option.last)
            blocks[span] = (*blocks.get(span, ()), r.block)
    for a, b in combinations([(r, _groups(problem, choice, r)) for r in layout.items], 2):
        (early, (_, end)), (late, (begin, _)) = sorted((a, b), key=lambda item: item[1])
        if early.meets(late) and end < begin:
            blocks.setdefault((end, begin), ())
    shared = [r.name for r in layout.items if r.place is not None]
    return Cut(height_bytes, maps, blocks, edges_around(problem, choice.in_place, shared))


def _groups(problem: Problem, choice: Choice, r: Rectangle) -> Span:
    """First and last group of a map's life in the choice; of a block's segment, the group before it if the block is early."""
    if r.option is None:
        return problem.life(choice, r.name)
    return r.option.first - r.block.early, r.option.last


def weaker(layout: Layout, options: Sequence[Option], index: int) -> Iterator[Layout]:
    """The layout without one item, then with that item as small as any option of its groups makes it: stronger no-goods to try."""
    item = layout.items[index]
    yield layout.part(i for i in range(len(layout.items)) if i != index)
    if item.option is not None:
        same = [
            b
            for o in options
            if o.first <= item.option.first and item.option.last <= o.last
            for b in o.blocks
            if (b.role, b.content, b.early) == (item.block.role, item.block.content, item.block.early)
        ]
        least = min(same, key=lambda b: b.size_bytes)
        if least.size_bytes < item.size_bytes:
            items = tuple(replace(r, block=least) if i == index else r for i, r in enumerate(layout.items))
            yield replace(layout, items=items)
