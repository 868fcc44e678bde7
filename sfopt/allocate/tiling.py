"""Data: which groups of a segment read their weights again in every band, tile by tile."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sfopt.cost import Constant
from sfopt.groups import Group

__all__ = ["Tiling"]


@dataclass(frozen=True)
class Tiling:
    """Group -> output channels of a tile; all others hold their weights. With `overlap`, a buffer holds two tiles."""

    tiles: Mapping[int, int] = field(default_factory=dict)
    overlap: bool = False

    def holds(self, group: Group, block: Constant) -> bool:
        """Whether a constant block of a group is in the scratchpad whole."""
        return group.index not in self.tiles or not block.name.endswith(".weights")

    def rows(self, group: Group, block: Constant) -> int:
        """Rows of the buffer of a constant block."""
        if self.holds(group, block):
            return block.rows
        return min(block.rows, self.tiles[group.index] * (1 + self.overlap))

    def pieces(self, group: Group, block: Constant, bands: int) -> int:
        """Transfers in which a block that is not held arrives."""
        return bands * -(-block.rows // self.tiles[group.index])
