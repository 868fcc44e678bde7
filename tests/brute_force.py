"""The planner's optimum by enumeration: every cut into segments, every residency, every way to run every segment, every placement.

Nothing here comes from the planner. Sizes and cycles are read off docs/plan-rules.md with `sfopt.cost`. Combinations are looked at
in the order of a lower bound of their levels, until no other can be better. For a few groups only.
"""

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, count, pairwise, product

from brute_placement import Box, Effort, TooManyCasesError, load, lowest_placement, time_parts
from brute_rows import can_join
from brute_ways import REREADS, Span, Way, ways

from sfopt import cost
from sfopt.device import Device
from sfopt.groups import Kind, Network

__all__ = ["Box", "Effort", "Frame", "TooManyCasesError", "combined", "frames", "lowest_placement", "optimum"]


@dataclass(frozen=True)
class Frame:
    """A cut into segments with the resident maps, and for each segment the ways to run it."""

    spans: tuple[Span, ...]
    stays: tuple[Box, ...]
    tables: tuple[tuple[Way, ...], ...]
    overs: tuple[tuple[tuple[str, str], ...], ...]
    """For each step, the (operand, output) of which the output may take the operand's place."""


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
    rereads: frozenset[str] = REREADS,
) -> tuple[int, ...] | None:
    """The least values of the levels in `order`, or None when nothing fits.

    `segments`: of several groups as well; `ends_early`: resident maps may end at any of their readers; `in_place`: outputs may be
    written over operands that end; `rereads`: of REREADS, what
    may be read again. Raises TooManyCasesError beyond `most` combinations or `nodes` of placement search.
    """
    known = order[: order.index("peak")]
    place, best = _Placer(network, device, Effort(nodes)), None
    every = frames(network, device, segments=segments, ends_early=ends_early, in_place=in_place, rereads=rereads)
    for bound, frame, chosen in _in_order(every, device, known, most):
        if best is not None and bound > best[: len(known)]:
            break
        for boxes in _written_over(frame, _boxes(frame, chosen)):
            height = place.height(frame, boxes, device.sram_bytes if best is None else best[len(known)])
            if height is None:
                continue
            values = {**combined(chosen), "peak": height}
            found = tuple(values[n] for n in order)
            best = found if best is None else min(best, found)
    return best


class _Placer:
    """Places boxes; parts of a placement that came up before are looked up."""

    def __init__(self, network: Network, device: Device, effort: Effort) -> None:
        self.network, self.device, self.effort = network, device, effort
        self.known = dict[tuple[tuple[Span, ...], tuple[Box, ...]], int]()

    def height(self, frame: Frame, boxes: Sequence[Box], most: int) -> int | None:
        """Least highest byte; None if that is more than `most`."""
        if load(boxes) > most:
            return None
        heights = [self._part(frame, part) for part in time_parts(boxes)]
        return max(heights, default=0) if max(heights, default=0) <= most else None

    def _part(self, frame: Frame, part: list[Box]) -> int:
        key = (frame.spans, tuple(part))
        if key not in self.known:
            apart, ceiling = _apart(self.network, frame, part), self.device.sram_bytes + 1
            self.known[key] = lowest_placement(part, apart, self.device.bank_bytes, ceiling, self.effort)
        return self.known[key]


def _in_order(
    every: Iterable[Frame], device: Device, known: Sequence[str], most: int
) -> Iterator[tuple[tuple[int, ...], Frame, tuple[Way, ...]]]:
    """All combinations of ways whose buffers fit each step, best first by the levels in `known`."""
    tick, heap = count(), list[tuple[tuple[int, ...], int, Frame, tuple[tuple[int, ...], ...], tuple[Way, ...]]]()
    for frame in every:
        least = [min(_levels(known, (way,)) for way in table) for table in frame.tables]
        rests = tuple(_sum(known, least[i:]) for i in range(len(least) + 1))
        heapq.heappush(heap, (rests[0], next(tick), frame, rests, ()))
    while heap:
        bound, at, frame, rests, chosen = heapq.heappop(heap)
        if at > most:
            raise TooManyCasesError("combinations")
        if len(chosen) == len(frame.spans):
            yield bound, frame, chosen
            continue
        for way in frame.tables[len(chosen)]:
            longer = (*chosen, way)
            if _fits(frame, longer, device.sram_bytes):
                bound = _sum(known, [_levels(known, longer), rests[len(longer)]])
                heapq.heappush(heap, (bound, next(tick), frame, rests, longer))


def _sum(known: Sequence[str], terms: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    return tuple(sum(term[i] for term in terms) for i in range(len(known)))


def _levels(known: Sequence[str], chosen: tuple[Way, ...]) -> tuple[int, ...]:
    values = combined(chosen)
    return tuple(values[n] for n in known)


def combined(chosen: tuple[Way, ...]) -> dict[str, int]:
    """Traffic and cycles of ways one after the other: rule 9's step model."""
    ahead = [*(way.ahead for way in chosen[1:]), 0]
    cycles = sum(w.exposed + max(w.compute, w.behind + a) for w, a in zip(chosen, ahead, strict=True))
    return {"traffic": sum(w.traffic for w in chosen), "cycles": cycles}


def _fits(frame: Frame, chosen: tuple[Way, ...], sram_bytes: int) -> bool:
    """Whether the last two steps of a beginning leave room for what is known to be live there."""
    end = len(chosen) - 1
    for step in (end - 1, end):
        if step >= 0:
            own = chosen[step].own_bytes
            early = sum(p.size for p in chosen[step + 1].parts if p.early) if step < end else 0
            held = sum(b.size for b in frame.stays if b.first <= step <= b.last) - _shared_bytes(
                frame.stays, frame.overs[step]
            )
            if own + early + held > sram_bytes:
                return False
    return True


def frames(
    network: Network,
    device: Device,
    *,
    segments: bool = True,
    ends_early: bool = False,
    in_place: bool = False,
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
            stays = tuple(Box(m, _whole_bytes(network, device, m), *life) for m, life in lives.items())
            overs = tuple(
                tuple(_pairs(network, span, step, lives)) if in_place else () for step, span in enumerate(spans)
            )
            tables = []
            for step, span in enumerate(spans):
                seen = frozenset(m for m, (first, last) in lives.items() if first <= step <= last)
                stored = frozenset(m for m in network.maps if _is_stored(network, spans, m, lives))
                key = (span, seen & _touched(network, span), stored & _touched(network, span))
                if key not in known:
                    known[key] = tuple(dict.fromkeys(ways(network, device, *key, rereads)))
                room = device.sram_bytes - sum(_whole_bytes(network, device, m) for m in seen)
                room += _shared_bytes(stays, overs[step])
                tables.append(tuple(way for way in known[key] if way.own_bytes <= room))
            if all(tables):
                yield Frame(spans, stays, tuple(tables), overs)


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


def _pairs(network: Network, span: Span, step: int, lives: Mapping[str, tuple[int, int]]) -> Iterator[tuple[str, str]]:
    """(operand, output) of a group alone: the operand is read in one way, element by element, and ends where the output begins."""
    group, alone = network.groups[span[0]], span[0] == span[1]
    if not alone or group.output not in lives or lives[group.output][0] != step:
        return
    read = [*(piece.tensor for piece in group.pieces), group.scale, group.residual]
    element_wise = [group.residual, *([read[0]] if group.kind is Kind.COPY and len(group.pieces) == 1 else [])]
    for tensor in element_wise:
        if tensor is not None and read.count(tensor) == 1 and tensor in lives and lives[tensor][1] == step:
            yield tensor, group.output


def _shared_bytes(stays: Sequence[Box], pairs: Sequence[tuple[str, str]]) -> int:
    """Bytes that a step needs less if one of its pairs has one place."""
    return next((b.size for b in stays if pairs and b.name == pairs[0][1]), 0)


def _written_over(frame: Frame, boxes: list[Box]) -> Iterator[list[Box]]:
    """The boxes as they are, and with every choice of at most one pair a step made one box, called after all that are in it."""
    for chosen in product(*((None, *pairs) for pairs in frame.overs)):
        left = {b.name: b for b in boxes}
        for operand, output in filter(None, chosen):
            old = next(b for b in left.values() if operand in b.name.split("|"))
            new = left.pop(output)
            del left[old.name]
            left[f"{old.name}|{output}"] = Box(f"{old.name}|{output}", old.size, old.first, new.last)
        yield [*left.values()]


def _apart(network: Network, frame: Frame, boxes: list[Box]) -> set[tuple[int, int]]:
    """Pairs of buffers that stream through one instruction."""
    index = {name: i for i, b in enumerate(boxes) for name in b.name.split("|")}
    pairs = set[tuple[int, int]]()
    for step, (first, last) in enumerate(frame.spans):
        for group in network.groups[first : last + 1]:
            for piece in group.pieces:
                names = [piece.tensor, group.scale, group.residual, group.output, f"{group.name}.weights"]
                found = sorted({index.get(f"{step}:{n}", index.get(n or "", -1)) for n in names} - {-1})
                pairs.update(combinations(found, 2))
    return pairs
