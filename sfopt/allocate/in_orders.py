"""The proven planner over several topological orders of the groups: bounds rank them, and only those that may win are planned.

An order is planned in full while its bound is below the best first objective reached; the network's own also where they are equal.
So when the search ends by itself, no order tried has a plan with a lower one.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from sfopt.allocate.methods import METHODS, Request
from sfopt.allocate.optimal import first_bound
from sfopt.allocate.problem import Problem
from sfopt.cost import compulsory_bytes
from sfopt.errors import InfeasibleError, TimeLimitError
from sfopt.groups import Network
from sfopt.orders import candidate_orders, reordered
from sfopt.plan import Order, Plan, Status

__all__ = ["best_of_orders"]

BOUND_SHARE = 0.5
"""Of the time limit, at most: for the bounds."""
NOTHING_FITS = 1 << 62
"""The bound of an order that has no plan."""


@dataclass
class _Tried:
    """One order. `bound` is proven of the first objective; in place of a plan there may be the reason why there is none."""

    number: int
    order: tuple[int, ...]
    network: Network
    bound: int = 0
    plan: Plan | None = None
    failure: InfeasibleError | TimeLimitError | None = None

    @property
    def values(self) -> tuple[int, ...]:
        """What its plan reaches, most important first."""
        return tuple(o.value for o in self.plan.certificate.objectives) if self.plan else ()

    def fails(self, error: InfeasibleError | TimeLimitError) -> None:
        """Remember why it has no plan; a proof of that is a bound above all others."""
        self.failure = error
        self.bound = NOTHING_FITS if isinstance(error, InfeasibleError) else self.bound


def best_of_orders(request: Request, orders: int) -> tuple[Network, Plan]:
    """The network in the best of at most `orders` orders, and the plan for it. Of equal plans the first order's is taken.

    Only orders whose bound is proven in half the time are tried. Raises InfeasibleError if no order has a plan, TimeLimitError if
    none was found. Ctrl-C while bounds are proven goes on with the orders that have one.
    """
    start = time.monotonic()
    if request.order[0] == "peak" and request.traffic_limit is None:
        request = replace(request, traffic_limit=compulsory_bytes(request.network))
    tried = _bounded(request, orders)
    best: _Tried | None = None
    for each in sorted(tried, key=lambda t: t.bound):
        left = request.limits.seconds - (time.monotonic() - start)
        if best is not None and (left <= 0 or not _may_be_taken(each, best)):
            break
        if each.failure is None:
            _make(each, replace(request, limits=replace(request.limits, seconds=max(0.0, left))))
        if each.plan is not None:
            best = each if best is None else min(best, each, key=lambda t: (t.values, t.number))
            if each.plan.certificate.status is not Status.OPTIMAL:
                break  # time ran out, or Ctrl-C came
    if best is None:
        raise next(t.failure for t in tried if t.failure is not None)
    return best.network, _with_claim(best, tried, time.monotonic() - start)


def _may_be_taken(each: _Tried, best: _Tried) -> bool:
    """Whether an order may be better in the first objective; of the network's own, whether it may be as good."""
    return each.bound < best.values[0] + (each.number == 1)


def _bounded(request: Request, orders: int) -> list[_Tried]:
    """The orders with their bounds, as far as time goes; the network's own in any case.

    Where one has the compulsory traffic for a bound, no other can have less, and no more are tried.
    """
    network, least = request.network, compulsory_bytes(request.network) if request.order[0] == "traffic" else 0
    deadline = time.monotonic() + request.limits.seconds * BOUND_SHARE
    own = _Tried(1, tuple(range(len(network.groups))), network)
    tried = [own]

    def best() -> tuple[int, ...]:
        return min(tried, key=lambda t: t.bound).order

    try:
        for order in candidate_orders(network, orders, request.limits.seed, best):
            each = own if order == own.order else _Tried(len(tried) + 1, order, reordered(network, order))
            _bound(each, request, deadline)
            late = time.monotonic() >= deadline
            if each is not own and not late:
                tried.append(each)
            if late or each.bound <= least:
                break
    except KeyboardInterrupt:
        pass
    return tried


def _bound(each: _Tried, request: Request, deadline: float) -> None:
    limits = replace(request.limits, seconds=max(0.0, deadline - time.monotonic()))
    try:
        problem = Problem.build(each.network, request.device, request.switches)
        first, most = request.order[0], request.traffic_limit
        each.bound = first_bound(problem, first, limits, request.switches, most, request.on_progress)
    except InfeasibleError as error:
        each.fails(error)


def _make(each: _Tried, request: Request) -> None:
    try:
        each.plan = METHODS["optimal"].make(replace(request, network=each.network))
        each.bound = max(each.bound, each.plan.certificate.objectives[0].bound)
    except (InfeasibleError, TimeLimitError) as error:
        each.fails(error)


def _with_claim(best: _Tried, tried: Sequence[_Tried], seconds: float) -> Plan:
    """The best order's plan, with what all orders together prove, and what all of them took."""
    assert best.plan is not None
    groups = () if best.number == 1 else tuple(g.name for g in best.network.groups)
    order = Order(best.number, len(tried), min(t.bound for t in tried), groups)
    return replace(best.plan, certificate=replace(best.plan.certificate, seconds=round(seconds, 3)), order=order)
