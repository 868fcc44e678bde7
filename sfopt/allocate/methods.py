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
from sfopt.allocate.optimal import Outcome, Progress, Solution, solve
from sfopt.allocate.problem import Problem
from sfopt.allocate.switches import Switches
from sfopt.cost import compulsory_bytes
from sfopt.device import Device
from sfopt.errors import InfeasibleError, TimeLimitError
from sfopt.groups import Network
from sfopt.plan import Certificate, Objective, Plan, Status

__all__ = ["METHODS", "Method", "Request"]


MAIN_SHARE = 0.8
"""Of the time limit: for the proof. The rest is for finding some plan if that has found none."""


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
    main = replace(request.limits, seconds=request.limits.seconds * MAIN_SHARE)
    outcome = solve(problem, request.order, main, request.switches, request.on_progress, request.traffic_limit)
    found = outcome.best or _in_less(problem, request, start, outcome)
    status = Status.OPTIMAL if all(o.status is Status.OPTIMAL for o in found.objectives) else Status.FEASIBLE
    certificate = Certificate("optimal", status, found.objectives, _seconds(start), found.iterations)
    return assemble(problem, found.choice, found.layout, found.offsets, certificate)


def _in_less(problem: Problem, request: Request, start: float, outcome: Outcome) -> Solution:
    """When nothing could be placed in time: a plan for fewer banks, which leaves room; else, and after Ctrl-C, the largest-first
    planner's.

    Claimed as no more than feasible, beside what the search proved for the whole scratchpad.
    """
    for share in () if outcome.interrupted else (0.92, 0.8, 0.65):
        left = request.limits.seconds - (time.monotonic() - start)
        smaller = replace(request.device, banks=max(1, int(request.device.banks * share)))
        try:
            fewer = Problem.build(request.network, smaller, request.switches)
            limits, most = replace(request.limits, seconds=left / 2), request.traffic_limit
            found = solve(fewer, request.order, limits, request.switches, traffic_limit=most).best
        except InfeasibleError:
            found = None
        if found is not None:
            placed = Placed(found.choice, found.layout, found.offsets)
            break
    else:
        if request.traffic_limit is not None:
            when = "before Ctrl-C" if outcome.interrupted else f"in {request.limits.seconds} s"
            raise TimeLimitError(
                f"no plan of at most {request.traffic_limit} bytes was found {when}, nor a proof of none"
            )
        placed = HEURISTICS["greedy-size"].place(problem, request.limits.seed)
    objectives, exact = list[Objective](), True
    for o in _objectives(request, problem, placed, Status.FEASIBLE):
        bound = min(o.value, max(o.bound, outcome.bounds.get(o.name, 0))) if exact else 0
        exact = exact and bound == o.value
        objectives.append(replace(o, bound=bound, status=Status.OPTIMAL if bound == o.value else Status.FEASIBLE))
    return Solution(placed.choice, placed.layout, placed.offsets, tuple(objectives), outcome.rounds)


def _heuristic(name: str, place: Callable[[Problem, int], Placed]) -> Callable[[Request], Plan]:
    def make(request: Request) -> Plan:
        start = time.monotonic()
        problem = Problem.build(request.network, request.device, request.switches)
        placed = place(problem, request.limits.seed)
        objectives = _objectives(request, problem, placed, Status.HEURISTIC)
        certificate = Certificate(name, Status.HEURISTIC, objectives, _seconds(start))
        return assemble(problem, placed.choice, placed.layout, placed.offsets, certificate)

    return make


def _objectives(request: Request, problem: Problem, placed: Placed, status: Status) -> tuple[Objective, ...]:
    """What a placed choice reaches. Traffic is never below what is compulsory; that alone can prove a heuristic's traffic."""
    values = {
        "traffic": problem.traffic(placed.choice),
        "cycles": problem.cycles(placed.choice),
        "peak": peak_of(placed.layout, placed.offsets),
    }
    bounds = {"traffic": compulsory_bytes(request.network), "cycles": 0, "peak": 0}
    return tuple(
        Objective(n, values[n], bounds[n], Status.OPTIMAL if bounds[n] == values[n] else status) for n in request.order
    )


def _seconds(start: float) -> float:
    return round(time.monotonic() - start, 3)


METHODS: Mapping[str, Method] = {
    "optimal": Method("integer program: residency, options and placement, each level proven", _optimal),
    **{name: Method(h.description, _heuristic(name, h.place)) for name, h in HEURISTICS.items()},
}
"""Name -> plan maker."""
