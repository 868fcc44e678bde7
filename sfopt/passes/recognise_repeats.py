"""Tile of a new axis -> Resize(scale_h, scale_w)

    Tile(x of (1, C, H, 1, W), axis 3)  -> Reshape . Resize(scale_h) . Reshape
    Tile(x of (1, C, H, W, 1), axis 4)  -> Reshape . Resize(scale_w) . Reshape

So are repeated rows and columns written where a framework repeats along one axis at a time. `merge_reshapes` removes what is left
around the Resize.
"""

from dataclasses import replace

from sfopt.graph import Attribute, Graph, Op
from sfopt.passes.rewrite import fresh, substitute, sweep

__all__ = ["recognise_repeats"]


def recognise_repeats(graph: Graph) -> Graph:
    """Apply the rewrite of this module."""
    return sweep(graph, _rule)


def _rule(graph: Graph, op: Op) -> Graph | None:
    if op.op_type != "Tile" or "repeats" not in op.attributes:
        return None
    source, target = graph.tensor(op.inputs[0]), graph.tensor(op.output)
    repeated = [axis for axis, count in enumerate(op.ints("repeats")) if count != 1]
    if (
        len(source.shape) != 5
        or source.shape[0] != 1
        or len(repeated) != 1
        or repeated[0] < 3
        or source.shape[repeated[0]] != 1
    ):
        return None
    axis, count = repeated[0], op.ints("repeats")[repeated[0]]
    small = source.shape[:axis] + source.shape[axis + 1 :]
    scales = [count if axis == i + 1 else 1 for i in (2, 3)]
    before = replace(target, name=fresh(graph, f"{op.output}:map"), shape=small)
    large = (*small[:2], small[2] * scales[0], small[3] * scales[1])
    after = replace(target, name=fresh(graph, f"{op.output}:repeated"), shape=large)
    attributes: dict[str, Attribute] = {"mode": "nearest", "scale_h": scales[0], "scale_w": scales[1]}
    ops = (
        Op(before.name, "Reshape", op.inputs, (before.name,), {"shape": small}),
        Op(op.name, "Resize", (before.name,), (after.name,), attributes),
        Op(after.name, "Reshape", (after.name,), op.outputs, {"shape": target.shape}),
    )
    return substitute(graph, [op], ops, [before, after])
