"""The third run: the program on the simulated hardware, against what the simulator computed and counted."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sfopt.backend import Backend, Compiled, Execution, RtlBackend, RtlCompiled
from sfopt.device import Device
from sfopt.equivalence import Equivalence, compare, require_equal
from sfopt.errors import EquivalenceError, UsageError
from sfopt.traffic import Traffic, bytes_per_tensor, tally

__all__ = ["HardwareRun", "require_rtl", "run_hardware"]

SIMULATOR = "the simulator"


@dataclass(frozen=True, eq=False)
class HardwareRun:
    """What the hardware showed, after every comparison has held."""

    equivalence: Equivalence
    traffic: Traffic
    execution: Execution


def require_rtl(backend: Backend, device: Device) -> None:
    """Raise UsageError, or what the backend raises, if its hardware cannot be simulated."""
    if not isinstance(backend, RtlBackend):
        raise UsageError(f"backend `{backend.name}` has no RTL")
    backend.require_rtl(device)


def run_hardware(
    compiled: Compiled, inputs: Mapping[str, npt.NDArray[np.generic]], simulated: Execution
) -> HardwareRun:
    """Run what `simulated` is the result of on the hardware.

    Raises EquivalenceError at the first element of a result, or the first byte count of a tensor, that is another.
    """
    if not isinstance(compiled, RtlCompiled):
        raise UsageError("what this backend compiles has no RTL to run on")
    execution = compiled.run_rtl(inputs)
    equivalence = compare(SIMULATOR, simulated.tensors, execution.tensors, tuple(execution.tensors))
    require_equal(equivalence)
    _require_same_bytes(simulated, execution)
    traffic = tally(execution.transfers or (), execution.program_bytes or 0)
    return HardwareRun(equivalence, traffic, execution)


def _require_same_bytes(simulated: Execution, execution: Execution) -> None:
    expected, moved = (
        {**bytes_per_tensor(run.transfers or ()), ("program", "read"): run.program_bytes or 0}
        for run in (simulated, execution)
    )
    for tensor, direction in sorted(expected.keys() | moved.keys()):
        want, got = expected.get((tensor, direction), 0), moved.get((tensor, direction), 0)
        if want != got:
            raise EquivalenceError(f"tensor `{tensor}` {direction}: {SIMULATOR} moved {want} bytes, the RTL {got}")
