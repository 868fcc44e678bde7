"""Transpose -> Transpose, and a note: what `move_transposes` had to leave and no later pass absorbed"""

from dataclasses import replace

from sfopt.graph import Graph

__all__ = ["note_transposes"]


def note_transposes(graph: Graph) -> Graph:
    """`graph` with one more note for every Transpose in it."""
    left = [op.output for op in graph.ops if op.op_type == "Transpose"]
    notes = [f"move_transposes: `{name}` stays a Transpose: its elements are needed in another order" for name in left]
    return replace(graph, notes=(*graph.notes, *(n for n in notes if n not in graph.notes)))
