"""Program -> text: one line per instruction with its fields that are not 0, loops indented, tensors named."""

from enum import IntEnum
from typing import Final

from sfopt.errors import ProgramError
from sfopt_fpga.isa import Axis, Binary, ComputeKind, Engine, Opcode, decode
from sfopt_fpga.program import Program

__all__ = ["disassemble"]

_NAMED: Final[dict[str, type[IntEnum]]] = {"axis": Axis, "binary": Binary, "engine": Engine, "kind": ComputeKind}


def disassemble(program: Program) -> str:
    """The program as text. An illegal word becomes a line that says so: this never raises for a Program."""
    lines = [
        f"; device {program.device.name} {program.device.fingerprint()}",
        f"; {len(program.words)} instructions",
        f"; {len(program.constants)} bytes of constants at {program.constants_base:#x}",
        f"; feature maps from {program.feature_base:#x}",
    ]
    ends: list[int] = []
    for index, word in enumerate(program.words):
        ends = [end for end in ends if index < end]
        indent = "  " * len(ends)
        try:
            opcode, values = decode(word)
        except ProgramError as error:
            lines.append(f"{index:6} {indent}; {error}: {word.hex()}")
            continue
        if opcode is Opcode.LOOP:
            ends.append(index + 1 + values["body"])
        line = f"{index:6} {indent}{opcode.name} {_fields(values)}".rstrip()
        comment = _comment(program, index, opcode, values)
        lines.append(f"{line}  ; {comment}" if comment else line)
    return "\n".join(lines) + "\n"


def _fields(values: dict[str, int]) -> str:
    return " ".join(f"{name}={_value(name, value)}" for name, value in values.items() if value or name in _NAMED)


def _value(name: str, value: int) -> str:
    if name == "dram":
        return f"{value:#x}"
    if name in _NAMED and value in tuple(_NAMED[name]):
        return _NAMED[name](value).name.lower()
    return str(value)


def _comment(program: Program, index: int, opcode: Opcode, values: dict[str, int]) -> str:
    if opcode in (Opcode.LOAD, Opcode.STORE):
        alive = (r for r in program.regions if r.first_word <= index <= r.last_word)
        return next((r.name for r in alive if r.offset <= values["dram"] < r.end), "")
    if opcode is Opcode.COMPUTE:
        return ", ".join(t.tensor for t in program.trace if t.word == index)
    if opcode is Opcode.HOST and values["index"] < len(program.host):
        return program.host[values["index"]].label
    return ""
