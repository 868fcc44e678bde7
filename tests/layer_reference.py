"""The machine's operations again, written as plain loops over single numbers; they share no code with sfopt."""

import numpy as np

F = np.float32


def saturate(value: float) -> int:
    return int(min(127, max(-128, value)))


def rounded(value: np.float32) -> float:
    return float(np.rint(F(value)))


def requantised(acc: int, factor: float, zero: int) -> int:
    acc = (acc + 2**31) % 2**32 - 2**31
    return saturate(rounded(F(np.int32(acc)) * F(factor)) + zero)


def pixel(x, i, j, c, outside):
    inside = 0 <= i < x.shape[0] and 0 <= j < x.shape[1]
    return int(x[i, j, c]) if inside else outside


def each(shape):
    return ((i, j, c) for i in range(shape[0]) for j in range(shape[1]) for c in range(shape[2]))


def places(s):
    return [(a, b) for a in range(s["kernel_h"]) for b in range(s["kernel_w"])]


def position(s, i, j, a, b):
    return (
        i * s["stride_h"] + a * s["dilation_h"] - s.get("pad_top", 0),
        j * s["stride_w"] + b * s["dilation_w"] - s.get("pad_left", 0),
    )


def conv(x, w, bias, factor, s):
    out = np.zeros((s["out_height"], s["out_width"], s["out_channels"]), np.int8)
    depth, per_group = w.shape[2], s["out_channels"] // s["groups"]
    for i, j, o in each(out.shape):
        acc = int(bias[o])
        for k, (a, b) in enumerate(places(s)):
            row, column = position(s, i, j, a, b)
            for c in range(depth):
                channel = o // per_group * depth + c
                acc += pixel(x, row, column, channel, s.get("pad_value", 0)) * int(w[o, k, c])
        out[i, j, o] = requantised(acc, factor[o], s.get("out_zero", 0))
    return out


def depthwise(x, w, bias, factor, s):
    out = np.zeros((s["out_height"], s["out_width"], s["out_channels"]), np.int8)
    for i, j, o in each(out.shape):
        acc = int(bias[o])
        for k, (a, b) in enumerate(places(s)):
            acc += pixel(x, *position(s, i, j, a, b), o, s.get("pad_value", 0)) * int(w[0, k, o])
        out[i, j, o] = requantised(acc, factor[o], s.get("out_zero", 0))
    return out


def max_pool(x, s):
    out = np.zeros((s["out_height"], s["out_width"], s["out_channels"]), np.int8)
    for i, j, c in each(out.shape):
        out[i, j, c] = max(pixel(x, *position(s, i, j, a, b), c, s["pad_value"]) for a, b in places(s))
    return out


def average_pool(x, s, x_scale, x_zero, y_scale, y_zero):
    out = np.zeros((s["out_height"], s["out_width"], s["out_channels"]), np.int8)
    for i, j, c in each(out.shape):
        total, count = F(0), 0
        for a, b in places(s):
            row, column = position(s, i, j, a, b)
            if 0 <= row < x.shape[0] and 0 <= column < x.shape[1]:
                total += F(int(x[row, column, c]) - x_zero) * F(x_scale)
                count += 1
        divisor = len(places(s)) if s.get("include_pad") else count
        out[i, j, c] = saturate(rounded(total / F(divisor) / F(y_scale) + F(y_zero)))
    return out


def global_mean(x, bias, factor, zero):
    sums = x.astype(np.int64).sum(axis=(0, 1))
    return np.array([requantised(int(v) + bias, factor, zero) for v in sums], np.int8)[None, None]


def resize(x, factor_h, factor_w):
    out = np.zeros((x.shape[0] * factor_h, x.shape[1] * factor_w, x.shape[2]), np.int8)
    for i, j, c in each(out.shape):
        out[i, j, c] = x[i // factor_h, j // factor_w, c]
    return out


def add(a, b, ratio_a, ratio_b, offset):
    """For ratios that are small multiples of a power of two, where no rounding but the last happens."""
    out = np.zeros(a.shape, np.int8)
    for i in each(a.shape):
        out[i] = saturate(rounded(F(int(a[i]) * ratio_a + int(b[i]) * ratio_b + offset)))
    return out


def mul(a, b, factor, zero_a, zero_b, zero_y):
    out = np.zeros(a.shape, np.int8)
    for i in each(a.shape):
        product = F((int(a[i]) - zero_a) * (int(b[i]) - zero_b)) * F(factor)
        out[i] = saturate(rounded(product + F(zero_y)))
    return out


def look_up(x, table):
    out = np.zeros(x.shape, np.int8)
    for i in each(x.shape):
        out[i] = table[int(x[i]) % 256]
    return out
