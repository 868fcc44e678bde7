"""Every way to run a segment, read off docs/plan-rules.md: its buffers, its bytes, its cycles."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import product
from math import ceil

from brute_rows import Timing, ring_rows, timings
from brute_worth import cut_bytes, inner_bytes, reread_sets

from sfopt import cost
from sfopt.device import Device
from sfopt.groups import FeatureMap, Group, Kind, Network
from sfopt.rows import RowSchedule

__all__ = ["REREADS", "How", "Part", "Span", "Way", "ways"]

Span = tuple[int, int]
"""First and last group of a segment."""
REREADS = frozenset({"inputs", "weights"})
"""What may be read again beside the weights of a group alone for every band: its inputs for every tile of weights; weights of
groups in company for every band."""


@dataclass(frozen=True)
class Part:
    """A buffer of a segment's own; `early`: it is there from the step before."""

    name: str
    rows: int
    row_bytes: int
    early: bool = False

    @property
    def size(self) -> int:
        """Bytes."""
        return self.rows * self.row_bytes


@dataclass(frozen=True)
class How:
    """What distinguishes a way to run a segment."""

    timing: Timing
    tile: int | None
    overlap: bool
    again: frozenset[str] = frozenset()
    """Maps that are read again for every tile; if there are any, the tiles are outside and the bands inside."""
    tiled: frozenset[int] = frozenset()
    """Groups in company whose weights come tile by tile, again in every band."""


@dataclass(frozen=True)
class Way:
    """One way to run a segment, given what is resident. Two are the same if they take and cost the same."""

    parts: tuple[Part, ...]
    traffic: int
    exposed: int
    compute: int
    behind: int
    ahead: int
    how: How | None = field(default=None, compare=False)
    """None for a host group."""

    @cached_property
    def own_bytes(self) -> int:
        """Bytes of its buffers at its own step."""
        return sum(part.size for part in self.parts)


def ways(
    network: Network,
    device: Device,
    span: Span,
    held: frozenset[str],
    stored: frozenset[str],
    rereads: frozenset[str] = REREADS,
) -> Iterator[Way]:
    """All ways to run the groups of `span`, which see the maps `held` resident and write the maps `stored` to DRAM."""
    groups = network.groups[span[0] : span[1] + 1]
    if groups[0].kind is Kind.HOST:
        maps = [(network.maps[n], n in groups[0].reads) for n in (*groups[0].reads, *groups[0].writes)]
        cycles = sum(_at_once_cycles(m, device, reading=reading) for m, reading in maps)
        yield Way((), sum(m.size_bytes for m, _ in maps), cycles, 0, 0, 0)
        return
    made = {g.output for g in groups}
    fed = tuple(dict.fromkeys(n for g in groups for n in g.reads if n not in made and n not in held))
    may_be_early = span[0] > 0 and network.groups[span[0] - 1].kind is not Kind.HOST
    for timing in timings(network, groups, fed):
        for overlap in (False, True):
            for how in _hows(network, device, groups, timing, overlap, rereads):
                for early in {False, may_be_early}:
                    yield _Maker(network, device, groups, held, stored, how, early=early).way()


def _hows(
    network: Network, device: Device, groups: Sequence[Group], timing: Timing, overlap: bool, rereads: frozenset[str]
) -> Iterator[How]:
    """Every way to bring the weights."""
    if len(groups) > 1:
        if inner_bytes(network, device, groups, timing) < cut_bytes(
            network, device, (groups[0].index, groups[-1].index)
        ):
            yield How(timing, None, overlap)
        if "weights" in rereads:
            for tiled in reread_sets(network, device, groups, timing):
                yield How(timing, device.lanes_out, overlap, tiled=tiled)
        return
    for tile in _tiles(network, device, groups[0]):
        yield How(timing, tile, overlap)
        if tile is not None and timing.bands > 1 and "inputs" in rereads:
            for again in _read_again(groups[0], timing):
                yield How(_at_once(timing, again), tile, overlap, again)


def _read_again(group: Group, timing: Timing) -> Iterator[frozenset[str]]:
    """Every set of maps that may be read again for every tile: they arrive in several bands, and are no channel scale."""
    banded = [n for n, rows in timing.feeds.items() if rows.first < rows.total and n != group.scale]
    for choice in product((False, True), repeat=len(banded)):
        if any(choice):
            yield frozenset(n for n, chosen in zip(banded, choice, strict=True) if chosen)


def _at_once(timing: Timing, again: frozenset[str]) -> Timing:
    """The same, but all maps other than those that are read again come whole."""
    feeds = {
        n: rows if n in again else RowSchedule(rows.total, rows.total, rows.total) for n, rows in timing.feeds.items()
    }
    return replace(timing, feeds=feeds)


def _tiles(network: Network, device: Device, group: Group) -> Iterator[int | None]:
    """Channels of a weight tile; None: all weights at once."""
    yield None
    channels, tile = network.maps[group.output].channels, device.lanes_out
    while group.kind is Kind.CONV and group.conv_groups == 1 and tile < channels:
        yield tile
        tile *= 2


def _pixel_words(fmap: FeatureMap, device: Device) -> int:
    return ceil(fmap.channels / device.lanes_in)


def _at_once_cycles(fmap: FeatureMap, device: Device, *, reading: bool) -> int:
    """Cycles of moving a whole map."""
    words = fmap.height * fmap.width * _pixel_words(fmap, device)
    return cost.dma_cycles(cost.Moved(fmap.size_bytes, words), device, reading=reading)


class _Maker:
    """Adds up one way."""

    def __init__(
        self,
        network: Network,
        device: Device,
        groups: Sequence[Group],
        held: frozenset[str],
        stored: frozenset[str],
        how: How,
        *,
        early: bool,
    ) -> None:
        self.network, self.device, self.groups, self.held, self.stored = network, device, groups, held, stored
        self.how, self.timing, self.overlap, self.early = how, how.timing, how.overlap, early
        self.parts = list[Part]()
        self.traffic = self.exposed = self.compute = self.behind = self.ahead = 0

    def way(self) -> Way:
        for tensor in self.timing.feeds:
            self._feed(tensor)
        for group in self.groups:
            self._output(group)
            self._run(group)
        firsts = {n: self.network.readers[n][0] for n in self.network.inputs if n in self.held}
        for tensor in (n for n, first in firsts.items() if self.groups[0].index <= first <= self.groups[-1].index):
            self._move(tensor)
        return Way(tuple(self.parts), self.traffic, self.exposed, self.compute, self.behind, self.ahead, self.how)

    def _feed(self, tensor: str) -> None:
        fmap, readers = self.network.maps[tensor], [g for g in self.groups if tensor in g.reads]
        row = cost.map_row_bytes(fmap, self.device)
        if len(readers) == 1:
            row = cost.stream_row_bytes(self.network, readers[0], tensor, self.device)
        rows = ring_rows(self.network, self.groups, self.timing, tensor, ahead=self.overlap, behind=False)
        self.parts.append(Part(tensor, rows, row))
        feed, bands = self.timing.feeds[tensor], self.timing.bands
        moved = cost.Moved(fmap.width * fmap.channels, row // self.device.lanes_in)
        edge, rest = cost.stream_cycles(moved, feed, bands, self.device, reading=True)
        times = self._tiles(self.groups[0]) if tensor in self.how.again else 1
        self._spend(times * fmap.size_bytes, times * edge, times * rest)

    def _tiles(self, group: Group) -> int:
        return ceil(self.network.maps[group.output].channels / (self._tile(group) or 1 << 30))

    def _tile(self, group: Group) -> int | None:
        return self.how.tile if len(self.groups) == 1 or group.index in self.how.tiled else None

    def _output(self, group: Group) -> None:
        fmap, leaves = self.network.maps[group.output], group.output in self.stored
        if group.output in self.held:
            if leaves:
                self._move(group.output)
            return
        if self.how.again:
            self.parts.append(Part(group.output, fmap.height, cost.map_row_bytes(fmap, self.device)))
            if leaves:
                self._move(group.output)
            return
        behind = leaves and self.overlap
        rows = ring_rows(self.network, self.groups, self.timing, group.output, ahead=False, behind=behind)
        self.parts.append(Part(group.output, rows, cost.map_row_bytes(fmap, self.device)))
        if leaves and group.kind is Kind.GLOBAL_MEAN:
            self._move(group.output)
        elif leaves:
            run, bands = self.timing.runs[group.index], self.timing.bands
            row = cost.Moved(fmap.width * fmap.channels, fmap.width * _pixel_words(fmap, self.device))
            self._spend(fmap.size_bytes, *cost.stream_cycles(row, run, bands, self.device, reading=False))

    def _move(self, tensor: str) -> None:
        """A whole map between DRAM and scratchpad, at once."""
        fmap = self.network.maps[tensor]
        reading = tensor in self.network.inputs
        self._spend(fmap.size_bytes, _at_once_cycles(fmap, self.device, reading=reading), 0)

    def _spend(self, size: int, edge: int, rest: int) -> None:
        self.traffic += size
        self.exposed += edge + (0 if self.overlap else rest)
        self.behind += rest if self.overlap else 0

    def _constant(self, block: cost.Constant, passes: int) -> cost.Moved:
        """What it moves to read a block so often."""
        words = block.rows * block.pixels * ceil(block.channels / self.device.lanes_in)
        return cost.Moved(block.size_bytes * passes, words * passes)

    def _run(self, group: Group) -> None:
        first, bands = group.pieces[0].tensor, self.timing.bands
        alone = first in self.timing.feeds and [g for g in self.groups if first in g.reads] == [group]
        folded = alone and cost.folds_input(group, self.network.maps[first], self.device)
        for block in cost.constants(self.network, group, folded=folded):
            tile = self._tile(group) if block.name.endswith(".weights") else None
            rows = block.rows if tile is None else min(block.rows, tile * (2 if self.overlap else 1))
            early = self.early and tile is None
            self.parts.append(Part(block.name, rows, block.row_bytes(self.device), early))
            if tile is not None:
                passes = 1 if self.how.again else bands
                moved, pieces = self._constant(block, passes), passes * self._tiles(group)
                self._spend(moved.size_bytes, *cost.piece_cycles(moved, pieces, self.device))
                continue
            self.traffic += block.size_bytes
            cycles = cost.dma_cycles(self._constant(block, 1), self.device, reading=True)
            self.ahead += cycles if self.early else 0
            self.exposed += 0 if self.early else cycles
        tile, run = self._tile(group) or self.network.maps[group.output].channels, self.timing.runs[group.index]
        self.compute += cost.group_cycles(self.network, group, self.device, run, bands, tile, folded=folded)
