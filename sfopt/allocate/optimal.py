"""The proven planner: choice program and placement program, in turns, until the placement reaches the choice's bound.

The choice program knows capacity but not addresses, so each of its optima is a lower bound. A choice that cannot be placed as low
as it promises yields a cut, valid for every choice, and the choice program runs again. When a placement reaches the promise, both
are optimal.
"""

import time
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial

from sfopt.allocate.choice import ChoiceProgram, Known
from sfopt.allocate.cuts import Cut, cut_from, step_floors, weaker
from sfopt.allocate.linear import Limits, solve_with_cp_sat
from sfopt.allocate.options import Option
from sfopt.allocate.placement import Placement, PlacementResult, place
from sfopt.allocate.pricing import Priced, minimise
from sfopt.allocate.problem import Choice, Problem
from sfopt.allocate.rectangles import Layout, rectangles
from sfopt.allocate.segments import UNLIMITED
from sfopt.allocate.switches import Switches
from sfopt.errors import InfeasibleError
from sfopt.plan import Objective, Status

__all__ = ["Chosen", "Outcome", "Progress", "Solution", "choose", "first_bound", "judged", "solve", "traffic_bound"]

Progress = Callable[[str, int | None, int], None]
"""Called whenever something gets better, with a level's name, the best value so far, if any, and what is proven so far.

It is the value of a choice, which rises again where the choice turns out to have no placement. Behind the levels comes `placement`:
the peak of the lowest placement so far, and what is proven of all placements of the choice.
"""

FIRST_BUDGET = 16
"""The first budget above 0 is the largest map by this."""
BUDGET_GROWTH = 8
"""From one budget to the next."""
END_SHARE = 0.1
"""Of the time limit, at its end: for placing what was chosen when the rest ran out."""
EXPLAIN_TURNS = 1
"""Turns of one placement while a failed placement is explained."""
WINDOWS = (1, 2, 3, 4, 6, 10)
"""Steps of the windows in which the explanation is looked for first."""
HEIGHT_TURNS = 4
"""Turns for the height of a cut."""
TIDY_EFFORT = 0.06
"""Deterministic time given to finding, among equal choices, one that is easy to place: half a second."""


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
    """What a search found: the best placed choice, if any, the bounds proven, in how many rounds, and whether Ctrl-C ended it."""

    best: Solution | None
    bounds: Mapping[str, int]
    rounds: int
    interrupted: bool = False


@dataclass(frozen=True)
class Chosen:
    """What the choice program alone says: the values of its levels and what is proven of them, no level behind one that time cut
    short. Every plan has at least the bounds; whether one has the values, a placement would have to show.
    """

    values: Mapping[str, int]
    bounds: Mapping[str, int]
    choice: Choice | None


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
    pools: dict[tuple[tuple[str, int], ...], Callable[[], tuple[Option, ...]]] = field(default_factory=dict)
    """(level, value) in order -> options that a choice with these values may hold, worked out when first wanted."""

    def left(self) -> Limits:
        """Limits for one solve within the time that is left."""
        return replace(self.limits, seconds=max(0.0, self.deadline - time.monotonic()))

    def tell(self, name: str, value: int | None, bound: int) -> None:
        """Tell whoever is listening."""
        if self.on_progress is not None:
            self.on_progress(name, value, bound)

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
    *,
    share: float = 1 - END_SHARE,
) -> Outcome:
    """The lexicographic optimum in `order` among plans that move at most `traffic_limit` bytes, or the best found until time
    runs out or Ctrl-C comes. While nothing could be placed, there is only this `share` of the time.
    """
    start = time.monotonic()
    deadline = start + limits.seconds * share
    search = _Search(problem, order, deadline, limits, switches, on_progress, traffic_limit)
    best: Solution | None = None
    rounds = 0
    try:
        while True:
            rounds += 1
            choice, complete = _choose(search)
            if choice is None:
                break
            layout = rectangles(problem, choice)
            in_time = complete and not search.out_of_time
            placed, cut = _place(search, choice, layout) if in_time else (_place_somehow(search, layout), None)
            if placed.offsets is not None:
                best = _better(search, best, Solution(choice, layout, placed.offsets, (), rounds), placed.peak_bytes)
                search.deadline = start + limits.seconds * (1 - END_SHARE)
            if (best is not None and all(o.status is Status.OPTIMAL for o in best.objectives)) or cut is None:
                break
            search.known.cuts.append(cut)
    except KeyboardInterrupt:
        return Outcome(best, dict(search.bounds), rounds, interrupted=True)
    return Outcome(best, dict(search.bounds), rounds)


def _place(search: _Search, choice: Choice, layout: Layout) -> tuple[PlacementResult, Cut | None]:
    """A placement as low as the choice promised, or a reason why there is none; neither when time runs out.

    After the first turn of the whole come its steps and windows, each far smaller; then further turns, each twice as long.
    """
    target, device, turns = search.values["peak"], search.problem.device, 0
    constructive = search.switches.constructive_placement
    placement = Placement(layout, device, target, search.limits.seed, constructive=constructive)
    while True:
        placement.take_turn(search.deadline)
        placed, turns = placement.result, turns + 1
        search.tell("placement", None if placed.offsets is None else placed.peak_bytes, placed.bound_bytes)
        if search.out_of_time or (placed.offsets is not None and placed.peak_bytes <= target):
            return placed, None
        if placed.bound_bytes > target or turns == 1:
            cut = _explain(search, choice, layout, placed.bound_bytes)
            if cut is not None or search.out_of_time:
                return placed, cut


def _place_somehow(search: _Search, layout: Layout) -> PlacementResult:
    """Any placement within the scratchpad, in the time that is kept for the end; its bound says nothing."""
    device, limits = search.problem.device, replace(search.limits, seconds=search.limits.seconds * END_SHARE)
    return place(layout, device, device.sram_bytes, limits)


def _choose(search: _Search) -> tuple[Choice | None, bool]:
    """The lexicographic optimum of the choice program under all cuts. Values of levels proven before are tried first.

    When time runs out, what the last level found that was in time, and False.
    """
    last = search.order[-1]
    if len(search.values) == len(search.order) and search.values == search.bounds:
        choice = _level(search, last, {name: search.values[name] for name in search.order[:-1]}, None)
        if choice is not None:
            return _tidy(search, choice), True
    fixed, choice = dict[str, int](), None
    for name in search.order:
        better = _level(search, name, fixed, choice)
        if better is None:
            return choice, False
        fixed[name], choice = search.values[name], better
    assert choice is not None
    return _tidy(search, choice), True


def _level(search: _Search, name: str, fixed: Mapping[str, int], hint: Choice | None) -> Choice | None:
    """Minimise one level over the options that the levels before leave useful."""
    if fixed:
        return _least(search, name, fixed, hint, search.pools[tuple(fixed.items())]())
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
    So what a choice moves is budget enough for the next round; where that is a large step, less is tried first. Nothing is gained
    by less than what was proven of all choices before.
    """
    problem = search.problem
    largest = max(f.size_bytes for f in problem.network.maps.values())
    proven = search.bounds.get("traffic", problem.compulsory_bytes) - problem.compulsory_bytes
    budget = max(0, proven) if search.switches.budgets else UNLIMITED
    while True:
        beyond = problem.compulsory_bytes + budget + 1
        choice = _least(search, "traffic", {}, hint, problem.lean(budget), beyond)
        excess = UNLIMITED if choice is None else problem.traffic(choice) - problem.compulsory_bytes
        if search.out_of_time or excess <= budget or budget == UNLIMITED:
            return choice
        larger = max(1, largest // FIRST_BUDGET, budget * BUDGET_GROWTH)
        budget = excess if budget >= largest else min(excess, larger)


def choose(problem: Problem, order: Sequence[str], limits: Limits, switches: Switches, known: Known) -> Chosen:
    """The optimum of the choice program in `order`, without a placement; what it proves on the way is added to `known`.

    Raises InfeasibleError where no choice is possible.
    """
    search = _Search(problem, order, time.monotonic() + limits.seconds, limits, switches, None, known=known)
    choice: Choice | None = None
    for name in order:
        fixed = {level: search.values[level] for level in order[: order.index(name)]}
        better = _level(search, name, fixed, choice)
        if better is None:
            break
        choice = better
        if search.values[name] != search.bounds[name]:
            break
    return Chosen(search.values, search.bounds, choice)


def traffic_bound(problem: Problem, limits: Limits, switches: Switches) -> int:
    """A proven lower bound on the traffic of any plan: the first level without its placement. Raises InfeasibleError."""
    return first_bound(problem, "traffic", limits, switches)


def first_bound(
    problem: Problem,
    name: str,
    limits: Limits,
    switches: Switches,
    traffic_limit: int | None = None,
    on_progress: Progress | None = None,
) -> int:
    """A proven lower bound on an objective that is minimised first; 0 if time runs out before any. Raises InfeasibleError."""
    search = _Search(problem, (name,), time.monotonic() + limits.seconds, limits, switches, on_progress, traffic_limit)
    _level(search, name, {}, None)
    return search.bounds.get(name, 0)


def _least(
    search: _Search,
    name: str,
    fixed: Mapping[str, int],
    hint: Choice | None,
    options: Sequence[Option],
    beyond: int = UNLIMITED,
) -> Choice | None:
    """The least value over some options; while a step of the answer cannot be stacked as promised, add a floor and solve again.

    A choice with any other option has at least `beyond`: what is proven of all choices is never more.
    """
    limited = {} if search.traffic_limit is None else {"traffic": search.traffic_limit}
    while True:
        program = ChoiceProgram(search.problem, options, search.known, search.switches)
        start = program.hint(hint) if hint is not None and search.switches.hints else None
        news = None if search.on_progress is None else lambda value, bound: search.tell(name, value, min(bound, beyond))
        priced = minimise(program, name, {**limited, **fixed}, search.left(), search.switches, start, news)
        answer = priced.answer
        choice = program.choice(answer)
        if choice is None:
            return None
        ceiling = fixed.get("peak", answer.value if name == "peak" else search.problem.device.sram_bytes)
        floors = step_floors(search.problem, choice, options, ceiling) if search.switches.step_cuts else []
        if not floors or search.out_of_time:
            break
        search.known.floors += floors
    search.values[name], search.bounds[name] = answer.value, min(answer.bound, beyond)
    lean = name != "cycles" and not fixed
    useful = partial(_useful, search, lean, priced)
    search.pools[(*fixed.items(), (name, answer.value))] = cache(useful)
    search.tell(name, answer.value, search.bounds[name])
    return choice


def _useful(search: _Search, lean: bool, priced: Priced) -> tuple[Option, ...]:
    """The pool for the next level. A lean option stands for all of its groups and pattern: they need as much or more.

    No choice of this traffic has an option that alone moves more beyond the compulsory bytes than the whole choice does.
    """
    if not lean:
        return priced.useful
    problem, budget = search.problem, _budget(search)
    return problem.full(frozenset(o.key for o in priced.useful if problem.excess_bytes(o) <= budget), budget)


def _tidy(search: _Search, choice: Choice) -> Choice:
    """Among choices with the same values, one with little in the scratchpad: easier to place. Costs nothing that was proven."""
    fixed = {name: search.values[name] for name in search.order}
    program = ChoiceProgram(search.problem, _final_pool(search), search.known, search.switches)
    rows, limits = program.minimise("volume", fixed), replace(search.left(), effort=TIDY_EFFORT)
    return program.choice(solve_with_cp_sat(rows, limits, program.hint(choice))) or choice


def _better(search: _Search, best: Solution | None, found: Solution, peak_bytes: int) -> Solution:
    """The better of two placed solutions, with what is proven about it now."""
    problem = search.problem
    values = {"traffic": problem.traffic(found.choice), "cycles": problem.cycles(found.choice), "peak": peak_bytes}
    if best is not None:
        old = {o.name: o.value for o in best.objectives}
        if [old[n] for n in search.order] <= [values[n] for n in search.order]:
            values, found = old, Solution(best.choice, best.layout, best.offsets, (), found.iterations)
    objectives = judged(search.order, values, search.bounds)
    return Solution(found.choice, found.layout, found.offsets, objectives, found.iterations)


def judged(order: Sequence[str], values: Mapping[str, int], bounds: Mapping[str, int]) -> tuple[Objective, ...]:
    """Levels with what is proven of each, given that the levels before it are at their bounds; nothing is where one is not."""
    objectives, exact = list[Objective](), True
    for name in order:
        bound = min(values[name], bounds.get(name, 0)) if exact else 0
        exact = bound == values[name]
        objectives.append(Objective(name, values[name], bound, Status.OPTIMAL if exact else Status.FEASIBLE))
    return tuple(objectives)


def _explain(search: _Search, choice: Choice, layout: Layout, bound_bytes: int) -> Cut | None:
    """The smallest set of buffers found that alone cannot be placed as low as the choice promised; None if that is not proven."""
    target = search.values["peak"]
    steps = max((r.last for r in layout.items), default=0) + 1
    load = [sum(layout.items[i].size_bytes for i in layout.live_at(s, s)) for s in range(steps)]
    for width in WINDOWS if search.switches.step_cuts else ():
        windows = sorted(range(max(1, steps - width + 1)), key=lambda s: (-sum(load[s : s + width]), s))
        for start in windows[:12]:
            part = layout.part(layout.live_at(start, start + width - 1))
            bound = _bound(search, part, EXPLAIN_TURNS)
            if bound > target:
                return _shrunk(search, choice, part, bound)
            if search.out_of_time:
                return None
    if bound_bytes <= target:
        return None
    if not search.switches.step_cuts:
        return cut_from(search.problem, choice, layout, bound_bytes)
    return _shrunk(search, choice, *_narrowed(search, layout, bound_bytes))


def _bound(search: _Search, part: Layout, turns: int) -> int:
    """What is proven of a part's height in so many turns."""
    target, device = search.values["peak"], search.problem.device
    return place(part, device, target, search.left(), turns=turns).bound_bytes


def _narrowed(search: _Search, layout: Layout, bound_bytes: int) -> tuple[Layout, int]:
    """A window of a layout that cannot be placed as promised, as short as bisection proves the same of, and its bound."""
    target, steps = search.values["peak"], max(r.last for r in layout.items) + 1
    bounds = {(0, steps - 1): bound_bytes}

    def fails(first: int, last: int) -> bool:
        part = layout.part(layout.live_at(first, last))
        bounds[first, last] = _bound(search, part, EXPLAIN_TURNS)
        return bounds[first, last] > target

    last = bisect_left(range(steps - 1), True, key=lambda step: fails(0, step))
    first = bisect_left(range(last), True, key=lambda step: not fails(step + 1, last))
    return layout.part(layout.live_at(first, last)), bounds[first, last]


def _shrunk(search: _Search, choice: Choice, part: Layout, bound: int) -> Cut:
    """Drop or shrink items one by one while the rest still proves the point; then prove as much height of it as a few turns can."""
    target = search.values["peak"]
    names = [r.name for r in sorted(part.items, key=lambda r: (r.size_bytes, r.name))]
    for name in names:
        index = next(i for i, r in enumerate(part.items) if r.name == name)
        for smaller in weaker(part, _final_pool(search), index):
            height = _bound(search, smaller, EXPLAIN_TURNS) if not search.out_of_time else target
            if height > target:
                part, bound = smaller, height
                break
    return cut_from(search.problem, choice, part, max(bound, _bound(search, part, HEIGHT_TURNS)))


def _final_pool(search: _Search) -> tuple[Option, ...]:
    """Options that a choice with the present values may hold."""
    return search.pools[tuple((name, search.values[name]) for name in search.order)]()


def _why(search: _Search) -> str:
    have, limit = search.problem.device.sram_bytes, search.traffic_limit
    if search.problem.misfit is not None:
        return search.problem.misfit
    if limit is not None:
        return f"no plan moves at most {limit} bytes of data in a scratchpad of {have} B"
    floors = search.known.floors
    network = search.problem.network
    where = f", the last of them group `{network.groups[floors[-1].key[1]].name}`" if floors else ""
    return f"scratchpad of {have} B has no placement: {len(floors)} steps need more{where}"
