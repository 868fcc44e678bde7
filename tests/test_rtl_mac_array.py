"""The MAC array in `hw/rtl` against numpy, with a multiplier for each product and with one for two."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pytest
from rtl_bench import build, needs_verilator, run
from rtl_vectors import idle_cycles

pytestmark = needs_verilator

Array = npt.NDArray[np.int8]
MULTIPLIES, BANK, ROW, ROW_BANK = 1, 2, 4, 8
EXTREMES = np.array([-128, -127, -1, 0, 1, 126, 127], np.int8)

forms = pytest.mark.parametrize("paired", [0, 1], ids=["plain", "paired"])
sizes = pytest.mark.parametrize("lanes", [(8, 8), (16, 8), (32, 16)], ids=str)


def wanted(flags: Array, row: Array, row_data: Array, x: Array, lanes_out: int) -> npt.NDArray[np.int32]:
    """Results (cycles, lanes_out): one stays until the next input; a row counts from the next cycle on."""
    tiles = np.zeros((2, lanes_out, x.shape[1]), np.int32)
    result = np.zeros((len(x), lanes_out), np.int32)
    for cycle, (flag, value) in enumerate(zip(flags, x.astype(np.int32), strict=True)):
        multiplies = bool(flag & MULTIPLIES)
        result[cycle] = tiles[int(bool(flag & BANK))] @ value if multiplies else result[cycle - 1]
        if flag & ROW:
            tiles[int(bool(flag & ROW_BANK)), row[cycle]] = row_data[cycle]
    return result


def check(
    flags: Array, row: Array, row_data: Array, x: Array, idle: npt.NDArray[np.uint8], paired: int, lanes_out: int
) -> None:
    """Both tiles are filled with zeros first."""
    first = 2 * lanes_out
    lanes_in = x.shape[1]
    zeros = np.zeros((first, lanes_in), np.int8)
    fill = np.repeat([ROW | MULTIPLIES, ROW | ROW_BANK | MULTIPLIES], lanes_out).astype(np.int8)
    flags, row = np.concatenate([fill, flags]), np.concatenate([np.tile(np.arange(lanes_out), 2), row]).astype(np.int8)
    row_data, x = np.concatenate([zeros, row_data]), np.concatenate([zeros, x])
    idle = np.concatenate([np.zeros(first, np.uint8), idle])
    bench = build("tb_mac_array", LANES_IN=lanes_in, LANES_OUT=lanes_out, PAIRED=paired)
    found = run(bench, [x, row_data, row, flags], idle, 4 * lanes_out).view(np.int32)
    # What the tiles hold before they are filled is anything.
    wrong = np.argwhere(found[first:] != wanted(flags, row, row_data, x, lanes_out)[first:])
    assert not len(wrong), f"{len(wrong)} sums differ, the first at cycle, output {wrong[0]}"


@forms
@sizes
@pytest.mark.parametrize("extreme", [False, True], ids=["random", "extreme"])
def test_tiles(paired: int, lanes: tuple[int, int], *, extreme: bool) -> None:
    """Rows arrive while others multiply, in both tiles, in any order."""
    rng = np.random.default_rng(11)
    lanes_in, lanes_out = lanes
    cycles = 4000

    def values() -> Array:
        if extreme:
            # Whole vectors alike as often as mixed ones, so that sums reach both ends.
            mixed = rng.choice(EXTREMES, (cycles, lanes_in))
            return np.where(rng.random((cycles, 1)) < 0.5, mixed, rng.choice(EXTREMES, (cycles, 1)))
        return rng.integers(-128, 128, (cycles, lanes_in)).astype(np.int8)

    flags = rng.integers(0, 16, cycles).astype(np.int8)
    row = rng.integers(0, lanes_out, cycles).astype(np.int8)
    check(flags, row, values(), values(), idle_cycles(rng, cycles), paired, lanes_out)


@forms
@pytest.mark.parametrize("value", [-128, 127])
def test_the_largest_sums(paired: int, value: int) -> None:
    """All weights -128 and all inputs alike; then one output of each pair at the other end, so that it would take a borrow."""
    lanes_in, lanes_out = 32, 16
    tiles = np.full((2, lanes_out, lanes_in), -128, np.int8)
    tiles[1, ::2] = 127
    fill, uses = 2 * lanes_out, 4
    flags = np.array([ROW] * lanes_out + [ROW | ROW_BANK] * lanes_out + [MULTIPLIES, MULTIPLIES | BANK] * 2, np.int8)
    row = np.concatenate([np.tile(np.arange(lanes_out), 2), np.zeros(uses)]).astype(np.int8)
    row_data = np.concatenate([*tiles, np.zeros((uses, lanes_in), np.int8)])
    x = np.concatenate([np.zeros((fill, lanes_in)), np.full((uses, lanes_in), value)]).astype(np.int8)
    check(flags, row, row_data, x, np.zeros(fill + uses, np.uint8), paired, lanes_out)


def _every_pair(lanes: int) -> Iterator[tuple[int, int, Array, Array]]:
    """Cycles (flags, row, row_data, x) in which each output multiplies every weight with every input, in a lane of its own."""
    nothing = np.zeros(lanes, np.int8)
    for step in range(256):
        for output in range(lanes):
            weights = nothing.copy()
            weights[output] = (step + 37 * output) % 256 - 128  # the two of a pair differ
            yield ROW, output, weights, nothing
        for value in range(256):
            yield MULTIPLIES, 0, nothing, ((value + 5 * np.arange(lanes)) % 256 - 128).astype(np.int8)


@forms
def test_every_pair_of_bytes(paired: int) -> None:
    lanes = 8
    flags, row, row_data, x = (np.array(column, np.int8) for column in zip(*_every_pair(lanes), strict=True))
    check(flags, row, row_data, x, np.zeros(len(flags), np.uint8), paired, lanes)
