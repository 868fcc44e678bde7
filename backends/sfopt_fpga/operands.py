"""One group of a segment, and the LOAD words for its constants."""

from dataclasses import dataclass

from sfopt.cost import Constant, padded_bytes
from sfopt.rows import RowSchedule
from sfopt.stage import Member
from sfopt_fpga.isa import Axis, Opcode
from sfopt_fpga.stage import Stage, row_fields
from sfopt_fpga.tokens import Word

__all__ = ["Operands"]


@dataclass(frozen=True)
class Operands(Member):
    """Group `group` as it runs in segment `stage`, and its words."""

    stage: Stage

    def load_constants(self, at: int) -> list[Word]:
        """LOAD words for those blocks that come whole, at step `at`: its own, or the one before for those that are live then."""
        return [self.load_constant(b) for b in self.whole_blocks(at)]

    def load_constant(self, block: Constant, tile: int | None = None) -> Word:
        """LOAD a constant block, whole or `tile` rows for each index of the channel loop."""
        buffer = self.block_buffer(block)
        values = {
            "dram": 0,
            "axis": int(Axis.CHANNELS),
            "base": self.stage.words(buffer.offset),
            "ring": buffer.rows,
            "width": block.pixels,
            "channels": block.channels,
            "pixel_words": self.stage.words(padded_bytes(block.channels, self.stage.device)),
            **row_fields(RowSchedule(tile or block.rows, tile or 0, block.rows)),
        }
        return Word(Opcode.LOAD, values, block.name)
