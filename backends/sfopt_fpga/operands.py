"""Where one group of a segment finds its operands, and the LOAD words for its constants."""

from dataclasses import dataclass
from functools import cached_property

from sfopt.cost import Constant, constants, padded_bytes
from sfopt.groups import FeatureMap, Group, Network
from sfopt.plan import Buffer, Role, Run, WeightMode
from sfopt.rows import RowSchedule
from sfopt_fpga.isa import Axis, Opcode
from sfopt_fpga.stage import Stage, row_fields
from sfopt_fpga.tokens import Word

__all__ = ["Operands"]


@dataclass(frozen=True)
class Operands:
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

    def constant_buffer(self, role: Role) -> Buffer | None:
        """Where its weights or parameters are, if it has any."""
        return self.stage.buffers.get(f"{self.stage.step}:{self.group.name}.{role.value}")

    def load_constants(self, at: int) -> list[Word]:
        """LOAD words for those blocks that come whole, at step `at`: its own, or the one before for those that are live then."""
        whole = [b for b in self.blocks if b != self.tiled]
        return [self.load_constant(b) for b in whole if self._block_buffer(b).first_step == at]

    def load_constant(self, block: Constant, tile: int | None = None) -> Word:
        """LOAD a constant block, whole or `tile` rows for each index of the channel loop."""
        buffer = self._block_buffer(block)
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

    def _block_buffer(self, block: Constant) -> Buffer:
        return self.stage.buffers[f"{self.stage.step}:{block.name}"]
