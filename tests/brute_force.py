"""The planner's optimum by enumeration alone: every residency, every way to run every group, every order of placement.

Nothing here comes from the planner. Sizes and cycles are read off docs/plan-rules.md with `sfopt.cost`. For a few groups only.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, combinations, product

from sfopt import cost
from sfopt.device import Device
from sfopt.groups import Group, Kind, Network

__all__ = ["Box", "Effort", "TooManyCasesError", "lowest_placement", "optimum"]


class TooManyCasesError(Exception):
    """The instance is beyond enumeration."""


@dataclass(frozen=True)
class Box:
    """A buffer: name, bytes, first and last step."""

    name: str
    size: int
    first: int
    last: int


@dataclass(frozen=True)
class Way:
    """One way to run a group, given what is resident."""

    boxes: tuple[Box, ...]
    traffic: int
    exposed: int
    compute: int
    behind: int
    ahead: int


def optimum(
    network: Network,
    device: Device,
    order: tuple[str, ...] = ("traffic", "cycles", "peak"),
    most: int = 4000,
    nodes: int = 10_000,
) -> tuple[int, ...] | None:
    """The least values of the levels in `order`, or None when nothing fits.

    Raises TooManyCasesError beyond `most` combinations or `nodes` of placement search.
    """
    free = [m for m in network.maps if _may_stay(network, m)]
    cases = list[tuple[dict[str, int], list[Box]]]()
    for held in chain.from_iterable(combinations(free, k) for k in range(len(free) + 1)):
        stays = [_stay(network, device, m) for m in held]
        tables = [list(_ways(network, g, device, held)) for g in network.groups]
        for ways in product(*tables):
            boxes = [*stays, *(b for w in ways for b in w.boxes)]
            if _load(boxes) <= device.sram_bytes:
                cases.append((_cost(ways), boxes))
            if len(cases) > most:
                raise TooManyCasesError
    known = order[: order.index("peak")]
    cases.sort(key=lambda case: [case[0][n] for n in known])
    best: tuple[int, ...] | None = None
    effort = Effort(nodes)
    for values, boxes in cases:
        if best is not None and tuple(values[n] for n in known) > best[: len(known)]:
            break
        ceiling = device.sram_bytes + 1 if best is None else best[len(known)] + 1
        if _load(boxes) < ceiling:
            height = lowest_placement(boxes, _apart(network, boxes), device.bank_bytes, ceiling, effort)
            if height < ceiling:
                found = tuple({**values, "peak": height}[n] for n in order)
                best = found if best is None else min(best, found)
    return best


def _cost(ways: tuple[Way, ...]) -> dict[str, int]:
    cycles = 0
    for way, following in zip(ways, [*ways[1:], None], strict=True):
        cycles += way.exposed + max(way.compute, way.behind + (following.ahead if following else 0))
    return {"traffic": sum(w.traffic for w in ways), "cycles": cycles}


def _may_stay(network: Network, tensor: str) -> bool:
    touching = [g for g in network.groups if tensor in (*g.reads, *g.writes)]
    return any(tensor in g.reads for g in touching) and all(g.kind is not Kind.HOST for g in touching)


def _stay(network: Network, device: Device, tensor: str) -> Box:
    readers = [g.index for g in network.groups if tensor in g.reads]
    writers = [g.index for g in network.groups if tensor in g.writes]
    fmap = network.maps[tensor]
    return Box(tensor, fmap.height * cost.map_row_bytes(fmap, device), (writers or readers)[0], readers[-1])


def _ways(network: Network, group: Group, device: Device, held: tuple[str, ...]) -> Iterator[Way]:
    out = network.maps[group.output]
    height = network.maps[group.pieces[0].tensor].height if group.kind is Kind.GLOBAL_MEAN else out.height
    unit = group.window.stride[0] if group.kind is Kind.RESIZE else 1
    heights = {height, *(unit * 2**k for k in range(10) if unit * 2**k < height)}
    tiles = [device.lanes_out * 2**k for k in range(10) if device.lanes_out * 2**k < out.channels]
    early = (False, True) if group.index and network.groups[group.index - 1].kind is not Kind.HOST else (False,)
    for band, overlap, ahead in product(sorted(heights), (False, True), early):
        yield _way(network, group, device, held, band, None, overlap=overlap, early=ahead)
        if group.kind is Kind.CONV and group.conv_groups == 1:
            for tile in tiles:
                yield _way(network, group, device, held, band, tile, overlap=overlap, early=ahead)


def _way(
    network: Network,
    group: Group,
    device: Device,
    held: tuple[str, ...],
    band: int,
    tile: int | None,
    *,
    overlap: bool,
    early: bool,
) -> Way:
    step, bands, boxes, traffic = group.index, cost.band_count(network, group, band), list[Box](), 0
    time = {"exposed": 0, "behind": 0, "ahead": 0}
    primary = group.pieces[0].tensor
    folded = primary not in held and cost.folds_input(group, network.maps[primary], device)
    for name in (*group.reads, group.output):
        fmap = network.maps[name]
        loads = name in network.inputs and next(g.index for g in network.groups if name in g.reads) == step
        stores = name == group.output and name in network.outputs
        if name in held and not loads and not stores:
            continue
        traffic += fmap.size_bytes
        first, rest = cost.piece_cycles(fmap.size_bytes, 1 if name in held else min(bands, fmap.height), device)
        time["exposed"] += first
        time["behind" if overlap else "exposed"] += rest
        if name not in held:
            boxes.append(
                Box(f"{step}:{name}", _stream_bytes(network, group, device, name, band, overlap=overlap), step, step)
            )
    for block in cost.constants(network, group, folded=folded):
        tiled = tile is not None and block.name.endswith(".weights")
        times = bands if tiled else 1
        rows = min(block.rows, (tile or 0) * (2 if overlap else 1)) if tiled else block.rows
        start = step - 1 if early and not tiled else step
        boxes.append(Box(f"{step}:{block.name}", rows * block.row_bytes(device), start, step))
        traffic += block.size_bytes * times
        pieces = times * math.ceil(block.rows / tile) if tiled and tile else 1
        first, rest = cost.piece_cycles(block.size_bytes * times, pieces, device)
        time["ahead" if early and not tiled else "exposed"] += first
        time["behind" if overlap else "exposed"] += rest
    compute = cost.group_cycles(
        network, group, device, band, tile or network.maps[group.output].channels, folded=folded
    )
    return Way(tuple(boxes), traffic, time["exposed"], compute, time["behind"], time["ahead"])


def _stream_bytes(network: Network, group: Group, device: Device, name: str, band: int, *, overlap: bool) -> int:
    fmap = network.maps[name]
    twice = 2 if overlap else 1
    if name == group.output:
        row = cost.map_row_bytes(fmap, device)
        rows = band * twice
    else:
        row = cost.stream_row_bytes(network, group, name, device)
        rows = 1
        if name in [p.tensor for p in group.pieces]:
            rows = cost.window_rows(group, fmap, band) + (cost.input_rows(group, fmap, band).step if overlap else 0)
        if name == group.residual:
            rows = max(rows, band * twice)
    if cost.band_count(network, group, band) == 1:
        rows = fmap.height
    return row * min(rows, fmap.height)


def _apart(network: Network, boxes: list[Box]) -> set[tuple[int, int]]:
    index = {b.name: i for i, b in enumerate(boxes)}
    pairs = set[tuple[int, int]]()
    for group in network.groups:
        for piece in group.pieces:
            names = [piece.tensor, group.scale, group.residual, group.output, f"{group.name}.weights"]
            found = sorted({index.get(f"{group.index}:{n}", index.get(n or "", -1)) for n in names} - {-1})
            pairs.update(combinations(found, 2))
    return pairs


def _load(boxes: list[Box]) -> int:
    return max((sum(b.size for b in boxes if b.first <= s <= b.last) for s in {b.first for b in boxes}), default=0)


@dataclass
class Effort:
    """Nodes of the placement search that may still be visited."""

    nodes: int

    def spend(self) -> None:
        """Count one; raises TooManyCasesError when there are none left."""
        self.nodes -= 1
        if self.nodes < 0:
            raise TooManyCasesError


def lowest_placement(boxes: list[Box], apart: set[tuple[int, int]], bank: int, ceiling: int, effort: Effort) -> int:
    """Least highest byte below `ceiling` (else `ceiling`): pushing down any placement in order of its offsets never raises it."""
    floor, best = _load(boxes), ceiling
    meets = [[a.first <= b.last and b.first <= a.last for b in boxes] for a in boxes]

    def offset(i: int, ends: dict[int, int]) -> int:
        blocks = [
            -(-e // bank) * bank if (min(i, j), max(i, j)) in apart else e for j, e in ends.items() if meets[i][j]
        ]
        return max(blocks, default=0)

    def extend(ends: dict[int, int], last: int) -> None:
        nonlocal best
        effort.spend()
        if best == floor:
            return
        if len(ends) == len(boxes):
            best = min(best, max(ends.values(), default=0))
            return
        open_ = sorted((offset(i, ends), i) for i in range(len(boxes)) if i not in ends)
        if any(o + boxes[i].size >= best for o, i in open_):
            return
        for o, i in open_:
            if o >= last:
                extend({**ends, i: o + boxes[i].size}, o)

    extend({}, 0)
    return best
