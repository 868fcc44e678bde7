"""A small assembler for tests: words with symbolic DRAM addresses, one scratchpad bank for each operand, tokens by engine name."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sfopt.device import Device
from sfopt_fpga.isa import WORD_BYTES, Axis, Engine, Opcode, encode
from sfopt_fpga.order import other_engines
from sfopt_fpga.program import HostCall, Port, Program, Region, Trace, align

LANES = 4
BANK_WORDS = 1024
DEVICE = Device(
    name="test",
    description="small lanes, one bank for each operand",
    lanes_in=LANES,
    lanes_out=4,
    clock_hz=100_000_000,
    banks=8,
    bank_bytes=LANES * BANK_WORDS,
    accumulator_pixels=16,
    dram_bytes_per_s=800_000_000,
    dram_latency_cycles=20,
    dram_word_bytes=8,
)
BANKS = {
    name: i * BANK_WORDS
    for i, name in enumerate(("x", "residual", "weights", "scale", "out", "parameters", "x1", "x2"))
}
_ENGINES = {Opcode.LOAD: Engine.LOAD, Opcode.STORE: Engine.STORE, Opcode.COMPUTE: Engine.COMPUTE}


def words_of(channels: int) -> int:
    """Words of one pixel."""
    return -(-channels // LANES)


def bits(engine: Engine, names: str) -> int:
    """Value of a wait or signal field that names other engines by their first letters: "ls" is load and store."""
    return sum(1 << i for i, other in enumerate(other_engines(engine)) if other.name[0].lower() in names)


@dataclass
class Assembler:
    """Collects words and DRAM blocks; `build` lays them out."""

    words: list[tuple[Opcode, dict[str, Any]]] = field(default_factory=list)
    constants: dict[str, bytes] = field(default_factory=dict)
    maps: dict[str, tuple[tuple[int, int, int], str]] = field(default_factory=dict)
    host: list[tuple[str, tuple[str, ...], tuple[str, ...]]] = field(default_factory=list)
    trace: list[tuple[int, str, int]] = field(default_factory=list)

    def emit(self, opcode: Opcode, wait: str = "", signal: str = "", **values: Any) -> int:
        """Append a word; `dram` may be the name of a block. Returns its index."""
        if opcode in _ENGINES:
            values |= {"wait": bits(_ENGINES[opcode], wait), "signal": bits(_ENGINES[opcode], signal)}
        self.words.append((opcode, values))
        return len(self.words) - 1

    def load(
        self, name: str, base: int, shape: tuple[int, int, int], wait: str = "", signal: str = "", **more: int
    ) -> int:
        """LOAD the whole block `name` of (rows, width, channels), unless `more` says otherwise."""
        return self._transfer(Opcode.LOAD, name, base, shape, wait, signal, more)

    def store(
        self, name: str, base: int, shape: tuple[int, int, int], wait: str = "", signal: str = "", **more: int
    ) -> int:
        """STORE likewise."""
        return self._transfer(Opcode.STORE, name, base, shape, wait, signal, more)

    def _transfer(self, opcode: Opcode, name: str, base: int, shape: Any, wait: str, signal: str, more: Any) -> int:
        rows, width, channels = shape
        values = {
            "dram": name,
            "base": base,
            "ring": rows,
            "first": rows,
            "total": rows,
            "width": width,
            "axis": Axis.ROWS,
        }
        values |= {"channels": channels, "pixel_words": words_of(channels), **more}
        return self.emit(opcode, wait, signal, **values)

    def sync(self, engine: Engine, wait: tuple[int, int] = (0, 0), signal: tuple[int, int] = (0, 0)) -> int:
        """SYNC with counts, other engines in order."""
        return self.emit(Opcode.SYNC, engine=engine, wait0=wait[0], wait1=wait[1], signal0=signal[0], signal1=signal[1])

    def build(self, **changes: Any) -> Program:
        """The program; END is appended if it is missing."""
        if not self.words or self.words[-1][0] is not Opcode.END:
            self.emit(Opcode.END)
        places, image = self._layout()
        words = tuple(
            encode(opcode, {k: places[v] if isinstance(v, str) else int(v) for k, v in values.items()})
            for opcode, values in self.words
        )
        regions = [Region(n, places[n], len(b), "weights") for n, b in self.constants.items()]
        regions += [Region(n, places[n], int(np.prod(s)), c) for n, (s, c) in self.maps.items()]
        ports = {n: Port(n, places[n], *s, 0.5, 0) for n, (s, _) in self.maps.items()}
        of = lambda category: tuple(ports[n] for n, (_, c) in self.maps.items() if c == category)  # noqa: E731
        host = tuple(HostCall(n, tuple(ports[p] for p in r), tuple(ports[p] for p in w)) for n, r, w in self.host)
        parts: dict[str, Any] = {
            "regions": tuple(regions),
            "inputs": of("inputs"),
            "outputs": of("outputs"),
            "host": host,
        }
        trace = tuple(Trace(*t) for t in self.trace)
        return Program(**{"device": DEVICE, "words": words, "constants": image, "trace": trace, **parts, **changes})

    def _layout(self) -> tuple[dict[str, int], bytes]:
        places: dict[str, int] = {}
        at = align(WORD_BYTES * len(self.words))
        image = bytearray()
        for name, block in self.constants.items():
            image.extend(bytes(-len(image) % 64))
            places[name] = at + len(image)
            image.extend(block)
        at = align(at + len(image))
        for name, (shape, _) in self.maps.items():
            places[name] = at
            at = align(at + int(np.prod(shape)))
        return places, bytes(image)
