"""Plans made by hand-set options instead of a solver: every mode can be asked for, also those that no optimum would contain."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from math import ceil
from typing import TypeVar

from sfopt.check.certificate import derive_facts
from sfopt.check.view import View
from sfopt.cost import Constant, constants, folds_input, map_row_bytes, stream_row_bytes
from sfopt.device import Device
from sfopt.groups import Group, Kind, Network, network_fingerprint
from sfopt.plan import (
    Buffer,
    Category,
    Certificate,
    DramRegion,
    Feed,
    Objective,
    Plan,
    Role,
    Run,
    Segment,
    Status,
    Transfer,
    WeightMode,
)
from sfopt.testing.naive_schedule import Schedule, ring_rows, schedule_groups

Rectangle = TypeVar("Rectangle", Buffer, DramRegion)

__all__ = ["Choice", "can_be_resident", "claimed", "naive_plan"]


@dataclass(frozen=True)
class Choice:
    """How to run every segment of a network; what it cannot do falls back to the nearest that it can."""

    resident: frozenset[str] = field(default_factory=frozenset)
    ends: Mapping[str, int] = field(default_factory=dict)
    """Resident map -> that of its readers in whose segment it ends; the last one unless it is in here."""
    band_rows: int | None = None
    """Rows of the segment's last group, times what makes every step a whole number. None: the whole frame."""
    weights: WeightMode = WeightMode.RESIDENT
    """STREAMED and REREAD both mean tiles: which of the two it is follows from the number of bands. INPUT_REREAD as well, where
    there are no bands or nothing streams in."""
    channel_tile: int = 8
    kept: frozenset[int] = frozenset()
    """Groups whose weights are RESIDENT all the same."""
    overlap: bool = False
    early: bool = False
    """Constants arrive behind the step before."""


def can_be_resident(network: Network, tensor: str) -> bool:
    """Whether some accelerator group reads the map and no host group touches it."""
    touching = [g for g in network.groups if tensor in (*g.reads, *g.writes)]
    return bool(network.readers[tensor]) and all(g.kind is not Kind.HOST for g in touching)


def naive_plan(
    network: Network,
    device: Device,
    choice: Choice | Callable[[Group], Choice],
    starts: Sequence[int] | None = None,
) -> Plan:
    """A valid plan: buffers first-fit at bank boundaries, so that the bank rule holds whatever runs together.

    Segments begin at the groups `starts` (0 need not be named); None: at every group. A segment that the rules forbid is cut: the
    longest part that may run as one, then the same with the rest. With a function, a segment runs as its last group asks to.
    """
    choose = choice if callable(choice) else lambda _: choice
    wanted, ends = set[str](), dict[str, int]()
    for group in network.groups:
        wanted |= {t for t in choose(group).resident if can_be_resident(network, t)}
        ends |= choose(group).ends
    lives = _Lives(network, {t: ends.get(t, network.readers[t][-1]) for t in wanted})
    cuts = sorted({0, *(range(len(network.groups)) if starts is None else starts), len(network.groups)})
    pieces = [p for a, b in pairwise(cuts) for p in _cut(network, lives, choose, a, b)]
    residents = {
        t: (_step_of(pieces, network.producers.get(t, network.readers[t][0])), _step_of(pieces, end))
        for t, end in lives.ends.items()
        if any(_step_of(pieces, r) != _step_of(pieces, network.producer(t)) for r in network.readers[t])
    }
    steps = [_Step(network, device, residents, pieces, i, p) for i, p in enumerate(pieces)]
    buffers = [*_resident_buffers(network, device, residents), *(b for s in steps for b in s.buffers())]
    return Plan(
        "",
        device.to_dict(),
        tuple(s.segment() for s in steps),
        tuple(_placed(buffers, device.bank_bytes)),
        tuple(t for s in steps for t in s.transfers()),
        tuple(_placed(list(_regions(network, steps)), 64)),
        Certificate("naive", Status.HEURISTIC, (), 0.0),
    )


@dataclass(frozen=True)
class _Lives:
    """Resident maps and the reader in whose segment each ends."""

    network: Network
    ends: Mapping[str, int]

    def streamed(self, groups: Sequence[Group]) -> tuple[str, ...]:
        """Maps that a segment of `groups` reads, does not make and does not see resident."""
        made = {t for g in groups for t in g.writes}
        read = dict.fromkeys(t for g in groups for t in g.reads if t not in made)
        return tuple(t for t in read if self.ends.get(t, -1) < groups[0].index)


@dataclass(frozen=True)
class _Piece:
    """A segment to be: its groups, the maps it streams in, when it does what, and what was asked for."""

    groups: tuple[Group, ...]
    fed: tuple[str, ...]
    schedule: Schedule
    choice: Choice
    tiles: int
    """Channel tiles of its first group."""

    @property
    def rereads_input(self) -> bool:
        """Whether all bands run again for each tile: asked for, and something streams in."""
        alone = len(self.groups) == 1 and _is_tiled(self.groups[0], self.choice)
        asked = self.choice.weights is WeightMode.INPUT_REREAD and alone
        return asked and self.tiles > 1 and any(rows.first < rows.total for rows in self.schedule.feeds.values())

    def times_read(self, tensor: str) -> int:
        """How often it reads a map from DRAM."""
        rows = self.schedule.feeds.get(tensor)
        return self.tiles if self.rereads_input and rows is not None and rows.first < rows.total else 1


def _cut(network: Network, lives: _Lives, choose: Callable[[Group], Choice], start: int, stop: int) -> Iterator[_Piece]:
    while start < stop:
        for end in range(stop, start, -1):
            groups = network.groups[start:end]
            choice, fed = choose(groups[-1]), lives.streamed(groups)
            schedule = schedule_groups(network, groups, fed, choice.band_rows)
            tiled = len(groups) > 1 and any(_is_tiled(g, choice) for g in groups)
            if schedule is not None and not (tiled and schedule.bands == 1):
                channels = network.maps[groups[0].output].channels
                yield _Piece(groups, fed, schedule, choice, ceil(channels / choice.channel_tile))
                break
        start = end


def _step_of(pieces: Sequence[_Piece], group: int) -> int:
    """The step at which a group runs; -1 for the group -1."""
    return next((i for i, p in enumerate(pieces) if p.groups[0].index <= group <= p.groups[-1].index), -1)


def _is_tiled(group: Group, choice: Choice) -> bool:
    asked = choice.weights is not WeightMode.RESIDENT and group.index not in choice.kept
    return asked and group.kind is Kind.CONV and group.conv_groups == 1


def _resident_buffers(network: Network, device: Device, residents: Mapping[str, tuple[int, int]]) -> Iterator[Buffer]:
    for tensor, life in sorted(residents.items()):
        fmap = network.maps[tensor]
        yield Buffer(tensor, Role.RESIDENT, tensor, fmap.height, map_row_bytes(fmap, device), 0, *life)


@dataclass(frozen=True)
class _Step:
    network: Network
    device: Device
    residents: Mapping[str, tuple[int, int]]
    """Resident map -> first and last step."""
    pieces: Sequence[_Piece]
    step: int
    piece: _Piece

    @property
    def hosted(self) -> bool:
        return self.piece.groups[0].kind is Kind.HOST

    def segment(self) -> Segment:
        groups, schedule = self.piece.groups, self.piece.schedule
        feeds = tuple(Feed(t, r.first, r.step) for t, r in schedule.feeds.items())
        span, overlap = (groups[0].index, groups[-1].index), self.piece.choice.overlap
        if self.hosted:
            return Segment(*span, 1, False, (), ())
        return Segment(*span, schedule.bands, overlap, tuple(self._run(g) for g in groups), feeds)

    def buffers(self) -> Iterator[Buffer]:
        if self.hosted:
            return
        for tensor in self.piece.fed:
            yield self._stream(tensor, Role.INPUT)
        for tensor in (g.output for g in self.piece.groups):
            if tensor not in self.residents:
                yield self._stream(tensor, Role.OUTPUT if tensor in self.stored else Role.RING)
        before = self.step > 0 and self.pieces[self.step - 1].groups[0].kind is not Kind.HOST
        for group, block in self._constants():
            role = Role.WEIGHTS if block.name.endswith(".weights") else Role.PARAMETERS
            tiled = role is Role.WEIGHTS and _is_tiled(group, self.piece.choice)
            rows = min(block.rows, self._run(group).channel_tile * (1 + self.piece.choice.overlap))
            first = self.step - (self.piece.choice.early and before and not tiled)
            size = block.row_bytes(self.device)
            name = f"{self.step}:{block.name}"
            yield Buffer(name, role, group.name, rows if tiled else block.rows, size, 0, first, self.step)

    def transfers(self) -> Iterator[Transfer]:
        for tensor in self.from_dram:
            once = self._moved(tensor, "read")
            yield replace(once, size_bytes=once.size_bytes * self.piece.times_read(tensor))
        for tensor in self.stored:
            yield self._moved(tensor, "write")
        for group, block in self._constants():
            mode = self._run(group).weight_mode
            again = block.name.endswith(".weights") and mode is WeightMode.REREAD
            size = block.size_bytes * (self.piece.schedule.bands if again else 1)
            yield Transfer(self.step, block.name, "read", size, Category.WEIGHTS)

    @cached_property
    def from_dram(self) -> tuple[str, ...]:
        """Maps that it reads from DRAM: streamed in, or a network input that becomes resident here."""
        kept = [t for t, (first, _) in self.residents.items() if first == self.step and t in self.network.inputs]
        return (*self.piece.fed, *kept)

    @cached_property
    def stored(self) -> tuple[str, ...]:
        """Maps that it makes and that are in DRAM."""
        made = [t for g in self.piece.groups for t in g.writes]
        elsewhere = {t for i, p in enumerate(self.pieces) if i != self.step for t in p.fed}
        readers = self.network.readers
        return tuple(t for t in made if self.hosted or t in elsewhere or t in self.network.outputs or not readers[t])

    def _run(self, group: Group) -> Run:
        schedule, channels = self.piece.schedule, self.network.maps[group.output].channels
        rows = schedule.runs[group.index]
        mode, tile = WeightMode.RESIDENT, channels
        if _is_tiled(group, self.piece.choice):
            mode = WeightMode.STREAMED if schedule.bands == 1 else WeightMode.REREAD
            mode = WeightMode.INPUT_REREAD if self.piece.rereads_input else mode
            tile = min(self.piece.choice.channel_tile, channels)
        return Run(group.index, rows.first, rows.step, mode, tile)

    def _constants(self) -> Iterator[tuple[Group, Constant]]:
        for group in () if self.hosted else self.piece.groups:
            primary = group.pieces[0].tensor
            alone = self._readers(primary) == [group] and primary in self.piece.fed and primary != group.residual
            folded = alone and folds_input(group, self.network.maps[primary], self.device)
            yield from ((group, block) for block in constants(self.network, group, folded=folded))

    def _stream(self, tensor: str, role: Role) -> Buffer:
        size, readers = map_row_bytes(self.network.maps[tensor], self.device), self._readers(tensor)
        if role is Role.INPUT and len(readers) == 1:
            size = stream_row_bytes(self.network, readers[0], tensor, self.device)
        if role is not Role.INPUT and self.piece.rereads_input:
            height = self.network.maps[tensor].height
            return Buffer(f"{self.step}:{tensor}", role, tensor, height, size, 0, self.step, self.step)
        ahead, groups = int(self.piece.choice.overlap), self.piece.groups
        rows = ring_rows(self.network, groups, self.piece.schedule, tensor, role.value, ahead)
        return Buffer(f"{self.step}:{tensor}", role, tensor, rows, size, 0, self.step, self.step)

    def _readers(self, tensor: str) -> list[Group]:
        return [g for g in self.piece.groups if tensor in g.reads]

    def _moved(self, tensor: str, direction: str) -> Transfer:
        network, category = self.network, Category.FEATURE_MAPS
        if tensor in network.inputs:
            category = Category.INPUTS
        elif tensor in network.outputs:
            category = Category.OUTPUTS
        size = network.maps[tensor].size_bytes
        return Transfer(self.step, tensor, direction, size, category, tensor in network.shortcuts)


def _regions(network: Network, steps: Sequence[_Step]) -> Iterator[DramRegion]:
    made = {t: s.step for s in steps for t in s.stored}
    for tensor, fmap in network.maps.items():
        if tensor not in made and tensor not in network.inputs:
            continue
        first = made.get(tensor, 0)
        last = max([first, *(s.step for s in steps if tensor in s.from_dram)])
        yield DramRegion(tensor, 0, fmap.size_bytes, first, len(steps) - 1 if tensor in network.outputs else last)


def _placed(wanted: list[Rectangle], unit: int) -> list[Rectangle]:
    """First fit, in the order given, at multiples of `unit`, sharing no unit with what is live at the same step."""
    placed = list[Rectangle]()
    for item in wanted:
        alive = [p for p in placed if p.first_step <= item.last_step and item.first_step <= p.last_step]
        offset = 0
        for other in sorted(alive, key=lambda p: p.offset):
            if offset + item.size_bytes <= other.offset:
                break
            offset = max(offset, -(-(other.offset + other.size_bytes) // unit) * unit)
        placed.append(replace(item, offset=offset))
    return placed


def claimed(made: Plan, network: Network, device: Device) -> Plan:
    """The plan for `network`, with a certificate of its own figures that proves nothing."""
    facts = derive_facts(View(made, network, device), {(t.segment, t.tensor, t.direction): t for t in made.transfers})
    shown = {"traffic": made.traffic_bytes, "cycles": facts.cycles, "peak": made.peak_bytes}
    status = {True: Status.OPTIMAL, False: Status.HEURISTIC}
    objectives = tuple(Objective(name, value, 0, status[value == 0]) for name, value in shown.items())
    certificate = replace(made.certificate, status=Status.HEURISTIC, objectives=objectives)
    return replace(made, network=network_fingerprint(network), certificate=certificate)
