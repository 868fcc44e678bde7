"""The heuristics that the optimum is measured against, by name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sfopt.allocate.best_fit import best_fit
from sfopt.allocate.cutpoint import plan_by_cuts
from sfopt.allocate.hill_climb import climb
from sfopt.allocate.one_by_one import Placed
from sfopt.allocate.problem import Problem
from sfopt.allocate.shortcut_mining import plan_by_mining
from sfopt.allocate.static import in_order, plan_statically

__all__ = ["HEURISTICS", "Heuristic"]


@dataclass(frozen=True)
class Heuristic:
    """What it does, in one line, and how: (problem, seed) -> a placed choice, or InfeasibleError."""

    description: str
    place: Callable[[Problem, int], Placed]


HEURISTICS: Mapping[str, Heuristic] = {
    "greedy-size": Heuristic(
        "largest map spilled first, largest buffer placed first",
        lambda problem, _: plan_statically(problem, in_order("size"), problem.free_maps),
    ),
    "greedy-order": Heuristic(
        "largest map spilled first, buffers placed in order of execution",
        lambda problem, _: plan_statically(problem, in_order("step"), problem.free_maps),
    ),
    "best-fit": Heuristic(
        "largest map spilled first, largest buffer placed first, into the smallest gap",
        lambda problem, _: plan_statically(problem, best_fit, problem.free_maps),
    ),
    "hill-climb": Heuristic(
        "largest map spilled first, the order of placement improved by swaps",
        lambda problem, seed: plan_statically(problem, climb(seed), problem.free_maps),
    ),
    "cutpoint": Heuristic(
        "rows through DRAM before a cut, whole frames in three buffers behind it (ShortcutFusion)",
        lambda problem, _: plan_by_cuts(problem).placed,
    ),
    "shortcut-mining": Heuristic(
        "outputs stay in banks as far as they reach, shortcuts in what is left (Shortcut Mining)", plan_by_mining
    ),
    "once-per-layer": Heuristic(
        "nothing stays on-chip between groups", lambda problem, _: plan_statically(problem, in_order("size"), ())
    ),
}
"""Name -> heuristic."""
