"""What one COMPUTE has to do, as its cycles are counted from (`cycles.py`)."""

from dataclasses import dataclass
from enum import StrEnum

from sfopt.rivals import Streams

__all__ = ["Columns", "Mode", "Work"]


class Mode(StrEnum):
    """How the engine goes through the work. ELEMENT is one output pixel for one input pixel."""

    CONV = "conv"
    WINDOW = "window"
    AVERAGE = "average"
    MEAN = "mean"
    ELEMENT = "element"


@dataclass(frozen=True)
class Columns:
    """Of a convolution's window, what decides whether two kernel columns share a pass; `width` is that of the output."""

    kernel: int
    stride: int
    dilation: int
    width: int

    @property
    def apart(self) -> int:
        """Columns from one to that which reads the same input a pixel later; 0 if that is none, or too far."""
        apart, rest = divmod(self.stride, self.dilation)
        return apart if not rest and apart in (1, 2) and apart < self.kernel else 0

    def passes(self) -> tuple[tuple[int, ...], ...]:
        """Those that each pass over a kernel row multiplies."""
        firsts = (k for k in range(self.kernel) if k % (2 * self.apart) < self.apart)
        return tuple((k, k + self.apart) if k + self.apart < self.kernel else (k,) for k in firsts)

    def primes(self, pixels: range) -> list[int]:
        """The pixels in front of which a pass of two columns reads once more: the first one and those that begin a row."""
        begun = -(-pixels.start // self.width) * self.width
        rows = list(range(begun, pixels.stop, self.width))
        return rows if begun == pixels.start else [pixels.start, *rows]


@dataclass(frozen=True)
class Work:
    """What one COMPUTE has to do. `pixels` are output pixels, of a mean input pixels."""

    mode: Mode
    pixels: int
    channels: int
    """Output channels, from `first_channel` on."""
    positions: int = 1
    """Kernel positions."""
    depth: int = 1
    """CONV: input channels of a convolution group."""
    group_channels: int = 0
    """CONV: output channels of a convolution group; 0: all."""
    first_channel: int = 0
    out_channel: int = 0
    """Channel of the output where channel 0 lands."""
    head_bytes: int = 0
    """Scalars and tables in front of the biases."""
    records: bool = False
    """Whether there are biases and factors."""
    scale: bool = False
    binary: bool = False
    final: bool = True
    """MEAN: whether this band is the last."""
    rivals: Streams | None = None
    """What reads the parameters' bank beside them, where the place of things is known."""
    columns: Columns | None = None
    """CONV of one group: its kernel columns, which may share passes."""
