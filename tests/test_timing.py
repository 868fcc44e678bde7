"""Cycles of single instructions against the planner's formulas, and small programs played by hand.

That whole programs take the RTL's cycles is shown in test_rtl_networks.py.
"""

from dataclasses import replace
from itertools import pairwise
from math import ceil

import pytest
from assembler import DEVICE as BOARD
from assembler import Assembler
from hypothesis import given
from hypothesis import strategies as st
from layers import conv_layer, input_schedule

from sfopt.cost import EMPTY_TRANSFER_CYCLES, LOAD_CYCLES, Moved, dma_cycles
from sfopt.cycles import EMPTY_CYCLES
from sfopt_fpga.isa import Engine, Opcode, decode, encode
from sfopt_fpga.playback import Task, schedule_tasks
from sfopt_fpga.port import Move, share_bus
from sfopt_fpga.simulator import simulate
from sfopt_fpga.timing import (
    DIVIDE_CYCLES,
    EMPTY_PREPARE_CYCLES,
    FETCH_QUEUE_WORDS,
    FETCH_START_CYCLES,
    FOLD_CYCLES,
    ISSUE_CYCLES,
    PREPARE_CYCLES,
    QUEUE_CYCLES,
    QUEUE_DEPTH,
    STOP_CYCLES,
    compute_instruction_cycles,
    transfer_edges,
    transfer_prepare_cycles,
)

DEVICE = replace(BOARD, dram_bytes_per_s=4 * BOARD.clock_hz)
"""One transfer can take all of the bandwidth: 4 bytes, a scratchpad word, a cycle."""
LATENCY = DEVICE.dram_latency_cycles
WORD_CYCLES = 8
"""Of a word of the program on its way in."""
START = FETCH_START_CYCLES + LATENCY + WORD_CYCLES + QUEUE_CYCLES
"""When an engine first looks at a program's first instruction."""


def fields(opcode, program):
    """Of the first instruction of this kind."""
    return next(f for code, f in map(decode, program.words) if code is opcode)


def compute_cycles(rows, channels):
    """Of the COMPUTE of a whole layer, over some of its rows and channels."""
    program = conv_layer().frame()
    setup, instruction = fields(Opcode.SETUP, program), fields(Opcode.COMPUTE, program)
    return compute_instruction_cycles(setup, instruction, rows, channels, DEVICE)


def test_nothing_to_do():
    assert compute_cycles((3, 3), (0, 8)) == compute_cycles((0, 3), (8, 8)) == EMPTY_CYCLES


@pytest.mark.parametrize("engine", [Engine.LOAD, Engine.STORE])
@pytest.mark.parametrize("bytes_per_s", [123_456_789, 400_000_000, 500_000_000, 700_000_000])
@pytest.mark.parametrize("size", [1, 31, 400, 12345])
@pytest.mark.parametrize("bytes_a_word", [0.3, 1, 3.7, 4])
def test_a_transfer_alone_takes_what_the_planner_expects(engine, bytes_per_s, size, bytes_a_word):
    """Whether DRAM or the scratchpad limits it."""
    device, moved = replace(DEVICE, dram_bytes_per_s=bytes_per_s), Moved(size, ceil(size / bytes_a_word))
    before, after = transfer_edges(engine, moved, device)
    (busy,) = schedule_tasks(
        [Task(0, Opcode[engine.name], engine, before=before, moved=moved, after=after)], device
    ).busy
    assert busy.end_cycle - busy.start_cycle == dma_cycles(moved, device, reading=engine is Engine.LOAD)


def test_an_empty_transfer():
    assert transfer_edges(Engine.LOAD, Moved(0, 0), DEVICE) == (EMPTY_TRANSFER_CYCLES, 0)


def test_a_transfer_looks_ahead_longer_where_it_folds_and_where_its_ring_has_come_round():
    fields = {"fold_taps": 0, "ring": 4}
    assert transfer_prepare_cycles(fields, (3, 5)) == PREPARE_CYCLES
    assert transfer_prepare_cycles(fields, (4, 5)) == PREPARE_CYCLES + DIVIDE_CYCLES
    assert transfer_prepare_cycles(fields, (9, 9)) == EMPTY_PREPARE_CYCLES
    assert transfer_prepare_cycles({**fields, "fold_taps": 2}, (0, 1)) == PREPARE_CYCLES + FOLD_CYCLES


TRANSFERS = st.builds(Moved, st.integers(1, 10**6), st.integers(1, 10**6))


@given(st.lists(TRANSFERS, min_size=1, max_size=2))
def test_the_bus_is_shared_fairly_and_none_of_it_is_lost(transfers):
    most = [Move.of(moved, 0, DEVICE).most for moved in transfers]
    rates = share_bus(most, DEVICE)
    assert sum(rates) == min(sum(most), DEVICE.dram_bytes_per_s)
    for rate, limit in zip(rates, most, strict=True):
        assert rate == limit or rate == max(rates)
        assert rate <= limit


def load(size, words=None, **more):
    return Task(0, Opcode.LOAD, Engine.LOAD, before=LATENCY, moved=moved(size, words), **more)


def store(size, words=None, **more):
    return Task(0, Opcode.STORE, Engine.STORE, before=LATENCY, moved=moved(size, words), **more)


def moved(size, words=None):
    """Full words of 4 bytes, unless said otherwise."""
    return Moved(size, -(-size // 4) if words is None else words)


def compute(count, **more):
    return Task(0, Opcode.COMPUTE, Engine.COMPUTE, before=count, **more)


def spans(*tasks):
    return {
        (b.engine.name.lower(), b.start_cycle - START, b.end_cycle - START) for b in schedule_tasks(tasks, DEVICE).busy
    }


def test_one_engine_in_order():
    """The compute engine turns from one to the next in a cycle, the others in none."""
    assert spans(compute(10), compute(5)) == {("compute", 0, 10), ("compute", 11, 16)}
    assert spans(load(40), load(80)) == {("load", 0, 30), ("load", 30, 70)}


def test_engines_run_side_by_side():
    """The sequencer hands out an instruction every second cycle."""
    assert spans(load(400), compute(100)) == {("load", 0, 120), ("compute", ISSUE_CYCLES, ISSUE_CYCLES + 100)}


def test_a_token_makes_one_wait_for_the_other():
    expected = {("load", 0, 120), ("compute", 121, 221)}
    assert spans(load(400, gives=(1, 0)), compute(100, takes=(1, 0))) == expected


def test_an_engine_looks_at_the_next_instruction_while_the_present_one_executes():
    late, early = compute(10, prepare=30), compute(10, prepare=5)
    assert spans(late, early) == {("compute", 30, 40), ("compute", 41, 51)}
    assert spans(early, late) == {("compute", 5, 15), ("compute", 35, 45)}


def test_a_setup_takes_a_look_and_no_more():
    setup = Task(0, Opcode.SETUP, Engine.COMPUTE, prepare=3)
    assert spans(setup, compute(10, prepare=4)) == {("compute", 7, 17)}
    assert spans(compute(100), setup, compute(10, prepare=4)) == {("compute", 0, 100), ("compute", 101, 111)}


def test_credits_let_an_engine_run_ahead():
    """Two loads of 30 cycles, two computes of 100. One buffer: the second load waits for the first compute; two: it does not."""
    for buffers, last in ((1, 31 + 101 + 31 + 100), (2, 31 + 101 + 100)):
        sync = Task(0, Opcode.SYNC, Engine.COMPUTE, gives=(buffers, 0), before=1)
        body = [load(40, takes=(1, 0), gives=(1, 0)), compute(100, takes=(1, 0), gives=(1, 0))]
        assert max(end for _, _, end in spans(sync, *body, *body)) == last + ISSUE_CYCLES


def test_two_transfers_share_the_bus():
    """Both pay the latency; then each moves 100 cycles of data at half the speed, and the store's rest alone."""
    assert spans(load(400), store(600)) == {("load", 0, 218), ("store", 2, 270)}


def test_two_transfers_that_the_scratchpad_limits():
    """DRAM gives twice what one engine can take: neither slows the other down."""
    wide = schedule_tasks([load(400), store(400)], BOARD).busy
    assert [b.end_cycle - b.start_cycle for b in wide] == [LATENCY + 100] * 2


def test_what_one_transfer_cannot_use_the_other_may():
    """One byte a word: the load moves a quarter of what the bus carries, the store three quarters, and all of it alone."""
    assert spans(load(100, 100), store(600)) == {("load", 0, 120), ("store", 2, 22 + 98 + 77)}
    assert spans(store(100, 100), load(600)) == {("store", 0, 120), ("load", 2, 22 + 98 + 77)}


def test_transfers_that_ask_for_less_than_the_bus_has():
    """One byte and three bytes a word: a word a cycle each."""
    assert spans(load(100, 100), store(300, 100)) == {("load", 0, 120), ("store", 2, 122)}


def test_shares_are_exact():
    """A third of a byte a word leaves 11 / 3 bytes a cycle: 1,100 bytes in 300 cycles, and not one more."""
    assert spans(load(110, 330), store(1100)) == {("load", 0, 350), ("store", 2, 322)}


def test_latency_does_not_occupy_the_bus():
    assert spans(load(40), store(4000)) == {("load", 0, 20 + 2 + 16), ("store", 2, 22 + 1008)}


def test_an_end_comes_behind_the_data():
    """Ten words and what is behind them; the next load asks when that is over."""
    assert spans(load(40, after=7), load(40)) == {("load", 0, 37), ("load", 37, 67)}


def test_bus_is_never_idle_and_never_overloaded():
    busy = schedule_tasks([load(400), store(600), load(200), store(40)], DEVICE).busy
    data = sum(-(-b.dram_bytes // 4) for b in busy)
    assert max(b.end_cycle for b in busy) - START >= LATENCY + data
    for engine in (Engine.LOAD, Engine.STORE):
        mine = sorted((b.start_cycle, b.end_cycle) for b in busy if b.engine is engine)
        assert mine[0][1] <= mine[1][0]


def at(word, task):
    return replace(task, word=word)


def test_the_program_and_a_load_share_the_read_channel():
    """Words come in chunks of 8, two under way; a load's data wait for those that were asked for before."""
    tasks = [at(0, load(40)), *(at(i, compute(1)) for i in range(1, 40))]
    first = next(b for b in schedule_tasks(tasks, DEVICE).busy if b.engine is Engine.LOAD)
    arrival = START - QUEUE_CYCLES
    assert first.start_cycle == START
    others = 2 * 8 * WORD_CYCLES - WORD_CYCLES  # of both chunks, behind the first word
    assert first.end_cycle == arrival + others + 10
    alone = schedule_tasks(tasks[:1], DEVICE).busy[0]
    assert alone.end_cycle == START + LATENCY + 10


def test_the_program_does_not_run_away():
    """A queue of 64 words holds what the sequencer has not taken; a word far behind them comes after it has taken some."""
    there = QUEUE_DEPTH + 2 + FETCH_QUEUE_WORDS

    def start(count, last_word):
        """Of a store behind a long compute and so many short ones."""
        tasks = [compute(5000), *[compute(1)] * count, store(4)]
        busy = schedule_tasks([at(min(i, last_word), t) for i, t in enumerate(tasks)], DEVICE).busy
        return next(b.start_cycle for b in busy if b.engine is Engine.STORE)

    assert start(there - 10, 1000) == start(there - 10, 20)
    assert start(there + 20, 1000) > start(there + 20, 20) + LATENCY


def test_a_full_queue_stops_the_sequencer():
    """Of QUEUE_DEPTH + 2 computes behind a long one, one is being looked at, the rest wait, and the store stands behind them."""
    tasks = [compute(1000), *[compute(1)] * (QUEUE_DEPTH + 2), store(4)]
    issued = 1001 + ISSUE_CYCLES + QUEUE_CYCLES
    assert ("store", issued, issued + LATENCY + 1) in spans(*tasks)
    soon = ISSUE_CYCLES * (QUEUE_DEPTH + 2)
    assert ("store", soon, soon + LATENCY + 1) in spans(*tasks[:-2], tasks[-1])


def test_barrier_waits_for_all_engines():
    tasks = [load(400), Task(0, Opcode.HOST, None), compute(10), Task(0, Opcode.END, None)]
    start = 120 + STOP_CYCLES[Opcode.HOST] + QUEUE_CYCLES
    assert spans(*tasks) == {("load", 0, 120), ("compute", start, start + 10)}
    assert schedule_tasks(tasks, DEVICE).cycles == START + start + 10 + STOP_CYCLES[Opcode.END]


def _on_device(program):
    return replace(program, device=DEVICE)


def test_empty_program():
    assert simulate(_on_device(Assembler().build()), {}).cycles == START - QUEUE_CYCLES + STOP_CYCLES[Opcode.END]


def test_a_frame_is_the_sum_of_its_parts():
    """Each engine waits for a token of the one before it; only the first instruction is looked at in vain."""
    layer = conv_layer()
    result = simulate(_on_device(layer.frame()), layer.inputs)
    # words of 4 bytes: 7 parameter records of 2; 5 input channels take 2, in 7 x 9 pixels of weights and 7 x 6 of the map
    blocks = [Moved(7 * 8, 14), Moved(7 * 9 * 5, 7 * 9 * 2), Moved(7 * 6 * 5, 7 * 6 * 2)]
    loading = [dma_cycles(b, DEVICE, reading=True) for b in blocks]
    storing = dma_cycles(Moved(7 * 6 * 7, 7 * 6 * 2), DEVICE, reading=False)
    computing = compute_cycles((0, 7), (0, 7))
    spent = [e.end_cycle - e.start_cycle for e in result.events if e.engine is Engine.LOAD]
    assert spent[1:] == loading[1:]
    words = len(layer.frame().words)
    assert spent[0] == (words - 1) * WORD_CYCLES - QUEUE_CYCLES - PREPARE_CYCLES + 14 + LOAD_CYCLES, (
        "behind the program"
    )
    assert result.busy_cycles["store"] == storing
    assert result.busy_cycles["compute"] == computing
    tokens, end = 2, STOP_CYCLES[Opcode.END]
    assert result.cycles == START + PREPARE_CYCLES + sum(spent) + computing + storing + tokens + end


def test_events_are_what_was_counted():
    layer = conv_layer(h=9)
    result = simulate(
        layer.bands(2, input_schedule(decode(encode(Opcode.SETUP, layer.full_setup))[1], 9, 2)), layer.inputs
    )
    moved = sum(result.reads.values()) + sum(result.writes.values())
    assert sum(e.dram_bytes for e in result.events) == moved
    assert max(e.end_cycle for e in result.events) <= result.cycles
    for engine in Engine:
        mine = [(e.start_cycle, e.end_cycle) for e in result.events if e.engine is engine]
        assert all(a[1] <= b[0] for a, b in pairwise(mine))
        assert sum(b - a for a, b in mine) == result.busy_cycles[engine.name.lower()]
