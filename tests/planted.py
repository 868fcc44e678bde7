"""Ways to spoil a valid plan: each returns the spoilt plan, or None where the plan has nothing to spoil that way."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from checked import Case

from sfopt.groups import Kind, Network
from sfopt.plan import Buffer, Category, Feed, Plan, Role, Run, Segment, Transfer

__all__ = [
    "Fault",
    "buffer",
    "claim",
    "early_behind_host",
    "feed",
    "host_map_resident",
    "host_segment",
    "joined",
    "lost",
    "more",
    "overlap_two",
    "region",
    "role",
    "run",
    "segment",
    "share_a_bank",
    "share_dram",
    "transfer",
    "twin",
]

Fault = Callable[[Case], Plan | None]


def _changed(thing: Any, **changes: Any) -> Any:
    """A copy with some fields changed; a callable change is given the thing."""
    return replace(thing, **{k: v(thing) if callable(v) else v for k, v in changes.items()})


def _spoil(plan: Plan, field: str, wanted: Callable[[Any], bool], **changes: Any) -> Plan | None:
    """The plan with the first wanted element of one of its tuples changed."""
    things = getattr(plan, field)
    for i, thing in enumerate(things):
        if wanted(thing):
            return replace(plan, **{field: (*things[:i], _changed(thing, **changes), *things[i + 1 :])})
    return None


def lost(field: str, wanted: Callable[[Any], bool] = lambda _: True) -> Fault:
    """Without the first wanted element of one of the plan's tuples."""

    def fault(case: Case) -> Plan | None:
        things = getattr(case[0], field)
        gone = next((i for i, thing in enumerate(things) if wanted(thing)), None)
        return None if gone is None else replace(case[0], **{field: things[:gone] + things[gone + 1 :]})

    return fault


def twin(field: str) -> Fault:
    """With the first element of one of the plan's tuples once more at the end."""
    return lambda case: replace(case[0], **{field: (*getattr(case[0], field), getattr(case[0], field)[0])})


def more(field: str, make: Callable[[Case], Buffer | Transfer]) -> Fault:
    """With one element more in one of the plan's tuples."""
    return lambda case: replace(case[0], **{field: (*getattr(case[0], field), make(case))})


def role(*roles: Role) -> Callable[[Buffer], bool]:
    return lambda b: b.role in roles


def buffer(wanted: Callable[[Buffer], bool], **changes: Any) -> Fault:
    return lambda case: _spoil(case[0], "buffers", wanted, **changes)


def segment(wanted: Callable[[Segment], bool], **changes: Any) -> Fault:
    return lambda case: _spoil(case[0], "segments", wanted, **changes)


def run(wanted: Callable[[Segment, Run], bool], **changes: Any) -> Fault:
    """Spoils the first wanted run of a segment."""
    return _part("runs", wanted, changes)


def feed(wanted: Callable[[Segment, Feed], bool], **changes: Any) -> Fault:
    """Spoils the first wanted feed of a segment."""
    return _part("feeds", wanted, changes)


def _part(field: str, wanted: Callable[[Segment, Any], bool], changes: dict[str, Any]) -> Fault:
    def fault(case: Case) -> Plan | None:
        for s in case[0].segments:
            parts = getattr(s, field)
            for i, part in enumerate(parts):
                if wanted(s, part):
                    spoilt = (*parts[:i], _changed(part, **changes), *parts[i + 1 :])
                    return _spoil(case[0], "segments", lambda other, s=s: other is s, **{field: spoilt})
        return None

    return fault


def transfer(wanted: Category | Callable[[Transfer], bool], **changes: Any) -> Fault:
    """Spoils the first transfer of a category, or the first wanted one."""
    chosen = (lambda t: t.category is wanted) if isinstance(wanted, Category) else wanted
    return lambda case: _spoil(case[0], "transfers", chosen, **changes)


def region(**changes: Any) -> Fault:
    return lambda case: _spoil(case[0], "dram", lambda _: True, **changes)


def claim(level: str, **changes: Any) -> Fault:
    """Spoils one objective of the certificate."""

    def fault(case: Case) -> Plan:
        certificate = case[0].certificate
        objectives = tuple(_changed(o, **changes) if o.name == level else o for o in certificate.objectives)
        return replace(case[0], certificate=replace(certificate, objectives=objectives))

    return fault


def joined(wanted: Callable[[Network, Segment, Segment], bool]) -> Fault:
    """The first two wanted segments in a row run as one, in one band."""

    def fault(case: Case) -> Plan | None:
        made, network, _ = case
        if any(b.role is Role.RESIDENT for b in made.buffers):
            return None  # their steps would be wrong first
        for i, (a, b) in enumerate(zip(made.segments[:-1], made.segments[1:], strict=True)):
            if wanted(network, a, b):
                both = Segment(a.first, b.last, 1, False, (*a.runs, *b.runs), (*a.feeds, *b.feeds))
                return replace(made, segments=(*made.segments[:i], both, *made.segments[i + 2 :]))
        return None

    return fault


def host_segment(**changes: Any) -> Fault:
    def fault(case: Case) -> Plan | None:
        host = _host_step(case)
        return None if host is None else _spoil(case[0], "segments", lambda s: s is case[0].segments[host], **changes)

    return fault


def _host_step(case: Case) -> int | None:
    kinds = [case[1].groups[s.first].kind for s in case[0].segments]
    return kinds.index(Kind.HOST) if Kind.HOST in kinds else None


def host_map_resident(case: Case) -> Plan | None:
    """A map that a host group writes becomes resident."""
    host = _host_step(case)
    name = "" if host is None else case[1].groups[case[0].segments[host].first].output
    if host is None or not case[1].readers[name]:
        return None
    stray = Buffer(name, Role.RESIDENT, name, 1, case[2].word_bytes, 0, host, host + 1)
    return replace(case[0], buffers=(*case[0].buffers, stray))


def early_behind_host(case: Case) -> Plan | None:
    """Constants that arrive during a host group's step."""
    host = _host_step(case)
    constants = (Role.WEIGHTS, Role.PARAMETERS)
    if host is None:
        return None
    return buffer(lambda b: b.role in constants and b.last_step == host + 1, first_step=host)(case)


def overlap_two(case: Case) -> Plan | None:
    """A buffer moved onto another that is live with it."""
    for a in case[0].buffers:
        for b in case[0].buffers:
            if a is not b and _together(a, b) and a.offset + b.size_bytes <= case[2].sram_bytes:
                return buffer(lambda c, b=b: c is b, offset=a.offset)(case)
    return None


def share_a_bank(case: Case) -> Plan | None:
    """A group's output right behind its input: no overlap, but one bank serves both."""
    made, network, device = case
    for step, s in enumerate(made.segments):
        for group in network.groups[s.first : s.last + 1] if s.runs else ():
            source, target = made.buffer(step, group.pieces[0].tensor), made.buffer(step, group.output)
            start, end = source.end, source.end + target.size_bytes
            others = [b for b in made.buffers if b not in (source, target) and _together(b, target)]
            free = all(b.end <= start or end <= b.offset for b in others)
            if free and end <= device.sram_bytes and start % device.bank_bytes:
                return buffer(lambda b, target=target: b is target, offset=start)(case)
    return None


def share_dram(case: Case) -> Plan | None:
    """Two DRAM regions that live together at one address."""
    for i, a in enumerate(case[0].dram):
        for b in case[0].dram[:i]:
            if _together(a, b):
                return _spoil(case[0], "dram", lambda r, a=a: r is a, offset=b.offset)
    return None


def _together(a: Any, b: Any) -> bool:
    """Whether two buffers or two regions live at one step."""
    return bool(a.first_step <= b.last_step and b.first_step <= a.last_step)
