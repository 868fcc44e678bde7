"""The accelerator's AXI4-Lite registers and error codes, defined once. Driver, documentation and RTL package read these tables.

Registers have 32 bits, at byte offsets that are multiples of 4. A counter has 64 bits: its low half, then its high half, which is
kept as it was when the low half was read. Settings (`rw`) do not change while a program runs.

`status` has at most one bit set: none is idle. `start` acts when idle or done and clears the counters; an error needs `reset`.
"""

from dataclasses import dataclass
from enum import IntEnum

__all__ = ["CONTROL", "IDENTITY", "REGISTERS", "STATUS", "ErrorCode", "Register", "offset_of"]

IDENTITY = 0x5346_0002
"""What register `identity` reads: "SF", and the version of the instruction set."""


class ErrorCode(IntEnum):
    """Why the machine stopped; register `error`. 0 is no error."""

    NONE = 0
    ILLEGAL_INSTRUCTION = 1
    """An opcode that does not exist, bits set outside the fields, a field with a value that has no meaning."""
    LOOP = 2
    """A loop of no iterations or words, too long, nested wrongly, or with HOST or END inside."""
    END_OF_PROGRAM = 3
    """The program runs past its last word without END."""
    SETUP = 4
    """A geometry that no operation has, or a COMPUTE before any SETUP."""
    UNSUPPORTED = 5
    """Sizes that this build of the machine lacks room for."""
    SCRATCHPAD_RANGE = 6
    """A scratchpad address behind the last word."""
    BANK_CONFLICT = 7
    """Two operands of one COMPUTE in one bank."""
    RING = 8
    """More rows in one instruction than their ring has, a ring of none, or pixels smaller than their channels."""
    DRAM_RANGE = 9
    """A DRAM address behind `dram_limit`."""
    BUS = 10
    """A bus response that is not OKAY."""
    PARAMETER = 11
    """A constant that is not a finite number."""
    TOKENS = 12
    """END with tokens left over, or more tokens than a counter holds."""
    STALLED = 13
    """Nothing has moved for `watchdog` cycles: engines that wait for each other, or a bus that does not answer."""
    MEAN_ORDER = 14
    """A band of a global mean that does not follow the one before."""


@dataclass(frozen=True)
class Register:
    """A register, or a 64-bit counter of two."""

    offset: int
    name: str
    access: str
    """`rw`, `r`, or `w` for one whose set bits act and read 0."""
    doc: str
    words: int = 1


CONTROL = {"start": 0, "resume": 1, "reset": 2}
"""Bits of register `control`: run from word 0; go on behind HOST; forget everything, once no burst is under way."""
STATUS = {"busy": 0, "done": 1, "error": 2, "host": 3}
"""Bits of register `status`."""

REGISTERS = (
    Register(0x00, "identity", "r", "0x53460002: the machine and the version of its instruction set"),
    Register(0x04, "control", "w", "bit 0 start, bit 1 resume behind HOST, bit 2 reset"),
    Register(0x08, "status", "r", "bit 0 busy, bit 1 done, bit 2 error, bit 3 waits for the host"),
    Register(0x0C, "error", "r", "error code"),
    Register(0x10, "error_word", "r", "index of the instruction that failed, or of the HOST that waits"),
    Register(0x14, "host_index", "r", "entry of the host table that HOST asks for"),
    Register(
        0x18,
        "base",
        "rw",
        "bus address of the program, to which all DRAM addresses are relative; a multiple of 4 KiB",
        words=2,
    ),
    Register(0x20, "program_words", "rw", "instructions of the program"),
    Register(0x24, "dram_limit", "rw", "bytes of DRAM from `base` on that the program may touch; 0: 4 GiB"),
    Register(0x28, "watchdog", "rw", "cycles without progress that are an error; 0: never"),
    Register(0x40, "cycles", "r", "cycles since start, until done, error or host", words=2),
    Register(0x48, "fetch_bytes", "r", "bytes of instructions read", words=2),
    Register(0x50, "load_bytes", "r", "bytes that LOAD instructions read", words=2),
    Register(0x58, "store_bytes", "r", "bytes that STORE instructions wrote", words=2),
    Register(0x60, "load_busy", "r", "cycles in which a LOAD was executed", words=2),
    Register(0x68, "compute_busy", "r", "cycles in which a SETUP or COMPUTE was executed", words=2),
    Register(0x70, "store_busy", "r", "cycles in which a STORE was executed", words=2),
    Register(0x80, "lanes_in", "r", "bytes of a scratchpad word"),
    Register(0x84, "lanes_out", "r", "output channels of the MAC array"),
    Register(0x88, "banks", "r", "scratchpad banks"),
    Register(0x8C, "bank_words", "r", "words of a bank"),
    Register(0x90, "accumulator_pixels", "r", "pixels whose sums the MAC array keeps"),
    Register(0x94, "dram_word_bytes", "r", "bytes of a beat on the DRAM port"),
)


def offset_of(name: str) -> int:
    """Byte offset of a register; KeyError for one that does not exist."""
    return {r.name: r.offset for r in REGISTERS}[name]
