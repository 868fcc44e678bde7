"""Rows in time: how many rows of a feature map exist after each band of a segment, and which rows a band reads.

A segment runs in bands. Every map that it streams in or computes follows a `RowSchedule`; what a group reads of an input to make
some rows of its output is `rows_read`. Rings, availability and band counts follow from these two.
"""

from dataclasses import dataclass

from sfopt.groups import FeatureMap, Group, Kind, Network
from sfopt.phases import AxisPhase, Phase, axis_phases

__all__ = ["RowSchedule", "phase_schedule", "row_grain", "row_rate", "rows_padded", "rows_read", "rows_to_run"]


@dataclass(frozen=True)
class RowSchedule:
    """Rows that exist after band i (0-based): min(total, first + i * step)."""

    first: int
    step: int
    total: int

    def after(self, band: int) -> int:
        """Rows after band `band`; 0 before the first."""
        return min(self.total, self.first + band * self.step) if band >= 0 else 0

    def sizes(self, bands: int) -> list[tuple[int, int]]:
        """The bands by their number of rows, in order: (rows, how many bands in turn), empty ones last as (0, n)."""
        parts = [(min(self.first, self.total), 1)]
        rest = self.total - parts[0][0]
        full = min(bands - 1, rest // self.step if self.step else 0)
        parts.append((self.step, full))
        left = min(self.step, rest - full * self.step) if full < bands - 1 else 0
        parts.append((left, int(left > 0)))
        parts.append((0, bands - 1 - full - int(left > 0)))
        return [(rows, count) for rows, count in parts if count > 0]


def rows_to_run(network: Network, group: Group) -> int:
    """Rows that a group's bands count: those of its output, or of its input for a global mean."""
    over = group.pieces[0].tensor if group.kind is Kind.GLOBAL_MEAN else group.output
    return network.maps[over].height


def row_rate(group: Group) -> tuple[int, int]:
    """(input rows, output rows) that a group moves on by together: (stride, 1), or (1, stride) where rows become more."""
    stride = group.window.stride[0]
    if group.kind in (Kind.GLOBAL_MEAN, Kind.COPY):
        return 1, 1
    return (1, stride) if group.kind is Kind.RESIZE or group.window.transposed else (stride, 1)


def row_grain(group: Group) -> int:
    """Rows that a band, and a ring that it is written to, are a multiple of: all phases of a transposed convolution run in each."""
    return group.window.stride[0] if group.window.transposed else 1


def phase_schedule(phase: Phase, rows: RowSchedule, stride: int) -> RowSchedule:
    """Rows of a phase that are there when these rows of the output are: `first` and `step` are multiples of the stride, or all."""
    return RowSchedule(-(-rows.first // stride), -(-rows.step // stride), phase.rows.rows(rows.total, stride))


def rows_padded(group: Group) -> int:
    """Output rows, at most, whose windows begin above the input."""
    window = group.window
    if not window.transposed:
        return window.pads[0]
    return window.stride[0] * max(0, *(p.pad for p in _row_phases(group)))


def rows_read(group: Group, fmap: FeatureMap, start: int, stop: int) -> tuple[int, int]:
    """Rows [first, last) of `fmap` that `group` reads in all its uses to make rows [start, stop) of its output, start < stop.

    Rows of its input for a global mean. A channel scale is read whole.
    """
    spans = []
    if any(p.tensor == fmap.name for p in group.pieces):
        spans.append(_window_rows(group, start, stop))
    if fmap.name == group.residual:
        spans.append((start, stop))
    if fmap.name == group.scale:
        spans.append((0, fmap.height))
    first, last = min(s for s, _ in spans), max(e for _, e in spans)
    return min(max(first, 0), fmap.height), min(max(last, 0), fmap.height)


def _window_rows(group: Group, start: int, stop: int) -> tuple[int, int]:
    """Rows that the windows of output rows [start, stop) span; those outside the input belong to the padding."""
    window = group.window
    match group.kind:
        case Kind.COPY | Kind.GLOBAL_MEAN:
            return start, stop
        case Kind.RESIZE:
            return start // window.stride[0], -(-stop // window.stride[0])
    if window.transposed:
        spans = [_phase_rows(p, start, stop, window.stride[0]) for p in _row_phases(group)]
        return min(s[0] for s in spans if s), max(s[1] for s in spans if s)
    top, stride = window.pads[0], window.stride[0]
    return start * stride - top, (stop - 1) * stride + window.extent[0] - top


def _row_phases(group: Group) -> tuple[AxisPhase, ...]:
    window = group.window
    return axis_phases(window.kernel[0], window.stride[0], window.dilation[0], window.pads[0])


def _phase_rows(phase: AxisPhase, start: int, stop: int, stride: int) -> tuple[int, int] | None:
    """Input rows that the output rows of a phase among [start, stop) span; None if there are none."""
    first, last = phase.rows(start, stride), phase.rows(stop, stride)
    return (first - phase.pad, last + phase.reach) if first < last else None
