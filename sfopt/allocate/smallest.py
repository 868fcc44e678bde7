"""The smallest scratchpad that has a plan at all, for a request that has none: as many banks, each smaller or larger."""

import time
from dataclasses import dataclass

from sfopt.allocate.assemble import assemble
from sfopt.allocate.linear import Limits
from sfopt.allocate.optimal import Outcome, solve
from sfopt.allocate.problem import Problem
from sfopt.allocate.switches import Switches
from sfopt.device import Device
from sfopt.errors import DeviceError, InfeasibleError
from sfopt.groups import Network
from sfopt.plan import Certificate, Plan, Status

__all__ = ["Smallest", "smallest_sram"]

ORDER = ("peak",)
TRIES = 6
"""Of the time that is left, a try takes at most one part in so many."""


@dataclass(frozen=True)
class Smallest:
    """Sizes in bytes. `plan` is one for `works_bytes`, None where none was found in time."""

    works_bytes: int | None
    fails_bytes: int
    """The largest size known to have no plan."""
    step_bytes: int
    """A size more or less: a word in each bank."""
    plan: Plan | None

    @property
    def proven(self) -> bool:
        """Whether the next smaller size is proven to have no plan."""
        return self.works_bytes is not None and self.works_bytes - self.fails_bytes <= self.step_bytes


def smallest_sram(network: Network, device: Device, seconds: float, seed: int = 0) -> Smallest:
    """The smallest size found to work, above the device's own, which is taken to have no plan.

    Sizes are doubled until one works; then each plan's own peak is tried, and the size below it, until that is proven to have none.
    Where a try proves nothing in its time, larger sizes are tried.
    """
    deadline, step = time.monotonic() + seconds, device.banks * device.word_bytes
    works, plan, fails = None, None, device.sram_bytes
    low, tried = fails, 2 * fails
    while works is None or works - low > step:
        left = deadline - time.monotonic()
        if left <= 0:
            break
        try:
            found = _try(network, device.with_sram(tried), Limits(left / TRIES if works else left, seed))
        except (InfeasibleError, DeviceError):
            low = fails = tried
        else:
            low = low if found else tried
            works, plan = (tried, found) if found else (works, plan)
        if plan is None or works is None:
            tried *= 2
        else:
            tried = _next(works, low, step, plan.peak_bytes)
    return Smallest(works, fails, step, plan)


def _next(works: int, low: int, step: int, peak_bytes: int) -> int:
    """Where the plan's own peak would just fit; the next size below where it does not fit any less; else halfway."""
    peak = -(-peak_bytes // step) * step
    if low < peak < works:
        return peak
    return works - step if peak >= works else low + max(step, (works - low) // 2 // step * step)


def _try(network: Network, device: Device, limits: Limits) -> Plan | None:
    """A plan, None if none was found in time. Raises InfeasibleError if there is proven to be none."""
    problem = Problem.build(network, device, Switches())
    outcome = solve(problem, ORDER, limits, Switches())
    return None if outcome.best is None else _plan(problem, outcome)


def _plan(problem: Problem, outcome: Outcome) -> Plan:
    best = outcome.best
    assert best is not None
    proven = all(o.status is Status.OPTIMAL for o in best.objectives)
    certificate = Certificate("optimal", Status.OPTIMAL if proven else Status.FEASIBLE, best.objectives, 0.0)
    return assemble(problem, best.choice, best.layout, best.offsets, certificate)
