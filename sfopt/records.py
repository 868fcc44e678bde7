"""The constant records that a group's parameter block is made of, packed and unpacked; all little-endian.

Order in the block, of what the group has: binary, scale, average, a table for each requantised piece of a concat, table0, table1,
then channels. `cost.constants` has the sizes.

| record | bytes | content |
| --- | --- | --- |
| binary | 16 | ADD: float32 a ratio, b ratio, offset, 4 bytes 0. MUL: float32 factor, 8 bytes 0, int8 zero a, b, y, 0 |
| scale | 16 | float32 factor, int8 zero x, s, y, 9 bytes 0 |
| average | 16 | float32 x scale, y scale, int8 zero x, y, 6 bytes 0 |
| table | 256 | int8, indexed by the input byte |
| channels | 8 each | int32 bias, float32 factor, for each output channel (a global mean has one for all) |

A bias includes the input's zero point, `bias - x_zero * sum(w)` (a global mean: `- x_zero * pixels`): the array multiplies
stored bytes.
"""

import struct

import numpy as np
import numpy.typing as npt

from sfopt.arithmetic import AddParams, AveragePoolParams, MulParams
from sfopt.cost import TABLE_BYTES

__all__ = [
    "pack_average",
    "pack_binary",
    "pack_channels",
    "pack_scale",
    "pack_table",
    "unpack_add",
    "unpack_average",
    "unpack_channels",
    "unpack_mul",
    "unpack_scale",
    "unpack_table",
]

_ADD = struct.Struct("<fff4x")
_MUL = struct.Struct("<f8xbbbx")
_SCALE = struct.Struct("<fbbb9x")
_AVERAGE = struct.Struct("<ffbb6x")
_CHANNEL = np.dtype([("bias", "<i4"), ("factor", "<f4")])


def pack_binary(params: AddParams | MulParams) -> bytes:
    """Record of a second-operand operation."""
    if isinstance(params, AddParams):
        return _ADD.pack(params.a_ratio, params.b_ratio, params.offset)
    return _MUL.pack(params.factor, params.a_zero_point, params.b_zero_point, params.y_zero_point)


def unpack_add(record: bytes) -> AddParams:
    """Inverse of `pack_binary` for a sum."""
    return AddParams(*(np.float32(v) for v in _ADD.unpack(record)))


def unpack_mul(record: bytes) -> MulParams:
    """Inverse of `pack_binary` for a product."""
    factor, a_zero, b_zero, y_zero = _MUL.unpack(record)
    return MulParams(a_zero, b_zero, np.float32(factor), y_zero)


def pack_scale(params: MulParams) -> bytes:
    """Record of a channel scale: a is the feature map, b the scale."""
    return _SCALE.pack(params.factor, params.a_zero_point, params.b_zero_point, params.y_zero_point)


def unpack_scale(record: bytes) -> MulParams:
    """Inverse of `pack_scale`."""
    factor, a_zero, b_zero, y_zero = _SCALE.unpack(record)
    return MulParams(a_zero, b_zero, np.float32(factor), y_zero)


def pack_average(params: AveragePoolParams) -> bytes:
    """Record of an average pool."""
    return _AVERAGE.pack(params.x_scale, params.y_scale, params.x_zero_point, params.y_zero_point)


def unpack_average(record: bytes) -> AveragePoolParams:
    """Inverse of `pack_average`."""
    x_scale, y_scale, x_zero, y_zero = _AVERAGE.unpack(record)
    return AveragePoolParams(np.float32(x_scale), x_zero, np.float32(y_scale), y_zero)


def pack_table(table: npt.NDArray[np.int8]) -> bytes:
    """256 bytes of a look-up table."""
    if table.shape != (TABLE_BYTES,) or table.dtype != np.int8:
        raise ValueError(f"a table is int8 ({TABLE_BYTES},), not {table.dtype}{table.shape}")
    return table.tobytes()


def unpack_table(record: bytes) -> npt.NDArray[np.int8]:
    """Inverse of `pack_table`."""
    return np.frombuffer(record, np.int8)


def pack_channels(bias: npt.NDArray[np.int32], factor: npt.NDArray[np.float32]) -> bytes:
    """Interleaved biases and factors, one record for each output channel."""
    records = np.empty(len(bias), _CHANNEL)
    records["bias"], records["factor"] = bias, np.broadcast_to(factor, bias.shape)
    return records.tobytes()


def unpack_channels(records: bytes) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
    """Inverse of `pack_channels`."""
    table = np.frombuffer(records, _CHANNEL)
    return table["bias"].astype(np.int32), table["factor"].astype(np.float32)
