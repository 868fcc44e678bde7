"""What each busy interval of a run was for. Taken from the program alone: the same for the simulator's run and the RTL's.

Every engine executes its instructions in program order, so the n-th interval of an engine belongs to its n-th instruction.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from sfopt.backend import Event
from sfopt.errors import InternalError
from sfopt.groups import Kind, Network
from sfopt.plan import Category
from sfopt_fpga.compute import compute_span
from sfopt_fpga.isa import ENGINES, Engine, Opcode
from sfopt_fpga.playback import Busy
from sfopt_fpga.program import Program
from sfopt_fpga.regions import RegionMap
from sfopt_fpga.sequencer import Step, run_sequence
from sfopt_fpga.transfer import transfer_span

__all__ = ["label_events"]


@dataclass(frozen=True)
class _Label:
    word: int
    name: str
    group: str
    rows: tuple[int, int] | None
    channels: tuple[int, int] | None


def label_events(program: Program, network: Network, intervals: Iterable[Busy]) -> Iterator[Event]:
    """The intervals, in their order, with tensor, group, rows and channels. Raises InternalError if the program has others."""
    waiting: dict[Engine, deque[_Label]] = {engine: deque() for engine in Engine}
    for engine, each in _Labels(program, network).all():
        waiting[engine].append(each)
    for busy in intervals:
        label = waiting[busy.engine].popleft() if waiting[busy.engine] else None
        if label is None or label.word != busy.word:
            raise InternalError(f"instruction {busy.word} {busy.opcode.name} was executed out of turn")
        yield Event(
            busy.engine.name.lower(),
            label.name,
            busy.start_cycle,
            busy.end_cycle,
            busy.dram_bytes,
            instruction=busy.word,
            group=label.group,
            rows=label.rows,
            channels=label.channels,
        )


class _Labels:
    def __init__(self, program: Program, network: Network) -> None:
        self.program, self.network = program, network
        self.regions = RegionMap(program.regions)
        self.written = {t.word: t.tensor for t in program.trace}
        """COMPUTE -> the tensor that it writes, which its group is called after."""
        self.readers: dict[str, list[int]] = {tensor: [] for tensor in network.maps}
        """Feature map -> the COMPUTE words that read it, ascending."""
        for word, tensor in sorted(self.written.items()):
            for read in network.groups[network.producers[tensor]].reads:
                self.readers[read].append(word)
        self.moved: dict[int, tuple[str, str]] = {}
        """LOAD or STORE -> what it moves, for which group."""

    def all(self) -> Iterator[tuple[Engine, _Label]]:
        """Every LOAD, COMPUTE and STORE in program order."""
        setup, phase = dict[str, int](), dict[str, int]()
        for step in run_sequence(self.program.words):
            if step.opcode is Opcode.SETUP:
                setup, phase = {**step.fields}, {}
            elif step.opcode is Opcode.PHASE:
                phase = {**step.fields}
            elif step.opcode is Opcode.COMPUTE:
                tensor = self.written.get(step.word, f"COMPUTE {step.word}")
                rows, channels = compute_span(step, setup)
                yield Engine.COMPUTE, _Label(step.word, tensor, tensor, _rows_of_output(rows, phase), channels)
            elif step.opcode in (Opcode.LOAD, Opcode.STORE):
                if step.word not in self.moved:
                    self.moved[step.word] = self._tensor(step)
                name, group = self.moved[step.word]
                yield ENGINES[step.opcode], _Label(step.word, name, group, *self._span(step, name, group))

    def _tensor(self, step: Step) -> tuple[str, str]:
        """Of a map, a LOAD is for the next group in the program that reads it."""
        region = self.program.regions[self.regions.index(step, step.fields["dram"], 1)]
        if region.category == Category.WEIGHTS:
            return region.name, region.name.rpartition(".")[0]
        if step.opcode is Opcode.STORE:
            return region.name, self.network.groups[self.network.producers[region.name]].name
        words = self.readers[region.name]
        return region.name, self.written[next((w for w in words if w > step.word), words[-1])]

    def _span(self, step: Step, name: str, group: str) -> tuple[tuple[int, int] | None, tuple[int, int] | None]:
        """Rows of a map, or channels where the rows that move are those of a convolution's weights."""
        if name in self.network.maps:
            return transfer_span(step), None
        convolution = self.network.groups[self.network.producers[group]].kind is Kind.CONV
        return None, transfer_span(step) if convolution and name.endswith(".weights") else None


def _rows_of_output(rows: tuple[int, int], phase: Mapping[str, int]) -> tuple[int, int]:
    """The rows of the output between which a phase's lie."""
    if not phase or rows[0] >= rows[1]:
        return rows
    first, step = phase["row_first"], phase["row_step"]
    return first + rows[0] * step, first + (rows[1] - 1) * step + 1
