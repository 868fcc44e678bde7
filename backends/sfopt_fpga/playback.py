"""When everything happens: the executed instructions, played against each other with their cycles, tokens and the shared DRAM.

Each engine takes its instructions in order from a queue that the sequencer fills, one instruction a cycle. An instruction
starts when its engine is free and its tokens are there. Transfers of the two DMA engines pay the DRAM latency side by side
and then share the bandwidth equally while both move data, each at most one scratchpad word a cycle.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from sfopt.device import Device
from sfopt.errors import InternalError
from sfopt_fpga.isa import Engine, Opcode
from sfopt_fpga.order import other_engines
from sfopt_fpga.timing import QUEUE_DEPTH, bus_rate, bus_work, fetch_cycle

__all__ = ["Busy", "Schedule", "Task", "schedule_tasks"]


@dataclass(frozen=True)
class Task:
    """One executed instruction. `engine` None: the sequencer waits until all engines are idle."""

    word: int
    opcode: Opcode
    engine: Engine | None
    takes: tuple[int, int] = (0, 0)
    gives: tuple[int, int] = (0, 0)
    cycles: int = 0
    """Cycles before any data moves: all of a COMPUTE's, the latency of a transfer."""
    dram_bytes: int = 0


@dataclass(frozen=True)
class Busy:
    """An interval in which an engine executed one instruction."""

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
    """An engine: what waits, what runs."""

    engine: Engine
    queue: deque[tuple[Task, int]] = field(default_factory=deque)
    running: Task | None = None
    start: int = 0
    ready: int = 0
    """Cycle at which the running task's own cycles are over."""
    work: int = 0
    """What it still asks of the DRAM bus (`bus_work`)."""

    def moving(self, now: int) -> bool:
        """Whether it moves data at this cycle."""
        return self.running is not None and self.work > 0 and now >= self.ready


def schedule_tasks(tasks: Sequence[Task], device: Device) -> Schedule:
    """Play `tasks`, which are in program order."""
    return _Player(tasks, device).play()


class _Player:
    def __init__(self, tasks: Sequence[Task], device: Device) -> None:
        self.tasks, self.device = tasks, device
        self.lanes = [_Lane(e) for e in Engine]
        self.tokens = {(s, t): 0 for s in Engine for t in other_engines(s)}
        self.now = self.issued = 0
        self.next_task = 0
        self.busy: list[Busy] = []

    def play(self) -> Schedule:
        while True:
            while self._issue() or self._start():
                pass
            if self.next_task == len(self.tasks) and self._idle():
                return Schedule(max(self.now, self.issued), tuple(self.busy))
            self._advance()

    def _idle(self) -> bool:
        return all(lane.running is None and not lane.queue for lane in self.lanes)

    def _issue(self) -> bool:
        """Hand the next instruction to its engine if there is room; it may start at `issued`, in the future or now."""
        if self.next_task == len(self.tasks):
            return False
        task = self.tasks[self.next_task]
        if task.engine is None:
            if not self._idle():
                return False
        elif len(self.lanes[task.engine].queue) >= QUEUE_DEPTH:
            return False
        self.issued = max(self.issued + 1, self.now, fetch_cycle(task.word, self.device))
        if task.engine is not None:
            self.lanes[task.engine].queue.append((task, self.issued))
        self.next_task += 1
        return True

    def _start(self) -> bool:
        """Start one waiting instruction whose engine is free and whose tokens are there."""
        for lane in self.lanes:
            if lane.running is not None or not lane.queue or lane.queue[0][1] > self.now:
                continue
            task = lane.queue[0][0]
            needed = dict(zip(other_engines(lane.engine), task.takes, strict=True))
            if all(self.tokens[source, lane.engine] >= count for source, count in needed.items()):
                for source, count in needed.items():
                    self.tokens[source, lane.engine] -= count
                lane.queue.popleft()
                lane.running, lane.start = task, self.now
                lane.ready, lane.work = self.now + task.cycles, bus_work(task.dram_bytes, self.device)
                return True
        return False

    def _advance(self) -> None:
        """Move to the next event and end what ends there."""
        moving = [lane for lane in self.lanes if lane.moving(self.now)]
        rate = bus_rate(max(1, len(moving)), self.device)
        events = [self.now + -(-lane.work // rate) for lane in moving]
        events += [lane.ready for lane in self.lanes if lane.running is not None and lane not in moving]
        events += [
            lane.queue[0][1]
            for lane in self.lanes
            if lane.running is None and lane.queue and lane.queue[0][1] > self.now
        ]
        if not events:
            raise InternalError("no engine can go on, although every token was given")
        step, self.now = min(events) - self.now, min(events)
        for lane in moving:
            lane.work = max(0, lane.work - rate * step)
        for lane in self.lanes:
            if lane.running is not None and lane.work == 0 and self.now >= lane.ready:
                self._end(lane, lane.running)

    def _end(self, lane: _Lane, task: Task) -> None:
        for target, count in zip(other_engines(lane.engine), task.gives, strict=True):
            self.tokens[lane.engine, target] += count
        self.busy.append(Busy(lane.engine, task.word, task.opcode, lane.start, self.now, task.dram_bytes))
        lane.running = None
