"""Reshape . Transpose . Reshape that only exchanges channels -> Conv 1x1 with one 1 a row
Reshape . Transpose . Reshape that turns blocks of pixels into channels -> Conv with one 1 a row, as wide as its block and stride
Reshape . Transpose . Reshape that turns channels into blocks of pixels -> ConvTranspose likewise

Channels first or last: of a tensor (1, H, W, C) the Conv has a Transpose on either side, which `move_transposes` takes away. Blocks
are recognised in (1, C, H, W) only, in whatever order the channels come out.
Whether a chain of reshapes and transpositions moves whole channels is found by sending the numbers of its elements through it.
"""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from sfopt.graph import Graph, Op
from sfopt.passes.express_selections import copying
from sfopt.passes.rewrite import fresh, holds_integers, is_between_codecs, substitute, sweep
from sfopt.passes.selection import selection

__all__ = ["recognise_shuffles"]

_Indices = npt.NDArray[np.int64]
_Kernel = npt.NDArray[np.float32]


def recognise_shuffles(graph: Graph) -> Graph:
    """Apply the rewrite of this module."""
    integers = holds_integers(graph)
    return sweep(graph, lambda graph, op: _rule(graph, op, integers))


def _rule(graph: Graph, op: Op, integers: bool) -> Graph | None:
    """In a quantised model, only of what is rounded before and behind."""
    whole, target = _chain(graph, op), graph.tensor(op.output)
    for first in range(len(whole) - 2):
        chain = whole[first:]
        if integers and not is_between_codecs(graph, replace(op, inputs=chain[0].inputs)):
            continue
        shape = graph.tensor(chain[0].inputs[0]).shape
        if len(shape) != 4 or len(target.shape) != 4 or shape[0] != 1 or target.dtype != "float32":
            continue
        if shape != target.shape:
            weights = _blocks(graph, chain, shape, target.shape)
            if weights is not None:
                return copying(graph, chain, "Conv", weights)
            weights = _pixels(graph, chain, shape, target.shape)
            if weights is not None:
                return copying(graph, chain, "ConvTranspose", weights)
            continue
        for axis in (1, 3):
            channels = _exchanged(graph, chain, shape, axis)
            if channels is not None:
                return _expressed(graph, chain, channels, axis)
    return None


def _chain(graph: Graph, op: Op) -> list[Op]:
    """`op`, a Reshape, and the reshapes and transpositions before it that lead to it alone, in order."""
    chain = [op]
    if op.op_type != "Reshape" or len(op.inputs) != 1:
        return chain
    while (before := graph.producers.get(chain[0].inputs[0])) is not None:
        if before.op_type not in ("Reshape", "Transpose") or len(before.inputs) != 1:
            break
        if graph.sole_consumer(before.output) is not chain[0]:
            break
        chain.insert(0, before)
    return chain


def _sent_through(graph: Graph, chain: list[Op], numbers: _Indices) -> _Indices:
    for op in chain:
        if op.op_type == "Transpose":
            numbers = numbers.transpose(op.ints("perm"))
        else:
            numbers = numbers.reshape(graph.tensor(op.output).shape)
    return numbers


def _blocks(graph: Graph, chain: list[Op], shape: tuple[int, ...], target: tuple[int, ...]) -> _Kernel | None:
    """Weights of the convolution that copies each block of pixels of (1, C, H, W) into one; None where the chain does not."""
    _, depth, height, width = shape
    if target[0] != 1 or target[2:] == (1, 1) or height % target[2] or width % target[3]:
        return None
    block = height // target[2], width // target[3]
    if target[1] != depth * block[0] * block[1]:
        return None
    before = np.arange(np.prod(shape)).reshape(depth, target[2], block[0], target[3], block[1])
    after = _sent_through(graph, chain, before.reshape(shape))[0].reshape(target[1], -1)
    first = np.unravel_index(after[:, 0], (depth, height, width))
    weights = np.zeros((target[1], depth, *block), np.float32)
    if max(first[1]) >= block[0] or max(first[2]) >= block[1]:
        return None
    weights[np.arange(target[1]), first[0], first[1], first[2]] = 1
    copied = before[first[0], :, first[1], :, first[2]].reshape(target[1], -1)
    return weights if np.array_equal(copied, after) else None


def _pixels(graph: Graph, chain: list[Op], shape: tuple[int, ...], target: tuple[int, ...]) -> _Kernel | None:
    """Weights of the transposed convolution that copies each pixel of (1, C, H, W) into a block; None where the chain does not."""
    _, depth, height, width = shape
    if target[0] != 1 or (height, width) == (1, 1) or target[2] % height or target[3] % width:
        return None
    block = target[2] // height, target[3] // width
    if target[1] * block[0] * block[1] != depth:
        return None
    before = np.arange(np.prod(shape)).reshape(shape)
    after = _sent_through(graph, chain, before)[0].reshape(target[1], height, block[0], width, block[1])
    channels = after.transpose(0, 2, 4, 1, 3).reshape(depth, -1)
    first = channels[:, 0] // (height * width)
    if not np.array_equal(before[0].reshape(depth, -1)[first], channels):
        return None
    weights = np.zeros((depth, depth), np.float32)
    weights[first, np.arange(depth)] = 1
    return weights.reshape(depth, target[1], *block)


def _exchanged(graph: Graph, chain: list[Op], shape: tuple[int, ...], axis: int) -> _Indices | None:
    """Which channel comes to each place when the channels are at `axis`; None when anything else moves."""
    before = np.arange(np.prod(shape)).reshape(shape)
    after = _sent_through(graph, chain, before)
    rows, moved = (np.moveaxis(a, axis, -1).reshape(-1, shape[axis]) for a in (before, after))
    channels = np.searchsorted(rows[0], moved[0]) % shape[axis]
    return channels if np.array_equal(rows[:, channels], moved) else None


def _expressed(graph: Graph, chain: list[Op], channels: _Indices, axis: int) -> Graph:
    source, last = chain[0].inputs[0], chain[-1]
    if axis == 1:
        conv, weights = selection(graph, source, channels.size, channels, last.output)
        return substitute(graph, chain, [conv], [weights])
    shape = graph.tensor(source).shape
    tensor = graph.tensor(last.output)
    first = (1, shape[3], shape[1], shape[2])
    entry = type(tensor)(fresh(graph, f"{last.output}:in"), first, tensor.dtype)
    result = type(tensor)(fresh(graph, f"{last.output}:shuffled"), first, tensor.dtype)
    conv, weights = selection(graph, entry.name, channels.size, channels, result.name)
    ops = (
        Op(fresh(graph, f"{last.name}:in"), "Transpose", (source,), (entry.name,), {"perm": (0, 3, 1, 2)}),
        conv,
        Op(fresh(graph, f"{last.name}:out"), "Transpose", (result.name,), last.outputs, {"perm": (0, 2, 3, 1)}),
    )
    return substitute(graph, chain, ops, [entry, result, weights])
