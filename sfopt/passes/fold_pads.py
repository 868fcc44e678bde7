"""Conv . Pad(0) -> Conv,  AveragePool . Pad(0) -> AveragePool,  MaxPool . Pad -> MaxPool

A MaxPool pads with the least number, so a Pad of zeros folds where its input is never negative. An AveragePool must count the
padding, as it counted the zeros. Rounding between the two, DequantizeLinear(QuantizeLinear(Pad(DequantizeLinear(q)))) all with the
same parameters, does nothing, since zero has an integer of its own.
"""

from dataclasses import replace

import numpy as np

from sfopt.graph import Attribute, Graph, Op
from sfopt.passes.qdq import quantization_of, stored_dtype
from sfopt.passes.rewrite import decline, substitute, sweep

__all__ = ["fold_pads"]

_NEVER_NEGATIVE = frozenset({"Abs", "HardSigmoid", "Relu", "Sigmoid", "Softmax", "Softplus"})
_KEEPS_SIGN = frozenset(
    {"AveragePool", "Concat", "GlobalAveragePool", "MaxPool", "Pad", "Reshape", "Resize", "Transpose"}
)


def fold_pads(graph: Graph) -> Graph:
    """Apply the rewrite of this module."""
    return sweep(graph, _rule)


def _rule(graph: Graph, op: Op) -> Graph | None:
    pad = _pad_before(graph, op) if op.op_type in ("AveragePool", "Conv", "MaxPool") else None
    if pad is None or len(pad.inputs) != 1 or "pads" not in op.attributes:
        return None
    given = pad.ints("pads")
    rank = len(given) // 2
    if any(given[a] for a in (0, 1, rank, rank + 1)) or min(given) < 0 or pad.attributes.get("mode") != "constant":
        return decline(
            graph, f"fold_pads: `{pad.output}` is not folded: it pads more than rows and columns with a constant"
        )
    spatial = (*given[2:rank], *given[rank + 2 :])
    merged = tuple(a + b for a, b in zip(op.ints("pads"), spatial, strict=True))
    reason = _refusal(graph, op, pad, merged)
    if reason:
        return decline(graph, f"fold_pads: `{pad.output}` is not folded: {reason}")
    attributes: dict[str, Attribute] = {**op.attributes, "pads": merged}
    if op.op_type == "AveragePool":
        attributes["count_include_pad"] = 1
    return substitute(graph, [op], [replace(op, inputs=(pad.inputs[0], *op.inputs[1:]), attributes=attributes)])


def _pad_before(graph: Graph, op: Op) -> Op | None:
    """The Pad that `op` reads, also through a rounding to the integers that the Pad's own input comes from."""
    before = graph.producers.get(op.inputs[0])
    if before is None or before.op_type == "Pad":
        return before
    rounding = graph.producers.get(before.inputs[0]) if before.op_type == "DequantizeLinear" else None
    pad = graph.producers.get(rounding.inputs[0]) if rounding and rounding.op_type == "QuantizeLinear" else None
    source = graph.producers.get(pad.inputs[0]) if pad and pad.op_type == "Pad" else None
    if rounding is None or source is None or source.op_type != "DequantizeLinear":
        return None
    quants = [quantization_of(graph, codec) for codec in (source, rounding, before)]
    kinds = {stored_dtype(graph, codec) for codec in (source, rounding, before)}
    same = all(q is not None and q.axis is None and q.same_as(quants[0]) for q in quants)
    return pad if same and len(kinds) == 1 else None


def _refusal(graph: Graph, op: Op, pad: Op, merged: tuple[int, ...]) -> str:
    value = pad.attributes.get("value", 0.0)
    assert isinstance(value, int | float)
    if op.attributes.get("ceil_mode"):
        return f"`{op.output}` rounds its size up"
    if op.op_type != "Conv" and any(p >= k for p, k in zip(merged, 2 * op.ints("kernel_shape"), strict=True)):
        return f"the padding is as large as the window of `{op.output}`"
    if op.op_type == "MaxPool":
        least = bool(np.isneginf(value)) or (
            value == 0.0 and _never_negative(graph, pad.inputs[0]) and not any(op.ints("pads"))
        )
        return "" if least else f"its input may be less than the value {value}, and `{op.output}` takes the maximum"
    if value != 0.0:
        return f"its value is {value}, not 0"
    if op.op_type == "AveragePool" and any(op.ints("pads")) and not op.attributes.get("count_include_pad"):
        return f"`{op.output}` leaves its own padding out of the average"
    return ""


def _never_negative(graph: Graph, name: str) -> bool:
    op = graph.producers.get(name)
    if op is None:
        return False
    if op.op_type == "Clip":
        low = op.attributes.get("min", -1.0)
        return isinstance(low, int | float) and low >= 0
    if op.op_type in _KEEPS_SIGN:
        return all(_never_negative(graph, n) for n in op.inputs) and op.attributes.get("value", 0.0) == 0.0
    return op.op_type in _NEVER_NEGATIVE
