"""One point of a study: a network, a device, a method; and what planning it gave."""

import time
from dataclasses import dataclass, replace
from pathlib import Path

from sfopt import cost
from sfopt.allocate import plan
from sfopt.check import check_plan
from sfopt.device import Device
from sfopt.errors import InfeasibleError
from sfopt.graph import Graph
from sfopt.groups import Network, network_fingerprint
from sfopt.importer import import_model
from sfopt.plan import Category
from sfopt.traffic import tally

__all__ = ["FAILED", "INFEASIBLE", "Outcome", "Point", "Row", "Subject", "compute", "read_subject"]

INFEASIBLE = "infeasible"
"""Status of a point for which the method says that it has no plan: a result like any other."""
FAILED = "failed"
"""Status of a point whose plan was not made, or made and refused by the checker."""


@dataclass(frozen=True)
class Subject:
    """A network under study, with the limits that hold for it whatever the device. Sizes in bytes, without the program."""

    network: Network
    fingerprint: str
    groups: int
    compulsory: int
    baseline: int


@dataclass(frozen=True)
class Point:
    """What is to be planned, and how. `device` has as much of `sram_bytes` as fills all of its banks alike."""

    subject: Subject
    device: Device
    sram_bytes: int
    method: str
    objective: str
    time_limit_s: float

    @property
    def key(self) -> tuple[str, str, int, str, str]:
        """What the outcome depends on, apart from the time limit and the version of sfopt."""
        return self.subject.fingerprint, self.device.fingerprint(), self.sram_bytes, self.method, self.objective


@dataclass(frozen=True)
class Outcome:
    """What the checker derived from the plan, or why there is none. Sizes in bytes, None where there is no plan.

    `traffic` leaves out the program's own fetches; `bound` is what the certificate proves about it. `cycles` is the planner's step
    model. `seconds` is what planning took on a core shared with other workers.
    """

    status: str
    traffic: int | None = None
    bound: int | None = None
    feature_map_bytes: int | None = None
    shortcut_bytes: int | None = None
    weights_bytes: int | None = None
    cycles: int | None = None
    peak: int | None = None
    seconds: float | None = None
    error: str | None = None
    """Why there is no plan, in one line."""


@dataclass(frozen=True)
class Row:
    """One line of a study: the columns of `study.csv`, in this order.

    `sram_bytes` is what was asked for, `compulsory` and `baseline` are the limits of `Subject`; for the rest see `Outcome`.
    """

    network: str
    groups: int
    sram_bytes: int
    method: str
    status: str
    traffic: int | None
    bound: int | None
    feature_map_bytes: int | None
    shortcut_bytes: int | None
    weights_bytes: int | None
    cycles: int | None
    peak: int | None
    compulsory: int
    baseline: int
    seconds: float | None
    error: str | None


def read_subject(model: Path) -> Subject:
    """Import a model without calibration: a plan depends on shapes alone. Raises what `import_model` raises.

    The graph is left behind, and with it the weights: a network without it is pickled in kilobytes and sent with every point.
    """
    full = import_model(model).network
    network = replace(full, graph=Graph(full.graph.name, {}, (), (), ()))
    return Subject(
        network,
        network_fingerprint(network),
        len(network.groups),
        cost.compulsory_bytes(network),
        cost.baseline_bytes(network),
    )


def compute(point: Point) -> Outcome:
    """Plan a point and check the plan. Raises whatever goes wrong, except that there is no plan: that is an outcome."""
    network, start = point.subject.network, time.perf_counter()
    try:
        made = plan(network, point.device, point.method, objective=point.objective, time_limit_s=point.time_limit_s)
    except InfeasibleError as error:
        return Outcome(INFEASIBLE, seconds=_since(start), error=" ".join(str(error).split()))
    seconds = _since(start)
    facts = check_plan(made, network, point.device)
    return Outcome(
        status=str(made.certificate.status),
        traffic=facts.traffic_bytes,
        bound=next(o.bound for o in made.certificate.objectives if o.name == "traffic"),
        feature_map_bytes=facts.bytes_by_category[Category.FEATURE_MAPS],
        shortcut_bytes=tally(made.transfers, program_bytes=0).shortcuts,
        weights_bytes=facts.bytes_by_category[Category.WEIGHTS],
        cycles=facts.cycles,
        peak=facts.peak_bytes,
        seconds=seconds,
    )


def _since(start: float) -> float:
    return round(time.perf_counter() - start, 3)
