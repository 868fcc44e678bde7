"""Look-up tables of 256 int8 entries, indexed by the input byte: unary functions and the requantisation of a
concatenation.

An entry is QuantizeLinear(f(DequantizeLinear(x))) with f in float32. Functions in `EXACT_FUNCTIONS` repeat the float32
operations of the kernel, polynomial and fused steps included, and equal it bit for bit. The others use a kernel built
around an exponential whose last bits depend on the vector unit and, for Softplus and Mish, on the element's place in
the tensor; here they are evaluated in float64, and an entry can be one step off where the value lies within a float32
rounding error of a tie.
"""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from sfopt.arithmetic.rounding import Float32Array, Int8Array, dequantize_linear, fused_multiply_add, quantize_linear
from sfopt.errors import ModelError

__all__ = ["EXACT_FUNCTIONS", "UNARY_FUNCTIONS", "apply_table", "evaluate_unary", "requantize_table", "unary_table"]

_BYTES = np.arange(256, dtype=np.uint8).view(np.int8)
_F32 = np.float32

_Attributes = Mapping[str, object]
_Function = Callable[[Float32Array, _Attributes], Float32Array]

# Coefficients, highest power first: mlas/lib/logistic.cpp, tanh.cpp, erf.cpp.
_SIGMOID_P = (
    4.37031012579801e-11,
    1.15627324459942e-07,
    6.08574864600143e-05,
    8.51377133304701e-03,
    2.48287947061529e-01,
)
_SIGMOID_Q = (
    6.10247389755681e-13, 5.76102136993427e-09, 6.29106785017040e-06, 1.70198817374094e-03, 1.16817656904453e-01,
    9.93151921023180e-01,
)  # fmt: skip
_TANH_P = (
    -2.76076847742355e-16, 2.00018790482477e-13, -8.60467152213735e-11, 5.12229709037114e-08, 1.48572235717979e-05,
    6.37261928875436e-04, 4.89352455891786e-03,
)  # fmt: skip
_TANH_Q = (1.19825839466702e-06, 1.18534705686654e-04, 2.26843463243900e-03, 4.89352518554385e-03)
_ERF_SMALL = (-5.99104969e-4, 4.99339588e-3, -2.67667342e-2, 1.12818025e-1, -3.76124859e-1, 1.28379151e-1)
_ERF_BIG = (1.72948930e-5, -3.83208680e-4, 3.88393435e-3, -2.42545605e-2, 1.06777847e-1, 6.34846687e-1, 1.28717512e-1)
_ERF_EXP = (1.38319808e-3, 8.37550033e-3, 4.16689515e-2, 1.66664466e-1, 4.99999851e-1, 1.0, 1.0)


def requantize_table(x_scale: np.float32, x_zero_point: int, y_scale: np.float32, y_zero_point: int) -> Int8Array:
    """The table that QLinearConcat applies to one input; the identity when scale and zero point are the output's.

    Source: contrib_ops/cpu/quantization/qlinear_concat.cc, qlinear_lookup_table.cc.
    """
    return quantize_linear(dequantize_linear(_BYTES, x_scale, x_zero_point), y_scale, y_zero_point)


def unary_table(
    function: str,
    attributes: _Attributes,
    x_scale: np.float32,
    x_zero_point: int,
    y_scale: np.float32,
    y_zero_point: int,
) -> Int8Array:
    """The table of the ONNX operator `function`, int8 (256,), indexed `[x & 0xff]`; Clip takes `min` and `max`, Mul `factor`.

    com.microsoft.QLinearSigmoid and QLinearLeakyRelu have the same tables. Raises ModelError for a function that is not
    in `UNARY_FUNCTIONS`.
    """
    real = dequantize_linear(_BYTES, x_scale, x_zero_point)
    return quantize_linear(evaluate_unary(function, attributes, real), y_scale, y_zero_point)


def evaluate_unary(function: str, attributes: _Attributes, x: Float32Array) -> Float32Array:
    """The ONNX operator `function` in float32, as its kernel computes it. Raises ModelError like `unary_table`."""
    if function not in _FUNCTIONS:
        raise ModelError(f"no look-up table for `{function}`, there is one for {', '.join(sorted(_FUNCTIONS))}")
    return _FUNCTIONS[function](x, attributes)


def apply_table(x: Int8Array, table: Int8Array) -> Int8Array:
    """`table[x & 0xff]` for every element."""
    found: Int8Array = table[np.ascontiguousarray(x).view(np.uint8)]
    return found


def _attribute(attributes: _Attributes, key: str, default: float) -> np.float32:
    value = attributes.get(key, default)
    if not isinstance(value, int | float | np.floating | np.ndarray):
        raise ModelError(f"attribute `{key}` is {value!r}, needs a number")
    return _F32(value)


def _polynomial(coefficients: Sequence[float], x: Float32Array) -> Float32Array:
    """Horner's scheme with one fused step per coefficient."""
    value: Float32Array = np.full_like(x, coefficients[0])
    for coefficient in coefficients[1:]:
        value = fused_multiply_add(value, x, _F32(coefficient))
    return value


def _sigmoid(x: Float32Array, _attributes: _Attributes) -> Float32Array:
    """mlas/lib/x86_64/LogisticKernelFma3.S."""
    clamped = np.clip(x, _F32(-18), _F32(18))
    square = clamped * clamped
    ratio = _polynomial(_SIGMOID_P, square) * clamped / _polynomial(_SIGMOID_Q, square)
    logistic: Float32Array = np.maximum(ratio + _F32(0.5), _F32(0))
    return logistic


def _tanh(x: Float32Array, _attributes: _Attributes) -> Float32Array:
    """mlas/lib/tanh.cpp with fused steps."""
    clamped = np.clip(x, _F32(-9), _F32(9))
    square = clamped * clamped
    return _polynomial(_TANH_P, square) * clamped / _polynomial(_TANH_Q, square)


def _erf(x: Float32Array, _attributes: _Attributes) -> Float32Array:
    """mlas/lib/x86_64/ErfKernelFma3.S: a polynomial below 0.921875, 1 - exp(-polynomial) above."""
    size = np.minimum(np.abs(x), _F32(3.925))
    small = fused_multiply_add(_polynomial(_ERF_SMALL, size * size), size, size)
    exponent = -fused_multiply_add(_polynomial(_ERF_BIG, size), size, size)
    magic = _F32(12582912)  # 1.5 * 2**23: adding and subtracting it rounds to an integer
    power = fused_multiply_add(_F32(1.44269504088896341), exponent, magic) - magic
    rest = fused_multiply_add(power, _F32(-6.93145752e-1), exponent)
    rest = fused_multiply_add(power, _F32(-1.42860677e-6), rest)
    big = _F32(1) - np.ldexp(_polynomial(_ERF_EXP, rest), power.astype(np.int32))
    signed: Float32Array = np.copysign(np.where(size >= _F32(0.921875), big, small), x)
    return signed


def _gelu(x: Float32Array, attributes: _Attributes) -> Float32Array:
    """mlas/lib/gelu.cpp, both values of `approximate`."""
    if attributes.get("approximate", "none") == "tanh":
        inner = _tanh(x * (_F32(0.035677408136300125) * x * x + _F32(0.7978845608028654)), {})
    else:
        inner = _erf(x * _F32(math.sqrt(0.5)), {})
    return _F32(0.5) * x * (inner + _F32(1))


def _hard_sigmoid(x: Float32Array, attributes: _Attributes) -> Float32Array:
    alpha, beta = _attribute(attributes, "alpha", 0.2), _attribute(attributes, "beta", 0.5)
    clipped: Float32Array = np.clip(alpha * x + beta, _F32(0), _F32(1))
    return clipped


def _hard_swish(x: Float32Array, _attributes: _Attributes) -> Float32Array:
    return x * _hard_sigmoid(x, {"alpha": 1 / 6, "beta": 0.5})


def _leaky_relu(x: Float32Array, attributes: _Attributes) -> Float32Array:
    return np.where(x >= 0, x, _attribute(attributes, "alpha", 0.01) * x)


def _clip(x: Float32Array, attributes: _Attributes) -> Float32Array:
    return np.clip(x, _attribute(attributes, "min", -math.inf), _attribute(attributes, "max", math.inf))


def _relu(x: Float32Array, _attributes: _Attributes) -> Float32Array:
    return np.maximum(x, _F32(0))


def _mul(x: Float32Array, attributes: _Attributes) -> Float32Array:
    return x * _attribute(attributes, "factor", 1.0)


def _softsign(x: Float32Array, _attributes: _Attributes) -> Float32Array:
    return _F32(1) / (_F32(1) + np.abs(x)) * x


def _elu(x: Float32Array, attributes: _Attributes) -> Float32Array:
    exponential = np.exp(np.minimum(x, 0).astype(np.float64)).astype(np.float32)
    return np.where(x >= 0, x, _attribute(attributes, "alpha", 1.0) * (exponential - _F32(1)))


def _softplus(x: Float32Array, _attributes: _Attributes) -> Float32Array:
    return np.logaddexp(0, x.astype(np.float64)).astype(np.float32)


def _mish(x: Float32Array, _attributes: _Attributes) -> Float32Array:
    wide = x.astype(np.float64)
    return (wide * np.tanh(np.logaddexp(0, wide))).astype(np.float32)


_EXACT: dict[str, _Function] = {
    "Clip": _clip,
    "Erf": _erf,
    "Gelu": _gelu,
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": _hard_swish,
    "LeakyRelu": _leaky_relu,
    "Mul": _mul,
    "Relu": _relu,
    "Sigmoid": _sigmoid,
    "Softsign": _softsign,
    "Tanh": _tanh,
}
_FUNCTIONS: dict[str, _Function] = {**_EXACT, "Elu": _elu, "Mish": _mish, "Softplus": _softplus}

EXACT_FUNCTIONS = frozenset(_EXACT)
UNARY_FUNCTIONS = frozenset(_FUNCTIONS)
