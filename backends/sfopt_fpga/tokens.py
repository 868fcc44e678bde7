"""The order of instructions, and the fewest tokens that hold the three engines to it.

A `Tape` is written in program order. Before an engine's next instruction one may ask that it starts after everything that
another engine has been given so far (`after_all`, `barrier`). A token is spent only where that does not follow from tokens already
spent: a clock for each engine remembers what must have ended. Tokens ride on the wait and signal bits of LOAD, COMPUTE and STORE;
SYNC is the way out where an instruction has no bit left.

Inside a loop the bits are the same at every iteration, so what runs ahead does so on *credits*: tokens given before the loop.
As many are left over behind it. They are a debt of the taker: whoever takes them all starts after the whole loop.

Every wait is for a token that an earlier word gives, so a program cannot dead-lock, however short the engines' queues are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sfopt.errors import InternalError
from sfopt_fpga.isa import ENGINES, SETTINGS, Engine, Opcode

__all__ = ["Flow", "Tape", "Word", "engine_of", "link", "others"]


@dataclass(eq=False)
class Word:
    """An instruction before encoding. `block` names the DRAM block whose address is still to be added to `dram`."""

    opcode: Opcode
    values: dict[str, int] = field(default_factory=dict)
    block: str | None = None


@dataclass(frozen=True)
class Flow:
    """Tokens that a loop's body passes from `giver` to `taker`, as many in each iteration; `credits` are given before the loop."""

    giver: Engine
    taker: Engine
    credits: int = 0


_Clock = dict[Engine, int]


@dataclass(frozen=True)
class _Debt:
    """Tokens left over from a loop; with them, everything in `over` is."""

    tokens: int
    over: Mapping[Engine, int]


def others(engine: Engine) -> tuple[Engine, Engine]:
    """The two engines that bits 0 and 1 of `wait` and `signal` name."""
    first, second = (e for e in Engine if e is not engine)
    return first, second


def engine_of(word: Word) -> Engine | None:
    """Who executes a word; None for the sequencer."""
    return Engine(word.values["engine"]) if word.opcode is Opcode.SYNC else ENGINES.get(word.opcode)


def link(giver: Word, taker: Word) -> None:
    """Let `taker` wait for one token that `giver` gives."""
    _pass(giver, "signal", _engine(taker), 1)
    _pass(taker, "wait", _engine(giver), 1)


def _engine(word: Word) -> Engine:
    engine = engine_of(word)
    if engine is None:
        raise InternalError(f"{word.opcode.name} passes no tokens")
    return engine


def _pass(word: Word, direction: str, other: Engine, tokens: int) -> None:
    """Add tokens to what a word waits for or signals; without a count it has a single bit for each engine."""
    bit = others(_engine(word)).index(other)
    if word.opcode is Opcode.SYNC:
        word.values[f"{direction}{bit}"] = word.values.get(f"{direction}{bit}", 0) + tokens
        return
    bits = word.values.get(direction, 0)
    if tokens != 1 or bits >> bit & 1:
        raise InternalError(f"{word.opcode.name} cannot {direction} {tokens} more tokens")
    word.values[direction] = bits | 1 << bit


def _can_signal(word: Word, other: Engine, tokens: int) -> bool:
    """Whether an instruction has room for so many more tokens."""
    if word.opcode is Opcode.SYNC:
        return True
    return tokens == 1 and not word.values.get("signal", 0) >> others(_engine(word)).index(other) & 1


def _later(a: Mapping[Engine, int], b: Mapping[Engine, int]) -> _Clock:
    return {e: max(a[e], b[e]) for e in Engine}


class Tape:
    """Program words in order, with the bookkeeping of tokens."""

    def __init__(self) -> None:
        self.words: list[Word] = []
        self._issued: _Clock = dict.fromkeys(Engine, 0)
        self._after: dict[Engine, _Clock] = {e: dict.fromkeys(Engine, 0) for e in Engine}
        """What is over when the engine's latest instruction is."""
        self._gained: dict[Engine, _Clock] = {e: dict.fromkeys(Engine, 0) for e in Engine}
        """What its next instruction will know beyond that."""
        self._waits: dict[Engine, dict[Engine, int]] = {e: {} for e in Engine}
        """Tokens that its next instruction has to take."""
        self._debts: dict[tuple[Engine, Engine], _Debt] = {}
        """(taker, giver) -> what the last loop left over."""
        self._tail: dict[Engine, Word | None] = dict.fromkeys(Engine)
        """Its latest instruction, unless that is in a loop."""

    def issue(self, word: Word) -> None:
        """Append a word outside any loop; a LOAD, COMPUTE or STORE takes the tokens that its engine was asked to wait for."""
        engine = engine_of(word)
        if engine is None or word.opcode in SETTINGS:
            self.words.append(word)
            return
        if word.opcode is not Opcode.SYNC and any(n > 1 for n in self._waits[engine].values()):
            self.flush(engine)
        waits, self._waits[engine] = self._waits[engine], {}
        for giver, tokens in waits.items():
            _pass(word, "wait", giver, tokens)
        self.words.append(word)
        self._end(engine, word)

    def after_all(self, taker: Engine, giver: Engine) -> None:
        """The next instruction of `taker` starts after everything that `giver` has been given so far."""
        if not self._knows(taker, giver):
            self._settle(taker, giver)
        if not self._knows(taker, giver):
            self._signal(giver, taker, 1)
            self._wait(taker, giver, 1, self._after[giver])

    def barrier(self, taker: Engine) -> None:
        """The next instruction of `taker` starts after everything so far; the cheaper way round is tried first."""
        if taker is Engine.LOAD and (Engine.COMPUTE, Engine.STORE) in self._debts:
            self.after_all(Engine.COMPUTE, Engine.STORE)
            self.flush(Engine.COMPUTE)
        for giver in sorted(others(taker), key=lambda e: (self._tail[e] is None, -e)):
            self.after_all(taker, giver)

    def loop(self, body: Sequence[Word], flows: Sequence[Flow]) -> None:
        """Append a LOOP word and its body, whose bits are set already; `flows` says which tokens they pass, loads first."""
        engines = sorted({e for e in map(engine_of, body) if e is not None})
        for flow in flows:
            self._settle(flow.taker, flow.giver)
        for flow in flows:
            if flow.credits:
                self.flush(flow.giver)
                self._signal(flow.giver, flow.taker, flow.credits)
        for engine in engines:
            self.flush(engine)
        self.words.extend(body)
        for engine in engines:
            self._end(engine, None)
        for flow in flows:
            if not flow.credits:
                self._after[flow.taker] = _later(self._after[flow.taker], self._after[flow.giver])
        for flow in flows:
            if flow.credits:
                self._debts[flow.taker, flow.giver] = _Debt(flow.credits, dict(self._after[flow.giver]))

    def stop(self, word: Word) -> None:
        """Append HOST or END, which wait until all engines are idle. No token outlives it."""
        for taker, giver in list(self._debts):
            self._settle(taker, giver)
        for engine in Engine:
            self.flush(engine)
        self.words.append(word)
        self._after = {e: dict(self._issued) for e in Engine}

    def flush(self, engine: Engine) -> None:
        """Take the tokens that `engine` was asked to wait for now, with a SYNC, if there are any."""
        if self._waits[engine]:
            self.issue(Word(Opcode.SYNC, {"engine": int(engine)}))

    def _knows(self, taker: Engine, giver: Engine) -> bool:
        return self._issued[giver] <= max(self._after[taker][giver], self._gained[taker][giver])

    def _settle(self, taker: Engine, giver: Engine) -> None:
        debt = self._debts.pop((taker, giver), None)
        if debt is not None:
            self._wait(taker, giver, debt.tokens, debt.over)

    def _wait(self, taker: Engine, giver: Engine, tokens: int, over: Mapping[Engine, int]) -> None:
        self._waits[taker][giver] = self._waits[taker].get(giver, 0) + tokens
        self._gained[taker] = _later(self._gained[taker], over)

    def _signal(self, giver: Engine, taker: Engine, tokens: int) -> None:
        tail = self._tail[giver]
        if tail is None or not _can_signal(tail, taker, tokens):
            tail = Word(Opcode.SYNC, {"engine": int(giver)})
            self.issue(tail)
        _pass(tail, "signal", taker, tokens)

    def _end(self, engine: Engine, tail: Word | None) -> None:
        self._issued[engine] += 1
        self._after[engine] = _later(self._after[engine], self._gained[engine])
        self._after[engine][engine] = self._issued[engine]
        self._tail[engine] = tail
