"""Cycles of single instructions against the planner's formulas, and small programs played by hand."""

from dataclasses import replace
from itertools import pairwise

import pytest
from assembler import DEVICE as BOARD
from assembler import Assembler
from layers import conv_layer, input_schedule

from sfopt.cost import PIPELINE_CYCLES, conv_cycles, dma_cycles
from sfopt_fpga.isa import ComputeKind, Engine, Opcode
from sfopt_fpga.playback import Task, schedule_tasks
from sfopt_fpga.simulator import simulate
from sfopt_fpga.timing import QUEUE_DEPTH, bus_rate, bus_work, compute_instruction_cycles, fetch_cycle

DEVICE = replace(BOARD, dram_bytes_per_s=4 * BOARD.clock_hz)
"""One transfer can take all of the bandwidth: 4 bytes, a scratchpad word, a cycle."""
LATENCY = DEVICE.dram_latency_cycles
SETUP = {"kernel_h": 3, "kernel_w": 2, "groups": 2, "x_channels": 10, "x_width": 7, "out_width": 9}


def cycles(kind, rows=4, channels=6):
    return compute_instruction_cycles({**SETUP, "kind": kind}, rows, channels, DEVICE)


def test_conv():
    assert cycles(ComputeKind.CONV) == conv_cycles(4 * 9, 6, 6, 5, 2, DEVICE)
    # 36 pixels are 2 chunks of 16 and one of 4; 2 groups x 1 tile x 6 positions x 2 words of depth; then the drain
    assert cycles(ComputeKind.CONV) == 2 * 24 * 16 + 24 * 4 + 4 + 4 + PIPELINE_CYCLES


@pytest.mark.parametrize(
    ("kind", "pixels", "positions"),
    [
        (ComputeKind.DEPTHWISE, 36, 6),
        (ComputeKind.MAX_POOL, 36, 6),
        (ComputeKind.AVERAGE_POOL, 36, 6),
        (ComputeKind.GLOBAL_MEAN, 28, 1),
        (ComputeKind.COPY, 36, 1),
        (ComputeKind.RESIZE, 36, 1),
    ],
)
def test_one_word_a_cycle(kind, pixels, positions):
    assert cycles(kind) == pixels * 2 * positions + PIPELINE_CYCLES


def test_nothing_to_do():
    assert cycles(ComputeKind.CONV, rows=0) == cycles(ComputeKind.COPY, channels=0) == PIPELINE_CYCLES


def test_bus():
    """Alone, a transfer takes what the planner expects, whether DRAM or the scratchpad limits it."""
    for bytes_per_s in (123_456_789, 400_000_000, 500_000_000, 700_000_000):
        device = replace(DEVICE, dram_bytes_per_s=bytes_per_s)
        for size in (1, 31, 400, 12345):
            work, rate = bus_work(size, device), bus_rate(1, device)
            assert LATENCY + -(-work // rate) == dma_cycles(size, device)
            assert 2 * bus_rate(2, device) <= 2 * bytes_per_s
            assert schedule_tasks([load(size)], device).busy[0].end_cycle == fetch_cycle(0, device) + dma_cycles(
                size, device
            )


def test_fetch():
    assert [fetch_cycle(i, DEVICE) for i in range(3)] == [LATENCY + 8, LATENCY + 16, LATENCY + 24]


def load(size, **more):
    return Task(0, Opcode.LOAD, Engine.LOAD, cycles=LATENCY, dram_bytes=size, **more)


def store(size, **more):
    return Task(0, Opcode.STORE, Engine.STORE, cycles=LATENCY, dram_bytes=size, **more)


def compute(count, **more):
    return Task(0, Opcode.COMPUTE, Engine.COMPUTE, cycles=count, **more)


START = LATENCY + 8
"""The first word is there; one instruction is issued a cycle."""


def spans(*tasks):
    return {
        (b.engine.name.lower(), b.start_cycle - START, b.end_cycle - START) for b in schedule_tasks(tasks, DEVICE).busy
    }


def test_one_engine_in_order():
    assert spans(compute(10), compute(5)) == {("compute", 0, 10), ("compute", 10, 15)}


def test_engines_run_side_by_side():
    assert spans(load(400), compute(100)) == {("load", 0, 120), ("compute", 1, 101)}


def test_a_token_makes_one_wait_for_the_other():
    expected = {("load", 0, 120), ("compute", 120, 220)}
    assert spans(load(400, gives=(1, 0)), compute(100, takes=(1, 0))) == expected


def test_credits_let_an_engine_run_ahead():
    """Two loads of 30 cycles, two computes of 100. One buffer: the second load waits for the first compute; two: it does not."""
    for buffers, last in ((1, 260), (2, 230)):
        sync = Task(0, Opcode.SYNC, Engine.COMPUTE, gives=(buffers, 0), cycles=1)
        body = [load(40, takes=(1, 0), gives=(1, 0)), compute(100, takes=(1, 0), gives=(1, 0))]
        assert max(end for _, _, end in spans(sync, *body, *body)) - 1 == last


def test_two_transfers_share_the_bus():
    """Both pay the latency; then each moves 100 cycles of data at half the speed, and the store's rest alone."""
    assert spans(load(400), store(600)) == {("load", 0, 219), ("store", 1, 270)}


def test_two_transfers_that_the_scratchpad_limits():
    """DRAM gives twice what one engine can take: neither slows the other down."""
    wide = schedule_tasks([load(400), store(400)], BOARD).busy
    assert [b.end_cycle - b.start_cycle for b in wide] == [LATENCY + 100] * 2


def test_latency_does_not_occupy_the_bus():
    assert spans(load(40), store(4000)) == {("load", 0, 39), ("store", 1, 1030)}


def test_bus_is_never_idle_and_never_overloaded():
    busy = schedule_tasks([load(400), store(600), load(200), store(40)], DEVICE).busy
    data = sum(-(-b.dram_bytes // 4) for b in busy)
    assert max(b.end_cycle for b in busy) - START >= LATENCY + data
    for engine in (Engine.LOAD, Engine.STORE):
        mine = sorted((b.start_cycle, b.end_cycle) for b in busy if b.engine is engine)
        assert mine[0][1] <= mine[1][0]


def test_a_full_queue_stops_the_sequencer():
    """The store behind QUEUE_DEPTH + 1 waiting computes is issued when one of them starts."""
    tasks = [compute(1000), *[compute(1)] * (QUEUE_DEPTH + 1), store(4)]
    assert ("store", 1001, 1001 + LATENCY + 1) in spans(*tasks)
    assert ("store", QUEUE_DEPTH + 1, QUEUE_DEPTH + 1 + LATENCY + 1) in spans(*tasks[1:])


def test_barrier_waits_for_all_engines():
    tasks = [load(400), Task(0, Opcode.HOST, None), compute(10), Task(0, Opcode.END, None)]
    assert spans(*tasks) == {("load", 0, 120), ("compute", 121, 131)}
    assert schedule_tasks(tasks, DEVICE).cycles == START + 131


def _on_device(program):
    return replace(program, device=DEVICE)


def test_empty_program():
    assert simulate(_on_device(Assembler().build()), {}).cycles == START


def test_a_frame_is_the_sum_of_its_parts():
    layer = conv_layer()
    result = simulate(_on_device(layer.frame()), layer.inputs)
    sizes = [len(layer.parameters), layer.w.size, layer.x.size]
    expected = sum(dma_cycles(s, DEVICE) for s in sizes) + compute_instruction_cycles(layer.full_setup, 7, 7, DEVICE)
    assert result.cycles == START + expected + dma_cycles(7 * 6 * 7, DEVICE)
    assert result.busy_cycles["load"] == sum(dma_cycles(s, DEVICE) for s in sizes)
    assert result.busy_cycles["store"] == dma_cycles(7 * 6 * 7, DEVICE)


def test_events_are_what_was_counted():
    layer = conv_layer(h=9)
    result = simulate(layer.bands(2, input_schedule(layer.full_setup, 9, 2)), layer.inputs)
    moved = sum(result.reads.values()) + sum(result.writes.values())
    assert sum(e.dram_bytes for e in result.events) == moved
    assert max(e.end_cycle for e in result.events) <= result.cycles
    for engine in Engine:
        mine = [(e.start_cycle, e.end_cycle) for e in result.events if e.engine is engine]
        assert all(a[1] <= b[0] for a, b in pairwise(mine))
        assert sum(b - a for a, b in mine) == result.busy_cycles[engine.name.lower()]


def test_numbers_do_not_depend_on_the_speed_of_dram():
    layer = conv_layer(h=9)
    program = layer.bands(2, input_schedule(layer.full_setup, 9, 2))
    slow = replace(program, device=replace(DEVICE, dram_bytes_per_s=1_000_000, dram_latency_cycles=5000))
    fast, late = simulate(program, layer.inputs), simulate(slow, layer.inputs)
    assert (fast.outputs["out"] == late.outputs["out"]).all()
    assert late.cycles > 10 * fast.cycles
