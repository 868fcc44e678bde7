"""`x_QuantizeLinear_Output -> x` where no tensor `x` is left: users look for the names of their own model."""

from dataclasses import replace

from sfopt.graph import Graph, Op

__all__ = ["restore_names"]

_SUFFIX = "_QuantizeLinear_Output"
"""What onnxruntime.quantization appends to the int8 form of a tensor."""


def restore_names(graph: Graph) -> Graph:
    """Rename every int8 tensor back to the real tensor that it stands for, unless that one is still there (network inputs)."""
    wanted = {n: n.removesuffix(_SUFFIX) for n in graph.tensors if n.endswith(_SUFFIX)}
    names = {old: new for old, new in wanted.items() if new and new not in graph.tensors}
    if not names:
        return graph

    def renamed(items: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(names.get(n, n) for n in items)

    ops: list[Op] = [replace(op, inputs=renamed(op.inputs), outputs=renamed(op.outputs)) for op in graph.ops]
    tensors = [replace(graph.tensor(old), name=new) for old, new in names.items()]
    return graph.with_ops(ops, tensors, inputs=renamed(graph.inputs), outputs=renamed(graph.outputs))
