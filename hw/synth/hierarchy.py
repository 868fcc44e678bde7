"""The modules of an elaborated design, each variant once: RTLIL text cut into modules, and equal ones found.

Yosys keeps a module for every instance. Two instances are one variant if their texts are equal, names that yosys made up and
source positions apart, and their submodules are the same variants: the variant is named after the module and a hash of that text.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from yosys import run_yosys

__all__ = ["APART", "Design", "Variant", "elaborate"]

MODULE = re.compile(r"^module (\S+)\n(.*?)^end$", re.MULTILINE | re.DOTALL)
CELL = re.compile(r"^  cell (\\\S+) (\S+)$", re.MULTILINE)
PORT = re.compile(r"^  wire .*?\b(?:input|output) \d+.*$", re.MULTILINE)
MADE_UP = re.compile(r"\$\S*?\$\d+\S*|\$\d+")  # names that count what came before
REGISTER = re.compile(r"^  cell \$(?:\w*dff\w*|mem\w*) |^  memory ", re.MULTILINE)


APART = "apart_"
"""Before the name of a variant where it stands as a black box."""


@dataclass
class Variant:
    """A module with its parameters: its text, in which submodules are named by variant, and how often it has each."""

    module: str
    name: str
    text: str
    children: Counter[str]
    registers: bool
    places: list[str] = field(default_factory=list)

    @property
    def stub(self) -> str:
        """The module as a black box."""
        ports = "\n".join(PORT.findall(self.text))
        return f"attribute \\blackbox 1\nmodule \\{APART}{self.name}\n{ports}\nend\n"


@dataclass(frozen=True)
class Design:
    """The variants below `top`, a name in `variants`."""

    top: str
    variants: dict[str, Variant]

    def apart(self) -> list[Variant]:
        """The variants that are mapped each for itself: all that have registers somewhere; submodules come first."""
        return [v for v in self.variants.values() if v.registers or v.name == self.top]

    def instances(self) -> dict[str, int]:
        """How many instances of each variant the whole design has."""
        count = dict.fromkeys(self.variants, 0)
        count[self.top] = 1
        for name in reversed(self.variants):  # parents first
            for child, times in self.variants[name].children.items():
                count[child] += times * count[name]
        return count

    def source(self, names: Iterable[str]) -> str:
        """RTLIL of variants, with what they are mapped with: submodules without registers whole, the others as black boxes."""
        return "".join(dict.fromkeys(text for name in names for text in self._source(name)))

    def _source(self, name: str) -> Iterator[str]:
        variant = self.variants[name]
        apart = {child for child in variant.children if self.variants[child].registers}
        text = CELL.sub(lambda m: f"  cell \\{APART}{m[1][1:]} {m[2]}" if m[1][1:] in apart else m[0], variant.text)
        yield f"module \\{name}\n{text}end\n"
        for child in variant.children:
            if child in apart:
                yield self.variants[child].stub
            else:
                yield from self._source(child)


def elaborate(folder: Path, top: str, parameters: Mapping[str, int]) -> Design:
    """Module `top` of `folder/rtl` with these parameters."""
    values = [f"-G{name}={value}" for name, value in parameters.items()]
    file = "-".join([top, *map(str, parameters.values())])
    # A function of all lanes is a long loop; files say some things before they are declared, which Verilator and slang judge
    # differently.
    options = "--threads 1 --keep-hierarchy --unroll-limit 10000000 --allow-use-before-declare"
    read = f"read_slang {options} --top {top} {' '.join(values)} -y rtl -F rtl/packages.f rtl/{top}.sv"
    run_yosys(folder, file, [read, f"write_rtlil {file}.il"])
    return cut((folder / f"{file}.il").read_text(), top)


def cut(text: str, top: str) -> Design:
    """The design in a file of RTLIL."""
    bodies = {match[1]: match[2] for match in MODULE.finditer(text)}
    variants: dict[str, Variant] = {}
    of: dict[str, str] = {}

    def visit(place: str) -> str:
        if place in of:
            return of[place]
        children: Counter[str] = Counter()
        numbers: dict[str, str] = {}
        lines = []
        for line in bodies[place].splitlines():
            if line.lstrip().startswith(("attribute \\src ", "attribute \\hdlname ")):
                continue
            cell, kept = CELL.match(line), line
            if cell and cell[1] in bodies:
                child = visit(cell[1])
                children[child] += 1
                kept = f"  cell \\{child} {cell[2]}"
            lines.append(MADE_UP.sub(lambda m: numbers.setdefault(m[0], f"$n${len(numbers)}"), kept))
        body = "\n".join(lines) + "\n"
        module = place.removeprefix("\\").split("$")[0]
        name = f"{module}__{hashlib.sha256(body.encode()).hexdigest()[:12]}"
        if name not in variants:
            registers = bool(REGISTER.search(body)) or any(variants[c].registers for c in children)
            variants[name] = Variant(module, name, body, children, registers)
        variants[name].places.append(place.partition("$")[2] or module)
        of[place] = name
        return name

    return Design(visit(f"\\{top}"), variants)
