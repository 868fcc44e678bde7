"""Groups + Device -> Plan: the integer programs, and the heuristics they are measured against. See docs/formulation.md."""

from collections.abc import Callable

from sfopt.allocate.choice import LEVELS
from sfopt.allocate.linear import Limits
from sfopt.allocate.methods import METHODS, Method, Request
from sfopt.allocate.switches import Switches
from sfopt.device import Device
from sfopt.errors import UsageError
from sfopt.groups import Network
from sfopt.plan import Plan

__all__ = ["METHODS", "OBJECTIVES", "Method", "Request", "Switches", "plan"]

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
    on_progress: Callable[[str, int, int], None] | None = None,
    traffic_limit: int | None = None,
) -> Plan:
    """Decide residency, bands, weight modes and addresses for a network on a device.

    Same arguments, same plan, unless the time limit or Ctrl-C ends the search early: then the best plan so far, beside what was
    proven. One worker is usually the fastest. `on_progress` is
    called with a level's name, its best value and its proven bound. `traffic_limit`, in bytes of data, is for `optimal`; with the
    objective `sram` it is the compulsory traffic by default. Raises InfeasibleError naming what does not fit, TimeLimitError if
    no plan within `traffic_limit` was found in time, UsageError for an unknown method or objective.
    """
    if method not in METHODS:
        raise UsageError(f"unknown method `{method}`; known: {', '.join(METHODS)}")
    if objective not in OBJECTIVES:
        raise UsageError(f"unknown objective `{objective}`; known: {', '.join(OBJECTIVES)}")
    if method != "optimal" and (objective == "sram" or traffic_limit is not None):
        raise UsageError(f"a limit to traffic and the objective `sram` need method `optimal`, not `{method}`")
    limits = Limits(time_limit_s, seed, workers)
    return METHODS[method].make(
        Request(network, device, OBJECTIVES[objective], limits, switches or Switches(), on_progress, traffic_limit)
    )
