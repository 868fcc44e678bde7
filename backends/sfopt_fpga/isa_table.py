"""The instruction set as a Markdown table, for docs/isa.md and hw/README.md."""

from collections.abc import Iterator

from sfopt_fpga.isa import FORMATS, OPCODE_BITS, Format

__all__ = ["isa_table"]


def isa_table() -> str:
    """One table for each instruction, fields lowest bit first; LOAD and STORE share one."""
    shared: dict[object, list[Format]] = {}
    for fmt in FORMATS.values():
        shared.setdefault(fmt.fields or fmt.opcode, []).append(fmt)
    return "\n".join(line for formats in shared.values() for line in _section(formats))


def _section(formats: list[Format]) -> Iterator[str]:
    for fmt in formats:
        yield f"**{fmt.opcode.name}** (opcode {int(fmt.opcode)}): {fmt.doc}.\n"
    at = OPCODE_BITS
    for index, field in enumerate(formats[0].fields):
        if index == 0:
            yield "| bits | field | meaning |\n|---|---|---|"
        sign = ", signed" if field.signed else ""
        yield f"| {at + field.bits - 1}:{at} | `{field.name}` | {field.doc}{sign} |"
        at += field.bits
    if formats[0].fields:
        yield ""
