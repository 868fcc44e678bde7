"""What the placement teaches the choice: proven floors and no-goods, each valid for every choice that meets its condition."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from sfopt.allocate.options import Block, Option
from sfopt.allocate.problem import Choice, Problem
from sfopt.allocate.rectangles import Layout, rectangles
from sfopt.allocate.stack import stack_height

__all__ = ["Cut", "StepFloor", "covers", "cut_from", "step_floors", "step_heights", "weaker"]


@dataclass(frozen=True)
class Cut:
    """Maps `resident` together with `blocks` (group, block), each at least this large, cannot be placed below `height_bytes`."""

    height_bytes: int
    resident: frozenset[str]
    blocks: tuple[tuple[int, Block], ...]


@dataclass(frozen=True)
class StepFloor:
    """While `resident` are held and the next group's `early` blocks are there, option o of group `step` reaches `heights[o]`."""

    step: int
    resident: frozenset[str]
    early: tuple[Block, ...]
    heights: Mapping[Option, int]


def covers(option: Option, block: Block) -> bool:
    """Whether the option has this block, at least as large and as early."""
    return any(
        b.role is block.role
        and b.content == block.content
        and b.size_bytes >= block.size_bytes
        and b.early >= block.early
        for b in option.blocks
    )


def step_heights(layout: Layout, steps: int, bank_bytes: int) -> list[int]:
    """For each step, the least height of what is live in it: a lower bound on any placement of the layout."""
    return [stack_height(layout.part(layout.live_at(s, s)), bank_bytes) for s in range(steps)]


def step_floors(problem: Problem, choice: Choice, limit_bytes: int) -> list[StepFloor]:
    """A floor for every step that a choice cannot place below `limit_bytes`, over all options with the same residency there."""
    layout = rectangles(problem, choice)
    heights = step_heights(layout, len(problem.network.groups), problem.device.bank_bytes)
    return [_floor(problem, choice, s) for s, h in enumerate(heights) if h > limit_bytes and s in choice.options]


def _floor(problem: Problem, choice: Choice, step: int) -> StepFloor:
    group, following = problem.network.groups[step], choice.options.get(step + 1)
    operands = {*group.reads, *group.writes}
    held = frozenset(m for m in choice.resident if problem.live[m][0] <= step <= problem.live[m][1])
    early = tuple(b for b in following.blocks if b.early) if following else ()
    heights = dict[Option, int]()
    for option in problem.options[step]:
        if option.resident == choice.options[step].resident:
            local = {step: option} | ({step + 1: following} if following else {})
            layout = rectangles(problem, Choice(local, choice.resident))
            heights[option] = stack_height(layout.part(layout.live_at(step, step)), problem.device.bank_bytes)
    return StepFloor(step, held - operands, early, heights)


def cut_from(layout: Layout, height_bytes: int) -> Cut:
    """The no-good that says of exactly these items that they reach `height_bytes`."""
    maps = frozenset(r.block.content for r in layout.items if r.group is None)
    return Cut(height_bytes, maps, tuple((r.group, r.block) for r in layout.items if r.group is not None))


def weaker(layout: Layout, problem: Problem, index: int) -> Iterator[Layout]:
    """The layout without one item, then with that item as small as any option of its group makes it: stronger no-goods to try."""
    item = layout.items[index]
    yield layout.part(i for i in range(len(layout.items)) if i != index)
    if item.group is not None:
        same = [
            b
            for o in problem.options[item.group]
            for b in o.blocks
            if (b.role, b.content, b.early) == (item.block.role, item.block.content, item.block.early)
        ]
        least = min(same, key=lambda b: b.size_bytes)
        if least.size_bytes < item.size_bytes:
            items = tuple(replace(r, block=least) if i == index else r for i, r in enumerate(layout.items))
            yield replace(layout, items=items)
