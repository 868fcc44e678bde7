"""The placement program: an offset for every rectangle, such that the highest byte is least.

Constructive placement first; if it misses the lower bound, CP-SAT. Addresses are in words.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ortools.sat.python import cp_model

from sfopt.allocate.first_fit import Offsets, peak_of, place_constructively
from sfopt.allocate.linear import Limits
from sfopt.allocate.rectangles import Layout
from sfopt.device import Device

__all__ = ["ROUNDS", "PlacementResult", "place"]

ROUNDS = 300
"""First-fit orders tried before the program, unless asked otherwise."""


@dataclass(frozen=True)
class PlacementResult:
    """Offsets in bytes (None: none found within the scratchpad), and a proven lower bound on the highest byte of any placement."""

    offsets: tuple[int, ...] | None
    peak_bytes: int
    bound_bytes: int


@dataclass
class _Variables:
    offset: list[cp_model.IntVar]
    first_bank: dict[int, cp_model.IntVar]
    last_bank: dict[int, cp_model.IntVar]
    peak: cp_model.IntVar


def place(
    layout: Layout,
    device: Device,
    target_bytes: int,
    limits: Limits,
    *,
    constructive: bool = True,
    rounds: int = ROUNDS,
) -> PlacementResult:
    """The lowest placement within the scratchpad. `target_bytes` is a proven lower bound: reaching it ends the search."""
    start: Offsets | None = None
    top_bytes = device.sram_bytes
    if constructive:
        start = place_constructively(layout, device.bank_bytes, target_bytes, rounds, limits.seed)
        peak = peak_of(layout, start)
        if peak <= target_bytes:
            return PlacementResult(start, peak, peak)
        if peak > device.sram_bytes:
            start = None
        else:
            top_bytes = peak
    if target_bytes > device.sram_bytes:
        return PlacementResult(None, 0, target_bytes)
    model = cp_model.CpModel()
    v = _variables(model, layout, device, target_bytes, top_bytes)
    _no_overlap(model, v, layout, device)
    _banks_of_offsets(model, v, layout, device)
    _banks_apart(model, v, layout)
    model.minimize(v.peak)
    if start is not None:
        _hint(model, v, start, device)
    return _result(model, v, layout, device, limits, start, target_bytes)


def _variables(
    model: cp_model.CpModel, layout: Layout, device: Device, target_bytes: int, top_bytes: int
) -> _Variables:
    """0 <= offset[i]; offset[i] + size[i] <= peak; target <= peak <= cap, or the peak of a placement already known."""
    word = device.word_bytes
    top = top_bytes // word
    peak = model.new_int_var(min(top, -(-target_bytes // word)), top, "peak")
    offsets = list[cp_model.IntVar]()
    for i, item in enumerate(layout.items):
        offset = model.new_int_var(0, max(0, top - item.size_bytes // word), f"offset {i}")
        model.add(offset + item.size_bytes // word <= peak)
        offsets.append(offset)
    return _Variables(offsets, {}, {}, peak)


def _no_overlap(model: cp_model.CpModel, v: _Variables, layout: Layout, device: Device) -> None:
    """The rectangles [first, last + 1) x [offset, offset + size) do not overlap."""
    times, places = list[cp_model.IntervalVar](), list[cp_model.IntervalVar]()
    for i, item in enumerate(layout.items):
        times.append(model.new_fixed_size_interval_var(item.first, item.last + 1 - item.first, f"time {i}"))
        places.append(
            model.new_fixed_size_interval_var(v.offset[i], item.size_bytes // device.word_bytes, f"place {i}")
        )
    model.add_no_overlap_2d(times, places)


def _banks_of_offsets(model: cp_model.CpModel, v: _Variables, layout: Layout, device: Device) -> None:
    """bank_words * first_bank[i] <= offset[i] and offset[i] + size[i] <= bank_words * (last_bank[i] + 1)."""
    bank_words = device.bank_bytes // device.word_bytes
    for i in sorted({i for pair in layout.apart for i in pair}):
        v.first_bank[i] = model.new_int_var(0, device.banks - 1, f"first bank {i}")
        v.last_bank[i] = model.new_int_var(0, device.banks - 1, f"last bank {i}")
        model.add(bank_words * v.first_bank[i] <= v.offset[i])
        model.add(v.offset[i] + layout.items[i].size_bytes // device.word_bytes <= bank_words * (v.last_bank[i] + 1))


def _banks_apart(model: cp_model.CpModel, v: _Variables, layout: Layout) -> None:
    """last_bank[a] < first_bank[b] or last_bank[b] < first_bank[a], for each pair of operands of one instruction."""
    for a, b in sorted(layout.apart):
        below = model.new_bool_var(f"{a} below {b}")
        model.add(v.last_bank[a] < v.first_bank[b]).only_enforce_if(below)
        model.add(v.last_bank[b] < v.first_bank[a]).only_enforce_if(below.negated())


def _hint(model: cp_model.CpModel, v: _Variables, start: Sequence[int], device: Device) -> None:
    for variable, offset in zip(v.offset, start, strict=True):
        model.add_hint(variable, offset // device.word_bytes)


def _result(
    model: cp_model.CpModel,
    v: _Variables,
    layout: Layout,
    device: Device,
    limits: Limits,
    start: Offsets | None,
    target_bytes: int,
) -> PlacementResult:
    solver = cp_model.CpSolver()
    code = limits.solve(solver, model)
    if code == cp_model.INFEASIBLE:
        return PlacementResult(None, 0, device.sram_bytes + device.word_bytes)
    bound = max(target_bytes, round(solver.best_objective_bound) * device.word_bytes)
    if code not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        peak = 0 if start is None else peak_of(layout, start)
        return PlacementResult(start, peak, min(bound, peak) if start is not None else bound)
    offsets = tuple(solver.value(o) * device.word_bytes for o in v.offset)
    peak = peak_of(layout, offsets)
    return PlacementResult(offsets, peak, peak if code == cp_model.OPTIMAL else min(bound, peak))
