"""Add and multiply of two int8 tensors, as rules over scales and as whole 65,536-entry tables."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np

from sfopt.arithmetic.rounding import Int8Array, fused_multiply_add, round_to_int8
from sfopt.errors import ModelError

__all__ = ["AddParams", "MulParams", "add", "add_params", "mul", "mul_params", "pair_table"]

_BYTES = np.arange(256, dtype=np.uint8).view(np.int8)


@dataclass(frozen=True)
class AddParams:
    """The constants of one quantised addition.

    `y = sat(rint(fma(a, a_ratio, fma(b, b_ratio, offset))))`: int8 times float32 plus float32 is rounded once to 24
    bits, twice in a row, and the second result is rounded half to even. The zero points of a, b and y are inside
    `offset`.
    """

    a_ratio: np.float32
    b_ratio: np.float32
    offset: np.float32


@dataclass(frozen=True)
class MulParams:
    """The constants of one quantised multiplication.

    `y = sat(rint(float32(float32((a - a_zero_point) * (b - b_zero_point)) * factor) + y_zero_point))`: the integer
    product has at most 17 bits, the float32 product and the float32 sum are rounded separately (no fused operation).
    """

    a_zero_point: int
    b_zero_point: int
    factor: np.float32
    y_zero_point: int


def add_params(
    a_scale: np.float32,
    a_zero_point: int,
    b_scale: np.float32,
    b_zero_point: int,
    y_scale: np.float32,
    y_zero_point: int,
) -> AddParams:
    """Constants of QLinearAdd, `offset = y_zp - fma(a_ratio, a_zp, b_ratio * b_zp)`.

    The compiled kernel contracts that sum to a fused one, so a and b are not interchangeable. When ONNX Runtime
    broadcasts `a`, or when both tensors have a single element, it runs the kernel with the operands exchanged: pass
    them exchanged here and to `add`.

    Raises ModelError for ratios of 2**22 and more, where the kernel's conversion to int32 overflows.
    Source: mlas/lib/intrinsics/avx2/qladd_avx2.cpp.
    """
    a_ratio, b_ratio = np.float32(a_scale) / np.float32(y_scale), np.float32(b_scale) / np.float32(y_scale)
    if not max(a_ratio, b_ratio) < 2**22:
        raise ModelError(f"addition has scale ratios {a_ratio:g} and {b_ratio:g}, the limit is 2**22")
    zero = fused_multiply_add(a_ratio, a_zero_point, b_ratio * np.float32(b_zero_point))
    return AddParams(a_ratio, b_ratio, np.float32(np.float32(y_zero_point) - zero))


def mul_params(
    a_scale: np.float32,
    a_zero_point: int,
    b_scale: np.float32,
    b_zero_point: int,
    y_scale: np.float32,
    y_zero_point: int,
) -> MulParams:
    """Constants of QLinearMul, `factor = (a_scale * b_scale) / y_scale` in float32.

    Raises ModelError for factors of 2**14 and more, where the kernel's conversion to int32 overflows.
    Source: mlas/lib/qlmul.cpp.
    """
    factor = np.float32(a_scale) * np.float32(b_scale) / np.float32(y_scale)
    if not factor < 2**14:
        raise ModelError(f"multiplication has factor {factor:g}, the limit is 2**14")
    return MulParams(int(a_zero_point), int(b_zero_point), factor, int(y_zero_point))


def add(a: Int8Array, b: Int8Array, params: AddParams) -> Int8Array:
    """Quantised sum of int8 arrays that have one shape, or of which `b` broadcasts to the shape of `a`."""
    return _look_up(pair_table("add", params), a, b)


def mul(a: Int8Array, b: Int8Array, params: MulParams) -> Int8Array:
    """Quantised product of int8 arrays that broadcast together."""
    return _look_up(pair_table("mul", params), a, b)


@lru_cache(maxsize=256)
def pair_table(function: Literal["add", "mul"], params: AddParams | MulParams) -> Int8Array:
    """The rule at all pairs of bytes: int8 (256, 256), indexed `[a & 0xff, b & 0xff]`, read-only."""
    if function == "add" and isinstance(params, AddParams):
        inner = fused_multiply_add(_BYTES, params.b_ratio, params.offset)
        table = round_to_int8(fused_multiply_add(_BYTES[:, None], params.a_ratio, inner))
    elif function == "mul" and isinstance(params, MulParams):
        wide = _BYTES.astype(np.int32)
        product = np.outer(wide - params.a_zero_point, wide - params.b_zero_point).astype(np.float32)
        table = round_to_int8(product * params.factor + np.float32(params.y_zero_point))
    else:
        raise TypeError(f"no rule `{function}` for {type(params).__name__}")
    table.flags.writeable = False
    return table


def _look_up(table: Int8Array, a: Int8Array, b: Int8Array) -> Int8Array:
    index = np.bitwise_or(
        np.ascontiguousarray(a).view(np.uint8).astype(np.uint16) << 8, np.ascontiguousarray(b).view(np.uint8)
    )
    found: Int8Array = table.reshape(-1)[index]
    return found
