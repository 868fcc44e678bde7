"""Plan makers behind one interface: a request in, a plan with its certificate out."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from sfopt.allocate.assemble import assemble
from sfopt.allocate.choice import LEVELS
from sfopt.allocate.first_fit import peak_of
from sfopt.allocate.heuristics import HEURISTICS
from sfopt.allocate.linear import Limits
from sfopt.allocate.one_by_one import Placed
from sfopt.allocate.optimal import Outcome, Progress, Solution, judged, solve
from sfopt.allocate.problem import Problem
from sfopt.allocate.switches import Switches
from sfopt.device import Device
from sfopt.errors import InfeasibleError, TimeLimitError
from sfopt.groups import Network
from sfopt.plan import Certificate, Objective, Plan, Status

__all__ = ["METHODS", "Method", "Request"]


MAIN_SHARE = 0.8
"""Of the time limit: for the proof while nothing could be placed. The rest is for finding some plan of a smaller problem then."""
CONCATS_SHARE = 0.65
"""The same where concats make the problem far larger than the one in which their operands have buffers of their own."""


@dataclass(frozen=True)
class Request:
    """What a plan is wanted for, and with how much effort. `order` lists the objectives, most important first."""

    network: Network
    device: Device
    order: Sequence[str] = LEVELS
    limits: Limits = field(default_factory=lambda: Limits(60.0))
    switches: Switches = field(default_factory=Switches)
    on_progress: Progress | None = None
    traffic_limit: int | None = None
    """Most DRAM bytes of data that a plan may move; for `optimal`. With the peak first, the compulsory bytes by default."""


@dataclass(frozen=True)
class Method:
    """A plan maker and what it does, in one line."""

    description: str
    make: Callable[[Request], Plan]


def _optimal(request: Request) -> Plan:
    start = time.monotonic()
    problem = Problem.build(request.network, request.device, request.switches)
    if request.order[0] == "peak" and request.traffic_limit is None:
        request = replace(request, traffic_limit=problem.compulsory_bytes)
    outcome = solve(
        problem,
        request.order,
        request.limits,
        request.switches,
        request.on_progress,
        request.traffic_limit,
        share=CONCATS_SHARE if _has_concats(request) else MAIN_SHARE,
    )
    found = outcome.best
    if found is None or not (outcome.interrupted or _is_proven(found)):
        found = _of_smaller(problem, request, start, outcome)
    status = Status.OPTIMAL if _is_proven(found) else Status.FEASIBLE
    certificate = Certificate("optimal", status, found.objectives, _seconds(start), found.iterations)
    return assemble(problem, found.choice, found.layout, found.offsets, certificate)


def _is_proven(found: Solution) -> bool:
    return all(o.status is Status.OPTIMAL for o in found.objectives)


def _of_smaller(problem: Problem, request: Request, start: float, outcome: Outcome) -> Solution:
    """Where time left something unproven: the better of what was found and a plan of a smaller problem; if nothing was found at
    all, also one for fewer banks; else, and after Ctrl-C, the largest-first planner's.

    Claimed as no more than feasible, beside what the search proved for the whole problem.
    """
    placed = None if outcome.interrupted else _apart(request, start)
    if outcome.best is None and placed is None:
        placed = None if outcome.interrupted else _in_fewer_banks(request, start)
        if placed is None and (request.traffic_limit is not None or problem.misfit is not None):
            most = "" if request.traffic_limit is None else f" of at most {request.traffic_limit} bytes"
            when = "before Ctrl-C" if outcome.interrupted else f"in {request.limits.seconds} s"
            raise TimeLimitError(f"no plan{most} was found {when}, nor a proof of none")
        placed = placed or HEURISTICS["greedy-size"].place(problem, request.limits.seed)
    best = outcome.best
    if placed is None:
        assert best is not None
        return best
    values = _values(problem, placed)
    if best is not None and [o.value for o in best.objectives] <= [values[n] for n in request.order]:
        return best
    bounds = {**outcome.bounds, "traffic": max(problem.compulsory_bytes, outcome.bounds.get("traffic", 0))}
    objectives = judged(request.order, values, bounds)
    return Solution(placed.choice, placed.layout, placed.offsets, objectives, outcome.rounds)


def _apart(request: Request, start: float) -> Placed | None:
    """The best plan found in half of the time that is left whose concats have operands in buffers of their own: a far smaller
    problem. None where there is no concat.
    """
    return _attempt(request, start, request.device) if _has_concats(request) else None


def _has_concats(request: Request) -> bool:
    """Whether operands may lie in concats."""
    return request.switches.side_by_side and any(len(g.pieces) > 1 for g in request.network.groups)


def _in_fewer_banks(request: Request, start: float) -> Placed | None:
    """The best plan found in the time that is left for fewer banks: that leaves room."""
    shares = (max(1, int(request.device.banks * share)) for share in (0.92, 0.8, 0.65))
    attempts = (_attempt(request, start, replace(request.device, banks=banks)) for banks in shares)
    return next((placed for placed in attempts if placed is not None), None)


def _attempt(request: Request, start: float, device: Device) -> Placed | None:
    """What half of the time that is left finds, with all operands of concats in buffers of their own."""
    left, switches = request.limits.seconds - (time.monotonic() - start), replace(request.switches, side_by_side=False)
    if left <= 0:
        return None
    try:
        limits = replace(request.limits, seconds=left / 2)
        smaller = Problem.build(request.network, device, switches)
        found = solve(smaller, request.order, limits, switches, traffic_limit=request.traffic_limit).best
    except InfeasibleError:
        return None
    return None if found is None else Placed(found.choice, found.layout, found.offsets)


def _heuristic(name: str, place: Callable[[Problem, int], Placed]) -> Callable[[Request], Plan]:
    def make(request: Request) -> Plan:
        start = time.monotonic()
        problem = Problem.build(request.network, request.device, request.switches)
        if problem.misfit is not None:
            raise InfeasibleError(problem.misfit)
        placed = place(problem, request.limits.seed)
        values, bounds = _values(problem, placed), {"traffic": problem.compulsory_bytes}
        objectives = tuple(_unproven(n, values[n], bounds.get(n, 0)) for n in request.order)
        certificate = Certificate(name, Status.HEURISTIC, objectives, _seconds(start))
        return assemble(problem, placed.choice, placed.layout, placed.offsets, certificate)

    return make


def _unproven(name: str, value: int, bound: int) -> Objective:
    """Traffic is never below what is compulsory; that alone can prove a heuristic's traffic."""
    return Objective(name, value, bound, Status.OPTIMAL if bound == value else Status.HEURISTIC)


def _values(problem: Problem, placed: Placed) -> dict[str, int]:
    """What a placed choice reaches, by level."""
    return {
        "traffic": problem.traffic(placed.choice),
        "cycles": problem.cycles(placed.choice),
        "peak": peak_of(placed.layout, placed.offsets),
    }


def _seconds(start: float) -> float:
    return round(time.monotonic() - start, 3)


METHODS: Mapping[str, Method] = {
    "optimal": Method("integer program: residency, options and placement, each level proven", _optimal),
    **{name: Method(h.description, _heuristic(name, h.place)) for name, h in HEURISTICS.items()},
}
"""Name -> plan maker."""
