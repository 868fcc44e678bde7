"""Random networks with transposed convolutions: any stride, kernel, dilation and padding, alone, in chains and before concats."""

import numpy as np
from networks import GraphBuilder

from sfopt.groups import Network

__all__ = ["transposed_network"]


def transposed_network(seed: int, *, side: int = 6, channels: int = 12) -> Network:
    """An input, one to three transposed convolutions, and around them what U-Nets and decoders have."""
    r = np.random.default_rng([seed, 7])
    b = GraphBuilder(f"transposed{seed}", seed=seed)
    x = b.input(int(r.integers(1, channels)), int(r.integers(1, side)), int(r.integers(1, side)))
    shortcut = x
    for _ in range(int(r.integers(1, 4))):
        way = r.integers(5)
        if way == 0:
            x = b.conv(x, int(r.integers(1, channels)), int(r.choice([1, 3])))
        elif way == 1 and min(b.shape(x)[1:]) > 1:
            x = b.max_pool(x, 2, 1)
        elif way == 2:
            x = b.lookup(x)
        shortcut = x
        x = _expand(b, r, x, channels)
        if r.random() < 0.3:
            x = b.relu(x)
        if b.shape(x) == b.shape(shortcut) and r.random() < 0.5:
            x = b.add(x, shortcut)
        elif b.shape(x)[1:] == b.shape(shortcut)[1:]:
            x = b.concat(x, shortcut)
        if max(b.shape(x)[1:]) > 3 * side:
            break
    if r.random() < 0.5:
        x = b.conv(x, int(r.integers(1, channels)), 3)
    if r.random() < 0.2:
        x = b.mean(x)
    return b.network([x])


def _expand(b: GraphBuilder, r: np.random.Generator, x: str, channels: int) -> str:
    """A transposed convolution whose output has at least a pixel."""
    depth, height, width = b.shape(x)
    if r.random() < 0.4:
        kernel = stride = (int(r.integers(1, 4)),) * 2
        pads, dilation = (0, 0, 0, 0), (1, 1)
    else:
        kernel, stride, dilation = (tuple(int(n) for n in r.integers(1, most, 2)) for most in (5, 4, 3))
        room = [(n - 1) * s + d * (k - 1) for n, s, d, k in zip((height, width), stride, dilation, kernel, strict=True)]
        begin = [int(r.integers(0, min(n, 5) + 1)) for n in room]
        end = [int(r.integers(-2, min(n - a, 4) + 1)) for n, a in zip(room, begin, strict=True)]
        pads = (*begin, *end)
    depthwise = r.random() < 0.25
    grouped = 2 if depth % 2 == 0 and r.random() < 0.2 else 1
    count = int(r.integers(1, channels))
    group, count = (depth, depth) if depthwise else (grouped, count * grouped)
    return b.conv_transpose(x, count, kernel, stride, group=group, pads=pads, dilations=dilation)
