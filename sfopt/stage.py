"""A plan read for execution: where each segment finds its maps and constants, and what it moves when.

`Stage.of` gives one stage for each segment, in order. A backend that does, stage by stage, what `Stage` and `Member` say executes
the plan; the order within a stage is

1. constants of its own members that no earlier stage brought, and maps that arrive whole;
2. constants of the next stage's members that are live already;
3. the bands: rows of each feed, then every member in turn (with weights that come tile by tile before each tile), then rows of what
   is stored by band. With `Segment.overlap` the rings have room for the next band's rows and the last band's results meanwhile, and
   for the next weight tile. A member whose weights are INPUT_REREAD runs all bands for each tile instead;
4. rows of the feeds that no band needs, and what is stored whole.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Self

from sfopt.cost import Constant, constants, folds_input
from sfopt.device import Device
from sfopt.groups import FeatureMap, Group, Kind, Network
from sfopt.places import first_channels
from sfopt.plan import Buffer, Feed, Plan, Role, Run, Segment, WeightMode
from sfopt.rows import RowSchedule, rows_to_run

__all__ = ["Member", "Stage"]


@dataclass(frozen=True)
class Stage:
    """The segment that runs at step `step` of a plan."""

    plan: Plan
    network: Network
    device: Device
    buffers: Mapping[str, Buffer]
    """By name."""
    in_dram: frozenset[str]
    """Maps that have a DRAM region."""
    first_channels: Mapping[str, int]
    """Resident map -> channel of its buffer's pixels where it begins."""
    step: int

    @classmethod
    def of(cls, plan: Plan, network: Network, device: Device) -> tuple[Self, ...]:
        """The segments of a valid plan for `network` on `device`, in order."""
        buffers, in_dram = {b.name: b for b in plan.buffers}, frozenset(d.tensor for d in plan.dram)
        begins = first_channels(plan, network)
        return tuple(cls(plan, network, device, buffers, in_dram, begins, step) for step in range(len(plan.segments)))

    @property
    def segment(self) -> Segment:
        """What the plan says about it."""
        return self.plan.segments[self.step]

    @property
    def groups(self) -> tuple[Group, ...]:
        """Its groups, in order."""
        return self.network.groups[self.segment.first : self.segment.last + 1]

    @property
    def on_host(self) -> bool:
        """Whether it is a HOST group, which has no buffers, bands or members."""
        return self.groups[0].kind is Kind.HOST

    @cached_property
    def members(self) -> tuple["Member", ...]:
        """Its groups as they run here; none on the host."""
        return () if self.on_host else tuple(Member(self, g) for g in self.groups)

    def buffer(self, tensor: str) -> Buffer:
        """Where this step sees `tensor`."""
        name = f"{self.step}:{tensor}"
        return self.buffers[name if name in self.buffers else tensor]

    def rows(self, group: Group) -> RowSchedule:
        """Rows of its output (of its input for a global mean) that `group` has done after each band."""
        run = self.segment.run(group.index)
        return RowSchedule(run.first, run.step, rows_to_run(self.network, group))

    @property
    def rereads_input(self) -> bool:
        """Whether all bands run again for each channel tile."""
        return any(run.weight_mode is WeightMode.INPUT_REREAD for run in self.segment.runs)

    @cached_property
    def streams(self) -> tuple[Feed, ...]:
        """Feeds whose rows arrive in more than one band."""
        return tuple(f for f in self.segment.feeds if not self._at_once(f))

    @cached_property
    def arrives_whole(self) -> tuple[str, ...]:
        """Maps that are loaded before the first band: feeds of one piece, and network inputs that become resident."""
        feeds = [f.tensor for f in self.segment.feeds]
        read = dict.fromkeys(t for g in self.groups for t in g.reads if t in self.network.inputs)
        kept = [t for t in read if t not in feeds and self.buffer(t).first_step == self.step]
        return (*(f.tensor for f in self.segment.feeds if self._at_once(f)), *kept)

    @cached_property
    def stored_by_band(self) -> tuple[Group, ...]:
        """Groups whose rows go to DRAM in the loop over bands."""
        by_band = self.segment.bands > 1 and not self.rereads_input
        return tuple(g for g in self._stored if by_band and g.kind is not Kind.GLOBAL_MEAN)

    @cached_property
    def stored_whole(self) -> tuple[Group, ...]:
        """Groups whose output goes to DRAM behind the last band; a global mean has its one row, a tile its channels only then."""
        return tuple(g for g in self._stored if g not in self.stored_by_band)

    @property
    def bands_ahead(self) -> int:
        """How many bands compute may be ahead of store; not at all if a map is stored out of a RING, as no plan asks for."""
        rings = any(self.buffer(g.output).role is Role.RING for g in self.stored_by_band)
        return 1 if rings else 1 + self.segment.overlap

    def arrival(self, feed: Feed) -> RowSchedule:
        """Rows of a feed that are there in each band."""
        return RowSchedule(feed.first, feed.step, self.network.maps[feed.tensor].height)

    def folder(self, tensor: str) -> Group | None:
        """The group for which `tensor` streams in with the kernel's columns in its lanes."""
        buffer = self.buffers.get(f"{self.step}:{tensor}")
        readers = [g for g in self.groups if tensor in g.reads]
        if buffer is None or buffer.role is not Role.INPUT or len(readers) != 1:
            return None
        group = readers[0]
        folds = folds_input(group, self.network.maps[tensor], self.device)
        return group if folds and tensor == group.pieces[0].tensor and tensor != group.residual else None

    def layout(self, tensor: str) -> FeatureMap:
        """The shape in which a map lies in the scratchpad: its own, or with the kernel's columns in the channels."""
        fmap, group = self.network.maps[tensor], self.folder(tensor)
        if group is None:
            return fmap
        width = self.network.maps[group.output].width
        return FeatureMap(tensor, fmap.height, width, group.window.kernel[1] * fmap.channels)

    def first_byte(self, tensor: str) -> int:
        """Scratchpad byte of row 0, pixel 0, channel 0 of a map."""
        buffer = self.buffer(tensor)
        return buffer.offset + (self.first_channels[tensor] if buffer.role is Role.RESIDENT else 0)

    def pixel_bytes(self, tensor: str) -> int:
        """Bytes from one pixel of a map to the next: its own, or those of what it lies in."""
        return self.buffer(tensor).row_bytes // self.layout(tensor).width

    @property
    def _stored(self) -> Iterator[Group]:
        return (g for g in self.groups if g.output in self.in_dram)

    def _at_once(self, feed: Feed) -> bool:
        return self.segment.bands == 1 or feed.first >= self.network.maps[feed.tensor].height


@dataclass(frozen=True)
class Member:
    """Group `group` as it runs in segment `stage`."""

    stage: Stage
    group: Group

    @property
    def network(self) -> Network:
        """The network that it is a group of."""
        return self.stage.network

    @property
    def output(self) -> FeatureMap:
        """The feature map that it writes."""
        return self.network.maps[self.group.output]

    @property
    def run(self) -> Run:
        """What the plan says about it."""
        return self.stage.segment.run(self.group.index)

    @property
    def rows(self) -> RowSchedule:
        """Rows that it has done after each band."""
        return self.stage.rows(self.group)

    @property
    def folded(self) -> bool:
        """Whether the primary input arrives with the kernel's columns in its lanes."""
        return self.stage.folder(self.group.pieces[0].tensor) is self.group

    @cached_property
    def blocks(self) -> tuple[Constant, ...]:
        """Constant blocks: weights, parameters."""
        return constants(self.network, self.group, folded=self.folded)

    @property
    def tiled(self) -> Constant | None:
        """The weights, if they arrive one channel tile at a time."""
        if self.run.weight_mode is WeightMode.RESIDENT:
            return None
        return next(b for b in self.blocks if b.name.endswith(f".{Role.WEIGHTS.value}"))

    @property
    def tiles(self) -> int:
        """Channel tiles; 1 where the weights do not arrive in tiles."""
        return 1 if self.tiled is None else -(-self.tiled.rows // self.run.channel_tile)

    def whole_blocks(self, at: int) -> list[Constant]:
        """Blocks that come whole at step `at`: its own, or the one before for those that are live then."""
        return [b for b in self.blocks if b != self.tiled and self.block_buffer(b).first_step == at]

    def block_buffer(self, block: Constant) -> Buffer:
        """Where a block lies."""
        return self.stage.buffers[f"{self.stage.step}:{block.name}"]

    def constant_buffer(self, role: Role) -> Buffer | None:
        """Where its weights or parameters are, if it has any."""
        return self.stage.buffers.get(f"{self.stage.step}:{self.group.name}.{role.value}")
