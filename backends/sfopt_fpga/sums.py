"""What the compute engine keeps from one COMPUTE to the next: the sums of a global mean that takes several bands."""

import numpy as np

from sfopt.arithmetic.rounding import Int8Array, Int32Array
from sfopt_fpga.sequencer import Step

__all__ = ["Sums"]


class Sums:
    """Sums of a global mean that has not seen all rows, by channel. A band that starts at row 0 clears them, nothing else does."""

    def __init__(self) -> None:
        self.sums: Int32Array = np.zeros(0, np.int32)
        self.rows: Int32Array = np.zeros(0, np.int32)
        """Rows that each sum holds."""
        self.source = 0
        """Word of row 0 of the input that is summed."""

    def add(self, step: Step, x: Int8Array, rows: tuple[int, int], channels: tuple[int, int]) -> Int32Array:
        """Add rows `rows` of channels `channels` and return these channels' sums.

        Faults when rows are missing in between, or when another mean has begun.
        """
        missing = max(0, channels[1] - len(self.sums))
        self.sums, self.rows = np.pad(self.sums, (0, missing)), np.pad(self.rows, (0, missing))
        sums, held = self.sums[channels[0] : channels[1]], self.rows[channels[0] : channels[1]]
        if rows[0] == 0:
            sums[:] = held[:] = 0
            self.source = step.fields["x_base"]
        if self.source != step.fields["x_base"]:
            raise step.fault(f"goes on at row {rows[0]}, the sums are those of the input at word {self.source}")
        wrong = held != rows[0]
        if wrong.any():
            channel = int(wrong.argmax())
            raise step.fault(
                f"goes on at row {rows[0]}, the sum of channel {channels[0] + channel} holds {held[channel]} rows"
            )
        sums += x.sum(axis=(0, 1), dtype=np.int32)
        held[:] = rows[1]
        return sums
