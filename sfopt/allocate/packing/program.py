"""The packing program of one stack, for CP-SAT: the only one here whose "no" counts as a proof.

| variable | meaning |
|---|---|
| y(i) in [0, ceiling - size(i)] | offset of block i, in units |
| P in [floor, ceiling] | peak, minimised |

| constraint | posted by |
|---|---|
| [y(i), y(i) + size(i)) are disjoint over the blocks of a section, for each section | `_sections` |
| y(i) + size(i) <= P | `_peak` |
| y(i) <= y(j) for equal blocks i < j | `_equal_blocks` |
| 2 y(i) + size(i) <= P for the first of the blocks with the largest area: a packing upside down is one | `_upside_down` |
"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

from ortools.sat.python import cp_model

from sfopt.allocate.packing.stack import Stack
from sfopt.allocate.stoppable import stoppable
from sfopt.errors import InternalError

__all__ = ["Proof", "solve_program"]

ROUNDING = 1e-6
"""The solver gives the bound of an integer objective as a floating-point number."""


@dataclass(frozen=True)
class Proof:
    """Offsets in units, if any were found, and a bound on the peak of any packing, given that none below the floor counts.

    The bound is above the ceiling if nothing fits.
    """

    offsets: tuple[int, ...] | None
    bound: int


def solve_program(stack: Stack, floor: int, ceiling: int, *, effort: float, deadline_s: float, seed: int) -> Proof:
    """Find a packing with a peak of at most `ceiling` units, or prove that there is none; no peak below `floor` is of use.

    `effort` is in CP-SAT's deterministic time, of which a unit is some tens of seconds; `deadline_s` is a time of `time.monotonic`.
    One worker: without a deadline, the same arguments give the same result.
    """
    model = cp_model.CpModel()
    offsets = [model.new_int_var(0, ceiling - block.size, block.id) for block in stack.blocks]
    peak = model.new_int_var(floor, ceiling, "peak")
    _sections(model, stack, offsets)
    _equal_blocks(model, stack, offsets)
    _peak(model, stack, offsets, peak)
    _upside_down(model, stack, offsets, peak)
    model.minimize(peak)
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    solver.parameters.random_seed = seed
    solver.parameters.max_deterministic_time = effort
    solver.parameters.max_time_in_seconds = max(0.0, deadline_s - time.monotonic())
    solver.parameters.catch_sigint_signal = False
    status = stoppable(lambda: solver.solve(model), solver.stop_search)
    if status == cp_model.INFEASIBLE:
        return Proof(None, ceiling + 1)
    if status in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        bound = max(floor, math.ceil(solver.best_objective_bound - ROUNDING))
        return Proof(tuple(solver.value(offset) for offset in offsets), bound)
    if status == cp_model.UNKNOWN:
        return Proof(None, max(floor, math.ceil(solver.best_objective_bound - ROUNDING)))
    raise InternalError(f"the packing program of {len(stack.blocks)} blocks is {solver.status_name(status)}")


def _sections(model: cp_model.CpModel, stack: Stack, offsets: Sequence[cp_model.IntVar]) -> None:
    """[y(i), y(i) + size(i)) are disjoint over the blocks of a section, for each section."""
    spans = [
        model.new_fixed_size_interval_var(offset, block.size, block.id)
        for offset, block in zip(offsets, stack.blocks, strict=True)
    ]
    for section in range(stack.sections):
        model.add_no_overlap(
            [span for span, block in zip(spans, stack.blocks, strict=True) if block.first <= section < block.end]
        )


def _peak(model: cp_model.CpModel, stack: Stack, offsets: Sequence[cp_model.IntVar], peak: cp_model.IntVar) -> None:
    """y(i) + size(i) <= P."""
    for offset, block in zip(offsets, stack.blocks, strict=True):
        model.add(offset + block.size <= peak)


def _equal_blocks(model: cp_model.CpModel, stack: Stack, offsets: Sequence[cp_model.IntVar]) -> None:
    """y(i) <= y(j) for equal blocks i < j."""
    earlier: dict[tuple[int, int, int], cp_model.IntVar] = {}
    for offset, block in zip(offsets, stack.blocks, strict=True):
        shape = block.first, block.end, block.size
        if shape in earlier:
            model.add(earlier[shape] <= offset)
        earlier[shape] = offset


def _upside_down(
    model: cp_model.CpModel, stack: Stack, offsets: Sequence[cp_model.IntVar], peak: cp_model.IntVar
) -> None:
    """2 y(i) + size(i) <= P for the first of the blocks with the largest area.

    The mirror image of a packing below P is one. Of equal blocks the first is the lowest: if it lies in the upper half, all do, and
    the lowest one of the mirror image lies in the lower half.
    """
    areas = [block.sections * block.size for block in stack.blocks]
    largest = areas.index(max(areas))
    model.add(2 * offsets[largest] + stack.blocks[largest].size <= peak)
