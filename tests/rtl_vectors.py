"""Inputs of the arithmetic units that lie where a rounding decides: the last constant is solved for a sum near a tie."""

import numpy as np
import numpy.typing as npt

__all__ = [
    "Float32s",
    "add_near_ties",
    "add_with_subnormals",
    "average_near_ties",
    "factored_ties",
    "finite_floats",
    "idle_cycles",
    "log_uniform",
    "moved_by_ulps",
    "mul_factored_ties",
    "mul_near_ties",
    "requantise_near_ties",
    "wide_integers",
]

Float32s = npt.NDArray[np.float32]
Float64s = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Pairs = tuple[Integers, Integers]


def idle_cycles(rng: np.random.Generator, rows: int, least: int = 0) -> npt.NDArray[np.uint8]:
    """Idle cycles after each row: runs of rows back to back, and gaps up to beyond any latency."""
    gaps = np.where(rng.random(rows) < 0.1, rng.integers(0, 60, rows), 0)
    return np.asarray(np.maximum(gaps, least), np.uint8)


def log_uniform(rng: np.random.Generator, low: float, high: float, shape: tuple[int, ...] | int) -> Float32s:
    """Float32 between 2**low and 2**high."""
    return np.exp2(rng.uniform(low, high, shape)).astype(np.float32)


def finite_floats(rng: np.random.Generator, shape: tuple[int, ...] | int) -> Float32s:
    """All finite bit patterns alike: every exponent, both signs, subnormals and zeros."""
    exponent = rng.integers(0, 255, shape)
    fraction = rng.integers(0, 2**23, shape) & rng.choice(
        [0, 2**23 - 1, 2**22, 2**23 - 2], shape, p=[0.1, 0.7, 0.1, 0.1]
    )
    return (rng.integers(0, 2, shape) << 31 | exponent << 23 | fraction).astype(np.uint32).view(np.float32)


def moved_by_ulps(values: Float64s | Float32s, steps: Integers) -> Float32s:
    """The float32 values that lie `steps` after those nearest to `values`, zero not crossed."""
    bits = np.asarray(values, np.float32).view(np.int32).astype(np.int64)
    moved: Float32s = (bits + steps).astype(np.int32).view(np.float32)
    return moved


def wide_integers(rng: np.random.Generator, shape: tuple[int, ...] | int) -> Integers:
    """int32 of all widths, among them ties of a rounding to 24 bits, runs of ones, powers of two and both ends."""
    width = rng.integers(1, 33, shape)
    plain = rng.integers(-(2**31), 2**31, shape) >> (32 - width)
    drop = rng.integers(1, 8, shape)  # bits that do not fit a mantissa
    mantissa = np.where(rng.random(shape) < 0.2, 2**24 - 1, rng.integers(2**23, 2**24, shape))
    tie = ((mantissa << drop) + (1 << (drop - 1)) + rng.integers(-1, 2, shape)) * rng.choice([-1, 1], shape)
    power = (1 << (width - 1)) * rng.choice([-1, 1], shape) + rng.integers(-2, 3, shape)
    kind = rng.integers(0, 4, shape)
    return np.clip(np.select([kind == 0, kind == 1], [plain, power], tie), -(2**31), 2**31 - 1)


def _halves(rng: np.random.Generator, size: tuple[int, ...] | int, limit: int = 130) -> Float64s:
    return rng.integers(-limit, limit, size) + 0.5


def _near(rng: np.random.Generator, halves: Float64s) -> Float64s:
    """A tie of the rounding to an integer, moved by up to eight quarters of its last place in float32."""
    return halves + rng.integers(-8, 9, halves.shape) * np.spacing(np.abs(halves).astype(np.float32)).astype(float) / 4


def requantise_near_ties(rng: np.random.Generator, shape: tuple[int, ...]) -> tuple[Integers, Float32s]:
    """Accumulators, and factors that bring them next to k + 1/2, |k| up to 512."""
    acc = wide_integers(rng, shape)
    value = np.where(acc == 0, 1, acc).astype(np.float32).astype(float)
    return acc, moved_by_ulps(_halves(rng, shape, 512) / value, rng.integers(-2, 3, shape))


def factored_ties(largest_divisor: int) -> tuple[Integers, Float32s]:
    """Integers and float32 factors whose exact product is one half of a last place above or below k + 1/2.

    With that half the product has 25 bits and is odd: it is divided by each small divisor that it has.
    """
    half = np.arange(256) + 0.5
    places = 2.0 ** (24 - np.floor(np.log2(half)))
    odd = ((half * places)[:, None] + [-1, 1]).astype(np.int64).ravel()
    divisors = np.arange(3, largest_divisor, 2)
    which, by = np.nonzero((odd[:, None] % divisors == 0) & (odd[:, None] // divisors < 2**24))
    factor = (odd[which] // divisors[by]) / np.repeat(places, 2)[which]
    return divisors[by], factor.astype(np.float32)


def add_near_ties(rng: np.random.Generator, rows: int) -> tuple[Pairs, tuple[Float32s, Float32s, Float32s]]:
    """Operands (a, b) and (a_ratio, b_ratio, offset) whose sum is next to a tie, and so is often the inner sum's rounding."""
    a = rng.choice([1, -1, 2, -2, 4, 3, 5, 127, -128, 0], rows)
    b = rng.choice([1, -1, 2, -4, 3, -7, 127, -128, 0], rows)
    half = _near(rng, _halves(rng, rows))
    # Either the inner sum takes what a's product leaves, or both terms of the inner sum are in one binade and its rounding
    # is a tie every other time, and a's ratio takes what that leaves.
    a_ratio, b_ratio = (log_uniform(rng, -6, 5, rows) for _ in range(2))
    offset = (half - a * a_ratio.astype(float) - b * b_ratio.astype(float)).astype(np.float32)
    binade = rng.integers(-4, 4, rows)
    inner_terms = np.exp2(binade)[:, None] * (1 + rng.integers(0, 2**23, (rows, 2)) / 2**23)
    inner = (inner_terms.astype(np.float32).sum(axis=1)).astype(float)
    ones = np.where(rng.random(rows) < 0.5, 1, -1)
    scale = rng.choice([1, -1, 2, -4], rows)
    swap = rng.random(rows) < 0.5
    return (
        (np.where(swap, a, scale), np.where(swap, b, ones)),
        (
            np.where(swap, a_ratio, ((half - ones * inner) / scale).astype(np.float32)),
            np.where(swap, b_ratio, inner_terms[:, 0].astype(np.float32)),
            np.where(swap, offset, (ones * inner_terms[:, 1]).astype(np.float32)),
        ),
    )


def add_with_subnormals(rng: np.random.Generator, rows: int) -> tuple[Pairs, tuple[Float32s, Float32s, Float32s]]:
    """The rounding of the outer sum is a tie but for the inner one, which is the least number, next to it, or nothing."""
    divisors, factors = factored_ties(128)
    pick = rng.integers(0, len(divisors), rows)
    b = rng.integers(-128, 128, rows)
    b_ratio = np.ldexp(rng.integers(0, 2**24, rows) >> rng.integers(0, 24, rows), -149).astype(np.float32)
    product = np.rint(b * np.ldexp(b_ratio.astype(float), 149))
    step = rng.choice([-2, -1, 0, 0, 0, 1, 2], rows)
    offset = np.ldexp(np.where(rng.random(rows) < 0.2, step, step - product), -149).astype(np.float32)
    return (divisors[pick], b), (factors[pick], b_ratio, offset)


def _operands_with_product(rng: np.random.Generator, product: Integers) -> tuple[Pairs, Pairs]:
    """(a, b), (a_zero, b_zero) with (a - a_zero) * (b - b_zero) = product, |product| up to 255."""
    flip = rng.choice([-1, 1], product.shape)
    differences = (product * flip, flip)
    zeros = tuple(rng.integers(np.maximum(-128, -128 - d), np.minimum(127, 127 - d) + 1) for d in differences)
    return (differences[0] + zeros[0], differences[1] + zeros[1]), (zeros[0], zeros[1])


def mul_near_ties(rng: np.random.Generator, rows: int) -> tuple[Pairs, Pairs, Float32s, Integers]:
    """(a, b), (a_zero, b_zero), factor and y_zero whose product plus y_zero is next to a tie."""
    product = rng.choice([1, -1, 2, 4, 8, -16, 3, 5, 7, 255, -255, 0], rows)
    y_zero = rng.choice([-128, 127, 0, 1, -1, *rng.integers(-128, 128, 8).tolist()], rows)
    wanted = (_near(rng, _halves(rng, rows)) - y_zero) / np.where(product == 0, 1, product)
    factor = moved_by_ulps(wanted, rng.choice([0, 0, 0, 0, -1, 1], rows))
    return *_operands_with_product(rng, product), factor, y_zero


def mul_factored_ties(rng: np.random.Generator, rows: int) -> tuple[Pairs, Pairs, Float32s, Integers]:
    """The same, where the rounding of the product is a tie."""
    divisors, factors = factored_ties(256)
    pick = rng.integers(0, len(divisors), rows)
    y_zero = rng.choice([-128, 127, 0, 1, -1], rows)
    return *_operands_with_product(rng, divisors[pick] * rng.choice([-1, 1], rows)), factors[pick], y_zero


def average_near_ties(
    rng: np.random.Generator, rows: int, lanes: int
) -> tuple[Float32s, Integers, Float32s, npt.NDArray[np.int8]]:
    """Totals (rows, lanes), and counts, y_scale, y_zero whose average is next to a tie; every other row divides by 1."""
    count = np.where(rng.random(rows) < 0.5, rng.integers(1, 30, rows), rng.integers(1, 4096, rows))
    y_scale = log_uniform(rng, -20, 20, rows)
    count[::2], y_scale[::2] = 1, 1
    y_zero = rng.choice([-128, 127, 0, 1, -1, *rng.integers(-128, 128, 8).tolist()], rows).astype(np.int8)
    wanted = _near(rng, _halves(rng, (rows, lanes))) - y_zero[:, None]
    total = wanted * count[:, None] * y_scale[:, None].astype(float)
    moved = moved_by_ulps(np.where(total == 0, 1, total), rng.choice([0, 0, -1, 1], (rows, lanes)))
    return moved, count, y_scale, y_zero
