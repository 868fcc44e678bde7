"""The integer contract, once, in numpy: every rule equals ONNX Runtime's CPU kernels bit for bit.

The reference is ONNX Runtime on x86-64 with AVX2 or AVX-512, graph optimisations off, `session.x64quantprecision=1`.
Each function names the kernel file whose order of float32 operations it follows; `tests/test_arithmetic.py` compares it
with the kernel itself.

Where two roundings meet a zero point, kernels differ: convolution, global mean and QuantizeLinear round first and then
add the zero point; add, multiply and average pool add it in float32 and then round, so a tie goes the other way for an
odd zero point.
"""

from sfopt.arithmetic.convolution import conv2d_accumulate, depthwise_accumulate, fold_input_zero_point
from sfopt.arithmetic.elementwise import AddParams, MulParams, add, add_params, mul, mul_params, pair_table
from sfopt.arithmetic.pooling import AveragePoolParams, average_pool, average_windows, global_mean, global_mean_factor
from sfopt.arithmetic.rounding import (
    conv_factor,
    dequantize_linear,
    fused_multiply_add,
    quantize_linear,
    requantize,
)
from sfopt.arithmetic.tables import (
    EXACT_FUNCTIONS,
    UNARY_FUNCTIONS,
    apply_table,
    evaluate_unary,
    requantize_table,
    unary_table,
)

__all__ = [
    "EXACT_FUNCTIONS",
    "UNARY_FUNCTIONS",
    "AddParams",
    "AveragePoolParams",
    "MulParams",
    "add",
    "add_params",
    "apply_table",
    "average_pool",
    "average_windows",
    "conv2d_accumulate",
    "conv_factor",
    "depthwise_accumulate",
    "dequantize_linear",
    "evaluate_unary",
    "fold_input_zero_point",
    "fused_multiply_add",
    "global_mean",
    "global_mean_factor",
    "mul",
    "mul_params",
    "pair_table",
    "quantize_linear",
    "requantize",
    "requantize_table",
    "unary_table",
]
