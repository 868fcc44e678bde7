"""Where the records of a parameter block (`sfopt.records`) lie, seen from SETUP: it points to the first that its flags ask for."""

from collections.abc import Mapping
from dataclasses import dataclass

from sfopt.arithmetic import AddParams, MulParams
from sfopt.cost import AVERAGE_BYTES, BINARY_BYTES, CHANNEL_BYTES, SCALE_BYTES, TABLE_BYTES
from sfopt.records import (
    pack_average,
    pack_binary,
    pack_channels,
    pack_scale,
    pack_table,
    unpack_add,
    unpack_average,
    unpack_channels,
    unpack_mul,
    unpack_scale,
    unpack_table,
)
from sfopt_fpga.isa import Binary, ComputeKind

__all__ = [
    "ParameterLayout",
    "pack_average",
    "pack_binary",
    "pack_channels",
    "pack_scale",
    "pack_table",
    "unpack_average",
    "unpack_binary",
    "unpack_channels",
    "unpack_scale",
    "unpack_table",
]


@dataclass(frozen=True)
class ParameterLayout:
    """Byte offsets, from the word that SETUP names, of the records that its flags ask for; None for a record that it lacks."""

    binary: int | None
    scale: int | None
    average: int | None
    table0: int | None
    table1: int | None
    channels: int | None
    head_bytes: int
    """Of all records but the channels'."""

    @staticmethod
    def of(setup: Mapping[str, int]) -> "ParameterLayout":
        """Layout for the fields of a SETUP instruction."""
        kind = setup["kind"]
        convolution = kind in (ComputeKind.CONV, ComputeKind.DEPTHWISE)
        channels = setup["out_channels"] if convolution else int(kind == ComputeKind.GLOBAL_MEAN)
        sizes = (
            BINARY_BYTES * (setup["binary"] != Binary.NONE),
            SCALE_BYTES * setup["has_scale"],
            AVERAGE_BYTES * (kind == ComputeKind.AVERAGE_POOL),
            TABLE_BYTES * setup["has_table0"],
            TABLE_BYTES * setup["has_table1"],
            CHANNEL_BYTES * channels,
        )
        binary, scale, average, table0, table1, records = (
            sum(sizes[:i]) if size else None for i, size in enumerate(sizes)
        )
        return ParameterLayout(binary, scale, average, table0, table1, records, sum(sizes[:-1]))


def unpack_binary(record: bytes, binary: Binary) -> AddParams | MulParams:
    """Inverse of `pack_binary`; `binary` says which of the two it is."""
    return unpack_add(record) if binary is Binary.ADD else unpack_mul(record)
