"""The choice program: which option each group takes and which maps are resident, with exact capacity at every step.

Variables -> Constraints -> Objective -> Result. One private function per constraint family, whose docstring is the constraint.
Symbols: x[s,o] group s takes option o; r[m] map m is resident; cap the scratchpad in words; P the peak in words.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ortools.sat.python import cp_model

from sfopt.allocate.cuts import Cut, StepFloor, covers
from sfopt.allocate.options import Option
from sfopt.allocate.problem import Choice, Problem
from sfopt.allocate.switches import Switches
from sfopt.plan import Status

__all__ = ["LEVELS", "ChoiceResult", "Known", "Limits", "solve_choice"]

LEVELS = ("traffic", "cycles", "peak")


@dataclass
class Known:
    """What has been proven so far."""

    cuts: list[Cut] = field(default_factory=list)
    floors: list[StepFloor] = field(default_factory=list)


@dataclass(frozen=True)
class Limits:
    """Solver settings."""

    seconds: float
    seed: int = 0
    workers: int = 1

    def apply(self, solver: cp_model.CpSolver) -> None:
        """Set a solver up; several workers take turns in a fixed order, so that the answer does not depend on timing."""
        solver.parameters.max_time_in_seconds = max(0.05, self.seconds)
        solver.parameters.random_seed = self.seed
        solver.parameters.num_workers = self.workers
        solver.parameters.interleave_search = self.workers > 1


@dataclass(frozen=True)
class ChoiceResult:
    """What one solve gave. `choice` is None when nothing was found; `bound` holds for the level minimised."""

    choice: Choice | None
    status: Status | None
    value: int
    bound: int


@dataclass
class _Variables:
    x: dict[int, list[cp_model.IntVar]] = field(default_factory=dict)
    r: dict[str, cp_model.IntVar] = field(default_factory=dict)
    delay: dict[int, cp_model.IntVar] = field(default_factory=dict)
    peak: cp_model.IntVar | None = None


def solve_choice(
    problem: Problem,
    options: Mapping[int, Sequence[Option]],
    level: str,
    at_most: Mapping[str, int],
    known: Known,
    limits: Limits,
    switches: Switches,
    hint: Choice | None = None,
) -> ChoiceResult:
    """Minimise `level` (see LEVELS, or `volume`) over `options`, other levels at most as given, all that is `known` respected."""
    model, v = cp_model.CpModel(), _Variables()
    _variables(model, v, problem, options)
    _pattern_matches_residency(model, v, problem, options)
    _capacity(model, v, problem, options, bank_floors=switches.bank_floors)
    _no_goods(model, v, problem, options, known.cuts)
    _step_floors(model, v, problem, options, known.floors)
    wanted = {level, *at_most}
    if "cycles" in wanted:
        _delay(model, v, options)
    terms: dict[str, Callable[[], cp_model.LinearExprT]] = {
        "traffic": lambda: _traffic(v, problem, options),
        "cycles": lambda: _cycles(v, problem, options),
        "peak": lambda: _peak(v) * problem.device.word_bytes,
        "volume": lambda: _volume(v, problem, options),
    }
    for name, value in at_most.items():
        model.add(terms[name]() <= value)
    model.minimize(terms[level]())
    if hint is not None and switches.hints:
        _hint(model, v, options, hint)
    return _result(model, v, options, limits)


def _variables(
    model: cp_model.CpModel, v: _Variables, problem: Problem, options: Mapping[int, Sequence[Option]]
) -> None:
    """Sum over o of x[s,o] = 1 for each accelerator group s."""
    for m in problem.free_maps:
        v.r[m] = model.new_bool_var(f"r {m}")
    for s, choices in options.items():
        v.x[s] = [model.new_bool_var(f"x {s} {i}") for i in range(len(choices))]
        model.add_exactly_one(v.x[s])
    v.peak = model.new_int_var(0, problem.device.words, "peak")


def _peak(v: _Variables) -> cp_model.IntVar:
    assert v.peak is not None
    return v.peak


def _pattern_matches_residency(
    model: cp_model.CpModel, v: _Variables, problem: Problem, options: Mapping[int, Sequence[Option]]
) -> None:
    """Sum of x[s,o] over the options o that expect m resident = r[m], for each map m that group s reads or writes."""
    for s in options:
        group = problem.network.groups[s]
        for m in dict.fromkeys([*group.reads, *group.writes]):
            if m in v.r:
                model.add(_weighted((x, 1) for x, o in _pairs(v, options, s) if m in o.resident) == v.r[m])


def _capacity(
    model: cp_model.CpModel,
    v: _Variables,
    problem: Problem,
    options: Mapping[int, Sequence[Option]],
    *,
    bank_floors: bool,
) -> None:
    """At each step s: words of resident maps live at s + own words of group s + early words of group s+1 <= P <= cap.

    And floor[o] * x[s,o] <= P: an option's operands, in disjoint banks, reach that high even when alone.
    """
    word = problem.device.word_bytes
    for s in range(len(problem.network.groups)):
        held = [
            (v.r[m], problem.map_bytes[m] // word) for m, (first, last) in problem.live.items() if first <= s <= last
        ]
        own = [(x, o.own_bytes // word) for x, o in _pairs(v, options, s)]
        early = [(x, o.early_bytes // word) for x, o in _pairs(v, options, s + 1)]
        model.add(_weighted([*held, *own, *early]) <= _peak(v))
        if bank_floors:
            model.add(_weighted((x, o.floor_bytes // word) for x, o in _pairs(v, options, s)) <= _peak(v))


def _pairs(
    v: _Variables, options: Mapping[int, Sequence[Option]], step: int
) -> Iterator[tuple[cp_model.IntVar, Option]]:
    return zip(v.x.get(step, ()), options.get(step, ()), strict=True)


def _weighted(terms: Iterable[tuple[cp_model.IntVar, int]]) -> cp_model.LinearExpr:
    pairs = [(x, factor) for x, factor in terms if factor]
    return cp_model.LinearExpr.weighted_sum([x for x, _ in pairs], [factor for _, factor in pairs])


def _no_goods(
    model: cp_model.CpModel,
    v: _Variables,
    problem: Problem,
    options: Mapping[int, Sequence[Option]],
    cuts: Sequence[Cut],
) -> None:
    """For each cut: some map of it is not resident, or some block of it is absent or smaller, or P >= its height."""
    for cut in cuts:
        escape: list[cp_model.LiteralT] = [v.r[m].negated() for m in sorted(cut.resident)]
        for s in sorted({s for s, _ in cut.blocks}):
            blocks = [b for t, b in cut.blocks if t == s]
            escape += [x for x, o in _pairs(v, options, s) if not all(covers(o, b) for b in blocks)]
        height = -(-cut.height_bytes // problem.device.word_bytes)
        if height <= problem.device.words:
            high = model.new_bool_var("high")
            model.add(_peak(v) >= height).only_enforce_if(high)
            escape.append(high)
        model.add_bool_or(escape)


def _step_floors(
    model: cp_model.CpModel,
    v: _Variables,
    problem: Problem,
    options: Mapping[int, Sequence[Option]],
    floors: Sequence[StepFloor],
) -> None:
    """For each floor whose maps are all held and whose early blocks are there: sum over o of height[o] * x[s,o] <= P."""
    word = problem.device.word_bytes
    for floor in floors:
        absent: list[cp_model.LiteralT] = [v.r[m].negated() for m in sorted(floor.resident)]
        absent += [x for x, o in _pairs(v, options, floor.step + 1) if not all(covers(o, b) for b in floor.early)]
        heights = [(x, -(-floor.heights[o] // word)) for x, o in _pairs(v, options, floor.step) if o in floor.heights]
        reached = model.add(_weighted(heights) <= _peak(v))
        if absent:
            holds = model.new_bool_var("floor")
            model.add_bool_or([holds, *absent])
            reached.only_enforce_if(holds)


def _delay(model: cp_model.CpModel, v: _Variables, options: Mapping[int, Sequence[Option]]) -> None:
    """delay[s] >= behind[s] + ahead[s+1] - compute[s], delay[s] >= 0: DMA that compute does not hide."""
    for s, choices in options.items():
        after = options.get(s + 1, ())
        limit = max(o.behind for o in choices) + max((o.ahead for o in after), default=0)
        v.delay[s] = model.new_int_var(0, limit, f"delay {s}")
        own = [(x, o.behind - o.compute) for x, o in _pairs(v, options, s)]
        following = [(x, o.ahead) for x, o in _pairs(v, options, s + 1)]
        model.add(_weighted([*own, *following]) <= v.delay[s])


def _traffic(v: _Variables, problem: Problem, options: Mapping[int, Sequence[Option]]) -> cp_model.LinearExprT:
    """Constants once + each map resident or spilled + re-read constants."""
    spilled = {m: problem.map_traffic(m, resident=False) for m in problem.network.maps}
    saved = [(r, problem.map_traffic(m, resident=True) - spilled[m]) for m, r in v.r.items()]
    again = [(x, o.reread_bytes) for s in options for x, o in _pairs(v, options, s)]
    return _weighted([*saved, *again]) + problem.constant_traffic + sum(spilled.values())


def _cycles(v: _Variables, problem: Problem, options: Mapping[int, Sequence[Option]]) -> cp_model.LinearExprT:
    """Sum over s of exposed[s] + compute[s] + delay[s]."""
    fixed = [(x, o.exposed + o.compute) for s in options for x, o in _pairs(v, options, s)]
    return _weighted([*fixed, *((d, 1) for d in v.delay.values())]) + problem.host_cycles


def _volume(v: _Variables, problem: Problem, options: Mapping[int, Sequence[Option]]) -> cp_model.LinearExprT:
    """Words times steps of all buffers: not an objective of the plan, but what makes one easy to place."""
    word = problem.device.word_bytes
    held = [(v.r[m], (last - first + 1) * problem.map_bytes[m] // word) for m, (first, last) in problem.live.items()]
    own = [(x, (o.own_bytes + o.early_bytes) // word) for s in options for x, o in _pairs(v, options, s)]
    return _weighted([*held, *own])


def _hint(model: cp_model.CpModel, v: _Variables, options: Mapping[int, Sequence[Option]], hint: Choice) -> None:
    for m, r in v.r.items():
        model.add_hint(r, m in hint.resident)
    for s, choices in options.items():
        for x, o in zip(v.x[s], choices, strict=True):
            model.add_hint(x, o == hint.options[s])


def _result(
    model: cp_model.CpModel, v: _Variables, options: Mapping[int, Sequence[Option]], limits: Limits
) -> ChoiceResult:
    solver = cp_model.CpSolver()
    limits.apply(solver)
    solver.parameters.linearization_level = 2  # the linear relaxation is nearly tight: several times faster
    code = solver.solve(model)
    if code == cp_model.INFEASIBLE:
        return ChoiceResult(None, Status.OPTIMAL, 0, 0)
    bound = max(0, round(solver.best_objective_bound))
    if code not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        return ChoiceResult(None, None, 0, bound)
    chosen = {s: next(o for x, o in zip(v.x[s], options[s], strict=True) if solver.boolean_value(x)) for s in options}
    choice = Choice(chosen, frozenset(m for m, r in v.r.items() if solver.boolean_value(r)))
    status = Status.OPTIMAL if code == cp_model.OPTIMAL else Status.FEASIBLE
    value = round(solver.objective_value)
    return ChoiceResult(choice, status, value, value if status is Status.OPTIMAL else min(bound, value))
