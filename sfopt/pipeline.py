"""The whole flow on one screen: import, plan, check, compile, run, compare."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sfopt import cost
from sfopt.allocate import Progress as SolverProgress
from sfopt.allocate import plan as make_plan
from sfopt.allocate import plan_in_orders
from sfopt.backend import Compiled, Execution, load_backend
from sfopt.check import PlanFacts, check_plan
from sfopt.device import Device
from sfopt.equivalence import Equivalence, compare, require_equal
from sfopt.errors import EquivalenceError, UsageError
from sfopt.execute import accelerator_inputs, network_outputs, random_feeds
from sfopt.groups import Network
from sfopt.hardware import HardwareRun, require_rtl, run_hardware
from sfopt.importer import Calibration, Imported, import_model
from sfopt.plan import Plan
from sfopt.source import Deviation, deviation
from sfopt.traffic import Traffic, bytes_per_tensor, tally

__all__ = [
    "REFERENCE_BACKEND",
    "Moment",
    "Options",
    "Progress",
    "Result",
    "SolverProgress",
    "Verification",
    "mac_efficiency",
    "optimize",
    "plan_network",
    "silent",
    "verify",
]

REFERENCE_BACKEND = "ort"

Progress = Callable[[str, int, int], None]
"""Called with (stage, done, total); total 0 where a stage has no count."""


@dataclass(frozen=True)
class Options:
    """How to run the flow. `calibration` is a file or folder, or samples ready to feed (graph layout)."""

    device: Device
    method: str = "optimal"
    objective: str = "traffic"
    traffic_limit: int | None = None
    """Most DRAM bytes of data, the program's own fetches aside."""
    orders: int = 1
    """Topological orders of the groups to try; 1 is the model's own. More than one for method `optimal`."""
    backend: str = "fpga"
    calibration: Calibration = None
    time_limit_s: float = 60.0
    verify: bool = True
    rtl: bool = False
    """Run the program on the simulated hardware too; needs `verify`."""
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Verification:
    """What a run on the backend showed against the reference and against the plan."""

    equivalence: Equivalence
    execution: Execution
    simulated: Traffic | None
    deviation: Deviation | None
    hardware: HardwareRun | None = None


@dataclass(frozen=True)
class Moment:
    """What the planner knew of one level of the objective at one time: the best choice's value, if there is one, which may
    not be placed yet, and what is proven.
    """

    seconds: float
    """From the start of planning."""
    level: str
    value: int | None
    bound: int


@dataclass(frozen=True, eq=False)
class Result:
    """Everything the flow decided and proved."""

    options: Options
    imported: Imported
    plan: Plan
    facts: PlanFacts
    planned: Traffic
    compiled: Compiled
    reference: Compiled
    verification: Verification | None
    stage_seconds: Mapping[str, float] = field(default_factory=dict)
    history: tuple[Moment, ...] = ()
    """How the planner came to its plan. With several orders, one after another."""


def optimize(
    model: str | Path, options: Options, progress: Progress | None = None, on_solve: SolverProgress | None = None
) -> Result:
    """Run the flow on one model. Raises an SfoptError whose text is one line; a check that fails is one of them.

    `progress` hears of the stages import, quantise, solve, check, emit, simulate, compare; `on_solve` of what the planner finds and
    proves during solve.
    """
    report = progress or silent
    clock = _StageClock(report)
    if options.rtl:
        if not options.verify:
            raise UsageError("the RTL's run is compared with the simulator's, which `--no-verify` leaves out")
        require_rtl(load_backend(options.backend), options.device)
    with clock.stage("import and quantise", "import"):
        on_calibration = lambda done, total: report("quantise", done, total)  # noqa: E731
        imported = import_model(model, options.calibration, seed=options.seed, on_calibration=on_calibration)
    device = options.device
    with clock.stage("plan", "solve"):
        history = _History(on_solve)
        network, plan = plan_network(imported.network, options, history.add)
        imported = replace(imported, network=network)
    with clock.stage("check"):
        facts = check_plan(plan, network, device)
    with clock.stage("emit"):
        compiled = load_backend(options.backend).compile(network, plan, device)
        reference = load_backend(REFERENCE_BACKEND).compile(network, plan, device)
    verification = None
    if options.verify:
        with clock.stage("simulate and compare", "simulate"):
            verification = verify(imported, facts, compiled, reference, seed=options.seed, progress=report)
    if verification and options.rtl:
        with clock.stage("run the RTL"):
            inputs = accelerator_inputs(network, _sample(imported, options.seed))
            verification = replace(verification, hardware=run_hardware(compiled, inputs, verification.execution))
    planned = tally(plan.transfers, compiled.program_bytes)
    seconds, moments = clock.seconds, tuple(history.moments)
    return Result(options, imported, plan, facts, planned, compiled, reference, verification, seconds, moments)


def plan_network(network: Network, options: Options, on_progress: SolverProgress | None = None) -> tuple[Network, Plan]:
    """The plan, and the network in the order that it is for. Raises as `allocate.plan` does."""
    if options.orders == 1:
        made = make_plan(
            network,
            options.device,
            options.method,
            objective=options.objective,
            traffic_limit=options.traffic_limit,
            time_limit_s=options.time_limit_s,
            seed=options.seed,
            on_progress=on_progress,
        )
        return network, made
    if options.method != "optimal":
        raise UsageError(f"{options.orders} orders need method `optimal`, not `{options.method}`")
    return plan_in_orders(
        network,
        options.device,
        options.orders,
        objective=options.objective,
        traffic_limit=options.traffic_limit,
        time_limit_s=options.time_limit_s,
        seed=options.seed,
        on_progress=on_progress,
    )


def verify(
    imported: Imported,
    facts: PlanFacts,
    compiled: Compiled,
    reference: Compiled,
    *,
    seed: int = 0,
    progress: Progress | None = None,
) -> Verification:
    """Run one sample on both sides. Raises EquivalenceError at the first wrong element or the first wrong byte count."""
    network = imported.network
    feeds = _sample(imported, seed)
    inputs = accelerator_inputs(network, feeds)
    execution = compiled.run(inputs)
    (progress or silent)("compare", 0, 0)
    tensors = tuple(n for g in network.groups for n in g.writes)
    result = compare(REFERENCE_BACKEND, reference.run(inputs).tensors, execution.tensors, tensors)
    require_equal(result)
    simulated = None
    if execution.transfers is not None:
        _require_same_bytes(facts, compiled, execution)
        simulated = tally(execution.transfers, execution.program_bytes or 0)
    outputs = network_outputs(network, feeds, execution)
    return Verification(result, execution, simulated, deviation(imported, feeds, outputs))


def _sample(imported: Imported, seed: int) -> Mapping[str, npt.NDArray[np.generic]]:
    """What every run gets: the first calibration sample, or a random one."""
    return imported.sample or random_feeds(imported.network.graph, seed)


def _require_same_bytes(facts: PlanFacts, compiled: Compiled, execution: Execution) -> None:
    """The run against what the checker derived, tensor by tensor; that the plan promises the same is rule 7 of the checker."""
    planned, moved = dict(facts.bytes_by_tensor), bytes_per_tensor(execution.transfers or ())
    planned["program", "read"], moved["program", "read"] = compiled.program_bytes, execution.program_bytes or 0
    for key in sorted(planned.keys() | moved.keys()):
        if planned.get(key, 0) != moved.get(key, 0):
            tensor, direction = key
            raise EquivalenceError(
                f"tensor `{tensor}` {direction}: plan promises {planned.get(key, 0)} bytes, the run moved {moved.get(key, 0)}"
            )


def silent(stage: str, done: int, total: int) -> None:
    """Progress for callers that want none."""
    del stage, done, total


class _History:
    """Times what the planner tells, and passes it on."""

    def __init__(self, on_solve: SolverProgress | None) -> None:
        self.start, self.on_solve = time.perf_counter(), on_solve
        self.moments: list[Moment] = []

    def add(self, level: str, value: int | None, bound: int) -> None:
        if self.on_solve is not None:
            self.on_solve(level, value, bound)
        self.moments.append(Moment(round(time.perf_counter() - self.start, 3), level, value, bound))


class _StageClock:
    def __init__(self, report: Progress) -> None:
        self.report = report
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str, shown: str | None = None) -> Iterator[None]:
        self.report(shown or name, 0, 0)
        start = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - start


def mac_efficiency(result: Result) -> float:
    """Multiply-accumulates done over what the array could have done in the run's cycles; 0 without a timed run."""
    cycles = result.verification.execution.cycles if result.verification else None
    if not cycles:
        return 0.0
    macs = sum(cost.group_macs(result.imported.network, g) for g in result.imported.network.groups)
    return float(np.float64(macs) / (cycles * result.options.device.lanes_in * result.options.device.lanes_out))
