"""An integer linear program as rows of numbers, CP-SAT that solves it, and the prices of its linear relaxation."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from sfopt.allocate.solvers import cp_model, model_builder
from sfopt.allocate.stoppable import stoppable
from sfopt.plan import Status

__all__ = [
    "Answer",
    "Expression",
    "Floats",
    "Limits",
    "LinearProgram",
    "Watch",
    "model_of",
    "relaxed",
    "row_prices",
    "solve_with_cp_sat",
]

Expression = Mapping[int, int]
"""Column -> coefficient."""
Floats = npt.NDArray[np.float64]
Watch = Callable[[int | None, int], None]
"""Called while a solver runs, with the best value so far, if any, and what is proven so far. It may raise: that ends the search."""


@dataclass(frozen=True)
class Limits:
    """Solver settings. `effort`: deterministic time of CP-SAT, of which a unit is some tens of seconds."""

    seconds: float
    seed: int = 0
    workers: int = 1
    effort: float = math.inf

    def solve(
        self, solver: cp_model.CpSolver, model: cp_model.CpModel, watch: Watch | None = None
    ) -> cp_model.CpSolverStatus:
        """Run CP-SAT; several workers take turns in a fixed order, so that the answer does not depend on timing."""
        solver.parameters.max_time_in_seconds = max(0.05, self.seconds)
        solver.parameters.max_deterministic_time = self.effort
        solver.parameters.random_seed = self.seed
        solver.parameters.num_workers = self.workers
        solver.parameters.interleave_search = self.workers > 1
        solver.parameters.catch_sigint_signal = False
        if watch is None:
            return stoppable(lambda: solver.solve(model), solver.stop_search)
        news = _News(solver, watch)
        code = stoppable(lambda: solver.solve(model, news), solver.stop_search)
        if news.raised is not None:
            raise news.raised
        return code


class _News(cp_model.CpSolverSolutionCallback):
    """Tells a watcher what CP-SAT has found and proven whenever either gets better; keeps what it raises for the caller."""

    def __init__(self, solver: cp_model.CpSolver, watch: Watch) -> None:
        super().__init__()
        self.solver, self.watch = solver, watch
        self.best: int | None = None
        self.bound = 0
        self.raised: BaseException | None = None
        solver.best_bound_callback = self.on_bound

    def on_solution_callback(self) -> None:
        """A better solution."""
        self.best = round(self.objective_value)
        self.on_bound(self.best_objective_bound)

    def on_bound(self, bound: float) -> None:
        """A better bound, or the same beside a better solution."""
        self.bound = max(self.bound, _whole(bound))
        try:
            self.watch(self.best, self.bound if self.best is None else min(self.bound, self.best))
        except BaseException as error:  # noqa: BLE001 - compiled code calls this, through which nothing can be raised
            self.raised = error
            self.solver.stop_search()


def _whole(bound: float) -> int:
    """A bound on a whole number that is not below 0."""
    return max(0, math.ceil(bound - 1e-6)) if math.isfinite(bound) else 0


@dataclass
class LinearProgram:
    """Minimise `objective` + `constant` over whole columns within bounds, each row within [low, high]."""

    names: list[str] = field(default_factory=list)
    low: list[int] = field(default_factory=list)
    high: list[int] = field(default_factory=list)
    rows: list[tuple[list[int], list[int], int | None, int | None]] = field(default_factory=list)
    objective: dict[int, int] = field(default_factory=dict)
    constant: int = 0

    def column(self, name: str, low: int = 0, high: int = 1) -> int:
        """A new column; its index."""
        self.names.append(name)
        self.low.append(low)
        self.high.append(high)
        return len(self.names) - 1

    def row(self, terms: Iterable[tuple[int, int]], low: int | None = None, high: int | None = None) -> None:
        """Low <= sum of coefficient * column <= high; terms are (column, coefficient), each column once."""
        kept = [(column, factor) for column, factor in terms if factor]
        self.rows.append(([c for c, _ in kept], [f for _, f in kept], low, high))

    @property
    def open_columns(self) -> list[int]:
        """Columns that are not fixed at 0."""
        return [i for i, bounds in enumerate(zip(self.low, self.high, strict=True)) if bounds != (0, 0)]


@dataclass(frozen=True)
class Answer:
    """What a solver said. `values` is None when nothing was found; `status` None when not even infeasibility was proven."""

    values: Sequence[int] | None
    status: Status | None
    value: int
    bound: int


def solve_with_cp_sat(
    program: LinearProgram, limits: Limits, hint: Mapping[int, int] | None = None, watch: Watch | None = None
) -> Answer:
    """Solve with CP-SAT, starting from `hint` if there is one."""
    model = cp_model.CpModel()
    columns = {i: model.new_int_var(program.low[i], program.high[i], program.names[i]) for i in program.open_columns}

    def weighted(indices: Iterable[int], factors: Iterable[int]) -> cp_model.LinearExprT:
        terms = [(columns[i], f) for i, f in zip(indices, factors, strict=True) if i in columns]
        return cp_model.LinearExpr.weighted_sum([c for c, _ in terms], [f for _, f in terms])

    for indices, factors, low, high in program.rows:
        model.add_linear_constraint(
            weighted(indices, factors),
            cp_model.INT_MIN if low is None else low,
            cp_model.INT_MAX if high is None else high,
        )
    model.minimize(weighted(program.objective.keys(), program.objective.values()) + program.constant)
    for column, value in (hint or {}).items():
        if column in columns:
            model.add_hint(columns[column], value)
    solver = cp_model.CpSolver()
    solver.parameters.linearization_level = 2  # the linear relaxation is nearly tight: several times faster
    code = limits.solve(solver, model, watch)
    if code == cp_model.INFEASIBLE:
        return Answer(None, Status.OPTIMAL, 0, 0)
    bound = _whole(solver.best_objective_bound)
    if code not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        return Answer(None, None, 0, bound)
    value = round(solver.objective_value)
    proven = code == cp_model.OPTIMAL
    status = Status.OPTIMAL if proven else Status.FEASIBLE
    values = [solver.value(columns[i]) if i in columns else 0 for i in range(len(program.names))]
    return Answer(values, status, value, value if proven else min(bound, value))


def model_of(
    program: LinearProgram, *, whole: bool
) -> tuple[model_builder.Model, dict[int, model_builder.Variable], list[model_builder.LinearConstraint]]:
    """The program for OR-Tools' linear solvers, or for integer ones where columns are `whole`; open columns by index; rows."""
    model = model_builder.Model()
    columns = {i: model.new_var(program.low[i], program.high[i], whole, None) for i in program.open_columns}

    def terms(indices: Iterable[int], factors: Iterable[int]) -> tuple[list[model_builder.Variable], list[float]]:
        kept = [(columns[i], float(f)) for i, f in zip(indices, factors, strict=True) if i in columns]
        return [c for c, _ in kept], [f for _, f in kept]

    rows = list[model_builder.LinearConstraint]()
    for indices, factors, low, high in program.rows:
        row = model_builder.LinearConstraint(model.helper)
        row.lower_bound = -math.inf if low is None else low
        row.upper_bound = math.inf if high is None else high
        model.helper.add_terms_to_constraint(int(row.index), *terms(indices, factors))  # an expression takes longer
        rows.append(row)
    model.minimize(model_builder.LinearExpr.weighted_sum(*terms(program.objective.keys(), program.objective.values())))
    return model, columns, rows


def relaxed(program: LinearProgram, limits: Limits, solver_name: str = "glop") -> tuple[float, Floats] | None:
    """Lower bound of the linear relaxation and each column's reduced cost; None when it was not solved to the end.

    Computed from the row prices alone, whatever they are: Lagrange's bound holds for any of them, so no tolerance of the solver
    enters it beyond the rounding of these sums. Where optimal prices are many, `glop` ends in a corner of them and `pdlp` in their
    midst: two good sets of prices that rule out different columns.
    """
    prices = row_prices(program, limits, solver_name)
    if prices is None:
        return None
    costs = np.zeros(len(program.names))
    costs[list(program.objective)] = list(program.objective.values())
    bound = float(program.constant)
    for price, (indices, factors, low, high) in zip(prices, program.rows, strict=True):
        side = low if price > 0 else high
        if side is None:
            continue  # a price of the wrong sign is none
        np.subtract.at(costs, indices, price * np.array(factors, float))
        bound += price * side
    bound += float(np.minimum(costs * np.array(program.low, float), costs * np.array(program.high, float)).sum())
    return bound, costs


def row_prices(program: LinearProgram, limits: Limits, solver_name: str = "glop") -> list[float] | None:
    """What the linear relaxation's objective grows by for each unit that a row's bound rises; None when it was not solved to the
    end.
    """
    model, _, rows = model_of(program, whole=False)
    solver = model_builder.Solver(solver_name)
    if solver_name == "glop":
        solver.set_solver_specific_parameters("use_dual_simplex: true")
    solver.set_time_limit_in_seconds(max(0.05, limits.seconds))
    if stoppable(lambda: solver.solve(model), solver.stop_search) != model_builder.SolveStatus.OPTIMAL:
        return None
    return [float(solver.dual_value(row)) for row in rows]
