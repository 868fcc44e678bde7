"""The proven planner: choice program and placement program, in turns, until the placement reaches the choice's bound.

The choice program knows capacity but not addresses, so each of its optima is a lower bound. A choice that cannot be placed as low
as it promises yields a cut, valid for every choice, and the choice program runs again. When a placement reaches the promise, both
are optimal.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from sfopt.allocate.choice import ChoiceProgram, Known
from sfopt.allocate.cuts import Cut, cut_from, step_floors, weaker
from sfopt.allocate.linear import Limits
from sfopt.allocate.options import Option
from sfopt.allocate.placement import ROUNDS, PlacementResult, place
from sfopt.allocate.pricing import minimise
from sfopt.allocate.problem import Choice, Problem
from sfopt.allocate.rectangles import Layout, rectangles
from sfopt.allocate.segments import UNLIMITED
from sfopt.allocate.switches import Switches
from sfopt.errors import InfeasibleError
from sfopt.plan import Objective, Status

__all__ = ["Outcome", "Progress", "Solution", "solve", "traffic_bound"]

Progress = Callable[[str, int, int], None]
"""Called with a level's name, its best value and its bound."""

EXPLAIN_SECONDS = 1.0
"""Longest single placement solve while a failed placement is explained."""
PLACE_SECONDS = 4.0
"""First time given to the placement of all."""
TIDY_SECONDS = 0.5
"""Time given to finding, among equal choices, one that is easy to place."""


@dataclass(frozen=True)
class Solution:
    """A placed choice, and what was proven about it. `placed` follows the layout's items."""

    choice: Choice
    layout: Layout
    offsets: tuple[int, ...]
    objectives: tuple[Objective, ...]
    iterations: int


@dataclass(frozen=True)
class Outcome:
    """What a search found: the best placed choice, if any, the bounds proven, and in how many rounds."""

    best: Solution | None
    bounds: Mapping[str, int]
    rounds: int


@dataclass
class _Search:
    problem: Problem
    order: Sequence[str]
    deadline: float
    limits: Limits
    switches: Switches
    on_progress: Progress | None
    traffic_limit: int | None = None
    known: Known = field(default_factory=Known)
    values: dict[str, int] = field(default_factory=dict)
    bounds: dict[str, int] = field(default_factory=dict)
    pools: dict[tuple[tuple[str, int], ...], tuple[Option, ...]] = field(default_factory=dict)
    """(level, value) in order -> options that a choice with these values may hold."""

    def left(self, at_most: float | None = None) -> Limits:
        """Limits for one solve within the time that is left."""
        seconds = max(0.0, self.deadline - time.monotonic())
        return Limits(seconds if at_most is None else min(seconds, at_most), self.limits.seed, self.limits.workers)

    @property
    def out_of_time(self) -> bool:
        return time.monotonic() >= self.deadline


def solve(
    problem: Problem,
    order: Sequence[str],
    limits: Limits,
    switches: Switches,
    on_progress: Progress | None = None,
    traffic_limit: int | None = None,
) -> Outcome:
    """The lexicographic optimum in `order` among plans that move at most `traffic_limit` bytes, or the best found in time."""
    search = _Search(problem, order, time.monotonic() + limits.seconds, limits, switches, on_progress, traffic_limit)
    best: Solution | None = None
    rounds = 0
    while True:
        rounds += 1
        choice = _choose(search)
        if choice is None:
            break
        layout = rectangles(problem, choice)
        placed, cut = _place(search, choice, layout)
        if placed.offsets is not None:
            best = _better(search, best, Solution(choice, layout, placed.offsets, (), rounds), placed.peak_bytes)
        if (best is not None and all(o.status is Status.OPTIMAL for o in best.objectives)) or cut is None:
            break
        search.known.cuts.append(cut)
    return Outcome(best, dict(search.bounds), rounds)


def _place(search: _Search, choice: Choice, layout: Layout) -> tuple[PlacementResult, Cut | None]:
    """A placement as low as the choice promised, or a reason why there is none; neither when time runs out.

    The whole program gets a few seconds, then a look at its steps and windows, each far smaller, then twice as many, and so on.
    """
    target, seconds, rounds = search.values["peak"], PLACE_SECONDS, ROUNDS
    constructive = search.switches.constructive_placement
    while True:
        device, limits = search.problem.device, search.left(seconds)
        placed = place(layout, device, target, limits, constructive=constructive, rounds=rounds)
        if search.out_of_time or placed.peak_bytes == target:
            return placed, None
        if placed.bound_bytes > target or seconds == PLACE_SECONDS:
            cut = _explain(search, choice, layout, placed.bound_bytes)
            if cut is not None:
                return placed, cut
        seconds, rounds = 2 * seconds, 8 * rounds


def _choose(search: _Search) -> Choice | None:
    """The lexicographic optimum of the choice program under all cuts. Values of levels proven before are tried first."""
    last = search.order[-1]
    if len(search.values) == len(search.order) and search.values == search.bounds:
        choice = _level(search, last, {name: search.values[name] for name in search.order[:-1]}, None)
        if choice is not None:
            return _tidy(search, choice)
    fixed, hint = dict[str, int](), None
    for name in search.order:
        hint = _level(search, name, fixed, hint)
        if hint is None:
            return None
        fixed[name] = search.values[name]
    assert hint is not None
    return _tidy(search, hint)


def _level(search: _Search, name: str, fixed: Mapping[str, int], hint: Choice | None) -> Choice | None:
    """Minimise one level over the options that the levels before leave useful."""
    if fixed:
        return _least(search, name, fixed, hint, search.pools[tuple(fixed.items())])
    if name == "traffic":
        choice = _least_traffic(search, hint)
    elif name == "peak":
        choice = _least(search, name, fixed, hint, search.problem.lean(_budget(search)))
    else:
        choice = _least(search, name, fixed, hint, search.problem.full(None))
    if choice is None and not search.out_of_time:
        raise InfeasibleError(_why(search))
    return choice


def _budget(search: _Search) -> int:
    """Bytes that a choice may move beyond the compulsory ones."""
    most = search.values.get("traffic", search.traffic_limit)
    return UNLIMITED if most is None else most - search.problem.compulsory_bytes


def _least_traffic(search: _Search, hint: Choice | None) -> Choice | None:
    """The least traffic, with small budgets for each option first.

    A choice that moves no more beyond the compulsory bytes than each option was allowed is optimal: any other option moves more.
    """
    problem, choice = search.problem, None
    budgets = [0, *(max(f.size_bytes for f in problem.network.maps.values()) << k for k in (0, 2))]
    for budget in (*budgets, UNLIMITED) if search.switches.budgets else (UNLIMITED,):
        choice = _least(search, "traffic", {}, hint, problem.lean(budget))
        if search.out_of_time or (choice is not None and problem.traffic(choice) - problem.compulsory_bytes <= budget):
            break
    return choice


def traffic_bound(problem: Problem, limits: Limits, switches: Switches) -> int:
    """A proven lower bound on the traffic of any plan: the first level without its placement. Raises InfeasibleError."""
    search = _Search(problem, ("traffic",), time.monotonic() + limits.seconds, limits, switches, None)
    _level(search, "traffic", {}, None)
    return search.bounds["traffic"]


def _least(
    search: _Search, name: str, fixed: Mapping[str, int], hint: Choice | None, options: Sequence[Option]
) -> Choice | None:
    """The least value over some options; while a step of the answer cannot be stacked as promised, add a floor and solve again."""
    limited = {} if search.traffic_limit is None else {"traffic": search.traffic_limit}
    while True:
        program = ChoiceProgram(search.problem, options, search.known, search.switches)
        start = program.hint(hint) if hint is not None and search.switches.hints else None
        priced = minimise(program, name, {**limited, **fixed}, search.left(), search.switches, start)
        answer = priced.answer
        choice = program.choice(answer)
        if choice is None:
            return None
        ceiling = fixed.get("peak", answer.value if name == "peak" else search.problem.device.sram_bytes)
        floors = step_floors(search.problem, choice, options, ceiling) if search.switches.step_cuts else []
        if not floors or search.out_of_time:
            break
        search.known.floors += floors
    search.values[name], search.bounds[name] = answer.value, answer.bound
    search.pools[(*fixed.items(), (name, answer.value))] = _useful(search, name, fixed, priced.useful)
    if search.on_progress is not None:
        search.on_progress(name, answer.value, answer.bound)
    return choice


def _useful(search: _Search, name: str, fixed: Mapping[str, int], useful: tuple[Option, ...]) -> tuple[Option, ...]:
    """The pool for the next level. A lean option stands for all of its groups and pattern: they need as much or more.

    No choice of this traffic has an option that alone moves more beyond the compulsory bytes than the whole choice does.
    """
    if name == "cycles" or fixed:
        return useful
    problem, budget = search.problem, _budget(search)
    return problem.full(frozenset(o.key for o in useful if problem.excess_bytes(o) <= budget))


def _tidy(search: _Search, choice: Choice) -> Choice:
    """Among choices with the same values, one with little in the scratchpad: easier to place. Costs nothing that was proven."""
    fixed = {name: search.values[name] for name in search.order}
    program = ChoiceProgram(search.problem, _final_pool(search), search.known, search.switches)
    priced = minimise(program, "volume", fixed, search.left(TIDY_SECONDS), search.switches, program.hint(choice))
    return program.choice(priced.answer) or choice


def _better(search: _Search, best: Solution | None, found: Solution, peak_bytes: int) -> Solution:
    """The better of two placed solutions, with what is proven about it now."""
    problem = search.problem
    values = {"traffic": problem.traffic(found.choice), "cycles": problem.cycles(found.choice), "peak": peak_bytes}
    if best is not None:
        old = {o.name: o.value for o in best.objectives}
        if [old[n] for n in search.order] <= [values[n] for n in search.order]:
            values, found = old, Solution(best.choice, best.layout, best.offsets, (), found.iterations)
    objectives, exact = list[Objective](), True
    for name in search.order:
        bound = min(values[name], search.bounds[name]) if exact else 0
        status = Status.OPTIMAL if bound == values[name] else Status.FEASIBLE
        objectives.append(Objective(name, values[name], bound, status))
        exact = exact and status is Status.OPTIMAL
    return Solution(found.choice, found.layout, found.offsets, tuple(objectives), found.iterations)


def _explain(search: _Search, choice: Choice, layout: Layout, bound_bytes: int) -> Cut | None:
    """The smallest set of buffers found that alone cannot be placed as low as the choice promised; None if that is not proven."""
    target = search.values["peak"]
    steps = max((r.last for r in layout.items), default=0) + 1
    load = [sum(layout.items[i].size_bytes for i in layout.live_at(s, s)) for s in range(steps)]
    for width in (1, 2, 3, 4, 6, 10) if search.switches.step_cuts else ():
        windows = sorted(range(max(1, steps - width + 1)), key=lambda s: (-sum(load[s : s + width]), s))
        for start in windows[:12]:
            part = layout.part(layout.live_at(start, start + width - 1))
            bound = _bound(search, part, target)
            if bound > target:
                return _shrunk(search, choice, part, bound, target)
            if search.out_of_time:
                return None
    return cut_from(search.problem, choice, layout, bound_bytes) if bound_bytes > target else None


def _bound(search: _Search, part: Layout, target: int) -> int:
    return place(part, search.problem.device, target, search.left(EXPLAIN_SECONDS)).bound_bytes


def _shrunk(search: _Search, choice: Choice, part: Layout, bound: int, target: int) -> Cut:
    """Drop or shrink items one by one while the rest still proves the point."""
    names = [r.name for r in sorted(part.items, key=lambda r: (r.size_bytes, r.name))]
    for name in names:
        index = next(i for i, r in enumerate(part.items) if r.name == name)
        for smaller in weaker(part, _final_pool(search), index):
            height = _bound(search, smaller, target) if not search.out_of_time else target
            if height > target:
                part, bound = smaller, height
                break
    return cut_from(search.problem, choice, part, bound)


def _final_pool(search: _Search) -> tuple[Option, ...]:
    """Options that a choice with the present values may hold."""
    return search.pools[tuple((name, search.values[name]) for name in search.order)]


def _why(search: _Search) -> str:
    have, limit = search.problem.device.sram_bytes, search.traffic_limit
    if limit is not None:
        return f"no plan moves at most {limit} bytes of data in a scratchpad of {have} B"
    floors = search.known.floors
    network = search.problem.network
    where = f", the last of them group `{network.groups[floors[-1].key[1]].name}`" if floors else ""
    return f"scratchpad of {have} B has no placement: {len(floors)} steps need more{where}"
