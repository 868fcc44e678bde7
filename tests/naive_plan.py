"""Plans made by hand-set options instead of a solver: every mode can be asked for, also those that no optimum would contain."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import TypeVar

from sfopt.cost import (
    Constant,
    band_count,
    constants,
    folds_input,
    input_rows,
    map_row_bytes,
    stream_row_bytes,
    window_rows,
)
from sfopt.device import Device
from sfopt.groups import Group, Kind, Network
from sfopt.plan import (
    Buffer,
    Category,
    Certificate,
    DramRegion,
    Plan,
    Role,
    Segment,
    Status,
    Transfer,
    WeightMode,
)

Rectangle = TypeVar("Rectangle", Buffer, DramRegion)

__all__ = ["Choice", "can_be_resident", "naive_plan"]


@dataclass(frozen=True)
class Choice:
    """How to run every group of a network; what a group cannot do falls back to the nearest that it can."""

    resident: frozenset[str] = field(default_factory=frozenset)
    band_rows: int | None = None
    """None: the whole frame."""
    weights: WeightMode = WeightMode.RESIDENT
    """STREAMED and REREAD both mean tiles: which of the two it is follows from the number of bands."""
    channel_tile: int = 8
    overlap: bool = False
    early: bool = False
    """Constants arrive behind the step before."""


def can_be_resident(network: Network, tensor: str) -> bool:
    """Whether some accelerator group reads the map and no host group touches it."""
    touching = [g for g in network.groups if tensor in (*g.reads, *g.writes)]
    return bool(network.readers[tensor]) and all(g.kind is not Kind.HOST for g in touching)


def naive_plan(network: Network, device: Device, choice: Choice | Callable[[Group], Choice]) -> Plan:
    """A valid plan: buffers first-fit at bank boundaries, so that the bank rule holds whatever runs together."""
    choose = choice if callable(choice) else lambda group: choice
    resident = frozenset(t for g in network.groups for t in choose(g).resident if can_be_resident(network, t))
    segments = tuple(_segment(network, g, choose(g)) for g in network.groups)
    wanted = [*_residents(network, device, resident)]
    transfers = list[Transfer]()
    for step, (group, segment) in enumerate(zip(network.groups, segments, strict=True)):
        maker = _Step(network, device, resident, step, group, segment, early=choose(group).early)
        wanted += maker.buffers()
        transfers += maker.transfers()
    certificate = Certificate("naive", Status.HEURISTIC, (), 0.0)
    buffers = tuple(_placed(wanted, device.bank_bytes))
    dram = tuple(_regions(network, resident))
    return Plan("", device.to_dict(), segments, buffers, tuple(transfers), dram, certificate)


def _segment(network: Network, group: Group, choice: Choice) -> Segment:
    if group.kind is Kind.HOST:
        return Segment(group.index, group.index, 1, 1, WeightMode.RESIDENT, 1, overlap=False)
    out = network.maps[group.output]
    over = network.maps[group.pieces[0].tensor] if group.kind is Kind.GLOBAL_MEAN else out
    unit = group.window.stride[0] if group.kind is Kind.RESIZE else 1
    rows = over.height if choice.band_rows is None else min(over.height, choice.band_rows * unit)
    bands = band_count(network, group, rows)
    tiled = choice.weights is not WeightMode.RESIDENT and group.kind is Kind.CONV and group.conv_groups == 1
    mode = (WeightMode.STREAMED if bands == 1 else WeightMode.REREAD) if tiled else WeightMode.RESIDENT
    tile = min(choice.channel_tile, out.channels) if tiled else out.channels
    return Segment(group.index, group.index, rows, bands, mode, tile, overlap=choice.overlap)


def _residents(network: Network, device: Device, resident: frozenset[str]) -> Iterator[Buffer]:
    for tensor in sorted(resident):
        fmap, readers = network.maps[tensor], network.readers[tensor]
        first = network.producers.get(tensor, readers[0])
        yield Buffer(tensor, Role.RESIDENT, tensor, fmap.height, map_row_bytes(fmap, device), 0, first, readers[-1])


@dataclass(frozen=True)
class _Step:
    network: Network
    device: Device
    resident: frozenset[str]
    step: int
    group: Group
    segment: Segment
    early: bool

    def buffers(self) -> Iterator[Buffer]:
        if self.group.kind is Kind.HOST:
            return
        for tensor in dict.fromkeys((*self.group.reads, self.group.output)):
            if tensor not in self.resident:
                yield self._stream(tensor)
        for block in self._constants():
            role = Role.WEIGHTS if block.name.endswith(".weights") else Role.PARAMETERS
            tiled = role is Role.WEIGHTS and self.segment.weight_mode is not WeightMode.RESIDENT
            rows = min(block.rows, self.segment.channel_tile * (1 + self.segment.overlap)) if tiled else block.rows
            before = self.step > 0 and self.network.groups[self.step - 1].kind is not Kind.HOST
            first = self.step - (self.early and before and not tiled)
            name = f"{self.step}:{block.name}"
            yield Buffer(name, role, self.group.name, rows, block.row_bytes(self.device), 0, first, self.step)

    def transfers(self) -> Iterator[Transfer]:
        maps, shortcuts = self.network.maps, self.network.shortcuts
        host = self.group.kind is Kind.HOST
        for tensor in self.group.reads:
            first = tensor in self.network.inputs and self.network.readers[tensor][0] == self.step
            if tensor not in self.resident or first:
                size, category = maps[tensor].size_bytes, self._category(tensor)
                yield Transfer(self.step, tensor, "read", size, category, tensor in shortcuts)
        for tensor in self.group.writes:
            if tensor not in self.resident or tensor in self.network.outputs:
                size, category = maps[tensor].size_bytes, self._category(tensor)
                yield Transfer(self.step, tensor, "write", size, category, tensor in shortcuts)
        for block in () if host else self._constants():
            reread = block.name.endswith(".weights") and self.segment.weight_mode is WeightMode.REREAD
            size = block.size_bytes * (self.segment.bands if reread else 1)
            yield Transfer(self.step, block.name, "read", size, Category.WEIGHTS)

    def _constants(self) -> tuple[Constant, ...]:
        primary = self.group.pieces[0].tensor
        folded = primary not in self.resident and folds_input(self.group, self.network.maps[primary], self.device)
        return constants(self.network, self.group, folded=folded and primary != self.group.residual)

    def _stream(self, tensor: str) -> Buffer:
        group, fmap = self.group, self.network.maps[tensor]
        rows, overlap = self.segment.band_rows, self.segment.overlap
        name = f"{self.step}:{tensor}"
        if tensor == group.output:
            ring = min(fmap.height, fmap.height if self.segment.bands == 1 else rows * (1 + overlap))
            return Buffer(name, Role.OUTPUT, tensor, ring, map_row_bytes(fmap, self.device), 0, self.step, self.step)
        ring = 1
        if any(p.tensor == tensor for p in group.pieces):
            ring = window_rows(group, fmap, rows) + overlap * input_rows(group, fmap, rows).step
        if tensor == group.residual:
            ring = max(ring, rows * (1 + overlap))
        ring = min(fmap.height, fmap.height if self.segment.bands == 1 else ring)
        size = stream_row_bytes(self.network, group, tensor, self.device)
        return Buffer(name, Role.INPUT, tensor, ring, size, 0, self.step, self.step)

    def _category(self, tensor: str) -> Category:
        if tensor in self.network.inputs:
            return Category.INPUTS
        return Category.OUTPUTS if tensor in self.network.outputs else Category.FEATURE_MAPS


def _regions(network: Network, resident: frozenset[str]) -> list[DramRegion]:
    last_step, wanted = len(network.groups) - 1, list[DramRegion]()
    for tensor, fmap in network.maps.items():
        readers = network.readers[tensor]
        if tensor in network.inputs:
            wanted.append(DramRegion(tensor, 0, fmap.size_bytes, 0, readers[-1]))
        elif tensor in network.outputs:
            wanted.append(DramRegion(tensor, 0, fmap.size_bytes, network.producers[tensor], last_step))
        elif tensor not in resident:
            first = network.producers[tensor]
            wanted.append(DramRegion(tensor, 0, fmap.size_bytes, first, max((first, *readers))))
    return _placed(wanted, 64)


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
