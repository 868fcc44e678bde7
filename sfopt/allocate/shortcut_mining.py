"""Shortcut Mining: an output stays in banks as far as they reach and is the next group's input, a shortcut in what banks are left.

`banks` deals the banks out. Whether an output may take banks from a shortcut is tried both ways, and so is keeping nothing, because
maps that stay can make weights be read again; the plan with the least traffic wins, then the one with the fewest cycles.

The original keeps part of a map on-chip. A plan today holds a whole map, from its producer to its last reader, or none of it: a
map that could not stay whole is spilled from the start, and the banks that it would have had are dealt out again. That is to the
heuristic's disadvantage; `mine(..., whole=False)` follows the original row by row, and docs/heuristics.md has both figures.

A logical buffer of the original is any set of banks. Here a buffer is contiguous, and when no order of placement tried fits, the
largest map live where it is too high is spilled.

Azizimazreah, Chen: Shortcut Mining, HPCA 2019.
"""

from dataclasses import replace

from sfopt.allocate.banks import mine
from sfopt.allocate.first_fit import Offsets, place_constructively
from sfopt.allocate.hill_climb import memory_pressure
from sfopt.allocate.one_by_one import Placed
from sfopt.allocate.problem import Problem
from sfopt.allocate.rectangles import Layout, Rectangle
from sfopt.allocate.static import Placer, plan_statically
from sfopt.device import Device
from sfopt.plan import Role

__all__ = ["in_banks", "plan_by_mining"]

ROUNDS = 300
"""Orders of placement tried."""


def plan_by_mining(problem: Problem, seed: int) -> Placed:
    """The best way to deal out banks, placed. Raises InfeasibleError when even streaming everything does not fit."""
    kept = [mine(problem, outputs_first=first, whole=True).whole_maps for first in (True, False)]
    found = [plan_statically(problem, in_banks(seed), maps) for maps in (*kept, frozenset[str]())]
    return min(found, key=lambda p: (problem.traffic(p.choice), problem.cycles(p.choice)))


def in_banks(seed: int) -> Placer:
    """A placer that gives maps and rings whole banks; constants share what they do not have to themselves."""

    def place(layout: Layout, device: Device) -> Offsets:
        padded = Layout(tuple(_padded(r, device.bank_bytes) for r in layout.items), layout.apart)
        rounds = ROUNDS if memory_pressure(padded) <= device.sram_bytes else 0
        return place_constructively(padded, device.bank_bytes, device.sram_bytes, rounds, seed)

    return place


def _padded(item: Rectangle, bank_bytes: int) -> Rectangle:
    if item.block.role in (Role.WEIGHTS, Role.PARAMETERS):
        return item
    return replace(item, block=replace(item.block, rows=-(-item.size_bytes // bank_bytes), row_bytes=bank_bytes))
