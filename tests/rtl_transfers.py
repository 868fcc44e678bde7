"""LOAD and STORE instructions for the test benches of the DMA engines, what transfer.py makes of them, and what the benches saw."""

import random
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import log2
from pathlib import Path

import numpy as np
from rtl_bench import execute

from sfopt.arithmetic.rounding import Int8Array
from sfopt.errors import SimulationFault
from sfopt_fpga.isa import Axis, Opcode, encode
from sfopt_fpga.memory import Rows
from sfopt_fpga.order import Access
from sfopt_fpga.registers import ErrorCode
from sfopt_fpga.sequencer import Step
from sfopt_fpga.transfer import transfer_moved, transfer_rows, transfer_span

__all__ = [
    "NEVER",
    "WAITING",
    "Episode",
    "Expected",
    "Settings",
    "Transfer",
    "expect",
    "large_transfer",
    "play",
    "random_transfer",
    "transfer_word_ends",
]

NEVER = 65535
"""`halt_after` of an instruction that is not halted."""
WAITING = 65534
"""Of one whose engine is halted while it waits for tokens; it is given again afterwards."""


@dataclass(frozen=True)
class Transfer:
    """An instruction, the loop indices around it, and how many cycles after its start the engine is halted."""

    opcode: Opcode
    fields: dict[str, int]
    indices: tuple[int, int] = (0, 0)
    halt_after: int = NEVER

    @property
    def step(self) -> Step:
        return Step(0, self.opcode, dict(self.fields), self.indices)


@dataclass(frozen=True)
class Settings:
    """How the bench's memory and scratchpad behave. `stall`: of 256 cycles, those in which each of them waits."""

    seed: int = 0
    stall: int = 0
    latency: int = 0
    base: int = 0
    dram_limit: int = 1 << 32
    errors: tuple[int, int] = (0, 0)
    """Bus addresses that answer with an error."""
    patient: bool = False
    """The memory accepts a write address only when it sees data."""


@dataclass(frozen=True)
class Expected:
    """Either an error, or what is moved: scratchpad words in order, with their bytes, and DRAM bytes from `offset` on."""

    error: ErrorCode = ErrorCode.NONE
    offset: int = 0
    size_bytes: int = 0
    addresses: tuple[int, ...] = ()
    words: Int8Array = field(default_factory=lambda: np.empty((0, 0), np.int8))
    dram: Int8Array = field(default_factory=lambda: np.empty(0, np.int8))


@dataclass
class Episode:
    """What the bench saw of one instruction.

    `cycles`: in which it took its tokens, had its first address and its first data on the bus, its last answer, and ended.
    """

    takes: tuple[int, int]
    gives: tuple[int, int] | None = None
    trace: tuple[int, int] | None = None
    cycles: tuple[int, ...] = ()
    writes: list[tuple[str, ...]] = field(default_factory=list)
    fault: tuple[int, int] | None = None
    halted: bool = False


def _dram_bytes(base: int, offset: int, size_bytes: int) -> Int8Array:
    """The memory of the bench: a byte made from its bus address."""
    a = np.arange(size_bytes, dtype=np.uint64) + np.uint64(base + offset)
    value = (
        a * 167 + (a >> np.uint64(8)) % 256 * 59 + (a >> np.uint64(16)) % 256 * 101 + (a >> np.uint64(24)) % 256 * 211
    )
    return value.astype(np.uint8).view(np.int8)


def _scratchpad_bytes(address: int, lanes: int) -> Int8Array:
    """The scratchpad of the bench: bytes of a word, made from its address."""
    a = np.arange(lanes, dtype=np.uint32) + address * lanes
    return (a * 167 + (a >> 8) * 59 + (a >> 16) % 256 * 101).astype(np.uint8).view(np.int8)


class _Memories:
    """Stands for both memories of transfer.py; keeps what moves."""

    def __init__(self, lanes: int, base: int) -> None:
        self.lanes, self.base = lanes, base
        self.rows: Rows | None = None
        self.span = (0, 0)
        self.values = self.dense = np.empty(0, np.int8)
        self.offset = 0

    def read(
        self, _: object, where: Rows | int, span: tuple[int, int] | int, channels: tuple[int, int] = (0, 0)
    ) -> Int8Array:
        if isinstance(where, int):
            assert isinstance(span, int)
            self.offset, self.dense = where, _dram_bytes(self.base, where, span)
            return self.dense
        assert isinstance(span, tuple)
        self.rows, self.span = where, span
        words = -(-channels[1] // self.lanes)
        shape = (span[1] - span[0], where.width, words * self.lanes)
        taken = [_scratchpad_bytes(a, self.lanes) for a in _addresses(where, span, words)]
        return np.concatenate(taken).reshape(shape)[:, :, : channels[1]]

    def write(self, _: object, where: Rows | int, *rest: object) -> None:
        if isinstance(where, int):
            (values,) = rest
            assert isinstance(values, np.ndarray)
            self.offset, self.dense = where, values
            return
        span, _channel, values = rest
        assert isinstance(span, tuple)
        assert isinstance(values, np.ndarray)
        self.rows, self.span, self.values = where, span, values


def _addresses(rows: Rows, span: tuple[int, int], words: int) -> list[int]:
    pixels = (
        rows.base + (r % rows.ring * rows.width + x) * rows.pixel_words for r in range(*span) for x in range(rows.width)
    )
    return [pixel + k for pixel in pixels for k in range(words)]


def expect(transfer: Transfer, settings: Settings, lanes: int) -> Expected:
    """What the engine has to do, by transfer.py, and by the machine's limits where that leaves them to others."""
    step, fields = transfer.step, transfer.fields
    if transfer.opcode is Opcode.LOAD and fields["fold_taps"] and fields["fold_stride"] and fields["channels"] > lanes:
        return Expected(ErrorCode.UNSUPPORTED)
    try:
        span, size = transfer_span(step), transfer_moved(step, lanes).size_bytes
    except SimulationFault:
        return Expected(ErrorCode.ILLEGAL_INSTRUCTION)
    if size == 0 or fields["width"] == 0:
        return Expected()
    if not fields["ring"] or fields["pixel_words"] * lanes < fields["channels"]:
        return Expected(ErrorCode.RING)
    if transfer.opcode is Opcode.STORE and span[1] - span[0] > fields["ring"]:
        return Expected(ErrorCode.RING)
    row_bytes = size // (span[1] - span[0])
    if fields["dram"] + row_bytes * span[1] > settings.dram_limit:
        return Expected(ErrorCode.DRAM_RANGE)
    words = -(-fields["channels"] // lanes)
    rows = Rows("rows", fields["base"], fields["ring"], fields["width"], fields["pixel_words"])
    addresses = _addresses(rows, span, words)
    if max(addresses) >= 1 << 20:
        return Expected(ErrorCode.SCRATCHPAD_RANGE)
    memories = _Memories(lanes, settings.base)
    transfer_rows(Access(step, 0, (0, 0, 0)), memories, memories)  # type: ignore[arg-type]
    return Expected(
        ErrorCode.NONE, memories.offset, size, tuple(addresses), memories.values.reshape(-1, lanes), memories.dense
    )


def transfer_word_ends(transfer: Transfer, lanes: int, skipped: int) -> list[int]:
    """For each scratchpad word of a LOAD or STORE, the bytes of the DRAM stream up to the last one that is in it.

    The stream begins `skipped` bytes in front of the first row.
    """
    fields = transfer.fields
    (first, last), size = transfer_span(transfer.step), transfer_moved(transfer.step, lanes).size_bytes
    row_bytes = size // (last - first)
    ends = []
    for row_end in range(skipped + row_bytes, skipped + size + 1, row_bytes):
        row = row_end - row_bytes
        if not fields["fold_taps"]:
            pixels = range(row, row_end, fields["channels"])
            ends += [
                p + min(k, fields["channels"]) for p in pixels for k in range(lanes, fields["channels"] + lanes, lanes)
            ]
            continue
        depth = fields["channels"] // fields["fold_taps"]
        windows = (row + (x * fields["fold_stride"] - fields["fold_pad"]) * depth for x in range(fields["width"]))
        ends += [min(w + fields["channels"], row_end) for w in windows]
    return ends


def random_transfer(rng: random.Random, opcode: Opcode, lanes: int, limit: int) -> Transfer:
    """A LOAD or STORE that is sound most of the time, of up to some kilobytes; or a SYNC."""
    if rng.random() < 0.05:
        fields = {f: rng.choice((0, 1, 5, 65535)) for f in ("wait0", "wait1", "signal0", "signal1")}
        return Transfer(Opcode.SYNC, fields | {"engine": 2 * (opcode is Opcode.STORE)})
    folds = opcode is Opcode.LOAD and rng.random() < 0.4
    width, first, step = rng.choice((1, 2, 3, 7, rng.randint(1, 40))), rng.randint(0, 4), rng.randint(0, 4)
    rows = rng.choice((1, 2, 3, 5, 8, 30))
    fields = {
        "wait": rng.randrange(4),
        "signal": rng.randrange(4),
        "base": rng.randrange(1 << 16),
        "axis": rng.randrange(2),
        "first": first,
        "step": step,
        "total": rng.choice((rows, 4 * rows, 65535)),
        "width": width,
        "channels": rng.choice(
            (1, 3, lanes - 1, lanes, lanes + 1, 2 * lanes, 3 * lanes - 2, rng.randint(1, 5 * lanes))
        ),
        "fold_taps": 0,
        "fold_stride": rng.randrange(64),
        "fold_pad": rng.randrange(64),
        "fold_width": rng.randrange(100),
        "fold_zero": rng.randint(-128, 127),
    }
    if folds:
        taps = rng.randint(1, min(lanes, 63))
        depth = rng.randint(1, lanes // taps)
        stride, pad = rng.choice((1, 2, taps, rng.randint(1, 63))), rng.choice((0, taps // 2, rng.randrange(64)))
        natural = max(1, (width - 1) * stride + taps - 2 * pad)
        fields |= {"fold_taps": taps, "fold_stride": stride, "fold_pad": pad, "channels": taps * depth}
        fields["fold_width"] = rng.choice((natural, natural + rng.randint(0, 70), rng.randint(1, 70)))
    fields["pixel_words"] = -(-fields["channels"] // lanes) + rng.choice((0, 0, 1, 7))
    indices = (rng.choice((0, 1, 2, rng.randrange(8))), rng.choice((0, 1, 2, rng.randrange(8))))
    taken = max(1, first, step)
    fields["ring"] = rng.choice((taken, taken + rng.randrange(3), 64))
    if opcode is Opcode.LOAD:
        fields["ring"] = max(1, rng.choice((fields["ring"], fields["ring"], fields["ring"] - 1, 1)))
    fields["dram"] = (
        rng.choice((rng.randrange(limit // 2), 4096 * rng.randrange(limit // 8192) - 1 - rng.randrange(64)))
        & 0xFFFFFFFF
    )
    if rng.random() < 0.06:
        broken = rng.choice(
            ("ring", "pixel_words", "fold_stride", "fold_taps", "dram", "base", "width", "channels", "fold_width")
        )
        worst = {"dram": 0xFFFFFFF0, "base": (1 << 20) - 2, "fold_taps": rng.randint(1, 63)}
        fields[broken] = worst.get(broken, 0)
    return Transfer(opcode, fields, indices)


def large_transfer(rng: random.Random, opcode: Opcode, lanes: int) -> Transfer:
    """A LOAD or STORE in which one size is as large as its field and the others are small; some are too large."""

    def size(most: int) -> int:
        return most if rng.random() < 0.1 else min(most, int(2 ** rng.uniform(0, log2(most + 1))))

    large = rng.choice(("rows", "width", "channels", "fold" if opcode is Opcode.LOAD else "rows"))
    fields = dict.fromkeys(("fold_taps", "fold_stride", "fold_pad", "fold_width", "fold_zero"), 0)
    fields |= {
        "first": rng.randint(1, 2),
        "step": 1,
        "width": rng.randint(1, 3),
        "total": 65535,
        "axis": rng.randrange(2),
    }
    fields |= {"wait": rng.randrange(4), "signal": rng.randrange(4), "channels": rng.randint(1, 2 * lanes)}
    index = rng.randrange(2)
    if large == "rows":
        fields["step"], fields["first"] = size(65535), size(65535)
        index = 1 + size(max(1, (65535 - fields["first"]) // fields["step"]))
        row = min(65535, fields["first"] + fields["step"] * (index - 1))
        fields["total"] = min(65535, row + rng.randint(1, 3))
    elif large == "width":
        fields["width"] = size(65535 if rng.random() < 0.2 else 2000)
    elif large == "channels":
        fields["channels"] = size(4095 * lanes if rng.random() < 0.95 else (1 << 20) - 1)
    else:
        taps = size(min(lanes, 63))
        depth, width, stride = rng.randint(1, lanes // taps), size(4000), size(63)
        fields |= {"fold_taps": taps, "channels": taps * depth, "fold_width": width, "fold_stride": stride}
        fields |= {"fold_pad": size(64) - 1, "fold_zero": rng.randint(-128, 127)}
        fields["width"] = rng.choice((1 + width // stride, size(300)))
    least = -(-fields["channels"] // lanes)
    fields["pixel_words"] = min(4095, least + rng.choice((0, 0, size(4095) - 1)))
    fields["ring"] = max(rng.choice((3, size(65535))), 3)
    fields["base"] = rng.randrange(1 << rng.randint(1, 20))
    fields["dram"] = rng.choice([rng.randrange(1 << rng.randint(1, 32))] * 9 + [(1 << 32) - size(20000)])
    return Transfer(opcode, fields, (index, index))


def play(executable: Path, settings: Settings, transfers: Sequence[Transfer]) -> list[Episode]:
    """Run the instructions on a bench. Fails when it sees a rule broken, or an engine that hangs."""
    behaviour = f"{settings.seed} {settings.stall} {settings.latency} {settings.base:x} {settings.dram_limit:x}"
    lines = [f"{behaviour} {settings.errors[0]:x} {settings.errors[1]:x} {settings.patient:d}"]
    for t in transfers:
        word = int.from_bytes(encode(t.opcode, t.fields), "little")
        lines.append(f"{word:064x} {t.indices[Axis.ROWS]} {t.indices[Axis.CHANNELS]} {t.halt_after}")
    with tempfile.TemporaryDirectory() as folder:
        vectors, results = Path(folder, "vectors"), Path(folder, "results")
        vectors.write_text("\n".join(lines) + "\n")
        execute(executable, f"+vectors={vectors}", f"+results={results}")
        return _episodes(results.read_text().splitlines())


def _episodes(lines: Sequence[str]) -> list[Episode]:
    episodes: list[Episode] = []
    for line in lines[:-1]:
        kind, *values = line.split()
        assert kind != "E", line
        if kind == "W":
            episodes[-1].writes.append(tuple(values))
            continue
        numbers = [int(v) for v in values]
        if kind == "T":
            assert numbers[0] == len(episodes)
            episodes.append(Episode((numbers[1], numbers[2])))
        elif kind == "R":
            assert numbers[0] == len(episodes) - 1
            episodes[-1].trace = (numbers[1], numbers[2])
            episodes[-1].gives = (numbers[3], numbers[4])
            episodes[-1].cycles = tuple(numbers[5:])
        elif kind == "F":
            episodes[-1].fault = (numbers[0], numbers[1])
        else:
            assert kind == "H"
            episodes[-1].halted = True
    assert lines[-1] == "D", lines[-1]
    return episodes
