"""The RTL as a Python object: registers to read and write, cycles to run, and which instructions were executed when."""

import ctypes
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import gcd
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sfopt.device import Device
from sfopt.errors import InternalError, SimulationFault
from sfopt_fpga.isa import Engine
from sfopt_fpga.registers import REGISTERS
from sfopt_fpga.rtl_build import coverage_folder

__all__ = ["Bus", "Executed", "Model", "coverage_file", "open_model"]

NOWHERE = (1 << 64) - 1


@dataclass(frozen=True)
class Bus:
    """The simulated DRAM beyond the device's figures.

    `latency`: cycles, the device's if None. `stall_percent`: of the cycles, at random, on every channel by itself. `bad_address`: a
    byte of DRAM that answers with a bus error. `base`: bus address of DRAM's first byte, a multiple of 4 KiB.
    """

    latency: int | None = None
    stall_percent: int = 0
    seed: int = 0
    bad_address: int | None = None
    base: int = 0x12_3456_7000


@dataclass(frozen=True)
class Executed:
    """One instruction that an engine executed, with the DRAM bytes of a LOAD or STORE. `end_cycle` is not part of it."""

    engine: Engine
    word: int
    start_cycle: int
    end_cycle: int
    address: int
    dram_bytes: int


class _Config(ctypes.Structure):
    _fields_ = (
        ("memory", ctypes.c_void_p),
        *(
            (name, ctypes.c_uint64)
            for name in (
                "memory_bytes",
                "base",
                "rate_numerator",
                "rate_denominator",
                "latency",
                "stall_percent",
                "seed",
                "bad_address",
            )
        ),
    )


class _Event(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_uint64) for name in ("start_cycle", "end_cycle")),
        *((name, ctypes.c_uint32) for name in ("engine", "index", "address", "bytes")),
    )


class Model:
    """One simulated accelerator. `open_model` makes it."""

    def __init__(self, library: ctypes.CDLL, handle: int) -> None:
        self._library, self._handle = library, handle

    def read(self, name: str) -> int:
        """A register, or a counter of two."""
        register = next(r for r in REGISTERS if r.name == name)
        return sum(self.read_offset(register.offset + 4 * i) << (32 * i) for i in range(register.words))

    def write(self, name: str, value: int) -> None:
        """Likewise."""
        register = next(r for r in REGISTERS if r.name == name)
        for i in range(register.words):
            self.write_offset(register.offset + 4 * i, value >> (32 * i) & 0xFFFF_FFFF)

    def read_offset(self, offset: int) -> int:
        """32 bits at a byte offset, whether there is a register or not."""
        value = ctypes.c_uint32()
        if not self._library.sf_read(self._handle, offset, ctypes.byref(value)):
            raise SimulationFault(f"the register port does not answer a read of {offset:#x}")
        return value.value

    def write_offset(self, offset: int, value: int, strobe: int = 0b1111) -> None:
        """Likewise; only the bytes in `strobe`."""
        if not self._library.sf_write(self._handle, offset, value, strobe):
            raise SimulationFault(f"the register port does not answer a write of {offset:#x}")

    def run(self, cycles: int) -> bool:
        """Run until the interrupt, at most so many cycles; whether it came. Raises SimulationFault for a broken bus rule."""
        stopped = bool(self._library.sf_run(self._handle, cycles))
        broken = self._library.sf_violation(self._handle)
        if broken:
            raise SimulationFault(f"DRAM port: {broken.decode()}")
        return stopped

    @property
    def now(self) -> int:
        """Cycles since the model was made."""
        return int(self._library.sf_now(self._handle))

    @property
    def executed(self) -> tuple[Executed, ...]:
        """All instructions that ended since the model was made, in the order of their ends."""
        count = ctypes.c_uint64()
        events = self._library.sf_events(self._handle, ctypes.byref(count))
        return tuple(
            Executed(Engine(e.engine), e.index, e.start_cycle, e.end_cycle, e.address, e.bytes)
            for e in (events[i] for i in range(count.value))
        )

    def write_coverage(self, path: Path) -> None:
        """Verilator's coverage data of this model, if it was built to collect any."""
        self._library.sf_write_coverage(self._handle, str(path).encode())


@contextmanager
def open_model(library: Path, device: Device, memory: npt.NDArray[np.int8], bus: Bus) -> Iterator[Model]:
    """A model in reset state in front of `memory`, a multiple of 4 KiB, which it reads and writes in place."""
    if memory.size % 4096 or not memory.flags.c_contiguous:
        raise InternalError(f"memory of {memory.size} bytes, needs whole pages of 4096")
    loaded = _load(library)
    divisor = gcd(device.dram_bytes_per_s, device.clock_hz)
    config = _Config(
        memory.ctypes.data,
        memory.size,
        bus.base,
        device.dram_bytes_per_s // divisor,
        device.clock_hz // divisor,
        device.dram_latency_cycles if bus.latency is None else bus.latency,
        bus.stall_percent,
        bus.seed,
        NOWHERE if bus.bad_address is None else bus.bad_address,
    )
    handle = loaded.sf_open(ctypes.byref(config))
    model = Model(loaded, handle)
    try:
        yield model
    finally:
        if (folder := coverage_folder()) is not None:
            with coverage_file(folder) as data:
                model.write_coverage(data)
        loaded.sf_close(handle)


@contextmanager
def coverage_file(folder: Path) -> Iterator[Path]:
    """Where to write one file of coverage data; it gets a name that ends in `.dat` when it is whole."""
    folder.mkdir(parents=True, exist_ok=True)
    name = folder / uuid.uuid4().hex
    yield name
    name.rename(name.with_suffix(".dat"))


def _load(path: Path) -> ctypes.CDLL:
    library = ctypes.CDLL(str(path))
    handle, u32, u64 = ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint64
    for name, arguments, result in (
        ("sf_open", (ctypes.POINTER(_Config),), handle),
        ("sf_close", (handle,), None),
        ("sf_run", (handle, u64), ctypes.c_int),
        ("sf_read", (handle, u32, ctypes.POINTER(u32)), ctypes.c_int),
        ("sf_write", (handle, u32, u32, u32), ctypes.c_int),
        ("sf_now", (handle,), u64),
        ("sf_violation", (handle,), ctypes.c_char_p),
        ("sf_events", (handle, ctypes.POINTER(u64)), ctypes.POINTER(_Event)),
        ("sf_write_coverage", (handle, ctypes.c_char_p), None),
    ):
        function = getattr(library, name)
        function.argtypes, function.restype = arguments, result
    return library
