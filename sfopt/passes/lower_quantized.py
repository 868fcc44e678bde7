"""Quantised ONNX operators -> the integer operators of `graph.INTEGER_OPS`, in passes that can be run and tested alone."""

from sfopt.graph import Graph
from sfopt.passes.expand_qoperators import expand_qoperators
from sfopt.passes.fold_pads import fold_pads
from sfopt.passes.lower_qdq import lower_qdq
from sfopt.passes.normalise_qdq import normalise_qdq
from sfopt.passes.recognise_spreads import recognise_spreads
from sfopt.passes.restore_names import restore_names

__all__ = ["lower_quantized"]


def lower_quantized(graph: Graph) -> Graph:
    """The integer graph of a model in QDQ or QOperator form, or a mix; float operators stay, for the host.

    Raises ModelError for quantisation that int8 cannot hold, naming the tensor. What stays on the host though it is quantised
    is told in `Graph.notes`.
    """
    return restore_names(lower_qdq(fold_pads(normalise_qdq(expand_qoperators(recognise_spreads(graph))))))
