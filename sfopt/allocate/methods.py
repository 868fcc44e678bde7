"""Plan makers behind one interface: a request in, a plan with its certificate out."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from sfopt.allocate.assemble import assemble
from sfopt.allocate.choice import LEVELS
from sfopt.allocate.first_fit import peak_of
from sfopt.allocate.linear import Limits
from sfopt.allocate.optimal import Progress, Solution, solve
from sfopt.allocate.problem import Problem
from sfopt.allocate.static import plan_statically
from sfopt.allocate.switches import Switches
from sfopt.cost import compulsory_bytes
from sfopt.device import Device
from sfopt.groups import Network
from sfopt.plan import Certificate, Objective, Plan, Status

__all__ = ["METHODS", "Method", "Request"]


@dataclass(frozen=True)
class Request:
    """What a plan is wanted for, and with how much effort. `order` lists the objectives, most important first."""

    network: Network
    device: Device
    order: Sequence[str] = LEVELS
    limits: Limits = field(default_factory=lambda: Limits(60.0))
    switches: Switches = field(default_factory=Switches)
    on_progress: Progress | None = None


@dataclass(frozen=True)
class Method:
    """A plan maker and what it does, in one line."""

    description: str
    make: Callable[[Request], Plan]


def _optimal(request: Request) -> Plan:
    start = time.monotonic()
    problem = Problem.build(request.network, request.device, request.switches)
    found = solve(problem, request.order, request.limits, request.switches, request.on_progress)
    if found is None:
        found = _unproven(problem, request)
    status = Status.OPTIMAL if all(o.status is Status.OPTIMAL for o in found.objectives) else Status.FEASIBLE
    certificate = Certificate("optimal", status, found.objectives, _seconds(start), found.iterations)
    return assemble(problem, found.choice, found.layout, found.offsets, certificate)


def _unproven(problem: Problem, request: Request) -> Solution:
    """When time ran out before anything was placed: the largest-first planner's answer, claimed as no more than feasible."""
    choice, layout, offsets = plan_statically(problem, "size", resident=True)
    values = {"traffic": problem.traffic(choice), "cycles": problem.cycles(choice), "peak": peak_of(layout, offsets)}
    objectives = tuple(_objective(request, name, values[name], Status.FEASIBLE) for name in request.order)
    return Solution(choice, layout, offsets, objectives, 0)


def _objective(request: Request, name: str, value: int, status: Status) -> Objective:
    """Traffic is never below what is compulsory; that alone can prove a heuristic's traffic."""
    bound = compulsory_bytes(request.network) if name == "traffic" else 0
    return Objective(name, value, bound, Status.OPTIMAL if bound == value else status)


def _static(name: str, order: str, *, resident: bool) -> Callable[[Request], Plan]:
    def make(request: Request) -> Plan:
        start = time.monotonic()
        problem = Problem.build(request.network, request.device, request.switches)
        choice, layout, offsets = plan_statically(problem, order, resident=resident)
        values = {
            "traffic": problem.traffic(choice),
            "cycles": problem.cycles(choice),
            "peak": peak_of(layout, offsets),
        }
        objectives = tuple(_objective(request, n, values[n], Status.HEURISTIC) for n in request.order)
        certificate = Certificate(name, Status.HEURISTIC, objectives, _seconds(start))
        return assemble(problem, choice, layout, offsets, certificate)

    return make


def _seconds(start: float) -> float:
    return round(time.monotonic() - start, 3)


METHODS: Mapping[str, Method] = {
    "optimal": Method("integer program: residency, options and placement, each level proven", _optimal),
    "greedy-size": Method(
        "largest map spilled first, largest buffer placed first", _static("greedy-size", "size", resident=True)
    ),
    "greedy-order": Method(
        "largest map spilled first, buffers placed in order of execution",
        _static("greedy-order", "step", resident=True),
    ),
    "once-per-layer": Method("nothing stays on-chip between groups", _static("once-per-layer", "size", resident=False)),
}
"""Name -> plan maker."""
