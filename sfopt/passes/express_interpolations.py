"""Resize(linear) by a whole factor f -> AveragePool . Resize(nearest), or AveragePool where it makes smaller

    asymmetric               every pixel f times, then means of f, each over itself and the f - 1 behind it
    half_pixel, f odd        every pixel f times, then means of f around each
    half_pixel, f even       every pixel f times, then means of 2, then means of f
    half_pixel, by 1/2       means of 2 without overlap
    asymmetric, by 1/f       every f-th pixel

Pools leave out what is beyond the border, which is what clamping coordinates to it comes to. Whether a candidate is right is not
believed but computed: its weights for every output row against those of the operator's own formula (ONNX operator documentation,
Resize). Factors whose weights change from one output row to the next (align_corners, 3/2) have no such form.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import zip_longest

import numpy as np
import numpy.typing as npt

from sfopt.graph import Attribute, Graph, Op, Tensor
from sfopt.passes.rewrite import decline, fresh, holds_integers, substitute, sweep
from sfopt.passes.windows import LARGEST

__all__ = ["express_interpolations"]

_Matrix = npt.NDArray[np.float64]
_TOLERANCE = 1e-6


@dataclass(frozen=True)
class _Pool:
    """One axis of an AveragePool: kernel, stride, padding in front and behind."""

    kernel: int = 1
    stride: int = 1
    before: int = 0
    behind: int = 0

    def matrix(self, size: int) -> _Matrix:
        """Its weights, a row for each output."""
        count = (size + self.before + self.behind - self.kernel) // self.stride + 1
        weights = np.zeros((max(count, 0), size))
        for i in range(len(weights)):
            first = i * self.stride - self.before
            places = range(max(first, 0), min(first + self.kernel, size))
            weights[i, places] = 1 / len(places) if places else np.nan
        return weights


@dataclass(frozen=True)
class _Axis:
    """How one axis is resized: every element so many times, then pools."""

    repeats: int
    pools: tuple[_Pool, ...]

    def matrix(self, size: int) -> _Matrix:
        """Its weights, a row for each output."""
        weights = np.repeat(np.eye(size), self.repeats, axis=0)
        for pool in self.pools:
            weights = pool.matrix(len(weights)) @ weights
        return weights


def express_interpolations(graph: Graph) -> Graph:
    """Apply the rewrites of this module."""
    return graph if holds_integers(graph) else sweep(graph, _rule)


def _rule(graph: Graph, op: Op) -> Graph | None:
    if op.op_type != "Resize" or len(op.inputs) != 1 or op.attributes.get("mode") != "linear":
        return None
    source, target = graph.tensor(op.inputs[0]), graph.tensor(op.output)
    if (
        len(source.shape) != 4
        or source.shape[0] != 1
        or source.shape[:2] != target.shape[:2]
        or op.attributes.get("antialias")
    ):
        return None
    axes = [_axis(op, source.shape[a], target.shape[a], a) for a in (2, 3)]
    if axes[0] is None or axes[1] is None:
        note = f"express_interpolations: `{op.output}` stays: its weights change from one row or column to the next"
        return decline(graph, note)
    return _expressed(graph, op, (axes[0], axes[1]))


def _axis(op: Op, size: int, out: int, axis: int) -> _Axis | None:
    scales = op.attributes.get("scales")
    scale = float(scales[axis]) if isinstance(scales, tuple) else out / size
    wanted = _weights(op, size, out, scale)
    for candidate in _candidates(size, out):
        found = candidate.matrix(size)
        if wanted is not None and found.shape == wanted.shape and np.abs(found - wanted).max() < _TOLERANCE:
            return candidate
    return None


def _candidates(size: int, out: int) -> Iterator[_Axis]:
    """The forms of the module's docstring, simplest first."""
    if out == size:
        yield _Axis(1, ())
    elif out % size == 0 and out // size <= LARGEST:
        f = out // size
        yield _Axis(f, ())
        yield _Axis(f, (_Pool(f, before=0, behind=f - 1),))
        yield _Axis(f, (_Pool(f, before=f // 2, behind=f // 2),))
        yield _Axis(f, (_Pool(2, before=1, behind=1), _Pool(f, before=f // 2 - 1, behind=f // 2 - 1)))
    elif size % out == 0 and size // out <= LARGEST:
        f = size // out
        yield _Axis(1, (_Pool(1, f),))
        yield _Axis(1, (_Pool(f, f),))


def _weights(op: Op, size: int, out: int, scale: float) -> _Matrix | None:
    """What the operator's formula gives each input row for each output row."""
    i = np.arange(out, dtype=np.float64)
    mode = op.attributes.get("coordinate_transformation_mode", "half_pixel")
    coordinates = {
        "align_corners": i * (size - 1) / max(out - 1, 1),
        "asymmetric": i / scale,
        "half_pixel": (i + 0.5) / scale - 0.5,
        "pytorch_half_pixel": (i + 0.5) / scale - 0.5 if out > 1 else i * 0,
    }
    if mode not in coordinates:
        return None
    place = np.clip(coordinates[str(mode)], 0, size - 1)
    low = np.floor(place).astype(int)
    weights = np.zeros((out, size))
    rows = np.arange(out)
    weights[rows, low] += 1 - (place - low)
    weights[rows, np.minimum(low + 1, size - 1)] += place - low
    return weights


def _expressed(graph: Graph, op: Op, axes: tuple[_Axis, _Axis]) -> Graph:
    source, ops, tensors = graph.tensor(op.inputs[0]), list[Op](), list[Tensor]()
    current, steps = source, list[tuple[str, Mapping[str, Attribute], tuple[int, int]]]()
    height, width = source.shape[2:]
    if max(axis.repeats for axis in axes) > 1:
        height, width = height * axes[0].repeats, width * axes[1].repeats
        scales: Mapping[str, Attribute] = {"mode": "nearest", "scale_h": axes[0].repeats, "scale_w": axes[1].repeats}
        steps.append(("Resize", scales, (height, width)))
    for down, across in zip_longest(axes[0].pools, axes[1].pools, fillvalue=_Pool()):
        height, width = len(down.matrix(height)), len(across.matrix(width))
        steps.append(("AveragePool", _attributes(down, across), (height, width)))
    for op_type, attributes, size in steps:
        is_last = len(ops) == len(steps) - 1
        name = op.output if is_last else fresh(graph, f"{op.output}:{len(ops)}")
        ops.append(Op(op.name if is_last else name, op_type, (current.name,), (name,), attributes))
        current = replace(source, name=name, shape=(*source.shape[:2], *size))
        tensors.append(current)
    return substitute(graph, [op], ops, tensors)


def _attributes(down: _Pool, across: _Pool) -> Mapping[str, Attribute]:
    return {
        "kernel_shape": (down.kernel, across.kernel),
        "strides": (down.stride, across.stride),
        "pads": (down.before, across.before, down.behind, across.behind),
        "dilations": (1, 1),
        "ceil_mode": 0,
        "count_include_pad": 0,
    }
