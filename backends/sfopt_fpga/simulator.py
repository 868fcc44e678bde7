"""Runs a program: exact numbers, counted bytes, cycles, and a fault for everything that a machine must not be asked to do.

Its only inputs are the program and the input data. Execution comes first, in program order (`order.py` says why that is every
order); the cycles are played afterwards from what was executed, so no number depends on one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

import numpy as np
import numpy.typing as npt

from sfopt.arithmetic.rounding import Int8Array
from sfopt.cost import Moved
from sfopt.errors import ProgramError
from sfopt_fpga.compute import Band, Computer, compute_span
from sfopt_fpga.dram import Dram
from sfopt_fpga.host_call import HostFunction, call_host, fitting
from sfopt_fpga.isa import ENGINES, WORD_BYTES, Engine, Opcode
from sfopt_fpga.memory import Scratchpad
from sfopt_fpga.order import Order
from sfopt_fpga.playback import Busy, Task, schedule_tasks
from sfopt_fpga.program import Program
from sfopt_fpga.sequencer import Step, run_sequence
from sfopt_fpga.timing import (
    PHASE_CYCLES,
    SYNC_CYCLES,
    SYNC_PREPARE_CYCLES,
    compute_instruction_cycles,
    compute_prepare_cycles,
    setup_cycles,
    transfer_edges,
    transfer_prepare_cycles,
)
from sfopt_fpga.transfer import transfer_moved, transfer_rows, transfer_span

__all__ = ["MOST_SRAM_BYTES", "SimulationResult", "simulate"]

MOST_SRAM_BYTES = 1 << 27
"""Twice what instructions can name at 64 lanes."""
MOST_TRACED_BYTES = 1 << 30
"""Of one tensor."""


@dataclass(frozen=True)
class SimulationResult:
    """What one run showed. Arrays are int8 (height, width, channels).

    `reads` and `writes` are bytes by region name; `program_bytes` the instruction fetches. `tensors` holds what was captured.
    """

    outputs: Mapping[str, Int8Array]
    tensors: Mapping[str, Int8Array]
    reads: Mapping[str, int]
    writes: Mapping[str, int]
    program_bytes: int
    cycles: int
    busy_cycles: Mapping[str, int]
    events: tuple[Busy, ...]


def simulate(
    program: Program | bytes,
    inputs: Mapping[str, npt.NDArray[np.int8]],
    host: HostFunction | None = None,
    *,
    capture: bool = False,
) -> SimulationResult:
    """Run `program` (or a program file's bytes) on int8 inputs of shape (height, width, channels), a leading 1 allowed.

    `host` runs the HOST instructions; `capture` collects every tensor of the trace table, also those that never leave a ring.
    Raises SimulationFault naming the instruction, UsageError for inputs that do not fit, ProgramError for a wrong file.
    """
    machine = _Machine(program if isinstance(program, Program) else Program.from_bytes(program), host, capture=capture)
    return machine.run(inputs)


class _Machine:
    def __init__(self, program: Program, host: HostFunction | None, *, capture: bool) -> None:
        if program.device.sram_bytes > MOST_SRAM_BYTES:
            raise ProgramError(
                f"a scratchpad of {program.device.sram_bytes} bytes, the simulator holds {MOST_SRAM_BYTES} at most"
            )
        self.program, self.host = program, host
        self.dram, self.scratchpad = Dram(program), Scratchpad(program.device)
        self.computer, self.order = Computer(self.scratchpad), Order()
        self.tasks: list[Task] = []
        self.capture = _Capture(program) if capture else None

    def run(self, inputs: Mapping[str, npt.NDArray[np.int8]]) -> SimulationResult:
        start = Step(0, Opcode.HOST, {}, (0, 0))
        for port in self.program.inputs:
            self.dram.host_write(start, port, fitting(inputs, port, "input"), counted=False)
        for step in run_sequence(self.program.words):
            self._execute(step)
        outputs = {p.tensor: self.dram.host_read(step, p, counted=False) for p in self.program.outputs}
        schedule = schedule_tasks(self.tasks, self.program.device)
        busy = {
            e.name.lower(): sum(b.end_cycle - b.start_cycle for b in schedule.busy if b.engine is e) for e in Engine
        }
        reads, writes = self.dram.traffic()
        tensors = self.capture.tensors if self.capture else {}
        fetched = WORD_BYTES * (step.word + 1)
        return SimulationResult(outputs, tensors, reads, writes, fetched, schedule.cycles, busy, schedule.busy)

    def _execute(self, step: Step) -> None:
        if step.opcode is Opcode.END:
            self.order.join()
            self.order.check_drained(step)
            self.tasks.append(Task(step.word, step.opcode, None))
        elif step.opcode is Opcode.HOST:
            self.order.join()
            call_host(self.program, step, self.host, self.dram)
            self.tasks.append(Task(step.word, step.opcode, None))
        else:
            self._run_on_engine(step)

    def _run_on_engine(self, step: Step) -> None:
        engine, takes, gives = _tokens(step)
        access = self.order.begin(step, engine, takes)
        prepare, before, after, moved = SYNC_PREPARE_CYCLES, SYNC_CYCLES, 0, Moved(0, 0)
        if step.opcode is Opcode.SETUP:
            self.computer.configure(step)
            prepare = setup_cycles(step.fields)
        elif step.opcode is Opcode.PHASE:
            self.computer.interleave(step)
            prepare = PHASE_CYCLES
        elif step.opcode is Opcode.COMPUTE:
            band = self.computer.run(access)
            rows, channels = compute_span(step, self.computer.setup)
            prepare = compute_prepare_cycles(self.computer.setup, step.fields, rows, channels)
            geometry = {**self.computer.setup, **self.computer.phase}
            before = compute_instruction_cycles(geometry, step.fields, rows, channels, self.program.device)
            if self.capture and band:
                self.capture.add(step, self.computer, band)
        elif step.opcode is not Opcode.SYNC:
            transfer_rows(access, self.scratchpad, self.dram)
            moved = transfer_moved(step, self.scratchpad.lanes)
            prepare = transfer_prepare_cycles(step.fields, transfer_span(step))
            before, after = transfer_edges(engine, moved, self.program.device)
        self.order.end(engine, gives)
        self.tasks.append(Task(step.word, step.opcode, engine, takes, gives, prepare, before, moved, after))


class _Capture:
    """Assembles the tensors of the trace table from what COMPUTE instructions write."""

    def __init__(self, program: Program) -> None:
        self.traces = {t.word: t for t in program.trace}
        self.tensors: dict[str, Int8Array] = {}

    def add(self, step: Step, computer: Computer, band: Band) -> None:
        trace = self.traces.get(step.word)
        if trace is None:
            return
        setup, phase = computer.setup, computer.phase
        channel = band.channel - step.fields["out_channel"] + trace.channel_offset
        least = (
            phase["row_first"] + (setup["out_height"] - 1) * phase["row_step"] + 1,
            trace.column_first + (setup["out_width"] - 1) * trace.column_step + 1,
            trace.channel_offset + setup["out_channels"],
        )
        known = self.tensors.get(trace.tensor, np.zeros((0, 0, 0), np.int8))
        grown = [max(n, has) for n, has in zip(least, known.shape, strict=True)]
        if prod(grown) > MOST_TRACED_BYTES:
            raise step.fault(
                f"`{trace.tensor}` takes {prod(grown)} bytes, the simulator keeps {MOST_TRACED_BYTES} of a tensor"
            )
        if grown != list(known.shape):  # mostly the first band makes room for all
            known = np.pad(known, [(0, n - has) for n, has in zip(grown, known.shape, strict=True)])
        rows, columns, channels = band.values.shape
        row_end, column_end = band.row + rows * band.row_step, trace.column_first + columns * trace.column_step
        at = (slice(band.row, row_end, band.row_step), slice(trace.column_first, column_end, trace.column_step))
        known[(*at, slice(channel, channel + channels))] = band.values
        self.tensors[trace.tensor] = known


def _tokens(step: Step) -> tuple[Engine, tuple[int, int], tuple[int, int]]:
    """Engine, tokens taken and tokens given of an instruction."""
    fields = step.fields
    if step.opcode is Opcode.SYNC:
        if fields["engine"] not in tuple(Engine):
            raise step.fault(f"engine {fields['engine']} does not exist")
        return Engine(fields["engine"]), (fields["wait0"], fields["wait1"]), (fields["signal0"], fields["signal1"])
    wait, signal = fields.get("wait", 0), fields.get("signal", 0)
    return ENGINES[step.opcode], (wait & 1, wait >> 1), (signal & 1, signal >> 1)
