"""Token bookkeeping: bits where a bit will do, SYNC where none is left, nothing where order follows, and debts paid."""

import pytest

from sfopt.errors import InternalError
from sfopt_fpga.isa import Engine, Opcode
from sfopt_fpga.tokens import Flow, Tape, Word, engine_of, link, others

LOAD, COMPUTE, STORE = Engine


def words(*opcodes: Opcode) -> list[Word]:
    return [Word(opcode) for opcode in opcodes]


def issued(tape: Tape, opcode: Opcode) -> Word:
    word = Word(opcode)
    tape.issue(word)
    return word


def balance(tape: Tape) -> dict[tuple[Engine, Engine], int]:
    """Tokens given minus tokens taken for each pair, loops counted once (what their bodies pass is even)."""
    counts: dict[tuple[Engine, Engine], int] = {}
    for word in tape.words:
        engine = engine_of(word)
        for bit, other in enumerate(others(engine)) if engine is not None else ():
            given = word.values.get(f"signal{bit}", 0) + (word.values.get("signal", 0) >> bit & 1)
            taken = word.values.get(f"wait{bit}", 0) + (word.values.get("wait", 0) >> bit & 1)
            counts[engine, other] = counts.get((engine, other), 0) + given
            counts[other, engine] = counts.get((other, engine), 0) - taken
    return counts


def test_bits_name_the_other_engines_in_order() -> None:
    assert [others(e) for e in Engine] == [(COMPUTE, STORE), (LOAD, STORE), (LOAD, COMPUTE)]
    load, compute = words(Opcode.LOAD, Opcode.COMPUTE)
    link(load, compute)
    assert (load.values, compute.values) == ({"signal": 1}, {"wait": 1})


def test_a_bit_is_set_once() -> None:
    load, compute = words(Opcode.LOAD, Opcode.COMPUTE)
    link(load, compute)
    with pytest.raises(InternalError, match="LOAD cannot signal"):
        link(load, compute)
    with pytest.raises(InternalError, match="END passes no tokens"):
        link(Word(Opcode.END), compute)


def test_order_that_follows_costs_no_token() -> None:
    tape = Tape()
    load = issued(tape, Opcode.LOAD)
    tape.barrier(COMPUTE)
    issued(tape, Opcode.COMPUTE)
    tape.barrier(STORE)
    store = issued(tape, Opcode.STORE)
    tape.after_all(STORE, LOAD)
    second = issued(tape, Opcode.STORE)
    assert load.values == {"signal": 1}
    assert store.values == {"wait": 2}
    assert second.values == {}


def test_sync_where_no_bit_is_left() -> None:
    tape = Tape()
    body = [Word(Opcode.LOOP, {"count": 2, "body": 2}), *words(Opcode.LOAD, Opcode.COMPUTE)]
    link(body[1], body[2])
    tape.loop(body, [Flow(LOAD, COMPUTE)])
    tape.after_all(STORE, COMPUTE)
    store = issued(tape, Opcode.STORE)
    assert [w.opcode for w in tape.words[3:]] == [Opcode.SYNC, Opcode.STORE]
    assert tape.words[3].values == {"engine": COMPUTE, "signal1": 1}
    assert store.values == {"wait": 2}


def test_credits_are_given_before_a_loop_and_taken_behind_it() -> None:
    tape = Tape()
    body = [Word(Opcode.LOOP, {"count": 5, "body": 2}), *words(Opcode.LOAD, Opcode.COMPUTE)]
    link(body[1], body[2])
    link(body[2], body[1])
    tape.loop(body, [Flow(LOAD, COMPUTE), Flow(COMPUTE, LOAD, 2)])
    assert tape.words[0].values == {"engine": COMPUTE, "signal0": 2}
    behind = issued(tape, Opcode.LOAD)
    assert behind.values == {}
    tape.barrier(LOAD)
    issued(tape, Opcode.LOAD)
    assert tape.words[-2].values == {"engine": LOAD, "wait0": 2}
    tape.stop(Word(Opcode.END))
    assert set(balance(tape).values()) == {0}


def test_no_token_outlives_the_end() -> None:
    tape = Tape()
    body = [Word(Opcode.LOOP, {"count": 3, "body": 3}), *words(Opcode.LOAD, Opcode.COMPUTE, Opcode.STORE)]
    for giver, taker in ((1, 2), (2, 1), (2, 3), (3, 2)):
        link(body[giver], body[taker])
    flows = [Flow(LOAD, COMPUTE), Flow(COMPUTE, LOAD, 2), Flow(COMPUTE, STORE), Flow(STORE, COMPUTE, 2)]
    for _ in range(2):
        tape.loop([Word(w.opcode, dict(w.values)) for w in body], flows)
    issued(tape, Opcode.LOAD)
    tape.barrier(COMPUTE)
    tape.stop(Word(Opcode.END))
    assert set(balance(tape).values()) == {0}
