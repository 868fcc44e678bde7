"""What the heuristics share: they run one group at a time, so they choose among the options of single groups only."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from sfopt.allocate.first_fit import Offsets
from sfopt.allocate.options import Option
from sfopt.allocate.problem import Choice, Problem
from sfopt.allocate.rectangles import Layout
from sfopt.cost import constants
from sfopt.plan import WeightMode

__all__ = [
    "Placed",
    "Preference",
    "choose",
    "fitting_options",
    "height",
    "own_cycles",
    "pattern",
    "reread_bytes",
    "single_group_options",
]

Preference = Callable[[int, Option], tuple[int, ...]]
"""(step, option) -> key; the least is taken."""


@dataclass(frozen=True)
class Placed:
    """A choice with addresses. `offsets`, in bytes, follow the layout's items."""

    choice: Choice
    layout: Layout
    offsets: Offsets


def single_group_options(problem: Problem, step: int) -> Sequence[Option]:
    """The ways to run this step's group on its own; none for a HOST group."""
    return problem.singles.get(step, ())


def pattern(problem: Problem, step: int, held: Iterable[str]) -> frozenset[str]:
    """Those of the held maps that this step's group reads or writes."""
    group = problem.network.groups[step]
    return frozenset(held).intersection((*group.reads, *group.writes))


def fitting_options(problem: Problem, step: int, held: Iterable[str]) -> list[Option]:
    """The single-group options that expect exactly these of the group's maps to be resident."""
    wanted = pattern(problem, step, held)
    return [o for o in single_group_options(problem, step) if o.resident == wanted]


def choose(problem: Problem, held: Iterable[str], prefer: Preference) -> Choice:
    """The preferred option of each group among those that match residency. A pattern without options gives up its largest map."""
    kept = set(held)
    while True:
        chosen = dict[int, Option]()
        for step in problem.singles:
            options = fitting_options(problem, step, kept)
            if not options:
                kept.remove(max(pattern(problem, step, kept), key=lambda m: (problem.map_bytes[m], m)))
                break
            chosen[step] = min(options, key=lambda o: prefer(step, o))
        else:
            return Choice(chosen, frozenset(kept))


def height(option: Option) -> int:
    """Scratchpad bytes that an option needs for itself, at its own step and the one before."""
    return max(option.own_bytes, option.floor_bytes) + option.early_bytes


def reread_bytes(problem: Problem, option: Option) -> int:
    """Bytes of weights that an option reads beyond the first time."""
    (run,) = option.body.runs
    if run.weight_mode is not WeightMode.REREAD:
        return 0
    blocks = constants(problem.network, problem.network.groups[run.group], folded=False)
    return (option.bands - 1) * sum(b.size_bytes for b in blocks if b.name.endswith(".weights"))


def own_cycles(option: Option) -> int:
    """Modelled cycles of a step whose neighbours hide nothing of it."""
    return option.exposed + option.ahead + max(option.compute, option.behind)
