"""Scratchpad that things need at least, worked out without solving anything: why groups do not fuse, and maps do not stay."""

from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache

from sfopt.allocate.growth import Growth
from sfopt.allocate.problem import Problem
from sfopt.allocate.singles import single_options
from sfopt.groups import Kind

__all__ = ["Crowded", "Fusion", "Needs", "Verdict", "judge"]

ROOMY = 64
"""Times the banks: a scratchpad in which everything fits."""


class Verdict(StrEnum):
    """HOST: one runs on the host. APART: no segment can hold both. UNRELATED: no rows flow between the two alone. TOO_LARGE: what
    they need as one segment exceeds the scratchpad. NO_GAIN: as two segments, with what is between them held whole, they need no
    more scratchpad. POSSIBLE: some segment that holds both is worth looking at.
    """

    HOST = "host"
    APART = "apart"
    UNRELATED = "unrelated"
    TOO_LARGE = "too large"
    NO_GAIN = "no gain"
    POSSIBLE = "possible"


@dataclass(frozen=True)
class Fusion:
    """Groups `group` and `group + 1`. Sizes in bytes, None where they say nothing."""

    group: int
    verdict: Verdict
    need_bytes: int | None = None
    """Least scratchpad of their rings and constants as one segment."""
    apart_bytes: int | None = None
    """Least scratchpad of the two one after the other, beside the maps that both touch."""


def judge(problem: Problem, group: int) -> Fusion:
    """The pair alone, or any segment of the choice program that holds it."""
    network, segments = problem.network, problem.segments
    pair = network.groups[group : group + 2]
    if any(g.kind is Kind.HOST for g in pair):
        return Fusion(group, Verdict.HOST)
    need, apart = _least_need(problem, group), _apart(problem, group)
    if any(first <= group < last for first, last in segments.ranges | problem.rereads.ranges):
        return Fusion(group, Verdict.POSSIBLE, need, apart)
    if need is None:
        shared = {*pair[0].reads, *pair[0].writes} & {*pair[1].reads, *pair[1].writes}
        return Fusion(group, Verdict.APART if pair[0].output in pair[1].reads or shared else Verdict.UNRELATED)
    verdict = Verdict.TOO_LARGE if need > problem.device.sram_bytes else Verdict.NO_GAIN
    return Fusion(group, verdict, need, apart)


def _least_need(problem: Problem, group: int) -> int | None:
    """Rings and constants of the pair in the lowest bands in which it can run; None if it cannot."""
    network, segments = problem.network, problem.segments
    for band_rows in segments.band_heights(network.groups[group + 1]):
        growth, inside = Growth(network, group + 1, band_rows), segments.inside()
        if growth.grow() and growth.grow() and growth.connected:
            inside.take_in(growth)
            return inside.bytes
    return None


def _apart(problem: Problem, group: int) -> int:
    network, shared = problem.network, problem.segments.shared
    a, b = network.groups[group], network.groups[group + 1]
    both = {*a.reads, *a.writes} & {*b.reads, *b.writes}
    return max(shared.constant_bytes(g) for g in (a, b)) + sum(problem.map_bytes[m] for m in both)


@dataclass(frozen=True)
class Crowded:
    """The group of a map's life at which keeping the map needs most, every group by itself. Sizes in bytes."""

    group: int
    need_bytes: int
    """The map, and the least that the group needs beside it: its buffers, and resident maps where it has no other way."""


class Needs:
    """What holding a map needs."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        device = replace(problem.device, banks=problem.device.banks * ROOMY)
        self._options = cache(
            lambda g: single_options(problem.network, problem.network.groups[g], device, problem.switches, lean=True)
        )

    def crowded(self, tensor: str) -> Crowded:
        """Where a map that may be resident is hardest to keep."""
        born, dies = self.problem.live[tensor]
        needs = {g: self._least(g, tensor) for g in range(born, dies + 1)}
        group = max(needs, key=lambda g: needs[g])
        return Crowded(group, needs[group])

    def _least(self, group: int, tensor: str) -> int:
        network, whole = self.problem.network, self.problem.map_bytes
        touched = tensor in (*network.groups[group].reads, *network.groups[group].writes)
        kept = (o for o in self._options(group) if tensor in o.resident or not touched)
        return min(o.own_bytes + sum(whole[m] for m in o.resident | {tensor}) for o in kept)
