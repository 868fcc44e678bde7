"""The instruction set, defined once. Encoder, decoder, disassembler, simulator, documentation and RTL package read these tables.

An instruction is one 32-byte word: a 4-bit opcode, then the fields of its format from bit 4 upwards, little-endian, unused bits 0.

**Sequencing.** Three engines (load, compute, store) execute their own instructions in program order and run against each other
through counting semaphores, one for each ordered pair of engines. An instruction's `wait` bits take one token from each named
engine before it starts, its `signal` bits give one to each named engine after it ends; bit 0 names the other engine that comes
first in the order load, compute, store, bit 1 the other. SYNC does the same with counts. SETUP configures the compute engine and
is executed by it in order; PHASE adds to that. LOOP repeats the `body` words that follow it, at most LOOP_BODY_WORDS, `count` times
from the sequencer's buffer, without fetching them again; one loop over rows and one over channels may be nested, in either order.
END, and HOST, wait
until all engines are idle.

**Rows.** A LOAD, STORE or COMPUTE handles, at index i of the loop that drives it (0 outside any loop), the rows from
end(i-1) to end(i) where end(i) = min(total, first + i * step) and end(-1) = 0. An empty range does nothing but wait and signal.
`axis` says which loop drives a LOAD or STORE: rows, or output channels (weights are stored with output channels as their rows).
COMPUTE is driven by both: rows by the row loop, output channels by the channel loop.

**Rings.** Row r of an operand with base b, ring n and `pixel_words` w lies at word b + (r mod n) * width * w; its pixel x is
another x * w words on. n >= height makes it an ordinary array. Words hold `lanes_in` bytes. An operand may lie beside others in
larger pixels: b is then some words into one, and only the words that hold its channels are touched.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

from sfopt.cost import LOOP_WORDS
from sfopt.errors import ProgramError

__all__ = [
    "ENGINES",
    "FORMATS",
    "LOOP_BODY_WORDS",
    "MEAN_CHANNELS",
    "OPCODE_BITS",
    "SETTINGS",
    "WORD_BITS",
    "WORD_BYTES",
    "Axis",
    "Binary",
    "ComputeKind",
    "Engine",
    "Field",
    "Format",
    "Opcode",
    "decode",
    "encode",
]

WORD_BYTES = 32
WORD_BITS = 8 * WORD_BYTES
LOOP_BODY_WORDS = LOOP_WORDS
"""Words of a loop's body, inner loops included, that the sequencer's buffer holds."""
OPCODE_BITS = 4
MEAN_CHANNELS = 4096
"""Channels of a global mean at most: the sums that the machine keeps from band to band."""


class Opcode(IntEnum):
    """0 is no instruction: a zeroed word is illegal."""

    LOAD = 1
    STORE = 2
    SETUP = 3
    COMPUTE = 4
    SYNC = 5
    LOOP = 6
    HOST = 7
    END = 8
    PHASE = 9


class Engine(IntEnum):
    """Execution units, in the order that `wait` and `signal` bits use."""

    LOAD = 0
    COMPUTE = 1
    STORE = 2


class Axis(IntEnum):
    """Which loop index drives an instruction."""

    ROWS = 0
    CHANNELS = 1


class ComputeKind(IntEnum):
    """The heavy operation of SETUP. For RESIZE the stride fields hold the integer replication factors."""

    CONV = 0
    DEPTHWISE = 1
    MAX_POOL = 2
    AVERAGE_POOL = 3
    GLOBAL_MEAN = 4
    COPY = 5
    RESIZE = 6


class Binary(IntEnum):
    """Second-operand operation of SETUP."""

    NONE = 0
    ADD = 1
    MUL = 2


ENGINES: Mapping[Opcode, Engine] = {
    Opcode.LOAD: Engine.LOAD,
    Opcode.STORE: Engine.STORE,
    Opcode.SETUP: Engine.COMPUTE,
    Opcode.PHASE: Engine.COMPUTE,
    Opcode.COMPUTE: Engine.COMPUTE,
}

SETTINGS = (Opcode.SETUP, Opcode.PHASE)
"""Executed when the compute engine looks at them: they change what COMPUTE does, and pass no tokens."""


@dataclass(frozen=True)
class Field:
    """An unsigned bit field, or a two's-complement one if `signed`."""

    name: str
    bits: int
    doc: str
    signed: bool = False


@dataclass(frozen=True)
class Format:
    """An instruction's fields, lowest bit first, above the opcode."""

    opcode: Opcode
    doc: str
    fields: tuple[Field, ...]


_SYNC_BITS = (
    Field("wait", 2, "take a token from each named engine first"),
    Field("signal", 2, "give a token to each named engine after"),
)
_ROWS = (
    Field("first", 16, "rows handled at index 0"),
    Field("step", 16, "rows handled at each further index"),
)

_DMA = (
    *_SYNC_BITS,
    Field("dram", 32, "DRAM byte address of row 0"),
    Field("base", 20, "scratchpad word of row 0"),
    Field("ring", 16, "rows in the ring"),
    Field("axis", 1, "loop that drives the rows"),
    *_ROWS,
    Field("total", 16, "rows in all"),
    Field("width", 16, "pixels of a row in the scratchpad"),
    Field("channels", 20, "bytes of a pixel in the scratchpad, without padding"),
    Field("pixel_words", 12, "words from one pixel to the next"),
    Field(
        "fold_taps", 6, "0: pixel x is DRAM pixel x. k: pixel x holds k DRAM pixels from x * fold_stride - fold_pad on"
    ),
    Field("fold_stride", 6, "DRAM pixels between neighbouring scratchpad pixels when folding"),
    Field("fold_pad", 6, "DRAM pixels of padding left of the row when folding"),
    Field("fold_width", 16, "pixels of a DRAM row when folding; each has channels / fold_taps bytes"),
    Field("fold_zero", 8, "value of the padding when folding", signed=True),
)

FORMATS: Mapping[Opcode, Format] = {
    f.opcode: f
    for f in (
        Format(
            Opcode.LOAD,
            "DRAM rows to scratchpad; DRAM rows are dense, pixels are padded to words with zeros on the way",
            _DMA,
        ),
        Format(Opcode.STORE, "scratchpad rows to DRAM, padding dropped; never folds", _DMA),
        Format(
            Opcode.SETUP,
            "geometry and post-processing of the COMPUTE instructions that follow",
            (
                Field("kind", 3, "heavy operation"),
                Field("kernel_h", 6, "kernel rows"),
                Field("kernel_w", 6, "kernel columns"),
                Field("stride_h", 6, "row stride"),
                Field("stride_w", 6, "column stride"),
                Field("dilation_h", 6, "row dilation"),
                Field("dilation_w", 6, "column dilation"),
                Field("pad_top", 6, "rows of padding above; below as the output height asks"),
                Field("pad_left", 6, "columns of padding on the left"),
                Field("groups", 16, "groups of a convolution (CONV)"),
                Field("x_height", 16, "input rows"),
                Field("x_width", 16, "input pixels of a row"),
                Field("x_channels", 16, "input channels"),
                Field("out_height", 16, "output rows"),
                Field("out_width", 16, "output pixels of a row"),
                Field("out_channels", 16, "output channels"),
                Field(
                    "out_zero",
                    8,
                    "output zero point of the heavy operation (CONV, DEPTHWISE, GLOBAL_MEAN)",
                    signed=True,
                ),
                Field("pad_value", 8, "value outside the input", signed=True),
                Field("parameters", 20, "word of the parameter block"),
                Field("scale", 20, "word of the channel-scale vector"),
                Field("has_scale", 1, "multiply the input by the channel scale"),
                Field("has_table0", 1, "table after the heavy operation"),
                Field("binary", 2, "second-operand operation"),
                Field("swapped", 1, "the residual is the operation's first operand"),
                Field("has_table1", 1, "table at the end"),
                Field("include_pad", 1, "AVERAGE_POOL divides by the whole kernel area"),
                Field("residual_pixel_words", 10, "words from one pixel of the residual to the next"),
            ),
        ),
        Format(
            Opcode.COMPUTE,
            "one band of output rows (GLOBAL_MEAN: of input rows) for one tile of output channels",
            (
                *_SYNC_BITS,
                Field("x_base", 20, "word of input row 0"),
                Field("x_ring", 16, "input ring rows"),
                Field("x_pixel_words", 10, "words from one input pixel to the next"),
                Field("out_base", 20, "word of output row 0"),
                Field("out_ring", 16, "output ring rows"),
                Field("out_pixel_words", 10, "words from one output pixel to the next"),
                Field("out_channel", 16, "channel of the output where this instruction's channel 0 lands"),
                Field("weights_base", 20, "word of output channel 0's weights"),
                Field("weights_ring", 16, "output channels in the weight ring (DEPTHWISE: 1)"),
                Field("residual_base", 20, "word of residual row 0"),
                Field("residual_ring", 16, "residual ring rows"),
                *_ROWS,
                Field("channel_first", 16, "output channels handled at channel-loop index 0"),
                Field("channel_step", 16, "output channels handled at each further index"),
            ),
        ),
        Format(
            Opcode.PHASE,
            "the COMPUTE instructions that follow, up to the next SETUP, write rows of an output that others write between them",
            (
                Field("out_row_words", 20, "words from one of their output rows to the next; 0: as their pixels say"),
                Field(
                    "weights_row_words",
                    20,
                    "words from one output channel's weights to the next (CONV); 0: as the kernel says",
                ),
                Field(
                    "row_first", 16, "row of the output that their row 0 is, for the simulator's check of stale rows"
                ),
                Field("row_step", 6, "rows of the output from one of theirs to the next, for the same"),
            ),
        ),
        Format(
            Opcode.SYNC,
            "an engine takes and gives tokens in bulk",
            (
                Field("engine", 2, "which engine executes it"),
                Field("wait0", 16, "tokens taken from the first other engine"),
                Field("wait1", 16, "tokens taken from the second other engine"),
                Field("signal0", 16, "tokens given to the first other engine"),
                Field("signal1", 16, "tokens given to the second other engine"),
            ),
        ),
        Format(
            Opcode.LOOP,
            "repeat the next words",
            (
                Field("axis", 1, "which index it counts"),
                Field("count", 16, "iterations"),
                Field("body", 16, "words in the body"),
            ),
        ),
        Format(
            Opcode.HOST,
            "stop until the host has run one operator on DRAM",
            (Field("index", 16, "entry of the host table"),),
        ),
        Format(Opcode.END, "the program is done", ()),
    )
}


def encode(opcode: Opcode, values: Mapping[str, int]) -> bytes:
    """One instruction word. Fields left out are 0. Raises ProgramError naming a field that is unknown or does not fit."""
    fmt = FORMATS[opcode]
    unknown = set(values) - {f.name for f in fmt.fields}
    if unknown:
        raise ProgramError(f"{opcode.name} has no field `{sorted(unknown)[0]}`")
    word, shift = int(opcode), OPCODE_BITS
    for field in fmt.fields:
        value = int(values.get(field.name, 0))
        low, high = (-(1 << (field.bits - 1)), 1 << (field.bits - 1)) if field.signed else (0, 1 << field.bits)
        if not low <= value < high:
            raise ProgramError(
                f"{opcode.name}.{field.name} = {value} does not fit in {field.bits} bits ({low}..{high - 1})"
            )
        word |= (value & ((1 << field.bits) - 1)) << shift
        shift += field.bits
    return word.to_bytes(WORD_BYTES, "little")


def decode(word: bytes) -> tuple[Opcode, dict[str, int]]:
    """Inverse of `encode`. Raises ProgramError for an unknown opcode or a set bit outside every field."""
    bits = int.from_bytes(word, "little")
    try:
        opcode = Opcode(bits & ((1 << OPCODE_BITS) - 1))
    except ValueError:
        raise ProgramError(f"illegal opcode {bits & ((1 << OPCODE_BITS) - 1)}") from None
    bits >>= OPCODE_BITS
    values = {}
    for field in FORMATS[opcode].fields:
        raw = bits & ((1 << field.bits) - 1)
        values[field.name] = raw - (1 << field.bits) if field.signed and raw >> (field.bits - 1) else raw
        bits >>= field.bits
    if bits:
        raise ProgramError(f"{opcode.name} has bits set outside its fields")
    return opcode, values
