"""The backend seam: a plan becomes model.c, which the C compiler of this machine turns into something that runs."""

import shutil
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sfopt.backend import Execution
from sfopt.device import Device
from sfopt.execute import HostGroups, channels_first, channels_last, dense_inputs
from sfopt.groups import Kind, Network
from sfopt.plan import Plan, Transfer
from sfopt.traffic import category_of
from sfopt_c.emit import Source, emit
from sfopt_c.process import Records, run_program
from sfopt_c.toolchain import FLAGS, build

__all__ = ["CBackend", "CModel"]


@dataclass(frozen=True)
class CBackend:
    """C99 for a microcontroller or a processor: the plan's arena, no heap. `flags` are the compiler's."""

    flags: Sequence[str] = FLAGS
    name = "c"
    description = "one C99 file with a static arena at the planned offsets, compiled and run here"

    def compile(self, network: Network, plan: Plan, device: Device) -> "CModel":
        """Write the C of `plan`. Raises UsageError for what this backend cannot do; no compiler is needed yet."""
        return CModel(network, emit(plan, network, device), self.flags)


@dataclass(frozen=True, eq=False)
class CModel:
    """A network as C. It is compiled when it first runs."""

    network: Network
    source: Source
    flags: Sequence[str] = FLAGS

    @property
    def program_bytes(self) -> int:
        """The plan counts no fetches of a processor's own instructions."""
        return 0

    @cached_property
    def files(self) -> Mapping[str, bytes]:
        """`model.c`, which needs nothing else, and `model.h` for those who call it."""
        return {"model.c": self.source.code.encode(), "model.h": self.source.header.encode()}

    @cached_property
    def program(self) -> Path:
        """The compiled program, kept as long as this object. Raises UsageError without a C compiler."""
        program = build(self.files, self.flags)
        weakref.finalize(self, shutil.rmtree, program.parent, ignore_errors=True)
        return program

    def run(self, inputs: Mapping[str, npt.NDArray[np.generic]], *, expose: bool = True) -> Execution:
        """Run the program. Raises UsageError for inputs that do not fit, SimulationFault when it stops before its end."""
        network, dense = self.network, dense_inputs(self.network, inputs)
        groups = [g for g in network.groups if g.kind is Kind.HOST]
        host = HostGroups(network, inputs)

        def run_host(number: int, maps: Mapping[str, npt.NDArray[np.int8]]) -> dict[str, npt.NDArray[np.int8]]:
            made = host.run(groups[number].name, {name: channels_first(value) for name, value in maps.items()})
            return {name: channels_last(value) for name, value in made.items()}

        records = run_program(
            self.program,
            [dense[name] for name in network.inputs],
            tuple(network.maps.values()),
            network.outputs,
            [(g.reads, g.writes) for g in groups],
            run_host,
            expose=expose,
        )
        maps = {name: channels_first(value) for name, value in {**records.rows, **records.outputs}.items()}
        maps.update({name: np.asarray(host.values[name], np.int8) for g in groups for name in g.host_outputs})
        return Execution(maps, self._transfers(records), 0, host_tensors=host.values)

    def _transfers(self, records: Records) -> tuple[Transfer, ...]:
        """The bytes that the run counted, summed over it, so the segment is -1."""
        names, network = self.source.names, self.network
        return tuple(
            Transfer(-1, names[i], way, size, category_of(network, names[i]), names[i] in network.shortcuts)
            for (i, way), size in records.bytes_moved.items()
            if size
        )
