"""The DMA engines' RTL against transfer.py: random instructions, memories that make them wait, halts and errors."""

import random
from dataclasses import replace

import pytest
from rtl_bench import build, lint, needs_verilator
from rtl_transfers import (
    NEVER,
    WAITING,
    Episode,
    Expected,
    Settings,
    Transfer,
    expect,
    large_transfer,
    play,
    random_transfer,
)

from sfopt_fpga.isa import Opcode
from sfopt_fpga.registers import ErrorCode

SHAPES = [(8, 8), (8, 32), (16, 8), (16, 32)]
"""(lanes, bytes of a beat)."""
LIMIT = 1 << 20
BENCHES = {Opcode.LOAD: "tb_load", Opcode.STORE: "tb_store"}

pytestmark = needs_verilator
shaped = pytest.mark.parametrize(("lanes", "beat"), SHAPES)
both = pytest.mark.parametrize("opcode", list(BENCHES), ids=lambda o: o.name.lower())


def bench(opcode, lanes, beat):
    return build(BENCHES[opcode], LANES=lanes, DRAM_BYTES=beat)


def moved(opcode: Opcode, episode: Episode, lanes: int) -> list[tuple[int, ...]]:
    """Words that a LOAD wrote, (address, bytes), or bytes of a STORE, (bus address, byte), in order."""
    if opcode is Opcode.LOAD:
        return [(int(address), *bytes.fromhex(word)[::-1]) for address, word in episode.writes]
    found = []
    for address, strobe, data in episode.writes:
        written = int(strobe, 16)
        found += [(int(address) + i, b) for i, b in enumerate(bytes.fromhex(data)[::-1]) if written >> i & 1]
    return found


def to_move(opcode: Opcode, expected: Expected, base: int) -> list[tuple[int, ...]]:
    """The same of what is expected."""
    if opcode is Opcode.LOAD:
        return [(a, *w.tobytes()) for a, w in zip(expected.addresses, expected.words, strict=True)]
    return list(enumerate(expected.dram.tobytes(), base + expected.offset))


def tokens(transfer: Transfer, direction: str) -> tuple[int, int]:
    fields = transfer.fields
    if transfer.opcode is Opcode.SYNC:
        return fields[f"{direction}0"], fields[f"{direction}1"]
    return fields[direction] & 1, fields[direction] >> 1


def check_whole(transfer: Transfer, episode: Episode, expected: Expected) -> None:
    assert episode.fault is None
    assert episode.gives == tokens(transfer, "signal")
    assert episode.trace == (expected.offset, expected.size_bytes)


def check(opcode, settings, lanes, transfers, episodes):
    """Every instruction did what transfer.py does; one that was stopped did a part of it, from the start on."""
    assert len(episodes) == len(transfers)
    for index, (transfer, episode) in enumerate(zip(transfers, episodes, strict=True)):
        assert episode.takes == tokens(transfer, "wait")
        expected = Expected() if transfer.opcode is Opcode.SYNC else expect(transfer, settings, lanes)
        got, wanted = moved(opcode, episode, lanes), to_move(opcode, expected, settings.base)
        if episode.trace is not None:
            check_whole(transfer, episode, expected)
            assert got == wanted, (index, transfer)
            continue
        assert episode.halted or episode.fault, (index, transfer)
        assert expected.error or got == wanted[: len(got)], (index, transfer)
        if episode.fault:
            possible = {expected.error} if settings.errors == (0, 0) else {expected.error, ErrorCode.BUS}
            assert episode.fault[0] in possible - {ErrorCode.NONE}, (index, transfer)
            assert episode.fault[1] == index
        else:
            assert transfer.halt_after < WAITING
    return episodes


@pytest.mark.parametrize("top", ["sf_load", "sf_store"])
@pytest.mark.parametrize(("lanes", "beat"), [*SHAPES, (64, 128), (64, 64), (128, 8)])
def test_lint(top, lanes, beat):
    lint(top, LANES=lanes, DRAM_BYTES=beat)


@both
@shaped
@pytest.mark.parametrize(("stall", "latency"), [(0, 0), (40, 30), (160, 3)])
def test_random(opcode, lanes, beat, stall, latency):
    rng = random.Random(f"{opcode} {lanes} {beat} {stall}")
    settings = Settings(1, stall, latency, beat * rng.randrange(1 << 40), LIMIT, patient=stall > 100)
    transfers = [random_transfer(rng, opcode, lanes, LIMIT) for _ in range(700)]
    episodes = check(opcode, settings, lanes, transfers, play(bench(opcode, lanes, beat), settings, transfers))
    assert sum(e.fault is not None for e in episodes) > 10
    assert sum(e.trace is not None and e.trace[1] > 0 for e in episodes) > 300


@both
@pytest.mark.parametrize(("lanes", "beat"), [(8, 8), (16, 32)])
def test_large_sizes(opcode, lanes, beat):
    """All DRAM addresses, on both sides of a bus address from whose neighbour all bits differ."""
    rng = random.Random(f"large {opcode} {lanes}")
    settings = Settings(5, 20, 3, (1 << 63) - (1 << 31))
    transfers = [large_transfer(rng, opcode, lanes) for _ in range(400)]
    episodes = check(opcode, settings, lanes, transfers, play(bench(opcode, lanes, beat), settings, transfers))
    assert sum(e.trace is not None and e.trace[1] > 0 for e in episodes) > 150
    assert {e.fault[0] for e in episodes if e.fault} >= {ErrorCode.DRAM_RANGE, ErrorCode.SCRATCHPAD_RANGE}


@both
@shaped
def test_base_need_not_be_aligned(opcode, lanes, beat):
    rng = random.Random(f"base {opcode} {lanes} {beat}")
    settings = Settings(2, 60, 5, (1 << 40) + 4093, LIMIT)
    transfers = [random_transfer(rng, opcode, lanes, LIMIT) for _ in range(200)]
    check(opcode, settings, lanes, transfers, play(bench(opcode, lanes, beat), settings, transfers))


@both
@shaped
@pytest.mark.parametrize("stall", [0, 120])
def test_halts(opcode, lanes, beat, stall):
    rng = random.Random(f"halts {opcode} {lanes} {beat}")
    settings = Settings(3, stall, 12, 1 << 33, LIMIT)
    transfers = [
        replace(random_transfer(rng, opcode, lanes, LIMIT), halt_after=rng.choice((NEVER, WAITING, rng.randrange(60))))
        for _ in range(700)
    ]
    episodes = check(opcode, settings, lanes, transfers, play(bench(opcode, lanes, beat), settings, transfers))
    assert sum(e.halted for e in episodes) > 50
    assert sum(e.halted and bool(e.writes) for e in episodes) > 20


@both
@shaped
def test_bus_errors(opcode, lanes, beat):
    rng = random.Random(f"errors {opcode} {lanes} {beat}")
    settings = Settings(4, 30, 6, 0, LIMIT, errors=(LIMIT // 8, LIMIT // 4))
    transfers = [random_transfer(rng, opcode, lanes, LIMIT) for _ in range(500)]
    episodes = check(opcode, settings, lanes, transfers, play(bench(opcode, lanes, beat), settings, transfers))
    assert sum(e.fault is not None and e.fault[0] == ErrorCode.BUS for e in episodes) > 20


SOUND = {
    "base": 5,
    "step": 0,
    "ring": 4,
    "first": 3,
    "total": 3,
    "width": 2,
    "channels": 6,
    "pixel_words": 1,
    "dram": 100,
    "fold_pad": 1,
    "fold_zero": 3,
}
FOLDED = {**SOUND, "fold_taps": 2, "fold_stride": 1, "fold_width": 3}
NO_ROWS = {"total": 0}
FAULTS = [
    (Opcode.LOAD, SOUND | {"ring": 0}, ErrorCode.RING),
    (Opcode.STORE, SOUND | {"ring": 0}, ErrorCode.RING),
    (Opcode.STORE, SOUND | {"ring": 2}, ErrorCode.RING),
    (Opcode.LOAD, SOUND | {"ring": 2}, ErrorCode.NONE),
    (Opcode.LOAD, SOUND | {"channels": 9}, ErrorCode.RING),
    (Opcode.LOAD, SOUND | {"ring": 0} | NO_ROWS, ErrorCode.NONE),
    (Opcode.LOAD, SOUND | {"dram": LIMIT - 36}, ErrorCode.NONE),
    (Opcode.LOAD, SOUND | {"dram": LIMIT - 35}, ErrorCode.DRAM_RANGE),
    (Opcode.STORE, SOUND | {"dram": LIMIT - 35}, ErrorCode.DRAM_RANGE),
    (Opcode.STORE, SOUND | {"dram": 0xFFFFFFFF}, ErrorCode.DRAM_RANGE),
    (Opcode.LOAD, SOUND | {"width": 65535, "channels": 0xFFFFF, "pixel_words": 4095}, ErrorCode.RING),
    (Opcode.LOAD, SOUND | {"width": 65535, "channels": 4095 * 8, "pixel_words": 4095}, ErrorCode.DRAM_RANGE),
    (Opcode.LOAD, SOUND | {"base": (1 << 20) - 6}, ErrorCode.NONE),
    (Opcode.LOAD, SOUND | {"base": (1 << 20) - 5}, ErrorCode.SCRATCHPAD_RANGE),
    (Opcode.STORE, SOUND | {"base": (1 << 20) - 5}, ErrorCode.SCRATCHPAD_RANGE),
    (Opcode.STORE, SOUND | {"pixel_words": 4095, "base": (1 << 20) - 4094}, ErrorCode.SCRATCHPAD_RANGE),
    (Opcode.LOAD, FOLDED, ErrorCode.NONE),
    (Opcode.STORE, FOLDED, ErrorCode.ILLEGAL_INSTRUCTION),
    (Opcode.STORE, FOLDED | NO_ROWS, ErrorCode.ILLEGAL_INSTRUCTION),
    (Opcode.LOAD, FOLDED | {"channels": 7}, ErrorCode.ILLEGAL_INSTRUCTION),
    (Opcode.LOAD, FOLDED | {"channels": 7} | NO_ROWS, ErrorCode.ILLEGAL_INSTRUCTION),
    (Opcode.LOAD, FOLDED | {"fold_stride": 0}, ErrorCode.ILLEGAL_INSTRUCTION),
    (Opcode.LOAD, FOLDED | {"channels": 10, "pixel_words": 2}, ErrorCode.UNSUPPORTED),
    (Opcode.LOAD, FOLDED | {"fold_width": 0}, ErrorCode.NONE),
    (Opcode.LOAD, FOLDED | {"width": 0}, ErrorCode.NONE),
    (Opcode.STORE, SOUND | {"channels": 0}, ErrorCode.NONE),
]


@both
def test_faults(opcode):
    settings = Settings(dram_limit=LIMIT)
    cases = [
        (Transfer(o, {"wait": 0, "signal": 0, "axis": 0, "fold_taps": 0, "fold_stride": 0, **fields}), error)
        for o, fields, error in FAULTS
        if o is opcode
    ]
    transfers = [transfer for transfer, _ in cases]
    episodes = check(opcode, settings, 8, transfers, play(bench(opcode, 8, 8), settings, transfers))
    assert [e.fault and e.fault[0] for e in episodes] == [int(error) or None for _, error in cases]
