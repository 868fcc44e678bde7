"""Rule 3 against rings that are played through slot by slot: the checker says yes exactly where no row is late or overwritten."""

import random
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

import pytest
from checked import Case, random_cases, segment_cases

from sfopt.check import check_plan
from sfopt.check.bands import check_bands
from sfopt.check.view import View
from sfopt.errors import PlanCheckError
from sfopt.groups import Group, Kind, Network
from sfopt.plan import Feed, Role, Run, WeightMode
from sfopt.rows import RowSchedule, rows_read, rows_to_run

EVERYTHING = 10**6
"""More rows than any map has."""

Part = TypeVar("Part", Run, Feed)


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
        spans = {g.index: (runs[g.index].after(band - 1), runs[g.index].after(band)) for g in groups}
        for f in segment.feeds:
            rings[f.tensor].fill(f.first + band * f.step)
            for group in groups:  # the next band's rows may come late
                read(rings, network, group, spans[group.index], {f.tensor})
            if ahead:  # or early
                last = band == segment.bands - 1
                rings[f.tensor].fill(EVERYTHING if last else f.first + (band + 1) * f.step)
        made = list[tuple[str, int, int]]()
        for group in groups:
            read(rings, network, group, spans[group.index], rings.keys())
            done = spans[group.index][1] if group.kind is not Kind.GLOBAL_MEAN else int(band == segment.bands - 1)
            made.append((group.output, *rings[group.output].fill(done)))
        for tensor, start, stop in waiting if ahead else made:
            if tensor in stored:
                rings[tensor].need(start, stop)
        waiting = made
    for tensor, start, stop in waiting:
        if tensor in stored:
            rings[tensor].need(start, stop)
    for f in segment.feeds:
        rings[f.tensor].fill(EVERYTHING)
    if segment.runs[0].weight_mode is WeightMode.INPUT_REREAD:  # the next tile adds its channels to every row
        rings[groups[0].output].need(0, rings[groups[0].output].height)
    if any(runs[g.index].after(segment.bands - 1) < rows_to_run(network, g) for g in groups):
        raise LostRowError
    if segment.bands == 1 and any(f.first < network.maps[f.tensor].height for f in segment.feeds):
        raise LostRowError


def read(rings: Mapping[str, Ring], network: Network, group: Group, span: tuple[int, int], of: Collection[str]) -> None:
    """What a group reads of some maps to make a range of rows, if that is not empty."""
    for tensor in group.reads:
        if tensor in rings and tensor in of and span[0] < span[1]:
            rings[tensor].need(*rows_read(group, network.maps[tensor], *span))


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


def disturbed(case: Case, step: int, r: random.Random) -> Case:
    """One to three numbers of a segment changed a little, within what numbers may be."""
    plan, network, device = case
    for _ in range(r.randint(1, 3)):
        segment = plan.segments[step]
        by = r.choice([-3, -2, -1, 1, 2, 3])
        match r.choice(["rows", "rows", "run", "feed", "bands", "overlap"]):
            case "rows":
                mine = [b.name for b in plan.buffers if b.name.startswith(f"{step}:") and b.role in ROWS_IN_TIME]
                name = r.choice(mine) if mine else ""
                buffers = tuple(replace(b, rows=max(0, b.rows + by)) if b.name == name else b for b in plan.buffers)
                plan = replace(plan, buffers=buffers)
                continue
            case "run":
                segment = replace(segment, runs=_nudged(segment.runs, by, 1, r))
            case "feed" if segment.feeds:
                segment = replace(segment, feeds=_nudged(segment.feeds, by, 0, r))
            case "bands":
                tallest = max(rows_to_run(network, network.groups[run.group]) for run in segment.runs)
                segment = replace(segment, bands=min(tallest, max(1, segment.bands + by)))
            case "overlap":
                segment = replace(segment, overlap=not segment.overlap)
        plan = replace(plan, segments=(*plan.segments[:step], segment, *plan.segments[step + 1 :]))
    return plan, network, device


ROWS_IN_TIME = (Role.INPUT, Role.OUTPUT, Role.RING)


def _nudged(parts: tuple[Part, ...], by: int, least_step: int, r: random.Random) -> tuple[Part, ...]:
    i = r.randrange(len(parts))
    first, step = parts[i].first, parts[i].step
    if r.random() < 0.5:
        first = max(0, first + by)
    else:
        step = max(least_step, step + by)
    return (*parts[:i], replace(parts[i], first=first, step=step), *parts[i + 1 :])


def banded_segments(count: int) -> Iterator[tuple[Case, int]]:
    for case in (*random_cases(count), *segment_cases()):
        for step, segment in enumerate(case[0].segments):
            if segment.bands > 1:
                yield case, step


def agree(count: int, times: int) -> tuple[int, int]:
    """How many disturbed segments the checker and the played-through rings both take, and both refuse."""
    taken = refused = 0
    r = random.Random(0)
    for case, step in banded_segments(count):
        for _ in range(times):
            spoilt = disturbed(case, step, r)
            verdict = plays(spoilt, step)
            assert checks(spoilt, step) == verdict, spoilt[0].segments[step]
            taken, refused = taken + verdict, refused + (not verdict)
    return taken, refused


def test_checker_agrees_with_rings_that_are_played_through() -> None:
    taken, refused = agree(150, 12)
    assert taken > 400
    assert refused > 1500


@pytest.mark.nightly
def test_checker_agrees_with_rings_that_are_played_through_often() -> None:
    taken, refused = agree(2000, 30)
    assert taken > 10_000
    assert refused > 40_000


def test_one_row_less_is_too_few() -> None:
    """The naive plans have the fewest rows that rule 3 allows: every buffer of every segment is short with one less."""
    seen = 0
    for case, step in banded_segments(150):
        plan = case[0]
        for b in plan.buffers:
            if b.name.startswith(f"{step}:") and b.role in ROWS_IN_TIME:
                buffers = tuple(replace(o, rows=o.rows - 1) if o is b else o for o in plan.buffers)
                with pytest.raises(PlanCheckError, match=f"rule 3: `{b.name}` has {b.rows - 1} rows"):
                    check_plan(replace(plan, buffers=buffers), case[1], case[2])
                seen += 1
    assert seen > 300


def test_played_rings_see_a_row_that_is_overwritten_or_late() -> None:
    case, step = next((c, s) for c, s in banded_segments(150) if c[0].segments[s].feeds and c[0].segments[s].runs)
    segment = case[0].segments[step]
    late = replace(segment, feeds=tuple(replace(f, first=0, step=0) for f in segment.feeds))
    plan = replace(case[0], segments=(*case[0].segments[:step], late, *case[0].segments[step + 1 :]))
    assert plays(case, step)
    assert not plays((plan, case[1], case[2]), step)
    small = tuple(replace(b, rows=0) if b.name.startswith(f"{step}:") else b for b in case[0].buffers)
    assert not plays((replace(case[0], buffers=small), case[1], case[2]), step)
