"""The SystemVerilog packages `sf_isa_pkg` and `sf_registers_pkg`, made from `isa.py` and `registers.py`.

`python -m sfopt_fpga.sv_package hw/rtl` writes both; a test compares.
"""

import sys
from collections.abc import Iterator, Mapping
from enum import IntEnum
from pathlib import Path

from sfopt_fpga.isa import (
    ENGINES,
    FORMATS,
    LOOP_BODY_WORDS,
    MEAN_CHANNELS,
    OPCODE_BITS,
    WORD_BITS,
    Axis,
    Binary,
    ComputeKind,
    Engine,
    Field,
    Format,
    Opcode,
)
from sfopt_fpga.registers import CONTROL, IDENTITY, REGISTERS, STATUS, ErrorCode

__all__ = ["PACKAGES", "isa_package", "registers_package", "write_packages"]

_ENUMS: Mapping[type[IntEnum], tuple[str, int]] = {
    Opcode: ("opcode", OPCODE_BITS),
    Engine: ("engine", 2),
    Axis: ("axis", 1),
    ComputeKind: ("kind", 3),
    Binary: ("binary", 2),
}


def isa_package() -> str:
    """Enumerations, and one packed structure of a whole word for each instruction format, its lowest field last."""
    body = [
        f"  localparam int WORD_BITS = {WORD_BITS};",
        f"  localparam int OPCODE_BITS = {OPCODE_BITS};",
        f"  localparam int LOOP_BODY_WORDS = {LOOP_BODY_WORDS};",
        f"  localparam int MEAN_CHANNELS = {MEAN_CHANNELS};",
    ]
    for enum, (name, bits) in _ENUMS.items():
        body += _enumeration(enum, name, bits)
    for fmt in FORMATS.values():
        body += _structure(fmt)
    return _package("sf_isa_pkg", "isa.py", body)


def registers_package() -> str:
    """Register offsets, bits and error codes."""
    body = [f"  localparam logic [31:0] IDENTITY = 32'h{IDENTITY:08x};"]
    body += [f"  localparam logic [7:0] REG_{r.name.upper()} = 8'h{r.offset:02x};" for r in REGISTERS]
    for prefix, bits in (("CONTROL", CONTROL), ("STATUS", STATUS)):
        body += [f"  localparam int {prefix}_{name.upper()} = {bit};" for name, bit in bits.items()]
    body += _enumeration(ErrorCode, "error", 8)
    return _package("sf_registers_pkg", "registers.py", body)


PACKAGES = {"sf_isa_pkg.sv": isa_package, "sf_registers_pkg.sv": registers_package}
"""File name -> what makes its text."""


def write_packages(directory: Path) -> None:
    """Write both files."""
    for name, text in PACKAGES.items():
        (directory / name).write_text(text())


def _package(name: str, source: str, body: list[str]) -> str:
    head = f"// Generated from {source} by `python -m sfopt_fpga.sv_package hw/rtl`. Do not edit."
    # Whoever imports the package uses a part of it.
    lint = "/* verilator lint_off UNUSEDPARAM */"
    return "\n".join((head, lint, f"package {name};", *body, "endpackage", lint.replace("_off", "_on"), ""))


def _enumeration(enum: type[IntEnum], name: str, bits: int) -> Iterator[str]:
    yield f"  typedef enum logic [{bits - 1}:0] {{"
    members = list(enum)
    for member in members:
        comma = "" if member is members[-1] else ","
        yield f"    {name.upper()}_{member.name} = {bits}'d{int(member)}{comma}"
    yield f"  }} sf_{name}_t;"


def _structure(fmt: Format) -> Iterator[str]:
    used = OPCODE_BITS + sum(f.bits for f in fmt.fields)
    engine = ENGINES.get(fmt.opcode)
    yield f"  // {fmt.doc}{f'; {engine.name.lower()} engine' if engine is not None else ''}"
    yield "  typedef struct packed {"
    if used < WORD_BITS:
        yield f"    logic [{WORD_BITS - used - 1}:0] unused;"
    for field in reversed(fmt.fields):
        yield f"    {_declaration(field)}"
    yield f"    logic [{OPCODE_BITS - 1}:0] opcode;"
    yield f"  }} sf_{fmt.opcode.name.lower()}_t;"


def _declaration(field: Field) -> str:
    width = f"[{field.bits - 1}:0] " if field.bits > 1 else ""
    return f"logic {'signed ' if field.signed else ''}{width}{_NAMES.get(field.name, field.name)};"


_NAMES = {"wait": "take", "signal": "give"}
"""Fields whose names are words of SystemVerilog."""

if __name__ == "__main__":
    write_packages(Path(sys.argv[1]))
