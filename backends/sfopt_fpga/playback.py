"""When everything happens: the executed instructions, played against each other with their cycles, tokens and the shared DRAM.

The program arrives over the DRAM port, ahead of need. The sequencer hands its instructions one by one to the engines' queues. Each
engine takes its own in order: it works out what the next one asks for while the present one executes, and starts it when its
tokens are there.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush

from sfopt.cost import Moved
from sfopt.device import Device
from sfopt.errors import InternalError
from sfopt_fpga.isa import SETTINGS, WORD_BYTES, Engine, Opcode
from sfopt_fpga.order import other_engines
from sfopt_fpga.port import Move, Port
from sfopt_fpga.timing import (
    FETCH_CHUNKS,
    FETCH_QUEUE_WORDS,
    FETCH_START_CYCLES,
    ISSUE_CYCLES,
    QUEUE_CYCLES,
    QUEUE_DEPTH,
    STOP_CYCLES,
    TOKEN_CYCLES,
    TURN_CYCLES,
    chunk_words,
)

__all__ = ["Busy", "Schedule", "Task", "schedule_tasks"]


@dataclass(frozen=True)
class Task:
    """One instruction. `engine` None: the sequencer waits until all engines are idle. SETTINGS are over once prepared."""

    word: int
    opcode: Opcode
    engine: Engine | None
    takes: tuple[int, int] = (0, 0)
    gives: tuple[int, int] = (0, 0)
    prepare: int = 0
    """Cycles from its arrival at the engine until it may start."""
    before: int = 0
    """Cycles of its execution before data move: all of a COMPUTE's."""
    moved: Moved = field(default=Moved(0, 0))
    """Data of a transfer, spread evenly over its words."""
    after: int = 0
    """Cycles behind the data."""


@dataclass(frozen=True)
class Busy:
    """An interval in which an engine executed one LOAD, COMPUTE or STORE."""

    engine: Engine
    word: int
    opcode: Opcode
    start_cycle: int
    end_cycle: int
    dram_bytes: int


@dataclass(frozen=True)
class Schedule:
    """Cycle of the last event, all busy intervals in the order of their ends."""

    cycles: int
    busy: tuple[Busy, ...]


@dataclass
class _Lane:
    """An engine: what waits, what is prepared, what runs."""

    engine: Engine
    queue: deque[tuple[Task, int]] = field(default_factory=deque)
    prepared: Task | None = None
    ready: int = 0
    """Cycle from which the prepared task may start."""
    running: Task | None = None
    start: int = 0
    free: int = 0
    """Cycle from which the next one may start."""
    move: Move | None = None
    """Data of the running task that are not all moved."""
    end: int | None = None
    """Cycle at which the running task ends, once that is known."""

    @property
    def idle(self) -> bool:
        """Whether it has nothing to do."""
        return self.running is None and self.prepared is None and not self.queue


def schedule_tasks(tasks: Sequence[Task], device: Device) -> Schedule:
    """Play `tasks`, which are in program order."""
    return _Player(tasks, device).play()


class _Player:
    def __init__(self, tasks: Sequence[Task], device: Device) -> None:
        self.tasks, self.device = tasks, device
        self.lanes = [_Lane(e) for e in Engine]
        self.tokens: dict[tuple[Engine, Engine], deque[int]] = {
            (s, t): deque() for s in Engine for t in other_engines(s)
        }
        """Tokens that are there, each by the cycle from which it may be taken."""
        self.port = Port(device)
        self.fetch = _Fetch(tasks[-1].word + 1 if tasks else 0, self.port, device)
        self.now = 0
        self.issued = -ISSUE_CYCLES
        self.last = 0
        """Cycle at which the sequencer was over with a HOST or END."""
        self.next_task = 0
        self.wakes: list[int] = [FETCH_START_CYCLES]
        """Cycles at which something may become possible."""
        self.busy: list[Busy] = []

    def play(self) -> Schedule:
        while True:
            while self._step():
                pass
            if self.next_task == len(self.tasks) and all(lane.idle for lane in self.lanes):
                return Schedule(max(self.now, self.last), tuple(self.busy))
            self._advance()

    def _step(self) -> bool:
        """Do one thing that can be done now, if there is any."""
        return (
            self.fetch.ask(self.now)
            or any(self._end(lane) for lane in self.lanes)
            or self._issue()
            or any(self._prepare(lane) or self._start(lane) for lane in self.lanes)
        )

    def _wake(self, cycle: int) -> None:
        if cycle > self.now:
            heappush(self.wakes, cycle)

    def _issue(self) -> bool:
        """Hand the next instruction to its engine if it has arrived and there is room."""
        if self.next_task == len(self.tasks):
            return False
        task = self.tasks[self.next_task]
        if not self.fetch.has(task.word):
            return False
        if task.engine is None:
            if not all(lane.idle for lane in self.lanes):
                return False
            self.last = self.now + STOP_CYCLES[task.opcode]
            self.issued = self.last - ISSUE_CYCLES
            self._wake(self.last)
        elif len(self.lanes[task.engine].queue) >= QUEUE_DEPTH:
            return False
        elif self.now < self.issued + ISSUE_CYCLES:
            self._wake(self.issued + ISSUE_CYCLES)
            return False
        else:
            self.issued = self.now
            self.lanes[task.engine].queue.append((task, self.now + QUEUE_CYCLES))
            self._wake(self.now + QUEUE_CYCLES)
        self.fetch.taken = max(self.fetch.taken, task.word + 1)
        self.next_task += 1
        return True

    def _prepare(self, lane: _Lane) -> bool:
        """Let an engine look at its next instruction."""
        if lane.prepared is not None and lane.prepared.opcode in SETTINGS and lane.ready <= self.now:
            lane.prepared = None
        if lane.prepared is not None or not lane.queue or lane.queue[0][1] > self.now:
            return False
        lane.prepared = lane.queue.popleft()[0]
        lane.ready = self.now + lane.prepared.prepare
        self._wake(lane.ready)
        return True

    def _start(self, lane: _Lane) -> bool:
        """Start an engine's instruction if it is prepared, the one before is over and its tokens are there."""
        task = lane.prepared
        if task is None or task.opcode in SETTINGS or lane.running is not None or self.now < max(lane.ready, lane.free):
            return False
        needed = dict(zip(other_engines(lane.engine), task.takes, strict=True))
        queues = {source: self.tokens[source, lane.engine] for source in needed}
        if any(count and (len(queues[s]) < count or queues[s][count - 1] > self.now) for s, count in needed.items()):
            return False
        for source, count in needed.items():
            for _ in range(count):
                queues[source].popleft()
        lane.prepared, lane.running, lane.start, lane.end = None, task, self.now, None
        if task.moved.size_bytes == 0:
            self._ends_at(lane, self.now + task.before + task.after)
        else:
            lane.move = Move.of(task.moved, self.now + task.before, self.device)
            (self.port.read if lane.engine is Engine.LOAD else self.port.write)(lane.move)
        return True

    def _ends_at(self, lane: _Lane, cycle: int) -> None:
        lane.end = cycle
        self._wake(cycle)

    def _end(self, lane: _Lane) -> bool:
        """End an engine's instruction if its time has come."""
        task = lane.running
        if task is None:
            return False
        if lane.move is not None and lane.move.left == 0:
            lane.move = None
            self._ends_at(lane, self.now + task.after)
        if lane.end is None or lane.end > self.now:
            return False
        for target, count in zip(other_engines(lane.engine), task.gives, strict=True):
            self.tokens[lane.engine, target].extend([self.now + TOKEN_CYCLES] * count)
        self._wake(self.now + TOKEN_CYCLES)
        if task.opcode is not Opcode.SYNC:
            self.busy.append(Busy(lane.engine, task.word, task.opcode, lane.start, self.now, task.moved.size_bytes))
        lane.running, lane.free = None, self.now + TURN_CYCLES[lane.engine]
        self._wake(lane.free)
        return True

    def _advance(self) -> None:
        """Move to the next event."""
        while self.wakes and self.wakes[0] <= self.now:
            heappop(self.wakes)
        moved = self.port.next_end(self.now)
        events = [*self.wakes[:1], *([] if moved is None else [moved])]
        if not events:
            raise InternalError("no engine can go on, although every token was given")
        then = min(events)
        self.port.advance(self.now, then)
        self.now = then


class _Fetch:
    """The program's way in: chunks of words, a few asked for ahead, and so many words at most that the sequencer has not taken."""

    def __init__(self, words: int, port: Port, device: Device) -> None:
        self.words, self.port, self.device = words, port, device
        self.chunk = chunk_words(device)
        self.asked = self.taken = 0
        self.chunks = deque[Move]()
        """Chunks under way."""

    def ask(self, now: int) -> bool:
        """Ask for the next chunk if it is time and there is room."""
        while self.chunks and self.chunks[0].left == 0:
            self.chunks.popleft()
        count = min(self.chunk, self.words - self.asked)
        room = self.taken + FETCH_QUEUE_WORDS - self.asked
        if now < FETCH_START_CYCLES or count == 0 or len(self.chunks) == FETCH_CHUNKS or room < self.chunk:
            return False
        move = Move.dense(count, WORD_BYTES, now + self.device.dram_latency_cycles, self.device)
        self.port.read(move)
        self.chunks.append(move)
        self.asked += count
        return True

    def has(self, word: int) -> bool:
        """Whether a word has arrived."""
        return word < self.asked - sum(move.parts_left for move in self.chunks)
