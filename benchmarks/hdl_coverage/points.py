"""Points of `coverage.dat` files and how often each was hit, whatever instance, parameters and build it was in."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

__all__ = ["Coverage", "Point"]

KINDS = ("line", "branch", "toggle")


@dataclass(frozen=True, order=True)
class Point:
    """A block of statements (`line`), one way out of a branch (`branch`), or a bit that rises or falls (`toggle`).

    `what`: `if`, `else`, `case`, `block`, or a toggle's signal with its direction, `sum[3]:0->1`. `lines`: those that the block
    consists of; none for toggles and for an `else` that is not written.
    """

    module: str
    line: int
    column: int
    kind: str
    what: str
    lines: tuple[int, ...] = ()

    @cached_property
    def signal(self) -> str:
        """The bit of a toggle."""
        return self.what.rpartition(":")[0]


class Coverage:
    """Counts of points, merged over all files: a point is covered when it was hit in any instance of any build.

    Hierarchy and parameters are no part of a point. So what a generate loop makes is one point for all its turns, and a bit that
    only a wider build of a module has is a point of its own.
    """

    def __init__(self, modules: Iterable[str]) -> None:
        self.modules = sorted(modules)
        self.hits = Counter[Point]()
        self._known: dict[str, Point | None] = {}
        """Points by the text that they have in files: most of it comes again in every file."""

    def add(self, text: str) -> None:
        """The contents of one file. Raises ValueError for a line that is not a point."""
        for line in text.splitlines():
            if line.startswith("#"):
                continue
            key, _, count = line.rpartition(" ")
            if key not in self._known:
                self._known[key] = self._point(key)
            point = self._known[key]
            if point is not None:
                self.hits[point] += int(count)

    def _point(self, key: str) -> Point | None:
        """None for a point outside of the modules: a bench's own."""
        if not (key.startswith("C '") and key.endswith("'")):
            raise ValueError(f"not a coverage point: {key[:80]!r}")
        fields = dict(field.split("\x02", 1) for field in key[3:-1].split("\x01") if field)
        module = Path(fields["f"]).stem
        if module not in self.modules:
            return None
        kind = fields["t"]
        if kind not in KINDS:
            raise ValueError(f"coverage of kind `{kind}`")
        return Point(module, int(fields["l"]), int(fields["n"]), kind, fields["o"], _numbers(fields.get("S", "")))

    def points(self, module: str, *kinds: str) -> list[Point]:
        """In order of the source."""
        return sorted(p for p in self.hits if p.module == module and p.kind in kinds)

    def lines(self, module: str) -> tuple[int, int]:
        """(covered, all): lines with statements. A line is covered when every block that has statements on it was run."""
        seen: dict[int, bool] = {}
        for point in self.points(module, "line", "branch"):
            for line in point.lines:
                seen[line] = seen.get(line, True) and self.hits[point] > 0
        return sum(seen.values()), len(seen)

    def covered(self, module: str, kind: str) -> tuple[int, int]:
        """(covered, all) points of a kind."""
        points = self.points(module, kind)
        return sum(self.hits[p] > 0 for p in points), len(points)

    def uncovered(self) -> list[Point]:
        """All that nothing hit."""
        return sorted(p for p, hits in self.hits.items() if not hits)


def _numbers(ranges: str) -> tuple[int, ...]:
    """`3-5,7` -> 3, 4, 5, 7."""
    ends = [part.split("-") for part in ranges.split(",") if part]
    return tuple(n for part in ends for n in range(int(part[0]), int(part[-1]) + 1))
