"""When the rows of a segment's maps are there, worked out by plain loops over its bands."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, lcm

from sfopt.groups import Group, Kind, Network
from sfopt.rows import RowSchedule, row_grain, row_rate, rows_read, rows_to_run

__all__ = ["Schedule", "ring_rows", "schedule_groups", "spans_read"]

Rates = dict[int | str, Fraction]
"""Rows of a group (by index) or of a map (by name) for each row of the group that sets the pace."""


@dataclass(frozen=True)
class Schedule:
    """How the groups of a segment run, by index, and how the maps that it streams in arrive, by name."""

    bands: int
    runs: Mapping[int, RowSchedule]
    feeds: Mapping[str, RowSchedule]


def schedule_groups(
    network: Network, groups: Sequence[Group], fed: Collection[str], band_rows: int | None
) -> Schedule | None:
    """Run `groups` as one segment that streams the maps `fed` in; None if the rules forbid that.

    A band is `band_rows` (None: all) rows of the last group, times whatever makes every step a whole number.
    """
    if groups[0].kind is Kind.HOST and len(groups) == 1:
        return Schedule(1, {}, {})
    parts = None if len(groups) > 1 and _is_forbidden(groups) else _paces(groups, fed)
    if parts is None:
        return None
    bands, steps = 1, Rates()
    for i, rates in enumerate(parts):
        grains = (rates[g.index] / row_grain(g) for g in groups if g.index in rates)
        unit = lcm(*(r.denominator for r in (*rates.values(), *grains)))
        rows = rows_to_run(network, network.groups[max(n for n in rates if isinstance(n, int))])
        if i == 0:
            step = rows if band_rows is None else unit * band_rows
            bands = ceil(rows / step)
        else:
            step = unit * ceil(ceil(rows / bands) / unit)
        steps |= {node: rate * step for node, rate in rates.items()}
    if bands == 1:
        return _whole(network, groups, fed)
    runs = dict[int, RowSchedule]()
    for group in reversed(groups):
        runs[group.index] = _run(network, groups, group, bands, int(steps[group.index]), runs)
    feeds = {t: _feed(network, groups, t, int(steps.get(t, 1)), bands, runs) for t in fed}
    return Schedule(bands, runs, feeds)


def ring_rows(network: Network, groups: Sequence[Group], schedule: Schedule, tensor: str, role: str, ahead: int) -> int:
    """The fewest rows of a buffer `s:tensor`; `ahead` is 1 with overlap, else 0."""
    height = network.maps[tensor].height
    makers = [g for g in groups if g.output == tensor]
    if makers and makers[0].kind is Kind.GLOBAL_MEAN:
        return 1
    there = schedule.runs[makers[0].index] if makers else schedule.feeds[tensor]
    behind, before = ahead * (role == "output"), ahead * (role == "input")
    rows = [there.after(i) - there.after(i - 1 - behind) for i in range(schedule.bands)]
    for group in groups:
        if tensor in group.reads:
            spans = spans_read(network, group, tensor, schedule.runs[group.index], schedule.bands)
            rows += [there.after(i + before) - first for i, first, _ in spans]
    grain = row_grain(makers[0]) if makers else 1
    return min(height, ceil(max(rows) / grain) * grain)


def _is_forbidden(groups: Sequence[Group]) -> bool:
    """Whether rule 3 keeps these groups, several of them, apart."""
    means = {g.output for g in groups if g.kind is Kind.GLOBAL_MEAN}
    made = {g.output for g in groups}
    return (
        any(g.kind is Kind.HOST for g in groups)
        or len(means) > 1
        or any(t in means for g in groups for t in g.reads)
        or any(g.scale in made for g in groups)
    )


def _links(groups: Sequence[Group], fed: Collection[str]) -> Iterator[tuple[int, str, Fraction]]:
    """(group, map, rows of the map for each row that the group runs) for all maps that the segment makes or streams in."""
    followed = {g.output for g in groups} | set(fed)
    for group in groups:
        if group.kind is not Kind.GLOBAL_MEAN:
            yield group.index, group.output, Fraction(1)
        taken, done = row_rate(group)
        yield from ((group.index, p.tensor, Fraction(taken, done)) for p in group.pieces if p.tensor in followed)
        if group.residual in followed:
            yield group.index, group.residual, Fraction(1)


def _paces(groups: Sequence[Group], fed: Collection[str]) -> list[Rates] | None:
    """Rates of all groups and of the maps that join them, the last group's part first; None if some group would need two."""
    links, left, parts = list(_links(groups, fed)), {g.index for g in groups}, list[Rates]()
    while left:
        rates, known = Rates({max(left): Fraction(1)}), 0
        while known < len(rates):
            known = len(rates)
            for group, tensor, ratio in links:
                if group in rates:
                    rates.setdefault(tensor, rates[group] * ratio)
                elif tensor in rates:
                    rates[group] = rates[tensor] / ratio
        if any(group in rates and rates[group] * ratio != rates[tensor] for group, tensor, ratio in links):
            return None
        left -= rates.keys()
        parts.append(rates)
    return parts


def _whole(network: Network, groups: Sequence[Group], fed: Collection[str]) -> Schedule:
    runs = {g.index: RowSchedule(*[rows_to_run(network, g)] * 3) for g in groups}
    return Schedule(1, runs, {t: RowSchedule(*[network.maps[t].height] * 3) for t in fed})


def _run(
    network: Network, groups: Sequence[Group], group: Group, bands: int, step: int, runs: Mapping[int, RowSchedule]
) -> RowSchedule:
    """The latest run that lets its readers in the segment run, or that ends in time; `runs` has those of later groups."""
    rows = rows_to_run(network, group)
    readers = [g for g in groups if group.output in g.reads]
    first = max(_needed(network, readers, group.output, step, bands, runs), rows - (bands - 1) * step)
    first = first if readers else max(first, step)
    return RowSchedule(min(rows, ceil(first / row_grain(group)) * row_grain(group)), step, rows)


def _feed(
    network: Network, groups: Sequence[Group], tensor: str, step: int, bands: int, runs: Mapping[int, RowSchedule]
) -> RowSchedule:
    readers = [g for g in groups if tensor in g.reads]
    return RowSchedule(_needed(network, readers, tensor, step, bands, runs), step, network.maps[tensor].height)


def _needed(
    network: Network, readers: Sequence[Group], tensor: str, step: int, bands: int, runs: Mapping[int, RowSchedule]
) -> int:
    """The fewest rows of `tensor` in band 0 that, `step` more in every other, are in time for all readers."""
    spans = [span for g in readers for span in spans_read(network, g, tensor, runs[g.index], bands)]
    return max([last - i * step for i, _, last in spans], default=0)


def spans_read(
    network: Network, group: Group, tensor: str, run: RowSchedule, bands: int
) -> Iterator[tuple[int, int, int]]:
    """(band, first row, row behind the last) that `group` reads of `tensor` in every band in which it makes rows."""
    for i in range(bands):
        start, stop = run.after(i - 1), run.after(i)
        if start < stop:
            yield i, *rows_read(group, network.maps[tensor], start, stop)
