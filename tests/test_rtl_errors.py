"""Every error that the RTL reports, reached: the code, the instruction, and a reset that mends it. Nothing hangs."""

from typing import Any

import numpy as np
import pytest
from rtl import DONE, END, SIM8, Machine, failed, machine, sync

from sfopt_fpga.isa import WORD_BYTES, Binary, ComputeKind, Engine, Opcode, encode
from sfopt_fpga.parameters import pack_channels
from sfopt_fpga.registers import ErrorCode
from sfopt_fpga.rtl_model import Bus

pytestmark = pytest.mark.slow

WORDS = SIM8.words
BANK_WORDS = SIM8.bank_bytes // SIM8.lanes_in
DATA, LIMIT = 1 << 12, 1 << 18
SIDE, CHANNELS = 3, 8
ROWS = {"ring": 2, "first": 2, "total": 2, "width": 2, "channels": 16, "pixel_words": 2, "dram": DATA}
BASES = {"x": 0, "weights": 2 * BANK_WORDS, "parameters": 3 * BANK_WORDS, "out": 4 * BANK_WORDS}
PARAMETERS = pack_channels(np.arange(CHANNELS, dtype=np.int32), np.full(CHANNELS, 0.01, np.float32))


def load(**more: Any) -> bytes:
    return encode(Opcode.LOAD, {**ROWS, **more})


def store(**more: Any) -> bytes:
    return encode(Opcode.STORE, {**ROWS, **more})


def constants(**more: Any) -> bytes:
    """LOAD of the parameters; they stand in DRAM at DATA."""
    size = len(PARAMETERS)
    fields = {"ring": 1, "first": 1, "total": 1, "width": 1, "channels": size, "pixel_words": size // 8, "dram": DATA}
    return encode(Opcode.LOAD, {**fields, "base": BASES["parameters"], "signal": 1, **more})


def setup(**more: Any) -> bytes:
    """A 1x1 convolution of 3 x 3 pixels of 8 channels, on whatever the scratchpad holds."""
    ones = dict.fromkeys(("kernel_h", "kernel_w", "stride_h", "stride_w", "dilation_h", "dilation_w", "groups"), 1)
    sides = dict.fromkeys(("x_height", "x_width", "out_height", "out_width"), SIDE)
    sizes = {"x_channels": CHANNELS, "out_channels": CHANNELS, "parameters": BASES["parameters"]}
    return encode(Opcode.SETUP, {**ones, **sides, **sizes, **more})


def compute(**more: Any) -> bytes:
    fields = {"x_base": BASES["x"], "x_ring": SIDE, "x_pixel_words": 1, "out_base": BASES["out"], "out_ring": SIDE}
    fields |= {"out_pixel_words": 1, "weights_base": BASES["weights"], "weights_ring": CHANNELS}
    return encode(Opcode.COMPUTE, {**fields, "first": SIDE, "channel_first": CHANNELS, **more})


def computed(word: bytes, setting: bytes | None = None) -> list[bytes]:
    """COMPUTE as instruction 3 of a program that is otherwise sound."""
    return [constants(), setup() if setting is None else setting, sync(Engine.COMPUTE, wait=(1, 0)), word, END]


LARGE = dict.fromkeys(("x_height", "x_width", "out_height", "out_width"), 16)
"""So many pixels that the pipeline reads one operand's first while it reads another's last."""
MEAN = setup(kind=ComputeKind.GLOBAL_MEAN, out_height=1, out_width=1)
LOOP_OF_TWO = encode(Opcode.LOOP, {"count": 2, "body": 2})
TWO_BANDS = compute(first=1, step=1)
GOOD = [*computed(compute())[:-1], load(), sync(Engine.LOAD, signal=(0, 1)), store(wait=1, dram=LIMIT // 2), END]

CASES: dict[str, tuple[list[bytes], ErrorCode, int]] = {
    "compute without setup": ([compute(), END], ErrorCode.SETUP, 0),
    "phase without setup": ([encode(Opcode.PHASE, {"row_step": 1}), END], ErrorCode.SETUP, 0),
    "phase with a bit that has no meaning": (
        [(1 << 255 | 9).to_bytes(32, "little"), END],
        ErrorCode.ILLEGAL_INSTRUCTION,
        0,
    ),
    "output rows so far apart that they end behind the scratchpad": (
        [*computed(compute())[:2], encode(Opcode.PHASE, {"out_row_words": WORDS // 2}), *computed(compute())[2:]],
        ErrorCode.SCRATCHPAD_RANGE,
        4,
    ),
    "kind 7": (computed(compute(), setup(kind=7)), ErrorCode.SETUP, 1),
    "no kernel": (computed(compute(), setup(kernel_w=0)), ErrorCode.SETUP, 1),
    "fold wider than a word": (
        [load(channels=16, fold_taps=2, fold_stride=1, fold_width=4), END],
        ErrorCode.UNSUPPORTED,
        0,
    ),
    "load behind the scratchpad": ([sync(Engine.LOAD), load(base=WORDS - 7), END], ErrorCode.SCRATCHPAD_RANGE, 1),
    "store behind the scratchpad": ([sync(Engine.LOAD), store(base=WORDS - 7), END], ErrorCode.SCRATCHPAD_RANGE, 1),
    "input behind the scratchpad": (computed(compute(x_base=WORDS - 3)), ErrorCode.SCRATCHPAD_RANGE, 3),
    "output behind the scratchpad": (computed(compute(out_base=WORDS - 3)), ErrorCode.SCRATCHPAD_RANGE, 3),
    "weights behind the scratchpad": (computed(compute(weights_base=WORDS - 3)), ErrorCode.SCRATCHPAD_RANGE, 3),
    "input and residual in one bank": (
        computed(
            compute(
                residual_base=BANK_WORDS // 2, **dict.fromkeys(("x_ring", "residual_ring", "out_ring", "first"), 16)
            ),
            setup(kind=ComputeKind.COPY, binary=Binary.MUL, residual_pixel_words=1, **LARGE),
        ),
        ErrorCode.BANK_CONFLICT,
        3,
    ),
    "load without a ring": ([load(ring=0), END], ErrorCode.RING, 0),
    "load into small pixels": ([load(pixel_words=1), END], ErrorCode.RING, 0),
    "store of more rows than the ring has": ([store(ring=1), END], ErrorCode.RING, 0),
    "input without a ring": (computed(compute(x_ring=0)), ErrorCode.RING, 3),
    "output of more rows than the ring has": (computed(compute(out_ring=1)), ErrorCode.RING, 3),
    "load behind the end of DRAM": ([load(dram=LIMIT - 63), END], ErrorCode.DRAM_RANGE, 0),
    "store behind the end of DRAM": ([sync(Engine.LOAD), store(dram=LIMIT), END], ErrorCode.DRAM_RANGE, 1),
    "load at the end of the address space": ([load(dram=0xFFFF_FFFF), END], ErrorCode.DRAM_RANGE, 0),
    "tokens left over": ([sync(Engine.STORE, signal=(1, 0)), END], ErrorCode.TOKENS, 1),
    "waits for itself": ([sync(Engine.LOAD), sync(Engine.COMPUTE, wait=(0, 1)), END], ErrorCode.STALLED, 1),
    "waits behind the queue": (
        [sync(Engine.LOAD, wait=(1, 0)), *[sync(Engine.LOAD)] * 40, sync(Engine.COMPUTE, signal=(1, 0)), END],
        ErrorCode.STALLED,
        0,
    ),
    "band of a mean left out": (
        [constants(), MEAN, sync(Engine.COMPUTE, wait=(1, 0)), LOOP_OF_TWO, TWO_BANDS, TWO_BANDS, END],
        ErrorCode.MEAN_ORDER,
        5,
    ),
}
CASES |= {
    f"{name} counter overflows": (
        [sync(giver, signal=pair), sync(giver, signal=one), END],
        ErrorCode.TOKENS,
        1,
    )
    for giver in Engine
    for name, pair, one in (
        (f"{giver.name.lower()}'s first", (0xFFFF, 0), (1, 0)),
        (f"{giver.name.lower()}'s second", (0, 0xFFFF), (0, 1)),
    )
}


def place_data(m: Machine, parameters: bytes = PARAMETERS) -> None:
    m.memory[DATA : DATA + len(parameters)] = np.frombuffer(parameters, np.int8)


@pytest.mark.parametrize("stall_percent", [0, 30])
@pytest.mark.parametrize("name", CASES)
def test_error_and_recovery(name, stall_percent):
    words, code, word = CASES[name]
    with machine(memory_bytes=LIMIT, bus=Bus(stall_percent=stall_percent)) as m:
        place_data(m)
        assert m.start(words) == failed(code, word)
        m.reset()
        assert m.start(GOOD) == DONE


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_factors_that_are_no_numbers(value):
    factors = np.full(CHANNELS, 0.01, np.float32)
    factors[5] = value
    with machine(memory_bytes=LIMIT) as m:
        place_data(m, pack_channels(np.zeros(CHANNELS, np.int32), factors))
        assert m.start(computed(compute())) == failed(ErrorCode.PARAMETER, 3)
        m.reset()
        place_data(m)
        assert m.start(GOOD) == DONE


@pytest.mark.parametrize("value", [np.inf, np.nan])
@pytest.mark.parametrize("more", [{"binary": Binary.ADD}, {"binary": Binary.MUL}, {"has_scale": 1}], ids=str)
def test_records_that_are_no_numbers(more, value):
    """Scalars are looked at as long as they stand in the machine, which a reset must end."""
    setting = setup(kind=ComputeKind.COPY, residual_pixel_words=1, scale=6 * BANK_WORDS, **more)
    words = computed(compute(residual_base=5 * BANK_WORDS, residual_ring=SIDE), setting)
    with machine(memory_bytes=LIMIT) as m:
        place_data(m, np.float32(value).tobytes() + PARAMETERS[4:])
        assert m.start(words) == failed(ErrorCode.PARAMETER, 3)
        m.reset()
        place_data(m)
        assert m.start(GOOD) == DONE
        assert m.start(words) == DONE


BUS_CASES: dict[str, tuple[list[bytes], int, int]] = {
    "load": ([sync(Engine.LOAD), load(), END], DATA + 63, 1),
    "store": ([sync(Engine.LOAD), store(), END], DATA, 1),
    "fetch": ([sync(Engine.LOAD), sync(Engine.STORE, wait=(1, 0)), END], 2 * WORD_BYTES + 5, 0),
}


@pytest.mark.parametrize("name", BUS_CASES)
def test_bus_errors(name):
    """A burst that holds the byte is answered with an error; a fetch's first word of it is named."""
    words, address, word = BUS_CASES[name]
    with machine(memory_bytes=LIMIT, bus=Bus(bad_address=address)) as m:
        assert m.start(words) == failed(ErrorCode.BUS, word)
        m.reset()
        m.place(words)


def test_dram_that_is_not_there():
    """The limit register lies: the bus says so."""
    with machine(memory_bytes=LIMIT) as m:
        m.place([load(dram=LIMIT), END])
        m.model.write("dram_limit", 0)
        m.control("start")
        assert m.wait() == failed(ErrorCode.BUS, 0)


def test_a_bus_that_does_not_answer():
    with machine(memory_bytes=LIMIT, bus=Bus(latency=1 << 40)) as m:
        assert m.start([END]) == failed(ErrorCode.STALLED, 0)
        m.control("reset")
        assert m.state() == "busy"  # until the burst is over, which is never


@pytest.mark.parametrize("watchdog", [100, 3000])
def test_the_watchdog_waits_as_long_as_it_says(watchdog):
    with machine(memory_bytes=LIMIT) as m:
        stop = m.start(CASES["waits for itself"][0], watchdog)
        assert stop == failed(ErrorCode.STALLED, 1)
        assert watchdog < m.model.read("cycles") < watchdog + 100


def test_without_a_watchdog_nothing_is_stalled():
    with machine(memory_bytes=LIMIT) as m:
        m.place(CASES["waits for itself"][0], watchdog=0)
        m.control("start")
        assert not m.model.run(50_000)
        m.reset()
        assert m.start(GOOD) == DONE


@pytest.mark.parametrize(
    ("setting", "value", "code"),
    [
        ("program_words", (1 << 20) + 1, ErrorCode.UNSUPPORTED),
        ("program_words", 1 << 31, ErrorCode.UNSUPPORTED),
        ("dram_limit", 2 * WORD_BYTES - 1, ErrorCode.DRAM_RANGE),
    ],
)
def test_programs_that_do_not_fit(setting, value, code):
    with machine(memory_bytes=LIMIT) as m:
        m.place([sync(Engine.LOAD), END])
        m.model.write("dram_limit", 0)
        m.model.write(setting, value)
        m.control("start")
        assert m.wait() == failed(code, 0)
        m.reset()
        assert m.start(GOOD) == DONE


def test_the_first_error_stays():
    """A LOAD fails while the rest of the program goes wrong behind it."""
    words = [load(ring=0), sync(Engine.STORE, signal=(0xFFFF, 0)), sync(Engine.STORE, signal=(1, 0)), bytes(32)]
    with machine(memory_bytes=LIMIT) as m:
        first = m.start(words)
        assert first.state == "error"
        m.model.run(1000)
        assert m.wait() == first


def test_every_code_is_reached():
    seen = {code for _, code, _ in CASES.values()}
    elsewhere = {
        ErrorCode.NONE,
        ErrorCode.ILLEGAL_INSTRUCTION,  # test_rtl_sequencer.py
        ErrorCode.LOOP,
        ErrorCode.END_OF_PROGRAM,
        ErrorCode.BUS,  # above
        ErrorCode.PARAMETER,
    }
    assert seen | elsewhere == set(ErrorCode)
