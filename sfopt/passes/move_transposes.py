"""Transpose(q) . f . Transpose(p) -> f on the channels-first tensor, with its axes and constants permuted

Every tensor is followed as a View: kept in some axis order, read in the model's. A Transpose, or a Reshape that moves no
element, then only changes the view. Operators that work along axes take them renumbered; convolutions and pools want
channels first, which is what a network exported from channels-last code transposes to in front of each. Single rows of numbers
(the squeeze of an attention block, a classifier's activations) are kept as (1, C, 1, 1).

An input or output that the source model has channels-last becomes channels-first itself, recorded in `Graph.input_layouts` and
`Graph.output_layouts`, whenever that leaves fewer operators that move data.
"""

from collections.abc import Mapping
from dataclasses import replace

from sfopt.graph import Graph
from sfopt.passes.layout_rules import LayoutMover

__all__ = ["move_transposes"]


def move_transposes(graph: Graph) -> Graph:
    """Apply the rewrite of this module."""
    layouts: dict[str, str] = {}
    best = LayoutMover(graph, layouts).run()
    for name in graph.inputs:
        if len(graph.tensor(name).shape) == 4 and name not in graph.input_layouts:
            trial = {**layouts, name: "NHWC"}
            moved = LayoutMover(graph, trial).run()
            if _cost(moved) < _cost(best):
                best, layouts = moved, trial
    return _with_notes(graph, best, layouts)


def _cost(graph: Graph) -> int:
    return sum(1 for op in graph.ops if op.op_type in ("Transpose", "Reshape"))


def _with_notes(source: Graph, graph: Graph, layouts: Mapping[str, str]) -> Graph:
    outputs = {n: "NHWC" for n, layout in graph.output_layouts.items() if n not in source.output_layouts and layout}
    notes = [f"input `{n}`: NHWC in the model, kept as NCHW {graph.tensor(n).shape}" for n in layouts]
    notes += [f"output `{n}`: NHWC in the model, kept as NCHW {graph.tensor(n).shape}" for n in outputs]
    return replace(
        graph,
        input_layouts={**source.input_layouts, **layouts},
        notes=(*graph.notes, *(n for n in notes if n not in graph.notes)),
    )
