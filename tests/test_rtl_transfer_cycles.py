"""Cycles of the DMA engines' RTL with a memory that never makes them wait: a word and a beat a cycle, and what comes on top."""

import random

import pytest
from rtl_bench import build, needs_verilator
from rtl_transfers import Episode, Settings, Transfer, expect, play, random_transfer, transfer_word_ends

from sfopt_fpga.isa import Axis, Opcode
from sfopt_fpga.sequencer import rows_of

SHAPES = [(8, 8), (8, 32), (16, 8), (16, 32)]
LIMIT = 1 << 20
LATENCY = 9
"""From an address to its first data, and from the last data to the answer, beyond the cycle that either takes anyway."""

TAKE_TO_ADDRESS = 1
BEAT_TO_END = 3
"""From a beat with all that the last word lacks to the end of a LOAD; that word is written a cycle before the end."""
READ_TO_BEAT = 6
"""From the acceptance of a scratchpad read to the beat that its word completes."""
ANSWER_TO_END = 1
TAKE_TO_TAKE = {"sync": 2, "empty": 6, "moves": 11, "divides": 26}
"""From an instruction to the next one, of this kind, when the first ends at once. Folding adds FOLDING."""
FOLDING = 8

pytestmark = needs_verilator
shaped = pytest.mark.parametrize(("lanes", "beat"), SHAPES)


def run(opcode: Opcode, lanes: int, beat: int) -> list[tuple[Transfer, Episode]]:
    rng = random.Random(f"cycles {opcode} {lanes} {beat}")
    settings = Settings(latency=LATENCY, dram_limit=LIMIT)
    transfers = [random_transfer(rng, opcode, lanes, LIMIT) for _ in range(600)]
    bench = build({Opcode.LOAD: "tb_load", Opcode.STORE: "tb_store"}[opcode], LANES=lanes, DRAM_BYTES=beat)
    return list(zip(transfers, play(bench, settings, transfers), strict=True))


@shaped
def test_load(lanes, beat):
    """Dense rows to the cycle. Windows that skip or overlap may leave a gearbox of two beats without room now and then."""
    exact, late, folding = 0, 0, 0
    for transfer, episode in run(Opcode.LOAD, lanes, beat):
        if episode.trace is None or episode.trace[1] == 0:
            continue
        take, address, _, last_beat, end = episode.cycles
        assert address == take + TAKE_TO_ADDRESS
        first_beat = address + 1 + LATENCY
        written = take + 2
        for stream_end in transfer_word_ends(transfer, lanes, episode.trace[0] % beat):
            arrives = first_beat + -(-stream_end // beat) - 1 if stream_end > 0 else 0
            written = max(written + 1, arrives + BEAT_TO_END - 1)
        ideal = max(written, last_beat) + 1
        if transfer.fields["fold_taps"]:
            assert end >= ideal
            late, folding = late + end - ideal, folding + end - take
        else:
            assert end == ideal
            exact += 1
    assert exact > 100
    assert late < 0.01 * folding


@shaped
def test_store(lanes, beat):
    checked = 0
    for transfer, episode in run(Opcode.STORE, lanes, beat):
        if episode.trace is None or episode.trace[1] == 0:
            continue
        take, address, first_beat, answer, end = episode.cycles
        assert address == take + TAKE_TO_ADDRESS
        skipped = episode.trace[0] % beat
        ends = transfer_word_ends(transfer, lanes, skipped)
        leaves, first = 0, None
        for stream_end in [*range(beat, ends[-1], beat), ends[-1]]:
            word = next(k for k, e in enumerate(ends) if e >= stream_end)
            leaves = max(leaves + 1, take + 1 + word + READ_TO_BEAT)
            first = leaves if first is None else first
        assert first_beat == first
        assert answer == leaves + 1 + LATENCY
        assert end == answer + ANSWER_TO_END
        checked += 1
    assert checked > 200


@pytest.mark.parametrize("opcode", [Opcode.LOAD, Opcode.STORE], ids=["load", "store"])
def test_preparing(opcode):
    seen = set()
    before = None
    for transfer, episode in run(opcode, 8, 8):
        if before is not None and episode.cycles and before[1] - before[0] == 1:
            kind = kind_of(transfer)
            seen.add(kind)
            folds = transfer.opcode is Opcode.LOAD and transfer.fields["fold_taps"] > 0
            assert episode.cycles[0] - before[0] == TAKE_TO_TAKE[kind] + FOLDING * folds
        before = (episode.cycles[0], episode.cycles[-1]) if episode.cycles else None
    assert seen == set(TAKE_TO_TAKE)


def kind_of(transfer: Transfer) -> str:
    if transfer.opcode is Opcode.SYNC:
        return "sync"
    if not expect(transfer, Settings(), 8).size_bytes:
        return "empty"
    fields = transfer.fields
    index = transfer.indices[Axis(fields["axis"])]
    row = rows_of(fields["first"], fields["step"], fields["total"], index)[0]
    return "divides" if row >= fields["ring"] else "moves"
