"""Resize that repeats rows and columns -> Resize(scale_h, scale_w);  two of these -> one, scales multiplied
Resize that takes every n-th of them -> Slice

Whether it does is found by computing, for every output row and column, which input one the operator's coordinate transformation
and rounding pick (ONNX operator documentation, Resize), and comparing with `i // scale`, or for a smaller result with a range.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from sfopt.graph import Attribute, Graph, Op
from sfopt.passes.rewrite import decline, substitute, sweep

__all__ = ["unify_resizes"]

_Floats = npt.NDArray[np.float64]
_COORDINATES: Mapping[str, Callable[[_Floats, float, int, int], _Floats]] = {
    "align_corners": lambda x, _, size, out: x * (size - 1) / max(out - 1, 1),
    "asymmetric": lambda x, scale, *_: x / scale,
    "half_pixel": lambda x, scale, *_: (x + 0.5) / scale - 0.5,
    "half_pixel_symmetric": lambda x, scale, *_: (x + 0.5) / scale - 0.5,
    "pytorch_half_pixel": lambda x, scale, _, out: (x + 0.5) / scale - 0.5 if out > 1 else x * 0,
}
_ROUNDINGS: Mapping[str, Callable[[_Floats], _Floats]] = {
    "ceil": np.ceil,
    "floor": np.floor,
    "round_prefer_ceil": lambda x: np.floor(x + 0.5),
    "round_prefer_floor": lambda x: np.ceil(x - 0.5),
}


def unify_resizes(graph: Graph) -> Graph:
    """Apply the rewrites of this module."""
    return sweep(sweep(graph, _rule), _merge)


def _rule(graph: Graph, op: Op) -> Graph | None:
    if op.op_type != "Resize" or len(op.inputs) != 1 or "scale_h" in op.attributes:
        return None
    source, target = graph.tensor(op.inputs[0]).shape, graph.tensor(op.output).shape
    taken = _taken(op, source, target)
    if taken is not None:
        return substitute(graph, [op], [replace(op, op_type="Slice", attributes=taken)])
    if len(source) != 4 or source[:2] != target[:2] or any(b % a for a, b in zip(source, target, strict=True)):
        return decline(graph, f"unify_resizes: `{op.output}` stays: {source} to {target} is no whole multiple")
    if op.attributes.get("mode", "nearest") != "nearest" or not all(_repeats(op, source[i], target[i]) for i in (2, 3)):
        return decline(graph, f"unify_resizes: `{op.output}` stays: it does not repeat rows and columns")
    scales: dict[str, Attribute] = {
        "mode": "nearest",
        "scale_h": target[2] // source[2],
        "scale_w": target[3] // source[3],
    }
    return substitute(graph, [op], [replace(op, attributes=scales)])


def _merge(graph: Graph, op: Op) -> Graph | None:
    inner = graph.producers.get(op.inputs[0]) if op.op_type == "Resize" else None
    if inner is None or inner.op_type != "Resize" or graph.sole_consumer(inner.output) is not op:
        return None
    if "scale_h" not in inner.attributes or "scale_h" not in op.attributes:
        return None
    scales = {key: inner.ints(key)[0] * op.ints(key)[0] for key in ("scale_h", "scale_w")}
    merged = replace(op, inputs=inner.inputs, attributes={"mode": "nearest", **scales})
    return substitute(graph, [inner, op], [merged])


def _taken(op: Op, source: tuple[int, ...], target: tuple[int, ...]) -> dict[str, Attribute] | None:
    """The Slice of a (1, C, H, W) map that a nearest Resize to fewer rows or columns, and to no more of either, comes to."""
    smaller = any(b < a for a, b in zip(source, target, strict=True)) and len(source) == 4 and source[:2] == target[:2]
    if not smaller or op.attributes.get("mode", "nearest") != "nearest":
        return None
    ranges = [_range(op, source[axis], target[axis]) for axis in (2, 3)]
    if ranges[0] is None or ranges[1] is None:
        return None
    pair = (ranges[0], ranges[1])
    return {
        "starts": tuple(r.start for r in pair),
        "ends": tuple(r.stop for r in pair),
        "axes": (2, 3),
        "steps": tuple(r.step for r in pair),
    }


def _range(op: Op, size: int, out: int) -> range | None:
    picked = _picked(op, size, out)
    if picked is None:
        return None
    step = int(picked[1] - picked[0]) if out > 1 else 1
    found = range(int(picked[0]), int(picked[-1]) + 1, step) if step > 0 else range(0)
    return found if np.array_equal(picked, found) else None


def _repeats(op: Op, size: int, out: int) -> bool:
    picked = _picked(op, size, out)
    return picked is not None and np.array_equal(picked, np.arange(out) // (out // size))


def _picked(op: Op, size: int, out: int) -> _Floats | None:
    """Which input row or column each output one copies."""
    coordinate = _COORDINATES.get(str(op.attributes.get("coordinate_transformation_mode", "half_pixel")))
    rounding = _ROUNDINGS.get(str(op.attributes.get("nearest_mode", "round_prefer_floor")))
    if coordinate is None or rounding is None:
        return None
    return np.clip(rounding(coordinate(np.arange(out, dtype=np.float64), out / size, size, out)), 0, size - 1)
