"""Rules 5 and 6: where buffers lie. Nothing live overlaps, and operands that stream together share no bank."""

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations

from sfopt.check.in_place import check_places, links, outermost, outward
from sfopt.check.require import broken, require
from sfopt.check.view import View
from sfopt.groups import Group
from sfopt.plan import Buffer

__all__ = ["Span", "check_banks", "check_placement", "require_apart"]


@dataclass(frozen=True, order=True)
class Span:
    """Bytes `start..end - 1` in the steps `first..last`. Ordered by `start`."""

    start: int
    end: int
    name: str
    first: int
    last: int


def check_placement(view: View) -> None:
    """Rule 5: whole words, inside the scratchpad, apart. What lies in one place is one span, and apart in it."""
    word, have = view.device.word_bytes, view.device.sram_bytes
    for b in view.plan.buffers:
        require(b.offset >= 0 and b.offset % word == 0, 5, f"`{b.name}` is at {b.offset}, needs a multiple of {word}")
        require(b.end <= have, 5, f"`{b.name}` ends at {b.end}, scratchpad has {have} bytes")
    check_places(view)
    require_apart(_spans(view), 5)


def _spans(view: View) -> Iterator[Span]:
    """Every buffer, but all that lie in one place together, from the first's first step to the last's last: links leave no gap."""
    outputs, places = outward(view), dict[str, list[Buffer]]()
    for b in view.plan.buffers:
        places.setdefault(outermost(b.name, outputs), []).append(b)
    for buffers in places.values():
        steps = [(b.first_step, b.last_step) for b in buffers]
        names = "`, `".join(b.name for b in buffers)
        yield Span(buffers[0].offset, buffers[0].end, names, min(f for f, _ in steps), max(t for _, t in steps))


def require_apart(spans: Iterable[Span], rule: int) -> None:
    """Raise PlanCheckError if two spans that live at one step share a byte.

    A sweep over time keeps what is live in order of addresses; as that is apart, a newcomer can only meet its two neighbours.
    """
    live, dying = list[Span](), dict[int, list[Span]]()
    step = 0
    for span in sorted(spans, key=lambda s: s.first):
        while step < span.first:
            for gone in dying.pop(step, ()):
                del live[bisect_left(live, gone)]
            step += 1
        place = bisect_left(live, span)
        for other in live[max(0, place - 1) : place + 1]:
            if span.start < other.end and other.start < span.end:
                a, b = sorted((span, other))
                raise broken(rule, f"`{a.name}` at {a.start}..{a.end} and `{b.name}` at {b.start}..{b.end} overlap")
        insort(live, span)
        dying.setdefault(span.last, []).append(span)


def check_banks(view: View) -> None:
    """Rule 6, instruction by instruction: one for each piece of each group."""
    for step, _, groups in view.segments:
        exempt = links(view, step)
        for group in groups:
            for piece in group.pieces:
                operands = _operands(view, step, group, piece.tensor)
                for a, b in combinations(operands, 2):
                    if (a, b) not in exempt:
                        _require_other_banks(a, b, view.device.bank_bytes, f"`{group.name}` in segment {step}")


def _operands(view: View, step: int, group: Group, primary: str) -> list[Buffer]:
    """The buffers that stream through one instruction, each once."""
    names = dict.fromkeys(n for n in (primary, group.scale, group.residual, group.output) if n is not None)
    weights = view.buffers.get(f"{step}:{group.name}.weights")
    return [*(view.operand(step, n) for n in names), *(() if weights is None else (weights,))]


def _require_other_banks(a: Buffer, b: Buffer, bank_bytes: int, where: str) -> None:
    apart = (a.end - 1) // bank_bytes < b.offset // bank_bytes or (b.end - 1) // bank_bytes < a.offset // bank_bytes
    both = f"`{a.name}` at {a.offset}..{a.end} and `{b.name}` at {b.offset}..{b.end}"
    require(apart, 6, f"{both} share a bank of {bank_bytes} bytes, both operands of {where}")
