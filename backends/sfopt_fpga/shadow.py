"""Shadow of a memory for race detection: which instruction of which engine last wrote and read every cell."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sfopt_fpga.isa import Engine
from sfopt_fpga.order import Access

__all__ = ["Cells", "Shadow"]


class Cells(NamedTuple):
    """Runs of `length` cells each, the first at `start`, each `step` behind the one before."""

    start: int
    length: int
    step: int
    runs: int

    def of(self, array: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
        """View (runs, length) of an array with an entry for each cell; of one dimension where the runs leave no gap."""
        if self.length == self.step:
            return array[self.start : self.start + self.runs * self.step]
        shape, size = (self.runs, self.length), array.itemsize
        return np.ndarray(shape, array.dtype, array.data, self.start * size, (self.step * size, size))

    def at(self, index: int) -> int:
        """The cell of entry `index` of such a view, counted through all runs."""
        return self.start + index // self.length * self.step + index % self.length


class Shadow:
    """Epochs of the last write and the last read of each cell, one array for each engine; 0 is never."""

    def __init__(self, name: str, cells: int) -> None:
        self.name = name
        self.writes = [np.zeros(cells, np.int32) for _ in Engine]
        self.reads = [np.zeros(cells, np.int32) for _ in Engine]

    def read(self, access: Access, cells: Cells) -> None:
        """Note a read; fault if a write of another engine is not ordered before it."""
        self._check(access, self.writes, "written", cells)
        cells.of(self.reads[access.engine])[:] = access.epoch

    def write(self, access: Access, cells: Cells) -> None:
        """Note a write; fault if a write or a read of another engine is not ordered before it."""
        self._check(access, self.writes, "written", cells)
        self._check(access, self.reads, "read", cells)
        cells.of(self.writes[access.engine])[:] = access.epoch

    def _check(self, access: Access, epochs: list[npt.NDArray[np.int32]], verb: str, cells: Cells) -> None:
        for other in Engine:
            if other is access.engine or not cells.runs:
                continue
            late = cells.of(epochs[other]) > access.clock[other]
            if late.any():
                cell = cells.at(int(late.argmax()))
                raise access.step.fault(
                    f"race on {self.name} {cell}: {verb} by {other.name.lower()}, and no token orders that before this access"
                )
