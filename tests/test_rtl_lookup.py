"""Tables in `hw/rtl` against numpy: at every place in the head where one can begin, in words of every width."""

import numpy as np
import pytest
from rtl_bench import build, needs_verilator, run
from rtl_vectors import idle_cycles

pytestmark = needs_verilator

HEAD, LOOKS_UP, ENABLE = 1, 2, 4
RECORD = 16


@pytest.mark.parametrize("lanes", [(8, 8), (8, 16), (16, 8), (32, 32), (64, 64), (128, 8)], ids=str)
def test_lookups(lanes: tuple[int, int]) -> None:
    """Heads of records and two tables arrive word by word, with other words of any content behind; each table in turn."""
    rng = np.random.default_rng(12)
    width, lookups = lanes
    rows: list[tuple[int, int, int, np.ndarray, np.ndarray]] = []
    wanted = []
    for records in (0, 1, 2, 3):
        for second in (False, True):
            head = rng.integers(0, 256, records * RECORD + 512 + width).astype(np.uint8)
            at = records * RECORD + 256 * second
            table = head[at : at + 256]
            words = head[: len(head) // width * width].reshape(-1, width)
            for index, word in enumerate(words):
                rows.append((HEAD | ENABLE, index, at, np.zeros(lookups, np.uint8), word))
                wanted.append(None)
            places = np.concatenate(
                [np.tile(np.arange(256, dtype=np.uint8), lookups), rng.integers(0, 256, 64 * lookups)]
            )
            for i, values in enumerate(places.astype(np.uint8).reshape(-1, lookups)):
                enable = ENABLE * (i % 7 != 0)
                rows.append((LOOKS_UP | enable, 0, at, values, rng.integers(0, 256, width).astype(np.uint8)))
                wanted.append(table[values] if enable else values)
    flags, index, at_bytes, values, data = (np.array(column) for column in zip(*rows, strict=True))
    inputs = [data, values, index.astype(np.uint8), at_bytes.astype(np.uint16), flags.astype(np.uint8)]
    found = run(build("tb_lookup", LANES_IN=width, LANES=lookups), inputs, idle_cycles(rng, len(rows)), lookups)
    for cycle, (got, want) in enumerate(zip(found, wanted, strict=True)):
        assert want is None or np.array_equal(got, want), (cycle, rows[cycle], got, want)
