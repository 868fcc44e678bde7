"""The arithmetic units of hw/rtl against `sfopt.arithmetic`, bit for bit, where roundings decide and everywhere else."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from rtl_bench import build, lint, needs_verilator, run
from rtl_vectors import (
    Float32s,
    add_near_ties,
    add_with_subnormals,
    average_near_ties,
    factored_ties,
    finite_floats,
    idle_cycles,
    log_uniform,
    moved_by_ulps,
    mul_factored_ties,
    mul_near_ties,
    requantise_near_ties,
    wide_integers,
)

from sfopt.arithmetic import (
    AddParams,
    AveragePoolParams,
    MulParams,
    add_params,
    average_windows,
    dequantize_linear,
    fused_multiply_add,
    mul_params,
    pair_table,
    requantize,
)
from sfopt.arithmetic.rounding import Int8Array, round_to_int8
from sfopt_fpga.parameters import pack_binary

pytestmark = needs_verilator
both_widths = pytest.mark.parametrize("lanes", [8, 16])
Rng = np.random.Generator
Array = npt.NDArray[np.generic]
ROWS = 20_000
BYTES = np.arange(256, dtype=np.uint8).view(np.int8)


def _check(
    bench: str, inputs: list[Array], wanted: Array, rng: Rng, parameters: dict[str, int], least_idle: int = 0
) -> None:
    """Both back to back and with gaps, the unit's results are `wanted` (rows, lanes)."""
    rows = len(wanted)
    for idle in (np.full(rows, least_idle, np.uint8), idle_cycles(rng, rows, least_idle)):
        found = run(build(bench, **parameters), inputs, idle, wanted.nbytes // rows).view(wanted.dtype)
        wrong = np.argwhere(found != wanted)
        shown = [(*place, found[tuple(place)], wanted[tuple(place)]) for place in wrong[:5]]
        row = [values[wrong[0, 0]] for values in inputs] if len(wrong) else []
        assert len(wrong) == 0, (
            f"{len(wrong)} of {wanted.size} differ: (row, lane, found, wanted) {shown}; inputs {row}"
        )


@pytest.mark.parametrize("unit", ["sf_requantise", "sf_pair", "sf_average_step", "sf_average_finish"])
def test_units_are_lint_clean(unit: str) -> None:
    lint(unit, LANES=16)


def test_pair_without_addition_is_lint_clean() -> None:
    lint("sf_pair", LANES=8, ADDS=0)


def _requantise_any(rng: Rng, shape: tuple[int, ...]) -> tuple[Array, Float32s]:
    return wide_integers(rng, shape), finite_floats(rng, shape)


def _requantise_in_range(rng: Rng, shape: tuple[int, ...]) -> tuple[Array, Float32s]:
    acc = wide_integers(rng, shape)
    magnitude = log_uniform(rng, -3, 10, shape) / np.maximum(np.abs(acc), 1)
    return acc, (magnitude * rng.choice([-1, 1], shape)).astype(np.float32)


def _requantise_factored(rng: Rng, shape: tuple[int, ...]) -> tuple[Array, Float32s]:
    divisors, factors = factored_ties(4096)
    pick, shift = rng.integers(0, len(divisors), shape), rng.integers(0, 19, shape)
    signs = rng.choice([-1, 1], (2, *shape))
    return (divisors[pick] << shift) * signs[0], np.ldexp(factors[pick], -shift).astype(np.float32) * signs[1]


@both_widths
@pytest.mark.parametrize(
    "make",
    [_requantise_any, _requantise_in_range, requantise_near_ties, _requantise_factored],
    ids=lambda f: f.__name__,
)
def test_requantise(make: Callable[[Rng, tuple[int, ...]], tuple[Array, Float32s]], lanes: int) -> None:
    rng = np.random.default_rng(1)
    acc, factor = make(rng, (ROWS, lanes))
    zero = rng.choice([-128, 127, 0, 1, -1, *rng.integers(-128, 128, 8).tolist()], ROWS).astype(np.int8)
    acc32, factor = acc.astype(np.int32), factor.astype(np.float32)
    with np.errstate(over="ignore", under="ignore"):
        wanted = requantize(acc32, factor, zero[:, None])
    _check("tb_requantise", [acc32, factor, zero], wanted, rng, {"LANES": lanes})


def _records(params: list[AddParams | MulParams]) -> Array:
    return np.frombuffer(b"".join(map(pack_binary, params)), np.uint8).reshape(-1, 16)


def _scales(rng: Rng) -> list[np.float32 | int]:
    """Scale and zero point of a, b and y; often scales that are powers of two apart, whose sums are ties."""
    scales = log_uniform(rng, -5, 3, 3) if rng.random() < 0.6 else np.exp2(rng.integers(-3, 3, 3)).astype(np.float32)
    zeros = [int(rng.choice([-128, 127, 0, rng.integers(-128, 128)])) for _ in range(3)]
    return [value for pair in zip(scales, zeros, strict=True) for value in pair]


@pytest.mark.parametrize(("lanes", "adds"), [(8, 1), (16, 1), (8, 0)])
def test_pair_of_all_bytes(lanes: int, adds: int) -> None:
    """All 65,536 pairs of bytes; the parameter sets take turns from row to row, ADD beside MUL."""
    rng = np.random.default_rng(2)
    params: list[AddParams | MulParams] = []
    for _ in range(6):
        params += [add_params(*_scales(rng))] * adds + [mul_params(*_scales(rng))]
    tables = [pair_table("add" if isinstance(p, AddParams) else "mul", p).reshape(-1, lanes) for p in params]
    a, b = (grid.reshape(-1, lanes) for grid in np.meshgrid(BYTES, BYTES, indexing="ij"))
    inputs = [
        np.repeat(a, len(params), axis=0),
        np.repeat(b, len(params), axis=0),
        np.tile(_records(params), (len(a), 1)),
        np.tile(np.array([isinstance(p, AddParams) for p in params], np.uint8), len(a)),
    ]
    wanted = np.stack(tables, axis=1).reshape(-1, lanes)
    _check("tb_pair", inputs, wanted, rng, {"LANES": lanes, "ADDS": adds})


def _beside_random(rng: Rng, column: Array, lanes: int) -> Int8Array:
    """Random bytes (rows, lanes), the given column in a lane that changes from row to row."""
    rows = len(column)
    found = rng.integers(-128, 128, (rows, lanes)).astype(np.int8)
    found[np.arange(rows), np.arange(rows) % lanes] = column
    return found


def _add_any(rng: Rng, rows: int) -> tuple[tuple[Array, Array], tuple[Float32s, ...]]:
    """Constants of every exponent with which no sum overflows, near enough to each other to matter, or subnormal."""
    exponent = rng.integers(-149, 80, rows) + rng.integers(-30, 31, (3, rows))
    constants = np.ldexp(rng.uniform(1, 2, (3, rows)) * rng.choice([-1, 1], (3, rows)), exponent).astype(np.float32)
    return (rng.integers(-128, 128, rows), rng.integers(-128, 128, rows)), tuple(constants)


@both_widths
@pytest.mark.parametrize("make", [_add_any, add_near_ties, add_with_subnormals], ids=lambda f: f.__name__)
def test_add_rule(make: Callable[[Rng, int], tuple[tuple[Array, Array], tuple[Float32s, ...]]], lanes: int) -> None:
    rng = np.random.default_rng(3)
    (a, b), constants = make(rng, ROWS)
    a, b = _beside_random(rng, a, lanes), _beside_random(rng, b, lanes)
    a_ratio, b_ratio, offset = (c[:, None] for c in constants)
    with np.errstate(under="ignore"):
        wanted = round_to_int8(fused_multiply_add(a, a_ratio, fused_multiply_add(b, b_ratio, offset)))
    records = _records([AddParams(*row) for row in zip(*constants, strict=True)])
    _check("tb_pair", [a, b, records, np.ones(ROWS, np.uint8)], wanted, rng, {"LANES": lanes, "ADDS": 1})


def _mul_any(rng: Rng, rows: int) -> tuple[tuple[Array, Array], tuple[Array, Array], Float32s, Array]:
    a, b, a_zero, b_zero, y_zero = rng.integers(-128, 128, (5, rows))
    factor = np.where(rng.random(rows) < 0.5, finite_floats(rng, rows), log_uniform(rng, -30, 9, rows))
    return (a, b), (a_zero, b_zero), factor, y_zero


@pytest.mark.parametrize(("lanes", "adds"), [(8, 1), (16, 1), (8, 0)])
@pytest.mark.parametrize("make", [_mul_any, mul_near_ties, mul_factored_ties], ids=lambda f: f.__name__)
def test_mul_rule(make: Callable[[Rng, int], tuple], lanes: int, adds: int) -> None:
    rng = np.random.default_rng(4)
    (a, b), zeros, factor, y_zero = make(rng, ROWS)
    a, b = _beside_random(rng, a, lanes), _beside_random(rng, b, lanes)
    a_zero, b_zero = (zero[:, None] for zero in zeros)
    with np.errstate(over="ignore", under="ignore"):
        product = ((a - a_zero) * (b - b_zero)).astype(np.float32) * factor[:, None]
        wanted = round_to_int8(product + y_zero[:, None].astype(np.float32))
    records = _records(
        [MulParams(int(za), int(zb), f, int(zy)) for za, zb, f, zy in zip(*zeros, factor, y_zero, strict=True)]
    )
    _check("tb_pair", [a, b, records, np.zeros(ROWS, np.uint8)], wanted, rng, {"LANES": lanes, "ADDS": adds})


def _totals(rng: Rng, term: Float32s, scale: Float32s) -> Float32s:
    """Totals around the terms that come to them: of like size, of any size, their negative and its neighbours, and powers of
    two so far above that the sum is the total or next to it."""
    sign = rng.choice([-1, 1], term.shape).astype(np.float32)
    any_size = log_uniform(rng, -30, 30, term.shape) * scale * sign
    like = term * log_uniform(rng, -2, 2, term.shape) * sign
    nonzero = np.where(term == 0, scale, term)
    opposite = moved_by_ulps(-nonzero, rng.integers(-3, 4, term.shape))
    power = np.exp2(np.floor(np.log2(np.abs(nonzero))) + rng.integers(22, 28, term.shape)) * sign
    kind = rng.integers(0, 5, term.shape)
    chosen = np.select([kind == 0, kind == 1, kind == 2, kind == 3], [any_size, like, opposite, power], np.float32(0))
    return chosen.astype(np.float32)


@both_widths
@pytest.mark.parametrize("exponents", [(-4, 4), (-96, 85)])
def test_average_step(exponents: tuple[int, int], lanes: int) -> None:
    """Any total: the sum's bits. Small differences, whose products are often ties, as often as any."""
    rng = np.random.default_rng(5)
    zero = rng.integers(-128, 128, ROWS).astype(np.int8)
    small = np.clip(zero[:, None] + rng.integers(-9, 10, (ROWS, lanes)), -128, 127)
    x = np.where(rng.random((ROWS, lanes)) < 0.5, small, rng.integers(-128, 128, (ROWS, lanes))).astype(np.int8)
    scale = log_uniform(rng, *exponents, ROWS)
    first = (rng.random(ROWS) < 0.1).astype(np.uint8)
    term = dequantize_linear(x, scale[:, None], zero[:, None])
    total = _totals(rng, term, scale[:, None])
    wanted = np.where(first[:, None] == 1, np.float32(0), total) + term
    wanted[wanted == 0] = 0  # the unit has no negative zero
    _check("tb_average_step", [total, x, zero, scale, first], wanted.view(np.uint32), rng, {"LANES": lanes})


def _average_any(rng: Rng, rows: int, lanes: int) -> tuple[Float32s, Array, Float32s, Array]:
    """Totals of any size, their averages often in range, with any exponent."""
    count, y_zero = rng.integers(1, 4096, rows), rng.integers(-128, 128, rows).astype(np.int8)
    y_scale = log_uniform(rng, -60, 60, rows)
    size = log_uniform(rng, -40, 11, (rows, lanes)) * rng.choice([-1, 0, 1], (rows, lanes), p=[0.48, 0.04, 0.48])
    return (size * y_scale[:, None] * count[:, None]).astype(np.float32), count, y_scale, y_zero


def _average_extreme(rng: Rng, rows: int, lanes: int) -> tuple[Float32s, Array, Float32s, Array]:
    """Scales at both ends of the range, totals of every exponent that is not subnormal."""
    total, count, _, y_zero = _average_any(rng, rows, lanes)
    total = log_uniform(rng, -126, 127, total.shape) * rng.choice([-1, 1], total.shape).astype(np.float32)
    return total, count, log_uniform(rng, -100, 127, rows), y_zero


@both_widths
@pytest.mark.parametrize("make", [_average_any, _average_extreme, average_near_ties], ids=lambda f: f.__name__)
def test_average_finish(make: Callable[[Rng, int, int], tuple], lanes: int) -> None:
    rng = np.random.default_rng(6)
    total, count, y_scale, y_zero = make(rng, ROWS // 2, lanes)
    with np.errstate(over="ignore", under="ignore"):
        quotient = total / count[:, None].astype(np.float32) / y_scale[:, None]
    wanted = round_to_int8(quotient + y_zero[:, None].astype(np.float32))
    _check("tb_average_finish", [total, count.astype(np.uint16), y_scale, y_zero], wanted, rng, {"LANES": lanes}, 7)


@pytest.mark.parametrize("scales", [(0.1, 0.1), (0.037, 0.012), (0.5, 0.5)])
def test_average_of_windows(scales: tuple[float, float]) -> None:
    """Step after step and then the finish give `average_windows`, for scales with frequent ties too."""
    rng = np.random.default_rng(7)
    taps, rows, lanes = 9, 4000, 8
    params = AveragePoolParams(np.float32(scales[0]), -3, np.float32(scales[1]), 5)
    windows = rng.integers(-128, 128, (taps, rows, lanes)).astype(np.int8)
    counts = rng.integers(1, taps + 1, rows).astype(np.uint16)
    x_scale, x_zero = np.full(rows, params.x_scale), np.full(rows, params.x_zero_point, np.int8)
    y_scale, y_zero = np.full(rows, params.y_scale), np.full(rows, params.y_zero_point, np.int8)
    total = np.zeros((rows, lanes), np.float32)
    for tap, x in enumerate(windows):
        first, idle = np.full(rows, tap == 0, np.uint8), idle_cycles(rng, rows)
        found = run(build("tb_average_step", LANES=lanes), [total, x, x_zero, x_scale, first], idle, 4 * lanes)
        total = found.view(np.float32)
    wanted = average_windows(windows, counts[:, None], params)
    _check("tb_average_finish", [total, counts, y_scale, y_zero], wanted, rng, {"LANES": lanes}, 7)
