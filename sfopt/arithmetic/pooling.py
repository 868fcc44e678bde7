"""Global mean and average pool: two kernels with different rules, one integer, one in float32."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sfopt.arithmetic.rounding import Float32Array, Int8Array, Int32Array, dequantize_linear, requantize, round_to_int8
from sfopt.errors import ModelError

__all__ = ["AveragePoolParams", "average_pool", "average_windows", "global_mean", "global_mean_factor"]


@dataclass(frozen=True)
class AveragePoolParams:
    """Scales and zero points of one QLinearAveragePool."""

    x_scale: np.float32
    x_zero_point: int
    y_scale: np.float32
    y_zero_point: int


def global_mean_factor(x_scale: np.float32, y_scale: np.float32, pixels: int) -> np.float32:
    """The factor of a global mean, `x_scale / (y_scale * float32(pixels))`, each step rounded to float32.

    Raises ModelError outside the range that the kernel accepts: 2**-32 <= factor < 2**8, pixels < 2**24.
    Source: CheckQLinearGlobalAveragePoolScaleAndSize, mlas/lib/qlgavgpool.cpp.
    """
    factor = np.float32(x_scale) / (np.float32(y_scale) * np.float32(pixels))
    if not (2**-32 <= factor < 256 and pixels < 2**24):
        raise ModelError(
            f"global mean of {pixels} pixels has factor {factor:g}, needs 2**-32 <= factor < 256 and pixels < 2**24"
        )
    return factor


def global_mean(
    x: Int8Array, x_scale: np.float32, x_zero_point: int, y_scale: np.float32, y_zero_point: int
) -> Int8Array:
    """Mean over height and width of an HWC map, int8 (C,).

    `requantize(sum(x) - pixels * x_zero_point, global_mean_factor(...), y_zero_point)`: an exact integer sum first.
    """
    pixels = x.shape[0] * x.shape[1]
    total: Int32Array = x.sum(axis=(0, 1), dtype=np.int32) - np.int32(pixels * x_zero_point)
    return requantize(total, global_mean_factor(x_scale, y_scale, pixels), y_zero_point)


def average_windows(windows: Int8Array, counts: npt.ArrayLike, params: AveragePoolParams) -> Int8Array:
    """Average of each window, int8 of shape `windows.shape[1:]`.

    `windows[k]` is the k-th element of every window in row-major kernel order, padded places holding `x_zero_point`;
    `counts` (it broadcasts to the result) is the divisor. The rule is float32 throughout, rounded at every step:
    dequantise, add in kernel order starting from 0, divide by the count, divide by `y_scale`, add `y_zero_point`, round
    half to even. A padded place adds 0.0, which is what skipping it does.

    One requantised integer sum is *not* equivalent: it is as long as the mean is away from a tie, but with x_scale =
    y_scale ties are frequent and the float32 sum breaks them by its rounding errors. Source:
    contrib_ops/cpu/quantization/qlinear_pool.cc.
    """
    total: Float32Array = np.zeros(windows.shape[1:], np.float32)
    for window in windows:
        total += dequantize_linear(window, params.x_scale, params.x_zero_point)
    divisor: Float32Array = np.asarray(counts, np.float32)
    quotient: Float32Array = np.divide(np.divide(total, divisor), np.float32(params.y_scale))
    return round_to_int8(quotient + np.float32(params.y_zero_point))


def average_pool(
    x: Int8Array,
    params: AveragePoolParams,
    kernel: tuple[int, int],
    strides: tuple[int, int],
    pads: tuple[int, int, int, int],
    count_include_pad: bool,
) -> Int8Array:
    """QLinearAveragePool of an HWC map, `pads` being (top, left, bottom, right); int8 HWC.

    A window that is the whole unpadded map goes through `global_mean`, as in the kernel.
    """
    height, width = x.shape[:2]
    if kernel == (height, width) and not any(pads):
        return global_mean(x, params.x_scale, params.x_zero_point, params.y_scale, params.y_zero_point)[None, None]
    border = (pads[0::2], pads[1::2])
    padded = np.pad(x, (*border, (0, 0)), constant_values=params.x_zero_point)
    inside = np.pad(np.ones((height, width), np.int8), border)
    views = _windows(padded, kernel, strides)
    counts = (
        np.full(views.shape[1:3], kernel[0] * kernel[1])
        if count_include_pad
        else _windows(inside, kernel, strides).sum(axis=0)
    )
    return average_windows(views, counts[:, :, None], params)


def _windows(x: Int8Array, kernel: tuple[int, int], strides: tuple[int, int]) -> Int8Array:
    """The elements of all windows, (kernel positions, output rows, output columns, ...)."""
    views = np.lib.stride_tricks.sliding_window_view(x, kernel, axis=(0, 1))[:: strides[0], :: strides[1]]
    return np.stack([views[..., i, j] for i in range(kernel[0]) for j in range(kernel[1])])
