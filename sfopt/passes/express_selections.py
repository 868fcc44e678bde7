"""Split, Slice -> Conv that copies: 1x1 with one 1 a row over channels, depthwise with a single 1 over rows and columns
SpaceToDepth -> Conv with one 1 a row, as wide as its block and stride
DepthToSpace -> ConvTranspose likewise

The accelerator has no operator that reads some of the channels, rows or columns; a convolution that copies them is exact and stays
on-chip. `fold_selections` then lets the convolutions behind it read the whole map.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from sfopt.graph import Attribute, Graph, Op, Tensor
from sfopt.passes.rewrite import constant, decline, fresh, holds_integers, is_between_codecs, substitute, sweep
from sfopt.passes.selection import selection
from sfopt.passes.windows import LARGEST

__all__ = ["copying", "express_selections", "kept_places", "refusal"]


def express_selections(graph: Graph) -> Graph:
    """Apply the rewrites of this module; in a quantised model to what is rounded before and behind, so that nothing new is."""
    integers = holds_integers(graph)
    return sweep(graph, lambda graph, op: None if integers and not is_between_codecs(graph, op) else _rule(graph, op))


def kept_places(graph: Graph, op: Op) -> dict[str, dict[int, range]]:
    """For each output of a Slice or Split, what it keeps of each axis that it does not keep whole."""
    shape = graph.tensor(op.inputs[0]).shape
    if op.op_type == "Split":
        axis, ends = op.ints("axis")[0] % len(shape), np.cumsum(op.ints("split")).tolist()
        cuts = zip(op.outputs, [0, *ends], ends, strict=False)
        return {name: {axis: range(first, end)} for name, first, end in cuts if name}
    starts, ends = op.ints("starts"), op.ints("ends")
    axes = op.ints("axes") if "axes" in op.attributes else tuple(range(len(starts)))
    steps = op.ints("steps") if "steps" in op.attributes else (1,) * len(starts)
    axes = tuple(a % len(shape) for a in axes)
    kept = {a: range(shape[a])[slice(*cut)] for a, *cut in zip(axes, starts, ends, steps, strict=True)}
    return {op.output: {axis: places for axis, places in kept.items() if places != range(shape[axis])}}


def refusal(shape: tuple[int, ...], kept: Mapping[int, range]) -> str | None:
    """Why no convolution copies these places of a (1, C, H, W) tensor; None where one does."""
    rows = {axis: places for axis, places in kept.items() if axis > 1}
    if len(shape) != 4 or shape[0] != 1:
        return f"it cuts a tensor of shape {shape}, a feature map has (1, C, H, W)"
    if not kept or any(not places for places in kept.values()):
        return "it keeps everything, or nothing"
    if any(places.step < 0 and len(places) > 1 for places in rows.values()):
        return "it reverses rows or columns"
    widest = max(max(_kernel(shape[axis], places)) for axis, places in rows.items()) if rows else 1
    if widest > LARGEST:
        return f"the convolution that copies it would have a kernel or stride of {widest}, more than {LARGEST}"
    return None


def _rule(graph: Graph, op: Op) -> Graph | None:
    if op.op_type not in ("DepthToSpace", "Slice", "SpaceToDepth", "Split") or len(op.inputs) != 1:
        return None
    source = graph.tensor(op.inputs[0])
    if len(source.shape) != 4 or source.shape[0] != 1 or source.dtype != "float32" or source.is_constant:
        return None
    if op.op_type == "SpaceToDepth":
        return _blocks(graph, op)
    if op.op_type == "DepthToSpace":
        return _pixels(graph, op)
    if op.op_type == "Slice" and "starts" not in op.attributes:
        return None
    ops, tensors = list[Op](), list[Tensor]()
    for name, kept in kept_places(graph, op).items():
        reason = refusal(source.shape, kept)
        if reason is not None:
            return decline(graph, f"express_selections: `{name}` stays a {op.op_type}: {reason}")
        _copy(graph, source, kept, name, ops, tensors)
    return substitute(graph, [op], ops, tensors)


def _copy(
    graph: Graph, source: Tensor, kept: Mapping[int, range], output: str, ops: list[Op], tensors: list[Tensor]
) -> None:
    """Append convolutions that write to `output` what `kept` names of each axis of `source`."""
    current, rows = source, {axis: kept.get(axis, range(source.shape[axis])) for axis in (2, 3)}
    if 2 in kept or 3 in kept:
        size = (len(rows[2]), len(rows[3]))
        name = output if 1 not in kept else fresh(graph, f"{output}:cropped")
        conv, weights = _crop(graph, source, rows, name)
        current = replace(source, name=name, shape=(*source.shape[:2], *size))
        ops.append(conv)
        tensors += [weights, current] if 1 in kept else [weights]
    if 1 in kept:
        conv, weights = selection(graph, current.name, source.shape[1], np.asarray(kept[1]), output)
        ops.append(conv)
        tensors.append(weights)


def _kernel(size: int, places: range) -> tuple[int, int]:
    """Length and stride of the kernel, without padding, that has as many positions on `size` elements as there are `places`."""
    stride = places.step if len(places) > 1 else min(size, LARGEST)
    return max(places.start + 1, size - len(places) * stride + 1), stride


def _crop(graph: Graph, source: Tensor, rows: Mapping[int, range], output: str) -> tuple[Op, Tensor]:
    """The depthwise Conv with a 1 where the first of `rows` and columns is."""
    (height, down), (width, across) = (_kernel(source.shape[axis], rows[axis]) for axis in (2, 3))
    depth = source.shape[1]
    weights = np.zeros((depth, 1, height, width), np.float32)
    weights[:, 0, rows[2].start, rows[3].start] = 1
    tensor = constant(graph, f"{output}:crop", weights)
    attributes: dict[str, Attribute] = {
        "kernel_shape": (height, width), "strides": (down, across), "dilations": (1, 1), "pads": (0, 0, 0, 0),
        "group": depth,
    }  # fmt: skip
    return Op(fresh(graph, f"{output}:crop"), "Conv", (source.name, tensor.name), (output,), attributes), tensor


def _blocks(graph: Graph, op: Op) -> Graph:
    """Output channel (row * block + column) * C + c is channel c at that place of the block."""
    block, depth = op.ints("blocksize")[0], graph.tensor(op.inputs[0]).shape[1]
    weights = np.eye(block * block * depth, dtype=np.float32).reshape(-1, block, block, depth).transpose(0, 3, 1, 2)
    return copying(graph, [op], "Conv", weights)


def _pixels(graph: Graph, op: Op) -> Graph:
    """The way back; with mode CRD it is channel (c * block + row) * block + column that comes to that place."""
    block, depth = op.ints("blocksize")[0], graph.tensor(op.inputs[0]).shape[1]
    ones = np.eye(depth, dtype=np.float32)
    if op.attributes.get("mode", "DCR") == "CRD":
        weights = ones.reshape(depth, -1, block, block)
    else:
        weights = ones.reshape(depth, block, block, -1).transpose(0, 3, 1, 2)
    return copying(graph, [op], "ConvTranspose", weights)


def copying(graph: Graph, chain: Sequence[Op], op_type: str, weights: npt.NDArray[np.float32]) -> Graph:
    """`graph` with a convolution, or transposed one, as wide as its stride in place of `chain`."""
    output = chain[-1].output
    tensor = constant(graph, f"{output}:blocks", np.ascontiguousarray(weights))
    attributes: Mapping[str, Attribute] = {
        "kernel_shape": weights.shape[2:],
        "strides": weights.shape[2:],
        "dilations": (1, 1),
        "pads": (0, 0, 0, 0),
        "group": 1,
    }
    conv = Op(fresh(graph, f"{output}:blocks"), op_type, (chain[0].inputs[0], tensor.name), (output,), attributes)
    return substitute(graph, chain, [conv], [tensor])
