"""A plan read against its network: which segment touches which map, and through which buffer it sees it."""

from collections.abc import Iterator, Mapping
from functools import cached_property

from sfopt import cost
from sfopt.device import Device
from sfopt.groups import Group, Kind, Network
from sfopt.plan import Buffer, Plan, Role, Run, Segment, WeightMode
from sfopt.rows import RowSchedule, rows_to_run

__all__ = ["View"]


class View:
    """What several rules need to know. Valid once the cover has been checked, `feed_rows` once the feeds have been, too."""

    def __init__(self, plan: Plan, network: Network, device: Device) -> None:
        self.plan, self.network, self.device = plan, network, device
        self.buffers = {b.name: b for b in plan.buffers}
        self.resident = {b.content: b for b in plan.buffers if b.role is Role.RESIDENT}

    @property
    def segments(self) -> Iterator[tuple[int, Segment, tuple[Group, ...]]]:
        """Step, segment and groups of everything that runs on the accelerator."""
        for step, segment in enumerate(self.plan.segments):
            if not self.is_host(step):
                yield step, segment, self.groups(step)

    def groups(self, step: int) -> tuple[Group, ...]:
        """The groups of a segment, in order."""
        segment = self.plan.segments[step]
        return self.network.groups[segment.first : segment.last + 1]

    def is_host(self, step: int) -> bool:
        """Whether a segment is a HOST group."""
        return self.network.groups[self.plan.segments[step].first].kind is Kind.HOST

    @cached_property
    def makers(self) -> Mapping[str, int]:
        """Feature map -> step of its producer (network inputs absent)."""
        return {name: step for step, names in enumerate(self.made) for name in names}

    @cached_property
    def readers(self) -> Mapping[str, tuple[int, ...]]:
        """Feature map -> steps that read it, ascending, each once."""
        table: dict[str, dict[int, None]] = {name: {} for name in self.network.maps}
        for step in range(len(self.plan.segments)):
            for group in self.groups(step):
                for name in group.reads:
                    table[name][step] = None
        return {name: tuple(steps) for name, steps in table.items()}

    @cached_property
    def in_dram(self) -> frozenset[str]:
        """Rule 2: network inputs and outputs, what some segment other than the producer's streams in or nobody reads, HOST maps."""
        found = {*self.network.inputs, *self.network.outputs}
        for name, steps in self.readers.items():
            maker = self.makers.get(name)
            hosts = any(self.is_host(step) for step in (*steps, *(() if maker is None else (maker,))))
            if hosts or not steps or any(step != maker and not self.keeps(step, name) for step in steps):
                found.add(name)
        return frozenset(found)

    def keeps(self, step: int, tensor: str) -> bool:
        """Whether a segment sees a map resident."""
        b = self.resident.get(tensor)
        return b is not None and b.first_step <= step <= b.last_step

    @cached_property
    def made(self) -> tuple[tuple[str, ...], ...]:
        """For each step, the maps that its segment makes."""
        return tuple(
            tuple(name for g in self.groups(step) for name in g.writes) for step in range(len(self.plan.segments))
        )

    @cached_property
    def fed(self) -> tuple[tuple[str, ...], ...]:
        """For each step, the maps that its segment streams in: it reads them, does not make them, does not see them resident."""
        found = []
        for step, made in enumerate(self.made):
            inside, read = {*made}, dict.fromkeys(name for g in self.groups(step) for name in g.reads)
            found.append(tuple(name for name in read if name not in inside and not self.keeps(step, name)))
        return tuple(found)

    def inside_readers(self, step: int, tensor: str) -> tuple[Group, ...]:
        """The groups of a segment that read a map."""
        segment, groups = self.plan.segments[step], self.network.groups
        return tuple(groups[i] for i in self.network.readers[tensor] if segment.first <= i <= segment.last)

    def loads(self, step: int) -> tuple[str, ...]:
        """Maps that a segment reads from DRAM: what it streams in, and a network input that becomes resident there."""
        kept = [n for n in self.network.inputs if n in self.resident and self.resident[n].first_step == step]
        return (*self.fed[step], *kept)

    def stores(self, step: int) -> tuple[str, ...]:
        """Maps that a segment writes to DRAM."""
        return tuple(name for name in self.made[step] if name in self.in_dram)

    def operand(self, step: int, tensor: str) -> Buffer:
        """The buffer through which a segment sees a map."""
        return self.resident[tensor] if self.keeps(step, tensor) else self.buffers[f"{step}:{tensor}"]

    def times_read(self, step: int, tensor: str) -> int:
        """How often a segment reads a map that it streams in: once for each weight tile if all bands run for each, else once."""
        segment = self.plan.segments[step]
        feed = next(f for f in segment.feeds if f.tensor == tensor)
        banded = feed.first < self.network.maps[tensor].height
        return self.tiles(segment.runs[0]) if banded and self.rereads_input(step) else 1

    def rereads_input(self, step: int) -> bool:
        """Whether a segment's only group runs all bands for each weight tile."""
        return [run.weight_mode for run in self.plan.segments[step].runs] == [WeightMode.INPUT_REREAD]

    def tiles(self, run: Run) -> int:
        """Channel tiles of a group's weights."""
        return -(-self.network.maps[self.network.groups[run.group].output].channels // run.channel_tile)

    def folded(self, step: int, group: Group) -> bool:
        """Rule 4: whether a group's weights are laid out for an input that the DMA folds."""
        first = group.pieces[0].tensor
        if not cost.folds_input(group, self.network.maps[first], self.device):
            return False
        return first in self.fed[step] and self.inside_readers(step, first) == (group,)

    def run_rows(self, step: int, group: Group) -> RowSchedule:
        """Rows that a group has run through after each band."""
        run = self.plan.segments[step].run(group.index)
        return RowSchedule(run.first, run.step, rows_to_run(self.network, group))

    @cached_property
    def feed_rows(self) -> tuple[Mapping[str, RowSchedule], ...]:
        """For each step, the maps that its segment streams in, and their rows that are there after each band."""
        maps = self.network.maps
        return tuple(
            {f.tensor: RowSchedule(f.first, f.step, maps[f.tensor].height) for f in segment.feeds}
            for segment in self.plan.segments
        )
