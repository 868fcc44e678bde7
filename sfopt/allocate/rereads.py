"""Segments of several groups in which one or two read their weights again in every band, a tile of `lanes_out` channels each.

They are for plans that move more than the compulsory bytes. One is worth having where its tiles, other constants and inner rings
need less scratchpad than the segment that holds all its weights, in its lowest bands, and than any way to cut it in two; and where
what it reads again is less than to write and read all its inner maps.
"""

from collections.abc import Iterator, Mapping, Set
from functools import cached_property

from sfopt import cost
from sfopt.allocate.growth import Growth
from sfopt.allocate.options import Key, Option
from sfopt.allocate.segments import Maker, SegmentOptions
from sfopt.allocate.tiling import Tiling
from sfopt.allocate.worth import Needs
from sfopt.groups import Group, Kind
from sfopt.rows import rows_to_run

__all__ = ["MOST_REREAD", "RereadOptions"]

MOST_REREAD = 2
"""Groups of a segment that may read their weights again."""

Range = tuple[int, int]
"""First and last group."""


class RereadOptions:
    """The options of several groups, some of which read their weights again; each fits on its own."""

    def __init__(self, segments: SegmentOptions) -> None:
        self.segments, self.network, self.device = segments, segments.network, segments.device
        self.saved_bytes, self.moved_bytes = dict[int, int](), dict[int, int]()
        """Group -> scratchpad that a tile takes less than all of its weights; DRAM bytes of the weights. Where that can be."""
        self._makers = dict[int, Maker]()
        """Index into `_worth_having` -> maker of lean options."""
        for group in self.network.groups:
            channels = self.network.maps[group.output].channels if group.kind is Kind.CONV else 0
            if group.conv_groups == 1 and channels > self.device.lanes_out:
                weights = next(b for b in segments.shared.constants(group, folded=False) if b.name.endswith(".weights"))
                self.saved_bytes[group.index] = (channels - self.device.lanes_out) * weights.row_bytes(self.device)
                self.moved_bytes[group.index] = weights.size_bytes

    def lean(self, budget_bytes: int) -> Iterator[Option]:
        """Those that matter where cycles do not: without overlap and early constants. Only those within a budget."""
        for i, (growth, groups) in enumerate(self._worth_having):
            left = budget_bytes - self._again_bytes(growth, groups)
            if left >= 0:
                if i not in self._makers:
                    self._makers[i] = self.segments.tiled(growth, self._tiling(groups, overlap=False))
                yield from self._makers[i].lean(left)

    def full(self, keys: Set[Key] | None) -> Iterator[Option]:
        """All of them, or all of certain keys."""
        ranges = None if keys is None else {(first, last) for first, last, _ in keys}
        for growth, groups in self._worth_having:
            if ranges is None or (growth.first, growth.last) in ranges:
                for overlap in (False, True):
                    yield from self.segments.tiled(growth, self._tiling(groups, overlap=overlap)).options(keys)

    @property
    def ranges(self) -> Set[Range]:
        """Groups first..last of those worth having."""
        return {(growth.first, growth.last) for growth, _ in self._worth_having}

    def _tiling(self, groups: tuple[int, ...], *, overlap: bool) -> Tiling:
        return Tiling(dict.fromkeys(groups, self.device.lanes_out), overlap)

    def _again_bytes(self, growth: Growth, groups: tuple[int, ...]) -> int:
        """Bytes that are read beyond the first time."""
        return (growth.bands - 1) * sum(self.moved_bytes[g] for g in groups)

    @cached_property
    def _worth_having(self) -> tuple[tuple[Growth, tuple[int, ...]], ...]:
        """Segments at every band height, with the groups that read their weights again."""
        limits = self._limits
        firsts = dict[int, int]()
        for first, last in limits:
            firsts[last] = min(first, firsts.get(last, first))
        found = list[tuple[Growth, tuple[int, ...]]]()
        for last, first in sorted(firsts.items()):
            for band_rows in self.segments.band_heights(self.network.groups[last]):
                found += self._ending(last, first, band_rows)
        return tuple(found)

    def _ending(self, last: int, first: int, band_rows: int) -> Iterator[tuple[Growth, tuple[int, ...]]]:
        """Those that end with a group, in bands of one height."""
        growth, inside = Growth(self.network, last, band_rows), self.segments.inside()
        while growth.first > first and growth.grow():
            if not growth.connected:
                continue
            inside.take_in(growth)
            largest = self._largest(growth)
            if inside.bytes - sum(self.saved_bytes[g] for g in largest) > self.device.sram_bytes:
                return
            ratio, limit = band_rows // growth.unit, self._limits.get((growth.first, last), 0)
            if ratio & (ratio - 1) or not limit:
                continue
            for count in range(1, len(largest) + 1):
                groups = largest[:count]
                need = inside.bytes - sum(self.saved_bytes[g] for g in groups)
                if growth.words + cost.loop_words((), count) > cost.LOOP_WORDS:
                    break
                if need < limit and self._again_bytes(growth, groups) < self._spilling_bytes(inside.rings):
                    yield growth.copy(), groups

    def _largest(self, growth: Growth) -> tuple[int, ...]:
        """Groups whose tiles save the most scratchpad, the most first."""
        inside = (g for g in range(growth.first, growth.last + 1) if g in self.saved_bytes)
        return tuple(sorted(inside, key=lambda g: (-self.saved_bytes[g], g))[:MOST_REREAD])

    def _spilling_bytes(self, inner: Mapping[str, object]) -> int:
        """What it takes to write all inner maps and to read each once for every reader."""
        maps, readers = self.network.maps, self.network.readers
        return sum(maps[m].size_bytes * (1 + len(readers[m])) for m in inner)

    @cached_property
    def _limits(self) -> Mapping[Range, int]:
        """Groups first..last -> what a segment that reads weights again must stay below: holding them, or two parts."""
        needs, found = Needs(self.network, self.segments.shared.whole), dict[Range, int]()
        for last in self.network.groups:
            if last.kind is Kind.HOST:
                continue
            needs.begin(last.index, self.segments.shared.constant_bytes(last))
            for growth, inside_bytes in self._lowest(last):
                cut = needs.cut(growth.first, last.index)
                own = inside_bytes if growth.connected else cut
                needs.know(growth.first, last.index, min(own, cut))
                if growth.connected and growth.first < last.index:
                    found[growth.first, last.index] = min(own, cut)
        return found

    def _lowest(self, last: Group) -> Iterator[tuple[Growth, int]]:
        """All segments that end with a group, in their lowest bands, and what holding all weights takes; while tiles may fit."""
        band_rows, total, done = 1, rows_to_run(self.network, last), last.index
        while band_rows < total:
            growth, inside = Growth(self.network, last.index, band_rows), self.segments.inside()
            while growth.grow():
                if growth.connected:
                    inside.take_in(growth)
                if inside.bytes - sum(self.saved_bytes[g] for g in self._largest(growth)) > self.device.sram_bytes:
                    return
                if growth.first < done:
                    done = growth.first
                    yield growth, inside.bytes
            if growth.unit <= band_rows:
                return
            band_rows = growth.unit
