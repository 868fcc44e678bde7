"""A program for the accelerator: instructions, constants and the maps that say what lies where in DRAM; its file format.

**DRAM.** Instructions lie at 0, constants at `constants_base`, feature maps from `feature_base` on: each the next multiple of 64.

**File.** Little-endian, nothing between the sections and nothing behind them::

    magic 8 | version u32 | sizes of map, instructions, constants 3 x u32 | device fingerprint 32 | checksum 32
    map: canonical JSON (sorted keys, no blanks): device, regions, inputs, outputs, host, trace
    instructions: 32 bytes each
    constants

The checksum is the SHA-256 of the whole file but itself.
"""

import hashlib
import json
import struct
from dataclasses import dataclass
from typing import Any

from sfopt.device import Device
from sfopt.errors import DeviceError, ProgramError
from sfopt_fpga.isa import WORD_BYTES
from sfopt_fpga.maps import HostCall, Port, Region, Trace, read_records, record_fields

__all__ = [
    "DRAM_ALIGNMENT",
    "DRAM_LIMIT",
    "MAGIC",
    "VERSION",
    "HostCall",
    "Port",
    "Program",
    "Region",
    "Trace",
    "align",
]

MAGIC = b"\x89SFOPT\r\n"
VERSION = 3
DRAM_ALIGNMENT = 64
DRAM_LIMIT = 1 << 32
"""Addresses have 32 bits."""
_HEADER = struct.Struct("<8sIIII32s32s")
_CHECKSUM_AT = _HEADER.size - 32
_TABLES = {"regions": Region, "inputs": Port, "outputs": Port, "trace": Trace}


@dataclass(frozen=True)
class Program:
    """Everything that the machine gets beside the input data. Raises ProgramError when its parts contradict each other."""

    device: Device
    words: tuple[bytes, ...]
    constants: bytes
    regions: tuple[Region, ...]
    """All that LOAD, STORE and the host may touch. The instructions themselves are not in it."""
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    host: tuple[HostCall, ...] = ()
    trace: tuple[Trace, ...] = ()

    def __post_init__(self) -> None:
        if any(len(word) != WORD_BYTES for word in self.words):
            raise ProgramError(f"an instruction is not {WORD_BYTES} bytes")
        for region in self.regions:
            if not 0 <= region.offset <= region.end <= DRAM_LIMIT or region.offset < self.constants_base:
                raise ProgramError(
                    f"region `{region.name}` at {region.offset}..{region.end} is outside the DRAM for data"
                )
        for port in self._ports:
            empty = min(port.height, port.width, port.channels) < 1
            if empty or not self.constants_base <= port.offset <= port.end <= DRAM_LIMIT:
                raise ProgramError(f"port `{port.tensor}` at {port.offset}..{port.end} is outside the DRAM for data")
        for trace in self.trace:
            if not 0 <= trace.word < len(self.words):
                raise ProgramError(f"trace of `{trace.tensor}` names instruction {trace.word} of {len(self.words)}")

    @property
    def constants_base(self) -> int:
        """DRAM address of the constants."""
        return align(WORD_BYTES * len(self.words))

    @property
    def feature_base(self) -> int:
        """DRAM address of the feature-map area: what a plan's DRAM offsets are relative to."""
        return align(self.constants_base + len(self.constants))

    @property
    def dram_bytes(self) -> int:
        """DRAM that the program occupies, its feature maps included."""
        return max([self.feature_base, *(r.end for r in self.regions), *(p.end for p in self._ports)])

    @property
    def _ports(self) -> tuple[Port, ...]:
        return (*self.inputs, *self.outputs, *(p for call in self.host for p in (*call.reads, *call.writes)))

    def to_bytes(self) -> bytes:
        """The content of a program file; equal programs give equal bytes."""
        tables: dict[str, Any] = {name: [record_fields(r) for r in getattr(self, name)] for name in _TABLES}
        calls = [
            {
                "label": c.label,
                "reads": [record_fields(p) for p in c.reads],
                "writes": [record_fields(p) for p in c.writes],
            }
            for c in self.host
        ]
        content = {"device": self.device.to_dict(), "host": calls, **tables}
        maps = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
        instructions = b"".join(self.words)
        sizes = (len(maps), len(instructions), len(self.constants))
        header = _HEADER.pack(MAGIC, VERSION, *sizes, bytes.fromhex(self.device.fingerprint()), bytes(32))[
            :_CHECKSUM_AT
        ]
        body = maps + instructions + self.constants
        return header + hashlib.sha256(header + body).digest() + body

    @staticmethod
    def from_bytes(data: bytes) -> "Program":
        """Inverse of `to_bytes`. Raises ProgramError with one line saying what is wrong with the file."""
        maps_size, instruction_size, digest = _check_container(data)
        split = _HEADER.size + maps_size
        content = _parse_maps(data[_HEADER.size : split])
        device = _parse_device(content["device"])
        if bytes.fromhex(device.fingerprint()) != digest:
            raise ProgramError("program header and program map name different devices")
        instructions = data[split : split + instruction_size]
        words = tuple(instructions[i : i + WORD_BYTES] for i in range(0, instruction_size, WORD_BYTES))
        tables: dict[str, Any] = {name: read_records(record, content[name], name) for name, record in _TABLES.items()}
        host = read_records(HostCall, content["host"], "host")
        return Program(device, words, data[split + instruction_size :], host=host, **tables)


def align(size_bytes: int) -> int:
    """The next multiple of the DRAM alignment."""
    return -(-size_bytes // DRAM_ALIGNMENT) * DRAM_ALIGNMENT


def _check_container(data: bytes) -> tuple[int, int, bytes]:
    """Sizes of the map and of the instructions, and the device digest, of a file whose header, sizes and checksum are right."""
    if data[: len(MAGIC)] != MAGIC:
        raise ProgramError("not a program file: the first bytes are wrong")
    if len(data) < _HEADER.size:
        raise ProgramError(f"program file is cut off: {len(data)} bytes, the header alone has {_HEADER.size}")
    _, version, maps, instructions, constants, digest, checksum = _HEADER.unpack_from(data)
    if version != VERSION:
        raise ProgramError(f"program file has version {version}, this release reads {VERSION}")
    wanted = _HEADER.size + maps + instructions + constants
    if len(data) != wanted:
        kind = "is cut off" if len(data) < wanted else "has trailing bytes"
        raise ProgramError(f"program file {kind}: {len(data)} bytes, its header says {wanted}")
    if instructions % WORD_BYTES:
        raise ProgramError(f"program file has {instructions} bytes of instructions, not a multiple of {WORD_BYTES}")
    if hashlib.sha256(data[:_CHECKSUM_AT] + data[_HEADER.size :]).digest() != checksum:
        raise ProgramError("program file is damaged: its checksum does not match")
    return maps, instructions, digest


def _parse_maps(raw: bytes) -> dict[str, Any]:
    try:
        content = json.loads(raw.decode())
    except (ValueError, RecursionError) as error:
        raise ProgramError(f"program map is not JSON: {type(error).__name__}") from None
    if not isinstance(content, dict) or set(content) != {"device", "host", *_TABLES}:
        raise ProgramError("program map lacks a table or has one too many")
    return content


def _parse_device(raw: Any) -> Device:
    if not isinstance(raw, dict):
        raise ProgramError("program map has no device")
    try:
        return Device.from_dict(raw, "program map")
    except DeviceError as error:
        raise ProgramError(str(error)) from None
