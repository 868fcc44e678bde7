"""Shadow of a memory for race detection: which instruction of which engine last wrote and read every cell."""

import numpy as np
import numpy.typing as npt

from sfopt_fpga.isa import Engine
from sfopt_fpga.order import Access

__all__ = ["Shadow"]


class Shadow:
    """Epochs of the last write and the last read of each cell, one array for each engine; 0 is never."""

    def __init__(self, name: str, cells: int) -> None:
        self.name = name
        self.writes = [np.zeros(cells, np.int32) for _ in Engine]
        self.reads = [np.zeros(cells, np.int32) for _ in Engine]

    def read(self, access: Access, start: int, stop: int) -> None:
        """Note a read of cells `start..stop`; fault if a write of another engine is not ordered before it."""
        self._check(access, self.writes, "written", start, stop)
        self.reads[access.engine][start:stop] = access.epoch

    def write(self, access: Access, start: int, stop: int) -> None:
        """Note a write; fault if a write or a read of another engine is not ordered before it."""
        self._check(access, self.writes, "written", start, stop)
        self._check(access, self.reads, "read", start, stop)
        self.writes[access.engine][start:stop] = access.epoch

    def _check(self, access: Access, epochs: list[npt.NDArray[np.int32]], verb: str, start: int, stop: int) -> None:
        for other in Engine:
            if other is access.engine or start >= stop:
                continue
            late = epochs[other][start:stop] > access.clock[other]
            if late.any():
                cell = start + int(late.argmax())
                raise access.step.fault(
                    f"race on {self.name} {cell}: {verb} by {other.name.lower()}, and no token orders that before this access"
                )
