"""Resize that repeats rows and columns -> Resize(scale_h, scale_w);  two of these -> one, scales multiplied

Whether it does is found by computing, for every output row and column, which input one the operator's coordinate transformation
and rounding pick (ONNX operator documentation, Resize), and comparing with `i // scale`.
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


def _repeats(op: Op, size: int, out: int) -> bool:
    coordinate = _COORDINATES.get(str(op.attributes.get("coordinate_transformation_mode", "half_pixel")))
    rounding = _ROUNDINGS.get(str(op.attributes.get("nearest_mode", "round_prefer_floor")))
    if coordinate is None or rounding is None:
        return False
    picked = np.clip(rounding(coordinate(np.arange(out, dtype=np.float64), out / size, size, out)), 0, size - 1)
    return bool(np.array_equal(picked, np.arange(out) // (out // size)))
