"""Split, Slice -> Conv that copies: 1x1 with one 1 a row over channels, depthwise with a single 1 over rows and columns
SpaceToDepth -> Conv with one 1 a row, as wide as its block and stride

The accelerator has no operator that reads some of the channels, rows or columns; a convolution that copies them is exact and stays
on-chip. `fold_selections` then lets the convolutions behind it read the whole map.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from sfopt.graph import Attribute, Graph, Op, Tensor
from sfopt.passes.rewrite import constant, decline, fresh, holds_integers, substitute, sweep
from sfopt.passes.selection import selection

__all__ = ["express_selections"]

_LARGEST = 63
"""Of kernel and stride: what the accelerator's instructions hold."""


def express_selections(graph: Graph) -> Graph:
    """Apply the rewrites of this module."""
    return graph if holds_integers(graph) else sweep(graph, _rule)


def _rule(graph: Graph, op: Op) -> Graph | None:
    if op.op_type not in ("Slice", "SpaceToDepth", "Split") or len(op.inputs) != 1:
        return None
    source = graph.tensor(op.inputs[0])
    if len(source.shape) != 4 or source.shape[0] != 1 or source.dtype != "float32" or source.is_constant:
        return None
    if op.op_type == "SpaceToDepth":
        return _blocks(graph, op)
    return _split(graph, op) if op.op_type == "Split" else _slice(graph, op)


def _split(graph: Graph, op: Op) -> Graph | None:
    axis, first = op.ints("axis")[0] % 4, 0
    size, ops, tensors = graph.tensor(op.inputs[0]).shape[axis], list[Op](), list[Tensor]()
    for name, count in zip(op.outputs, op.ints("split"), strict=True):
        if name:
            found = _copied(graph, op.inputs[0], {axis: range(size)[first : first + count]}, name)
            if isinstance(found, str):
                return decline(graph, f"express_selections: `{name}` stays a Split: {found}")
            ops += found[0]
            tensors += found[1]
        first += count
    return substitute(graph, [op], ops, tensors)


def _slice(graph: Graph, op: Op) -> Graph | None:
    shape = graph.tensor(op.inputs[0]).shape
    starts, ends = op.ints("starts"), op.ints("ends")
    axes = op.ints("axes") if "axes" in op.attributes else tuple(range(len(starts)))
    steps = op.ints("steps") if "steps" in op.attributes else (1,) * len(starts)
    kept = {a % 4: range(shape[a % 4])[slice(*cut)] for a, *cut in zip(axes, starts, ends, steps, strict=True)}
    kept = {axis: places for axis, places in kept.items() if places != range(shape[axis])}
    found = _copied(graph, op.inputs[0], kept, op.output)
    if isinstance(found, str):
        return decline(graph, f"express_selections: `{op.output}` stays a Slice: {found}")
    return substitute(graph, [op], *found)


def _copied(graph: Graph, source: str, kept: Mapping[int, range], output: str) -> tuple[list[Op], list[Tensor]] | str:
    """Convolutions that write to `output` what `kept` names of each axis of `source`, or why there are none."""
    if not kept or 0 in kept or any(not places for places in kept.values()):
        return "it keeps everything, or nothing"
    rows = {axis: places for axis, places in kept.items() if axis > 1}
    if not rows:
        depth = graph.tensor(source).shape[1]
        conv, weights = selection(graph, source, depth, np.asarray(kept[1]), output)
        return [conv], [weights]
    if any(places.step < 0 and len(places) > 1 for places in rows.values()):
        return "it reverses rows or columns"
    shape = graph.tensor(source).shape
    target = output if 1 not in kept else fresh(graph, f"{output}:cropped")
    geometry = [_kernel(shape[axis], rows.get(axis, range(shape[axis]))) for axis in (2, 3)]
    widest = max(max(pair) for pair in geometry)
    if widest > _LARGEST:
        return f"the convolution that copies it would have a kernel or stride of {widest}, more than {_LARGEST}"
    starts = tuple(rows[axis].start if axis in rows else 0 for axis in (2, 3))
    conv, weights = _crop(graph, source, (geometry[0], geometry[1]), starts, target)
    if 1 not in kept:
        return [conv], [weights]
    size = tuple(len(rows.get(axis, range(shape[axis]))) for axis in (2, 3))
    cropped = replace(graph.tensor(source), name=target, shape=(1, shape[1], *size))
    chosen, more = selection(graph, target, shape[1], np.asarray(kept[1]), output)
    return [conv, chosen], [weights, cropped, more]


def _kernel(size: int, places: range) -> tuple[int, int]:
    """Length and stride of the kernel, without padding, that has as many positions on `size` elements as there are `places`."""
    stride = places.step if len(places) > 1 else min(size, _LARGEST)
    return max(places.start + 1, size - len(places) * stride + 1), stride


def _crop(
    graph: Graph, source: str, geometry: tuple[tuple[int, int], tuple[int, int]], starts: tuple[int, ...], output: str
) -> tuple[Op, Tensor]:
    """The depthwise Conv with a 1 at `starts` of its kernel."""
    (height, down), (width, across) = geometry
    depth = graph.tensor(source).shape[1]
    weights = np.zeros((depth, 1, height, width), np.float32)
    weights[:, 0, starts[0], starts[1]] = 1
    tensor = constant(graph, f"{output}:crop", weights)
    attributes: dict[str, Attribute] = {
        "kernel_shape": (height, width), "strides": (down, across), "dilations": (1, 1), "pads": (0, 0, 0, 0),
        "group": depth,
    }  # fmt: skip
    return Op(fresh(graph, f"{output}:crop"), "Conv", (source, tensor.name), (output,), attributes), tensor


def _blocks(graph: Graph, op: Op) -> Graph:
    """Output channel (row * block + column) * C + c is channel c at that place of the block."""
    block, depth = op.ints("blocksize")[0], graph.tensor(op.inputs[0]).shape[1]
    weights = np.zeros((block, block, depth, depth, block, block), np.float32)
    for row in range(block):
        for column in range(block):
            weights[row, column, :, :, row, column] = np.eye(depth)
    tensor = constant(graph, f"{op.output}:blocks", weights.reshape(-1, depth, block, block))
    attributes: Mapping[str, Attribute] = {
        "kernel_shape": (block, block),
        "strides": (block, block),
        "dilations": (1, 1),
        "pads": (0, 0, 0, 0),
        "group": 1,
    }
    conv = Op(fresh(graph, f"{op.output}:blocks"), "Conv", (op.inputs[0], tensor.name), op.outputs, attributes)
    return substitute(graph, [op], [conv], [tensor])
