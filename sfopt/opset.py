"""Which operators of a model the accelerator runs, and how: the table behind `sfopt ops`.

`tests/test_operators.py` runs each row.
"""

from dataclasses import dataclass

from sfopt.host_reasons import FIXED_REASONS
from sfopt.passes.expand_qoperators import QOPERATORS
from sfopt.passes.pointwise import TABLE_FUNCTIONS

__all__ = ["SUPPORT", "Support", "supported_ops"]

ACCELERATOR, FOLDED, HOST = "accelerator", "folded", "host"


@dataclass(frozen=True)
class Support:
    """ONNX operators that fare alike: where they run, on the accelerator as what, and under which conditions."""

    operators: tuple[str, ...]
    engines: tuple[str, ...]
    runs_as: str
    conditions: str


SUPPORT: tuple[Support, ...] = (
    Support(
        ("Conv",),
        (ACCELERATOR,),
        "convolution group",
        "one or two dimensions; any kernel, stride, dilation up to 63, any groups; constant weights",
    ),
    Support(
        ("ConvTranspose",),
        (ACCELERATOR,),
        "convolution group",
        "two dimensions; any kernel, dilation and groups, stride up to 63; a convolution for each phase of the output: no zeros "
        "between pixels",
    ),
    Support(
        ("Gemm", "MatMul"),
        (ACCELERATOR, HOST),
        "convolution group",
        "constant weights and one row, or a channels-last map: a 1 x 1 (or whole-map) convolution; two computed tensors: host",
    ),
    Support(
        ("BatchNormalization",),
        (FOLDED, ACCELERATOR),
        "part of a convolution, or a 1 x 1 depthwise convolution group",
        "depthwise where the convolution before it has other readers and the one behind does not take it",
    ),
    Support(
        tuple(sorted(TABLE_FUNCTIONS)),
        (FOLDED, ACCELERATOR),
        "saturation or a 256-entry table in the group before it, else a copy group",
        "the latter where what is before it has other readers",
    ),
    Support(
        ("Pow",),
        (FOLDED,),
        "a 256-entry table in the group before it",
        "a constant number as exponent; so is any other function of one tensor with numbers in it, GELU and SiLU for instance",
    ),
    Support(
        ("Add", "Sub", "Mul"),
        (ACCELERATOR, FOLDED, HOST),
        "element-wise, fused into the group that ends last; folded where one operand is constant",
        "two maps, one of which may be 1 high, wide or deep; one number: a table, or in a convolution; one number per channel: in "
        "a convolution, or a depthwise one; a constant map that differs from row to row or column to column: host",
    ),
    Support(("Sum",), (ACCELERATOR,), "additions", "maps of one shape"),
    Support(
        ("Div", "Max", "Min"),
        (FOLDED, HOST),
        "a table, or a part of a convolution",
        "with a constant; of two computed maps: host",
    ),
    Support(
        ("PRelu",),
        (FOLDED, ACCELERATOR, HOST),
        "a table, or a depthwise convolution group with an addition",
        "one slope: a table; one per channel: depthwise; one per element: host",
    ),
    Support(
        ("MaxPool", "GlobalMaxPool"),
        (ACCELERATOR, HOST),
        "pooling group",
        "two dimensions, with padding, dilation and ceil_mode; kernels above 63 or the places of the maxima: host",
    ),
    Support(
        ("AveragePool",),
        (ACCELERATOR, HOST),
        "pooling group",
        "padding counted or not, auto_pad, ceil_mode; not ceil_mode with counted padding that it reaches beyond, not dilation",
    ),
    Support(("GlobalAveragePool",), (ACCELERATOR,), "global-mean group", "over rows and columns"),
    Support(
        ("ReduceMean", "ReduceSum"),
        (ACCELERATOR,),
        "global-mean, pooling or convolution group",
        "over rows, columns, both or channels; a sum is a mean times a number; a mean over channels that normalises: host",
    ),
    Support(("ReduceMax",), (ACCELERATOR, HOST), "pooling group", "over rows, columns or both; over channels: host"),
    Support(
        ("Concat",),
        (ACCELERATOR, HOST),
        "copy group, or none where its operands are put beside each other at once",
        "along channels; each operand requantised by a table where scales differ; along rows or columns: host",
    ),
    Support(
        ("Slice", "Split"),
        (FOLDED, ACCELERATOR, HOST),
        "part of the convolution behind it, or a convolution group that copies",
        "channels, rows and columns in steps; rows or columns in reverse, or further in than 63: host",
    ),
    Support(
        ("DepthToSpace", "SpaceToDepth"),
        (ACCELERATOR,),
        "convolution group that copies",
        "of stride 1/n or n; also as Reshape, Transpose, Reshape",
    ),
    Support(
        ("Resize", "Upsample"),
        (ACCELERATOR, HOST),
        "resize group, pooling groups behind it where it interpolates, or a depthwise convolution that copies every n-th pixel",
        "nearest and linear by whole factors, nearest to every n-th; align_corners, other factors and cubic: host",
    ),
    Support(
        ("Pad",),
        (FOLDED, ACCELERATOR, HOST),
        "part of the convolution or pool behind it, or a depthwise convolution group",
        "with one number; mirrored or repeated borders: host",
    ),
    Support(
        ("Flatten", "Reshape", "Squeeze", "Transpose", "Unsqueeze"),
        (FOLDED, HOST),
        "nothing, or the order of weights",
        "where they move no element, move channels only, or are a layout; elements that change their pixel: host",
    ),
    Support(("Dropout", "Identity"), (FOLDED,), "nothing", "always"),
    Support(
        ("Constant", "Gather", "Shape"),
        (FOLDED,),
        "nothing: computed when the model is read",
        "of constants and shapes; whatever else computes with them as well",
    ),
    Support(
        tuple(sorted(QOPERATORS)),
        (ACCELERATOR,),
        "as their float forms",
        "and the same in QDQ form",
    ),
    Support(
        ("DequantizeLinear", "QuantizeLinear"),
        (FOLDED, HOST),
        "part of the integer operators inside the network",
        "on the host at the network's ends",
    ),
    Support(
        tuple(sorted(op for op in FIXED_REASONS if op not in ("Div", "Max", "Min"))),
        (HOST,),
        "float operator of ONNX Runtime",
        "as is anything else that ONNX Runtime runs, each with its reason in `explain` and report.json",
    ),
)


def supported_ops() -> tuple[tuple[str, str, str, str], ...]:
    """(operators, where they run, as what, conditions)."""
    return tuple((", ".join(s.operators), " or ".join(s.engines), s.runs_as, s.conditions) for s in SUPPORT)
