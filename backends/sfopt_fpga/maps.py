"""The records of a program's map: what lies where in DRAM, what the host does, what a COMPUTE writes. Strict reading from JSON."""

import math
import typing
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from sfopt.errors import ProgramError

__all__ = ["CATEGORIES", "HostCall", "Port", "Region", "Trace", "read_record", "read_records", "record_fields"]

CATEGORIES = ("weights", "inputs", "outputs", "feature_maps")
LAST_WORD = 0xFFFF_FFFF
"""Default of `Region.last_word`: to the end of the program."""

Record = TypeVar("Record")


@dataclass(frozen=True)
class Region:
    """A block of DRAM under a name. Regions may share addresses if they do not share instructions."""

    name: str
    offset: int
    size_bytes: int
    category: str
    shortcut: bool = False
    first_word: int = 0
    """Index of the first instruction that may touch it."""
    last_word: int = LAST_WORD
    """Index of the last one."""

    def __post_init__(self) -> None:
        if self.category not in CATEGORIES:
            raise ProgramError(
                f"region `{self.name}` has category `{self.category}`, not one of {', '.join(CATEGORIES)}"
            )

    @property
    def end(self) -> int:
        """First byte behind it."""
        return self.offset + self.size_bytes


@dataclass(frozen=True)
class Port:
    """A dense int8 NHWC tensor in DRAM; real value = scale * (stored - zero_point)."""

    tensor: str
    offset: int
    height: int
    width: int
    channels: int
    scale: float
    zero_point: int

    @property
    def size_bytes(self) -> int:
        """Bytes in DRAM."""
        return self.height * self.width * self.channels

    @property
    def end(self) -> int:
        """First byte behind it."""
        return self.offset + self.size_bytes


@dataclass(frozen=True)
class HostCall:
    """One HOST instruction's work: the host reads these tensors and writes those."""

    label: str
    reads: tuple[Port, ...]
    writes: tuple[Port, ...]


@dataclass(frozen=True)
class Trace:
    """For observers: instruction `word`, a COMPUTE, writes `tensor`, its channel 0 landing at the tensor's `channel_offset`.

    Its pixel 0 of a row is pixel `column_first` of the tensor, the next one `column_step` further on.
    """

    word: int
    tensor: str
    channel_offset: int = 0
    column_first: int = 0
    column_step: int = 1


def record_fields(record: Any) -> dict[str, Any]:
    """Fields of a flat record, for JSON."""
    return {f.name: getattr(record, f.name) for f in fields(record)}


def read_records(cls: type[Record], raw: object, name: str) -> tuple[Record, ...]:
    """A list of records from parsed JSON. Raises ProgramError naming the table and the entry."""
    if not isinstance(raw, list):
        raise ProgramError(f"program map: `{name}` is not a list")
    return tuple(read_record(cls, entry, f"{name}[{i}]") for i, entry in enumerate(raw))


def read_record(cls: type[Record], raw: object, name: str) -> Record:
    """One record from parsed JSON: exactly its fields, each of its type, integers not negative where they count bytes."""
    hints = typing.get_type_hints(cls)
    if not isinstance(raw, dict) or set(raw) != set(hints):
        raise ProgramError(f"program map: `{name}` does not have the fields {', '.join(hints)}")
    return cls(**{key: _value(hints[key], raw[key], f"{name}.{key}") for key in hints})


def _value(kind: Any, raw: object, name: str) -> object:
    if typing.get_origin(kind) is tuple:
        return read_records(typing.get_args(kind)[0], raw, name)
    accepted = (int, float) if kind is float else (kind,)
    number = isinstance(raw, (int, float)) and not isinstance(raw, bool)
    if type(raw) not in accepted or (number and not math.isfinite(typing.cast(float, raw))):
        raise ProgramError(f"program map: `{name}` is {type(raw).__name__}, needs {kind.__name__}")
    if kind is int and not name.endswith("zero_point") and not 0 <= typing.cast(int, raw) <= LAST_WORD + 1:
        raise ProgramError(f"program map: `{name}` = {raw} does not fit in 32 bits")
    return float(typing.cast(float, raw)) if kind is float else raw
