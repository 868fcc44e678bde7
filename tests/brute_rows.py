"""Every way in which the rows of a segment may move: band heights, and runs as late as they can be. By plain loops."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import lcm

from sfopt import cost
from sfopt.groups import Group, Kind, Network
from sfopt.rows import RowSchedule, row_grain, row_rate, rows_read, rows_to_run

__all__ = ["Timing", "can_join", "ring_rows", "timings"]


@dataclass(frozen=True)
class Timing:
    """When the groups of a segment run, by index, and when the maps that it streams in arrive, by name."""

    bands: int
    runs: Mapping[int, RowSchedule]
    feeds: Mapping[str, RowSchedule]


def can_join(groups: Sequence[Group]) -> bool:
    """Whether rule 3 allows these groups, several of them, in one segment."""
    made = {g.output for g in groups}
    means = {g.output for g in groups if g.kind is Kind.GLOBAL_MEAN}
    return (
        all(g.kind is not Kind.HOST and g.scale not in made and not means & {*g.reads} for g in groups)
        and len(means) < 2
        and _loop_words(groups) <= cost.LOOP_WORDS
    )


def _loop_words(groups: Sequence[Group]) -> int:
    """SETUP and COMPUTE for each piece, LOAD or STORE for each map."""
    return 2 * sum(len(g.pieces) for g in groups) + len({n for g in groups for n in (*g.reads, g.output)})


def timings(network: Network, groups: Sequence[Group], fed: Collection[str]) -> Iterator[Timing]:
    """All timings of a segment that streams the maps `fed` in; several groups only in several bands."""
    total = rows_to_run(network, groups[-1])
    if len(groups) == 1:
        heights = {m: network.maps[m].height for m in fed}
        whole = {m: RowSchedule(height, height, height) for m, height in heights.items()}
        yield Timing(1, {groups[0].index: RowSchedule(total, total, total)}, whole)
        if _loop_words(groups) > cost.LOOP_WORDS:
            return
    paces = _paces(groups)
    if paces is None:
        return
    band = lcm(*(pace.denominator for pace in paces.values()))
    while band < total:
        yield _lazy(network, groups, fed, {node: int(pace * band) for node, pace in paces.items()}, -(-total // band))
        band *= 2


def _paces(groups: Sequence[Group]) -> dict[int | str, Fraction] | None:
    """Rows of each group and map for each row of the last group; None where groups would need two, or nothing joins them."""
    links = list[tuple[int, str, Fraction]]()
    for g in groups:
        links += [(g.index, p.tensor, Fraction(*row_rate(g))) for p in g.pieces]
        links += [(g.index, g.residual, Fraction(1))] if g.residual is not None else []
        links += [(g.index, g.output, Fraction(1))] if g.kind is not Kind.GLOBAL_MEAN else []
    paces: dict[int | str, Fraction] = {groups[-1].index: Fraction(1)}
    for _ in range(len(links) + 1):  # as often as it takes to get from one end to the other
        for group, tensor, rate in links:
            if group in paces:
                paces.setdefault(tensor, paces[group] * rate)
            elif tensor in paces:
                paces[group] = paces[tensor] / rate
    joined = all(g.index in paces for g in groups)
    return paces if joined and all(paces[t] == paces[g] * rate for g, t, rate in links) else None


def _lazy(
    network: Network, groups: Sequence[Group], fed: Collection[str], steps: Mapping[int | str, int], bands: int
) -> Timing:
    """Every run begins with the fewest rows that its readers' band 0 needs and that let it end with the last band."""
    runs = dict[int, RowSchedule]()
    for group in reversed(groups):
        step, total = steps[group.index], rows_to_run(network, group)
        readers = [g for g in groups if group.output in g.reads]
        least = max([1, *(_needed(network, g, group.output, runs) for g in readers)] if readers else [step])
        grain, ends = row_grain(group), (f for f in range(least, total + step + 1) if f + (bands - 1) * step >= total)
        first = next(f for f in ends if f % grain == 0 or f >= total)
        runs[group.index] = RowSchedule(first, step, total)
    feeds = dict[str, RowSchedule]()
    for tensor in fed:
        first = max(1, *(_needed(network, g, tensor, runs) for g in groups if tensor in g.reads))
        feeds[tensor] = RowSchedule(first, steps.get(tensor, 1), network.maps[tensor].height)
    return Timing(bands, runs, feeds)


def _needed(network: Network, group: Group, tensor: str, runs: Mapping[int, RowSchedule]) -> int:
    """Rows of `tensor` that must be there for a group's band 0."""
    stop = runs[group.index].after(0)
    return rows_read(group, network.maps[tensor], 0, stop)[1] if stop else 0


def ring_rows(
    network: Network, groups: Sequence[Group], timing: Timing, tensor: str, *, ahead: bool, behind: bool
) -> int:
    """The fewest rows of a segment's buffer; `ahead`: the next band's arrive early, `behind`: the last band's leave late."""
    height, bands = network.maps[tensor].height, timing.bands
    maker = next((g for g in groups if g.output == tensor), None)
    rows = timing.feeds[tensor] if maker is None else timing.runs[maker.index]
    if maker is not None and maker.kind is Kind.GLOBAL_MEAN:
        return 1
    there = [0, 0, *(rows.after(i) for i in range(bands)), height]  # from band -2 on
    needs = [there[i + 2] - there[i + (0 if behind else 1)] for i in range(bands + 1)]
    for group in groups:
        run = timing.runs[group.index]
        for i in range(bands):
            start, stop = run.after(i - 1), run.after(i)
            if tensor in group.reads and start < stop:
                first, last = rows_read(group, network.maps[tensor], start, stop)
                assert last <= there[i + 2], f"band {i} of `{group.name}` reads rows of `{tensor}` that are not there"
                needs.append(there[i + 2 + ahead] - first)
    grain = 1 if maker is None else row_grain(maker)
    return next(rows for rows in range(max(needs), height + 1) if rows % grain == 0 or rows == height)
