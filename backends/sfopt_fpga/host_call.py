"""HOST instructions and the arrays that go in and out of a run: the same for the simulator and for the RTL."""

from collections.abc import Callable, Mapping
from typing import Protocol

import numpy as np
import numpy.typing as npt

from sfopt.arithmetic.rounding import Int8Array
from sfopt.errors import UsageError
from sfopt_fpga.maps import HostCall, Port
from sfopt_fpga.program import Program
from sfopt_fpga.sequencer import Step

__all__ = ["HostFunction", "HostMemory", "call_host", "fitting"]

HostFunction = Callable[[HostCall, Mapping[str, Int8Array]], Mapping[str, Int8Array]]
"""Runs one host call: int8 (height, width, channels) arrays by tensor name, in and out."""


class HostMemory(Protocol):
    """DRAM as the host sees it, while all engines are idle."""

    def host_read(self, step: Step, port: Port) -> Int8Array:
        """A whole tensor, (height, width, channels)."""
        ...

    def host_write(self, step: Step, port: Port, values: npt.NDArray[np.int8]) -> None:
        """Likewise."""
        ...


def call_host(program: Program, step: Step, host: HostFunction | None, memory: HostMemory) -> None:
    """Do what a HOST instruction asks for. Raises SimulationFault for an entry that does not exist, UsageError without `host`."""
    index = step.fields["index"]
    if index >= len(program.host):
        raise step.fault(f"index {index}, the host table has {len(program.host)} entries")
    call = program.host[index]
    if host is None:
        raise UsageError(f"the program calls the host for `{call.label}`, and no host function was given")
    given = host(call, {p.tensor: memory.host_read(step, p) for p in call.reads})
    for port in call.writes:
        memory.host_write(step, port, fitting(given, port, f"host result of `{call.label}`"))


def fitting(arrays: Mapping[str, npt.NDArray[np.int8]], port: Port, what: str) -> Int8Array:
    """The array of a port, as (height, width, channels). Raises UsageError for a wrong type or shape, or none."""
    shape = (port.height, port.width, port.channels)
    array = arrays.get(port.tensor)
    if array is None:
        raise UsageError(f"{what} `{port.tensor}` is missing")
    if array.dtype != np.int8 or array.shape not in (shape, (1, *shape)):
        raise UsageError(f"{what} `{port.tensor}` is {array.dtype}{array.shape}, needs int8{shape}")
    return array.reshape(shape)
