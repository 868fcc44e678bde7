"""Segments that end with one group, grown backwards one group at a time: schedules and rings, each worked out once.

Rows flow through a segment at rates that its strides fix; one band of the last group sets the pace of all. Every group runs as
late as it may: its first band has the fewest rows that its readers inside need. A group's schedule follows from its readers alone,
which come later in the order, so that adding a group in front changes nothing behind it.
"""

from collections.abc import Iterator
from copy import copy
from fractions import Fraction
from math import lcm

from sfopt import cost
from sfopt.allocate.rings import Reader, feed_first, least_rows, round_up
from sfopt.groups import Group, Kind, Network
from sfopt.rows import RowSchedule, row_grain, row_rate, rows_read, rows_to_run

__all__ = ["Growth"]


class Growth:
    """The segment `first..last` at `band_rows` rows of the last group a band. `grow` adds a group in front, if it can."""

    def __init__(self, network: Network, last: int, band_rows: int) -> None:
        self.network, self.last, self.band_rows = network, last, band_rows
        self.bands = -(-rows_to_run(network, network.groups[last]) // band_rows)
        self.first = last + 1
        self.unit = 1
        """Least band height that makes all steps whole."""
        self.words = 0
        """Instructions of its loop at most (`cost.loop_words`)."""
        self.runs = dict[int, RowSchedule]()
        self.readers = dict[str, list[int]]()
        """Map -> groups of the segment that read it, latest first."""
        self._rates = dict[str, Fraction]()
        """Map -> its rows for one row of the last group."""
        self._touched = set[str]()
        self._pending = set[int]()
        """Groups that nothing connects to the last one yet."""

    def copy(self) -> "Growth":
        """One that grows no more with this one."""
        same = copy(self)
        same.runs, same._rates, same._pending = dict(self.runs), dict(self._rates), set(self._pending)
        same._touched = set(self._touched)
        same.readers = {m: list(found) for m, found in self.readers.items()}
        return same

    @property
    def connected(self) -> bool:
        """Whether rows flow between all of its groups, so that it can run."""
        return not self._pending

    def grow(self) -> bool:
        """Add the group in front; False if no segment that holds it can run in bands of this height."""
        if self.first == 0:
            return False
        group = self.network.groups[self.first - 1]
        words = self.words + cost.loop_words([group]) - sum(m in self._touched for m in (*group.reads, *group.writes))
        if group.kind is Kind.HOST or not self._may_hold(group) or words > cost.LOOP_WORDS:
            return False
        self.first -= 1
        self.words = words
        self._touched.update(group.reads, group.writes)
        for m in group.reads:
            self.readers.setdefault(m, []).append(group.index)
        rate = Fraction(1) if group.index == self.last else self._rate_of(group)
        if rate is None:
            self._pending.add(group.index)
            return True
        return self._settle({group.index: rate})

    def _may_hold(self, group: Group) -> bool:
        """A mean's row and a channel scale come too late for the segment that makes them; sums are kept for one mean."""
        inside = [self.network.groups[i] for i in self.readers.get(group.output, ())]
        if group.kind is Kind.GLOBAL_MEAN:
            means = (g for g in self.network.groups[self.first : self.last + 1] if g.kind is Kind.GLOBAL_MEAN)
            return not inside and not any(means)
        return all(g.scale != group.output for g in inside)

    def _rate_of(self, group: Group) -> Fraction | None:
        """Rows that a group runs for one row of the last group; None if nothing inside says so."""
        if group.kind is not Kind.GLOBAL_MEAN and group.output in self._rates:
            return self._rates[group.output]
        before, after = row_rate(group)
        rates = [self._rates[p.tensor] * after / before for p in group.pieces if p.tensor in self._rates]
        if group.residual in self._rates:
            rates.append(self._rates[group.residual])
        return rates[0] if rates else None

    def _settle(self, fresh: dict[int, Fraction]) -> bool:
        """Fix the rates of these groups and of all that they connect, then their runs. False where that cannot be."""
        settled = list[int]()
        rates = dict[int, Fraction]()
        while fresh:
            index, rate = fresh.popitem()
            group = self.network.groups[index]
            self._pending.discard(index)
            settled.append(index)
            rates[index] = rate
            for m, map_rate in _map_rates(group, rate):
                if self._rates.setdefault(m, map_rate) != map_rate or not self._whole(map_rate):
                    return False
            if not self._whole(rate):
                return False
            for other in self._pending - fresh.keys():
                found = self._rate_of(self.network.groups[other])
                if found is not None:
                    fresh[other] = found
        for index in sorted(settled, reverse=True):
            self.runs[index] = self._run(self.network.groups[index], rates[index])
        return True

    def _whole(self, rate: Fraction) -> bool:
        self.unit = lcm(self.unit, rate.denominator)
        return self.band_rows % self.unit == 0

    def _run(self, group: Group, rate: Fraction) -> RowSchedule:
        """The latest schedule: what the readers inside need in band 0, and the last row in the last band."""
        total, step = rows_to_run(self.network, group), int(self.band_rows * rate)
        fmap = self.network.maps[group.output]
        needs = [rows_read(g, fmap, 0, run.after(0))[1] for g, run in self.reading(group.output)] or [step]
        first = max(1, total - (self.bands - 1) * step, *needs)
        return RowSchedule(min(total, round_up(first, row_grain(group))), step, total)

    def reading(self, tensor: str) -> list[Reader]:
        """The groups inside that read a map, with their runs."""
        return [(self.network.groups[i], self.runs[i]) for i in self.readers.get(tensor, ())]

    def external(self) -> Iterator[str]:
        """Maps that it reads and does not make."""
        return (m for m in self.readers if self.network.producers.get(m, -1) < self.first)

    def leaving(self) -> Iterator[str]:
        """Maps that it makes and that are needed behind it, or that nobody needs: the others live in rings."""
        for i in range(self.first, self.last + 1):
            m = self.network.groups[i].output
            if not self.is_inner(m):
                yield m

    def is_inner(self, tensor: str) -> bool:
        """Whether a map that it makes is read inside and nowhere else."""
        readers = self.network.readers[tensor]
        return bool(readers) and readers[-1] <= self.last and tensor not in self.network.outputs

    def made(self, group: Group) -> RowSchedule:
        """Rows of a group's output; those of a global mean are there at the end."""
        return RowSchedule(1, 1, 1) if group.kind is Kind.GLOBAL_MEAN else self.runs[group.index]

    def made_rows(self, group: Group, *, stored_behind: bool) -> int:
        """Least rows of the buffer that a group writes."""
        fmap, readers = self.network.maps[group.output], self.reading(group.output)
        rows = least_rows(self.made(group), fmap, readers, self.bands, stored_behind=stored_behind)
        return min(fmap.height, round_up(rows, row_grain(group)))

    def feed(self, tensor: str) -> RowSchedule:
        """When the rows of an external map arrive; a channel scale comes whole."""
        fmap, readers = self.network.maps[tensor], self.reading(tensor)
        if any(g.scale == tensor for g, _ in readers):
            return RowSchedule(fmap.height, fmap.height, fmap.height)
        step = int(self.band_rows * self._rates[tensor])
        return RowSchedule(min(fmap.height, feed_first(fmap, readers)), step, fmap.height)

    def feed_rows(self, tensor: str, *, read_ahead: bool) -> int:
        """Least rows of the buffer in which an external map arrives."""
        fmap, readers = self.network.maps[tensor], self.reading(tensor)
        return least_rows(self.feed(tensor), fmap, readers, self.bands, read_ahead=read_ahead)


def _map_rates(group: Group, rate: Fraction) -> Iterator[tuple[str, Fraction]]:
    """Rates of the maps that a group reads band by band and writes, given its own."""
    before, after = row_rate(group)
    for piece in group.pieces:
        yield piece.tensor, rate * before / after
    if group.residual is not None:
        yield group.residual, rate
    if group.kind is not Kind.GLOBAL_MEAN:
        yield group.output, rate
