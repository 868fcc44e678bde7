"""A transposed convolution as convolutions: one for each phase of the output's rows and columns.

Output row *y* takes input row *i* through kernel row *k* where y = stride * i + dilation * k - pad. Rows y = stride * m + p of one
phase p share their kernel rows, and read input rows m + (p + pad - dilation * k) / stride: a plain convolution with stride 1 over a
part of the kernel. Columns alike; a phase of both is a convolution, and all phases together use each kernel position once.
"""

from dataclasses import dataclass
from functools import lru_cache
from math import gcd

from sfopt.groups import Window

__all__ = ["NO_TAP", "AxisPhase", "Phase", "axis_phases", "kernel_positions", "phases"]

NO_TAP = -1
"""A kernel position whose weights are 0: where none of the kernel's reaches the first row or column that the engine asks for."""


@dataclass(frozen=True)
class AxisPhase:
    """Rows (or columns) first, first + stride, ... of the output: a convolution with stride 1 along one axis."""

    first: int
    taps: tuple[int, ...]
    """For each of its kernel positions, the row of the transposed kernel, or NO_TAP."""
    dilation: int
    pad: int
    """Rows of padding in front."""

    def rows(self, total: int, stride: int) -> int:
        """How many of `total` output rows, or of the first `total`, belong to it."""
        return max(0, -(-(total - self.first) // stride))

    @property
    def reach(self) -> int:
        """The last input row that its row 0 reads."""
        return (len(self.taps) - 1) * self.dilation - self.pad


@dataclass(frozen=True)
class Phase:
    """The convolution that makes the output pixels (rows.first + stride * i, columns.first + stride * j)."""

    rows: AxisPhase
    columns: AxisPhase
    first_position: int
    """Its first kernel position in the weights, which hold the phases' positions one phase behind the other."""

    @property
    def kernel(self) -> tuple[int, int]:
        """Rows and columns of its kernel."""
        return len(self.rows.taps), len(self.columns.taps)

    @property
    def positions(self) -> int:
        """Kernel positions."""
        return len(self.rows.taps) * len(self.columns.taps)


@lru_cache(maxsize=4096)
def axis_phases(kernel: int, stride: int, dilation: int, pad: int) -> tuple[AxisPhase, ...]:
    """The phases along one axis, `stride` of them, whatever the size of the map."""
    shared = gcd(stride, dilation)
    return tuple(_axis_phase(kernel, stride, dilation, pad, first, shared) for first in range(stride))


def _axis_phase(kernel: int, stride: int, dilation: int, pad: int, first: int, shared: int) -> AxisPhase:
    found = [k for k in reversed(range(kernel)) if (first + pad - dilation * k) % stride == 0]
    apart = dilation // shared
    taps = found or [NO_TAP]
    begin = (first + pad - dilation * found[0]) // stride if found else 0
    missing = max(0, -(-begin // apart))
    return AxisPhase(first, (NO_TAP,) * missing + tuple(taps), apart, missing * apart - begin)


@lru_cache(maxsize=4096)
def phases(window: Window) -> tuple[Phase, ...]:
    """The phases of a transposed convolution, rows before columns."""
    (kernel, across), (stride, right), (dilation, wide) = window.kernel, window.stride, window.dilation
    made, position = list[Phase](), 0
    for rows in axis_phases(kernel, stride, dilation, window.pads[0]):
        for columns in axis_phases(across, right, wide, window.pads[1]):
            made.append(Phase(rows, columns, position))
            position += made[-1].positions
    return tuple(made)


def kernel_positions(window: Window) -> int:
    """Kernel positions of a convolution's weights; of a transposed one those of all phases, positions without weights included."""
    if not window.transposed:
        return window.kernel[0] * window.kernel[1]
    return sum(phase.positions for phase in phases(window))
