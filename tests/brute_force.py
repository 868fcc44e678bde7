"""The planner's optimum by enumeration: every cut into segments, every residency, every way to run every segment, every placement.

Nothing here comes from the planner. Sizes and cycles are read off docs/plan-rules.md with `sfopt.cost`. Combinations are looked at
in the order of a lower bound of their levels, until no other can be better. For a few groups only.
"""

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, count, pairwise, product

from brute_placement import Box, Effort, TooManyCasesError, load, lowest_placement, time_parts
from brute_places import Pair, alternatives, apart, pairs_in_time, placings, saved_bytes
from brute_rows import can_join
from brute_ways import REREADS, Span, Way, ways

from sfopt import cost
from sfopt.device import Device
from sfopt.groups import Group, Kind, Network

__all__ = ["Box", "Effort", "Frame", "TooManyCasesError", "combined", "frames", "lowest_placement", "optimum"]


@dataclass(frozen=True)
class Frame:
    """A cut into segments with the resident maps, and for each segment the ways to run it."""

    spans: tuple[Span, ...]
    stays: tuple[Box, ...]
    held: tuple[int, ...]
    """For each step, the least bytes of the resident maps that are live there."""
    tables: tuple[tuple[Way, ...], ...]
    overs: tuple[tuple[tuple[Pair, ...], ...], ...]
    """For each step, the sets of (operand, output) that may have one place, of which one is chosen."""


def optimum(
    network: Network,
    device: Device,
    order: tuple[str, ...] = ("traffic", "cycles", "peak"),
    most: int = 30_000,
    nodes: int = 10_000,
    *,
    segments: bool = True,
    ends_early: bool = False,
    in_place: bool = False,
    side_by_side: bool = False,
    rereads: frozenset[str] = REREADS,
    traffic_limit: int | None = None,
    among: Callable[[Frame], bool] = lambda _: True,
) -> tuple[int, ...] | None:
    """The least values of the levels in `order`, where the peak is first or last, or None when nothing fits.

    `segments`: of several groups as well; `ends_early`: resident maps may end at any of their readers; `in_place`: outputs may be
    written over operands that end; `side_by_side`: operands that end may lie in a concat's output; `rereads`: of REREADS, what
    may be read again; `traffic_limit`: bytes; `among`: which frames count.
    Raises TooManyCasesError beyond `most` combinations or `nodes` of placement search.
    """
    every = filter(
        among,
        frames(
            network,
            device,
            segments=segments,
            ends_early=ends_early,
            in_place=in_place,
            side_by_side=side_by_side,
            rereads=rereads,
        ),
    )
    search = _Search(network, device, Effort(nodes), most, traffic_limit)
    if order[0] != "peak":
        return search.best(every, order, device.sram_bytes)
    known = list(every)
    least = search.best((_without_larger_ways(network, frame) for frame in known), order[:1], device.sram_bytes)
    if least is None or len(order) == 1:
        return least
    rest = search.best(known, (*order[1:], "peak"), least[0])
    return None if rest is None else (rest[-1], *rest[:-1])


def _without_larger_ways(network: Network, frame: Frame) -> Frame:
    """For the least peak alone: no way beside which another one needs no more of anything, and leaves as many operands in time."""
    tables = []
    for (first, last), table in zip(frame.spans, frame.tables, strict=True):
        groups, kept = network.groups[first : last + 1], list[tuple[Way, frozenset[Pair]]]()
        for way in sorted(table, key=lambda w: (w.traffic, w.own_bytes, sum(p.early for p in w.parts))):
            timely = _timely(network, groups, way)
            if not any(_needs_no_more(other, way) and timely <= theirs for other, theirs in kept):
                kept.append((way, timely))
        tables.append(tuple(way for way, _ in kept))
    return replace(frame, tables=tuple(tables))


def _needs_no_more(a: Way, b: Way) -> bool:
    parts = {part.name: part for part in b.parts}
    return a.traffic <= b.traffic and all(
        p.name in parts and p.size <= parts[p.name].size and p.early <= parts[p.name].early for p in a.parts
    )


class _Search:
    """Looks at combinations, best first."""

    def __init__(self, network: Network, device: Device, effort: Effort, most: int, traffic_limit: int | None) -> None:
        self.network, self.most, self.traffic_limit = network, most, traffic_limit
        self.place = _Placer(network, device, effort)

    def best(self, every: Iterable[Frame], order: tuple[str, ...], sram_bytes: int) -> tuple[int, ...] | None:
        """The least values of the levels in `order`, of which the last is the peak, at most `sram_bytes`."""
        best = None
        for bound, frame, chosen in self._in_order(every, order[:-1], sram_bytes):
            if best is not None and bound >= best:
                break
            timings = [None if way.how is None else way.how.timing for way in chosen]
            for boxes in placings(self.network, frame.spans, frame.overs, timings, _boxes(frame, chosen)):
                height = self.place.height(frame, boxes, sram_bytes if best is None else best[-1] - 1)
                if height is not None:
                    best = (*bound[:-1], height)
        return best

    def _in_order(
        self, every: Iterable[Frame], summed: Sequence[str], sram_bytes: int
    ) -> Iterator[tuple[tuple[int, ...], Frame, tuple[Way, ...]]]:
        """All combinations that fit each step and keep to the limit, in the order of their levels and a bound of the peak."""
        tick = count()
        heap = list[tuple[tuple[int, ...], int, Frame, list[_Rest], tuple[Way, ...], int]]()

        def push(frame: Frame, rests: list[_Rest], chosen: tuple[Way, ...], load: int) -> None:
            rest, load = rests[len(chosen)], max(load, _load(frame, chosen))
            traffic = rest.traffic + sum(w.traffic for w in chosen)
            if max(load, rest.load) <= sram_bytes and (self.traffic_limit is None or traffic <= self.traffic_limit):
                bound = (*_sum(_levels(summed, chosen), rest.sums), max(load, rest.load))
                heapq.heappush(heap, (bound, next(tick), frame, rests, chosen, load))

        for frame in every:
            push(frame, _rests(frame, summed), (), 0)
        while heap:
            bound, at, frame, rests, chosen, load = heapq.heappop(heap)
            if at > self.most:
                raise TooManyCasesError("combinations")
            if len(chosen) == len(frame.spans):
                yield bound, frame, chosen
                continue
            for way in frame.tables[len(chosen)]:
                push(frame, rests, (*chosen, way), load)


class _Placer:
    """Places boxes; parts of a placement that came up before are looked up."""

    def __init__(self, network: Network, device: Device, effort: Effort) -> None:
        self.network, self.device, self.effort = network, device, effort
        self.known = dict[tuple[tuple[Span, ...], tuple[Box, ...]], tuple[int, int]]()
        """Value found and the ceiling below which it was looked for; the ceiling if there is none below it."""

    def height(self, frame: Frame, boxes: Sequence[Box], most: int) -> int | None:
        """Least highest byte; None if that is more than `most`."""
        if load(boxes) > most:
            return None
        highest = 0
        for part in time_parts(boxes):
            highest = max(highest, self._part(frame, part, most + 1))
            if highest > most:
                return None
        return highest

    def _part(self, frame: Frame, part: list[Box], ceiling: int) -> int:
        key = (frame.spans, tuple(part))
        value, below = self.known.get(key, (0, 0))
        if value == below < ceiling:
            pairs = apart(self.network, frame.spans, part)
            value = lowest_placement(part, pairs, self.device.bank_bytes, ceiling, self.effort)
            self.known[key] = (value, ceiling)
        return value


@dataclass(frozen=True)
class _Rest:
    """What the steps from one on take at least: the levels summed over steps in their order, traffic, bytes at one step."""

    sums: tuple[int, ...]
    traffic: int
    load: int


def _rests(frame: Frame, summed: Sequence[str]) -> list[_Rest]:
    """For every step, and behind the last one."""
    rests = [_Rest((0,) * len(summed), 0, 0)]
    for held, table in zip(reversed(frame.held), reversed(frame.tables), strict=True):
        least, rest = min(_levels(summed, (way,)) for way in table), rests[-1]
        load = max(rest.load, held + min(way.own_bytes for way in table))
        rests.append(_Rest(_sum(least, rest.sums), rest.traffic + min(way.traffic for way in table), load))
    return rests[::-1]


def _sum(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(x + y for x, y in zip(a, b, strict=True))


def _levels(names: Sequence[str], chosen: tuple[Way, ...]) -> tuple[int, ...]:
    values = combined(chosen)
    return tuple(values[n] for n in names)


def combined(chosen: tuple[Way, ...]) -> dict[str, int]:
    """Traffic and cycles of ways one after the other: rule 9's step model."""
    ahead = [*(way.ahead for way in chosen[1:]), 0][: len(chosen)]
    cycles = sum(w.exposed + max(w.compute, w.behind + a) for w, a in zip(chosen, ahead, strict=True))
    return {"traffic": sum(w.traffic for w in chosen), "cycles": cycles}


def _load(frame: Frame, chosen: tuple[Way, ...]) -> int:
    """Bytes that are known to be live at the last two steps of a beginning, the greater number."""
    loads, early = [0], 0
    for step in range(len(chosen) - 1, max(-1, len(chosen) - 3), -1):
        loads.append(chosen[step].own_bytes + early + frame.held[step])
        early = sum(p.size for p in chosen[step].parts if p.early)
    return max(loads)


def frames(
    network: Network,
    device: Device,
    *,
    segments: bool = True,
    ends_early: bool = False,
    in_place: bool = False,
    side_by_side: bool = False,
    rereads: frozenset[str] = REREADS,
) -> Iterator[Frame]:
    """Every cut and residency for which all segments can run somehow."""
    known = dict[tuple[Span, frozenset[str], frozenset[str]], tuple[Way, ...]]()
    for spans in _cuts(network, segments=segments):
        free = {m: ends for m in network.maps if (ends := _ends(network, spans, m))}
        choices = [(None, *(ends if ends_early else ends[-1:])) for ends in free.values()]
        for lasts in product(*choices):
            held = {m: last for m, last in zip(free, lasts, strict=True) if last is not None}
            lives = {m: (_first(network, spans, m), last) for m, last in held.items()}
            sizes = {m: _whole_bytes(network, device, m) for m in lives}
            overs, bytes_held, tables = [], [], []
            for step, span in enumerate(spans):
                groups = network.groups[span[0] : span[1] + 1]
                overs.append(
                    alternatives(network, device, groups, step, lives, in_place=in_place, side_by_side=side_by_side)
                )
                seen = frozenset(m for m, (first, last) in lives.items() if first <= step <= last)
                stored = frozenset(m for m in network.maps if _is_stored(network, spans, m, lives))
                key = (span, seen & _touched(network, span), stored & _touched(network, span))
                if key not in known:
                    known[key] = _distinct(network, groups, ways(network, device, *key, rereads))
                bytes_held.append(sum(sizes[m] for m in seen) - saved_bytes(sizes, overs[-1]))
                room = device.sram_bytes - bytes_held[-1]
                tables.append(tuple(way for way in known[key] if way.own_bytes <= room))
            if all(tables):
                stays = tuple(Box(m, sizes[m], *life) for m, life in lives.items())
                yield Frame(spans, stays, tuple(bytes_held), tuple(tables), tuple(overs))


def _distinct(network: Network, groups: Sequence[Group], found: Iterable[Way]) -> tuple[Way, ...]:
    """One each of ways that take and cost the same and leave the same operands of concats in time."""
    kept = dict[tuple[Way, frozenset[Pair]], Way]()
    for way in found:
        kept.setdefault((way, _timely(network, groups, way)), way)
    return tuple(kept.values())


def _timely(network: Network, groups: Sequence[Group], way: Way) -> frozenset[Pair]:
    return frozenset() if way.how is None else pairs_in_time(network, groups, way.how.timing)


def _cuts(network: Network, *, segments: bool) -> Iterator[tuple[Span, ...]]:
    """Every cut of the groups into segments (first, last)."""
    inner = range(1, len(network.groups))
    for k in range(len(network.groups)):
        for starts in combinations(inner, k):
            edges = (0, *starts, len(network.groups))
            spans = tuple((a, b - 1) for a, b in pairwise(edges))
            several = [network.groups[a : b + 1] for a, b in spans if a < b]
            if all(map(can_join, several)) and (segments or not several):
                yield spans


def _step(spans: Sequence[Span], group: int) -> int:
    return next(i for i, (a, b) in enumerate(spans) if a <= group <= b)


def _first(network: Network, spans: Sequence[Span], tensor: str) -> int:
    """Step of a map's producer, of its first reader for a network input."""
    maker = network.producer(tensor)
    return _step(spans, network.readers[tensor][0] if maker < 0 else maker)


def _ends(network: Network, spans: Sequence[Span], tensor: str) -> list[int]:
    """Steps at which a map may end as a resident one: those of its readers that do not make it; none if a host group touches it."""
    touching = [g for g in network.groups if tensor in (*g.reads, *g.writes)]
    if any(g.kind is Kind.HOST for g in touching):
        return []
    maker = network.producer(tensor)
    own = -1 if maker < 0 else _step(spans, maker)
    return sorted({_step(spans, r) for r in network.readers[tensor]} - {own})


def _is_stored(network: Network, spans: Sequence[Span], tensor: str, lives: Mapping[str, tuple[int, int]]) -> bool:
    """Whether a map's producer writes it to DRAM."""
    maker = network.producer(tensor)
    if maker < 0:
        return False
    own = _step(spans, maker)
    last = lives[tensor][1] if tensor in lives else own
    readers = network.readers[tensor]
    on_host = any(network.groups[i].kind is Kind.HOST for i in (maker, *readers))
    return on_host or not readers or tensor in network.outputs or any(_step(spans, r) > last for r in readers)


def _touched(network: Network, span: Span) -> frozenset[str]:
    return frozenset(n for g in network.groups[span[0] : span[1] + 1] for n in (*g.reads, *g.writes))


def _whole_bytes(network: Network, device: Device, tensor: str) -> int:
    fmap = network.maps[tensor]
    return fmap.height * cost.map_row_bytes(fmap, device)


def _boxes(frame: Frame, chosen: tuple[Way, ...]) -> list[Box]:
    boxes = [*frame.stays]
    for step, way in enumerate(chosen):
        boxes += [Box(f"{step}:{part.name}", part.size, step - part.early, step) for part in way.parts]
    return boxes
