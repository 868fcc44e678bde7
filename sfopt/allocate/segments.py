"""Every useful way to run several consecutive groups as one segment: rows flow from group to group through rings, band by band.

A segment is worth having where its rings and constants together need less scratchpad than any way to cut it in two, with the maps
that cross the cut held whole. Elsewhere the two parts do all that it does, in less.
"""

from collections.abc import Iterator, Mapping, Set
from copy import copy
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import product

from sfopt.allocate.growth import Growth
from sfopt.allocate.lending import Lending
from sfopt.allocate.options import Block, Body, Edge, Key, Option, bank_floor, can_be_resident, operand_sets, patterns
from sfopt.allocate.tiling import Tiling
from sfopt.allocate.worth import Needs
from sfopt.cost import (
    Constant,
    Moved,
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

__all__ = ["UNLIMITED", "Maker", "SegmentOptions"]

UNLIMITED = 1 << 62
"""A budget that rules nothing out."""


class SegmentOptions:
    """The options of two groups or more of a network on a device, each of which fits on its own."""

    def __init__(self, network: Network, device: Device, *, side_by_side: bool = True) -> None:
        self.network, self.device = network, device
        self.shared = _Shared(network, device, Lending(network, device) if side_by_side else None)

    def lean(self, budget_bytes: int) -> Iterator[Option]:
        """Those that matter where cycles do not: the lowest bands, in which every buffer is smallest.

        Only those whose maps move at most `budget_bytes` beyond what is compulsory.
        """
        for maker, _ in self._worth_having.values():
            yield from maker.lean(budget_bytes)

    @cached_property
    def _worth_having(self) -> Mapping[tuple[int, int], tuple["Maker", int]]:
        """Groups first..last -> options at the least band height, and what running them in two parts needs, which is more."""
        needs, found = Needs(self.network, self.shared.whole), dict[tuple[int, int], tuple[Maker, int]]()
        for last in self.network.groups:
            if last.kind is Kind.HOST:
                continue
            needs.begin(last.index, self.shared.constant_bytes(last))
            for growth, inside in self._lowest(last):
                cut = needs.cut(growth.first, last.index)
                own = inside.bytes if growth.connected else cut
                needs.know(growth.first, last.index, min(own, cut))
                if own < cut:
                    found[growth.first, last.index] = Maker(self.shared, growth.copy(), inside.copy()), cut
        return found

    @property
    def ranges(self) -> Set[tuple[int, int]]:
        """Groups first..last of those worth having."""
        return self._worth_having.keys()

    def cut_bytes(self, first: int, last: int) -> int:
        """Least scratchpad of running groups in two parts or more, where one segment needs less; 0 elsewhere."""
        return self._worth_having[first, last][1] if (first, last) in self._worth_having else 0

    def full(self, keys: Set[Key] | None) -> Iterator[Option]:
        """All of them, or all of certain keys: every band height, overlap and early constants."""
        ranges = self._worth_having if keys is None else {(first, last) for first, last, _ in keys if first < last}
        firsts: dict[int, set[int]] = {}
        for first, last in ranges:
            firsts.setdefault(last, set()).add(first)
        for last, starts in sorted(firsts.items()):
            kept = dict[tuple[object, ...], list[Option]]()
            for band_rows in _band_heights(self.network, self.network.groups[last]):
                for option in self._ending(last, band_rows, starts, keys):
                    same = kept.setdefault((*option.key, option.overlap, option.early_bytes > 0), [])
                    if not any(_no_worse(o, option) for o in same):
                        same.append(option)
                        yield option

    def band_heights(self, last: Group) -> list[int]:
        """Every height that the bands of some segment that ends with a group may have."""
        return _band_heights(self.network, last)

    def inside(self) -> "_Inside":
        """Sums over a segment that grows and holds all its constants."""
        return _Inside(self.shared)

    def tiled(self, growth: Growth, tiling: Tiling) -> "Maker":
        """Maker of the options in which some groups read their weights again."""
        inside = _Inside(self.shared, tiling)
        inside.take_in(growth)
        return Maker(self.shared, growth, inside)

    def _lowest(self, last: Group) -> Iterator[tuple[Growth, "_Inside"]]:
        """All segments that end with a group, at the least band height that each can have, shorter ones first."""
        band_rows, total, done = 1, rows_to_run(self.network, last), last.index
        while band_rows < total:
            growth, inside = Growth(self.network, last.index, band_rows), _Inside(self.shared)
            while growth.grow():
                if growth.connected:
                    inside.take_in(growth)
                if inside.bytes > self.device.sram_bytes:
                    return
                if growth.first < done:
                    done = growth.first
                    yield growth, inside
            if growth.unit <= band_rows:
                return
            band_rows = growth.unit

    def _ending(self, last: int, band_rows: int, starts: set[int], keys: Set[Key] | None) -> Iterator[Option]:
        """Options of the segments from `starts` to `last` at one band height, as long as they are worth having."""
        growth, inside = Growth(self.network, last, band_rows), _Inside(self.shared)
        while growth.first > min(starts) and growth.grow():
            if not growth.connected:
                continue
            inside.take_in(growth)
            if inside.bytes > self.device.sram_bytes:
                return
            ratio, cut = band_rows // growth.unit, self.cut_bytes(growth.first, last)
            if growth.first in starts and inside.bytes < cut and ratio & (ratio - 1) == 0:
                yield from Maker(self.shared, growth.copy(), inside.copy()).options(keys)


def _no_worse(a: Option, b: Option) -> bool:
    """Whether `a` needs no more than `b` of anything; the bands of `a` are lower, so that each of its buffers is no larger."""
    return (
        a.own_bytes <= b.own_bytes
        and a.compute <= b.compute
        and a.exposed <= b.exposed
        and a.behind <= b.behind
        and a.ahead <= b.ahead
        and a.lends >= b.lends
    )


def _band_heights(network: Network, last: Group) -> list[int]:
    """Every height below the frame that may be some segment's unit times a power of two: an odd number times a power of two."""
    total = rows_to_run(network, last)
    strides = {g.window.stride[0] for g in network.groups if g.kind is not Kind.HOST}
    odd = {1}
    for stride in strides:
        base = stride // (stride & -stride)
        odd |= {o * base for o in odd if base > 1 and o * base < total}
    return sorted({o << k for o in odd for k in range(total.bit_length()) if o << k < total})


@dataclass
class _Shared:
    """What does not depend on the segment."""

    network: Network
    device: Device
    lending: Lending | None
    """None: no operand lies in a concat's output."""
    cycles: dict[tuple[int, RowSchedule, int, int | None, bool], int] = field(default_factory=dict)
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

    def constant_bytes(self, group: Group) -> int:
        """Scratchpad that all constants of a group take, not folded."""
        return sum(b.rows * b.row_bytes(self.device) for b in self.constants(group, folded=False))

    def compute(self, group: Group, run: RowSchedule, bands: int, tile: int | None = None, *, folded: bool) -> int:
        key = (group.index, run, bands, tile, folded)
        if key not in self.cycles:
            channels = tile or self.network.maps[group.output].channels
            self.cycles[key] = group_cycles(self.network, group, self.device, run, bands, channels, folded=folded)
        return self.cycles[key]


@dataclass(frozen=True)
class _ConstantTime:
    """Cycles that loads of constants take: of those that are held; of the first tile and all others of weights read again."""

    held: int = 0
    edge: int = 0
    rest: int = 0

    def __add__(self, other: "_ConstantTime") -> "_ConstantTime":
        return _ConstantTime(self.held + other.held, self.edge + other.edge, self.rest + other.rest)

    def __sub__(self, other: "_ConstantTime") -> "_ConstantTime":
        return _ConstantTime(self.held - other.held, self.edge - other.edge, self.rest - other.rest)


class _Inside:
    """Sums over the groups of a segment that grows: constants, rings, compute, banks of what is inside."""

    def __init__(self, shared: _Shared, tiling: Tiling | None = None) -> None:
        self.shared, self.tiling = shared, tiling or Tiling()
        self.tile_bytes = 0
        """Scratchpad of weights that are read again."""
        self.seen = set[int]()
        self.constant_bytes = self.traffic_bytes = self.ring_bytes = self.compute = 0
        self.constant_time = _ConstantTime()
        self.rings = dict[str, Block]()
        self.floor = 0

    def copy(self) -> "_Inside":
        """One that no longer grows."""
        same = copy(self)
        same.rings = dict(self.rings)
        return same

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
            size_bytes = self.tiling.rows(group, block) * block.row_bytes(device)
            self.constant_bytes += size_bytes
            held = self.tiling.holds(group, block)
            self.traffic_bytes += block.size_bytes * (1 if held else growth.bands)
            self.tile_bytes += 0 if held else size_bytes
        self.constant_time += self.time(group, growth.bands, folded=False)
        run, tile = growth.runs[group.index], self.tiling.tiles.get(group.index)
        self.compute += self.shared.compute(group, run, growth.bands, tile, folded=False)
        if growth.is_inner(group.output):
            rows = growth.made_rows(group, stored_behind=False)
            fmap = network.maps[group.output]
            self.rings[group.output] = Block(Role.RING, group.output, rows, map_row_bytes(fmap, device))
            self.ring_bytes += self.rings[group.output].size_bytes
        for reader, _ in growth.reading(group.output):
            self.floor = max(self.floor, self._bank_floor(reader))

    def time(self, group: Group, bands: int, *, folded: bool) -> "_ConstantTime":
        """What a group's constants take."""
        total = _ConstantTime()
        for block in self.shared.constants(group, folded=folded):
            moved = block.moved(self.shared.device)
            if self.tiling.holds(group, block):
                total += _ConstantTime(held=dma_cycles(moved, self.shared.device, reading=True))
            else:
                pieces = self.tiling.pieces(group, block, bands)
                total += _ConstantTime(0, *piece_cycles(moved * bands, pieces, self.shared.device))
        return total

    def _bank_floor(self, group: Group) -> int:
        """Of the operands of one instruction that are rings or weights."""
        blocks = self.shared.constants(group, folded=False)
        block = next((b for b in blocks if b.name.endswith(".weights")), None)
        weights = None if block is None else self.tiling.rows(group, block) * block.row_bytes(self.shared.device)
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


class Maker:
    """Builds the options of one segment at one band height; lean ones once."""

    def __init__(self, shared: _Shared, growth: Growth, inside: _Inside) -> None:
        self.shared, self.growth, self.inside = shared, growth, inside
        self.network, self.device = shared.network, shared.device
        self.first, self.last = growth.first, growth.last
        previous = self.network.groups[self.first - 1] if self.first else None
        self.may_prefetch = previous is not None and previous.kind is not Kind.HOST and inside.constant_bytes > 0
        self.made = dict[str, _Stream]()
        self.made_lean = dict[frozenset[str], Option | None]()
        """Pattern -> its option, if it fits."""

    def options(self, keys: Set[Key] | None) -> Iterator[Option]:
        """Every option of the patterns asked for."""
        for pattern in patterns(self.network, self.free):
            if keys is None or (self.first, self.last, pattern) in keys:
                yield from self._fitting(pattern, lean=False)

    def lean(self, budget_bytes: int) -> Iterator[Option]:
        """Options without overlap and early constants, of patterns whose maps move at most `budget_bytes` beyond what they must."""
        beyond = {m: self.network.maps[m].size_bytes for m in self.free if not self._moves_here(m)}
        for pattern in patterns(self.network, self.free):
            if sum(b for m, b in beyond.items() if m not in pattern) <= budget_bytes:
                if pattern not in self.made_lean:
                    self.made_lean[pattern] = next(self._fitting(pattern, lean=True), None)
                option = self.made_lean[pattern]
                if option is not None:
                    yield option

    @cached_property
    def moving(self) -> tuple[str, ...]:
        """Maps that cross the segment's borders."""
        return *self.growth.external(), *self.growth.leaving()

    @cached_property
    def free(self) -> tuple[str, ...]:
        """Those of them that may be resident."""
        return tuple(m for m in self.moving if m in self.shared.free and self._outlives(m))

    def _fitting(self, pattern: frozenset[str], *, lean: bool) -> Iterator[Option]:
        """Options of one pattern that fit, in every combination of overlap and early constants, or lean with neither."""
        lends = self._lends(pattern)
        held = sum(self.shared.whole[m] for m in pattern - {m for _, m in lends})
        if held + self.inside.bytes > self.device.sram_bytes:
            return
        streams = {m: self._stream(m) for m in self.moving if m not in pattern}
        loads = [m for m in self.moving if m in pattern and self._moves_here(m)]
        for overlap, early in product(
            self._overlaps(streams) if not lean else (False,),
            (False, True) if self.may_prefetch and not lean else (False,),
        ):
            option = self._option(pattern, lends, streams, loads, overlap=overlap, early=early)
            if max(option.own_bytes + held, option.floor_bytes) <= self.device.sram_bytes:
                yield option

    def _overlaps(self, streams: Mapping[str, "_Stream"]) -> tuple[bool, ...]:
        """Whether DMA may run behind compute; tiles of weights are sized for one of the two."""
        if self.inside.tiling.tiles:
            return (self.inside.tiling.overlap,)
        return (False, True) if streams else (False,)

    def _outlives(self, tensor: str) -> bool:
        """Whether a group in front or behind touches the map: only then can it be resident."""
        return self.network.producers.get(tensor, -1) < self.first or self.network.readers[tensor][-1] > self.last

    def _option(
        self,
        pattern: frozenset[str],
        lends: frozenset[Edge],
        streams: Mapping[str, "_Stream"],
        loads: list[str],
        *,
        overlap: bool,
        early: bool,
    ) -> Option:
        inside, sizes = self.inside, self.network.maps
        folding = [g for g in self.folding if g.pieces[0].tensor in streams]
        constant_bytes = inside.constant_bytes + sum(self._folding_bytes(g) for g in folding)
        constant_time = sum((self._folding_time(g) for g in folding), inside.constant_time)
        edges = constant_time.edge + sum(s.edge for s in streams.values())
        edges += sum(
            dma_cycles(Moved.whole(sizes[m], self.device), self.device, reading=m in self.network.inputs) for m in loads
        )
        rest = constant_time.rest + sum(s.rest for s in streams.values())
        tile_bytes = inside.tile_bytes + sum(self._folding_bytes(g, held=False) for g in folding)
        streamed_bytes = sum(s.blocks[overlap].size_bytes for s in streams.values())
        return Option(
            first=self.first,
            last=self.last,
            resident=pattern,
            bands=self.growth.bands,
            overlap=overlap,
            own_bytes=constant_bytes + inside.ring_bytes + streamed_bytes,
            early_bytes=(constant_bytes - tile_bytes) * early,
            floor_bytes=inside.floor,
            traffic_bytes=inside.traffic_bytes + sum(sizes[m].size_bytes for m in (*streams, *loads)),
            compute=inside.compute + sum(self._folding_cycles(g) for g in folding),
            exposed=edges + constant_time.held * (not early) + rest * (not overlap),
            behind=rest * overlap,
            ahead=constant_time.held * early,
            lends=lends,
            make=partial(self._body, streams, early=early, overlap=overlap),
        )

    def _lends(self, pattern: frozenset[str]) -> frozenset[Edge]:
        """Operands in the pattern that may lie in an output in the pattern."""
        groups = self.network.groups
        return frozenset((g, m) for g, m in self.lending if m in pattern and groups[g].output in pattern)

    @cached_property
    def lending(self) -> frozenset[Edge]:
        """Operands that may lie in a concat's output, if both are resident."""
        return frozenset() if self.shared.lending is None else self.shared.lending.edges(self.growth)

    def _moves_here(self, tensor: str) -> bool:
        """Whether a map moves once here in any plan: a network input at its first reader, a network output at its producer."""
        if self.network.producers.get(tensor, -1) >= self.first:
            return tensor in self.network.outputs
        return tensor in self.network.inputs and self.network.readers[tensor][0] >= self.first

    @cached_property
    def folding(self) -> tuple[Group, ...]:
        """Groups that fold their input if they stream it in alone."""
        alone = [(m, self.network.groups[r[0]]) for m, r in self.growth.readers.items() if len(r) == 1]
        return tuple(
            g
            for m, g in alone
            if m == g.pieces[0].tensor != g.residual
            and self.network.producers.get(m, -1) < self.first
            and folds_input(g, self.network.maps[m], self.device)
        )

    def _folding_bytes(self, group: Group, *, held: bool = True) -> int:
        """Scratchpad that a group's constants, or only those that are not held, take more when they are laid out for folding."""
        tiling = self.inside.tiling
        plain, folded = (
            sum(
                tiling.rows(group, b) * b.row_bytes(self.device)
                for b in self.shared.constants(group, folded=f)
                if held or not tiling.holds(group, b)
            )
            for f in (False, True)
        )
        return folded - plain

    def _folding_cycles(self, group: Group) -> int:
        """Cycles that folding adds (it saves some: a number below 0)."""
        run, bands = self.growth.runs[group.index], self.growth.bands
        tile = self.inside.tiling.tiles.get(group.index)
        plain, folded = (self.shared.compute(group, run, bands, tile, folded=f) for f in (False, True))
        return folded - plain

    def _folding_time(self, group: Group) -> _ConstantTime:
        """Cycles that folding adds to the loads of a group's constants (its weights fill fewer words: numbers below 0)."""
        plain, folded = (self.inside.time(group, self.growth.bands, folded=f) for f in (False, True))
        return folded - plain

    def _stream(self, tensor: str) -> "_Stream":
        if tensor not in self.made:
            make = self._stored if self.network.producers.get(tensor, -1) >= self.first else self._fed
            self.made[tensor] = make(tensor)
        return self.made[tensor]

    def _fed(self, tensor: str) -> _Stream:
        fmap, moves, readers = self.network.maps[tensor], self.growth.feed(tensor), self.growth.readers[tensor]
        row_bytes = map_row_bytes(fmap, self.device)
        if len(readers) == 1:
            row_bytes = stream_row_bytes(self.network, self.network.groups[readers[0]], tensor, self.device)
        rows = (self.growth.feed_rows(tensor, read_ahead=ahead) for ahead in (False, True))
        plain, ahead = (Block(Role.INPUT, tensor, count, row_bytes) for count in rows)
        row = Moved.row(fmap, row_bytes, self.device)
        edge, rest = stream_cycles(row, moves, self.growth.bands, self.device, reading=True)
        return _Stream((plain, ahead), Feed(tensor, moves.first, moves.step), edge, rest)

    def _stored(self, tensor: str) -> _Stream:
        group, fmap = self.network.groups[self.network.producers[tensor]], self.network.maps[tensor]
        rows = (self.growth.made_rows(group, stored_behind=behind) for behind in (False, True))
        plain, behind = (Block(Role.OUTPUT, tensor, count, map_row_bytes(fmap, self.device)) for count in rows)
        moves, row = self.growth.made(group), Moved.row(fmap, map_row_bytes(fmap, self.device), self.device)
        edge, rest = stream_cycles(row, moves, self.growth.bands, self.device, reading=False)
        return _Stream((plain, behind), None, edge, rest)

    def _runs(self) -> tuple[Run, ...]:
        rows, tiles, found = self.growth.runs, self.inside.tiling.tiles, list[Run]()
        for g in self.network.groups[self.first : self.last + 1]:
            mode = WeightMode.REREAD if g.index in tiles else WeightMode.RESIDENT
            tile = tiles.get(g.index, self.network.maps[g.output].channels)
            found.append(Run(g.index, rows[g.index].first, rows[g.index].step, mode, tile))
        return tuple(found)

    def _body(self, streams: Mapping[str, "_Stream"], *, overlap: bool, early: bool) -> Body:
        blocks, runs, rings = [s.blocks[overlap] for s in streams.values()], self._runs(), self.inside.rings
        tiling = self.inside.tiling
        for run in runs:
            group = self.network.groups[run.group]
            if group.output in rings:
                blocks.append(rings[group.output])
            folded = group in self.folding and group.pieces[0].tensor in streams
            for constant in self.shared.constants(group, folded=folded):
                role = Role.WEIGHTS if constant.name.endswith(".weights") else Role.PARAMETERS
                count, ahead = tiling.rows(group, constant), early and tiling.holds(group, constant)
                blocks.append(Block(role, group.name, count, constant.row_bytes(self.device), early=ahead))
        return Body(runs, tuple(s.feed for s in streams.values() if s.feed is not None), tuple(blocks))
