"""Every useful way to run several consecutive groups as one segment: rows flow from group to group through rings, band by band."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import product

from sfopt.allocate.growth import Growth
from sfopt.allocate.options import Block, Body, Option, bank_floor, can_be_resident, operand_sets, patterns, undominated
from sfopt.allocate.switches import Switches
from sfopt.cost import (
    Constant,
    constants,
    dma_cycles,
    folds_input,
    group_cycles,
    map_row_bytes,
    piece_cycles,
    stream_cycles,
    stream_row_bytes,
)
from sfopt.device import Device
from sfopt.groups import Group, Kind, Network
from sfopt.plan import Feed, Role, Run, WeightMode
from sfopt.rows import RowSchedule, rows_to_run

__all__ = ["segment_options"]

Wanted = Callable[[int, int, frozenset[str]], bool]
"""Whether options of these groups with this pattern are of use."""


def segment_options(
    network: Network, device: Device, switches: Switches, wanted: Wanted, *, lean: bool
) -> Iterator[Option]:
    """All useful options of two groups or more that fit the device on their own. `lean`: only what matters where cycles do not."""
    if not switches.segments:
        return
    shared = _Shared(network, device)
    for last in network.groups:
        if last.kind is not Kind.HOST:
            found = dict[tuple[int, int, frozenset[str]], list[Option]]()
            for band_rows in _band_heights(network, last):
                for option in _ending(shared, last, band_rows, wanted, lean=lean):
                    found.setdefault(option.key, []).append(option)
            for options in found.values():
                yield from undominated(options, cycles=not lean) if switches.drop_dominated else options


def _band_heights(network: Network, last: Group) -> list[int]:
    """Every height below the frame that is `unit` times a power of two for some segment's unit: an odd number times a power of two."""
    total = rows_to_run(network, last)
    strides = {g.window.stride[0] for g in network.groups if g.kind is not Kind.HOST}
    odd = {1}
    for stride in strides:
        base = stride // (stride & -stride)
        odd |= {o * base for o in odd if base > 1 and o * base < total}
    return sorted({o << k for o in odd for k in range(total.bit_length()) if o << k < total})


def _ending(shared: "_Shared", last: Group, band_rows: int, wanted: Wanted, *, lean: bool) -> Iterator[Option]:
    """Options of all segments that end with `last` at this band height, shorter ones first, until they no longer fit."""
    growth, inside = Growth(shared.network, last.index, band_rows), _Inside(shared)
    while growth.grow():
        if not growth.connected:
            continue
        inside.take_in(growth)
        if inside.bytes > shared.device.sram_bytes:
            return
        ratio = band_rows // growth.unit
        if growth.first < last.index and ratio & (ratio - 1) == 0:
            yield from _Maker(shared, growth, inside, wanted).options(lean=lean)


@dataclass
class _Shared:
    """What does not depend on the segment."""

    network: Network
    device: Device
    cycles: dict[tuple[int, RowSchedule, int, bool], int] = field(default_factory=dict)
    blocks: dict[tuple[int, bool], tuple[Constant, ...]] = field(default_factory=dict)
    free: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        self.free = frozenset(m for m in self.network.maps if can_be_resident(self.network, m))
        self.whole = {m: f.height * map_row_bytes(f, self.device) for m, f in self.network.maps.items()}

    def constants(self, group: Group, *, folded: bool) -> tuple[Constant, ...]:
        key = (group.index, folded)
        if key not in self.blocks:
            self.blocks[key] = constants(self.network, group, folded=folded)
        return self.blocks[key]

    def compute(self, group: Group, run: RowSchedule, bands: int, *, folded: bool) -> int:
        key = (group.index, run, bands, folded)
        if key not in self.cycles:
            channels = self.network.maps[group.output].channels
            self.cycles[key] = group_cycles(self.network, group, self.device, run, bands, channels, folded=folded)
        return self.cycles[key]


class _Inside:
    """Sums over the groups of a segment that grows: constants, rings, compute, banks of what is inside."""

    def __init__(self, shared: _Shared) -> None:
        self.shared = shared
        self.seen = set[int]()
        self.constant_bytes = self.traffic_bytes = self.ring_bytes = self.compute = self.constant_cycles = 0
        self.rings = dict[str, Block]()
        self.floor = 0

    @property
    def bytes(self) -> int:
        """Scratchpad that every option of the segment needs."""
        return self.constant_bytes + self.ring_bytes

    def take_in(self, growth: Growth) -> None:
        """Add the groups that have come since the last call."""
        for index in range(growth.last, growth.first - 1, -1):
            if index not in self.seen:
                self.seen.add(index)
                self._add(growth, self.shared.network.groups[index])

    def _add(self, growth: Growth, group: Group) -> None:
        device, network = self.shared.device, self.shared.network
        for block in self.shared.constants(group, folded=False):
            self.constant_bytes += block.rows * block.row_bytes(device)
            self.traffic_bytes += block.size_bytes
            self.constant_cycles += piece_cycles(block.size_bytes, 1, device)[0]
        self.compute += self.shared.compute(group, growth.runs[group.index], growth.bands, folded=False)
        if growth.is_inner(group.output):
            rows = growth.made_rows(group, stored_behind=False)
            fmap = network.maps[group.output]
            self.rings[group.output] = Block(Role.RING, group.output, rows, map_row_bytes(fmap, device))
            self.ring_bytes += self.rings[group.output].size_bytes
        for reader, _ in growth.reading(group.output):
            self.floor = max(self.floor, self._bank_floor(reader))

    def _bank_floor(self, group: Group) -> int:
        """Of the operands of one instruction that are rings or weights."""
        blocks = self.shared.constants(group, folded=False)
        weights = next((b.rows * b.row_bytes(self.shared.device) for b in blocks if b.name.endswith(".weights")), None)
        sizes = {n: b.size_bytes for n, b in self.rings.items()} | ({} if weights is None else {"\0weights": weights})
        sets = operand_sets(group, None if weights is None else "\0weights")
        known = [[sizes[n] for n in names if n in sizes] for names in sets]
        return max(bank_floor(s, self.shared.device.bank_bytes) if s else 0 for s in known)


@dataclass(frozen=True)
class _Stream:
    """A map that a segment may stream: its buffer with and without overlap, and the cycles of its edge piece and of the rest."""

    blocks: tuple[Block, Block]
    feed: Feed | None
    edge: int
    rest: int


class _Maker:
    """Builds the options of one segment at one band height."""

    def __init__(self, shared: _Shared, growth: Growth, inside: _Inside, wanted: Wanted) -> None:
        self.shared, self.growth, self.inside, self.wanted = shared, growth, inside, wanted
        self.network, self.device = shared.network, shared.device
        self.first, self.last = growth.first, growth.last
        previous = self.network.groups[self.first - 1] if self.first else None
        self.may_prefetch = previous is not None and previous.kind is not Kind.HOST and inside.constant_bytes > 0
        self.folding = self._folding_group()

    def options(self, *, lean: bool) -> Iterator[Option]:
        """Every option, of each pattern that is wanted."""
        streams = {m: self._fed(m) for m in self.growth.external()}
        streams |= {m: self._stored(m) for m in self.growth.leaving()}
        free = [m for m in streams if m in self.shared.free and self._outlives(m)]
        for pattern in patterns(self.network, free):
            held = sum(self.shared.whole[m] for m in pattern)
            if held + self.inside.bytes > self.device.sram_bytes or not self.wanted(self.first, self.last, pattern):
                continue
            streaming = [s for m, s in streams.items() if m not in pattern]
            for overlap, early in product(
                (False, True) if streaming and not lean else (False,),
                (False, True) if self.may_prefetch and not lean else (False,),
            ):
                option = self._option(pattern, streams, overlap=overlap, early=early)
                if max(option.own_bytes + held, option.floor_bytes) <= self.device.sram_bytes:
                    yield option

    def _outlives(self, tensor: str) -> bool:
        """Whether a group in front or behind touches the map: only then can it be resident."""
        return self.network.producers.get(tensor, -1) < self.first or self.network.readers[tensor][-1] > self.last

    def _option(self, pattern: frozenset[str], streams: Mapping[str, _Stream], *, overlap: bool, early: bool) -> Option:
        inside, later = self.inside, "behind" if overlap else "exposed"
        time = {"exposed": 0, "behind": 0, "ahead": 0}
        time["ahead" if early else "exposed"] += inside.constant_cycles
        traffic, own = inside.traffic_bytes, inside.bytes
        for m, stream in streams.items():
            size_bytes = self.network.maps[m].size_bytes
            if m not in pattern:
                time["exposed"] += stream.edge
                time[later] += stream.rest
                own += stream.blocks[overlap].size_bytes
            elif self._moves_here(m):
                time["exposed"] += dma_cycles(size_bytes, self.device)
            else:
                continue
            traffic += size_bytes
        compute = inside.compute
        if self.folding is not None and self.folding.pieces[0].tensor not in pattern:
            run = self.growth.runs[self.folding.index]
            plain, folded = (self.shared.compute(self.folding, run, self.growth.bands, folded=f) for f in (False, True))
            compute += folded - plain
            own += self._folding_bytes()
        return Option(
            first=self.first,
            last=self.last,
            resident=pattern,
            bands=self.growth.bands,
            overlap=overlap,
            own_bytes=own,
            early_bytes=inside.constant_bytes * early + self._folding_bytes() * (early and compute != inside.compute),
            floor_bytes=inside.floor,
            traffic_bytes=traffic,
            compute=compute,
            **time,
            make=partial(self._body, self._runs(), dict(inside.rings), pattern, streams, overlap=overlap, early=early),
        )

    def _moves_here(self, tensor: str) -> bool:
        """A resident network input is loaded by its first reader; a resident network output is stored by its producer."""
        if self.network.producers.get(tensor, -1) >= self.first:
            return tensor in self.network.outputs
        return tensor in self.network.inputs and self.network.readers[tensor][0] >= self.first

    def _folding_group(self) -> Group | None:
        """The group that folds its input if it streams it in alone."""
        for m in self.growth.external():
            readers = self.growth.readers[m]
            group = self.network.groups[readers[0]]
            if len(readers) == 1 and m == group.pieces[0].tensor and m != group.residual:
                if folds_input(group, self.network.maps[m], self.device):
                    return group
        return None

    def _folding_bytes(self) -> int:
        """Scratchpad that a group's constants take more when they are laid out for folding."""
        if self.folding is None:
            return 0
        plain, folded = (
            sum(b.rows * b.row_bytes(self.device) for b in self.shared.constants(self.folding, folded=f))
            for f in (False, True)
        )
        return folded - plain

    def _fed(self, tensor: str) -> _Stream:
        fmap, moves, readers = self.network.maps[tensor], self.growth.feed(tensor), self.growth.readers[tensor]
        row_bytes = map_row_bytes(fmap, self.device)
        if len(readers) == 1:
            row_bytes = stream_row_bytes(self.network, self.network.groups[readers[0]], tensor, self.device)
        rows = (self.growth.feed_rows(tensor, read_ahead=ahead) for ahead in (False, True))
        plain, ahead = (Block(Role.INPUT, tensor, count, row_bytes) for count in rows)
        edge, rest = stream_cycles(fmap.size_bytes // fmap.height, moves, self.growth.bands, self.device, reading=True)
        return _Stream((plain, ahead), Feed(tensor, moves.first, moves.step), edge, rest)

    def _stored(self, tensor: str) -> _Stream:
        group, fmap = self.network.groups[self.network.producers[tensor]], self.network.maps[tensor]
        rows = (self.growth.made_rows(group, stored_behind=behind) for behind in (False, True))
        plain, behind = (Block(Role.OUTPUT, tensor, count, map_row_bytes(fmap, self.device)) for count in rows)
        moves = self.growth.made(group)
        edge, rest = stream_cycles(fmap.size_bytes // fmap.height, moves, self.growth.bands, self.device, reading=False)
        return _Stream((plain, behind), None, edge, rest)

    def _runs(self) -> tuple[Run, ...]:
        rows, groups = self.growth.runs, self.network.groups[self.first : self.last + 1]
        return tuple(
            Run(
                g.index,
                rows[g.index].first,
                rows[g.index].step,
                WeightMode.RESIDENT,
                self.network.maps[g.output].channels,
            )
            for g in groups
        )

    def _body(
        self,
        runs: tuple[Run, ...],
        rings: Mapping[str, Block],
        pattern: frozenset[str],
        streams: Mapping[str, _Stream],
        *,
        overlap: bool,
        early: bool,
    ) -> Body:
        used = [s for m, s in streams.items() if m not in pattern]
        blocks = [s.blocks[overlap] for s in used]
        for run in runs:
            group = self.network.groups[run.group]
            if group.output in rings:
                blocks.append(rings[group.output])
            folded = group is self.folding and group.pieces[0].tensor not in pattern
            for constant in self.shared.constants(group, folded=folded):
                role = Role.WEIGHTS if constant.name.endswith(".weights") else Role.PARAMETERS
                blocks.append(Block(role, group.name, constant.rows, constant.row_bytes(self.device), early=early))
        return Body(runs, tuple(s.feed for s in used if s.feed is not None), tuple(blocks))
