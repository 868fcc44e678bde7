"""A second solver for the same integer program: HiGHS, which shares no search code with CP-SAT."""

import math

from sfopt.allocate.linear import Answer, Limits, LinearProgram, model_of
from sfopt.allocate.solvers import model_builder
from sfopt.allocate.stoppable import stoppable
from sfopt.plan import Status

__all__ = ["solve_with_highs"]

OPTIONS = "output_flag = false\nmip_rel_gap = 0\nmip_abs_gap = 0\n"
"""As HiGHS names them: quiet, and no gap is small enough to stop at."""


def solve_with_highs(program: LinearProgram, limits: Limits) -> Answer:
    """Solve with HiGHS, within `limits.seconds`; it tells its bound only along with a solution."""
    model, columns, _ = model_of(program, whole=True)
    solver = model_builder.Solver("highs")
    solver.set_solver_specific_parameters(OPTIONS)
    solver.set_time_limit_in_seconds(max(0.05, limits.seconds))
    code = stoppable(lambda: solver.solve(model), solver.stop_search)
    if code == model_builder.SolveStatus.INFEASIBLE:
        return Answer(None, Status.OPTIMAL, 0, 0)
    proven = code == model_builder.SolveStatus.OPTIMAL
    if not proven and code != model_builder.SolveStatus.FEASIBLE:
        return Answer(None, None, 0, 0)
    value = round(solver.objective_value) + program.constant
    bound = max(0, math.ceil(solver.best_objective_bound - 1e-6) + program.constant)
    values = [round(solver.value(columns[i])) if i in columns else 0 for i in range(len(program.names))]
    return Answer(values, Status.OPTIMAL if proven else Status.FEASIBLE, value, value if proven else min(bound, value))
