"""Order between engines: counting semaphores and vector clocks. Nothing here knows a cycle.

An engine's clock says, for each engine, how many of its instructions are known to have ended before the present one starts. A token
carries its sender's clock to the engine that takes it. An access that conflicts with an earlier one must find it in its clock;
otherwise the two are ordered by luck, and that is a fault whatever the timing.

Instructions are executed in program order, and a token must have been given by an earlier instruction: then no queue length can
make the engines wait for each other in a circle.
"""

from collections import deque
from dataclasses import dataclass

from sfopt_fpga.isa import Engine
from sfopt_fpga.sequencer import Step

__all__ = ["Access", "Order", "other_engines"]

Clock = tuple[int, int, int]


def other_engines(engine: Engine) -> tuple[Engine, Engine]:
    """The engines that bits 0 and 1 of `wait` and `signal` name."""
    first, second = (e for e in Engine if e is not engine)
    return first, second


@dataclass(frozen=True)
class Access:
    """Who accesses memory, and what it knows to have ended."""

    step: Step
    engine: Engine
    clock: Clock

    @property
    def epoch(self) -> int:
        """Number of this instruction among its engine's."""
        return self.clock[self.engine]


class Order:
    """Tokens under way and the engines' clocks."""

    def __init__(self) -> None:
        self.clocks: list[Clock] = [(0, 0, 0)] * len(Engine)
        self.tokens: dict[tuple[Engine, Engine], deque[Clock]] = {
            (source, target): deque() for source in Engine for target in other_engines(source)
        }

    def begin(self, step: Step, engine: Engine, takes: tuple[int, int]) -> Access:
        """Take tokens from the other two engines and start the engine's next instruction."""
        clock = self.clocks[engine]
        for source, count in zip(other_engines(engine), takes, strict=True):
            queue = self.tokens[source, engine]
            if len(queue) < count:
                raise step.fault(self._deadlock(engine, source, count, len(queue)))
            for _ in range(count):
                clock = _merge(clock, queue.popleft())
        ticked = list(clock)
        ticked[engine] += 1
        self.clocks[engine] = (ticked[0], ticked[1], ticked[2])
        return Access(step, engine, self.clocks[engine])

    def end(self, engine: Engine, gives: tuple[int, int]) -> None:
        """Give tokens to the other two engines."""
        for target, count in zip(other_engines(engine), gives, strict=True):
            self.tokens[engine, target].extend([self.clocks[engine]] * count)

    def join(self) -> None:
        """All engines are idle: everything so far has ended."""
        everything: Clock = (0, 0, 0)
        for clock in self.clocks:
            everything = _merge(everything, clock)
        self.clocks = [everything] * len(Engine)

    def check_drained(self, step: Step) -> None:
        """No token may be left over."""
        for (source, target), queue in self.tokens.items():
            if queue:
                names = f"from {source.name.lower()} to {target.name.lower()}"
                raise step.fault(f"{len(queue)} tokens {names} are left over")

    def _deadlock(self, engine: Engine, source: Engine, wanted: int, present: int) -> str:
        return (
            f"deadlock: {engine.name.lower()} waits for {wanted} tokens from {source.name.lower()}, which has given {present}"
            " and no earlier instruction gives more"
        )


def _merge(a: Clock, b: Clock) -> Clock:
    return (max(a[0], b[0]), max(a[1], b[1]), max(a[2], b[2]))
