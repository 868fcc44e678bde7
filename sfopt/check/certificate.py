"""Rule 9: the certificate claims what the plan shows, and proves no more than it says."""

from collections.abc import Mapping
from dataclasses import dataclass

from sfopt.check.cycles import model_cycles
from sfopt.check.require import require
from sfopt.check.traffic import Key
from sfopt.check.view import View
from sfopt.plan import Category, Objective, Status, Transfer

__all__ = ["PlanFacts", "check_certificate", "derive_facts"]


@dataclass(frozen=True)
class PlanFacts:
    """What the checker derived by itself."""

    traffic_bytes: int
    peak_bytes: int
    cycles: int
    bytes_by_category: Mapping[Category, int]
    bytes_by_tensor: Mapping[tuple[str, str], int]
    """(tensor or constant block, "read" or "write") -> bytes."""


def derive_facts(view: View, moved: Mapping[Key, Transfer]) -> PlanFacts:
    """Traffic, peak and cycles of a plan whose other rules hold."""
    by_category, by_tensor = dict.fromkeys(Category, 0), dict[tuple[str, str], int]()
    for t in moved.values():
        by_category[t.category] += t.size_bytes
        by_tensor[t.tensor, t.direction] = by_tensor.get((t.tensor, t.direction), 0) + t.size_bytes
    peak = max((b.end for b in view.plan.buffers), default=0)
    return PlanFacts(sum(by_category.values()), peak, model_cycles(view, moved), by_category, by_tensor)


def check_certificate(view: View, facts: PlanFacts) -> None:
    """Each objective's value, bound and status against the facts and each other."""
    certificate = view.plan.certificate
    shown = {"traffic": facts.traffic_bytes, "cycles": facts.cycles, "peak": facts.peak_bytes}
    names = [o.name for o in certificate.objectives]
    require(sorted(names) == sorted(shown), 9, f"objectives are {names}, needs {sorted(shown)} in some order")
    for o in certificate.objectives:
        _check_claim(o, shown[o.name])
    proven = all(o.status is Status.OPTIMAL for o in certificate.objectives)
    claimed = certificate.status is Status.OPTIMAL
    require(claimed == proven, 9, f"status {certificate.status}, every level proven: {proven}")


def _check_claim(o: Objective, shown: int) -> None:
    require(o.value == shown, 9, f"objective {o.name} says {o.value}, the plan shows {shown}")
    require(0 <= o.bound <= o.value, 9, f"objective {o.name} has bound {o.bound} above its value {o.value}")
    exact = (o.status is Status.OPTIMAL) == (o.bound == o.value)
    require(exact, 9, f"objective {o.name} is {o.status} with bound {o.bound}, value {o.value}")
