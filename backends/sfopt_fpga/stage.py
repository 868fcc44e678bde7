"""The LOAD and STORE words that move a segment's feature maps, without tokens."""

from collections.abc import Iterator

import sfopt.stage
from sfopt.constant_blocks import quant_of
from sfopt.errors import InternalError
from sfopt.groups import FeatureMap
from sfopt.plan import Feed
from sfopt.rows import RowSchedule
from sfopt_fpga.isa import Axis, Opcode
from sfopt_fpga.tokens import Word

__all__ = ["Stage", "row_fields", "whole"]


class Stage(sfopt.stage.Stage):
    """A segment and its words."""

    def load_feed(self, feed: Feed) -> Word:
        """LOAD the rows of a band."""
        return self.load_map(feed.tensor, self.arrival(feed))

    def load_rest(self, feed: Feed) -> Iterator[Word]:
        """LOAD words for the rows behind the last that any band needs: the plan reads a map whole."""
        fmap, buffer = self.network.maps[feed.tensor], self.buffer(feed.tensor)
        arrived = self.arrival(feed).after(self.segment.bands - 1)
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
        return self.words(self.first_byte(tensor))

    def pixel_words(self, tensor: str) -> int:
        """Words from one pixel of a map to the next."""
        return self.words(self.pixel_bytes(tensor))

    def words(self, size_bytes: int) -> int:
        """Bytes in words; raises InternalError for a part of a word."""
        words, rest = divmod(size_bytes, self.device.word_bytes)
        if rest:
            raise InternalError(f"step {self.step}: {size_bytes} B are no whole words")
        return words

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
