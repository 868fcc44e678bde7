"""Kernel, stride, padding and dilation of a sliding window, with `auto_pad` and `ceil_mode` resolved to plain padding."""

from dataclasses import dataclass

from sfopt.graph import Attribute, Graph, Op
from sfopt.passes.lowering import Decline

__all__ = ["LARGEST", "SlidingWindow", "sliding_window", "transposed_window"]

LARGEST = 63
"""Of kernel, stride, dilation and padding: what the accelerator's instructions hold."""


@dataclass(frozen=True)
class SlidingWindow:
    """Rows then columns; pads are top, left, bottom, right."""

    kernel: tuple[int, int]
    strides: tuple[int, int]
    pads: tuple[int, int, int, int]
    dilations: tuple[int, int]
    grown: bool
    """Whether `ceil_mode` added padding at the bottom or right."""

    def attributes(self) -> dict[str, Attribute]:
        """The attributes that every integer operator with a window has."""
        return {"kernel_shape": self.kernel, "strides": self.strides, "pads": self.pads}


def sliding_window(graph: Graph, op: Op, kernel: tuple[int, int]) -> SlidingWindow:
    """Window of a two-dimensional Conv or pooling operator whose shapes are known. Declines what the accelerator cannot hold."""
    return _held(_resolved(graph, op, kernel))


def transposed_window(graph: Graph, op: Op, kernel: tuple[int, int]) -> SlidingWindow:
    """The same of a two-dimensional ConvTranspose: `pads` are rows and columns cut off the output, below 0 where it has more."""
    strides, dilations = _pair(op, "strides"), _pair(op, "dilations")
    size, result = graph.tensor(op.inputs[0]).shape[2:], graph.tensor(op.output).shape[2:]
    extent = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    full = [(i - 1) * s + e for i, s, e in zip(size, strides, extent, strict=True)]
    mode = op.attributes.get("auto_pad", "NOTSET")
    if mode == "NOTSET" and "output_shape" not in op.attributes:
        top, left = op.ints("pads")[:2] if "pads" in op.attributes else (0, 0)
    else:
        more = op.ints("output_padding") if "output_padding" in op.attributes else (0, 0)
        total = [max(0, f + m - r) for f, m, r in zip(full, more, result, strict=True)]
        top, left = (t // 2 if mode == "SAME_UPPER" else t - t // 2 for t in total)
    if top < 0 or left < 0:
        raise Decline(f"it has a padding of {min(top, left)}, needs none below 0")
    pads = (top, left, full[0] - top - result[0], full[1] - left - result[1])
    return _held(SlidingWindow(kernel, strides, pads, dilations, grown=False))


def _held(window: SlidingWindow) -> SlidingWindow:
    """The window; declines what instructions cannot hold."""
    figures = {
        "kernel": window.kernel,
        "stride": window.strides,
        "dilation": window.dilations,
        "padding": window.pads[:2],
    }
    for name, values in figures.items():
        if max(values) > LARGEST:
            raise Decline(f"it has a {name} of {max(values)}, the accelerator's largest is {LARGEST}")
    return window


def _resolved(graph: Graph, op: Op, kernel: tuple[int, int]) -> SlidingWindow:
    strides, dilations = _pair(op, "strides"), _pair(op, "dilations")
    size, result = graph.tensor(op.inputs[0]).shape[2:], graph.tensor(op.output).shape[2:]
    extent = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    needed = [(o - 1) * s + e - i for o, s, e, i in zip(result, strides, extent, size, strict=True)]
    mode = op.attributes.get("auto_pad", "NOTSET")
    if mode in ("SAME_UPPER", "SAME_LOWER"):
        total = [max(n, 0) for n in needed]
        small, large = [t // 2 for t in total], [t - t // 2 for t in total]
        begin, end = (small, large) if mode == "SAME_UPPER" else (large, small)
        return SlidingWindow(kernel, strides, (begin[0], begin[1], end[0], end[1]), dilations, grown=False)
    top, left, bottom, right = op.ints("pads") if "pads" in op.attributes and mode == "NOTSET" else (0, 0, 0, 0)
    extra_rows, extra_columns = max(needed[0] - top - bottom, 0), max(needed[1] - left - right, 0)
    pads = (top, left, bottom + extra_rows, right + extra_columns)
    return SlidingWindow(kernel, strides, pads, dilations, grown=extra_rows > 0 or extra_columns > 0)


def _pair(op: Op, key: str) -> tuple[int, int]:
    values = op.ints(key) if key in op.attributes else (1, 1)
    return values[0], values[1]
