"""Why points are not covered: patterns of a TOML file, each of which must match something."""

import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from .points import Point

__all__ = ["Reason", "Sorted", "explain", "read_reasons"]


@dataclass(frozen=True)
class Reason:
    """A reason, and the points that it is for.

    `modules`: globs. `texts`: source lines, without what surrounds them, of blocks and branches; behind ` -> ` may stand the way
    out, `if` or `else`. `signals`: bits of toggles, as `signal_matches` reads them.
    """

    reason: str
    modules: tuple[str, ...]
    texts: tuple[str, ...] = ()
    signals: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sorted:
    """Uncovered points by reason, those without any, and (reason, pattern) of what matches nothing any more."""

    explained: Mapping[Reason, tuple[Point, ...]]
    unexplained: tuple[Point, ...]
    stale: tuple[tuple[Reason, str], ...]


def read_reasons(text: str) -> list[Reason]:
    """The tables `[[uncovered]]`. Raises ValueError for one that says too little or too much."""
    found = []
    for entry in tomllib.loads(text)["uncovered"]:
        if (
            set(entry) - {"reason", "modules", "texts", "signals"}
            or not entry.get("reason")
            or not entry.get("modules")
        ):
            raise ValueError(f"a reason has `reason`, `modules`, `texts` and `signals`: {entry}")
        fields = {name: tuple(entry.get(name, ())) for name in ("modules", "texts", "signals")}
        if not fields["texts"] and not fields["signals"]:
            raise ValueError(f"neither `texts` nor `signals`: {entry['reason']}")
        found.append(Reason(entry["reason"], **fields))
    return found


def explain(uncovered: Iterable[Point], reasons: Iterable[Reason], source: Callable[[str, int], str]) -> Sorted:
    """Give each point the first reason that matches it. `source`: the text of (module, line)."""
    known = list(reasons)
    explained: dict[Reason, list[Point]] = {reason: [] for reason in known}
    unexplained: list[Point] = []
    used: set[tuple[Reason, str]] = set()
    for point in uncovered:
        matches = [(r, pattern) for r in known for pattern in _matching(r, point, source)]
        used |= {*matches, *((r, glob) for r, _ in matches for glob in r.modules if fnmatchcase(point.module, glob))}
        (explained[matches[0][0]] if matches else unexplained).append(point)
    stale = [(r, p) for r in known for p in (*r.modules, *r.texts, *r.signals) if (r, p) not in used]
    return Sorted({r: tuple(points) for r, points in explained.items()}, tuple(unexplained), tuple(stale))


def _matching(reason: Reason, point: Point, source: Callable[[str, int], str]) -> list[str]:
    """Patterns of a reason that match."""
    if not any(fnmatchcase(point.module, glob) for glob in reason.modules):
        return []
    if point.kind == "toggle":
        return [pattern for pattern in reason.signals if signal_matches(pattern, point.signal)]
    text = source(point.module, point.line).strip()
    return [pattern for pattern in reason.texts if pattern in (text, f"{text} -> {point.what}")]


def signal_matches(pattern: str, signal: str) -> bool:
    """Whether `pattern` names this bit: a glob between the brackets, `*`, a number or `high:low` within them.

    Brackets that are left out at the end are any: `base` and `base[63:32]` match `base[40]`, `job.*` matches `job.x_base[3]`.
    """
    wanted, found = _parts(pattern), _parts(signal)
    return len(wanted) <= len(found) and all(map(_part_matches, wanted, found)) and _only_indices(found[len(wanted) :])


def _parts(signal: str) -> list[str]:
    return re.findall(r"\[[^\]]*\]|[^\[]+", signal)


def _only_indices(parts: Iterable[str]) -> bool:
    return all(part.startswith("[") for part in parts)


def _part_matches(pattern: str, part: str) -> bool:
    if not pattern.startswith("["):
        return fnmatchcase(part, pattern)
    if not part.startswith("["):
        return False
    if pattern == "[*]":
        return True
    high, _, low = pattern[1:-1].partition(":")
    return int(low or high) <= int(part[1:-1]) <= int(high)
