"""The exception of rules 5 and 6: an output that has the place of operands, which it writes over or in which they lie.

A place is what one buffer, the outermost, takes up; the maps in it are tied together by links from operands to outputs.
"""

from collections.abc import Iterator, Mapping
from itertools import combinations

from sfopt.check.require import broken, require
from sfopt.check.view import View
from sfopt.groups import Group
from sfopt.plan import Buffer
from sfopt.rows import rows_read

__all__ = ["Link", "check_places", "links", "outermost", "outward"]

Link = tuple[Buffer, Buffer]
"""An operand and the output that has its place."""


def links(view: View, step: int) -> tuple[Link, ...]:
    """Operands that end at a step, each with the output that begins there and has its place.

    Both are resident; the last group of the segment that reads the operand makes the output, and reads it element by element.
    """
    return tuple(
        (operand, output)
        for group in view.groups(step)
        if (output := view.resident.get(group.output)) is not None and output.first_step == step
        for name in group.replaceable
        if (operand := view.resident.get(name)) is not None and operand.last_step == step
        if _same_place(operand, output) and _may_share(view, step, group, name)
    )


def _same_place(a: Buffer, b: Buffer) -> bool:
    return (a.offset, a.rows, a.row_bytes) == (b.offset, b.rows, b.row_bytes)


def _may_share(view: View, step: int, group: Group, operand: str) -> bool:
    """Which operands rule 5 means: pieces of a concat, at whole words; the residual or only piece of a group that is alone."""
    maps, readers = view.network.maps, view.inside_readers(step, operand)
    if len(group.pieces) == 1:
        return len(view.groups(step)) == 1 and maps[operand].size_bytes == maps[group.output].size_bytes
    at_words = group.replaceable[operand] % view.device.word_bytes == 0
    return at_words and readers[-1].index == group.index and view.makers.get(operand) != step


def outward(view: View) -> Mapping[str, str]:
    """Resident map -> the output that has its place, for those that give theirs to one."""
    steps = (step for step, _, _ in view.segments)
    return {operand.content: output.content for step in steps for operand, output in links(view, step)}


def outermost(name: str, outputs: Mapping[str, str]) -> str:
    """The map in whose buffer another one lies, itself included; `outputs` is `outward`."""
    while name in outputs:
        name = outputs[name]
    return name


def check_places(view: View) -> None:
    """Rule 5 within places: what lives at one step is apart, or one is operand and the other output; no row is read too late."""
    outputs, places = outward(view), dict[str, list[str]]()
    for name in view.resident:
        places.setdefault(outermost(name, outputs), []).append(name)
    for outer, names in places.items():
        for a, b in combinations(names, 2):
            if b != outputs.get(a) and a != outputs.get(b):
                _require_apart(view, outputs, outer, a, b)
    for step, _, _ in view.segments:
        for operand, output in links(view, step):
            _check_rows(view, step, operand.content, output.content)


def _require_apart(view: View, outputs: Mapping[str, str], outer: str, a: str, b: str) -> None:
    """No step at which both live, or no channel that both have."""
    lives = [view.resident[n] for n in (a, b)]
    if lives[0].last_step < lives[1].first_step or lives[1].last_step < lives[0].first_step:
        return
    (first_a, end_a), (first_b, end_b) = (_channels(view, outputs, n) for n in (a, b))
    apart = end_a <= first_b or end_b <= first_a
    both = f"`{a}` in channels {first_a}..{end_a} and `{b}` in {first_b}..{end_b}"
    require(apart, 5, f"{both} of `{outer}` overlap")


def _channels(view: View, outputs: Mapping[str, str], name: str) -> tuple[int, int]:
    """Channels of the outermost map's pixels where another one lies: first, and first behind it."""
    first, inner = 0, name
    while inner in outputs:
        group = view.network.groups[view.network.producer(outputs[inner])]
        first, inner = first + group.replaceable[inner], outputs[inner]
    return first, first + view.network.maps[name].channels


def _check_rows(view: View, step: int, operand: str, output: str) -> None:
    """No other group of the segment reads a row of the operand, band by band, where the output has been written already."""
    writer = view.network.groups[view.network.producer(output)]
    for group, band, first in _first_rows(view, step, operand):
        written = view.run_rows(step, writer).after(band - 1)
        if group != writer and first < written:
            raise broken(
                5,
                f"`{group.name}` reads `{operand}` from row {first} in band {band},"
                f" `{output}` has been written over it up to row {written}",
            )


def _first_rows(view: View, step: int, tensor: str) -> Iterator[tuple[Group, int, int]]:
    """Group, band and first row of the map for every band in which a group of the segment reads it."""
    for group in view.inside_readers(step, tensor):
        rows = view.run_rows(step, group)
        for band in range(view.plan.segments[step].bands):
            start, stop = rows.after(band - 1), rows.after(band)
            if start < stop:
                yield group, band, rows_read(group, view.network.maps[tensor], start, stop)[0]
