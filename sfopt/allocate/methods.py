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


MAIN_SHARE = 0.65
"""Of the time limit: for the proof while nothing could be placed. The rest is for finding some plan then."""


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
        share=MAIN_SHARE,
    )
    found = outcome.best or _in_less(problem, request, start, outcome)
    status = Status.OPTIMAL if all(o.status is Status.OPTIMAL for o in found.objectives) else Status.FEASIBLE
    certificate = Certificate("optimal", status, found.objectives, _seconds(start), found.iterations)
    return assemble(problem, found.choice, found.layout, found.offsets, certificate)


def _in_less(problem: Problem, request: Request, start: float, outcome: Outcome) -> Solution:
    """When nothing could be placed in time: a plan of a smaller problem; else, and after Ctrl-C, the largest-first planner's.

    Claimed as no more than feasible, beside what the search proved for the whole scratchpad.
    """
    placed = None if outcome.interrupted else _smaller(request, start)
    if placed is None and (request.traffic_limit is not None or problem.misfit is not None):
        most = "" if request.traffic_limit is None else f" of at most {request.traffic_limit} bytes"
        when = "before Ctrl-C" if outcome.interrupted else f"in {request.limits.seconds} s"
        raise TimeLimitError(f"no plan{most} was found {when}, nor a proof of none")
    if placed is None:
        placed = HEURISTICS["greedy-size"].place(problem, request.limits.seed)
    bounds = {**outcome.bounds, "traffic": max(problem.compulsory_bytes, outcome.bounds.get("traffic", 0))}
    objectives = judged(request.order, _values(problem, placed), bounds)
    return Solution(placed.choice, placed.layout, placed.offsets, objectives, outcome.rounds)


def _smaller(request: Request, start: float) -> Placed | None:
    """The best plan found in the time that is left: without operands in concats, where there are any; for fewer banks, which leaves
    room.
    """
    concats = any(len(g.pieces) > 1 for g in request.network.groups)
    switches = replace(request.switches, side_by_side=False)
    for share in (1.0, 0.92, 0.8, 0.65) if concats and request.switches.side_by_side else (0.92, 0.8, 0.65):
        left = request.limits.seconds - (time.monotonic() - start)
        if left <= 0:
            break
        smaller = replace(request.device, banks=max(1, int(request.device.banks * share)))
        try:
            fewer = Problem.build(request.network, smaller, switches)
            limits = replace(request.limits, seconds=left / 2)
            found = solve(fewer, request.order, limits, switches, traffic_limit=request.traffic_limit).best
        except InfeasibleError:
            continue
        if found is not None:
            return Placed(found.choice, found.layout, found.offsets)
    return None


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
