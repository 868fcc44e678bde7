"""The backend seam: a plan becomes a program file, and the program runs on the simulator."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from sfopt.backend import Execution
from sfopt.device import Device
from sfopt.errors import DeviceError
from sfopt.execute import HostGroups, channels_first, channels_last, dense_inputs
from sfopt.groups import Network
from sfopt.plan import Category, Plan, Transfer
from sfopt.units import format_bytes
from sfopt_fpga.cosim import RtlResult, run_rtl
from sfopt_fpga.disassemble import disassemble
from sfopt_fpga.emit import emit
from sfopt_fpga.isa import FORMATS, WORD_BYTES, Opcode
from sfopt_fpga.maps import HostCall
from sfopt_fpga.program import Program
from sfopt_fpga.rtl_build import require_tools, rtl_parameters
from sfopt_fpga.simulator import SimulationResult, simulate
from sfopt_fpga.slices import label_events

__all__ = ["FpgaBackend", "FpgaProgram"]

Int8Array = npt.NDArray[np.int8]

ADDRESSABLE_WORDS = 1 << next(f.bits for f in FORMATS[Opcode.LOAD].fields if f.name == "base")
"""Scratchpad words that an instruction can name."""


class FpgaBackend:
    """Instructions for the accelerator in `hw/`, executed by the simulator."""

    name = "fpga"
    description = "instructions for the accelerator, executed by the bit-exact simulator"

    def compile(self, network: Network, plan: Plan, device: Device) -> "FpgaProgram":
        """Emit the program of `plan`. Raises DeviceError when the scratchpad has more words than an instruction can name."""
        if device.words > ADDRESSABLE_WORDS:
            limit = format_bytes(ADDRESSABLE_WORDS * device.word_bytes)
            have = format_bytes(device.sram_bytes)
            raise DeviceError(
                f"device `{device.name}`: a scratchpad of {have} is too large, instructions address {limit}"
            )
        return FpgaProgram(network, emit(plan, network, device))

    def require_rtl(self, device: Device) -> None:
        """Raise MissingExtraError or UsageError when Verilator, a C++ compiler or RTL of this size is missing."""
        require_tools()
        rtl_parameters(device)

    def disassemble(self, data: bytes) -> str:
        """A program file as text."""
        return disassemble(Program.from_bytes(data))


@dataclass(frozen=True, eq=False)
class FpgaProgram:
    """An emitted program. `run` gives the simulator the program file's bytes and the input data, nothing else."""

    network: Network
    program: Program

    @cached_property
    def files(self) -> Mapping[str, bytes]:
        """`program.sfp` and its disassembly."""
        return {"program.sfp": self._image, "program.s": disassemble(self.program).encode()}

    @cached_property
    def _image(self) -> bytes:
        return self.program.to_bytes()

    @property
    def program_bytes(self) -> int:
        """Every instruction word is fetched once; loop bodies repeat from the sequencer's buffer."""
        return WORD_BYTES * len(self.program.words)

    def run(self, inputs: Mapping[str, npt.NDArray[np.generic]], *, expose: bool = True) -> Execution:
        """Simulate. Raises SimulationFault when the program asks for something that the machine must not do."""
        host = _Host(self.network, inputs)
        result = simulate(self._image, dense_inputs(self.network, inputs), host, capture=expose)
        return self._execution(result, {**result.tensors, **result.outputs}, host)

    def run_rtl(self, inputs: Mapping[str, npt.NDArray[np.generic]]) -> Execution:
        """The same file and data on the RTL. Raises SimulationFault when it reports an error."""
        host = _Host(self.network, inputs)
        result = run_rtl(self._image, dense_inputs(self.network, inputs), host)
        return self._execution(result, result.outputs, host)

    def _execution(
        self, result: SimulationResult | RtlResult, tensors: Mapping[str, Int8Array], host: "_Host"
    ) -> Execution:
        maps = {name: channels_first(value) for name, value in tensors.items()}
        written = [n for g in self.network.groups for n in g.host_outputs if n not in maps]
        maps.update({name: np.asarray(host.values[name], np.int8) for name in written})
        return Execution(
            maps,
            _transfers(self.program, result),
            result.program_bytes,
            result.cycles,
            result.busy_cycles,
            tuple(label_events(self.program, self.network, result.events)),
            host.values,
        )


class _Host:
    """Runs the host groups between stretches of the program."""

    def __init__(self, network: Network, inputs: Mapping[str, npt.NDArray[np.generic]]) -> None:
        self.groups = HostGroups(network, inputs)

    @property
    def values(self) -> Mapping[str, npt.NDArray[np.generic]]:
        """All that they computed."""
        return self.groups.values

    def __call__(self, call: HostCall, maps: Mapping[str, Int8Array]) -> Mapping[str, Int8Array]:
        made = self.groups.run(call.label, {name: channels_first(value) for name, value in maps.items()})
        return {name: channels_last(value) for name, value in made.items()}


def _transfers(program: Program, result: SimulationResult | RtlResult) -> tuple[Transfer, ...]:
    """The bytes that the run counted, by region; summed over the run, so the segment is -1."""
    return tuple(
        Transfer(-1, region.name, direction, counted[region.name], Category(region.category), region.shortcut)
        for direction, counted in (("read", result.reads), ("write", result.writes))
        for region in program.regions
        if counted.get(region.name, 0)
    )
