"""Exact integer convolution at floating-point speed.

A product of two int8 values is at most 2**14 in size, so 1024 of them sum to at most 2**24, and every integer up to
there is a float32: whatever the order of a float32 dot product of 1024 terms, it is exact. Longer sums are flushed to
int32, which wraps.
"""

from collections.abc import Iterator

import numpy as np

from sfopt.arithmetic.rounding import Float32Array, Int8Array, Int32Array

__all__ = ["conv2d_accumulate", "depthwise_accumulate", "fold_input_zero_point"]

_EXACT_PRODUCTS = 1024
_BLOCK_VALUES = 1 << 19  # float32 values of one block of gathered rows: 2 MiB stay in cache


def fold_input_zero_point(w: Int8Array, bias: Int32Array | None, x_zero_point: int) -> Int32Array:
    """The int32 bias that also removes the input's zero point, `bias - x_zp * sum(w)` with wrap-around; (O,) for OHWI.

    With it, `sum((x - x_zp) * w) + bias` becomes `sum(x * w) + folded`, padded places of x holding `x_zp`.
    """
    sums = w.reshape(len(w), -1).sum(axis=1, dtype=np.int64)
    start = np.zeros(len(w), np.int64) if bias is None else bias.astype(np.int64)
    folded: Int32Array = (start - x_zero_point * sums).astype(np.int32)
    return folded


def conv2d_accumulate(
    x: Int8Array, w: Int8Array, strides: tuple[int, int] = (1, 1), dilations: tuple[int, int] = (1, 1), groups: int = 1
) -> Int32Array:
    """int32 accumulators (wrapping) of a 2-D convolution, HWO, of an already padded HWC map with OHWI weights.

    The I of the weights is the channels per group. Padded places of `x` hold the input's zero point.
    """
    height, width, _ = x.shape
    out_channels, kernel_h, kernel_w, group_in = w.shape
    rows, columns = _output_size((height, width), (kernel_h, kernel_w), strides, dilations)
    out = np.zeros((rows, columns, out_channels), np.int32)
    group_out = out_channels // groups
    for group in range(groups):
        lanes_in = slice(group * group_in, (group + 1) * group_in)
        lanes_out = slice(group * group_out, (group + 1) * group_out)
        part, weights = x[:, :, lanes_in], w[lanes_out].astype(np.float32)
        for places, channels in _exact_chunks(kernel_h, kernel_w, group_in):
            matrix = np.concatenate([weights[:, i, j, channels] for i, j in places], axis=1).T
            _accumulate_chunk(part[:, :, channels], matrix, places, strides, dilations, out[:, :, lanes_out])
    return out


def depthwise_accumulate(
    x: Int8Array, w: Int8Array, strides: tuple[int, int] = (1, 1), dilations: tuple[int, int] = (1, 1)
) -> Int32Array:
    """int32 accumulators of a depthwise convolution, HWC, of an already padded HWC map with HWC weights."""
    kernel_h, kernel_w, channels = w.shape
    rows, columns = _output_size(x.shape[:2], (kernel_h, kernel_w), strides, dilations)
    out = np.zeros((rows, columns, channels), np.int32)
    weights = w.astype(np.float32)
    block = max(1, _BLOCK_VALUES // 4 // (columns * channels))
    for first in range(0, rows, block):
        count = min(block, rows - first)
        for places, _ in _exact_chunks(kernel_h, kernel_w, 1):
            total = np.zeros((count, columns, channels), np.float32)
            for i, j in places:
                total += _strided(x, (i, j), first, (count, columns), strides, dilations) * weights[i, j]
            out[first : first + count] += total.astype(np.int32)
    return out


def _output_size(
    size: tuple[int, ...], kernel: tuple[int, int], strides: tuple[int, int], dilations: tuple[int, int]
) -> tuple[int, int]:
    rows, columns = (
        (n - d * (k - 1) - 1) // s + 1 for n, k, s, d in zip(size, kernel, strides, dilations, strict=True)
    )
    return rows, columns


def _exact_chunks(kernel_h: int, kernel_w: int, channels: int) -> Iterator[tuple[list[tuple[int, int]], slice]]:
    """Kernel places and channels, at most 1024 products a chunk."""
    places = [(i, j) for i in range(kernel_h) for j in range(kernel_w)]
    step = max(1, _EXACT_PRODUCTS // channels)
    for start in range(0, len(places), step):
        for channel in range(0, channels, _EXACT_PRODUCTS):
            yield places[start : start + step], slice(channel, min(channel + _EXACT_PRODUCTS, channels))


def _strided(
    x: Int8Array,
    place: tuple[int, int],
    first_row: int,
    shape: tuple[int, int],
    strides: tuple[int, int],
    dilations: tuple[int, int],
) -> Int8Array:
    """The input pixels that kernel place `place` meets, for `shape` output pixels from output row `first_row` on."""
    top, left = first_row * strides[0] + place[0] * dilations[0], place[1] * dilations[1]
    rows = slice(top, top + (shape[0] - 1) * strides[0] + 1, strides[0])
    return x[rows, left : left + (shape[1] - 1) * strides[1] + 1 : strides[1]]


def _accumulate_chunk(
    x: Int8Array,
    matrix: Float32Array,
    places: list[tuple[int, int]],
    strides: tuple[int, int],
    dilations: tuple[int, int],
    out: Int32Array,
) -> None:
    """`out += gathered(x) @ matrix`, a block of output rows at a time so that the gathered pixels stay small."""
    rows, columns, _ = out.shape
    channels = x.shape[2]
    block = max(1, _BLOCK_VALUES // (columns * len(matrix)))
    for first in range(0, rows, block):
        count = min(block, rows - first)
        gathered: Float32Array = np.empty((count, columns, len(matrix)), np.float32)
        for index, place in enumerate(places):
            pixels = _strided(x, place, first, (count, columns), strides, dilations)
            gathered[:, :, index * channels : (index + 1) * channels] = pixels
        sums = gathered.reshape(count * columns, -1) @ matrix
        out[first : first + count] += sums.astype(np.int32).reshape(count, columns, -1)
