"""What the passes share: applying a rule until nothing changes, replacing operators, fresh names and constants."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from sfopt.graph import Graph, Op, Tensor

__all__ = [
    "Rule",
    "constant",
    "data_of",
    "decline",
    "fresh",
    "holds_integers",
    "is_between_codecs",
    "number_operand",
    "redirect",
    "renamed",
    "scalar_of",
    "substitute",
    "sweep",
]

Rule = Callable[[Graph, Op], Graph | None]
"""The rewritten graph, or None where the rule does not apply at that operator."""


def sweep(graph: Graph, rule: Rule) -> Graph:
    """Apply `rule` at every operator, again and again until it applies nowhere. Dead operators go after every round."""
    changed = True
    while changed:
        changed = False
        for op in graph.ops:
            if not op.output or graph.ops_by_name.get(op.name) is not op:
                continue
            rewritten = rule(graph, op)
            if rewritten is not None:
                graph, changed = rewritten, True
        graph = graph.with_ops(graph.ops) if changed else graph
    return graph


def substitute(graph: Graph, removed: Sequence[Op], added: Sequence[Op], tensors: Iterable[Tensor] = ()) -> Graph:
    """`graph` with `added` in the place of the last of `removed`. Operators that nothing reads any more stay until `sweep` ends."""
    gone = {id(op) for op in removed}
    ops: list[Op] = []
    for op in graph.ops:
        if op is removed[-1]:
            ops.extend(added)
        if id(op) not in gone:
            ops.append(op)
    return replace(graph, ops=tuple(ops), tensors={**graph.tensors, **{t.name: t for t in tensors}})


def redirect(graph: Graph, op: Op, source: str) -> Graph | None:
    """`graph` without `op`, whose only output equals tensor `source`; None where both names must live on."""
    old = op.output
    keep, drop = (source, old) if old not in graph.outputs else (old, source)
    if drop in graph.outputs or drop in graph.inputs or graph.tensor(drop).is_constant:
        return None
    ops = [renamed(o, {drop: keep}) for o in graph.ops if o is not op]
    return graph.with_ops(ops, [replace(graph.tensor(source), name=keep)])


def renamed(op: Op, names: Mapping[str, str]) -> Op:
    """`op` with the tensors that `names` lists under their new names."""
    if not any(n in names for n in (*op.inputs, *op.outputs)):
        return op
    inputs = tuple(names.get(n, n) for n in op.inputs)
    return replace(op, inputs=inputs, outputs=tuple(names.get(n, n) for n in op.outputs))


def decline(graph: Graph, note: str) -> Graph | None:
    """`graph` with `note` added; None when it is there already."""
    return None if note in graph.notes else replace(graph, notes=(*graph.notes, note))


def fresh(graph: Graph, base: str) -> str:
    """`base`, with a number behind it where a tensor or operator of that name exists."""
    name, number = base, 1
    while name in graph.tensors or name in graph.ops_by_name:
        name, number = f"{base}_{number}", number + 1
    return name


def constant(graph: Graph, base: str, data: npt.NDArray[np.generic]) -> Tensor:
    """A new constant tensor with a fresh name."""
    return Tensor(fresh(graph, base), data.shape, data.dtype.name, data=data)


def holds_integers(graph: Graph) -> bool:
    """Whether the model came quantised: then new float weights would leave its integer part."""
    codecs = ("DequantizeLinear", "QuantizeLinear")
    return any(op.op_type in codecs or op.op_type.startswith("QLinear") for op in graph.ops)


def is_between_codecs(graph: Graph, op: Op) -> bool:
    """Whether a DequantizeLinear writes what `op` reads, and QuantizeLinears alone read what it writes."""
    before = graph.producers.get(op.inputs[0]) if op.inputs else None
    if before is None or before.op_type != "DequantizeLinear" or any(n in graph.outputs for n in op.outputs):
        return False
    readers = [r for n in op.outputs if n for r in graph.consumers.get(n, ())]
    return all(r.op_type == "QuantizeLinear" for r in readers)


def data_of(graph: Graph, name: str) -> npt.NDArray[np.generic] | None:
    """The value of a constant, None for anything else."""
    return graph.tensor(name).data if name else None


def number_operand(graph: Graph, op: Op | None, op_type: str) -> tuple[str, float] | None:
    """(x, k) of `op_type(x, k)` with x computed, of the result's shape, and k one number."""
    if op is None or op.op_type != op_type or len(op.inputs) != 2:
        return None
    for name, other in (op.inputs, op.inputs[::-1]):
        value = scalar_of(graph, other)
        if value is not None and not graph.tensor(name).is_constant:
            same = graph.tensor(name).shape == graph.tensor(op.output).shape
            return (name, value) if same else None
    return None


def scalar_of(graph: Graph, name: str) -> float | None:
    """The one value that all elements of a constant have, None when it is not constant or they differ."""
    data = data_of(graph, name)
    if data is None or not data.size or np.ptp(data.astype(np.float64)) != 0.0:
        return None
    return float(data.flat[0])
