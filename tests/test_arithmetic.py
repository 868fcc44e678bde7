"""Each rule of `sfopt.arithmetic` against ONNX Runtime's kernel for the one operator, exhaustively where inputs are
bytes."""

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from functools import cache

import numpy as np
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from sfopt import arithmetic
from sfopt.errors import ModelError

_BYTES = np.arange(256, dtype=np.uint8).view(np.int8)
_A, _B = (grid.ravel() for grid in np.meshgrid(_BYTES, _BYTES, indexing="ij"))
_ELEMENT = {
    np.dtype(np.int8): TensorProto.INT8,
    np.dtype(np.float32): TensorProto.FLOAT,
    np.dtype(np.int32): TensorProto.INT32,
}
_OUTPUT = {"DequantizeLinear": TensorProto.FLOAT}
Session = Callable[..., np.ndarray]


@cache
def _session(
    nodes: tuple[tuple[str, str, str], ...], inputs: tuple[tuple[str, int], ...], attributes: tuple, output: int
) -> Session:
    """A chain of nodes `(operator, inputs, output)` whose tensors, scales and zero points included, are all fed at run
    time."""
    made = [
        helper.make_node(
            op, names.split(), [result], domain="com.microsoft" if _is_contrib(op) else "", **dict(attributes[index])
        )
        for index, (op, names, result) in enumerate(nodes)
    ]
    declared = [helper.make_tensor_value_info(name, element, None) for name, element in inputs]
    graph = helper.make_graph(made, "one", declared, [helper.make_tensor_value_info(nodes[-1][2], output, None)])
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.add_session_config_entry("session.x64quantprecision", "1")
    options.intra_op_num_threads = 1
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10).SerializeToString()
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return lambda feeds: session.run(None, feeds)[0]


def _is_contrib(op: str) -> bool:
    return op.startswith("QLinear") and op != "QLinearConv"


def _run(
    nodes: Sequence[tuple[str, str, str]], attributes: Sequence[Mapping[str, object]] = (), **feeds: object
) -> np.ndarray:
    arrays = {name: np.asarray(value) for name, value in feeds.items()}
    frozen = tuple(
        tuple((k, tuple(v) if isinstance(v, list) else v) for k, v in a.items())
        for a in attributes or [{}] * len(nodes)
    )
    inputs = tuple((name, _ELEMENT[array.dtype]) for name, array in arrays.items())
    output = _OUTPUT.get(nodes[-1][0], TensorProto.INT8)
    return _session(tuple(nodes), inputs, frozen, output)(arrays)


def _scale(rng: np.random.Generator, low: float = -7, high: float = 1) -> np.float32:
    return np.float32(np.exp(rng.uniform(low, high)))


def _zero(rng: np.random.Generator) -> int:
    return int(rng.choice([-128, 127, 0, *rng.integers(-128, 128, 5)]))


def _binary(op: str, a: np.ndarray, b: np.ndarray, q: tuple) -> np.ndarray:
    sa, za, sb, zb, sy, zy = q
    feeds = {"as": sa, "az": np.int8(za), "bs": sb, "bz": np.int8(zb), "ys": sy, "yz": np.int8(zy)}
    return _run([(op, "a as az b bs bz ys yz", "y")], a=a, b=b, **feeds)


def _binary_quant(rng: np.random.Generator, case: int) -> tuple:
    """Scales that make ties and cancellations (equal, power-of-two related) as well as arbitrary ones."""
    sa, sb = _scale(rng), _scale(rng)
    sy = np.float32((sa + sb) * rng.uniform(0.5, 1.5)) if case % 3 == 0 else _scale(rng)
    if case % 4 == 1:
        sb, sy = sa, np.float32(sa * 2)
    return sa, _zero(rng), sb, _zero(rng), sy, _zero(rng)


def _real_sum(a: np.ndarray, b: np.ndarray, q: tuple) -> np.ndarray:
    """The textbook rule, dequantise, add, quantise, each step rounded to float32."""
    real = (a.astype(np.float32) - q[1]) * q[0] + (b.astype(np.float32) - q[3]) * q[2]
    return np.clip(np.rint(real / q[4] + np.float32(q[5])), -128, 127).astype(np.int8)


def test_add_equals_the_kernel_on_all_pairs_and_the_textbook_rule_does_not() -> None:
    rng, textbook = np.random.default_rng(1), 0
    for case in range(300):
        q = _binary_quant(rng, case)
        expected = _binary("QLinearAdd", _A, _B, q)
        np.testing.assert_array_equal(arithmetic.pair_table("add", arithmetic.add_params(*q)).ravel(), expected, str(q))
        textbook += int((_real_sum(_A, _B, q) != expected).sum())
    assert textbook > 0


def test_mul_equals_the_kernel_on_all_pairs_and_rounding_before_the_zero_point_does_not() -> None:
    rng, early = np.random.default_rng(2), 0
    for case in range(300):
        q = _binary_quant(rng, case)
        if case % 4 == 1:
            q = (np.float32(0.5), q[1], np.float32(0.25), q[3], np.float32(1), q[5])
        expected = _binary("QLinearMul", _A, _B, q)
        params = arithmetic.mul_params(*q)
        np.testing.assert_array_equal(arithmetic.mul(_A, _B, params), expected, str(q))
        product = (_A.astype(np.int32) - q[1]) * (_B.astype(np.int32) - q[3])
        early += int((arithmetic.requantize(product, params.factor, q[5]) != expected).sum())
    assert early > 0


@pytest.mark.parametrize("op", ["QLinearAdd", "QLinearMul"])
def test_binary_tails_and_broadcast(op: str) -> None:
    rng = np.random.default_rng(3)
    params, rule = (
        (arithmetic.add_params, arithmetic.add) if op == "QLinearAdd" else (arithmetic.mul_params, arithmetic.mul)
    )
    for case, size in enumerate([*range(2, 71), 1023]):
        q = _binary_quant(rng, case)
        a, b = (rng.integers(-128, 128, (size, 3)).astype(np.int8) for _ in range(2))
        np.testing.assert_array_equal(rule(a, b, params(*q)), _binary(op, a, b, q))
        channel = rng.integers(-128, 128, (1, size, 1, 1)).astype(np.int8)
        nchw = rng.integers(-128, 128, (1, size, 5, 3)).astype(np.int8)
        np.testing.assert_array_equal(rule(nchw, channel, params(*q)), _binary(op, nchw, channel, q))
        exchanged = (*q[2:4], *q[0:2], *q[4:])
        np.testing.assert_array_equal(rule(nchw, channel, params(*exchanged)), _binary(op, channel, nchw, q))


def test_add_of_single_elements_runs_with_operands_exchanged() -> None:
    rng, decided = np.random.default_rng(4), 0
    while decided < 20:
        sa = np.float32(rng.uniform(0.01, 0.02))
        q = (sa, _zero(rng), np.float32(sa * rng.integers(1, 9) / 4), _zero(rng), np.float32(sa * 2), _zero(rng))
        straight = arithmetic.pair_table("add", arithmetic.add_params(*q))
        exchanged = arithmetic.pair_table("add", arithmetic.add_params(*q[2:4], *q[0:2], *q[4:])).T
        for a, b in np.argwhere(straight != exchanged)[:5]:
            assert _binary("QLinearAdd", _BYTES[a : a + 1], _BYTES[b : b + 1], q)[0] == exchanged[a, b]
            decided += 1


def test_add_and_mul_refuse_scales_beyond_int32() -> None:
    huge, one = np.float32(2**23), np.float32(1)
    with pytest.raises(ModelError, match=r"ratios 8.38861e\+06 and 1, the limit is 2\*\*22"):
        arithmetic.add_params(huge, 0, one, 0, one, 0)
    with pytest.raises(ModelError, match=r"factor 8.38861e\+06, the limit is 2\*\*14"):
        arithmetic.mul_params(huge, 0, one, 0, one, 0)


_finite = st.floats(width=32, allow_nan=False, allow_infinity=False, min_value=-(2.0**60), max_value=2.0**60)


def _rounded(value: Fraction) -> np.float32:
    """The float32 nearest to an exact value, ties to even, by comparing neighbours."""
    guess = np.float32(float(value))
    candidates = [np.nextafter(guess, np.float32(-np.inf)), guess, np.nextafter(guess, np.float32(np.inf))]
    return min(candidates, key=lambda c: (abs(Fraction(float(c)) - value), int(c.view(np.uint32)) & 1))


@settings(max_examples=400, deadline=None)
@given(_finite, _finite, _finite)
def test_fused_multiply_add_is_the_exact_sum_rounded_once(a: float, b: float, c: float) -> None:
    exact = Fraction(a) * Fraction(b) + Fraction(c)
    assert arithmetic.fused_multiply_add(a, b, c) == _rounded(exact)


def test_fused_multiply_add_differs_from_two_roundings_and_from_a_float64_sum() -> None:
    a = np.float32(1 + 2**-12)
    assert arithmetic.fused_multiply_add(a, a, -1) != a * a - np.float32(1)
    b, c = np.float32(1774001 / 2**30), np.float32(38737 / 2**30)  # b * c = 2**-24 + 2**-60
    assert np.float32(np.float64(b) * np.float64(c) + 1) == 1  # float64 loses the last term, and a tie goes to even
    assert arithmetic.fused_multiply_add(b, c, 1) == np.float32(1 + 2**-23)


def _conv(x: np.ndarray, w: np.ndarray, bias: np.ndarray, q: dict, **attributes: object) -> np.ndarray:
    feeds = {
        "xs": q["xs"],
        "xz": np.int8(q["xz"]),
        "ws": q["ws"],
        "wz": np.zeros(len(w), np.int8),
        "ys": q["ys"],
        "yz": np.int8(q["yz"]),
    }
    return _run([("QLinearConv", "x xs xz w ws wz ys yz bias", "y")], [attributes], x=x, w=w, bias=bias, **feeds)


_CONVS = [  # size, channels in, channels out, kernel, strides, dilations, pads (top, left, bottom, right), groups
    ((9, 11), 5, 7, (3, 3), (1, 1), (1, 1), (1, 0, 2, 1), 1),
    ((12, 9), 3, 16, (7, 5), (2, 2), (1, 1), (3, 2, 2, 1), 1),
    ((10, 10), 8, 12, (3, 3), (1, 2), (2, 3), (2, 1, 0, 3), 1),
    ((8, 8), 12, 18, (3, 3), (1, 1), (1, 1), (1, 1, 1, 1), 3),
    ((6, 7), 16, 16, (3, 3), (2, 1), (1, 1), (0, 1, 1, 0), 16),
    ((6, 7), 6, 12, (5, 5), (1, 1), (1, 1), (2, 2, 2, 2), 6),
    ((4, 4), 2100, 9, (1, 1), (1, 1), (1, 1), (0, 0, 0, 0), 1),
    ((5, 5), 600, 4, (3, 3), (1, 1), (1, 1), (1, 1, 1, 1), 1),
]


@pytest.mark.parametrize(("size", "c_in", "c_out", "kernel", "strides", "dilations", "pads", "groups"), _CONVS)
@pytest.mark.parametrize("extreme", [False, True])
def test_convolution_and_requantisation(
    size: tuple,
    c_in: int,
    c_out: int,
    kernel: tuple,
    strides: tuple,
    dilations: tuple,
    pads: tuple,
    groups: int,
    extreme: bool,
) -> None:
    rng = np.random.default_rng(c_in * c_out + extreme)
    x = rng.integers(-128, 128, (1, c_in, *size)).astype(np.int8)
    w = rng.integers(-128, 128, (c_out, c_in // groups, *kernel)).astype(np.int8)
    bias = rng.integers(-(2**31), 2**31, c_out) if extreme else rng.integers(-(2**20), 2**20, c_out)
    bias = bias.astype(np.int32)
    if extreme:
        x[:, ::2], w[::2] = -128, -128
    spread = np.float32(bias.std() + 1)
    q = {
        "xs": _scale(rng),
        "xz": _zero(rng),
        "ws": np.exp(rng.uniform(-7, -4, c_out)).astype(np.float32),
        "yz": _zero(rng),
    }
    q["ys"] = np.float32(q["xs"] * 0.003 * spread / 60)
    expected = _conv(
        x,
        w,
        bias,
        q,
        kernel_shape=list(kernel),
        strides=list(strides),
        dilations=list(dilations),
        pads=list(pads),
        group=groups,
    )
    border = ((pads[0], pads[2]), (pads[1], pads[3]), (0, 0))
    padded = np.pad(x[0].transpose(1, 2, 0), border, constant_values=q["xz"])
    ohwi = w.transpose(0, 2, 3, 1)
    acc = arithmetic.conv2d_accumulate(padded, ohwi, strides, dilations, groups)
    if groups == c_in == c_out:
        lanes = arithmetic.depthwise_accumulate(padded, ohwi[..., 0].transpose(1, 2, 0), strides, dilations)
        np.testing.assert_array_equal(lanes, acc)
    folded = arithmetic.fold_input_zero_point(ohwi, bias, q["xz"])
    with np.errstate(over="ignore"):
        acc = acc + folded
    result = arithmetic.requantize(acc, arithmetic.conv_factor(q["xs"], q["ws"], q["ys"]), q["yz"])
    np.testing.assert_array_equal(result.transpose(2, 0, 1), expected[0])
    assert extreme or len(np.unique(result)) > 10


def test_requantise_accumulators_of_every_size() -> None:
    """The bias alone sets the accumulator: ties, ties that float32(acc) makes, both ends of int32."""
    rng = np.random.default_rng(6)
    made_ties = (2 * np.arange(32, 120) + 1) * 2**18 + 1  # above 2**24; times 2**-19 just over k + 1/2
    ends = [2**31 - 1, -(2**31), *(2 ** np.arange(24, 31) + 1)]
    bias = np.concatenate([np.arange(-300, 300), made_ties, ends, rng.integers(-(2**31), 2**31, 900)]).astype(np.int32)
    x, w = np.zeros((1, 1, 1, 1), np.int8), np.zeros((len(bias), 1, 1, 1), np.int8)
    for factor in (np.float32(0.5), np.float32(2**-19), *np.exp(rng.uniform(-22, 0, 60)).astype(np.float32)):
        ws = np.full(len(bias), factor)
        q = {"xs": np.float32(1), "xz": 0, "ws": ws, "ys": np.float32(1), "yz": _zero(rng) // 4}
        expected = _conv(x, w, bias, q, kernel_shape=[1, 1]).ravel()
        np.testing.assert_array_equal(arithmetic.requantize(bias, ws, q["yz"]), expected)


def test_requantise_rounds_the_accumulator_before_the_product() -> None:
    """Accumulators picked so that rounding float32(acc) first, or the exact product once, gives different bytes."""
    rng = np.random.default_rng(14)
    factor = np.exp(rng.uniform(-16, -12, 20_000)).astype(np.float32)
    acc = np.rint((rng.integers(0, 100, factor.size) + 0.5) / factor.astype(np.float64)).astype(np.int32)
    exact = acc * factor.astype(np.float64)
    once = np.rint(exact.astype(np.float32))
    twice = np.rint(acc.astype(np.float32) * factor)
    for other in (once, np.rint(exact)):
        chosen = np.flatnonzero(other != twice)
        assert len(chosen) > 20
        x, w = np.zeros((1, 1, 1, 1), np.int8), np.zeros((len(chosen), 1, 1, 1), np.int8)
        q = {"xs": np.float32(1), "xz": 0, "ws": factor[chosen], "ys": np.float32(1), "yz": 0}
        expected = _conv(x, w, acc[chosen], q, kernel_shape=[1, 1]).ravel()
        np.testing.assert_array_equal(arithmetic.requantize(acc[chosen], q["ws"], 0), expected)


def test_conv_factor_order_of_operations_matters() -> None:
    rng = np.random.default_rng(7)
    x, w, y = (np.exp(rng.uniform(-7, 0, 1000)).astype(np.float32) for _ in range(3))
    assert (np.array([arithmetic.conv_factor(*s) for s in zip(x, w, y, strict=True)]) != x / y * w).any()


def test_long_convolution_is_exact_where_a_single_float32_sum_is_not() -> None:
    x, w = np.full((1, 1, 4096), 127, np.int8), np.full((1, 1, 1, 4096), 127, np.int8)
    x[..., -1] = 1
    assert arithmetic.conv2d_accumulate(x, w)[0, 0, 0] == 4095 * 127 * 127 + 127
    largest = np.full((1, 1, 1 << 17), -128, np.int8)
    assert arithmetic.conv2d_accumulate(largest, largest[None])[0, 0, 0] == -(2**31)  # 2**31 wraps


def test_global_mean() -> None:
    rng = np.random.default_rng(8)
    for pixels in [*range(1, 150), *rng.integers(150, 3600, 60), 3600]:
        x = rng.integers(-128, 128, (1, 24, 1, pixels)).astype(np.int8)
        xs = _scale(rng)
        ys = xs if pixels % 4 == 0 else np.float32(xs * np.exp(rng.uniform(-2, 0.5)))
        q = (xs, _zero(rng), ys, _zero(rng))
        feeds = {"xs": xs, "xz": np.int8(q[1]), "ys": ys, "yz": np.int8(q[3])}
        expected = _run([("QLinearGlobalAveragePool", "x xs xz ys yz", "y")], [{"channels_last": 0}], x=x, **feeds)
        np.testing.assert_array_equal(arithmetic.global_mean(x[0].transpose(1, 2, 0), *q), expected.ravel())


def test_global_mean_refuses_what_the_kernel_refuses() -> None:
    with pytest.raises(ModelError, match="global mean of 4 pixels has factor 256"):
        arithmetic.global_mean_factor(np.float32(1024), np.float32(1), 4)


def test_average_pool_and_an_integer_sum_would_not_do() -> None:
    rng, integer = np.random.default_rng(9), 0
    for case in range(120):
        kernel, strides = (tuple(int(v) for v in rng.integers(1, high, 2)) for high in (5, 4))
        pads = tuple(int(rng.integers(0, kernel[i % 2])) for i in range(4))
        size = tuple(int(v) for v in rng.integers(max(kernel), 14, 2)) if case % 5 else kernel
        xs = _scale(rng)
        ys = xs if case % 2 else np.float32(xs * np.exp(rng.uniform(-1, 0.5)))
        params = arithmetic.AveragePoolParams(xs, _zero(rng), ys, _zero(rng))
        x = rng.integers(-128, 128, (1, 6, *size)).astype(np.int8)
        pads = pads if case % 5 else (0, 0, 0, 0)
        attributes = {
            "kernel_shape": list(kernel),
            "strides": list(strides),
            "pads": list(pads),
            "count_include_pad": case // 2 % 2,
        }
        feeds = {"xs": xs, "xz": np.int8(params.x_zero_point), "ys": ys, "yz": np.int8(params.y_zero_point)}
        expected = _run(
            [("QLinearAveragePool", "x xs xz ys yz", "y")], [{**attributes, "channels_last": 0}], x=x, **feeds
        )[0]
        hwc = x[0].transpose(1, 2, 0)
        result = arithmetic.average_pool(hwc, params, kernel, strides, pads, bool(attributes["count_include_pad"]))
        np.testing.assert_array_equal(result.transpose(2, 0, 1), expected, str((params, attributes)))
        if not any(pads):
            ones = np.ones((*kernel, 6), np.int8)
            total = arithmetic.depthwise_accumulate(hwc, ones, strides) - np.int32(
                kernel[0] * kernel[1] * params.x_zero_point
            )
            factor = xs / (ys * np.float32(kernel[0] * kernel[1]))
            integer += int((arithmetic.requantize(total, factor, params.y_zero_point) != result).sum())
    assert integer > 0


def test_quantize_and_dequantize_linear() -> None:
    rng = np.random.default_rng(10)
    for size in [*range(1, 70), 5000]:
        scale, zero = _scale(rng), _zero(rng)
        x = (rng.normal(size=size) * 100 * scale).astype(np.float32)
        x[::5] = (rng.integers(-300, 300, len(x[::5])) / 2 * scale).astype(np.float32)
        x[-1:] = rng.choice([np.inf, -np.inf, 1e38])
        expected = _run([("QuantizeLinear", "x s z", "y")], x=x, s=scale, z=np.int8(zero))
        np.testing.assert_array_equal(arithmetic.quantize_linear(x, scale, zero), expected)
        real = _run([("DequantizeLinear", "x s z", "y")], x=expected, s=scale, z=np.int8(zero))
        np.testing.assert_array_equal(arithmetic.dequantize_linear(expected, scale, zero), real)


def test_concat_tables() -> None:
    rng = np.random.default_rng(11)
    for case in range(200):
        q = [(_scale(rng, -5, 0), _zero(rng)) for _ in range(3)]
        if case % 4 == 0:
            q[1] = q[0]
        feeds = {f"{name}{i}": value for i, (s, z) in enumerate(q) for name, value in (("s", s), ("z", np.int8(z)))}
        result = _run([("QLinearConcat", "s0 z0 x1 s1 z1 x2 s2 z2", "y")], [{"axis": 0}], x1=_BYTES, x2=_BYTES, **feeds)
        expected = np.concatenate(
            [arithmetic.requantize_table(*q[1], *q[0]), arithmetic.requantize_table(*q[2], *q[0])]
        )
        np.testing.assert_array_equal(result, expected)
        if case % 4 == 0:
            np.testing.assert_array_equal(expected[:256], _BYTES)


_CASES = [
    ("Clip", {"min": 0.0, "max": 6.0}), ("Elu", {"alpha": 1.3}), ("Erf", {}), ("Gelu", {}),
    ("Gelu", {"approximate": "tanh"}),
    ("HardSigmoid", {"alpha": 0.17, "beta": 0.51}), ("HardSwish", {}), ("LeakyRelu", {"alpha": 0.1}),
    ("Mish", {}), ("Mul", {"factor": -0.37}), ("Relu", {}),
    ("Sigmoid", {}), ("Softplus", {}), ("Softsign", {}), ("Tanh", {}),
]  # fmt: skip


def _chain_table(function: str, attributes: dict, q: tuple) -> np.ndarray:
    feeds: dict[str, object] = {"x": _BYTES, "xs": q[0], "xz": np.int8(q[1]), "ys": q[2], "yz": np.int8(q[3])}
    names = "r"
    if function == "Clip":
        feeds |= {key: np.float32(value) for key, value in attributes.items()}
        names, attributes = "r min max", {}
    elif function == "Mul":
        feeds["factor"] = np.float32(attributes["factor"])
        names, attributes = "r factor", {}
    nodes = [("DequantizeLinear", "x xs xz", "r"), (function, names, "f"), ("QuantizeLinear", "f ys yz", "y")]
    return _run(nodes, [{}, attributes, {}], **feeds)


@pytest.mark.parametrize(("function", "attributes"), _CASES)
def test_unary_tables(function: str, attributes: dict) -> None:
    """Exact functions on 200 quantisations; the others within one step, and rarely that."""
    rng, differing = np.random.default_rng(12), 0
    for _ in range(200):
        q = (_scale(rng, -6, -1), _zero(rng), _scale(rng, -8, -2), _zero(rng))
        table, expected = arithmetic.unary_table(function, attributes, *q), _chain_table(function, attributes, q)
        if function in arithmetic.EXACT_FUNCTIONS:
            np.testing.assert_array_equal(table, expected, str(q))
        differing += int((table != expected).sum())
        assert np.abs(table.astype(int) - expected).max() <= 1
    assert differing <= 5


def test_every_function_has_a_case() -> None:
    assert {function for function, _ in _CASES} == arithmetic.UNARY_FUNCTIONS
    with pytest.raises(ModelError, match="no look-up table for `Sin`, there is one for Clip, Elu"):
        arithmetic.unary_table("Sin", {}, np.float32(1), 0, np.float32(1), 0)


@pytest.mark.parametrize(
    ("op", "function", "attributes"),
    [("QLinearSigmoid", "Sigmoid", {}), ("QLinearLeakyRelu", "LeakyRelu", {"alpha": 0.2})],
)
def test_quantised_activations_use_the_same_tables(op: str, function: str, attributes: dict) -> None:
    rng = np.random.default_rng(13)
    for _ in range(200):
        q = (_scale(rng, -6, -1), _zero(rng), _scale(rng, -8, -2), _zero(rng))
        feeds = {"xs": q[0], "xz": np.int8(q[1]), "ys": q[2], "yz": np.int8(q[3])}
        result = _run([(op, "x xs xz ys yz", "y")], [attributes], x=_BYTES, **feeds)
        np.testing.assert_array_equal(arithmetic.unary_table(function, attributes, *q), result)


@pytest.mark.parametrize("function", ["Sigmoid", "Tanh", "Erf", "Gelu"])
def test_polynomials_equal_the_kernels_before_quantisation(function: str) -> None:
    """In float32, at 100,000 points, where correctly rounded values differ in thousands of them."""
    x = np.linspace(-20, 20, 100_001, dtype=np.float32)
    node = helper.make_node(function, ["x"], ["y"])
    kinds = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in "xy"]
    model = helper.make_model(
        helper.make_graph([node], "one", kinds[:1], kinds[1:]),
        opset_imports=[helper.make_opsetid("", 21)],
        ir_version=10,
    )
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    expected = session.run(None, {"x": x})[0]
    np.testing.assert_array_equal(arithmetic.evaluate_unary(function, {}, x), expected)
    if function == "Tanh":
        assert (np.tanh(x.astype(np.float64)).astype(np.float32) != expected).sum() > 1000


def test_apply_table_indexes_by_unsigned_byte() -> None:
    table = np.arange(256, dtype=np.uint8).view(np.int8)[::-1].copy()
    np.testing.assert_array_equal(
        arithmetic.apply_table(np.array([0, 127, -128, -1], np.int8), table), [-1, -128, 127, 0]
    )


def test_public_names_are_sorted_and_exist() -> None:
    assert sorted(arithmetic.__all__, key=lambda n: (not n.isupper(), n.islower(), n)) == arithmetic.__all__
    assert all(hasattr(arithmetic, name) for name in arithmetic.__all__)
