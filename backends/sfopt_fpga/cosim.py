"""Runs a program on the RTL: the same file, inputs and answers as `simulator.py`, and nothing computed here but the host's work.

The driver below talks to the accelerator through its registers and to DRAM through an array, as one for a board would.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sfopt.arithmetic.rounding import Int8Array
from sfopt.errors import InternalError, SimulationFault
from sfopt_fpga.dram import dram_image
from sfopt_fpga.host_call import HostFunction, call_host, fitting
from sfopt_fpga.isa import Engine, Opcode, decode
from sfopt_fpga.maps import Port
from sfopt_fpga.playback import Busy
from sfopt_fpga.program import Program
from sfopt_fpga.regions import RegionMap
from sfopt_fpga.registers import CONTROL, IDENTITY, STATUS, ErrorCode
from sfopt_fpga.rtl_build import Build, build_library, rtl_parameters
from sfopt_fpga.rtl_model import Bus, Executed, Model, open_model
from sfopt_fpga.sequencer import Step

__all__ = ["RtlResult", "run_rtl"]

PAGE_BYTES = 4096
WATCHDOG_CYCLES = 20_000
"""Beyond four times the DRAM latency: longer than any engine works without touching a memory."""
SLICE_CYCLES = 100_000
"""Between two moments at which Ctrl-C is heeded."""


@dataclass(frozen=True)
class RtlResult:
    """What one run showed. Arrays are int8 (height, width, channels).

    `reads` and `writes` are bytes by region name, as the traced instructions and the host moved them; `program_bytes`,
    `load_bytes`, `store_bytes`, `cycles` and `busy_cycles` are the accelerator's own counters.
    """

    outputs: Mapping[str, Int8Array]
    reads: Mapping[str, int]
    writes: Mapping[str, int]
    program_bytes: int
    load_bytes: int
    store_bytes: int
    cycles: int
    busy_cycles: Mapping[str, int]
    events: tuple[Busy, ...]


def run_rtl(
    program: Program | bytes,
    inputs: Mapping[str, npt.NDArray[np.int8]],
    host: HostFunction | None = None,
    *,
    bus: Bus | None = None,
    build: Build | None = None,
    cycle_limit: int = 1 << 32,
) -> RtlResult:
    """Run `program` (or a program file's bytes) on int8 inputs of shape (height, width, channels), a leading 1 allowed.

    `host` runs the HOST instructions. Raises SimulationFault naming the instruction and the error that the accelerator reports,
    or that it has not ended after `cycle_limit` cycles,
    MissingExtraError or UsageError when the RTL cannot be built, UsageError for inputs that do not fit.
    """
    made = program if isinstance(program, Program) else Program.from_bytes(program)
    memory = _Memory(made)
    for port in made.inputs:
        memory.view(port)[:] = fitting(inputs, port, "input")
    chosen = bus or Bus()
    with open_model(build_library(made.device, build), made.device, memory.data, chosen) as model:
        return _Driver(made, memory, model, chosen, cycle_limit).run(host)


class _Memory:
    """DRAM, and the bytes that were moved by region name."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.data = dram_image(program, PAGE_BYTES)
        self.regions = RegionMap(program.regions)
        self.reads, self.writes = Counter[str](), Counter[str]()

    def view(self, port: Port) -> Int8Array:
        """A tensor in place."""
        return self.data[port.offset : port.end].reshape(port.height, port.width, port.channels)

    def host_read(self, step: Step, port: Port) -> Int8Array:
        """A whole tensor, counted."""
        self.count(self.reads, step, port.offset, port.size_bytes)
        return self.view(port).copy()

    def host_write(self, step: Step, port: Port, values: npt.NDArray[np.int8]) -> None:
        """Likewise."""
        self.count(self.writes, step, port.offset, port.size_bytes)
        self.view(port)[:] = values

    def count(self, moved: Counter[str], step: Step, address: int, size_bytes: int) -> None:
        """Add an access to the region that it lies in. Raises SimulationFault if there is none."""
        moved[self.program.regions[self.regions.index(step, address, size_bytes)].name] += size_bytes


class _Driver:
    def __init__(self, program: Program, memory: _Memory, model: Model, bus: Bus, cycle_limit: int) -> None:
        self.program, self.memory, self.model, self.bus = program, memory, model, bus
        self.cycle_limit = cycle_limit
        self.events: list[Busy] = []
        self.steps: dict[int, Step] = {}
        self.noted = 0
        """How many of the instructions that have ended are counted."""

    def run(self, host: HostFunction | None) -> RtlResult:
        self._require_machine()
        self._set_up()
        self.model.write("control", 1 << CONTROL["start"])
        while self._run_stretch() != "done":
            call_host(self.program, self._host_step(), host, self.memory)
            self.model.write("control", 1 << CONTROL["resume"])
        return self._result()

    def _require_machine(self) -> None:
        """The registers that say what was built."""
        if self.model.read("identity") != IDENTITY:
            raise InternalError(f"the RTL says it is {self.model.read('identity'):#x}, not {IDENTITY:#x}")
        names = {"ACC_PIXELS": "accumulator_pixels", "DRAM_BYTES": "dram_word_bytes"}
        for parameter, value in rtl_parameters(self.program.device).items():
            name = names.get(parameter, parameter.lower())
            if self.model.read(name) != value:
                raise InternalError(f"register `{name}` is {self.model.read(name)}, the device has {value}")

    def _set_up(self) -> None:
        latency = self.program.device.dram_latency_cycles if self.bus.latency is None else self.bus.latency
        self.model.write("base", self.bus.base)
        self.model.write("program_words", len(self.program.words))
        self.model.write("dram_limit", self.program.dram_bytes & 0xFFFF_FFFF)
        self.model.write("watchdog", WATCHDOG_CYCLES + 4 * latency)

    def _run_stretch(self) -> str:
        """Run until the machine is done or wants the host; which of them. Raises SimulationFault for an error."""
        while not self.model.run(SLICE_CYCLES):
            if self.model.now > self.cycle_limit:
                raise SimulationFault(f"the RTL has not ended after {self.model.now} cycles")
        stopped_cycle = self.model.now
        status = self.model.read("status")
        state = next(name for name, bit in STATUS.items() if status == 1 << bit)
        self._note_events(stopped_cycle - self.model.read("cycles"))
        if state == "error":
            raise self._fault()
        return state

    def _note_events(self, start_cycle: int) -> None:
        """Add what ended since the last time, in cycles since the start without those that the host took."""
        executed = self.model.executed
        for done in executed[self.noted :]:
            step = self._step(done.word)
            if step.opcode is Opcode.SYNC:
                continue
            self._count(step, done)
            cycles = (done.start_cycle - start_cycle, done.end_cycle - start_cycle)
            self.events.append(Busy(done.engine, done.word, step.opcode, *cycles, done.dram_bytes))
        self.noted = len(executed)

    def _count(self, step: Step, done: Executed) -> None:
        if done.dram_bytes:
            moved = self.memory.reads if done.engine is Engine.LOAD else self.memory.writes
            self.memory.count(moved, step, done.address, done.dram_bytes)

    def _result(self) -> RtlResult:
        counters = {name: self.model.read(f"{name}_bytes") for name in ("fetch", "load", "store")}
        for engine in (Engine.LOAD, Engine.STORE):
            name = engine.name.lower()
            traced = sum(e.dram_bytes for e in self.events if e.engine is engine)
            if counters[name] != traced:
                raise SimulationFault(
                    f"register `{name}_bytes` is {counters[name]}, the instructions that ended moved {traced}"
                )
        return RtlResult(
            {p.tensor: self.memory.view(p).copy() for p in self.program.outputs},
            dict(self.memory.reads),
            dict(self.memory.writes),
            counters["fetch"],
            counters["load"],
            counters["store"],
            self.model.read("cycles"),
            {e.name.lower(): self.model.read(f"{e.name.lower()}_busy") for e in Engine},
            tuple(self.events),
        )

    def _host_step(self) -> Step:
        return Step(self.model.read("error_word"), Opcode.HOST, {"index": self.model.read("host_index")}, (0, 0))

    def _fault(self) -> SimulationFault:
        code, word = ErrorCode(self.model.read("error")), self.model.read("error_word")
        said = f"the RTL reports error {int(code)}, {code.name}"
        if word >= len(self.program.words):
            return SimulationFault(f"program of {len(self.program.words)} instructions: {said}")
        opcode = int.from_bytes(self.program.words[word][:1]) & 0xF
        name = f" {Opcode(opcode).name}" if opcode in tuple(Opcode) else ""
        return SimulationFault(f"instruction {word}{name}: {said}")

    def _step(self, word: int) -> Step:
        if word not in self.steps:
            self.steps[word] = Step(word, *decode(self.program.words[word]), (0, 0))
        return self.steps[word]
