"""Pad(0) -> Conv, depthwise, that copies its input
Pad(v) -> Add(Pad(0) . Add(-v), v)

Rows t, b and columns l, r of zeros around x are what a kernel of (t + b + 1) x (l + r + 1) with padding (t + b, l + r) and a
single one at (b, r) gives. The accelerator has no other way to pad, and the copy is exact.
"""

from dataclasses import replace

import numpy as np

from sfopt.graph import Attribute, Graph, Op
from sfopt.passes.rewrite import constant, decline, fresh, holds_integers, is_between_codecs, substitute, sweep

__all__ = ["express_pads"]

_LARGEST_KERNEL = 7


def express_pads(graph: Graph) -> Graph:
    """Apply the rewrite of this module."""
    integers = holds_integers(graph)
    return sweep(graph, lambda graph, op: None if integers and not _is_exact(graph, op) else _rule(graph, op))


def _is_exact(graph: Graph, op: Op) -> bool:
    """Whether it may be expressed in a quantised model: nothing new is rounded."""
    return is_between_codecs(graph, op) and not op.attributes.get("value", 0.0)


def _rule(graph: Graph, op: Op) -> Graph | None:
    source = graph.tensor(op.inputs[0]) if op.op_type == "Pad" and len(op.inputs) == 1 else None
    if (
        source is None
        or len(source.shape) != 4
        or source.shape[0] != 1
        or source.dtype != "float32"
        or source.is_constant
    ):
        return None
    pads, value = op.ints("pads"), op.attributes.get("value", 0.0)
    if op.attributes.get("mode") != "constant" or not isinstance(value, int | float) or not np.isfinite(value):
        return None
    if min(pads) < 0 or any(pads[a] for a in (0, 1, 4, 5)) or not any(pads):
        return None
    _, _, top, left, _, _, bottom, right = pads
    kernel = (top + bottom + 1, left + right + 1)
    if max(kernel) > _LARGEST_KERNEL:
        return decline(
            graph, f"express_pads: `{op.output}` stays a Pad: it needs a kernel larger than {_LARGEST_KERNEL}"
        )
    if value:
        return _around(graph, op, float(value))
    channels = source.shape[1]
    weights = np.zeros((channels, 1, *kernel), np.float32)
    weights[:, :, bottom, right] = 1
    tensor = constant(graph, f"{op.output}:weights", weights)
    spatial = (kernel[0] - 1, kernel[1] - 1)
    attributes: dict[str, Attribute] = {
        "kernel_shape": kernel,
        "strides": (1, 1),
        "dilations": (1, 1),
        "group": channels,
    }
    attributes["pads"] = (*spatial, *spatial)
    conv = Op(op.name, "Conv", (op.inputs[0], tensor.name), op.outputs, attributes)
    return substitute(graph, [op], [conv], [tensor])


def _around(graph: Graph, op: Op, value: float) -> Graph:
    source, target = graph.tensor(op.inputs[0]), graph.tensor(op.output)
    lowered = replace(source, name=fresh(graph, f"{op.output}:lowered"))
    padded = replace(target, name=fresh(graph, f"{op.output}:padded"))
    down, up = (
        constant(graph, f"{op.output}:{n}", np.asarray(v, np.float32)) for n, v in (("down", -value), ("up", value))
    )
    ops = (
        Op(lowered.name, "Add", (source.name, down.name), (lowered.name,)),
        replace(op, inputs=(lowered.name,), outputs=(padded.name,), attributes={**op.attributes, "value": 0.0}),
        Op(fresh(graph, f"{op.name}:raised"), "Add", (padded.name, up.name), op.outputs),
    )
    return substitute(graph, [op], ops, [lowered, padded, down, up])
