"""What a backend is, and how sfopt finds one: the entry-point group `sfopt.backends`, and nothing else.

A backend turns a planned network into a `Compiled`: files to write and something to run. That one method is the whole seam.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from sfopt.device import Device
from sfopt.errors import UsageError
from sfopt.groups import Network
from sfopt.plan import Plan, Transfer

__all__ = [
    "Backend",
    "Compiled",
    "Disassembler",
    "Event",
    "Execution",
    "RtlBackend",
    "RtlCompiled",
    "backend_names",
    "load_backend",
]

ENTRY_POINT_GROUP = "sfopt.backends"


@dataclass(frozen=True)
class Event:
    """One busy interval of an engine, for traces. Cycles from the start of the run.

    `name` is the tensor or constant block that is written or moved, `group` the one that it is done for.
    """

    engine: str
    name: str
    start_cycle: int
    end_cycle: int
    dram_bytes: int = 0
    instruction: int | None = None
    """Index of its word in the program."""
    group: str | None = None
    rows: tuple[int, int] | None = None
    """From and up to, of the feature map; of its input for a global mean. Of a transposed convolution's, one phase makes some."""
    channels: tuple[int, int] | None = None
    """From and up to, of the output."""


@dataclass(frozen=True)
class Execution:
    """What one run showed.

    `tensors`: int8 arrays in graph shape (1, C, H, W), at least the network's outputs and all else that the backend can expose.
    `transfers`: bytes moved per tensor and direction, `program_bytes`: instruction fetches (None where the backend moves no bytes).
    """

    tensors: Mapping[str, npt.NDArray[np.int8]]
    transfers: tuple[Transfer, ...] | None = None
    program_bytes: int | None = None
    cycles: int | None = None
    busy_cycles: Mapping[str, int] = field(default_factory=dict)
    events: tuple[Event, ...] = ()
    host_tensors: Mapping[str, npt.NDArray[np.generic]] = field(default_factory=dict)
    """What host groups in the middle of the network computed, in whatever type it has."""


@runtime_checkable
class Compiled(Protocol):
    """A network compiled for one backend."""

    @property
    def program_bytes(self) -> int:
        """Bytes of instructions that a run fetches; 0 where there are none."""
        ...

    @property
    def files(self) -> Mapping[str, bytes]:
        """File name -> content, for the output directory."""
        ...

    def run(self, inputs: Mapping[str, npt.NDArray[np.generic]], *, expose: bool = True) -> Execution:
        """Run on int8 inputs of shape (1, C, H, W) by network input name, and on `Network.host_inputs` in whatever type they have.

        `expose` asks for inner tensors too.
        """
        ...


@runtime_checkable
class Backend(Protocol):
    """A way to execute a network. `name` is what `--backend` takes."""

    name: str
    description: str

    def compile(self, network: Network, plan: Plan, device: Device) -> Compiled:
        """Emit and return something that runs. Raises SfoptError when the plan cannot be emitted."""
        ...


@runtime_checkable
class Disassembler(Protocol):
    """What a backend with program files offers beside `Backend`."""

    def disassemble(self, data: bytes) -> str:
        """A program file as text. Raises ProgramError when it is none."""
        ...


@runtime_checkable
class RtlBackend(Protocol):
    """What a backend whose hardware can be simulated gate by gate offers beside `Backend`. What it compiles is `RtlCompiled`."""

    def require_rtl(self, device: Device) -> None:
        """Raise an SfoptError if the hardware for `device` cannot be simulated here: before any work is done."""
        ...


@runtime_checkable
class RtlCompiled(Protocol):
    """A network compiled for such a backend."""

    def run_rtl(self, inputs: Mapping[str, npt.NDArray[np.generic]]) -> Execution:
        """As `Compiled.run`, on the simulated hardware: results that reach DRAM, bytes and cycles as it counts them."""
        ...


def backend_names() -> tuple[str, ...]:
    """Names of all installed backends, sorted."""
    return tuple(sorted(e.name for e in entry_points(group=ENTRY_POINT_GROUP)))


def load_backend(name: str) -> Backend:
    """The backend called `name`; raises UsageError naming the installed ones, or what is wrong with this one."""
    found = [e for e in entry_points(group=ENTRY_POINT_GROUP) if e.name == name]
    if not found:
        raise UsageError(f"unknown backend `{name}`; installed: {', '.join(backend_names()) or 'none'}")
    loaded: Any = found[0].load()
    backend = loaded()
    if not isinstance(backend, Backend):
        raise UsageError(f"backend `{name}` ({found[0].value}) does not have the methods of sfopt.backend.Backend")
    return backend
