"""Data: every way in which one group may run, for every choice of which of its feature maps are resident.

An option fixes the pattern of resident operands, the band height, the weight mode and channel tile, overlap, and whether constants
arrive behind the previous segment. From these follow its buffers, its cycles and what it re-reads. Options that another option of
the same pattern beats or equals in every buffer, cycle term and re-read byte are dropped: whatever a plan does with them, it can do
with the other.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, combinations, product

import numpy as np

from sfopt.allocate.switches import Switches
from sfopt.cost import (
    band_count,
    constants,
    dma_cycles,
    folds_input,
    group_cycles,
    input_rows,
    map_row_bytes,
    piece_cycles,
    stream_row_bytes,
    window_rows,
)
from sfopt.device import Device
from sfopt.groups import Group, Kind, Network
from sfopt.plan import Role, WeightMode

__all__ = ["Block", "Option", "bank_floor", "can_be_resident", "enumerate_options", "operand_sets", "without_cycles"]

MAX_SEPARATE = 6
"""Operands of one group whose residency is decided one by one."""


@dataclass(frozen=True)
class Block:
    """A buffer that has no offset yet. `early`: it is live from the previous step on."""

    role: Role
    content: str
    rows: int
    row_bytes: int
    early: bool = False

    @property
    def size_bytes(self) -> int:
        """Bytes of scratchpad."""
        return self.rows * self.row_bytes


@dataclass(frozen=True)
class Option:
    """One way to run one group. Cycle terms are those of docs/plan-rules.md rule 9."""

    resident: frozenset[str]
    """Feature maps read or written that are resident; the others stream through `blocks`."""
    band_rows: int
    bands: int
    weight_mode: WeightMode
    channel_tile: int
    overlap: bool
    blocks: tuple[Block, ...]
    floor_bytes: int
    """Least highest byte of any placement, given the bank rule: that of the group's own operands and nothing else."""
    reread_bytes: int
    """Constant bytes read beyond the first time."""
    compute: int
    exposed: int
    behind: int
    ahead: int
    """Cycles of DMA behind the previous segment's compute."""

    @property
    def own_bytes(self) -> int:
        """Bytes of its own buffers during its step."""
        return sum(b.size_bytes for b in self.blocks)

    @property
    def early_bytes(self) -> int:
        """Bytes of its own buffers during the step before."""
        return sum(b.size_bytes for b in self.blocks if b.early)


def can_be_resident(network: Network, tensor: str) -> bool:
    """Whether some accelerator group reads the map and no host group touches it."""
    touching = [network.groups[i] for i in network.readers[tensor]]
    if tensor in network.producers:
        touching.append(network.groups[network.producers[tensor]])
    return bool(network.readers[tensor]) and all(g.kind is not Kind.HOST for g in touching)


def operand_sets(group: Group, weights: str | None) -> tuple[tuple[str, ...], ...]:
    """For each compute instruction of a group, the names of what streams through it: feature maps, and its weights if any."""
    others = [n for n in (group.scale, group.residual, weights, group.output) if n is not None]
    return tuple(tuple(dict.fromkeys([p.tensor, *others])) for p in group.pieces)


def bank_floor(sizes: list[int], bank_bytes: int) -> int:
    """Least highest byte of buffers in mutually disjoint banks: all but the topmost fill whole banks."""
    padded = [-(-size // bank_bytes) * bank_bytes for size in sizes]
    return sum(padded) - max(p - s for p, s in zip(padded, sizes, strict=True))


def enumerate_options(network: Network, group: Group, device: Device, switches: Switches) -> tuple[Option, ...]:
    """All useful options of a group that fit the device on their own; empty for a HOST group."""
    if group.kind is Kind.HOST:
        return ()
    maps = tuple(dict.fromkeys([*group.reads, group.output]))
    maker = _Maker(network, group, device, maps)
    found = list[Option]()
    for pattern in _patterns(network, maps):
        options = [o for o in maker.options(pattern) if max(o.floor_bytes, o.own_bytes) <= device.sram_bytes]
        found += _undominated(options) if switches.drop_dominated else options
    return tuple(found)


def _patterns(network: Network, maps: tuple[str, ...]) -> Iterator[frozenset[str]]:
    """Every set of resident operands. Of a wide concat's maps, all but the largest MAX_SEPARATE share one fate."""
    free = sorted((m for m in maps if can_be_resident(network, m)), key=lambda m: -network.maps[m].size_bytes)
    units = [frozenset({m}) for m in free[:MAX_SEPARATE]]
    if free[MAX_SEPARATE:]:
        units.append(frozenset(free[MAX_SEPARATE:]))
    for chosen in chain.from_iterable(combinations(units, k) for k in range(len(units) + 1)):
        yield frozenset[str]().union(*chosen)


class _Maker:
    """Builds the options of one group."""

    def __init__(self, network: Network, group: Group, device: Device, maps: tuple[str, ...]) -> None:
        self.network, self.group, self.device, self.maps = network, group, device, maps
        self.out = network.maps[group.output]
        previous = network.groups[group.index - 1] if group.index else None
        self.may_prefetch = previous is not None and previous.kind is not Kind.HOST
        self.constants = {f: constants(network, group, folded=f) for f in (False, True)}
        self.compute = dict[tuple[int, int, bool], int]()

    def options(self, resident: frozenset[str]) -> Iterator[Option]:
        """Every option of one pattern."""
        for band_rows in self._band_heights(resident):
            bands = band_count(self.network, self.group, band_rows)
            for mode, tile in self._weight_ways(bands):
                overlaps = (False, True) if bands > 1 or mode is not WeightMode.RESIDENT else (False,)
                early = (False, True) if self.may_prefetch and self.constants[False] else (False,)
                for overlap, ahead in product(overlaps, early):
                    yield self._option(resident, band_rows, bands, mode, tile, overlap=overlap, ahead=ahead)

    def _band_heights(self, resident: frozenset[str]) -> list[int]:
        """The whole frame; where something streams, powers of two below it as well (times the factor of a resize)."""
        over = self.group.pieces[0].tensor if self.group.kind is Kind.GLOBAL_MEAN else self.group.output
        total = self.network.maps[over].height
        unit = self.group.window.stride[0] if self.group.kind is Kind.RESIZE else 1
        if resident.issuperset(self.maps):
            return [total]
        return [*(h for k in range(total.bit_length()) if (h := unit << k) < total), total]

    def _weight_ways(self, bands: int) -> list[tuple[WeightMode, int]]:
        """RESIDENT, or tiles of `lanes_out` times a power of two: STREAMED through one band, REREAD for each of many."""
        channels = self.out.channels
        ways = [(WeightMode.RESIDENT, channels)]
        if self.group.kind is Kind.CONV and self.group.conv_groups == 1:
            mode = WeightMode.STREAMED if bands == 1 else WeightMode.REREAD
            lanes = self.device.lanes_out
            ways += [(mode, lanes << k) for k in range(channels.bit_length()) if lanes << k < channels]
        return ways

    def _option(
        self,
        resident: frozenset[str],
        band_rows: int,
        bands: int,
        mode: WeightMode,
        tile: int,
        *,
        overlap: bool,
        ahead: bool,
    ) -> Option:
        primary = self.group.pieces[0].tensor
        folded = primary not in resident and folds_input(self.group, self.network.maps[primary], self.device)
        streams = [self._stream(m, band_rows, bands, overlap=overlap) for m in self.maps if m not in resident]
        fixed = list[Block]()
        hidden = early = exposed = reread = 0
        for block in self.constants[folded]:
            whole = mode is WeightMode.RESIDENT or not block.name.endswith(".weights")
            role = Role.WEIGHTS if block.name.endswith(".weights") else Role.PARAMETERS
            rows = block.rows if whole else min(block.rows, tile * (1 + overlap))
            fixed.append(Block(role, self.group.name, rows, block.row_bytes(self.device), early=whole and ahead))
            times = bands if not whole and mode is WeightMode.REREAD else 1
            pieces = 1 if whole else times * -(-block.rows // tile)
            first, rest = piece_cycles(block.size_bytes * times, pieces, self.device)
            reread += block.size_bytes * (times - 1)
            early += first if whole and ahead else 0
            exposed += 0 if whole and ahead else first if overlap else first + rest
            hidden += rest if overlap else 0
        for stream in streams:
            fmap = self.network.maps[stream.content]
            first, rest = piece_cycles(fmap.size_bytes, min(bands, fmap.height), self.device)
            exposed += first if overlap else first + rest
            hidden += rest if overlap else 0
        exposed += sum(
            dma_cycles(self.network.maps[m].size_bytes, self.device) for m in resident if self._moves_here(m)
        )
        key = (band_rows, tile, folded)
        if key not in self.compute:
            self.compute[key] = group_cycles(self.network, self.group, self.device, band_rows, tile, folded=folded)
        blocks = (*streams, *fixed)
        floor = self._floor(resident, blocks)
        return Option(
            resident,
            band_rows,
            bands,
            mode,
            tile,
            overlap,
            blocks,
            floor,
            reread,
            self.compute[key],
            exposed,
            hidden,
            early,
        )

    def _moves_here(self, tensor: str) -> bool:
        """A resident network input is loaded by its first reader; a resident network output is stored by its producer."""
        if tensor == self.group.output:
            return tensor in self.network.outputs
        return tensor in self.network.inputs and self.network.readers[tensor][0] == self.group.index

    def _stream(self, tensor: str, band_rows: int, bands: int, *, overlap: bool) -> Block:
        """The INPUT or OUTPUT buffer of a spilled map."""
        group, fmap = self.group, self.network.maps[tensor]
        if tensor == group.output:
            rows = fmap.height if bands == 1 else min(fmap.height, band_rows * (1 + overlap))
            return Block(Role.OUTPUT, tensor, rows, map_row_bytes(fmap, self.device))
        rows = 1
        if any(p.tensor == tensor for p in group.pieces):
            rows = window_rows(group, fmap, band_rows) + overlap * input_rows(group, fmap, band_rows).step
        if tensor == group.residual:
            rows = max(rows, band_rows * (1 + overlap))
        rows = fmap.height if bands == 1 else min(fmap.height, rows)
        return Block(Role.INPUT, tensor, rows, stream_row_bytes(self.network, group, tensor, self.device))

    def _floor(self, resident: frozenset[str], blocks: tuple[Block, ...]) -> int:
        sizes = {m: self.network.maps[m].height * map_row_bytes(self.network.maps[m], self.device) for m in resident}
        sizes |= {b.content: b.size_bytes for b in blocks if b.role in (Role.INPUT, Role.OUTPUT)}
        weights = next((b for b in blocks if b.role is Role.WEIGHTS), None)
        if weights is not None:
            sizes["\0weights"] = weights.size_bytes
        sets = operand_sets(self.group, None if weights is None else "\0weights")
        return max(bank_floor([sizes[n] for n in names], self.device.bank_bytes) for names in sets)


def without_cycles(options: Sequence[Option]) -> tuple[Option, ...]:
    """The options that matter where cycles do not: far fewer."""
    patterns = dict.fromkeys(o.resident for o in options)
    return tuple(o for p in patterns for o in _undominated([o for o in options if o.resident == p], cycles=False))


def _undominated(options: list[Option], *, cycles: bool = True) -> list[Option]:
    """Options of one pattern that no other option beats or equals everywhere; of equals, the first."""
    if not options:
        return []
    rows = [
        (
            o.reread_bytes,
            *((o.compute, o.exposed, o.behind, o.ahead) if cycles else ()),
            *(b.size_bytes for b in o.blocks),
            *(b.early for b in o.blocks),
        )
        for o in options
    ]
    table = np.unique(np.array(rows, dtype=np.int64), axis=0, return_index=True)
    vectors, first = table
    below = np.all(vectors[:, None, :] <= vectors[None, :, :], axis=2)
    np.fill_diagonal(below, val=False)
    kept = sorted(int(first[i]) for i in np.flatnonzero(~below.any(axis=0)))
    return [options[i] for i in kept]
