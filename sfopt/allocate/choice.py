"""The choice program: which options cover the groups and which maps are resident, with exact capacity at every step.

Columns -> Rows -> Objective -> Result. One private function per family of rows, whose docstring is the constraint.
Symbols: x[o] option o is taken; r[m, g] reader g of map m sees it resident; s[g, m] the output of group g has the place of its
operand m; d[g] DMA that nothing hides behind the segment that ends with group g; cap the scratchpad in words; P the peak in words.
Readers of a map that no option can tell apart share one r.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

from sfopt.allocate.cuts import Cut, StepFloor, covers
from sfopt.allocate.in_place import Columns, InPlace
from sfopt.allocate.linear import Answer, Expression, LinearProgram
from sfopt.allocate.options import Option
from sfopt.allocate.problem import Choice, Problem
from sfopt.allocate.switches import Switches
from sfopt.cost import Moved, dma_cycles
from sfopt.groups import FeatureMap, Kind

__all__ = ["LEVELS", "ChoiceProgram", "Known"]

LEVELS = ("traffic", "cycles", "peak")

Pair = tuple[int, Option]
"""A column and the option that it is about."""


@dataclass
class Known:
    """What has been proven so far."""

    cuts: list[Cut] = field(default_factory=list)
    floors: list[StepFloor] = field(default_factory=list)


class _Window(NamedTuple):
    """Readers `first..last` of a map, all of which see it resident or none."""

    first: int
    last: int
    column: int


class ChoiceProgram:
    """The program over some options. `minimise` gives it the objective of one level, others held at given values."""

    def __init__(self, problem: Problem, options: Sequence[Option], known: Known, switches: Switches) -> None:
        self.problem, self.options, self.switches = problem, options, switches
        self.program = LinearProgram()
        self.x = [self.program.column(f"x {o.first}..{o.last} {i}") for i, o in enumerate(options)]
        self.pairs = tuple(zip(self.x, options, strict=True))
        self.windows = {m: tuple(self._windows(m)) for m in problem.free_maps}
        self.peak = self.program.column("peak", 0, problem.device.words)
        self.delay = dict[int, int]()
        self._cover()
        self._pattern_matches_residency()
        self._never_resident_again()
        self._outlives_its_segment()
        self.in_place = InPlace.build(problem, self.program, self._columns())
        self.limits = dict[int, tuple[str, int]]()
        """Row -> what it is about (`capacity`, `banks`) and the group behind which it holds."""
        self._capacity()
        self._demands()
        for cut in known.cuts:
            self._no_good(cut)
        for floor in known.floors:
            self._step_floor(floor)

    def minimise(self, level: str, at_most: Mapping[str, int]) -> LinearProgram:
        """The program whose objective is `level` (see LEVELS, or `volume`), the other levels at most as given."""
        if "cycles" in {level, *at_most}:
            self._delays()
        for name, value in at_most.items():
            terms, constant = self._level(name)
            self.program.row(terms.items(), high=value - constant)
        objective, self.program.constant = self._level(level)
        self.program.objective = dict(objective)
        return self.program

    def choice(self, answer: Answer) -> Choice | None:
        """What an answer chooses."""
        if answer.values is None:
            return None
        chosen = {o.first: o for x, o in self.pairs if answer.values[x]}
        seen = {m: [w.last for w in windows if answer.values[w.column]] for m, windows in self.windows.items()}
        ends = {m: lasts[-1] for m, lasts in seen.items() if lasts and lasts[-1] < self.windows[m][-1].last}
        in_place = frozenset(edge for edge, s in self.in_place.edges.items() if answer.values[s])
        return Choice(dict(sorted(chosen.items())), frozenset(m for m, lasts in seen.items() if lasts), ends, in_place)

    def hint(self, choice: Choice) -> Mapping[int, int]:
        """Column values of a choice; an option that is not among these very ones counts as not taken."""
        hint = {
            w.column: int(m in choice.resident and w.last <= self.problem.life(choice, m)[1])
            for m, windows in self.windows.items()
            for w in windows
        }
        hint |= {s: int(edge in choice.in_place) for edge, s in self.in_place.edges.items()}
        taken = {id(o) for o in choice.options.values()}
        return hint | {x: int(id(o) in taken) for x, o in self.pairs}

    @cached_property
    def _starting(self) -> Mapping[int, list[Pair]]:
        return self._by(lambda o: (o.first,))

    @cached_property
    def _ending(self) -> Mapping[int, list[Pair]]:
        return self._by(lambda o: (o.last,))

    @cached_property
    def _covering(self) -> Mapping[int, list[Pair]]:
        return self._by(lambda o: range(o.first, o.last + 1))

    def _by(self, groups: Callable[[Option], Iterable[int]]) -> Mapping[int, list[Pair]]:
        table: dict[int, list[Pair]] = {g.index: [] for g in self.problem.network.groups}
        for pair in self.pairs:
            for g in groups(pair[1]):
                table[g].append(pair)
        return table

    def _windows(self, tensor: str) -> Iterator[_Window]:
        """The readers of a map in parts. A new part begins where some option reads the map back and none of the readers before."""
        readers = self.problem.network.readers[tensor]
        starts = [
            later
            for reader, later in pairwise(readers)
            if self.switches.early_ends
            and any(reader < o.first and tensor not in o.resident for _, o in self._covering[later])
        ]
        for first, following in pairwise([readers[0], *starts, len(self.problem.network.groups)]):
            last = max(r for r in readers if r < following)
            yield _Window(first, last, self.program.column(f"r {tensor} {first}..{last}"))

    def _seen(self, tensor: str, group: int) -> int:
        """Column of the first reader at `group` or behind it: what a reader sees, a producer hands on, and is held in between."""
        return next(w.column for w in self.windows[tensor] if group <= w.last)

    def _breaks(self) -> Iterator[tuple[str, _Window, _Window]]:
        """Where maps may end early: the parts of their readers in front and behind."""
        return ((m, a, b) for m, windows in self.windows.items() for a, b in pairwise(windows))

    def _columns(self) -> Columns:
        """What the rows about places refer to."""
        behind = {(m, before.last): after.column for m, before, after in self._breaks()}
        ends = {(m, w.last) for m, windows in self.windows.items() for w in windows}
        return Columns(self.pairs, ends, behind)

    def _cover(self) -> None:
        """Sum of x[o] over the options o that hold g = 1, for each accelerator group g."""
        for group in self.problem.network.groups:
            if group.kind is not Kind.HOST:
                self.program.row(((x, 1) for x, _ in self._covering[group.index]), 1, 1)

    def _pattern_matches_residency(self) -> None:
        """Sum of x[o] over the options o that hold g and see m resident = r[m, g], for each map m and group g that reads it; for
        the group that writes it = r[m, its first reader].

        A segment that keeps m to itself does not see it resident: then r = 0 for its readers.
        """
        for group in self.problem.network.groups:
            for m in dict.fromkeys([*group.reads, *group.writes]):
                if m in self.windows:
                    seeing = [(x, 1) for x, o in self._covering[group.index] if m in o.resident]
                    self.program.row([*seeing, (self._seen(m, group.index), -1)], 0, 0)

    def _never_resident_again(self) -> None:
        """r[m, g] >= r[m, g'] for readers g < g' of a map m."""
        for _, before, behind in self._breaks():
            self.program.row([(before.column, 1), (behind.column, -1)], low=0)

    def _outlives_its_segment(self) -> None:
        """Sum of x[o] over the options o that make m, see it resident and hold its reader g, but not the next, g' <= r[m, g'].

        Otherwise nobody but them would see it resident.
        """
        for m, before, behind in self._breaks():
            making = self._covering[self.problem.network.producers[m]] if m in self.problem.network.producers else ()
            seeing = [(x, 1) for x, o in making if m in o.resident and before.last <= o.last < behind.first]
            if seeing:
                self.program.row([*seeing, (behind.column, -1)], high=0)

    def _capacity(self) -> None:
        """At each group g: words of maps whose first reader from g on sees them resident + words e[m, g] of those that ended early
        in the segment + sum over the options o that end with g of (own words + words of resident maps that died in o before g) x[o]
        + sum of early words x[o] over those that start behind g + the difference that shared places make (`InPlace`) <= P <= cap.

        And the sum of floor[o] x[o] over those that end with g <= P: an option's operands, in disjoint banks, reach that high
        even when alone.
        """
        word, problem = self.problem.device.word_bytes, self.problem
        for g in range(len(problem.network.groups)):
            held = [
                (self._seen(m, g), problem.map_bytes[m] // word) for m, (a, z) in problem.live.items() if a <= g <= z
            ]
            ended = [(e, problem.map_bytes[m] // word) for m, e in self._ending_inside(g)]
            own = [(x, (o.own_bytes + problem.tail_bytes(o)) // word) for x, o in self._ending[g]]
            early = [(x, o.early_bytes // word) for x, o in self._starting.get(g + 1, ())]
            shared = self.in_place.words[g]
            self.limits[len(self.program.rows)] = ("capacity", g)
            self.program.row([*held, *ended, *own, *early, *shared, (self.peak, -1)], high=0)
            floors = [(x, o.floor_bytes // word) for x, o in self._ending[g] if o.floor_bytes]
            if self.switches.bank_floors and floors:
                self.limits[len(self.program.rows)] = ("banks", g)
                self.program.row([*floors, (self.peak, -1)], high=0)

    def _demands(self) -> None:
        """r[m, last reader] + sum of x[o] over the options o that hold all that touch m = 1 for each map m demanded on-chip, = 0
        for each to be read back; sum of x[o] over those that hold g and g + 1 = 1 for each g demanded to run with the next.
        """
        demand = self.problem.demand
        for m, kept in demand.on_chip.items():
            inside = [(x, 1) for x, o in self.pairs if self.problem.stays_inside(o, m)]
            self.program.row([(self.windows[m][-1].column, 1), *inside], int(kept), int(kept))
        for g in sorted(demand.together):
            self.program.row([(x, 1) for x, o in self._covering[g] if o.last > g], 1, 1)

    def _ending_inside(self, g: int) -> Iterator[tuple[str, int]]:
        """e[m, g] >= sum of x[o] over the options o that end with g and see m resident - r[m, g'], for each map m that may end at
        its last reader before g, where g' behind g is the next: the segment that ends with g holds m to its end.
        """
        for m, before, behind in self._breaks():
            seeing = [(x, 1) for x, o in self._ending[g] if m in o.resident] if before.last < g < behind.first else []
            if seeing:
                ended = self.program.column(f"ended {m} {g}")
                self.program.row([*seeing, (behind.column, -1), (ended, -1)], high=0)
                yield m, ended

    def _no_good(self, cut: Cut) -> None:
        """Some map of the cut is not resident for as long, some block of it is absent or smaller, other maps of it share places, or
        P >= its height.
        """
        absent = [self._seen(m, end) for m, end in sorted(cut.resident.items())]
        escapes, edges = dict[int, int](), self.in_place.edges
        if not cut.in_place <= edges.keys():
            return
        absent += [edges[e] for e in sorted(cut.in_place)]
        escapes |= dict.fromkeys(self.in_place.others(cut.in_place, cut.resident), 1)
        for (first, last), blocks in cut.blocks.items():
            for x, o in self._covering[first]:
                if not (o.first <= first and last <= o.last and all(covers(o, b) for b in blocks)):
                    escapes[x] = 1
        height = -(-cut.height_bytes // self.problem.device.word_bytes)
        if height <= self.problem.device.words:
            high = self.program.column("high")
            self.program.row([(self.peak, 1), (high, -height)], low=0)
            escapes[high] = 1
        self.program.row([*escapes.items(), *((r, -1) for r in absent)], low=1 - len(absent))

    def _step_floor(self, floor: StepFloor) -> None:
        """If all the floor's maps are held for as long and share the same places, and the next segment has its early blocks: sum of
        height[o] x[o] <= P.
        """
        word, (first, last, pattern) = self.problem.device.word_bytes, floor.key
        heights = [
            (x, -(-floor.heights[o] // word)) for x, o in self._ending[last] if o.first == first and o in floor.heights
        ]
        absent = [(x, 1) for x, o in self._starting.get(last + 1, ()) if not all(covers(o, b) for b in floor.early)]
        edges = self.in_place.edges
        if not heights or not floor.in_place <= edges.keys():
            return
        absent += [(s, 1) for s in self.in_place.others(floor.in_place, floor.resident)]
        implied = {self._seen(m, self.problem.reads_or_writes(m, first)) for m in pattern}
        held = sorted({self._seen(m, end) for m, end in floor.resident.items()} - implied)
        held += [edges[e] for e in sorted(floor.in_place)]
        if not absent and not held:
            self.program.row([*heights, (self.peak, -1)], high=0)
            return
        free, most = self.program.column("free"), max(h for _, h in heights)
        self.program.row([*heights, (self.peak, -1), (free, -most)], high=0)
        self.program.row([*absent, *((r, -1) for r in held), (free, -1)], low=-len(held))

    def _delays(self) -> None:
        """d[g] >= sum of (behind - compute)[o] x[o] over the options that end with g + sum of ahead[o] x[o] over those that start
        behind it; d[g] >= 0.
        """
        for g in range(len(self.problem.network.groups)):
            own = [(x, o.behind - o.compute) for x, o in self._ending[g]]
            following = [(x, o.ahead) for x, o in self._starting.get(g + 1, ())]
            if not own:
                continue
            limit = max(o.behind for _, o in self._ending[g])
            limit += max((o.ahead for _, o in self._starting.get(g + 1, ())), default=0)
            self.delay[g] = self.program.column(f"delay {g}", 0, limit)
            self.program.row([*own, *following, (self.delay[g], -1)], high=0)

    def _level(self, name: str) -> tuple[Expression, int]:
        terms: dict[str, Iterator[tuple[int, int]]] = {
            "traffic": self._traffic(),
            "cycles": self._cycles(),
            "peak": iter([(self.peak, self.problem.device.word_bytes)]),
            "volume": self._volume(),
        }
        constants = {"traffic": self.problem.host_traffic, "cycles": self.problem.host_cycles}
        return {c: f for c, f in terms[name] if f}, constants.get(name, 0)

    def _traffic(self) -> Iterator[tuple[int, int]]:
        """Sum of traffic[o] x[o] + sum of the bytes of m (r[m, first reader] - r[m, last reader]) over the maps m that are stored
        only if they end early.
        """
        yield from ((x, o.traffic_bytes) for x, o in self.pairs)
        yield from self._stores(lambda fmap: fmap.size_bytes)

    def _cycles(self) -> Iterator[tuple[int, int]]:
        """Sum of (exposed + compute)[o] x[o] + sum of d[g] + cycles of the stores of maps that end early, as in `_traffic`."""
        yield from ((x, o.exposed + o.compute) for x, o in self.pairs)
        yield from ((d, 1) for d in self.delay.values())
        device = self.problem.device
        yield from self._stores(lambda fmap: dma_cycles(Moved.whole(fmap, device), device, reading=False))

    def _stores(self, cost: Callable[[FeatureMap], int]) -> Iterator[tuple[int, int]]:
        for m, (first, *_, last) in ((m, w) for m, w in self.windows.items() if len(w) > 1):
            if self.problem.is_stored_at_end(m):
                each = cost(self.problem.network.maps[m])
                yield from ((first.column, each), (last.column, -each))

    def _volume(self) -> Iterator[tuple[int, int]]:
        """Words times steps of all buffers: not an objective of the plan, but what makes one easy to place."""
        word, problem = self.problem.device.word_bytes, self.problem
        for m, windows in self.windows.items():
            begin = problem.live[m][0]
            for w in windows:
                yield w.column, (w.last - begin + 1) * problem.map_bytes[m] // word
                begin = w.last + 1
        yield from self.in_place.volume.items()
        for x, o in self.pairs:
            yield x, (o.own_bytes * (o.last - o.first + 1) + o.early_bytes) // word
