"""The table of the instruction set, which docs/isa.md gets when the site is built, and what docs/machine.md says of it."""

from pathlib import Path

from sfopt_fpga.isa import FORMATS, LOOP_BODY_WORDS, WORD_BITS
from sfopt_fpga.isa_table import isa_table

DOCS = Path(__file__).parents[1] / "docs"


def test_page_asks_for_the_table() -> None:
    assert "<!-- table: isa -->" in (DOCS / "isa.md").read_text(encoding="utf-8")


def test_page_has_the_size_of_the_loop_buffer() -> None:
    assert f"a buffer of {LOOP_BODY_WORDS} words" in (DOCS / "machine.md").read_text(encoding="utf-8")


def test_table_has_every_instruction_and_field() -> None:
    table = isa_table()
    for fmt in FORMATS.values():
        assert f"**{fmt.opcode.name}** (opcode {int(fmt.opcode)})" in table
        assert all(f"`{field.name}` | {field.doc}" in table for field in fmt.fields)
    tops = [
        int(line.split(":")[0].strip("| "))
        for line in table.splitlines()
        if line.startswith("| ") and line[2].isdigit()
    ]
    assert max(tops) < WORD_BITS
