"""The sequencer: fetches words in order, repeats loop bodies from its buffer, and gives every instruction its loop indices."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sfopt.errors import ProgramError, SimulationFault
from sfopt_fpga.isa import LOOP_BODY_WORDS, Axis, Opcode, decode

__all__ = ["MOST_INSTRUCTIONS", "Step", "rows_of", "run_sequence"]

MOST_INSTRUCTIONS = 1 << 20
"""Executions of all instructions and tokens of all SYNCs, together: damaged loop counts are no reason to run for days."""

_DEEPEST = 3
"""Loops, and what is in the inner one of two."""
_TOKENS = ("wait0", "wait1", "signal0", "signal1")


@dataclass(frozen=True)
class Step:
    """One instruction about to run: its word's index, and the index of the loop over rows and of the one over channels."""

    word: int
    opcode: Opcode
    fields: Mapping[str, int]
    indices: tuple[int, int]

    def fault(self, message: str) -> SimulationFault:
        """A fault of this instruction."""
        return SimulationFault(f"instruction {self.word} {self.opcode.name}: {message}")


def run_sequence(words: tuple[bytes, ...]) -> Iterator[Step]:
    """Every LOAD, STORE, SETUP, COMPUTE, SYNC and HOST in the order of execution, END last. Every word is fetched at most once.

    Raises SimulationFault for an illegal word, a loop that is too long, nested wrongly or leaves its body, a program without END,
    and, before the loop runs, for more than MOST_INSTRUCTIONS.
    """
    yield from _run(_Code(words), 0, len(words), (0, 0), ())


class _Code:
    """Words, decoded when they are first reached."""

    def __init__(self, words: tuple[bytes, ...]) -> None:
        self.words = words
        self.decoded: dict[int, tuple[Opcode, dict[str, int]]] = {}
        self.executed = 0
        """Instructions and tokens so far, those of a loop that has begun included."""

    def enter(self, step: Step) -> None:
        """Begin a loop that is in no other, or execute an instruction outside of all."""
        start = step.word
        stop = start + 1 + (step.fields["body"] if step.opcode is Opcode.LOOP else 0)
        self.executed += self._work(start, stop, 0)
        if self.executed > MOST_INSTRUCTIONS:
            raise step.fault(f"brings the program to {self.executed} instructions, the limit is {MOST_INSTRUCTIONS}")

    def _work(self, start: int, stop: int, depth: int) -> int:
        """Instructions and tokens from one word to another; what is illegal is a fault when it is reached."""
        total, at = 0, start
        while at < min(stop, len(self.words)) and depth < _DEEPEST:
            try:
                opcode, fields = self.at(at)
            except SimulationFault:
                return total
            at += 1
            if opcode is Opcode.LOOP:
                total += fields["count"] * self._work(at, at + fields["body"], depth + 1)
                at += fields["body"]
            elif opcode is Opcode.SYNC:
                total += 1 + sum(fields[name] for name in _TOKENS)
            else:
                total += 1
        return total

    def at(self, index: int) -> tuple[Opcode, dict[str, int]]:
        if index not in self.decoded:
            try:
                self.decoded[index] = decode(self.words[index])
            except ProgramError as error:
                raise SimulationFault(f"instruction {index}: {error}") from None
        return self.decoded[index]


def _run(code: _Code, start: int, stop: int, indices: tuple[int, int], axes: tuple[Axis, ...]) -> Iterator[Step]:
    at = start
    while at < stop:
        opcode, fields = code.at(at)
        step = Step(at, opcode, fields, indices)
        at += 1
        if not axes:
            code.enter(step)
        if opcode is Opcode.LOOP:
            _check_loop(step, stop, axes)
            axis, body_end = Axis(fields["axis"]), at + fields["body"]
            for count in range(fields["count"]):
                inner = (count, indices[1]) if axis is Axis.ROWS else (indices[0], count)
                yield from _run(code, at, body_end, inner, (*axes, axis))
            at = body_end
            continue
        if axes and opcode in (Opcode.HOST, Opcode.END):
            raise step.fault("may not stand in a loop")
        yield step
        if opcode is Opcode.END:
            return
    if not axes:
        raise SimulationFault(f"program of {len(code.words)} instructions runs past its last word without END")


def _check_loop(step: Step, stop: int, axes: tuple[Axis, ...]) -> None:
    axis, count, body = Axis(step.fields["axis"]), step.fields["count"], step.fields["body"]
    if axis in axes:
        raise step.fault(f"a loop over {axis.name.lower()} is already running")
    if count == 0 or body == 0:
        raise step.fault(f"count {count} and body {body} must be above 0")
    if body > LOOP_BODY_WORDS:
        raise step.fault(f"its body of {body} words does not fit the buffer of {LOOP_BODY_WORDS}")
    if step.word + 1 + body > stop:
        raise step.fault(f"its body of {body} words ends behind word {stop}")


def rows_of(first: int, step: int, total: int, index: int) -> tuple[int, int]:
    """Rows handled at `index`: from end(index - 1) to end(index), end(i) = min(total, first + i * step), end(-1) = 0."""
    end = min(total, first + index * step)
    return (min(total, first + (index - 1) * step) if index else 0), end
