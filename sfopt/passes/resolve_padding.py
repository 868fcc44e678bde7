"""auto_pad, ceil_mode -> pads

    SAME_UPPER, SAME_LOWER:  total = max((out - 1) * stride + window - in, 0), the odd one at the end or the beginning
    VALID:                   0
    ceil_mode:               the end grows until rounding down gives the same output size

Growing the end changes nothing for a MaxPool, whose padding never wins, nor for an AveragePool that leaves padding out of its
count.
"""

from dataclasses import replace

from sfopt.graph import Graph, Op
from sfopt.passes.rewrite import decline, substitute, sweep

__all__ = ["resolve_padding"]

_POOLS = frozenset({"AveragePool", "LpPool", "MaxPool", "QLinearAveragePool"})
_WINDOWED = _POOLS | {"Conv", "ConvInteger", "QLinearConv"}


def resolve_padding(graph: Graph) -> Graph:
    """Apply the rewrite of this module."""
    return sweep(graph, _rule)


def _rule(graph: Graph, op: Op) -> Graph | None:
    if op.op_type not in _WINDOWED or "kernel_shape" not in op.attributes:
        return None
    mode = op.attributes.get("auto_pad", "NOTSET")
    source, target = graph.tensor(op.inputs[0]).shape[2:], graph.tensor(op.output).shape[2:]
    if mode != "NOTSET":
        pads = _automatic(op, source, target, str(mode))
        attributes = {**op.attributes, "pads": pads}
        del attributes["auto_pad"]
        return substitute(graph, [op], [replace(op, attributes=attributes)])
    if not op.attributes.get("ceil_mode"):
        return None
    pads = _grown(op, source, target)
    if pads != op.ints("pads") and op.op_type != "MaxPool" and op.attributes.get("count_include_pad"):
        return decline(graph, f"resolve_padding: `{op.output}` keeps ceil_mode: its padding counts in the average")
    if any(p >= k for p, k in zip(pads, 2 * op.ints("kernel_shape"), strict=True)):
        return decline(
            graph, f"resolve_padding: `{op.output}` keeps ceil_mode: its padding would be as large as the window"
        )
    return substitute(graph, [op], [replace(op, attributes={**op.attributes, "pads": pads, "ceil_mode": 0})])


def _spans(op: Op, target: tuple[int, ...]) -> tuple[int, ...]:
    """How many input rows and columns, padding included, the output needs."""
    windows = ((k - 1) * d + 1 for k, d in zip(op.ints("kernel_shape"), op.ints("dilations"), strict=True))
    return tuple((n - 1) * s + w for n, s, w in zip(target, op.ints("strides"), windows, strict=True))


def _automatic(op: Op, source: tuple[int, ...], target: tuple[int, ...], mode: str) -> tuple[int, ...]:
    if mode == "VALID":
        return (0,) * (2 * len(source))
    totals = [max(span - n, 0) for span, n in zip(_spans(op, target), source, strict=True)]
    small, large = tuple(t // 2 for t in totals), tuple(t - t // 2 for t in totals)
    return (*small, *large) if mode == "SAME_UPPER" else (*large, *small)


def _grown(op: Op, source: tuple[int, ...], target: tuple[int, ...]) -> tuple[int, ...]:
    pads, dims = op.ints("pads"), len(source)
    begin, end = pads[:dims], pads[dims:]
    rows = zip(_spans(op, target), source, begin, end, strict=True)
    return (*begin, *(max(e, span - n - b) for span, n, b, e in rows))
