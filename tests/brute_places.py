"""Places that several resident maps share: operands that an output is written over, and operands of concats that lie in the output.

Rules 5 and 6 of docs/plan-rules.md, by plain loops.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import combinations, product

from brute_placement import Box
from brute_rows import Timing, timings

from sfopt.device import Device
from sfopt.groups import Group, Kind, Network
from sfopt.rows import rows_read

__all__ = ["Lives", "Pair", "alternatives", "apart", "pairs_in_time", "placings", "saved_bytes"]

Pair = tuple[str, str]
"""An operand and the output that has its place."""
Lives = Mapping[str, tuple[int, int]]
"""First and last step of each resident map."""


def alternatives(
    network: Network,
    device: Device,
    groups: Sequence[Group],
    step: int,
    lives: Lives,
    *,
    in_place: bool,
    side_by_side: bool,
) -> tuple[tuple[Pair, ...], ...]:
    """The sets of pairs of which a segment may choose one, the empty set first; a concat's only if its lowest bands allow them."""
    over = _over(groups, step, lives) if in_place else ()
    beside = [*_beside(device, groups, step, lives)] if side_by_side else []
    if beside and len(groups) > 1:
        lowest = next(timings(network, groups, ()), None)
        beside = [] if lowest is None else [p for p in beside if p in pairs_in_time(network, groups, lowest)]
    sets = (some for k in range(1, len(beside) + 1) for some in combinations(beside, k))
    return ((), *((pair,) for pair in over), *(some for some in sets if len(dict(some)) == len(some)))


def _over(groups: Sequence[Group], step: int, lives: Lives) -> Iterator[Pair]:
    """Pairs of a group alone: the operand is read in one way, element by element, and ends where the output begins."""
    group = groups[0]
    if len(groups) > 1 or group.output not in lives or lives[group.output][0] != step:
        return
    copied = [group.pieces[0].tensor] if group.kind is Kind.COPY and len(group.pieces) == 1 else []
    for tensor in (group.residual, *copied):
        if tensor is not None and _uses(group).count(tensor) == 1 and tensor in lives and lives[tensor][1] == step:
            yield tensor, group.output


def _beside(device: Device, groups: Sequence[Group], step: int, lives: Lives) -> Iterator[Pair]:
    """Pairs of the concats: a piece at whole words that the concat reads in one way, and that ends where the output begins."""
    for concat in groups:
        if _is_concat(concat) and concat.output in lives and lives[concat.output][0] == step:
            for piece in concat.pieces:
                ends = piece.tensor in lives and lives[piece.tensor][1] == step
                if ends and piece.channel_offset % device.lanes_in == 0 and _uses(concat).count(piece.tensor) == 1:
                    yield piece.tensor, concat.output


def _uses(group: Group) -> list[str | None]:
    return [*(piece.tensor for piece in group.pieces), group.scale, group.residual]


def _is_concat(group: Group) -> bool:
    return group.kind is Kind.COPY and len(group.pieces) > 1


def pairs_in_time(network: Network, groups: Sequence[Group], timing: Timing) -> frozenset[Pair]:
    """Of all (piece, output) of concats in a segment, those whose piece nobody reads when the concat has written over it."""
    every = [(concat, piece.tensor) for concat in groups if _is_concat(concat) for piece in concat.pieces]
    return frozenset(
        (tensor, concat.output)
        for concat, tensor in every
        if all(_is_in_time(network, g, concat, tensor, timing) for g in groups if tensor in g.reads and g != concat)
    )


def _is_in_time(network: Network, group: Group, concat: Group, tensor: str, timing: Timing) -> bool:
    """Whether a reader is before the concat, and reads in no band a row that the concat has done in the bands before."""
    if group.index > concat.index:
        return False
    run, done = timing.runs[group.index], timing.runs[concat.index]
    for band in range(timing.bands):
        start, stop = run.after(band - 1), run.after(band)
        if start < stop and rows_read(group, network.maps[tensor], start, stop)[0] < done.after(band - 1):
            return False
    return True


def saved_bytes(sizes: Mapping[str, int], sets: Sequence[Sequence[Pair]]) -> int:
    """Most bytes that one of a step's sets saves at that step: those of the operands.

    What is live in a place at one step is apart but for operands and outputs, and the place has room for all of it: it may need
    more, never less.
    """
    return max(sum(sizes[operand] for operand, _ in some) for some in sets)


def placings(
    network: Network,
    spans: Sequence[tuple[int, int]],
    sets: Sequence[Sequence[Sequence[Pair]]],
    chosen: Sequence[Timing | None],
    boxes: Sequence[Box],
) -> Iterator[list[Box]]:
    """The boxes with every choice of one set a step that the timings chosen and the banks allow; a place is one box.

    It is called after all maps in it, has the size of the outermost, and is live from the first step of any to the last of any.
    """
    allowed = []
    for (first, last), some, timing in zip(spans, sets, chosen, strict=True):
        groups = network.groups[first : last + 1]
        timely = pairs_in_time(network, groups, timing) if timing is not None and len(groups) > 1 else None
        allowed.append([pairs for pairs in some if timely is None or timely.issuperset(pairs)])
    for choice in product(*allowed):
        inside = dict(pair for pairs in choice for pair in pairs)
        if not _shares_a_bank(network, spans, inside, boxes):
            yield _merged(boxes, inside)


def _outermost(tensor: str, inside: Mapping[str, str]) -> str:
    while tensor in inside:
        tensor = inside[tensor]
    return tensor


def _merged(boxes: Sequence[Box], inside: Mapping[str, str]) -> list[Box]:
    members = dict[str, list[Box]]()
    for box in boxes:
        members.setdefault(_outermost(box.name, inside), []).append(box)
    return [
        Box("|".join(b.name for b in some), size, min(b.first for b in some), max(b.last for b in some))
        for outermost, some in members.items()
        for size in [next(b.size for b in some if b.name == outermost)]
    ]


def _shares_a_bank(
    network: Network, spans: Sequence[tuple[int, int]], inside: Mapping[str, str], boxes: Sequence[Box]
) -> bool:
    """Whether two maps of one place stream through one instruction and are not an operand and the output that has its place.

    A map that has ended is streamed in by those that still read it, from a buffer of its own.
    """
    lives = {box.name: range(box.first, box.last + 1) for box in boxes}
    for step, every in _instructions(network, spans) if inside else ():
        names = [name for name in every if name in lives and step in lives[name]]
        for a, b in combinations(names, 2):
            if _outermost(a, inside) == _outermost(b, inside) and inside.get(a) != b and inside.get(b) != a:
                return True
    return False


def _instructions(network: Network, spans: Sequence[tuple[int, int]]) -> Iterator[tuple[int, list[str]]]:
    """Step, and names of what streams through, each once."""
    for step, (first, last) in enumerate(spans):
        for group in network.groups[first : last + 1]:
            for piece in group.pieces:
                names = [piece.tensor, group.scale, group.residual, group.output, f"{group.name}.weights"]
                yield step, list(dict.fromkeys(n for n in names if n is not None))


def apart(network: Network, spans: Sequence[tuple[int, int]], boxes: Collection[Box]) -> set[tuple[int, int]]:
    """Pairs of buffers that stream through one instruction."""
    index = {name: i for i, b in enumerate(boxes) for name in b.name.split("|")}
    pairs = set[tuple[int, int]]()
    for step, names in _instructions(network, spans):
        found = sorted({index.get(f"{step}:{n}", index.get(n, -1)) for n in names} - {-1})
        pairs.update(combinations(found, 2))
    return pairs
