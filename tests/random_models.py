"""Seeded random float ONNX models: every operator of a convolutional network, in the shapes where compilers go wrong."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from grower import Grower, Limits
from models import ModelBuilder

__all__ = ["BOUNDARY", "DECODER", "LARGE", "LAYOUT", "MOVES", "SMALL", "WIDE", "Limits", "RandomModel", "random_model"]

BOUNDARY = frozenset({"QuantizeLinear", "DequantizeLinear"})
"""What the host does for every float network."""

LAYOUT = frozenset({"Flatten", "Reshape", "Squeeze", "Transpose", "Unsqueeze"})
"""May stay on the host at the ends of a network, where it only moves elements."""

SMALL = Limits(steps=6, channels=24, side=14, macs=200_000)
WIDE = Limits(steps=6, channels=200, side=70, macs=2_000_000)
DECODER = Limits(steps=5, channels=24, side=24, macs=200_000, decodes=True)
"""Transposed convolutions, pixels out of channels, bilinear resizes."""
LARGE = Limits(steps=10, channels=200, side=70, macs=8_000_000)


@dataclass(frozen=True)
class RandomModel:
    """An ONNX file with what it is made of, and the operators that it gives to the host on purpose."""

    seed: int
    data: bytes
    moves: tuple[str, ...]
    host: frozenset[str]
    shapes: tuple[tuple[int, int, int], ...]
    """Channels, height, width of every map that a move returned."""


class _Moves(Grower):
    """Each move takes a map and returns a new one, or None where the shape does not allow it."""

    def plain(self, x: str) -> str | None:
        """Any kernel, stride, dilation, padding."""
        _, height, width = self.shapes[x]
        kernel = (self.pick([1, 2, 3, 3, 5, 7]), self.pick([1, 2, 3, 3, 5]))
        dilations = self.pick([(1, 1), (1, 1), (2, 2), (1, 3), (2, 1)])
        strides = self.pick([(1, 1), (1, 1), (2, 2), (1, 2), (3, 2), (2, 3)])
        auto_pad = self.pick(["", "", "", "SAME_UPPER", "SAME_LOWER", "VALID"])
        extent = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
        pads = tuple(self.between(0, e - 1) for e in (*extent, *extent))
        if auto_pad == "VALID":
            pads = (0, 0, 0, 0)
        if auto_pad.startswith("SAME"):
            dilations, extent = (1, 1), list(kernel)  # ONNX Runtime knows no other
        if not auto_pad.startswith("SAME") and (
            height + pads[0] + pads[2] < extent[0] or width + pads[1] + pads[3] < extent[1]
        ):
            return None
        channels = self.affordable(x, self.channels(), kernel)
        return self.maybe(self.conv(x, channels, kernel, strides, pads, dilations, auto_pad=auto_pad))

    def grouped(self, x: str) -> str | None:
        depth = self.shapes[x][0]
        divisors = [g for g in range(2, depth + 1) if depth % g == 0]
        if not divisors:
            return None
        group = self.pick(divisors)
        kernel = self.pick([(1, 1), (3, 3)])
        p = kernel[0] // 2
        return self.maybe(
            self.conv(x, group * self.between(1, 3), kernel, self.pick([(1, 1), (2, 2)]), (p,) * 4, group=group)
        )

    def depthwise(self, x: str) -> str | None:
        depth, height, width = self.shapes[x]
        multiplier = self.pick([1, 1, 1, 2, 3])
        if depth * multiplier > 2 * self.limits.channels:
            return None
        k, d = self.pick([2, 3, 3, 5]), self.pick([1, 1, 2])
        e = (k - 1) * d + 1
        pads = self.pick([(e // 2,) * 4, (0, 1, e - 1, e // 2), (e - 1, 0, 0, e - 1)])
        if height + pads[0] + pads[2] < e or width + pads[1] + pads[3] < e:
            return None
        s = self.between(1, 2)
        return self.maybe(self.conv(x, depth * multiplier, (k, k), (s, s), pads, (d, d), depth))

    def pointwise_stride(self, x: str) -> str:
        return self.maybe(self.conv(x, self.affordable(x, self.channels(), (1, 1)), (1, 1), (2, 2)))

    def padded(self, x: str) -> str:
        """Asymmetric Pad before a convolution, possibly read by someone else too."""
        c, h, w = self.shapes[x]
        top, left, bottom, right = (self.between(0, 2) for _ in range(4))
        pads = self.m.constant([0, 0, top, left, 0, 0, bottom, right], "int64")
        h, w = h + top + bottom, w + left + right
        p = self.note(self.m.add("Pad", x, pads), (c, h, w))
        k = (min(3, h), min(3, w))
        return self.maybe(self.conv(p, self.affordable(p, self.channels(), k), k, self.pick([(1, 1), (2, 2)])))

    def residual(self, x: str) -> str:
        """Add or Mul of a body and its input, in both operand orders."""
        c = self.shapes[x][0]
        y = self.maybe(self.same(x, self.affordable(x, self.channels(), (3, 3))))
        y = self.same(y, c)
        if self.chance(0.3):
            y = self.activation(y)
        return self.maybe(self.binary(self.pick(["Add", "Add", "Add", "Mul"]), y, x))

    def projection(self, x: str) -> str:
        s = self.pick([(1, 1), (2, 2)])
        c = self.affordable(x, self.channels(), (3, 3))
        y = self.maybe(self.conv(x, c, (3, 3), s, (1, 1, 1, 1)))
        y, z = self.same(y, c), self.conv(x, c, (1, 1), s)
        return self.maybe(self.binary("Add", y, z))

    def preactivation(self, x: str) -> str:
        c = self.shapes[x][0]
        y = self.note(self.m.batch_norm(x, c), self.shapes[x])
        y = self.same(self.unary("Relu", y), c)
        return self.binary("Add", y, x)

    def normalised(self, x: str) -> str:
        y = self.same(x, self.affordable(x, self.channels(), (5, 3)))
        return self.maybe(self.note(self.m.batch_norm(y, self.shapes[y][0]), self.shapes[y]))

    def mean(self, x: str) -> str:
        c = self.shapes[x][0]
        if self.chance(0.5):
            inputs, how = ([x], {"axes": [2, 3]}) if self.opset < 18 else ([x, self.m.constant([2, 3], "int64")], {})
            return self.note(self.m.add("ReduceMean", *inputs, keepdims=1, **how), (c, 1, 1))
        return self.note(self.m.add("GlobalAveragePool", x), (c, 1, 1))

    def squeeze_excite(self, x: str) -> str:
        c = self.shapes[x][0]
        s = self.activation(self.conv(self.mean(x), max(1, c // 4)))
        s = self.conv(s, c)
        s = self.unary(self.pick(["Sigmoid", "HardSigmoid"]), s)
        y = self.binary("Mul", s, x)
        return self.same(y, self.affordable(y, self.channels(), (5, 3))) if self.chance(0.5) else self.maybe(y)

    def scaled_by_map(self, x: str) -> str:
        """A channel scale that is no gate: any (1, C, 1, 1) map, also where the map itself is 1 x 1."""
        c = self.shapes[x][0]
        return self.binary("Mul", x, self.conv(self.mean(x), c))

    def added_channels(self, x: str) -> str:
        """A per-channel vector added to a map: only Mul has a channel operand on the accelerator."""
        c, h, w = self.shapes[x]
        if (h, w) == (1, 1):
            return self.binary("Add", x, self.conv(x, c))
        self.host |= {
            "Add",
            "Clip",
            "Relu",
        }  # no int8 starts at the two latter, so they may stay with an Add in front of them
        if x in self.sources:  # the Add may happen in the input's own layout, and then the mean does
            self.host |= {"GlobalAveragePool", "ReduceMean"}
        return self.binary("Add", x, self.conv(self.mean(x), c))

    def stacked(self, x: str) -> str:
        """Concat of maps of one size, of different scales, perhaps one of them twice."""
        _, h, w = self.shapes[x]
        near = [x] if self.clamped else [n for n in self.made if self.shapes[n][1:] == (h, w)]
        parts = [x, *(self.pick(near) for _ in range(self.between(1, 2)))]
        if self.chance(0.5):
            parts.append(self.maybe(self.same(x, self.between(1, 9))))
        total = sum(self.shapes[n][0] for n in parts)
        if total > 2 * self.limits.channels:
            parts, total = [x, x], 2 * self.shapes[x][0]
        y = self.note(self.m.add("Concat", *parts, axis=self.pick([1, -3])), (total, h, w))
        return self.conv(y, self.affordable(y, self.channels(), (1, 1))) if self.chance(0.5) else self.maybe(y)

    def dense(self, x: str) -> str | None:
        """As in DenseNet: each layer reads all that was made before it, side by side."""
        c, h, w = self.shapes[x]
        growth, layers, parts = self.between(1, 12), self.between(2, 4), [x]
        if c + layers * growth > 2 * self.limits.channels:
            return None
        for _ in range(layers):
            y = x if len(parts) == 1 else self.m.add("Concat", *parts, axis=1)
            self.note(y, (sum(self.shapes[n][0] for n in parts), h, w))
            if self.chance(0.5):
                y = self.note(self.m.batch_norm(y, self.shapes[y][0]), self.shapes[y])
                y = self.unary("Relu", y)
            parts.append(self.maybe(self.same(y, growth)))
        return self.note(self.m.add("Concat", *parts, axis=1), (c + layers * growth, h, w))

    def shuffled(self, x: str) -> str | None:
        """As in ShuffleNet: channels dealt out over groups, perhaps behind two halves that went different ways."""
        c, h, w = self.shapes[x]
        divisors = [g for g in range(2, c) if c % g == 0]
        if not divisors or self.clamped:
            return None
        if c % 2 == 0 and self.chance(0.5):
            left, right = self.halves(x)
            x = self.note(self.m.add("Concat", left, self.maybe(self.same(right, c // 2)), axis=1), (c, h, w))
        g = self.pick(divisors)
        y = self.m.add("Reshape", x, self.m.constant([1, g, c // g, h, w], "int64"))
        y = self.m.add("Transpose", y, perm=[0, 2, 1, 3, 4])
        y = self.note(self.m.add("Reshape", y, self.m.constant([1, c, h, w], "int64")), (c, h, w))
        return self.maybe(self.conv(y, c, group=self.pick([1, g])))

    def halves(self, x: str) -> list[str]:
        """A map cut in two along its channels by Split or by two Slices; needs an even number of them."""
        c, h, w = self.shapes[x]
        if self.chance(0.5):
            number = len(self.m.nodes)
            parts = [f"t{number}a", f"t{number}b"]
            self.m.add("Split", x, outputs=parts, axis=1, **({"num_outputs": 2} if self.opset >= 18 else {}))
        else:
            ends = [(0, c // 2), (c // 2, c)]
            vectors = [[self.m.constant([n], "int64") for n in (*end, 1)] for end in ends]
            parts = [self.m.add("Slice", x, *vector) for vector in vectors]
        return [self.note(n, (c // 2, h, w)) for n in parts]

    def halved(self, x: str) -> str | None:
        """Both halves of the channels, each with a way of its own, added or one of them dropped."""
        c = self.shapes[x][0]
        if c % 2:
            return None
        left, right = self.halves(x)
        left = self.maybe(self.same(left, self.between(1, 9)))
        return self.binary("Add", left, self.same(right, self.shapes[left][0])) if self.chance(0.6) else left

    def space_to_depth(self, x: str) -> str | None:
        c, h, w = self.shapes[x]
        if h % 2 or w % 2 or 4 * c > 2 * self.limits.channels or self.clamped:
            return None
        y = self.note(self.m.add("SpaceToDepth", x, blocksize=2), (4 * c, h // 2, w // 2))
        return self.conv(y, self.affordable(y, self.channels(), (1, 1)))

    def channels_last(self, x: str) -> str:
        """A stretch in the other layout, as exports from TensorFlow have them."""
        c, h, w = self.shapes[x]
        y = self.m.add("Transpose", x if x not in self.sources else self.same(x, c), perm=[0, 2, 3, 1])
        match self.pick(["affine", "Relu", "Concat", "Add"]):
            case "affine":
                y = self.m.add("Mul", y, self.m.random_constant(c, low=0.3, high=1.5))
                y = self.m.add("Add", y, self.m.random_constant(c))
            case "Relu":
                y = self.m.add("Relu", y)
            case "Concat" if 2 * c <= 2 * self.limits.channels:
                other = self.m.add("Transpose", self.same(x, c), perm=[0, 2, 3, 1])
                y, c = self.m.add("Concat", y, other, axis=self.pick([3, -1])), 2 * c
            case _:
                y = self.m.add("Add", y, self.m.add("Transpose", self.same(x, c), perm=[0, 2, 3, 1]))
        return self.note(self.m.add("Transpose", y, perm=[0, 3, 1, 2]), (c, h, w))

    def upsampled(self, x: str) -> str | None:
        """Nearest resize, then a lateral merge with a map of that size."""
        c, h, w = self.shapes[x]
        fh, fw = self.pick([(2, 2), (2, 2), (3, 3), (2, 1), (1, 3)])
        if max(h * fh, w * fw) > self.limits.side:
            return None
        scales = self.m.constant([1, 1, fh, fw])
        mode = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        if self.chance(0.3) and fh == fw == 2:
            mode = {"coordinate_transformation_mode": "half_pixel", "nearest_mode": "round_prefer_floor"}
        y = self.note(self.m.add("Resize", x, "", scales, mode="nearest", **mode), (c, h * fh, w * fw))
        if self.chance(0.6):
            y = self.binary("Add", y, self.same(y, c))
        return y

    def pyramid(self, x: str) -> str | None:
        """Down, up again, merged with what was there before."""
        c, h, w = self.shapes[x]
        if h % 2 or w % 2 or self.clamped:
            return None
        low = self.activation(self.conv(x, c, (3, 3), (2, 2), (1, 1, 1, 1)))
        up = self.note(
            self.m.add(
                "Resize", low, "", self.m.constant([1, 1, 2, 2]),
                mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor",
            ),
            (c, h, w),
        )  # fmt: skip
        return self.binary("Add", up, self.conv(x, c) if self.chance(0.5) else x)

    def pool(self, x: str) -> str | None:
        c, h, w = self.shapes[x]
        k = (self.pick([1, 2, 3, 5]), self.pick([1, 2, 3, 4]))
        s = (self.between(1, 3), self.between(1, 3))
        op_type = self.pick(["MaxPool", "AveragePool"])
        pads = tuple(self.between(0, n - 1) if self.chance(0.5) else 0 for n in (*k, *k))
        sides = (h + pads[0] + pads[2], w + pads[1] + pads[3])
        if sides[0] < k[0] or sides[1] < k[1]:
            return None
        ceil = self.chance(0.3)
        out = []
        for n, kk, ss, size, before in zip(sides, k, s, (h, w), pads[:2], strict=True):
            o = (n - kk) // ss + 1
            if ceil:
                o = -(-(n - kk) // ss) + 1
                if (o - 1) * ss >= size + before:
                    o, self.clamped = o - 1, True
            out.append(o)
        if ceil and op_type == "AveragePool":
            self.host |= {"AveragePool"}  # ceil_mode with counted padding has no int8 form; without it, it never stays
        more: dict[str, object] = {"count_include_pad": self.between(0, 1)} if op_type == "AveragePool" else {}
        name = self.m.add(
            op_type, x, kernel_shape=list(k), strides=list(s), pads=list(pads), ceil_mode=int(ceil), **more
        )
        y = self.note(name, (c, out[0], out[1]))
        return self.maybe(y) if self.chance(0.3) else y

    def global_mean(self, x: str) -> str | None:
        return None if self.chance(0.6) else self.mean(x)

    def sum_of_three(self, x: str) -> str:
        c = self.shapes[x][0]
        a, b = self.same(x, c), self.activation(self.same(x, c))
        return self.note(self.m.add("Sum", *self.r.permutation([x, a, b]).tolist()), self.shapes[x])

    def three_readers(self, x: str) -> str:
        c = self.shapes[x][0]
        a, b = self.same(x, c), self.conv(x, c, group=c) if c > 1 else self.same(x, c)
        self.keep(a)
        return self.binary("Add", self.binary("Add", a, b), x)

    def doubled(self, x: str) -> str:
        return self.note(self.m.add("Add", x, x), self.shapes[x])

    def squared(self, x: str) -> str:
        return self.note(self.m.add("Mul", x, x), self.shapes[x])

    def unfused(self, x: str) -> str:
        """Add or Mul of two maps that both were there before."""
        near = [x] if self.clamped else [n for n in self.made if self.shapes[n] == self.shapes[x]]
        return self.maybe(self.binary(self.pick(["Add", "Mul"]), x, self.pick(near)))

    def activated(self, x: str) -> str:
        return self.activation(x)

    def affine(self, x: str) -> str:
        """Constants per channel or one for all, alone or behind a convolution."""
        c = self.shapes[x][0]
        y = self.same(x, c) if self.chance(0.5) else x
        size = self.pick([(1, c, 1, 1), (1,), (c, 1, 1)])
        for op_type in self.pick([("Mul", "Add"), ("Add",), ("Sub",), ("Div",), ("Mul",)]):
            y = self.note(self.m.add(op_type, y, self.m.random_constant(*size, low=0.3, high=1.5)), self.shapes[x])
        return y

    def weighted_sum(self, x: str) -> str:
        """Two or three maps of one shape, each times a number, as the nodes of a bidirectional pyramid add them."""
        c = self.shapes[x][0]
        total = ""
        for y in [x, *(self.same(x, c) for _ in range(self.between(1, 2)))]:
            term = self.note(self.m.add("Mul", y, self.m.random_constant(low=0.2, high=1.0)), self.shapes[x])
            total = self.binary("Add", total, term) if total else term
        return self.maybe(self.binary("Add", total, x) if self.chance(0.3) else total)

    def host_middle(self, x: str) -> str:
        """An operator without an int8 form, or one that had none for long, and the network goes on behind it."""
        c = self.shapes[x][0]
        kinds = ["Softmax", "InstanceNormalization", "Abs", "Sin", "DepthToSpace", "PRelu"]
        match self.pick(kinds):
            case "Softmax":
                y, name = self.unary("Softmax", x, axis=self.pick([1, 3])), "Softmax"
            case "InstanceNormalization":
                ones = self.m.random_constant(c, low=0.5, high=1.5)
                y = self.note(self.m.add("InstanceNormalization", x, ones, self.m.random_constant(c)), self.shapes[x])
                name = "InstanceNormalization"
            case "DepthToSpace" if c % 4 == 0 and max(self.shapes[x][1:]) * 2 <= self.limits.side:
                h, w = self.shapes[x][1:]
                y, name = self.note(self.m.add("DepthToSpace", x, blocksize=2), (c // 4, h * 2, w * 2)), "DepthToSpace"
            case "PRelu":
                slopes = self.m.random_constant(self.pick([c, 1]), 1, 1, low=-0.2, high=0.5)
                y, name = self.note(self.m.add("PRelu", x, slopes), self.shapes[x]), "PRelu"
            case _:
                y, name = self.unary("Sin", x), "Sin"
        self.host |= {name}
        return self.same(y, self.affordable(y, self.channels(), (5, 3)))

    def host_up(self, x: str) -> str | None:
        """Twice the height and width by a transposed convolution or between the pixels."""
        c, h, w = self.shapes[x]
        if max(h, w) * 2 > self.limits.side:
            return None
        if self.chance(0.6):
            deep, k, bound = self.between(1, 9), self.pick([2, 3, 4]), (3 / c) ** 0.5
            weights = self.m.random_constant(c, deep, k, k, low=-bound, high=bound)
            pads = {2: [0, 0, 0, 0], 3: [0, 0, 1, 1], 4: [1, 1, 1, 1]}[k]
            y, name = self.m.add("ConvTranspose", x, weights, strides=[2, 2], pads=pads), "ConvTranspose"
        else:
            deep, name = c, "Resize"
            y = self.m.add("Resize", x, "", self.m.constant([1, 1, 2, 2]), mode="linear")
        self.host |= {name}
        y = self.note(y, (deep, h * 2, w * 2))
        return self.same(y, self.affordable(y, self.channels(), (5, 3)))

    def slopes(self, x: str) -> str:
        """A PRelu with a slope for each channel, or for all."""
        c = self.shapes[x][0]
        slopes = self.m.random_constant(self.pick([c, 1]), 1, 1, low=-0.2, high=0.5)
        return self.note(self.m.add("PRelu", x, slopes), self.shapes[x])

    def up(self, x: str) -> str | None:
        """More rows and columns: by a transposed convolution, between the pixels, or out of the channels."""
        c, h, w = self.shapes[x]
        if max(h, w) * 2 > self.limits.side:
            return None
        match self.pick(["ConvTranspose", "ConvTranspose", "Resize", "DepthToSpace"]):
            case "DepthToSpace" if c % 4 == 0:
                mode = self.pick(["DCR", "CRD"])
                y, shape = self.m.add("DepthToSpace", x, blocksize=2, mode=mode), (c // 4, h * 2, w * 2)
            case "Resize":
                y, shape = self.m.add("Resize", x, "", self.m.constant([1, 1, 2, 2]), mode="linear"), (c, h * 2, w * 2)
            case _:
                y, shape = self.transposed(x)
        y = self.note(y, shape)
        return self.same(y, self.affordable(y, self.channels(), (5, 3)))

    def transposed(self, x: str) -> tuple[str, tuple[int, int, int]]:
        """A ConvTranspose of any geometry, and the shape of its output."""
        c, h, w = self.shapes[x]
        group = c if self.chance(0.2) else 1
        deep = 1 if group > 1 else self.between(1, 9)
        kernel, stride, dilation = ([self.between(1, most) for _ in range(2)] for most in (4, 2, 2))
        room = [(n - 1) * s + d * (k - 1) for n, s, d, k in zip((h, w), stride, dilation, kernel, strict=True)]
        pads = [self.between(0, min(n // 2, 2)) for n in (*room, *room)]
        more = [self.between(0, s - 1) for s in stride]
        size = [n + 1 - pads[i] - pads[i + 2] + m for i, (n, m) in enumerate(zip(room, more, strict=True))]
        bound = (3 * group / c) ** 0.5
        weights = self.m.random_constant(c, deep, *kernel, low=-bound, high=bound)
        y = self.m.add(
            "ConvTranspose", x, weights, strides=stride, dilations=dilation, pads=pads, output_padding=more, group=group
        )
        return y, (deep * group, size[0], size[1])

    def head(self, x: str) -> str:
        """A classifier over the flattened map."""
        c, h, w = self.shapes[x]
        features = c * h * w
        if features > 4000 or max(h, w) > 63 or self.clamped:  # no kernel is larger
            x, features = self.mean(x), c
        flat = (
            self.m.add("Flatten", x)
            if self.chance(0.5)
            else self.m.add("Reshape", x, self.m.constant([1, -1], "int64"))
        )
        y = flat
        for _ in range(self.between(1, 2)):
            wide, bound = self.between(1, 30), (3 / features) ** 0.5
            match self.pick(["Gemm", "GemmT", "MatMul"]):
                case "Gemm":
                    w_ = self.m.random_constant(features, wide, low=-bound, high=bound)
                    y = self.m.add("Gemm", y, w_, self.m.random_constant(wide))
                case "GemmT":
                    w_ = self.m.random_constant(wide, features, low=-bound, high=bound)
                    y = self.m.add("Gemm", y, w_, self.m.random_constant(wide), transB=1)
                case _:
                    y = self.m.add("MatMul", y, self.m.random_constant(features, wide, low=-bound, high=bound))
                    if self.chance(0.6):
                        y = self.m.add("Add", y, self.m.random_constant(wide))
            features = wide
            if self.chance(0.4):
                y = self.m.add(self.pick(["Relu", "Sigmoid"]), y)
        if self.chance(0.3):
            self.host |= {"Softmax"}
            y = self.m.add("Softmax", y, axis=1)
        return y


_COMMON = (
    "plain", "grouped", "depthwise", "pointwise_stride", "padded", "residual", "projection", "preactivation", "normalised",
    "squeeze_excite", "scaled_by_map", "stacked", "upsampled", "pyramid", "pool", "global_mean", "sum_of_three",
    "three_readers", "doubled", "squared", "unfused", "activated", "affine", "weighted_sum", "dense", "shuffled", "halved",
    "space_to_depth", "channels_last",
)  # fmt: skip
_HOST = ("host_middle", "host_up", "added_channels")
_DECODER = ("slopes", "up", "up", "up", "up")
"""More of what models of `DECODER` are made of."""

MOVES = (*_COMMON, *_HOST, *_DECODER, "head")
"""Names of everything that a model may be made of."""


def random_model(seed: int, limits: Limits = SMALL) -> RandomModel:
    """The model of a seed: one or two inputs, a few moves, one or more outputs, perhaps a classifier. Same seed, same bytes."""
    r = np.random.default_rng([seed, limits.side])
    g = _Moves(limits, r, ModelBuilder(seed), opset=int(r.choice([14, 16, 17, 20])))
    side = lambda: g.pick([g.between(1, limits.side), g.between(max(1, limits.side // 2), limits.side)])  # noqa: E731
    shape = (g.pick([1, 3, 3, 4, g.channels()]), side(), side())
    last = g.chance(0.15)
    g.source(shape, "image", last=last)
    if g.chance(0.15):
        g.source(shape, "second", last=last)
    if g.chance(0.85):
        g.moves.append("plain")
        image = g.sources[0]
        g.keep(g.plain(image) or g.same(image, g.channels()))
    with_host, common = g.chance(0.2), (*_COMMON, *4 * _DECODER) if limits.decodes else _COMMON
    for _ in range(g.between(1, limits.steps)):
        x = g.made[-1] if g.chance(0.75) else g.pick(g.made)
        name = g.pick(_HOST) if with_host and g.chance(0.4) else g.pick(common)
        move: Callable[[str], str | None] = getattr(g, name)
        y = move(x)
        if y is not None:
            g.moves.append(name)
            g.keep(y)
    return _finished(g, seed)


def _finished(g: _Moves, seed: int) -> RandomModel:
    last = g.made[-1]
    if last in g.sources or not any(node.op_type == "Conv" for node in g.m.nodes):
        last = g.keep(g.same(last, 3))
    read = {n for node in g.m.nodes for n in node.input}
    unread = [n for n in g.sources if n not in read]
    ends = [n for n in g.made if n not in read and n not in g.sources]
    ends += [g.same(n, 2) for n in unread]
    if g.chance(0.4):
        g.moves.append("head")
        ends = [*ends, g.head(last)]
        if last in ends and g.chance(0.7) and len(ends) > 1:
            ends.remove(last)
    inner = [n for n in g.made if n in read and n not in g.sources]
    if inner and g.chance(0.2):
        ends.append(g.pick(inner))
    if g.chance(0.15):
        ends = [g.m.add("Transpose", n, perm=[0, 2, 3, 1]) if n in g.shapes else n for n in ends]
    data = g.m.build(*dict.fromkeys(ends), opset=g.opset)
    shapes = tuple(g.shapes[n] for n in g.made)
    return RandomModel(seed, data, tuple(g.moves), frozenset(g.host), shapes)
