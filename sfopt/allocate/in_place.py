"""Outputs that have the place of an operand (rule 5 of docs/plan-rules.md), in the choice program.

A concat's operands may lie in its output before it runs, a sum may be written over its residual; such an output may be an operand
in turn. So maps nest, and the place of all of them is as large as the outermost, from the first one's birth on. Without concats all
maps in a place have one size, and only the step at which one follows the other needs less.

Symbols: s[g, m] the output of group g has the place of its operand m; h[c, t] at group t, in front of c's producer, the place of c
is taken by what lies in it; w words.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from itertools import combinations

from sfopt.allocate.linear import LinearProgram
from sfopt.allocate.options import Edge, Option, lies_inside, operand_sets
from sfopt.allocate.problem import Problem
from sfopt.groups import Group, Kind

__all__ = ["Columns", "InPlace", "edges_around", "outermost"]

Terms = list[tuple[int, int]]
"""(column, coefficient)"""


def outermost(problem: Problem, edges: Collection[Edge]) -> Mapping[str, str]:
    """Map that shares a place -> the outermost map of that place."""
    outward = {m: (g, m) for g, m in edges}
    ways = (_way_out(problem, outward, m) for m in outward)
    return {m: way[-1] for way in ways for m in way}


def edges_around(problem: Problem, edges: Collection[Edge], maps: Iterable[str]) -> frozenset[Edge]:
    """Those of the edges that bring some maps into the places that they share, and make these as large as they are.

    They lead, in each place, from its maps among these to the innermost map that holds them all and is as large as the place.
    """
    outer, outward = outermost(problem, edges), {m: (g, m) for g, m in edges}
    members = dict[str, list[str]]()
    for m in maps:
        if m in outer:
            members.setdefault(outer[m], []).append(m)
    found = set[Edge]()
    for place, inside in members.items():
        ways = [_way_out(problem, outward, m) for m in inside]
        holding = next(
            m for m in ways[0] if problem.map_bytes[m] == problem.map_bytes[place] and all(m in way for way in ways)
        )
        found.update(outward[m] for way in ways for m in way[: way.index(holding)])
    return frozenset(found)


def _way_out(problem: Problem, outward: Mapping[str, Edge], tensor: str) -> list[str]:
    """A map and those whose place it has, outwards."""
    way = [tensor]
    while way[-1] in outward:
        way.append(problem.network.groups[outward[way[-1]][0]].output)
    return way


@dataclass(frozen=True)
class Columns:
    """What of the choice program the rows here refer to."""

    options: Iterable[tuple[int, Option]]
    """Columns and options."""
    ends: Set[tuple[str, int]]
    """Maps, and readers at which they may end."""
    behind: Mapping[tuple[str, int], int]
    """Map, and a reader at which it may end early -> column of whether those behind see it resident."""


@dataclass
class InPlace:
    """The columns s of a program, its rows about them, and what they change of the capacity."""

    problem: Problem
    program: LinearProgram
    columns: Columns
    edges: dict[Edge, int] = field(default_factory=dict)
    """(group, operand) -> column s."""
    words: dict[int, Terms] = field(default_factory=dict)
    """Group -> terms of its row of capacity."""
    lending: dict[Edge, list[tuple[int, Option]]] = field(default_factory=dict)
    """Columns and options in which an operand can give its place."""

    @staticmethod
    def build(problem: Problem, program: LinearProgram, columns: Columns) -> "InPlace":
        """All columns and rows."""
        made = InPlace(problem, program, columns, words={g.index: [] for g in problem.network.groups})
        for x, option in columns.options:
            for edge in option.lends:
                made.lending.setdefault(edge, []).append((x, option))
        for group in problem.network.groups:
            made._lend(group)
        nested = made._nested()
        made._hold(nested)
        for (g, m), s in made.edges.items():
            if problem.network.groups[g].output not in nested:
                made.words[g].append((s, -made._words_of(m)))
        if nested:
            made._keep_apart()
        return made

    def others(self, taken: Set[Edge], maps: Iterable[str]) -> list[int]:
        """Columns of the edges, those `taken` apart, between two of the maps or of what these lead to."""
        here = {*maps, *(self._output(g) for g, _ in taken)}
        return [s for e, s in self.edges.items() if e not in taken and e[1] in here and self._output(e[0]) in here]

    @property
    def volume(self) -> Mapping[int, int]:
        """Column -> words times steps that it adds."""
        total = Counter[int]()
        for terms in self.words.values():
            for column, words in terms:
                total[column] += words
        return total

    def _words_of(self, tensor: str) -> int:
        return self.problem.map_bytes[tensor] // self.problem.device.word_bytes

    def _output(self, group: int) -> str:
        return self.problem.network.groups[group].output

    def _lend(self, group: Group) -> None:
        """s[g, m] <= sum of x[o] over the options o in which m can give its place to g; s[g, m] + r[m, g'] <= 1 for the reader g'
        of m behind g; sum of s[g, m] over the m that g writes over <= 1, with any one piece as well.
        """
        whole, inside = list[int](), list[int]()
        for m in group.replaceable:
            lending = [x for x, _ in self.lending.get((group.index, m), ())]
            if not lending or (m, group.index) not in self.columns.ends:
                continue
            s = self.edges[group.index, m] = self.program.column(f"s {group.name} {m}")
            self.program.row([(s, 1), *((x, -1) for x in lending)], high=0)
            behind = self.columns.behind.get((m, group.index))
            if behind is not None:
                self.program.row([(s, 1), (behind, 1)], high=1)
            (inside if lies_inside(group, m) else whole).append(s)
        for extra in [[s] for s in inside] if whole else []:
            self.program.row([(s, 1) for s in (*whole, *extra)], high=1)
        if len(whole) > 1:
            self.program.row([(s, 1) for s in whole], high=1)

    def _nested(self) -> dict[str, list[Edge]]:
        """Outputs whose place may be larger than what lies in it, the last to be made first, with the edges that lead to them."""
        inner, groups = dict[str, list[Edge]](), self.problem.network.groups
        for g, m in sorted(self.edges, reverse=True):
            inner.setdefault(self._output(g), []).append((g, m))
        found = dict[str, list[Edge]]()
        for output, edges in inner.items():
            if len(groups[edges[0][0]].pieces) > 1 or any(output == m for e in found.values() for _, m in e):
                found[output] = edges
        return found

    def _hold(self, nested: Mapping[str, list[Edge]]) -> None:
        """h[c, t] >= s[g, m] for operands m of c's producer g that are born by t; h[c, t] >= h[d, t] + s[g, d] - 1 for operands d
        that other maps may lie in. In the capacity of t: + w(c) h[c, t] - w(m) s[g, m] - w(d) min(h[d, t], s[g, d]) at the t in
        front of the producer; - w(m) s[g, m] at g, and at the end of a segment that goes on behind g, where m counts until then.
        """
        born = {c: self._birth(c, nested) for c in nested}
        taken = dict[tuple[str, int], int]()
        for c in reversed(list(nested)):  # what is made first comes first
            for t in range(born[c], nested[c][0][0]):
                h = taken[c, t] = self.program.column(f"h {c} {t}")
                self.words[t].append((h, self._words_of(c)))
                for g, m in nested[c]:
                    s = self.edges[g, m]
                    if self.problem.live[m][0] <= t:
                        self.program.row([(h, 1), (s, -1)], low=0)
                    elif (m, t) in taken:
                        both = self.program.column(f"both {m} {t}")
                        self.program.row([(both, 1), (taken[m, t], -1)], high=0)
                        self.program.row([(both, 1), (s, -1)], high=0)
                        self.program.row([(h, 1), (taken[m, t], -1), (s, -1)], low=-1)
                        self.words[t].append((both, -self._words_of(m)))
            for g, m in nested[c]:
                for t in range(self.problem.live[m][0], g + 1):
                    self.words[t].append((self.edges[g, m], -self._words_of(m)))
                self._dead_in_segment(g, m)

    def _birth(self, tensor: str, nested: Mapping[str, list[Edge]]) -> int:
        """The first group at which a map, or anything that may lie in it, is held."""
        return min([self.problem.live[tensor][0], *(self._birth(m, nested) for _, m in nested.get(tensor, ()))])

    def _dead_in_segment(self, g: int, m: str) -> None:
        """At the end of a segment that goes on behind g."""
        going_on = dict[int, list[int]]()
        for x, option in self.lending[g, m]:
            if option.last > g:
                going_on.setdefault(option.last, []).append(x)
        for t, taking in going_on.items():
            dead = self.program.column(f"dead {m} {t}")
            self.program.row([(dead, 1), (self.edges[g, m], -1)], high=0)
            self.program.row([(dead, 1), *((x, -1) for x in taking)], high=0)
            self.words[t].append((dead, -self._words_of(m)))

    def _keep_apart(self) -> None:
        """Of edges that bring two maps into one place that stream through one instruction of r, not all: sum of s <= number - 1.
        The output of r and its operand are no such maps if the output has that operand's place; nor is a map that gave its place
        to a group in front of r, since it ended there and r reads it back from DRAM.
        """
        for group in self.problem.network.groups:
            seen = set[frozenset[Edge]]()
            for names in operand_sets(group, None) if group.kind is not Kind.HOST else ():
                for a, b in combinations(names, 2):
                    for ways in self._meetings(a, b):
                        own = any((group.index, m) in ways and group.output in (a, b) for m in (a, b))
                        ended = any(g < group.index and m in (a, b) for g, m in ways)
                        if not own and not ended and ways not in seen:
                            seen.add(ways)
                            self.program.row([(self.edges[e], 1) for e in sorted(ways)], high=len(ways) - 1)

    def _meetings(self, a: str, b: str) -> Iterator[frozenset[Edge]]:
        """Sets of edges that together bring two maps into one place, and not before the last of them."""
        ways = [*self._ways_out(a)], [*self._ways_out(b)]
        for (m, p), (n, q) in ((p, q) for p in ways[0] for q in ways[1]):
            if m == n and not p & q:
                yield p | q

    def _ways_out(self, tensor: str) -> Iterator[tuple[str, frozenset[Edge]]]:
        """Every map in whose place a map may lie, and the edges in between; first itself."""
        yield tensor, frozenset()
        for edge in self.edges:
            if edge[1] == tensor:
                yield from ((m, way | {edge}) for m, way in self._ways_out(self._output(edge[0])))
