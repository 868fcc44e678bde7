"""Modelling tricks of the integer programs, each of which may be turned off without changing an optimum."""

from dataclasses import dataclass

__all__ = ["Switches"]


@dataclass(frozen=True)
class Switches:
    """What the solver is helped with. Tests run every trick on and off and expect equal objective values."""

    segments: bool = True
    """Let several groups run as one segment. Not a trick: without it, the optimum is that of one group at a time."""
    early_ends: bool = True
    """Let a resident map end at any of its readers, and be read back by those behind. No trick either: it adds plans."""
    reread_inputs: bool = True
    """Let a group alone run all its bands again for each tile of its weights. Not a trick either."""
    reread_weights: bool = True
    """Let one or two groups of a segment read their weights again in every band. Nor is this."""
    in_place: bool = True
    """Let a group of a segment of its own write over a resident operand that ends there. No trick: it adds plans."""
    side_by_side: bool = True
    """Let resident operands of a concat lie in its output from the start. Nor is this."""
    drop_dominated: bool = True
    """Leave out options that another option of the same pattern beats or equals in every buffer and every cost term."""
    bank_floors: bool = True
    """Tell the choice program, per option, the least height of its operands in disjoint banks, not only their sum."""
    budgets: bool = True
    """Look first for plans in which no step moves many bytes beyond the compulsory ones: far fewer options."""
    reduced_costs: bool = True
    """Leave out options that the linear relaxation's prices prove too dear for the optimum."""
    hints: bool = True
    """Start each level of the choice program from the solution of the level before."""
    constructive_placement: bool = True
    """Let first fit, search and sweeps go before the placement program."""
    step_cuts: bool = True
    """Explain a failed placement by one step's buffers where possible, instead of by the whole choice."""
