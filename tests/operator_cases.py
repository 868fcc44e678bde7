"""One row for each way that an operator can come in a network: what it becomes there, or why the host runs it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from models import ModelBuilder

__all__ = ["CASES", "Case"]

Build = Callable[[ModelBuilder, str], str | Sequence[str]]


@dataclass(frozen=True)
class Case:
    """An operator between two convolutions of a small network, whose first one writes (1, 8, side, side).

    `groups` are the kinds of the groups between those of the convolutions; none where the operator is folded. With `host`, the
    reason, they stand around it.
    """

    name: str
    operator: str
    """Or several, with commas between them."""
    build: Build
    groups: str = ""
    host: str = ""
    channels: int = 8
    """Of what `build` returns: what the last convolution reads."""
    side: int = 6
    opset: int = 17
    ends: str = "conv"
    """Kind of the last group; none where the network ends with the operator."""
    qdq: bool = False
    """Whether the model that onnxruntime's own quantiser makes of it comes to the same."""
    first: str = "conv"
    folded: bool = False
    """Whether `groups` are those of other operators around it."""
    whole: Callable[[ModelBuilder], list[str]] | None = None
    """Builds all of the network instead: its outputs."""

    @property
    def engine(self) -> str:
        """Where it runs, in the words of `sfopt.opset`."""
        return "host" if self.host else "accelerator" if self.groups and not self.folded else "folded"

    @property
    def kinds(self) -> list[str]:
        """Of all groups."""
        return f"{self.first} {self.groups} {self.ends}".split()

    def model(self) -> bytes:
        """The float model."""
        m = ModelBuilder(1)
        if self.whole is not None:
            return m.build(*self.whole(m), opset=self.opset)
        x = m.conv(m.input((1, 3, self.side, self.side)), 3, 8)
        result = self.build(m, x)
        outputs = [result] if isinstance(result, str) else list(result)
        if self.ends:
            outputs = [m.conv(y, self.channels, 4, 1) for y in outputs]
        return m.build(*outputs, opset=self.opset)


def ints(m: ModelBuilder, *values: int) -> str:
    return m.constant(values, "int64")


def op(op_type: str, *constants: object, **attributes: object) -> Build:
    """One operator on the map; lists of whole numbers become int64 constants, other ones float."""

    def build(m: ModelBuilder, x: str) -> str:
        names = []
        for value in constants:
            whole = isinstance(value, list) and all(isinstance(v, int) for v in value)
            names.append("" if value is None else m.constant(value, "int64" if whole else "float32"))
        return m.add(op_type, x, *names, **attributes)

    return build


def positive(build: Build) -> Build:
    """The same of a map of positive numbers, a table that goes before."""
    return lambda m, x: build(m, m.add("Exp", x))


def two(op_type: str, other: Callable[[ModelBuilder, str], str]) -> Build:
    """The operator on the map and another one computed from it."""
    return lambda m, x: m.add(op_type, x, other(m, x))


def branch(m: ModelBuilder, x: str) -> str:
    return m.conv(x, 8, 8, 1)


def pooled(m: ModelBuilder, x: str) -> str:
    return m.conv(m.add("GlobalAveragePool", x), 8, 8, 1)


def attention(m: ModelBuilder, x: str) -> str:
    return m.add("Sigmoid", m.conv(x, 8, 1, 3))


def constant(op_type: str, *shape: int, left: bool = False) -> Build:
    """With a random constant between 0.5 and 1.5."""

    def build(m: ModelBuilder, x: str) -> str:
        k = m.random_constant(*shape, low=0.5, high=1.5)
        return m.add(op_type, *((k, x) if left else (x, k)))

    return build


def read_twice(build: Build) -> Build:
    """The operator where the map before it has another reader, so that no convolution before it can take it."""

    def both(m: ModelBuilder, x: str) -> list[str]:
        y = build(m, x)
        assert isinstance(y, str)
        return [m.add("Tanh", y), x]

    return both


def split(*sizes: int, axis: int) -> Build:
    def build(m: ModelBuilder, x: str) -> list[str]:
        outputs = [f"part{i}" for i in range(len(sizes))]
        m.add("Split", x, ints(m, *sizes), outputs=outputs, axis=axis)
        return outputs

    return build


def shuffled(m: ModelBuilder, x: str) -> str:
    rows = m.add("Reshape", x, ints(m, 1, 2, 4, 6, 6))
    return m.add("Reshape", m.add("Transpose", rows, perm=[0, 2, 1, 3, 4]), ints(m, 1, 8, 6, 6))


def unshuffled(m: ModelBuilder, x: str) -> str:
    rows = m.add("Reshape", x, ints(m, 1, 8, 3, 2, 3, 2))
    return m.add("Reshape", m.add("Transpose", rows, perm=[0, 1, 3, 5, 2, 4]), ints(m, 1, 32, 3, 3))


def shuffled_into_pixels(m: ModelBuilder, x: str) -> str:
    blocks = m.add("Reshape", x, ints(m, 1, 2, 2, 2, 6, 6))
    return m.add("Reshape", m.add("Transpose", blocks, perm=[0, 1, 4, 2, 5, 3]), ints(m, 1, 2, 12, 12))


def erf_gelu(m: ModelBuilder, x: str) -> str:
    gate = m.add("Add", m.add("Erf", m.add("Div", x, m.constant(2**0.5))), m.constant(1.0))
    return m.add("Mul", m.add("Mul", x, gate), m.constant(0.5))


def tanh_gelu(m: ModelBuilder, x: str) -> str:
    cubed = m.add("Mul", m.add("Pow", x, m.constant(3.0)), m.constant(0.044715))
    inner = m.add("Tanh", m.add("Mul", m.add("Add", x, cubed), m.constant((2 / np.pi) ** 0.5)))
    return m.add("Mul", m.add("Mul", x, m.add("Add", inner, m.constant(1.0))), m.constant(0.5))


def mish(m: ModelBuilder, x: str) -> str:
    return m.add("Mul", x, m.add("Tanh", m.add("Log", m.add("Add", m.add("Exp", x), m.constant(1.0)))))


def layer_norm(m: ModelBuilder, x: str) -> str:
    y = m.add("Transpose", x, perm=[0, 2, 3, 1])
    y = m.add("LayerNormalization", y, m.random_constant(8, low=0.5), m.random_constant(8), axis=-1)
    return m.add("Transpose", y, perm=[0, 3, 1, 2])


def spelt_layer_norm(m: ModelBuilder, x: str) -> str:
    d = m.add("Sub", x, m.add("ReduceMean", x, axes=[1], keepdims=1))
    variance = m.add("ReduceMean", m.add("Pow", d, m.constant(2.0)), axes=[1], keepdims=1)
    return m.add("Div", d, m.add("Sqrt", m.add("Add", variance, m.constant(1e-5))))


def channels_last(m: ModelBuilder, x: str) -> str:
    y = m.add("Relu", m.add("Transpose", x, perm=[0, 2, 3, 1]))
    return m.add("Transpose", m.add("Mul", y, m.random_constant(8, low=0.5)), perm=[0, 3, 1, 2])


def reshape_by_shape(m: ModelBuilder, x: str) -> str:
    """Flattened to a shape that an exporter computes from the tensor's own."""
    batch = m.add("Gather", m.add("Shape", x), m.constant(0, "int64"), axis=0)
    rest = m.add("Constant", value_ints=[-1])
    shape = m.add("Concat", m.add("Unsqueeze", batch, ints(m, 0)), rest, axis=0)
    flat = m.add("Reshape", m.add("GlobalAveragePool", x), shape)
    return m.add("Gemm", flat, m.random_constant(5, 8), m.random_constant(5), transB=1)


def squeezed(m: ModelBuilder, x: str) -> str:
    mean = m.add("Squeeze", m.add("GlobalAveragePool", x), ints(m, 2, 3))
    return m.add("Unsqueeze", mean, ints(m, 2, 3))


def classifier(op_type: str) -> Build:
    def build(m: ModelBuilder, x: str) -> str:
        flat = m.add("Flatten", x)
        if op_type == "MatMul":
            return m.add("Add", m.add("MatMul", flat, m.random_constant(288, 5)), m.random_constant(5))
        return m.add("Gemm", flat, m.random_constant(288, 5), m.random_constant(5))

    return build


def sequence(m: ModelBuilder, x: str) -> str:
    y = m.add("Reshape", x, ints(m, 1, 8, 36))
    y = m.add("Conv", y, m.random_constant(8, 8, 3), pads=[1, 1])
    return m.add("Reshape", y, ints(m, 1, 8, 6, 6))


def sequences(m: ModelBuilder) -> list[str]:
    """One-dimensional convolutions from end to end."""
    x = m.add("Relu", m.add("Conv", m.input((1, 3, 20)), m.random_constant(8, 3, 5), pads=[2, 2]))
    y = m.add("Conv", x, m.random_constant(8, 8, 3), m.random_constant(8), pads=[1, 1])
    return [m.add("GlobalAveragePool", m.add("Add", x, y))]


def convolution(**attributes: object) -> Build:
    group = int(attributes.get("group", 1))  # type: ignore[call-overload]
    return lambda m, x: m.add("Conv", x, m.random_constant(8, 8 // group, 3, 3), m.random_constant(8), **attributes)


def batch_norm(m: ModelBuilder, x: str) -> str:
    return m.batch_norm(x, 8)


def preactivation(m: ModelBuilder, x: str) -> list[str]:
    return [m.add("Relu", m.batch_norm(x, 8)), x]


def uneven(m: ModelBuilder, x: str) -> list[str]:
    m.add("Split", x, ints(m, 3, 5), outputs=["few", "many"], axis=1)
    return ["few", "many"]


def padded_sum(m: ModelBuilder, x: str) -> str:
    padded = m.add("Pad", x, ints(m, 0, 0, 1, 1, 0, 0, 0, 0))
    return m.add("Add", padded, m.conv(padded, 8, 8, 3))


RESIZE = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
COMPARES = "compares two computed tensors; the accelerator adds or multiplies two maps"
CHANGES = "interpolates with weights that change from one row or column to the next"

CASES = (
    # -- convolutions and products
    Case("dilated", "Conv", convolution(pads=[2, 2, 2, 2], dilations=[2, 2]), "conv", qdq=True),
    Case("grouped", "Conv", convolution(pads=[1, 1, 1, 1], group=4), "conv", qdq=True),
    Case("depthwise", "Conv", convolution(pads=[1, 1, 1, 1], group=8), "depthwise", qdq=True),
    Case("sequences", "Conv", op("Conv"), "conv copy", ends="global_mean", whole=sequences),
    Case("a map as a sequence", "Reshape", sequence, "host conv host",
         "turns (1, 8, 6, 6) into (1, 8, 1, 36); a map of the accelerator keeps its rows, columns and channels"),
    Case("gemm", "Gemm", classifier("Gemm"), "conv", ends="", qdq=True),
    Case("matmul", "MatMul", classifier("MatMul"), "conv", ends=""),
    Case(
        "matmul of maps", "MatMul", two("MatMul", branch), "conv host",
         "multiplies two computed tensors; the weights of the accelerator are constant"
    ),
    Case("transposed", "ConvTranspose", lambda m, x: m.add("ConvTranspose", x, m.random_constant(8, 8, 3, 3), strides=[2, 2]),
         "conv", qdq=True),
    Case("normalised", "BatchNormalization", batch_norm),
    Case("normalised first", "BatchNormalization", preactivation, "depthwise", ends="conv conv"),
    # -- functions of one tensor
    Case("gelu by erf", "Erf", read_twice(erf_gelu), "conv copy"),
    Case("gelu by tanh", "Tanh", tanh_gelu),
    Case("gelu", "Gelu", op("Gelu"), opset=20),
    Case("gelu tanh", "Gelu", op("Gelu", approximate="tanh"), opset=20),
    Case("mish spelt out", "Log", mish),
    Case("silu", "Sigmoid", lambda m, x: m.add("Mul", x, m.add("Sigmoid", x))),
    Case("relu 6", "Clip", op("Clip", 0.0, 6.0), qdq=True),
    Case("clip off zero", "Clip", op("Clip", 0.1, 0.6)),
    Case("square", "Pow", op("Pow", 2.0)),
    Case("prelu, one slope", "PRelu", op("PRelu", [0.25])),
    Case("prelu, slope for each channel", "PRelu", lambda m, x: m.add("PRelu", x, m.random_constant(8, 1, 1)), "copy depthwise"),
    Case("prelu, slope for each element", "PRelu", lambda m, x: m.add("PRelu", x, m.random_constant(8, 6, 6)), "host",
         "its slopes have shape (1, 8, 6, 6); the accelerator takes one, or one per channel of a float model"),
    # -- arithmetic
    Case("add", "Add", two("Add", branch), "conv copy", qdq=True),
    Case("add a number", "Add", constant("Add")),
    Case("add a number to a table", "Add", positive(constant("Add")), ends=""),
    Case("add a number, read twice", "Add", read_twice(constant("Add")), "conv copy"),
    Case("add to each channel", "Add", constant("Add", 8, 1, 1)),
    Case("add to each channel of a table", "Add", positive(constant("Add", 8, 1, 1))),
    Case("add to each channel, read twice", "Add", read_twice(constant("Add", 1, 8, 1, 1)), "depthwise", ends="conv conv"),
    Case("add a pixel", "Add", two("Add", pooled), "global_mean conv resize"),
    Case("add a row", "Add", two("Add", lambda m, x: m.add("ReduceMean", x, axes=[2], keepdims=1)), "average_pool resize"),
    Case("add a constant map", "Add", constant("Add", 1, 8, 6, 6), "host",
         "its operand `c2` is a constant of shape (1, 8, 6, 6); the accelerator takes one number, or one per channel"),
    Case("subtract", "Sub", two("Sub", branch), "conv copy", qdq=True),
    Case("subtract from a number", "Sub", constant("Sub", left=True)),
    Case("subtract from a number, read twice", "Sub", read_twice(constant("Sub", left=True)), "conv copy"),
    Case("subtract a pixel", "Sub", two("Sub", pooled), "global_mean conv resize"),
    Case("multiply", "Mul", two("Mul", branch), "conv copy", qdq=True),
    Case("multiply by a pixel", "Mul", two("Mul", pooled), "global_mean conv"),
    Case("multiply by a channel", "Mul", two("Mul", attention), "conv conv"),
    Case("multiply by a number", "Mul", read_twice(constant("Mul")), "copy conv"),
    Case("multiply each channel", "Mul", constant("Mul", 8, 1, 1)),
    Case("multiply by a constant map", "Mul", constant("Mul", 1, 1, 6, 6), "host",
         "its operand `c2` is a constant of shape (1, 1, 6, 6); the accelerator takes one number, or one per channel"),
    Case("sum of three", "Sum", lambda m, x: m.add("Sum", x, branch(m, x), branch(m, x)), "conv conv copy copy"),
    Case("divide by a number", "Div", constant("Div")),
    Case("a number divided", "Div", positive(constant("Div", left=True))),
    Case("each channel divided", "Div", positive(constant("Div", 8, 1, 1, left=True))),
    Case("divide", "Div", two("Div", lambda m, x: m.add("Exp", branch(m, x))), "conv host",
         "divides one computed tensor by another; the accelerator adds and multiplies, a quotient has no int8 kernel"),
    Case("at least", "Max", op("Max", 0.1)),
    Case("at most", "Min", op("Min", 0.1)),
    Case("maximum", "Max", two("Max", branch), "conv host", COMPARES),
    Case("minimum", "Min", two("Min", branch), "conv host", COMPARES),
    # -- pools and reductions
    Case("max pool up", "MaxPool", op("MaxPool", kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1), "max_pool", qdq=True),
    Case("max pool dilated", "MaxPool", op("MaxPool", kernel_shape=[2, 2], dilations=[2, 3]), "max_pool", qdq=True),
    Case("max pool same", "MaxPool", op("MaxPool", kernel_shape=[3, 2], strides=[2, 2], auto_pad="SAME_LOWER"), "max_pool"),
    Case("max pool of all", "GlobalMaxPool", op("GlobalMaxPool"), "max_pool"),
    Case("max pool too large", "MaxPool", op("MaxPool", kernel_shape=[64, 1]), "host", side=64,
         host="has a kernel of 64; an instruction of the accelerator holds at most 63"),
    Case("average pool", "AveragePool", op("AveragePool", kernel_shape=[3, 3], pads=[1, 1, 1, 1]), "average_pool", qdq=True),
    Case("average pool with padding", "AveragePool", op("AveragePool", kernel_shape=[3, 3], pads=[1, 0, 1, 2], count_include_pad=1),
         "average_pool", qdq=True),
    Case("average pool same", "AveragePool", op("AveragePool", kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_UPPER"),
         "average_pool"),
    Case("average pool up", "AveragePool", op("AveragePool", kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1), "average_pool"),
    Case("average pool up with padding", "AveragePool",
         op("AveragePool", kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1, pads=[1, 1, 1, 1], count_include_pad=1), "host",
         "counts its padding in windows that ceil_mode lets reach beyond it"),
    Case("average pool dilated", "AveragePool", op("AveragePool", kernel_shape=[2, 2], dilations=[2, 2]), "host",
         "averages with dilation; ONNX Runtime's int8 kernel has none", opset=19),
    Case("mean of all", "GlobalAveragePool", op("GlobalAveragePool"), "global_mean", qdq=True),
    Case("mean of all, flat", "ReduceMean", op("ReduceMean", axes=[2, 3], keepdims=0), "global_mean", ends=""),
    Case("mean of columns", "ReduceMean", op("ReduceMean", axes=[3]), "average_pool"),
    Case("mean of channels", "ReduceMean", op("ReduceMean", axes=[1]), "conv", channels=1),
    Case("sum of all", "ReduceSum", op("ReduceSum", [2, 3]), "global_mean"),
    Case("largest of each row", "ReduceMax", op("ReduceMax", axes=[3]), "max_pool"),
    Case("largest of channels", "ReduceMax", op("ReduceMax", axes=[1]), "host", channels=1,
         host="reduces over channels by Max; the accelerator has means, and maxima over rows and columns"),
    # -- parts, places, sizes
    Case("concat", "Concat", lambda m, x: m.add("Concat", x, branch(m, x), axis=1), "conv copy", channels=16, qdq=True),
    Case("concat of rows", "Concat", lambda m, x: m.add("Concat", x, branch(m, x), axis=2), "conv host",
         "joins maps along rows; the accelerator joins them along channels"),
    Case("split", "Split", split(4, 4, axis=1), ends="conv conv", channels=4),
    Case("split unequally", "Split", lambda m, x: [m.add("Tanh", n) for n in uneven(m, x)], "conv conv", ends=""),
    Case("split of rows", "Split", split(2, 4, axis=2), "depthwise depthwise", ends="conv conv"),
    Case("slice of channels", "Slice", op("Slice", [1], [6], [1], [1]), channels=5),
    Case("channels in reverse", "Slice", op("Slice", [-1], [-100], [1], [-2]), channels=4),
    Case("slice of rows", "Slice", op("Slice", [1], [5], [2]), "depthwise", qdq=True),
    Case("slice in steps", "Slice", op("Slice", [0, 1], [6, 6], [2, 3], [2, 2]), "depthwise", qdq=True),
    Case("slice of all", "Slice", op("Slice", [2, 1, 1], [8, 5, 6], [1, 2, 3]), "depthwise", channels=6),
    Case("rows in reverse", "Slice", op("Slice", [-1], [-100], [2], [-1]), "host", "reverses rows or columns"),
    Case("channel shuffle", "Reshape", shuffled),
    Case("blocks to channels", "SpaceToDepth", op("SpaceToDepth", blocksize=2), "conv", channels=32),
    Case("blocks to channels by reshape", "SpaceToDepth", unshuffled, "conv", channels=32),
    *(Case(f"channels to blocks, {mode}", "DepthToSpace", op("DepthToSpace", blocksize=2, mode=mode), "conv", channels=2)
      for mode in ("DCR", "CRD")),
    Case("channels to blocks by reshape", "DepthToSpace", shuffled_into_pixels, "conv", channels=2),
    Case("nearest", "Resize", op("Resize", None, [1.0, 1.0, 2.0, 3.0], mode="nearest"), "resize"),
    Case("nearest, every other", "Resize", op("Resize", None, [1.0, 1.0, 0.5, 0.5], mode="nearest"), "depthwise"),
    Case("nearest by 1.5", "Resize", op("Resize", None, [1.0, 1.0, 1.5, 1.5], mode="nearest"), "host",
         "copies rows and columns without a fixed step ((6, 6) to (9, 9))"),
    Case("bilinear by 2", "Resize", op("Resize", None, [1.0, 1.0, 2.0, 2.0], **RESIZE), "resize average_pool average_pool"),
    Case("bilinear by 3", "Resize", op("Resize", None, [1.0, 1.0, 3.0, 3.0], **RESIZE), "resize average_pool"),
    Case("bilinear by 2, asymmetric", "Resize",
         op("Resize", None, [1.0, 1.0, 2.0, 2.0], mode="linear", coordinate_transformation_mode="asymmetric"),
         "resize average_pool"),
    Case("bilinear by 1/2", "Resize", op("Resize", None, [1.0, 1.0, 0.5, 0.5], **RESIZE), "average_pool"),
    Case("bilinear by 1.5", "Resize", op("Resize", None, [1.0, 1.0, 1.5, 1.5], **RESIZE), "host",
         f"{CHANGES} (half_pixel, (6, 6) to (9, 9))"),
    Case("bilinear by 2, corners aligned", "Resize",
         op("Resize", None, [1.0, 1.0, 2.0, 2.0], mode="linear", coordinate_transformation_mode="align_corners"), "host",
         f"{CHANGES} (align_corners, (6, 6) to (12, 12))"),
    Case("cubic", "Resize", op("Resize", None, [1.0, 1.0, 2.0, 2.0], mode="cubic"), "host",
         "interpolates with cubic weights (half_pixel, (6, 6) to (12, 12)); the accelerator has means and repetition"),
    Case("upsample", "Upsample", op("Upsample", [1.0, 1.0, 2.0, 2.0], mode="nearest"), "resize", opset=9),
    Case("pad", "Pad", op("Pad", [0, 0, 1, 0, 0, 0, 2, 1])),
    Case("pad before a sum", "Pad", padded_sum, "depthwise conv", ends="conv"),
    Case("pad with a number", "Pad", op("Pad", [0, 0, 1, 1, 0, 0, 1, 1], 0.5), "depthwise"),
    *(Case(f"pad, {mode}", "Pad", op("Pad", [0, 0, 1, 1, 0, 0, 1, 1], mode=mode), "host",
           f"fills its border with what is beside it (mode {mode}); the accelerator fills it with one value")
      for mode in ("reflect", "edge")),
    # -- layouts, shapes, ends
    Case("channels last", "Transpose", channels_last),
    Case("rows as channels", "Transpose", op("Transpose", perm=[0, 2, 1, 3]), "host", channels=6,
         host="changes the order of elements between pixels; the accelerator reads and writes pixels where they are"),
    Case("flat", "Flatten", lambda m, x: m.add("Flatten", m.add("GlobalAveragePool", x)), "global_mean", ends="", folded=True),
    Case("squeezed", "Squeeze, Unsqueeze", squeezed, "global_mean", folded=True, qdq=True),
    Case("shape arithmetic", "Constant, Gather, Shape", reshape_by_shape, "global_mean conv", ends="", folded=True),
    Case("identity", "Identity", op("Identity")),
    Case("dropout", "Dropout", op("Dropout")),
    # -- in float
    Case("softmax", "Softmax", op("Softmax", axis=1), "host", "needs exponentials and sums in float"),
    Case("local response", "LRN", op("LRN", size=3), "host",
         "divides each element by a power of a sum over its neighbouring channels, in float"),
    Case("layer normalisation", "LayerNormalization", layer_norm, "host",
         "divides by a mean or variance that it computes from the data, in float"),
)  # fmt: skip
