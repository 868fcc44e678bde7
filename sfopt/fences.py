"""Around each function of one tensor, an Identity at either end: what onnxruntime.quantization is told to quantise instead of it.

It knows single operators only; told to quantise each of them, it would round every intermediate value to 8 bits. Reading the
quantised model takes the Identities away, and `lower_qdq` finds the float operators between two roundings.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace

from sfopt.graph import Graph, Op
from sfopt.passes.lowering import feature_map_shape
from sfopt.passes.pointwise import Function, find_function
from sfopt.passes.qdq import LAYOUT_OPS
from sfopt.passes.rewrite import fresh, renamed

__all__ = ["Fenced", "fence_functions", "neighbours", "origin"]


@dataclass(frozen=True)
class Fenced:
    """The graph with fences; the names of the operators inside of them, and of the fences."""

    graph: Graph
    inner: frozenset[str]
    fences: frozenset[str]


def fence_functions(graph: Graph, chosen: Collection[str]) -> Fenced:
    """Fence what no rule for a single operator lowers and what is next to a `chosen` operator, not among those of the host."""
    functions = [f for f in _functions(graph) if _is_near(graph, f, chosen)]
    fences = set[str]()
    for function in functions:
        graph = _fence(graph, function, fences)
    return Fenced(graph, frozenset(op.name for f in functions for op in f.ops), frozenset(fences))


def _functions(graph: Graph) -> list[Function]:
    taken, found = set[str](), list[Function]()
    for op in reversed(graph.ops):
        function = None if op.name in taken else find_function(graph, op, alone=True)
        if function is None or not function.is_new or feature_map_shape(graph.tensor(op.output).shape) is None:
            continue
        found.append(function)
        taken.update(o.name for o in function.ops)
    return found


def _is_near(graph: Graph, function: Function, chosen: Collection[str]) -> bool:
    return any(op.name in chosen for op in neighbours(graph, function.source, function.output))


def origin(graph: Graph, name: str) -> Op | None:
    """What writes `name`, looking through layout operators; None for an input of the graph."""
    op = graph.producers.get(name)
    while op is not None and op.op_type in LAYOUT_OPS:
        op = graph.producers.get(op.inputs[0])
    return op


def neighbours(graph: Graph, source: str, output: str) -> list[Op]:
    """What writes `source` and what reads `output`, looking through layout operators."""
    before = origin(graph, source)
    found, waiting = [] if before is None else [before], list(graph.consumers.get(output, ()))
    while waiting:
        op = waiting.pop()
        if op.op_type in LAYOUT_OPS:
            waiting.extend(graph.consumers.get(op.output, ()))
        else:
            found.append(op)
    return found


def _fence(graph: Graph, function: Function, fences: set[str]) -> Graph:
    entry, result = fresh(graph, f"{function.output}:entry"), fresh(graph, f"{function.output}:result")
    tensors = [replace(graph.tensor(function.output), name=name) for name in (entry, result)]
    inside, ops = {op.name for op in function.ops}, list[Op]()
    for op in graph.ops:
        ops.append(_moved(op, function, entry, result) if op.name in inside else op)
    ops += [
        Op(entry, "Identity", (function.source,), (entry,)),
        Op(result, "Identity", (result,), (function.output,)),
    ]
    fences.update((entry, result))
    return graph.with_ops(ops, tensors)


def _moved(op: Op, function: Function, entry: str, result: str) -> Op:
    op = renamed(op, {function.source: entry})
    outputs = tuple(result if n == function.output else n for n in op.outputs)
    return replace(op, outputs=outputs)
