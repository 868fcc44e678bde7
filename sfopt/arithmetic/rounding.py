"""Float32 steps that every quantised kernel is made of: requantise, quantise, dequantise, fused multiply-add."""

import numpy as np
import numpy.typing as npt

__all__ = [
    "Float32Array",
    "Int8Array",
    "Int32Array",
    "conv_factor",
    "dequantize_linear",
    "fused_multiply_add",
    "quantize_linear",
    "requantize",
    "round_to_int8",
]

Float32Array = npt.NDArray[np.float32]
Int8Array = npt.NDArray[np.int8]
Int32Array = npt.NDArray[np.int32]


def round_to_int8(values: Float32Array, zero_point: int = 0) -> Int8Array:
    """Round half to even, add `zero_point`, saturate to int8. Saturating before the rounding gives the same bytes."""
    rounded = np.rint(values)
    rounded += np.float32(zero_point)
    clipped: Int8Array = np.clip(rounded, -128, 127).astype(np.int8)
    return clipped


def requantize(acc: Int32Array, factor: np.float32 | Float32Array, zero_point: int) -> Int8Array:
    """int32 accumulators (bias included) to int8: `sat(rint(float32(acc) * factor) + zero_point)`.

    `float32(acc)` rounds to nearest even; `factor` is one float32 or one per channel on the last axis. Two roundings to
    24 bits and one to an integer, no fused operation. Source: MlasRequantizeOutput, mlas/lib/quantize.cpp.
    """
    return round_to_int8(acc.astype(np.float32) * np.asarray(factor, np.float32), zero_point)


def conv_factor(x_scale: np.float32, w_scale: np.float32 | Float32Array, y_scale: np.float32) -> Float32Array:
    """The factor of a convolution, `(x_scale * w_scale) / y_scale`, each step rounded to float32; shaped like
    `w_scale`.

    Source: ComputeOutputScale, core/providers/cpu/quantization/qlinearconv.cc.
    """
    return np.asarray(np.float32(x_scale) * np.asarray(w_scale, np.float32) / np.float32(y_scale), np.float32)


def quantize_linear(x: Float32Array, scale: np.float32, zero_point: int) -> Int8Array:
    """QuantizeLinear, `sat(rint(x / scale) + zero_point)` with a float32 division, for x that is not NaN.

    Source: MlasQuantizeLinear, mlas/lib/quantize.cpp.
    """
    with np.errstate(over="ignore"):
        return round_to_int8(np.asarray(x, np.float32) / np.float32(scale), zero_point)


def dequantize_linear(x: Int8Array, scale: np.float32, zero_point: int) -> Float32Array:
    """DequantizeLinear, `float32(x - zero_point) * scale`, one float32 rounding."""
    return (x.astype(np.float32) - np.float32(zero_point)) * np.float32(scale)


def fused_multiply_add(a: npt.ArrayLike, b: npt.ArrayLike, c: npt.ArrayLike) -> Float32Array:
    """`a * b + c` of float32 operands with a single rounding to nearest even, as the FMA instruction does.

    The product is exact in float64. The float64 sum is made round-to-odd: when the error term of the two-sum is not
    zero and the last bit is even, step one ulp towards the error. 53 bits rounded to odd then round to 24 as the exact
    value would. (Boldo and Melquiond, "Emulation of a FMA and correctly rounded sums", IEEE Trans. Computers 57(4),
    2008.)
    """
    addend = np.asarray(c, np.float32).astype(np.float64)
    product = np.asarray(a, np.float32).astype(np.float64) * np.asarray(b, np.float32).astype(np.float64)
    total = np.asarray(product + addend)
    rest = total - product
    error = (product - (total - rest)) + (addend - rest)
    bits = total.view(np.int64)
    toward_error = np.where((error > 0) == (total > 0), 1, -1)
    bits = np.where((error != 0) & (bits & 1 == 0), bits + toward_error, bits)
    with np.errstate(over="ignore"):
        return bits.view(np.float64).astype(np.float32)
