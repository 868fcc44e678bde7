"""A second solver for the same integer program: HiGHS through OR-Tools' MathOpt, which shares no search code with CP-SAT.

Not imported by the planner: MathOpt's binding and TensorFlow's cannot be loaded into one process in this order.
"""

import datetime
import math

from ortools.math_opt import model_pb2
from ortools.math_opt.python import mathopt

from sfopt.allocate.linear import Answer, Limits, LinearProgram
from sfopt.plan import Status

__all__ = ["solve_with_highs"]


def solve_with_highs(program: LinearProgram, limits: Limits) -> Answer:
    """Solve with HiGHS through MathOpt, without any gap allowed."""
    model = _model(program)
    columns = list(model.variables())
    parameters = mathopt.SolveParameters(
        time_limit=datetime.timedelta(seconds=max(0.05, limits.seconds)),
        relative_gap_tolerance=0.0,
        absolute_gap_tolerance=0.0,
    )
    result = mathopt.solve(model, mathopt.SolverType.HIGHS, params=parameters)
    reason = result.termination.reason
    if reason in (mathopt.TerminationReason.INFEASIBLE, mathopt.TerminationReason.INFEASIBLE_OR_UNBOUNDED):
        return Answer(None, Status.OPTIMAL, 0, 0)
    bound = max(0, math.ceil(result.termination.objective_bounds.dual_bound - 1e-6))
    if not result.has_primal_feasible_solution():
        return Answer(None, None, 0, bound)
    value, values = round(result.objective_value()), result.variable_values()
    proven = reason is mathopt.TerminationReason.OPTIMAL
    status = Status.OPTIMAL if proven else Status.FEASIBLE
    return Answer([round(values[c]) for c in columns], status, value, value if proven else min(bound, value))


def _model(program: LinearProgram) -> mathopt.Model:
    """The program as a MathOpt model; built as one message, since a call for each number would take longer than the solver."""
    message = model_pb2.ModelProto()
    count = len(program.names)
    message.variables.ids.extend(range(count))
    message.variables.lower_bounds.extend(map(float, program.low))
    message.variables.upper_bounds.extend(map(float, program.high))
    message.variables.integers.extend([True] * count)
    constraints, matrix = message.linear_constraints, message.linear_constraint_matrix
    constraints.ids.extend(range(len(program.rows)))
    constraints.lower_bounds.extend(-math.inf if low is None else float(low) for _, _, low, _ in program.rows)
    constraints.upper_bounds.extend(math.inf if high is None else float(high) for _, _, _, high in program.rows)
    for row, (indices, factors, _, _) in enumerate(program.rows):
        pairs = sorted(zip(indices, factors, strict=True))
        matrix.row_ids.extend([row] * len(pairs))
        matrix.column_ids.extend(i for i, _ in pairs)
        matrix.coefficients.extend(float(f) for _, f in pairs)
    message.objective.offset = float(program.constant)
    terms = sorted(program.objective.items())
    message.objective.linear_coefficients.ids.extend(i for i, _ in terms)
    message.objective.linear_coefficients.values.extend(float(f) for _, f in terms)
    return mathopt.Model.from_model_proto(message)
