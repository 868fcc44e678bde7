"""Graphs of the test builder with scales that fit what flows through them: random scales leave most maps at one value or two.

Of dead maps little is proven by comparing them.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

import sfopt_ort
from sfopt.graph import Graph, Op, Quant, Tensor

__all__ = ["revived"]

WANTED = 70
"""Standard deviation of a map's integers around its zero point, about: half of it at least, a third more at most."""
FINEST = 64
"""Most that an average may be finer than what it averages: ONNX Runtime refuses 256."""
KEEPS = ("MaxPool", "Resize")
"""Operators whose output has the input's scale."""
Values = Mapping[str, np.ndarray]


def revived(graph: Graph, seed: int = 0) -> Graph:
    """The graph with another scale for every map that an integer operator writes, chosen by running random inputs through it.

    Maps that shared a scale still do; a host operator's constants follow the map whose scale they are.
    """
    r = np.random.default_rng(seed)
    tensors = dict(graph.tensors)
    values = {n: r.integers(-128, 128, tensors[n].shape, dtype=np.int8) for n in graph.inputs}
    for op in graph.ops:
        if op.op_type in ("DequantizeLinear", "QuantizeLinear"):
            _follow(op, tensors)
        if graph.is_integer(op):
            kept = _kept_quant(op, graph, tensors)
            tensors[op.output] = replace(tensors[op.output], quant=kept or _fitting(op, graph, tensors, values))
            if op.op_type == "QLinearConv":
                _enlarge(op, tensors)
        values[op.output] = _run(op, graph, tensors, values)
    return replace(graph, tensors=tensors)


def _kept_quant(op: Op, graph: Graph, tensors: Mapping[str, Tensor]) -> Quant | None:
    """The quantisation that an operator's output has in common with an input."""
    quant = graph.tensor(op.output).quant
    same = [n for n in op.inputs if n and op.op_type in (*KEEPS, "QLinearConcat") and graph.tensor(n).quant is quant]
    return tensors[same[0]].quant if same else None


def _fitting(op: Op, graph: Graph, tensors: Mapping[str, Tensor], values: Values) -> Quant:
    """The output's own zero point, and a scale by which the results spread over the integers."""
    first, quant = tensors[op.inputs[0]].quant, tensors[op.output].quant
    assert first is not None
    assert quant is not None
    quant = replace(quant, scale=first.scale)
    for _ in range(40):
        tried = {**tensors, op.output: replace(tensors[op.output], quant=quant)}
        found = _run(op, graph, tried, values).astype(np.float64)
        spread = np.sqrt(np.mean((found - quant.zero_point) ** 2))
        if WANTED / 2 <= spread <= WANTED * 4 / 3:
            break
        step = np.float32(spread / WANTED if 4 < spread < WANTED else 0.5 if spread <= 4 else 1.5)
        if "AveragePool" in op.op_type and quant.scale * step < first.scale / FINEST:
            break
        quant = replace(quant, scale=np.asarray(quant.scale * step, np.float32))
    return quant


def _enlarge(op: Op, tensors: dict[str, Tensor]) -> None:
    """A convolution's weights and results as numbers of the size of 1, where functions are not straight. No integer changes."""
    result = tensors[op.output].quant
    assert result is not None
    factor = np.float32(1 / (WANTED * result.scale))
    for name in (op.inputs[1], op.output):
        quant = tensors[name].quant
        assert quant is not None
        tensors[name] = replace(tensors[name], quant=replace(quant, scale=np.asarray(quant.scale * factor, np.float32)))


def _follow(op: Op, tensors: dict[str, Tensor]) -> None:
    """Scale and zero point of a host operator, from the integer map that it reads or writes."""
    quant = tensors[op.inputs[0] if op.op_type == "DequantizeLinear" else op.output].quant
    assert quant is not None
    for name, value in zip(
        op.inputs[1:], (np.asarray(quant.scale), np.asarray(quant.zero_point, np.int8)), strict=True
    ):
        tensors[name] = replace(tensors[name], data=value)


def _run(op: Op, graph: Graph, tensors: Mapping[str, Tensor], values: Values) -> np.ndarray:
    """One operator in ONNX Runtime."""
    feeds = {n: values[n] for n in op.inputs if n and not graph.tensor(n).is_constant}
    alone = replace(graph, tensors=dict(tensors)).with_ops([op], inputs=tuple(feeds), outputs=(op.output,))
    return sfopt_ort.run(alone, feeds, [op.output])[op.output]
