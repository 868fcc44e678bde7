"""The packing program of one stack, for CP-SAT: the only one here whose "no" counts as a proof.

| variable | meaning |
|---|---|
| y(i) in [0, ceiling - size(i)] | offset of block i, in units; within its room, if it has one |
| P in [floor, ceiling] | peak, minimised |
| k(i) | a bank boundary at or below block i, for blocks that must be apart from others; `bank` units a bank |
| b(i, j) in {0, 1} | block i lies below block j, which it must be apart from |

| constraint | posted by |
|---|---|
| [y(i), y(i) + size(i)) are disjoint over the blocks of a section, for each section | `_sections` |
| y(i) + size(i) <= P | `_peak` |
| bank k(i) <= y(i) | `_banks_apart` |
| y(i) + size(i) <= bank k(j) if b(i, j), else y(j) + size(j) <= bank k(i), for i, j apart | `_banks_apart` |
| y(i) <= y(j) for blocks i < j that could change places | `_twins` |
| 2 y(i) + size(i) <= P for the first of the largest blocks, unless banks count: a packing upside down is one | `_upside_down` |
"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

from sfopt.allocate.packing.stack import Block, Stack
from sfopt.allocate.solvers import cp_model
from sfopt.allocate.stoppable import stoppable
from sfopt.errors import InternalError

__all__ = ["Proof", "Ranges", "solve_program"]

Ranges = Sequence[tuple[int, int]]
"""Offsets from the first of each pair to the second, which may be below it: then there is none in it."""

ROUNDING = 1e-6
"""The solver gives the bound of an integer objective as a floating-point number."""


@dataclass(frozen=True)
class Proof:
    """Offsets in units, if any were found, and a bound on the peak of any packing, given that none below the floor counts.

    The bound is above the ceiling if nothing fits. `effort` is what it took.
    """

    offsets: tuple[int, ...] | None
    bound: int
    effort: float


def solve_program(
    stack: Stack,
    floor: int,
    ceiling: int,
    *,
    effort: float,
    deadline_s: float,
    seed: int,
    rooms: Sequence[Ranges] | None = None,
    hint: Sequence[int] | None = None,
) -> Proof:
    """Find a packing with a peak of at most `ceiling` units, or prove that there is none; no peak below `floor` is of use.

    `rooms`: for each block, the offsets [low, high] that it may have, if not all. `hint`: offsets to try.
    `effort` is in CP-SAT's deterministic time, of which a unit is some tens of seconds; `deadline_s` is a time of `time.monotonic`.
    One worker: without a deadline, the same arguments give the same result.
    """
    model = cp_model.CpModel()
    domains = [_domain(block, ceiling, rooms[i] if rooms else None) for i, block in enumerate(stack.blocks)]
    if any(domain.is_empty() for domain in domains):
        return Proof(None, ceiling + 1, 0.0)
    offsets = [
        model.new_int_var_from_domain(domain, block.id) for block, domain in zip(stack.blocks, domains, strict=True)
    ]
    peak = model.new_int_var(floor, ceiling, "peak")
    _sections(model, stack, offsets)
    _banks_apart(model, stack, offsets, ceiling)
    _twins(model, stack, offsets, rooms)
    _peak(model, stack, offsets, peak)
    if not stack.apart and rooms is None:
        _upside_down(model, stack, offsets, peak)
    model.minimize(peak)
    for offset, value in zip(offsets, hint or (), strict=False):
        model.add_hint(offset, value)
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    solver.parameters.random_seed = seed
    solver.parameters.max_deterministic_time = effort
    solver.parameters.max_time_in_seconds = max(0.0, deadline_s - time.monotonic())
    solver.parameters.catch_sigint_signal = False
    status = stoppable(lambda: solver.solve(model), solver.stop_search)
    if status == cp_model.INFEASIBLE:
        return Proof(None, ceiling + 1, solver.response_proto.deterministic_time)
    if status in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        bound = max(floor, math.ceil(solver.best_objective_bound - ROUNDING))
        spent = solver.response_proto.deterministic_time
        return Proof(tuple(solver.value(offset) for offset in offsets), bound, spent)
    if status == cp_model.UNKNOWN:
        bound = max(floor, math.ceil(solver.best_objective_bound - ROUNDING))
        return Proof(None, bound, solver.response_proto.deterministic_time)
    raise InternalError(f"the packing program of {len(stack.blocks)} blocks is {solver.status_name(status)}")


def _domain(block: Block, ceiling: int, room: Ranges | None) -> cp_model.Domain:
    """0 <= y(i) <= ceiling - size(i), and within the block's room."""
    ranges = [[low, min(high, ceiling - block.size)] for low, high in room or [(0, ceiling)]]
    return cp_model.Domain.from_intervals([r for r in ranges if r[0] <= r[1]])


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


def _banks_apart(model: cp_model.CpModel, stack: Stack, offsets: Sequence[cp_model.IntVar], ceiling: int) -> None:
    """Bank k(i) <= y(i); y(i) + size(i) <= bank k(j) if b(i, j), else y(j) + size(j) <= bank k(i), for i, j apart.

    The largest k(i) that the first allows is the bank in which block i begins: the second asks that the upper one of the two begins
    in a bank behind the lower one's top.
    """
    boundaries: dict[int, cp_model.IntVar] = {}
    for index in sorted({index for pair in stack.apart for index in pair}):
        boundaries[index] = model.new_int_var(0, ceiling // stack.bank, f"bank {index}")
        model.add(stack.bank * boundaries[index] <= offsets[index])
    for one, other in sorted(stack.apart):
        below = model.new_bool_var(f"{one} below {other}")
        for lower, upper, literal in ((one, other, below), (other, one, below.negated())):
            top = offsets[lower] + stack.blocks[lower].size
            model.add(top <= stack.bank * boundaries[upper]).only_enforce_if(literal)


def _twins(
    model: cp_model.CpModel, stack: Stack, offsets: Sequence[cp_model.IntVar], rooms: Sequence[Ranges] | None
) -> None:
    """y(i) <= y(j) for blocks i < j that could change places, which takes the same room as well."""
    earlier: dict[tuple[int, tuple[tuple[int, int], ...]], cp_model.IntVar] = {}
    for index, (offset, twin) in enumerate(zip(offsets, stack.twins, strict=True)):
        key = twin, tuple(rooms[index]) if rooms else ()
        if key in earlier:
            model.add(earlier[key] <= offset)
        earlier[key] = offset


def _upside_down(
    model: cp_model.CpModel, stack: Stack, offsets: Sequence[cp_model.IntVar], peak: cp_model.IntVar
) -> None:
    """2 y(i) + size(i) <= P for the first of the blocks with the largest area.

    The mirror image of a packing below P is one, unless banks count: their boundaries are not mirrored. Of equal blocks the first
    is the lowest: if it lies in the upper half, all do, and the lowest one of the mirror image lies in the lower half.
    """
    areas = [block.sections * block.size for block in stack.blocks]
    largest = areas.index(max(areas))
    model.add(2 * offsets[largest] + stack.blocks[largest].size <= peak)
