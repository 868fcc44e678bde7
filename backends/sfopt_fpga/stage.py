"""A segment's feature maps: where its groups find them, and the LOAD and STORE words that move them, without tokens."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from sfopt.cost import folds_input
from sfopt.device import Device
from sfopt.errors import InternalError
from sfopt.groups import FeatureMap, Group, Kind, Network
from sfopt.plan import Buffer, Feed, Plan, Role, Segment, WeightMode
from sfopt.rows import RowSchedule, rows_to_run
from sfopt_fpga.constants import quant_of
from sfopt_fpga.isa import Axis, Opcode
from sfopt_fpga.tokens import Word

__all__ = ["Stage", "row_fields", "whole"]


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

    @property
    def segment(self) -> Segment:
        """What the plan says about it."""
        return self.plan.segments[self.step]

    @property
    def groups(self) -> tuple[Group, ...]:
        """Its groups, in order."""
        return self.network.groups[self.segment.first : self.segment.last + 1]

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

    def load_feed(self, feed: Feed) -> Word:
        """LOAD the rows of a band."""
        return self.load_map(feed.tensor, self._arrival(feed))

    def load_rest(self, feed: Feed) -> Iterator[Word]:
        """LOAD words for the rows behind the last that any band needs: the plan reads a map whole."""
        fmap, buffer = self.network.maps[feed.tensor], self.buffer(feed.tensor)
        arrived = self._arrival(feed).after(self.segment.bands - 1)
        while arrived < fmap.height:
            slot = arrived % buffer.rows
            count = min(fmap.height - arrived, buffer.rows - slot)
            word = self.load_map(feed.tensor, RowSchedule(count, 0, count))
            word.values["dram"] += arrived * fmap.width * fmap.channels
            word.values["base"] += slot * self.words(buffer.row_bytes)
            arrived += count
            yield word

    def load_map(self, tensor: str, rows: RowSchedule) -> Word:
        """LOAD rows of `tensor`."""
        word, group = self._map_word(Opcode.LOAD, tensor, rows), self.folder(tensor)
        if group is not None:
            word.values |= {
                "fold_taps": group.window.kernel[1],
                "fold_stride": group.window.stride[1],
                "fold_pad": group.window.pads[1],
                "fold_width": self.network.maps[tensor].width,
                "fold_zero": quant_of(self.network.graph, tensor).zero_point,
            }
        return word

    def store_map(self, tensor: str, rows: RowSchedule) -> Word:
        """STORE rows of `tensor`."""
        return self._map_word(Opcode.STORE, tensor, rows)

    def base(self, tensor: str) -> int:
        """Word where row 0 of a map begins."""
        buffer = self.buffer(tensor)
        begins = self.first_channels[tensor] if buffer.role is Role.RESIDENT else 0
        return self.words(buffer.offset + begins)

    def pixel_words(self, tensor: str) -> int:
        """Words from one pixel of a map to the next: its own, or those of what it lies in."""
        return self.words(self.buffer(tensor).row_bytes // self.layout(tensor).width)

    def words(self, size_bytes: int) -> int:
        """Bytes in words; raises InternalError for a part of a word."""
        words, rest = divmod(size_bytes, self.device.word_bytes)
        if rest:
            raise InternalError(f"step {self.step}: {size_bytes} B are no whole words")
        return words

    @property
    def _stored(self) -> Iterator[Group]:
        return (g for g in self.groups if g.output in self.in_dram)

    def _arrival(self, feed: Feed) -> RowSchedule:
        return RowSchedule(feed.first, feed.step, self.network.maps[feed.tensor].height)

    def _at_once(self, feed: Feed) -> bool:
        return self.segment.bands == 1 or feed.first >= self.network.maps[feed.tensor].height

    def _map_word(self, opcode: Opcode, tensor: str, rows: RowSchedule) -> Word:
        buffer, layout = self.buffer(tensor), self.layout(tensor)
        values = {
            "dram": 0,
            "axis": int(Axis.ROWS),
            "base": self.base(tensor),
            "ring": buffer.rows,
            "width": layout.width,
            "channels": layout.channels,
            "pixel_words": self.pixel_words(tensor),
            **row_fields(rows),
        }
        return Word(opcode, values, tensor)


def whole(fmap: FeatureMap) -> RowSchedule:
    """All rows at once."""
    return RowSchedule(fmap.height, 0, fmap.height)


def row_fields(schedule: RowSchedule) -> dict[str, int]:
    """Fields of a row schedule; a first part beyond the end is the end."""
    return {"first": min(schedule.first, schedule.total), "step": schedule.step, "total": schedule.total}
