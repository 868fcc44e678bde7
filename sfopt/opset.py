"""Which operators of a model the accelerator runs: the table behind `sfopt ops`."""

__all__ = ["supported_ops"]

_ROWS = (
    (
        "Conv, QLinearConv",
        "convolution group",
        "2-D; any kernel up to 63, stride, dilation and groups; constant weights",
    ),
    (
        "ConvTranspose",
        "convolution group",
        "2-D; any kernel, stride, dilation and groups; a convolution for each phase of the output: no zeros between pixels",
    ),
    ("Gemm, MatMul, QGemm, QLinearMatMul", "convolution group", "constant weights: a 1 x 1 (or whole-map) convolution"),
    ("BatchNormalization", "folded", "into the convolution before it, else a 1 x 1 depthwise convolution"),
    (
        "Relu, Clip, LeakyRelu, Sigmoid, HardSigmoid, HardSwish, Tanh, ...",
        "folded",
        "saturation or a 256-entry table in the group before it",
    ),
    ("x * Sigmoid(x) (SiLU)", "folded", "one 256-entry table"),
    (
        "Add, Sum, QLinearAdd",
        "fused or element-wise group",
        "two maps of one shape; fused into the convolution that ends last",
    ),
    (
        "Mul, QLinearMul",
        "fused or element-wise group",
        "two maps of one shape, or a map and a 1 x 1 map (channel scale); by a number: a table in the group before it",
    ),
    ("MaxPool, GlobalMaxPool", "pooling group", "2-D"),
    ("AveragePool, QLinearAveragePool", "pooling group", "2-D, with or without padding in the count"),
    ("GlobalAveragePool, ReduceMean", "global-mean group", "over height and width"),
    ("Concat, QLinearConcat", "copy group", "along channels; each operand requantised by a table where scales differ"),
    (
        "Split, Slice, SpaceToDepth, channel shuffles",
        "folded or convolution group",
        "of channels; the convolution behind reads the whole map, or one with a single 1 a row copies it",
    ),
    ("Resize, Upsample", "resize group", "nearest neighbour by whole factors"),
    ("Pad", "folded", "zeros before a convolution or pool"),
    (
        "Reshape, Flatten, Squeeze, Unsqueeze, Transpose, Identity, Dropout",
        "folded",
        "where they only move axes of size 1, or a layout",
    ),
    (
        "QuantizeLinear, DequantizeLinear",
        "host at the network's ends",
        "inside the network they become part of the integer operators",
    ),
    (
        "anything else that ONNX Runtime runs",
        "host",
        "Softmax and the like, each with its reason in `explain` and report.json",
    ),
)


def supported_ops() -> tuple[tuple[str, str, str], ...]:
    """(operator, what it becomes, conditions)."""
    return _ROWS
