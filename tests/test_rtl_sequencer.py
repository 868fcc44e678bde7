"""The RTL's sequencer against `sequencer.run_sequence`: the same instructions in the same order with the same indices, or the same
fault; every word fetched once."""

import random
import re
from collections.abc import Iterator

import pytest
from rtl import DONE, END, PATIENCE_CYCLES, SIM8, WIDE, Machine, Stop, failed, machine, sync

from sfopt.errors import SimulationFault
from sfopt_fpga.isa import ENGINES, LOOP_BODY_WORDS, WORD_BYTES, Axis, Engine, Opcode, decode, encode
from sfopt_fpga.registers import ErrorCode
from sfopt_fpga.rtl_model import Bus
from sfopt_fpga.sequencer import Step, rows_of, run_sequence

pytestmark = pytest.mark.slow

ROW_BYTES = 8
DATA = 1 << 16
"""Where LOAD and STORE find rows: behind the longest program here."""
INDEX_ROWS = {"first": 1, "step": 1, "total": 0xFFFF, "ring": 64, "width": 1, "channels": ROW_BYTES, "pixel_words": 1}
"""A transfer of these rows shows its index: one row, row i at index i."""


def transfer(opcode: Opcode, axis: Axis) -> bytes:
    return encode(opcode, {**INDEX_ROWS, "axis": axis, "dram": DATA})


def loop(axis: Axis, count: int, body: int) -> bytes:
    return encode(Opcode.LOOP, {"axis": axis, "count": count, "body": body})


def random_body(r: random.Random, axes: tuple[Axis, ...], size: int) -> list[bytes]:
    """Words that may stand inside loops over `axes`, loops among them."""
    words: list[bytes] = []
    while len(words) < size:
        free = [a for a in Axis if a not in axes]
        if free and r.random() < 0.25:
            axis = r.choice(free)
            body = random_body(r, (*axes, axis), r.randint(1, 6))
            words += [loop(axis, r.randint(1, 4), len(body)), *body]
        elif r.random() < 0.6:
            words.append(transfer(r.choice([Opcode.LOAD, Opcode.STORE]), r.choice(list(Axis))))
        else:
            words.append(sync(r.choice(list(Engine))))
    return words


def expected_transfers(words: list[bytes], engine: Engine) -> Iterator[tuple[int, int, int]]:
    """(word, address, bytes) of what the engine executes."""
    for step in run_sequence(tuple(words)):
        if ENGINES.get(step.opcode) is engine:
            first, last = rows_of(1, 1, 0xFFFF, step.indices[Axis(step.fields["axis"])])
            yield step.word, DATA + first * ROW_BYTES, (last - first) * ROW_BYTES


def check_transfers(m: Machine, words: list[bytes]) -> None:
    for engine in (Engine.LOAD, Engine.STORE):
        done = [(e.word, e.address, e.dram_bytes) for e in m.executed(engine) if e.dram_bytes]
        assert done == list(expected_transfers(words, engine))


@pytest.mark.parametrize("device", [SIM8, WIDE], ids=lambda d: d.name)
@pytest.mark.parametrize("seed", range(12))
def test_random_loop_nests(device, seed):
    r = random.Random(seed)
    words = [*random_body(r, (), r.choice([5, 30, 120])), END]
    with machine(device, bus=Bus(stall_percent=r.choice([0, 30]), seed=seed)) as m:
        assert m.start(words) == DONE
        check_transfers(m, words)
        assert m.model.read("fetch_bytes") == WORD_BYTES * len(words)


@pytest.mark.parametrize("nested", [False, True])
def test_the_longest_body(nested):
    """The buffer is full, with and without an inner loop at its end."""
    body = [sync(Engine(i % 3)) for i in range(LOOP_BODY_WORDS)]
    body[-2:] = [loop(Axis.CHANNELS, 3, 1), transfer(Opcode.LOAD, Axis.CHANNELS)] if nested else body[-2:]
    body[0] = transfer(Opcode.STORE, Axis.ROWS)
    words = [sync(Engine.LOAD), loop(Axis.ROWS, 3, len(body)), *body, transfer(Opcode.LOAD, Axis.ROWS), END]
    with machine() as m:
        assert m.start(words) == DONE
        check_transfers(m, words)
        assert m.model.read("fetch_bytes") == WORD_BYTES * len(words)


def test_a_body_too_long():
    words = [loop(Axis.ROWS, 1, LOOP_BODY_WORDS + 1), *[sync(Engine.LOAD)] * (LOOP_BODY_WORDS + 1), END]
    with machine() as m:
        assert m.start(words) == failed(ErrorCode.LOOP, 0) == fault_of(words)


@pytest.mark.parametrize("device", [SIM8, WIDE], ids=lambda d: d.name)
@pytest.mark.parametrize("missing", range(5))
def test_no_read_beyond_the_program(device, missing):
    """The program ends within the last beat of DRAM: a burst that reached further would be an error of the bus."""
    page = 4096
    words = [*[sync(Engine.LOAD)] * (2 * page // WORD_BYTES - 1 - missing), END]
    with machine(device, memory_bytes=2 * page) as m:
        assert m.start(words) == DONE
        assert m.model.read("fetch_bytes") == WORD_BYTES * len(words)


LAST_WORDS = {
    "no instruction": (bytes(WORD_BYTES), ErrorCode.ILLEGAL_INSTRUCTION),
    "load": (encode(Opcode.LOAD, {**INDEX_ROWS, "ring": 0}), ErrorCode.RING),
    "compute": (encode(Opcode.COMPUTE, {}), ErrorCode.SETUP),
    "store": (encode(Opcode.STORE, {**INDEX_ROWS, "ring": 0}), ErrorCode.RING),
}


@pytest.mark.nightly
@pytest.mark.parametrize("name", LAST_WORDS)
def test_the_longest_program(name):
    """Of the index of its last word, which fails behind loops in loops, all bits are ones."""
    count = 1 << 20
    last, code = LAST_WORDS[name]
    body = [sync(engine) for engine in Engine] * (count // 3)
    body[-4:] = [loop(Axis.ROWS, 3, 3), loop(Axis.CHANNELS, 3, 1), sync(Engine.LOAD), sync(Engine.STORE)]
    with machine(WIDE, memory_bytes=count * WORD_BYTES) as m:
        m.place([*body, last])
        m.control("start")
        assert any(m.model.run(PATIENCE_CYCLES) for _ in range(3))
        assert m.wait() == failed(code, count - 1)
        assert m.model.read("fetch_bytes") == WORD_BYTES * count
        m.reset()
        assert m.start([END]) == DONE


@pytest.mark.parametrize("axis", list(Axis))
def test_the_last_index(axis):
    """65,535 iterations: a counter of 16 bits is just enough."""
    words = [loop(axis, 0xFFFF, 1), sync(Engine.STORE), transfer(Opcode.LOAD, axis), END]
    with machine(memory_bytes=1 << 20) as m:
        assert m.start(words) == DONE
        assert len(m.executed(Engine.STORE)) == 0xFFFF
        check_transfers(m, words)


def test_one_instruction_every_second_cycle():
    """The issue rate, in a loop without work."""
    words = [loop(Axis.ROWS, 1000, 3), *(sync(e) for e in Engine), END]
    with machine() as m:
        assert m.start(words) == DONE
        assert m.model.read("cycles") <= 2 * 3000 + 100


def fault_of(words: list[bytes]) -> Stop:
    """How `run_sequence` says that the program ends. A SYNC of no engine is found where it is executed."""
    try:
        for step in run_sequence(tuple(words)):
            _check_engine(step)
    except SimulationFault as fault:
        text = str(fault)
        word = re.match(r"instruction (\d+)", text)
        if word is None:
            assert "runs past its last word" in text
            return failed(ErrorCode.END_OF_PROGRAM, len(words))
        illegal = any(t in text for t in ("illegal opcode", "outside its fields", "engine 3 does not exist"))
        return failed(ErrorCode.ILLEGAL_INSTRUCTION if illegal else ErrorCode.LOOP, int(word[1]))
    return DONE


def _check_engine(step: Step) -> None:
    if step.opcode is Opcode.SYNC and step.fields["engine"] == 3:
        raise step.fault("engine 3 does not exist")


def run_all(m: Machine, words: list[bytes]) -> Stop:
    """Run with a host that does nothing."""
    stop = m.start(words)
    while stop.state == "host":
        stop = m.resume()
    return stop


def spoilt(r: random.Random, words: list[bytes]) -> list[bytes]:
    """One word changed, or END gone, in a way that is wrong more often than not."""
    at = r.randrange(len(words))
    raw = int.from_bytes(words[at], "little")
    opcode, fields = decode(words[at])
    choices = [
        raw ^ 1 << r.randint(70, 255),
        raw & ~0xF | r.choice([0, 10, 15]),
        int.from_bytes(encode(Opcode.SYNC, {"engine": 3}), "little"),
        int.from_bytes(encode(Opcode.HOST, {"index": 5}), "little"),
        int.from_bytes(END, "little"),
        int.from_bytes(loop(r.choice(list(Axis)), r.randint(0, 2), r.randint(0, 5)), "little"),
        int.from_bytes(loop(Axis.ROWS, 1, r.choice([40, 1025, 0xFFFF])), "little"),
    ]
    if opcode is Opcode.LOOP:
        choices += [int.from_bytes(encode(opcode, fields | {"body": fields["body"] + d}), "little") for d in (-1, 1, 3)]
    changed = [*words[:at], r.choice(choices).to_bytes(WORD_BYTES, "little"), *words[at + 1 :]]
    return changed if r.random() < 0.9 else changed[:-1]


@pytest.mark.parametrize("device", [SIM8, WIDE], ids=lambda d: d.name)
def test_spoilt_programs(device):
    """The same end as in the simulator, and afterwards a reset mends everything."""
    r, seen = random.Random(1), set()
    good = [sync(Engine.LOAD), END]
    with machine(device) as m:
        for _ in range(150):
            words = [w for w in random_body(r, (), 12) if decode(w)[0] not in ENGINES or r.random() < 0.2]
            words = spoilt(r, [*words, END])
            expected = fault_of(words)
            assert run_all(m, words) == expected
            seen.add(expected.error)
            m.reset()
            assert m.start(good) == DONE
    assert seen >= {ErrorCode.NONE, ErrorCode.ILLEGAL_INSTRUCTION, ErrorCode.LOOP, ErrorCode.END_OF_PROGRAM}


@pytest.mark.parametrize("opcode", [o for o in range(16) if o not in tuple(Opcode)])
def test_opcodes_that_do_not_exist(opcode):
    with machine() as m:
        assert m.start([sync(Engine.LOAD), bytes([opcode, *bytes(31)]), END]) == failed(
            ErrorCode.ILLEGAL_INSTRUCTION, 1
        )


@pytest.mark.parametrize("opcode", list(Opcode))
def test_every_bit_outside_the_fields(opcode):
    """Each single one is seen."""
    with machine() as m:
        for bit in range(4, 256):
            word = (opcode | 1 << bit).to_bytes(WORD_BYTES, "little")
            if not _illegal(word):
                continue
            assert m.start([word, END]) == failed(ErrorCode.ILLEGAL_INSTRUCTION, 0)
            m.reset()


def _illegal(word: bytes) -> bool:
    return fault_of([word, END]).error is ErrorCode.ILLEGAL_INSTRUCTION


def test_an_empty_program():
    with machine() as m:
        assert m.start([]) == failed(ErrorCode.END_OF_PROGRAM, 0)
