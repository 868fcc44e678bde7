"""Row mode and frame mode of one group: which of its options are which, and the first that fits beside what is there already."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from sfopt.allocate.first_fit import Offsets, first_fit, peak_of, place_constructively
from sfopt.allocate.one_by_one import fitting_options, height, own_cycles
from sfopt.allocate.options import Block, Option
from sfopt.allocate.problem import Choice, Problem
from sfopt.allocate.rectangles import Layout, rectangles
from sfopt.groups import Kind
from sfopt.plan import Role

__all__ = ["Around", "Fitted", "fit_step", "frame_options", "row_options"]

ROUNDS = 500
"""Orders tried where largest first does not fit."""


@dataclass(frozen=True)
class Around:
    """What is in the scratchpad while one group runs, beside its own blocks."""

    base: int = 0
    """Bytes from 0 on that buffers take: whole banks."""
    vectors: tuple[tuple[str, int], ...] = ()
    """Resident maps above `base`, with their offsets."""
    staged: frozenset[str] = frozenset()
    """Spilled operands that pass through a buffer below `base`."""


@dataclass(frozen=True)
class Fitted:
    """An option, and the offset of each of its blocks that is not staged, under the rectangle's name."""

    option: Option
    offsets: Mapping[str, int]


def row_options(problem: Problem, step: int, resident: Iterable[str]) -> list[Option]:
    """Ways to run a group band by band, the fewest re-read bytes first, then the fewest cycles.

    Behind those with as few re-read bytes come ways in one band: what has one row has no other, and where weights too large to stay
    would be read again for every band, the whole frame with weights streamed once is better.
    """
    options = [o for o in fitting_options(problem, step, resident) if not o.early_bytes]
    return sorted(options, key=lambda o: (o.traffic_bytes, o.bands == 1, own_cycles(o), height(o)))


def frame_options(problem: Problem, step: int, resident: Iterable[str]) -> list[Option]:
    """Ways to run a group in frame mode, the fewest cycles first. Only a convolution, which reuses weights, must have the frame."""
    options = [o for o in fitting_options(problem, step, resident) if not o.early_bytes]
    whole = problem.network.groups[step].kind is Kind.CONV
    return sorted((o for o in options if o.bands == 1 or not whole), key=lambda o: (own_cycles(o), height(o)))


def fit_step(
    problem: Problem, step: int, options: Iterable[Option], around: Around, *, thorough: bool = False
) -> Fitted | None:
    """The first option whose blocks fit above `around.base` beside the vectors, placed largest first.

    With `thorough`, other orders are tried as well, where there are no vectors.
    """
    room, above = problem.device.sram_bytes - around.base, dict(around.vectors)
    for option in options:
        if sum(b.size_bytes for b in option.blocks if not _is_staged(b, around)) > room:
            continue
        layout = rectangles(problem, Choice({step: option}, frozenset(above)))
        layout = layout.part(i for i, r in enumerate(layout.items) if not _is_staged(r.block, around))
        fixed = {i: above[r.name] - around.base for i, r in enumerate(layout.items) if r.option is None}
        free = sorted(set(range(len(layout.items))).difference(fixed), key=lambda i: (-layout.items[i].size_bytes, i))
        for offsets in _placements(problem, layout, free, fixed, room, thorough=thorough):
            if peak_of(layout, offsets) <= room:
                return Fitted(option, {_name(layout, i, step): around.base + offsets[i] for i in free})
    return None


def _name(layout: Layout, index: int, step: int) -> str:
    """The item's name in a plan that runs every group alone: here its step is the only one."""
    return f"{step}:{layout.items[index].name.partition(':')[2]}"


def _is_staged(block: Block, around: Around) -> bool:
    return block.role in (Role.INPUT, Role.OUTPUT) and block.content in around.staged


def _placements(
    problem: Problem, layout: Layout, free: list[int], fixed: Mapping[int, int], room: int, *, thorough: bool
) -> Iterator[Offsets]:
    bank_bytes = problem.device.bank_bytes
    yield first_fit(layout, free, bank_bytes, fixed=fixed)
    if thorough and not fixed:
        yield place_constructively(layout, bank_bytes, room, ROUNDS, seed=0)
