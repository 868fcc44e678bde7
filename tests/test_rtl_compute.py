"""The compute engine in `hw/rtl` against the simulator: random COMPUTE instructions, bit for bit and cycle for cycle."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from rtl_bench import needs_verilator
from rtl_compute_bench import Bench
from rtl_compute_cases import Case, Maker, NoRoomError
from rtl_large_cases import LargeMaker

from sfopt.device import Device, load_device
from sfopt_fpga.isa import Binary, ComputeKind, Opcode, encode
from sfopt_fpga.registers import ErrorCode

pytestmark = needs_verilator

SIM8 = replace(load_device("sim8"), banks=24, bank_bytes=2048)
WIDE = replace(SIM8, lanes_in=16, lanes_out=8, bank_bytes=2 * SIM8.bank_bytes)
TALL = replace(SIM8, lanes_out=16)
LARGE = replace(SIM8, banks=32, bank_bytes=8 << 15)
"""All words that an address can name."""


@cache
def bench(device: Device) -> Bench:
    return Bench(device)


def case(device: Device, seed: int, *kinds: ComputeKind, shallow: bool = False) -> Case:
    """The first case from `seed` on that fits."""
    while True:
        rng = np.random.default_rng(seed)
        chosen = kinds or tuple(ComputeKind(int(k)) for k in rng.integers(0, len(ComputeKind), 3))
        try:
            maker = LargeMaker if device is LARGE else Maker
            return maker(rng, device, shallow=shallow).make(*chosen)
        except NoRoomError:
            seed += 1_000_003


def check(device: Device, made: Case) -> None:
    """Run a case: the simulator's scratchpad, in the model's cycles."""
    after, cycles = bench(device).run(made)
    wrong = np.argwhere(after != made.after)
    assert not len(wrong), f"{len(wrong)} bytes differ, the first at word {wrong[0][0]}: {made.parts}"
    assert cycles == made.computes, made.parts


@pytest.mark.parametrize("kind", list(ComputeKind))
def test_one_operation(kind: ComputeKind) -> None:
    for seed in range(120):
        check(SIM8, case(SIM8, 1000 * int(kind) + seed, kind))


def test_operations_in_turn() -> None:
    for seed in range(300):
        check(SIM8, case(SIM8, 50_000 + seed))


def test_two_kernel_columns_in_a_pass() -> None:
    cases = [case(SIM8, 70_000 + seed, ComputeKind.CONV, shallow=True) for seed in range(200)]
    setups = [part.setup for made in cases for part in made.parts]
    enough = [s["kernel_w"] > 2 and s["out_width"] * s["out_height"] >= 2 * SIM8.lanes_out for s in setups]
    assert sum(enough) >= 80
    for made in cases:
        check(SIM8, made)


@pytest.mark.slow
def test_words_wider_than_the_array() -> None:
    for seed in range(100):
        check(WIDE, case(WIDE, 90_000 + seed))
    for seed in range(50):
        check(WIDE, case(WIDE, 95_000 + seed, ComputeKind.CONV, shallow=True))


@pytest.mark.slow
@pytest.mark.parametrize("kind", list(ComputeKind))
def test_large_sizes(kind: ComputeKind) -> None:
    for seed in range(20):
        check(LARGE, case(LARGE, 70_000 + 1000 * int(kind) + seed, kind))


@pytest.mark.nightly
def test_an_array_wider_than_words() -> None:
    for seed in range(300):
        check(TALL, case(TALL, 90_000 + seed))
        check(TALL, case(TALL, 95_000 + seed, ComputeKind.CONV, shallow=True))


@pytest.mark.nightly
@pytest.mark.parametrize("block", range(50))
def test_many(block: int) -> None:
    for seed in range(200):
        check(SIM8, case(SIM8, 10**6 + 1000 * block + seed))
        check(SIM8, case(SIM8, 10**7 + 1000 * block + seed, ComputeKind.CONV, shallow=True))


SETUP = {
    "kind": int(ComputeKind.COPY), "x_height": 2, "x_width": 2, "x_channels": 8, "out_height": 2, "out_width": 2,
    "out_channels": 8, "residual_pixel_words": 1,
}  # fmt: skip
COMPUTE = {
    "x_ring": 2, "x_pixel_words": 1, "out_base": 1024, "out_ring": 2, "out_pixel_words": 1, "first": 2, "channel_first": 8,
    "weights_ring": 8, "weights_base": 2048, "residual_base": 3072, "residual_ring": 2,
}  # fmt: skip
LARGE_SIDES = {"x_height": 16, "x_width": 16, "out_height": 16, "out_width": 16}
LARGE_ROWS = {"x_ring": 16, "out_ring": 16, "residual_ring": 16, "first": 16}
CONV = {
    "kind": 0,
    "groups": 1,
    "kernel_h": 1,
    "kernel_w": 1,
    "stride_h": 1,
    "stride_w": 1,
    "dilation_h": 1,
    "dilation_w": 1,
}


@pytest.mark.parametrize(
    ("setup", "compute", "error"),
    [
        ({}, {}, ErrorCode.NONE),
        ({"kind": 7}, {}, ErrorCode.SETUP),
        ({"binary": 3}, {}, ErrorCode.SETUP),
        ({"x_height": 0}, {}, ErrorCode.SETUP),
        ({"out_channels": 9}, {}, ErrorCode.SETUP),
        ({"out_height": 3}, {}, ErrorCode.SETUP),
        ({"kind": 6, "stride_h": 2, "stride_w": 1}, {}, ErrorCode.SETUP),
        ({"kind": 4}, {}, ErrorCode.SETUP),
        ({**CONV, "kernel_w": 0}, {}, ErrorCode.SETUP),
        ({**CONV, "groups": 3}, {}, ErrorCode.SETUP),
        ({**CONV, "kind": 3, "kernel_h": 2, "kernel_w": 2, "out_height": 1, "out_width": 1}, {}, ErrorCode.SETUP),
        (
            {"kind": 4, "x_channels": 8192, "out_channels": 8192, "out_height": 1, "out_width": 1},
            {},
            ErrorCode.UNSUPPORTED,
        ),
        ({}, {"x_ring": 1}, ErrorCode.RING),
        ({}, {"out_ring": 0}, ErrorCode.RING),
        ({}, {"out_channel": 1}, ErrorCode.RING),
        ({"binary": 1}, {"residual_ring": 1}, ErrorCode.RING),
        (CONV, {"weights_ring": 7}, ErrorCode.RING),
        ({}, {"x_base": 24 * 256 - 3}, 257),
        ({}, {"out_base": 24 * 256 - 3}, 257),
        (CONV, {"weights_base": 24 * 256 - 7}, 257),
        (CONV, {"weights_base": (1 << 20) - 4}, ErrorCode.SCRATCHPAD_RANGE),
        (LARGE_SIDES | {"binary": 1}, LARGE_ROWS | {"residual_base": 128}, 258),
    ],
)
def test_what_must_not_be_asked(setup: dict[str, int], compute: dict[str, int], error: int) -> None:
    words = [encode(Opcode.SETUP, SETUP | setup), encode(Opcode.COMPUTE, COMPUTE | compute)]
    bench(SIM8).run(case(SIM8, 0, ComputeKind.COPY))  # so that the scratchpad is known
    found = bench(SIM8).error(words, [(0, 0), (0, 0)])
    assert found == error or (found == ErrorCode.PARAMETER and setup.get("binary"))


RECORD_BYTES = 16
NO_NUMBERS = [np.inf, -np.inf, np.nan]


@pytest.mark.parametrize(
    ("name", "kind", "binary", "at", "values"),
    [
        ("binary", ComputeKind.COPY, Binary.MUL, 0, NO_NUMBERS),
        *(("binary", ComputeKind.COPY, Binary.ADD, at, NO_NUMBERS) for at in (0, 4, 8)),
        ("has_scale", ComputeKind.COPY, None, 0, NO_NUMBERS),
        *(("average", ComputeKind.AVERAGE_POOL, None, at, [*NO_NUMBERS, 0, -0.0, -1]) for at in (0, 4)),
    ],
)
def test_constants_that_are_no_numbers(
    name: str, kind: ComputeKind, binary: int | None, at: int, values: list[float]
) -> None:
    """Of each record in front of the tables, each float in turn."""
    seeds = (s for s in range(30_000, 31_000) if fits(case(SIM8, s, kind).parts[0].setup, name, binary))
    made = case(SIM8, next(seeds), kind)
    setup = made.parts[0].setup
    records = [flag for flag in ("binary", "has_scale") if setup[flag]] + ["average"]
    check(SIM8, made)
    for value in values:
        bytes_ = made.before.copy().reshape(-1)
        first = setup["parameters"] * SIM8.lanes_in + RECORD_BYTES * records.index(name) + at
        bytes_[first : first + 4] = np.frombuffer(np.float32(value).tobytes(), np.int8)
        bench(SIM8).fill(0, bytes_.reshape(made.before.shape))
        assert bench(SIM8).error(made.words, made.indices) == ErrorCode.PARAMETER, value


def fits(setup: dict[str, int], name: str, binary: int | None) -> bool:
    return name == "average" or (setup["binary"] == binary if name == "binary" else bool(setup[name]))


def test_a_compute_before_any_setup() -> None:
    fresh = Bench(SIM8)
    assert fresh.error([encode(Opcode.COMPUTE, COMPUTE)], [(0, 0)]) == ErrorCode.SETUP


def test_a_mean_goes_on_where_it_stopped() -> None:
    mean = SETUP | {"kind": 4, "out_height": 1, "out_width": 1, "parameters": 2048}
    band = COMPUTE | {"first": 1, "step": 1}
    words = [encode(Opcode.SETUP, mean), encode(Opcode.COMPUTE, band), encode(Opcode.COMPUTE, band | {"x_base": 8})]
    assert bench(SIM8).error(words, [(0, 0), (0, 0), (1, 0)]) == ErrorCode.MEAN_ORDER
