"""Whole programs of LOAD, STORE, SYNC, LOOP and HOST on the RTL: what the simulator says, whatever the bus does."""

import random
from dataclasses import replace

import numpy as np
import pytest
from assembler import Assembler
from rtl import DONE, END, SIM8, WIDE, failed, machine, sync

from sfopt.device import Device
from sfopt.errors import SimulationFault, UsageError
from sfopt_fpga.cosim import RtlResult, run_rtl
from sfopt_fpga.isa import WORD_BYTES, Axis, Engine, Opcode, decode, encode
from sfopt_fpga.program import Program
from sfopt_fpga.registers import CONTROL, IDENTITY, REGISTERS, ErrorCode, offset_of
from sfopt_fpga.rtl_build import Build
from sfopt_fpga.rtl_model import Bus
from sfopt_fpga.simulator import SimulationResult, simulate

pytestmark = pytest.mark.slow

DEVICES = pytest.mark.parametrize("device", [SIM8, WIDE], ids=lambda d: d.name)


def random_int8(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(-128, 128, shape, np.int8)


def same(rtl: RtlResult, simulated: SimulationResult) -> None:
    """Results and every byte count."""
    assert {k: v.tolist() for k, v in rtl.outputs.items()} == {k: v.tolist() for k, v in simulated.outputs.items()}
    for moved, expected in ((rtl.reads, simulated.reads), (rtl.writes, simulated.writes)):
        assert {k: v for k, v in moved.items() if v} == {k: v for k, v in expected.items() if v}
    assert rtl.program_bytes == simulated.program_bytes


def words_of(device: Device, channels: int) -> int:
    return -(-channels // device.lanes_in)


def copy_whole(device: Device, shape: tuple[int, int, int], base: int = 0) -> Program:
    """DRAM to scratchpad and back."""
    asm = Assembler()
    asm.maps |= {"x": (shape, "inputs"), "out": (shape, "outputs")}
    words = words_of(device, shape[2])
    asm.load("x", base, shape, signal="s", pixel_words=words)
    asm.store("out", base, shape, wait="l", pixel_words=words)
    return asm.build(device=device)


def copy_bands(device: Device, shape: tuple[int, int, int], ring: int, step: int, lead: int) -> Program:
    """In bands of `step` rows through a ring, LOAD up to `lead` bands ahead of STORE, in pixels with room to spare."""
    asm = Assembler()
    asm.maps |= {"x": (shape, "inputs"), "out": (shape, "outputs")}
    rows = {"ring": ring, "first": step, "step": step, "pixel_words": words_of(device, shape[2]) + 1}
    bands = -(-shape[0] // step)
    asm.sync(Engine.STORE, signal=(lead, 0))
    asm.emit(Opcode.LOOP, axis=Axis.ROWS, count=bands, body=2)
    asm.load("x", 7, shape, wait="s", signal="s", **rows)
    asm.store("out", 7, shape, wait="l", signal="l", **rows)
    asm.sync(Engine.LOAD, wait=(0, lead))
    return asm.build(device=device)


@DEVICES
@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 5, 8), (4, 3, 13), (7, 9, 30), (2, 40, 16), (1, 11, 129)])
def test_whole_maps(device, shape):
    program, x = copy_whole(device, shape, base=5), random_int8(1, *shape)
    result = run_rtl(program, {"x": x})
    np.testing.assert_array_equal(result.outputs["out"], x)
    same(result, simulate(program, {"x": x}))
    assert (result.load_bytes, result.store_bytes) == (x.size, x.size)


@DEVICES
@pytest.mark.parametrize("seed", range(10))
def test_bands_through_a_ring(device, seed):
    r = random.Random(seed)
    shape = (r.randint(1, 12), r.randint(1, 9), r.randint(1, 40))
    step, lead = r.randint(1, 4), r.randint(1, 3)
    program = copy_bands(device, shape, step * lead + r.randint(0, 3), step, lead)
    x = random_int8(seed, *shape)
    bus = Bus(stall_percent=r.choice([0, 0, 40]), seed=seed)
    same(run_rtl(program, {"x": x}, bus=bus), simulate(program, {"x": x}))


@DEVICES
@pytest.mark.parametrize(("taps", "stride", "pad"), [(3, 2, 1), (2, 1, 0), (7, 2, 3)])
def test_folding(device, taps, stride, pad):
    """Columns into lanes on the way in, dense on the way out."""
    height, width, depth, out_width = 5, 9, 1, 6
    asm = Assembler()
    asm.maps |= {
        "x": ((height, width, depth), "inputs"),
        "out": ((height, out_width, taps * depth), "outputs"),
    }
    fold = {"fold_taps": taps, "fold_stride": stride, "fold_pad": pad, "fold_width": width, "fold_zero": -3}
    asm.load("x", 0, (height, out_width, taps * depth), signal="s", pixel_words=1, **fold)
    asm.store("out", 0, (height, out_width, taps * depth), wait="l", pixel_words=1)
    program, x = asm.build(device=device), random_int8(2, height, width, depth)
    same(run_rtl(program, {"x": x}), simulate(program, {"x": x}))


@pytest.mark.parametrize("seed", range(20))
def test_stalls_change_cycles_only(seed):
    program, x = copy_bands(SIM8, (12, 7, 11), 6, 2, 2), random_int8(3, 12, 7, 11)
    calm = run_rtl(program, {"x": x})
    again = run_rtl(program, {"x": x})
    stalled = run_rtl(program, {"x": x}, bus=Bus(stall_percent=50, seed=seed))
    assert again.cycles == calm.cycles < stalled.cycles
    same(stalled, simulate(program, {"x": x}))
    assert (calm.load_bytes, calm.store_bytes) == (stalled.load_bytes, stalled.store_bytes)


@pytest.mark.parametrize("seed", range(20))
def test_fetch_and_load_share_a_slow_bus(seed):
    """Requests of both wait for the bus again and again; none may change while it waits."""
    row = {"ring": 1, "first": 1, "total": 1, "width": 64, "channels": 8, "pixel_words": 1, "dram": 1 << 14}
    words = [*[encode(Opcode.LOAD, row)] * 300, END]
    with machine(bus=Bus(stall_percent=70, seed=seed)) as m:
        assert m.start(words) == DONE
        assert m.model.read("load_bytes") == 300 * 64 * 8
        assert m.model.read("fetch_bytes") == WORD_BYTES * len(words)


@pytest.mark.parametrize("latency", [1, 200])
def test_latency_is_paid_once_an_instruction(latency):
    program, x = copy_whole(SIM8, (4, 64, 8)), random_int8(4, 4, 64, 8)
    result = run_rtl(program, {"x": x}, bus=Bus(latency=latency))
    same(result, simulate(program, {"x": x}))
    beats = x.size // SIM8.dram_word_bytes
    spent = 3 * latency + 2 * beats
    assert spent <= result.cycles <= spent + 100


@pytest.mark.parametrize("base", [0, 0x1000, 0xFFFF_FFFF_0000_0000])
def test_the_base_address_may_be_any_page(base):
    program, x = copy_whole(SIM8, (4, 5, 6)), random_int8(5, 4, 5, 6)
    same(run_rtl(program, {"x": x}, bus=Bus(base=base)), simulate(program, {"x": x}))


def test_addresses_carry():
    """Programs, LOADs and STOREs at both ends of 4 GiB, in the midst of which all bits of the bus address change."""
    low, high, size = 0x400, (1 << 32) - 0x2000, 512
    row = {"ring": 1, "first": 1, "total": 1, "width": size // 8, "channels": 8, "pixel_words": 1}
    words = [sync(Engine.LOAD)] * 60
    for source, target in ((high, low), (low, high + size)):
        words += [
            encode(Opcode.LOAD, {**row, "dram": source, "wait": 2, "signal": 2}),
            encode(Opcode.STORE, {**row, "dram": target, "wait": 1, "signal": 1}),
        ]
    words = [
        sync(Engine.STORE, signal=(1, 0)),
        *words,
        *[sync(Engine.COMPUTE)] * 300,
        sync(Engine.LOAD, wait=(0, 1)),
        END,
    ]
    base = (1 << 63) - 0x2000
    with machine(memory_bytes=1 << 32, bus=Bus(base=base)) as m:
        for seed in range(2):
            m.place(words)
            m.memory[high : high + size] = random_int8(seed, size)
            m.model.write("base", base)
            m.control("start")
            assert m.wait() == DONE
            np.testing.assert_array_equal(m.memory[low : low + size], m.memory[high : high + size])
            np.testing.assert_array_equal(m.memory[high + size : high + 2 * size], m.memory[high : high + size])


@pytest.mark.parametrize("seed", range(8))
def test_tokens_in_bulk(seed):
    """Each counter, up to what it holds, taken in parts."""
    r = random.Random(seed)
    words = []
    for giver in Engine:
        others = [e for e in Engine if e is not giver]
        for place, taker in enumerate(others):
            given = r.choice([0xFFFF, r.randrange(0x10000), r.randrange(0x10000)])
            parts = sorted(r.randint(0, given) for _ in range(r.choice([0, 3, 20])))
            back = [e for e in Engine if e is not taker].index(giver)
            words.append(sync(giver, signal=(given, 0) if place == 0 else (0, given)))
            taken = np.diff([0, *parts, given]).tolist()
            words += [sync(taker, wait=(count, 0) if back == 0 else (0, count)) for count in taken]
    with machine() as m:
        assert m.start([*words, END]) == DONE


@pytest.mark.parametrize("seed", range(20))
def test_nothing_depends_on_what_memories_hold_at_the_start(seed):
    program, x = copy_bands(SIM8, (9, 4, 13), 6, 2, 2), random_int8(6, 9, 4, 13)
    result = run_rtl(program, {"x": x}, bus=Bus(seed=seed), build=Build(random_start=True))
    same(result, simulate(program, {"x": x}))
    assert result.cycles == run_rtl(program, {"x": x}).cycles


def host_program(calls: int = 2) -> Program:
    """x -> scratchpad -> a; the host makes b of a; b -> scratchpad -> out."""
    shape = (2, 3, 5)
    asm = Assembler()
    asm.maps |= {"x": (shape, "inputs"), "a": (shape, "feature_maps"), "b": (shape, "feature_maps")}
    asm.maps["out"] = (shape, "outputs")
    asm.host += [("negate", ("a",), ("b",)), ("nothing", (), ())]
    asm.load("x", 0, shape, signal="s", pixel_words=1)
    asm.store("a", 0, shape, wait="l", pixel_words=1)
    asm.emit(Opcode.HOST, index=0)
    if calls > 1:
        asm.emit(Opcode.HOST, index=1)
    asm.load("b", 16, shape, signal="s", pixel_words=1)
    asm.store("out", 16, shape, wait="l", pixel_words=1)
    return asm.build(device=SIM8)


def negate(call, maps):
    return {"b": -maps["a"] - 1} if call.label == "negate" else {}


@pytest.mark.parametrize("stall_percent", [0, 30])
def test_host(stall_percent):
    program, x = host_program(), random_int8(7, 2, 3, 5)
    result = run_rtl(program, {"x": x}, negate, bus=Bus(stall_percent=stall_percent))
    np.testing.assert_array_equal(result.outputs["out"], -x - 1)
    same(result, simulate(program, {"x": x}, negate))
    assert result.events[-1].end_cycle <= result.cycles


def test_a_host_entry_that_does_not_exist():
    program, x = host_program(), random_int8(7, 2, 3, 5)
    with pytest.raises(SimulationFault, match="instruction 2 HOST: index 0, the host table has 0 entries"):
        run_rtl(replace(program, host=()), {"x": x}, negate)
    with pytest.raises(UsageError, match="calls the host for `negate`"):
        run_rtl(program, {"x": x})


def test_events_tell_what_each_engine_did():
    program, x = copy_bands(SIM8, (6, 4, 8), 4, 2, 1), random_int8(8, 6, 4, 8)
    result, simulated = run_rtl(program, {"x": x}), simulate(program, {"x": x})
    for engine in (Engine.LOAD, Engine.STORE):
        done, expected = (
            [(e.word, e.opcode, e.dram_bytes) for e in r.events if e.engine is engine] for r in (result, simulated)
        )
        assert done == expected
    busy = sum(e.end_cycle - e.start_cycle for e in result.events if e.opcode is Opcode.LOAD)
    assert busy == result.busy_cycles["load"]
    assert 0 < result.events[0].start_cycle < result.events[-1].end_cycle <= result.cycles


def test_registers():
    constants = {
        "identity": IDENTITY,
        "lanes_in": 8,
        "lanes_out": 8,
        "banks": 8,
        "bank_words": 1024,
        "accumulator_pixels": 64,
        "dram_word_bytes": 8,
    }
    with machine(bus=Bus(stall_percent=30)) as m:
        for name, value in constants.items():
            m.model.write(name, 0xDEAD_BEEF)
            assert m.model.read(name) == value
        for register in REGISTERS:
            if register.access != "rw":
                assert m.model.read(register.name) == constants.get(register.name, 0)
                continue
            most = (1 << 32 * register.words) - 1
            m.model.write(register.name, most)
            assert m.model.read(register.name) == (most & ~0xFFF if register.name == "base" else most)
            m.model.write(register.name, 0)
        used = {r.offset + 4 * i for r in REGISTERS for i in range(r.words)}
        for offset in set(range(0, 256, 4)) - used:
            m.model.write_offset(offset, 0xFFFF_FFFF)
            assert m.model.read_offset(offset) == 0
        assert m.state() == "idle"


def test_single_bytes_of_registers():
    low = offset_of("base")
    with machine() as m:
        for strobe in range(16):
            m.model.write_offset(low, 0)
            m.model.write_offset(low, 0xFFFF_FFFF, strobe)
            written = sum(0xFF << 8 * byte for byte in range(4) if strobe >> byte & 1)
            assert m.model.read_offset(low) == written & ~0xFFF
            m.model.write_offset(offset_of("watchdog"), 0x1234_5678)
            m.model.write_offset(offset_of("watchdog"), 0, strobe)
            assert m.model.read("watchdog") == 0x1234_5678 & ~written
            m.model.write_offset(offset_of("cycles"), 0xFFFF_FFFF, strobe)
            assert m.model.read("cycles") == 0
        m.model.write_offset(offset_of("control"), 1 << CONTROL["start"], 0b1110)
        assert m.state() == "idle"


def test_the_high_half_is_kept():
    """A counter may count on between the reads of its halves."""
    low = offset_of("base")
    with machine() as m:
        m.model.write("base", 0x1111_0000_0000)
        assert m.model.read_offset(low) == 0
        m.model.write_offset(low + 4, 0x2222)
        assert m.model.read_offset(low + 4) == 0x1111
        assert m.model.read("base") == 0x2222_0000_0000


def test_runs_follow_each_other():
    """Counters and everything else start anew, with and without a reset between two runs."""
    words = [encode(Opcode.LOOP, {"count": 9, "body": 2}), sync(Engine.LOAD), sync(Engine.COMPUTE), END]
    with machine() as m:
        seen = set()
        for reset in (False, False, True, False):
            assert m.start(words) == DONE
            seen.add((m.model.read("cycles"), m.model.read("fetch_bytes")))
            if reset:
                m.reset()
                assert m.model.read("cycles") == m.model.read("program_words") == 0
        assert len(seen) == 1
        assert m.start([END]) == DONE
        assert m.model.read("fetch_bytes") == WORD_BYTES


def test_settings_stand_while_a_program_runs():
    words = [encode(Opcode.HOST, {"index": 77}), sync(Engine.LOAD), END]
    with machine() as m:
        assert m.start(words).state == "host"
        assert (m.model.read("host_index"), m.model.read("error_word")) == (77, 0)
        m.model.write("program_words", 1)
        m.control("start")
        assert (m.model.read("program_words"), m.state()) == (3, "host")
        assert m.resume() == DONE


def test_control_bits_out_of_season():
    """Resume without HOST, start behind an error: nothing happens."""
    with machine() as m:
        m.control("resume")
        assert m.state() == "idle"
        assert m.start([bytes(32)]) == failed(ErrorCode.ILLEGAL_INSTRUCTION, 0)
        assert m.start([END]) == failed(ErrorCode.ILLEGAL_INSTRUCTION, 0)
        assert m.resume() == failed(ErrorCode.ILLEGAL_INSTRUCTION, 0)
        m.reset()
        assert m.model.read("error") == 0
        assert m.start([END]) == DONE


@DEVICES
def test_reset_in_the_middle(device):
    """A reset waits for the bursts under way; the next run knows nothing of it."""
    shape = (40, 4, device.lanes_in)
    program, x = copy_bands(device, shape, 8, 2, 3), random_int8(9, *shape)
    port_in, port_out = program.inputs[0], program.outputs[0]
    with machine(device, memory_bytes=1 << 16, bus=Bus(stall_percent=20)) as m:
        for cycles in range(1, 400, 13):
            m.memory[:] = 0
            m.memory[port_in.offset : port_in.end] = x.reshape(-1)
            m.place(program.words)
            m.control("start")
            m.model.run(cycles)
            m.reset()
        assert m.start(program.words) == DONE
        np.testing.assert_array_equal(m.memory[port_out.offset : port_out.end], x.reshape(-1))


def test_wrong_inputs():
    program = copy_whole(SIM8, (2, 2, 2))
    with pytest.raises(UsageError, match="input `x` is missing"):
        run_rtl(program, {})
    with pytest.raises(UsageError, match="RTL takes LANES_IN from 8 to 128, the device has 4"):
        run_rtl(replace(program, device=replace(SIM8, lanes_in=4)), {"x": random_int8(0, 2, 2, 2)})


def test_a_run_that_takes_too_long():
    program = Assembler()
    program.emit(Opcode.LOOP, count=0xFFFF, body=1)
    program.sync(Engine.LOAD)
    with pytest.raises(SimulationFault, match=r"has not ended after \d+ cycles"):
        run_rtl(program.build(device=SIM8), {}, cycle_limit=1000)


def test_the_program_is_all_there_is():
    """From the file's bytes alone."""
    program, x = copy_whole(SIM8, (3, 4, 5)), random_int8(10, 3, 4, 5)
    assert decode(program.words[0])[0] is Opcode.LOAD
    np.testing.assert_array_equal(run_rtl(program.to_bytes(), {"x": x}).outputs["out"], x)


@pytest.mark.nightly
def test_coverage(tmp_path):
    """Lines of the RTL that a run reached, and some that it did not."""
    with machine(build=Build(coverage=True)) as m:
        assert m.start([sync(Engine.LOAD), END]) == DONE
        m.model.write_coverage(tmp_path / "coverage.dat")
    lines = (tmp_path / "coverage.dat").read_text(encoding="latin-1").splitlines()
    counts = [int(line.rsplit(" ", 1)[1]) for line in lines if "sf_sequencer.sv" in line]
    assert min(counts) == 0 < max(counts)


@pytest.mark.nightly
@pytest.mark.parametrize("dram_word_bytes", [16, 32, 64])
def test_other_widths_of_the_dram_port(dram_word_bytes):
    rate = SIM8.clock_hz * dram_word_bytes * 2 // 3
    device = replace(SIM8, lanes_out=16, banks=5, dram_word_bytes=dram_word_bytes, dram_bytes_per_s=rate)
    for seed in range(4):
        shape = (7 + seed, 5, 9 * seed + 3)
        program, x = copy_bands(device, shape, 7, 3, 2), random_int8(seed, *shape)
        same(run_rtl(program, {"x": x}, bus=Bus(stall_percent=10 * seed, seed=seed)), simulate(program, {"x": x}))
    words = [*[sync(Engine.LOAD)] * 2047, END]
    with machine(device, memory_bytes=1 << 16) as m:
        assert m.start(words) == DONE
        assert m.model.read("fetch_bytes") == WORD_BYTES * len(words)
        assert [e.word for e in m.executed(Engine.LOAD)] == list(range(2047))
