"""Seeded random models of the operators that import writes as others: parts of maps, interpolation, broadcasts, functions."""

from collections.abc import Callable

import numpy as np
from models import ModelBuilder
from random_models import SMALL, RandomModel, _finished, _Moves

__all__ = ["MOVES", "random_operators"]


class _Operators(_Moves):
    """Further moves; each takes a map and returns a new one, or None where the shape does not allow it."""

    def sliced(self, x: str) -> str | None:
        """Any range of channels, rows and columns, in steps."""
        starts, ends, steps, shape = [], [], [], []
        for size in self.shapes[x]:
            start, step = self.between(0, min(size - 1, 5)), self.pick([1, 1, 2, 3])
            end = self.between(start + 1, size)
            starts.append(start)
            ends.append(end)
            steps.append(step)
            shape.append(len(range(start, end, step)))
        bounds = [self.m.constant(v, "int64") for v in (starts, ends, [1, 2, 3], steps)]
        return self.maybe(self.note(self.m.add("Slice", x, *bounds), (shape[0], shape[1], shape[2])))

    def halves(self, x: str) -> str | None:
        """Rows in two parts, one of which goes on."""
        c, h, w = self.shapes[x]
        if h < 2:
            return None
        first = self.between(1, h - 1)
        names = [f"{x}_{len(self.m.nodes)}{part}" for part in "ab"]
        self.m.add("Split", x, self.m.constant([first, h - first], "int64"), outputs=names, axis=2)
        sizes = (first, h - first)
        for name, rows in zip(names, sizes, strict=True):
            self.note(name, (c, rows, w))
        return self.maybe(names[self.between(0, 1)])

    def interpolated(self, x: str) -> str | None:
        c, h, w = self.shapes[x]
        fh, fw = self.pick([(2, 2), (3, 3), (2, 1), (4, 2), (0.5, 0.5)])
        if (fh < 1 and (h % 2 or w % 2)) or max(h * fh, w * fw) > self.limits.side:
            return None
        mode = self.pick(["half_pixel", "pytorch_half_pixel", "asymmetric"])
        scales = self.m.constant([1, 1, fh, fw])
        y = self.m.add("Resize", x, "", scales, mode="linear", coordinate_transformation_mode=mode)
        return self.maybe(self.note(y, (c, int(h * fh), int(w * fw))))

    def broadcast(self, x: str) -> str:
        """With a map that is one deep, high or wide."""
        c = self.shapes[x][0]
        match self.between(0, 3):
            case 0:
                small = self.conv(x, 1)
            case 1:
                small = self.note(self.m.add("ReduceMean", x, axes=[2], keepdims=1), (c, 1, self.shapes[x][2]))
            case 2:
                small = self.note(self.m.add("ReduceMax", x, axes=[3], keepdims=1), (c, self.shapes[x][1], 1))
            case _:
                small = self.mean(x)
        small = self.unary("Sigmoid", self.conv(small, self.shapes[small][0]))
        order = (x, small) if self.chance(0.5) else (small, x)
        return self.note(self.m.add(self.pick(["Add", "Mul", "Sub"]), *order), self.shapes[x])

    def sloped(self, x: str) -> str:
        c = self.shapes[x][0]
        return self.note(self.m.add("PRelu", x, self.m.random_constant(c, 1, 1, low=-0.5, high=1.5)), self.shapes[x])

    def function(self, x: str) -> str:
        """Several operators on one value."""
        shape = self.shapes[x]
        number = lambda: self.m.constant(self.r.uniform(0.5, 2.0))  # noqa: E731
        match self.between(0, 3):
            case 0:
                gate = self.m.add("Add", self.m.add("Erf", self.m.add("Div", x, number())), number())
                y = self.m.add("Mul", self.m.add("Mul", x, gate), number())
            case 1:
                y = self.m.add("Sub", number(), self.m.add("Tanh", x))
            case 2:
                y = self.m.add("Div", number(), self.m.add("Add", self.m.add("Abs", x), number()))
            case _:
                y = self.m.add("Mul", self.m.add("Pow", self.m.add("Sigmoid", x), self.m.constant(2.0)), x)
        y = self.note(y, shape)
        return self.binary("Add", y, x) if self.chance(0.3) else y

    def difference(self, x: str) -> str:
        y = self.maybe(self.same(x, self.shapes[x][0]))
        return self.maybe(self.note(self.m.add("Sub", *((x, y) if self.chance(0.5) else (y, x))), self.shapes[x]))

    def framed(self, x: str) -> str:
        """Padded with a number."""
        c, h, w = self.shapes[x]
        top, left, bottom, right = (self.between(0, 2) for _ in range(4))
        pads = self.m.constant([0, 0, top, left, 0, 0, bottom, right], "int64")
        y = self.m.add("Pad", x, pads, self.m.constant(self.pick([0.0, 0.5, -1.0])))
        return self.maybe(self.note(y, (c, h + top + bottom, w + left + right)))

    def spread_pool(self, x: str) -> str | None:
        """A max pool with dilation."""
        c, h, w = self.shapes[x]
        d = (self.between(1, 3), self.between(1, 3))
        size = (h - d[0], w - d[1])
        if min(size) < 1:
            return None
        return self.note(self.m.add("MaxPool", x, kernel_shape=[2, 2], dilations=list(d)), (c, *size))

    def channel_mean(self, x: str) -> str:
        _, h, w = self.shapes[x]
        y = self.note(self.m.add("ReduceMean", x, axes=[1], keepdims=1), (1, h, w))
        return self.conv(y, self.between(1, 9))


MOVES = (
    "sliced", "halves", "interpolated", "broadcast", "sloped", "function", "difference", "framed", "spread_pool",
    "channel_mean",
)  # fmt: skip


def random_operators(seed: int) -> RandomModel:
    """The model of a seed: a convolution, then a few of these moves and of the usual ones."""
    r = np.random.default_rng([seed, 77])
    g = _Operators(SMALL, r, ModelBuilder(seed), opset=int(r.choice([14, 16, 17])))
    shape = (g.pick([1, 3, 4]), g.between(2, SMALL.side), g.between(2, SMALL.side))
    g.source(shape, "image", last=False)
    g.keep(g.same(g.sources[0], g.between(2, 12)))
    for _ in range(g.between(2, 5)):
        x = g.made[-1] if g.chance(0.75) else g.pick([n for n in g.made if n not in g.sources])
        name = g.pick(MOVES) if g.chance(0.75) else g.pick(["plain", "residual", "stacked", "affine"])
        move: Callable[[str], str | None] = getattr(g, name)
        y = move(x)
        if y is not None:
            g.moves.append(name)
            g.keep(y)
    return _finished(g, seed)
