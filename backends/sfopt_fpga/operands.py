"""Where the operands of one step lie, and its LOAD and STORE words, without tokens."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from sfopt.cost import Constant, RowSchedule, constants, folds_input, input_rows, output_rows
from sfopt.device import Device
from sfopt.errors import InternalError
from sfopt.groups import FeatureMap, Group, Kind, Network
from sfopt.plan import Buffer, Plan, Role, Segment
from sfopt_fpga.constants import quant_of
from sfopt_fpga.isa import Axis, Opcode
from sfopt_fpga.tokens import Word

__all__ = ["Operands", "whole"]


@dataclass(frozen=True)
class Operands:
    """Group `group` as it runs at step `step` of a plan."""

    plan: Plan
    network: Network
    device: Device
    buffers: Mapping[str, Buffer]
    """By name."""
    step: int
    group: Group

    @property
    def segment(self) -> Segment:
        """The segment that runs at this step."""
        return self.plan.segments[self.step]

    @property
    def output(self) -> FeatureMap:
        """The feature map that it writes."""
        return self.network.maps[self.group.output]

    @cached_property
    def folded(self) -> bool:
        """Whether the primary input arrives with the kernel's columns in its lanes."""
        if self.group.kind is Kind.HOST:
            return False
        primary = self.group.pieces[0].tensor
        may = folds_input(self.group, self.network.maps[primary], self.device)
        return may and self.streams_through(primary) and primary != self.group.residual

    @cached_property
    def blocks(self) -> tuple[Constant, ...]:
        """Constant blocks: weights, parameters."""
        return constants(self.network, self.group, folded=self.folded)

    @property
    def streams(self) -> tuple[str, ...]:
        """Spilled maps that arrive band by band."""
        if self.segment.bands == 1:
            return ()
        operands = dict.fromkeys((*(p.tensor for p in self.group.pieces), self.group.residual))
        return tuple(t for t in operands if t is not None and self.streams_through(t))

    def streams_through(self, tensor: str) -> bool:
        """Whether `tensor` is spilled: this step has a buffer of its own for it."""
        return f"{self.step}:{tensor}" in self.buffers

    def buffer(self, tensor: str) -> Buffer:
        """Where this step sees `tensor`."""
        name = f"{self.step}:{tensor}"
        return self.buffers[name if name in self.buffers else tensor]

    def constant_buffer(self, role: Role) -> Buffer | None:
        """Where its weights or parameters are, if it has any."""
        return self.buffers.get(f"{self.step}:{self.group.name}.{role.value}")

    def load_map(self, tensor: str, rows: RowSchedule) -> Word:
        """LOAD rows of `tensor`."""
        word = self._map_word(Opcode.LOAD, tensor, rows)
        if self._folds(tensor):
            window = self.group.window
            word.values |= {
                "fold_taps": window.kernel[1],
                "fold_stride": window.stride[1],
                "fold_pad": window.pads[1],
                "fold_width": self.network.maps[tensor].width,
                "fold_zero": quant_of(self.network.graph, tensor).zero_point,
            }
        return word

    def load_rest(self, tensor: str) -> Iterator[Word]:
        """LOAD words for the rows behind the last that any output row needs: the plan reads a map whole."""
        fmap, buffer = self.network.maps[tensor], self.buffer(tensor)
        arrived = self.input_schedule(tensor).after(self.segment.bands - 1)
        while arrived < fmap.height:
            slot = arrived % buffer.rows
            count = min(fmap.height - arrived, buffer.rows - slot)
            word = self.load_map(tensor, RowSchedule(count, 0, count))
            word.values["dram"] += arrived * fmap.width * fmap.channels
            word.values["base"] += slot * self.words(buffer.row_bytes)
            arrived += count
            yield word

    def store_map(self, rows: RowSchedule) -> Word:
        """STORE rows of the output."""
        return self._map_word(Opcode.STORE, self.group.output, rows)

    def load_constant(self, block: Constant, tile: int | None = None) -> Word:
        """LOAD a constant block, whole or `tile` rows for each index of the channel loop."""
        buffer = self.buffers[f"{self.step}:{block.name}"]
        values = {
            "dram": 0,
            "axis": int(Axis.CHANNELS),
            "base": self.words(buffer.offset),
            "ring": buffer.rows,
            "width": block.pixels,
            "channels": block.channels,
            "pixel_words": self.pixel_words(block.channels),
            **_row_fields(RowSchedule(tile or block.rows, tile or 0, block.rows)),
        }
        return Word(Opcode.LOAD, values, block.name)

    def input_schedule(self, tensor: str) -> RowSchedule:
        """When rows of an input must have arrived; a map that is primary input and residual follows the primary."""
        fmap, rows = self.network.maps[tensor], self.segment.band_rows
        if all(p.tensor != tensor for p in self.group.pieces):
            return RowSchedule(rows, rows, fmap.height)
        if self.group.kind is Kind.RESIZE and rows % self.group.window.stride[0]:
            raise InternalError(f"group `{self.group.name}`: bands of {rows} rows cut through a repeated row")
        return input_rows(self.group, fmap, rows)

    def output_schedule(self) -> RowSchedule:
        """When rows of the output are there."""
        return output_rows(self.network, self.group, self.segment.band_rows)

    def layout(self, tensor: str) -> FeatureMap:
        """The shape in which a map lies in the scratchpad: its own, or with the kernel's columns in the channels."""
        fmap = self.network.maps[tensor]
        if not self._folds(tensor):
            return fmap
        return FeatureMap(tensor, fmap.height, self.output.width, self.group.window.kernel[1] * fmap.channels)

    def pixel_words(self, channels: int) -> int:
        """Words of a pixel."""
        return -(-channels // self.device.word_bytes)

    def words(self, size_bytes: int) -> int:
        """Bytes in words; raises InternalError for a part of a word."""
        words, rest = divmod(size_bytes, self.device.word_bytes)
        if rest:
            raise InternalError(f"step {self.step}: {size_bytes} B are no whole words")
        return words

    def _folds(self, tensor: str) -> bool:
        return self.folded and tensor == self.group.pieces[0].tensor

    def _map_word(self, opcode: Opcode, tensor: str, rows: RowSchedule) -> Word:
        buffer, layout = self.buffer(tensor), self.layout(tensor)
        values = {
            "dram": 0,
            "axis": int(Axis.ROWS),
            "base": self.words(buffer.offset),
            "ring": buffer.rows,
            "width": layout.width,
            "channels": layout.channels,
            "pixel_words": self.pixel_words(layout.channels),
            **_row_fields(rows),
        }
        return Word(opcode, values, tensor)


def whole(fmap: FeatureMap) -> RowSchedule:
    """All rows at once."""
    return RowSchedule(fmap.height, 0, fmap.height)


def _row_fields(schedule: RowSchedule) -> dict[str, int]:
    """Fields of a row schedule; a first part beyond the end is the end."""
    return {"first": min(schedule.first, schedule.total), "step": schedule.step, "total": schedule.total}
