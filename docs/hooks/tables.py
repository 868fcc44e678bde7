"""Tables made from the code when the site is built: a line `<!-- table: NAME -->` of a page becomes the table of that name.

`python docs/hooks/tables.py NAME` prints one.
"""

import ast
import importlib
import inspect
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import griffe
import typer
from mkdocs.exceptions import PluginError

from sfopt.allocate import METHODS
from sfopt.cli import app
from sfopt.device import device_names, load_device
from sfopt.interval import COLUMNS
from sfopt.opset import supported_ops
from sfopt_fpga import program
from sfopt_fpga.isa_table import isa_table

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results"
SCRIPTS = {
    "networks": "benchmarks/named_networks.py",
    "pack": "benchmarks/pack_instances.py",
    "synthesis": "hw/synth/report.py",
}
"""Result -> script, where they are not called the same."""
MARKER = re.compile(r"<!-- table: (.*?) -->")


def table(header: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> str:
    """A Markdown table. Raises PluginError for a row that is longer or shorter than the header."""
    lines = [header, ("---",) * len(header), *rows]
    if any(len(line) != len(header) for line in lines):
        raise PluginError(f"a row of the table `{' | '.join(header)}` has another number of cells")
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def fields(path: str) -> str:
    """A class: its docstring, then the fields of a dataclass with the text beneath each, or the values of an enumeration."""
    module, _, name = path.rpartition(".")
    cls = _module(module)[name]
    members = [m for m in cls.attributes.values() if "property" not in m.labels]
    if any(m.annotation for m in members):
        header = ("field", "type", "meaning")
        rows = [(f"`{m.name}`", f"`{m.annotation}`", _text(m)) for m in members if m.annotation]
    else:
        header, rows = ("value",), [(f"`{str(m.value).strip(chr(39))}`",) for m in members]
    return f"{_text(cls)}\n\n{table(header, iter(rows))}"


@cache
def _module(name: str) -> Any:
    """A module as griffe reads it: this file alone."""
    source = inspect.getsource(importlib.import_module(name))
    return griffe.visit(name, Path(name), source)


def _text(member: Any) -> str:
    return " ".join(member.docstring.value.split()) if member.docstring else ""


def devices() -> str:
    """What ships with sfopt."""
    rows = (
        (
            f"`{d.name}`",
            f"{d.lanes_in} x {d.lanes_out}",
            f"{d.clock_hz / 1e6:.0f} MHz",
            f"{d.sram_bytes // 1024} KiB in {d.banks} banks",
            f"{d.dram_bytes_per_s / 1e9:.1f} GB/s",
            d.description,
        )
        for d in map(load_device, device_names())
    )
    return table(("name", "lanes", "clock", "scratchpad", "DRAM", "description"), rows)


def operators() -> str:
    """What the accelerator runs."""
    return table(("operators", "where", "as", "conditions"), iter(supported_ops()))


def methods() -> str:
    """The plan makers."""
    return table(("method", "what it does"), ((f"`{name}`", m.description) for name, m in METHODS.items()))


def scripts() -> str:
    """What writes which file of results. Raises PluginError where a file has no script."""
    written = {SCRIPTS.get(file.stem, f"benchmarks/{file.stem}.py"): file for file in sorted(RESULTS.glob("*.md"))}
    rows = list[tuple[str, ...]]()
    for script, file in written.items():
        if not (ROOT / script).is_file():
            raise PluginError(f"no script for `{file.name}`: `{script}` is not there")
        docstring = ast.get_docstring(ast.parse((ROOT / script).read_text(encoding="utf-8"))) or ""
        about = " ".join(docstring.split("\n\n")[0].split())
        rows.append((f"`{script}`", about, f"[{file.name}](../../{file.relative_to(ROOT).as_posix()})"))
    return table(("script", "what it measures", "result"), iter(rows))


def columns() -> str:
    """Of an interval file."""
    return "`" + ",".join(COLUMNS) + "`"


def program_file() -> str:
    """The layout of a program file, as its module has it."""
    text = inspect.getdoc(program) or ""
    return text[text.index("**DRAM.**") :].replace("::\n", ":\n")


def commands() -> str:
    """Every command of the command line, with its arguments and options."""
    group: Any = typer.main.get_command(app)
    return "\n".join(line for name, command in group.commands.items() for line in _command(name, command))


def _command(name: str, command: Any) -> Iterator[str]:
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option" and p.name != "help"]
    names = [p.name.upper() + "..." * (p.nargs < 0) for p in arguments]
    usage = " ".join([name, *(n if p.required else f"[{n}]" for n, p in zip(names, arguments, strict=True))])
    yield f"## {name}\n\n`sfopt {usage}`\n\n{command.help}\n"
    rows = [(f"`{n}`", p.help or "", "") for n, p in zip(names, arguments, strict=True)]
    rows += [(" ".join(f"`{o}`" for o in p.opts), p.help or "", _default(p)) for p in options]
    if rows:
        yield table(("", "meaning", "default"), iter(rows)) + "\n"


def _default(option: Any) -> str:
    return "" if option.default is None or option.is_flag else f"`{option.default}`"


TABLES: Mapping[str, Callable[[], str]] = {
    "columns": columns,
    "commands": commands,
    "devices": devices,
    "isa": isa_table,
    "methods": methods,
    "operators": operators,
    "program": program_file,
    "scripts": scripts,
}


def made(name: str) -> str:
    """The table of that name; `fields PATH` is that of a class."""
    kind, _, path = name.partition(" ")
    if kind == "fields":
        return fields(path)
    if name not in TABLES:
        raise PluginError(f"no table `{name}`; known: {', '.join(TABLES)}, fields PATH")
    return TABLES[name]()


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put them in."""
    return MARKER.sub(lambda m: made(m[1]), markdown)


if __name__ == "__main__":
    print(made(" ".join(sys.argv[1:])))
