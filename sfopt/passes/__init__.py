"""Graph -> Graph, one verb per file. `PIPELINE` is what happens to a float model after import, in this order."""

from collections.abc import Callable

from sfopt.graph import Graph, verify_graph
from sfopt.passes.expand_batch_norms import expand_batch_norms
from sfopt.passes.expand_prelus import expand_prelus
from sfopt.passes.express_broadcasts import express_broadcasts
from sfopt.passes.express_interpolations import express_interpolations
from sfopt.passes.express_pads import express_pads
from sfopt.passes.express_selections import express_selections
from sfopt.passes.fold_affines import fold_affines
from sfopt.passes.fold_flattens import fold_flattens
from sfopt.passes.fold_pads import fold_pads
from sfopt.passes.fold_quantised_norms import fold_quantised_norms
from sfopt.passes.fold_selections import fold_selections
from sfopt.passes.lower_quantized import lower_quantized
from sfopt.passes.merge_duplicates import merge_duplicates
from sfopt.passes.merge_reshapes import merge_reshapes
from sfopt.passes.move_transposes import move_transposes
from sfopt.passes.note_transposes import note_transposes
from sfopt.passes.order_operands import order_operands
from sfopt.passes.recognise_activations import recognise_activations
from sfopt.passes.recognise_repeats import recognise_repeats
from sfopt.passes.recognise_shuffles import recognise_shuffles
from sfopt.passes.recognise_spreads import recognise_spreads
from sfopt.passes.remove_identities import remove_identities
from sfopt.passes.resolve_padding import resolve_padding
from sfopt.passes.rewrite_matmuls import rewrite_matmuls
from sfopt.passes.share_factors import share_factors
from sfopt.passes.unify_operators import unify_operators
from sfopt.passes.unify_pools import unify_pools
from sfopt.passes.unify_resizes import unify_resizes
from sfopt.passes.widen_sequences import widen_sequences

__all__ = ["PIPELINE", "lower_quantized", "run_passes"]

PIPELINE: tuple[Callable[[Graph], Graph], ...] = (
    recognise_spreads,
    unify_operators,
    fold_quantised_norms,
    expand_batch_norms,
    resolve_padding,
    widen_sequences,
    rewrite_matmuls,
    recognise_shuffles,
    move_transposes,
    recognise_repeats,
    merge_reshapes,
    fold_flattens,
    express_interpolations,
    unify_resizes,
    express_selections,
    unify_pools,
    fold_pads,
    express_pads,
    recognise_activations,
    expand_prelus,
    express_broadcasts,
    share_factors,
    fold_affines,
    fold_selections,
    order_operands,
    merge_duplicates,
    remove_identities,
    note_transposes,
)


def run_passes(graph: Graph) -> Graph:
    """`graph` after every pass of `PIPELINE`, verified after each."""
    for rewrite in PIPELINE:
        graph = rewrite(graph)
        verify_graph(graph)
    return graph
