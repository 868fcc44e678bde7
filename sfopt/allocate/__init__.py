"""Groups + Device -> Plan: the integer programs, and the heuristics they are measured against. See docs/formulation.md."""

from dataclasses import replace

from sfopt.allocate.choice import LEVELS
from sfopt.allocate.in_orders import best_of_orders
from sfopt.allocate.linear import Limits
from sfopt.allocate.methods import METHODS, Method, Request
from sfopt.allocate.optimal import Progress
from sfopt.allocate.switches import Switches
from sfopt.device import Device
from sfopt.errors import UsageError
from sfopt.groups import Network
from sfopt.plan import Plan

__all__ = ["METHODS", "OBJECTIVES", "Method", "Progress", "Request", "Switches", "plan", "plan_in_orders"]

OBJECTIVES = {
    "traffic": LEVELS,
    "latency": ("cycles", "traffic", "peak"),
    "sram": ("peak", "traffic", "cycles"),
}
"""Name -> order in which the levels are minimised."""


def plan(
    network: Network,
    device: Device,
    method: str = "optimal",
    *,
    objective: str = "traffic",
    time_limit_s: float = 60,
    seed: int = 0,
    workers: int = 1,
    switches: Switches | None = None,
    on_progress: Progress | None = None,
    traffic_limit: int | None = None,
) -> Plan:
    """Decide residency, bands, weight modes and addresses for a network on a device.

    Same arguments, same plan, unless the time limit or Ctrl-C ends the search early: then the best plan so far, beside what was
    proven. One worker is usually the fastest. `on_progress` hears of each better value and bound (see Progress); what it raises
    ends the search. `traffic_limit`, in bytes of data, is for `optimal`; with the objective `sram` it is the compulsory traffic by
    default. Raises InfeasibleError naming what does not fit, TimeLimitError if no plan within `traffic_limit` was found in time,
    UsageError for an unknown method or objective.
    """
    request = _request(network, device, method, objective, Limits(time_limit_s, seed, workers), traffic_limit)
    return METHODS[method].make(replace(request, switches=switches or Switches(), on_progress=on_progress))


def plan_in_orders(
    network: Network,
    device: Device,
    orders: int,
    *,
    objective: str = "traffic",
    time_limit_s: float = 60,
    seed: int = 0,
    on_progress: Progress | None = None,
    traffic_limit: int | None = None,
) -> tuple[Network, Plan]:
    """`plan` by the method `optimal` in the best of at most `orders` topological orders of the groups, with the network in it.

    The first objective is never above that of the network's own order, which is one of them and wins where another is no better,
    unless time runs out: half of it goes to comparing. `Plan.order` says which order it is, and what is proven about the others.
    Raises as `plan` does, and UsageError for fewer orders than one.
    """
    if orders < 1:
        raise UsageError(f"a plan needs at least 1 order to try, not {orders}")
    request = _request(network, device, "optimal", objective, Limits(time_limit_s, seed), traffic_limit)
    return best_of_orders(replace(request, on_progress=on_progress), orders)


def _request(
    network: Network, device: Device, method: str, objective: str, limits: Limits, traffic_limit: int | None
) -> Request:
    if method not in METHODS:
        raise UsageError(f"unknown method `{method}`; known: {', '.join(METHODS)}")
    if objective not in OBJECTIVES:
        raise UsageError(f"unknown objective `{objective}`; known: {', '.join(OBJECTIVES)}")
    if method != "optimal" and (objective == "sram" or traffic_limit is not None):
        raise UsageError(f"a limit to traffic and the objective `sram` need method `optimal`, not `{method}`")
    return Request(network, device, OBJECTIVES[objective], limits, traffic_limit=traffic_limit)
