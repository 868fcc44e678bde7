"""The RTL under the hand of a test: any words, every register, whatever the program says."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np

from sfopt.device import Device, load_device
from sfopt_fpga.isa import Engine, Opcode, encode
from sfopt_fpga.registers import CONTROL, STATUS, ErrorCode
from sfopt_fpga.rtl_build import Build, build_library
from sfopt_fpga.rtl_model import Bus, Executed, Model, open_model

SIM8 = load_device("sim8")
WIDE = replace(
    SIM8,
    name="wide",
    lanes_in=16,
    lanes_out=8,
    banks=9,
    bank_bytes=16 * 200,
    dram_word_bytes=128,
    dram_bytes_per_s=9_600_000_000,
    dram_latency_cycles=5,
)
"""Words of two array rows, banks of no power of two, four instructions in a beat, three quarters of a beat in a cycle."""

PATIENCE_CYCLES = 1_000_000


@dataclass(frozen=True)
class Stop:
    """How a run ended: `done`, `host` or `error` with its code and instruction."""

    state: str
    error: ErrorCode = ErrorCode.NONE
    word: int = 0


def failed(error: ErrorCode, word: int) -> Stop:
    """A run that ended with this error."""
    return Stop("error", error, word)


DONE = Stop("done")


@dataclass
class Machine:
    """A model and the DRAM that it reads and writes."""

    model: Model
    memory: np.ndarray

    def state(self) -> str:
        """`idle`, or the one bit of register `status`."""
        status = self.model.read("status")
        return "idle" if status == 0 else next(name for name, bit in STATUS.items() if status == 1 << bit)

    def place(self, words: Sequence[bytes], watchdog: int = 2000) -> None:
        """Put a program into DRAM and into the registers."""
        program = np.frombuffer(b"".join(words), np.int8)
        self.memory[: program.size] = program
        self.model.write("base", Bus().base)
        self.model.write("program_words", len(words))
        self.model.write("dram_limit", self.memory.size)
        self.model.write("watchdog", watchdog)

    def control(self, name: str) -> None:
        """Set a bit of register `control`."""
        self.model.write("control", 1 << CONTROL[name])

    def start(self, words: Sequence[bytes], watchdog: int = 2000) -> Stop:
        """Run a program to where it stops."""
        self.place(words, watchdog)
        self.control("start")
        return self.wait()

    def resume(self) -> Stop:
        """Go on behind HOST."""
        self.control("resume")
        return self.wait()

    def wait(self) -> Stop:
        """To the next stop; a machine that hangs fails the test here."""
        assert self.model.run(PATIENCE_CYCLES), f"the machine hangs, {self.state()}"
        state = self.state()
        if state != "error":
            return Stop(state)
        return failed(ErrorCode(self.model.read("error")), self.model.read("error_word"))

    def reset(self) -> None:
        """Reset by register, which ends in idle."""
        self.control("reset")
        for _ in range(1000):
            if self.state() == "idle":
                return
        raise AssertionError(f"reset does not end: {self.state()}")

    def executed(self, engine: Engine) -> list[Executed]:
        """What an engine executed, in order."""
        return [e for e in self.model.executed if e.engine is engine]


@contextmanager
def machine(
    device: Device = SIM8, *, memory_bytes: int = 1 << 18, bus: Bus | None = None, build: Build | None = None
) -> Iterator[Machine]:
    """A machine in reset state in front of `memory_bytes` of zeros."""
    memory = np.zeros(memory_bytes, np.int8)
    with open_model(build_library(device, build), device, memory, bus or Bus()) as model:
        yield Machine(model, memory)


def sync(engine: Engine, wait: tuple[int, int] = (0, 0), signal: tuple[int, int] = (0, 0)) -> bytes:
    """SYNC with counts, other engines in order."""
    return encode(
        Opcode.SYNC, {"engine": engine, "wait0": wait[0], "wait1": wait[1], "signal0": signal[0], "signal1": signal[1]}
    )


END = encode(Opcode.END, {})
