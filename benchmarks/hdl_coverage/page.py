"""The page of `benchmarks/rtl_coverage.py`."""

from collections.abc import Callable, Iterable, Sequence
from itertools import groupby

from .points import Coverage, Point
from .reasons import Sorted

__all__ = ["compressed", "page"]

HOW_COUNTED = """\
Points are merged over all instances and all builds, by file, line and name: one counts as covered when it was hit in any instance,
in whichever test. So what a generate loop makes is one point for all its turns, and a bit or a generate branch that only some
parameters give is counted where at least one of the builds above has it. A line is covered when every block of statements on it
was run; a branch is one way out of an `if` or `?:`, also where no `else` is written. A toggle is one bit that rises, or falls;
Verilator leaves out signals of more than 256 bits, arrays that are not packed, and constants. Packages have no points: Verilator
counts nothing in their functions. State machines are not covered: `--coverage`, which asks for them too, makes Verilator 5.48 fail
on this RTL."""


def page(
    coverage: Coverage, found: Sorted, runs: Iterable[str], source: Callable[[str, int], str], machine: str
) -> str:
    """Markdown: how it was measured, figures by module, reasons with what they are for, what has none."""
    lines = [f"Coverage of the RTL by its tests. Measured on {machine}, with Verilator, from these tests:", ""]
    lines += [f"- `{run}`" for run in runs]
    lines += [
        "",
        HOW_COUNTED,
        "",
        "| module | lines | branches | toggles | without a reason |",
        "|---|---|---|---|---|",
    ]
    for module in coverage.modules:
        figures = figures_of(coverage, module)
        if not any(whole for _, whole in figures):
            continue
        bare = sum(p.module == module for p in found.unexplained)
        lines.append(f"| `{module}` | {' | '.join(map(_share, figures))} | {bare} |")
    totals = [tuple(map(sum, zip(*column, strict=True))) for column in zip(*_all_figures(coverage), strict=True)]
    lines.append(f"| all | {' | '.join(map(_share, totals))} | {len(found.unexplained)} |")
    bare = [m for m in coverage.modules if not any(whole for _, whole in figures_of(coverage, m))]
    lines += [
        "",
        f"Without any point: {', '.join(f'`{m}`' for m in bare)}." if bare else "",
        "",
        "## Not covered, and why",
        "",
    ]
    for reason, points in found.explained.items():
        lines += [f"- {reason.reason} ({_amount(points)})", *(f"  - {text}" for text in _places(points, source))]
    lines += ["", "## Not covered, without a reason", ""]
    lines += [f"- {text}" for text in _places(found.unexplained, source)] or ["Nothing."]
    return "\n".join([*lines, ""])


def figures_of(coverage: Coverage, module: str) -> list[tuple[int, int]]:
    """(covered, all) of lines, branches and toggles."""
    return [coverage.lines(module), coverage.covered(module, "branch"), coverage.covered(module, "toggle")]


def _all_figures(coverage: Coverage) -> list[list[tuple[int, int]]]:
    return [figures_of(coverage, module) for module in coverage.modules]


def _share(figures: Sequence[int]) -> str:
    covered, whole = figures
    return f"{covered} / {whole} ({int(1000 * covered / whole) / 10:.1f} %)" if whole else "-"


def _amount(points: Sequence[Point]) -> str:
    blocks = sum(p.kind != "toggle" for p in points)
    parts = [(blocks, "blocks and branches"), (len(points) - blocks, "toggles")]
    return ", ".join(f"{count} {name}" for count, name in parts if count)


def _places(points: Sequence[Point], source: Callable[[str, int], str]) -> list[str]:
    """One text for each module's signals, and one for each block."""
    texts = []
    for module, group in groupby(sorted(points), lambda p: p.module):
        mine = list(group)
        texts += [f"`{module}`: `{source(module, p.line).strip()}` -> {p.what}" for p in mine if p.kind != "toggle"]
        signals = compressed([p for p in mine if p.kind == "toggle"])
        if signals:
            texts.append(f"`{module}`: {', '.join(f'`{s}`' for s in signals)}")
    return texts


def compressed(points: Iterable[Point]) -> list[str]:
    """Bits that stand beside each other as one, `sum[7:3]`; behind it the direction where only one is meant."""
    directions: dict[str, set[str]] = {}
    for point in points:
        directions.setdefault(point.signal, set()).add(point.what.rpartition(":")[2])
    bits: dict[tuple[str, str], list[int]] = {}
    for signal, ways in directions.items():
        name, bracket, index = signal.removesuffix("]").rpartition("[") if signal.endswith("]") else (signal, "", "")
        way = "" if len(ways) > 1 else f" {next(iter(ways))}"
        bits.setdefault((name or signal, way), []).extend([int(index)] if bracket else [])
    return [text for (name, way), indices in bits.items() for text in _ranges(name, sorted(indices), way)]


def _ranges(name: str, indices: Sequence[int], way: str) -> list[str]:
    if not indices:
        return [name + way]
    runs = [[i for _, i in run] for _, run in groupby(enumerate(indices), lambda pair: pair[1] - pair[0])]
    return [f"{name}[{run[-1]}{f':{run[0]}' if len(run) > 1 else ''}]{way}" for run in runs]
