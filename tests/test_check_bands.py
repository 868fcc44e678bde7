"""Rule 3 against rings that are played through slot by slot: the checker says yes exactly where no row is late or overwritten."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pytest
from checked import Case, random_cases

from sfopt.check import check_plan
from sfopt.check.bands import check_bands
from sfopt.check.view import View
from sfopt.errors import PlanCheckError
from sfopt.groups import Kind
from sfopt.plan import Plan, Role, Segment
from sfopt.rows import RowSchedule, rows_read, rows_to_run


class LostRowError(Exception):
    """A row was needed that is not in its ring."""


@dataclass
class Ring:
    """Row r lies in slot r mod `rows`, until another is put there."""

    rows: int
    height: int
    slots: dict[int, int] = field(default_factory=dict)
    count: int = 0
    """Rows that have been put in."""

    def fill(self, until: int) -> tuple[int, int]:
        """Put in the rows up to `until`, at once: no two may share a slot. Returns them as a range."""
        start, self.count = self.count, max(self.count, min(until, self.height))
        for row in range(start, self.count):
            if self.rows < 1 or self.slots.get(row % self.rows, -1) >= start:
                raise LostRowError
            self.slots[row % self.rows] = row
        return start, self.count

    def need(self, start: int, stop: int) -> None:
        """Raise LostRowError unless all rows of the range are there."""
        if any(self.rows < 1 or self.slots.get(row % self.rows) != row for row in range(start, stop)):
            raise LostRowError


def play(case: Case, step: int) -> None:
    """Run a segment. With overlap, loads run one band ahead of compute and stores one behind, as late or early as that can be."""
    plan, network, _ = case
    segment = plan.segments[step]
    groups, ahead = network.groups[segment.first : segment.last + 1], int(segment.overlap)
    rings = {}
    for tensor in (*(f.tensor for f in segment.feeds), *(g.output for g in groups)):
        b = plan.buffer(step, tensor)
        if b.rows > (height := network.maps[tensor].height):
            raise LostRowError
        rings[tensor] = Ring(b.rows, height)
    runs = {r.group: RowSchedule(r.first, r.step, rows_to_run(network, network.groups[r.group])) for r in segment.runs}
    stored = [g.output for g in groups if plan.buffer(step, g.output).role is Role.OUTPUT]
    waiting = list[tuple[str, int, int]]()
    for band in range(segment.bands):
        for f in segment.feeds:
            behind_last = band + ahead == segment.bands
            rings[f.tensor].fill(f.first + band * f.step)
            if ahead:
                rings[f.tensor].fill(10**6 if behind_last else f.first + (band + 1) * f.step)
        made = list[tuple[str, int, int]]()
        for group in groups:
            start, stop = runs[group.index].after(band - 1), runs[group.index].after(band)
            for tensor in group.reads:
                if tensor in rings and start < stop:
                    rings[tensor].need(*rows_read(group, network.maps[tensor], start, stop))
            done = stop if group.kind is not Kind.GLOBAL_MEAN else int(band == segment.bands - 1)
            made.append((group.output, *rings[group.output].fill(done)))
        for tensor, start, stop in waiting if ahead else made:
            if tensor in stored:
                rings[tensor].need(start, stop)
        waiting = made
    for tensor, start, stop in waiting:
        if tensor in stored:
            rings[tensor].need(start, stop)
    for f in segment.feeds:
        rings[f.tensor].fill(10**6)
    if any(runs[g.index].after(segment.bands - 1) < rows_to_run(network, g) for g in groups):
        raise LostRowError
    if segment.bands == 1 and any(f.first < network.maps[f.tensor].height for f in segment.feeds):
        raise LostRowError


def plays(case: Case, step: int) -> bool:
    try:
        play(case, step)
    except LostRowError:
        return False
    return True


def checks(case: Case, step: int) -> bool:
    try:
        check_bands(View(*case), step)
    except PlanCheckError:
        return False
    return True
