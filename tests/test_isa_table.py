"""docs/machine.md shows the instruction set as it is. `python tests/test_isa_table.py` rewrites it."""

from pathlib import Path

from sfopt_fpga.isa import FORMATS, LOOP_BODY_WORDS, WORD_BITS
from sfopt_fpga.isa_table import isa_table

PAGE = Path(__file__).parents[1] / "docs" / "machine.md"
OPEN, CLOSE = "<!-- isa_table -->\n", "<!-- /isa_table -->"


def parts(text: str) -> tuple[str, str, str]:
    before, _, rest = text.partition(OPEN)
    table, _, after = rest.partition(CLOSE)
    return before, table, after


def test_page_has_the_table_of_the_instruction_set() -> None:
    assert parts(PAGE.read_text(encoding="utf-8"))[1].strip() == isa_table().strip()


def test_page_has_the_size_of_the_loop_buffer() -> None:
    assert f"a buffer of {LOOP_BODY_WORDS} words" in PAGE.read_text(encoding="utf-8")


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


if __name__ == "__main__":
    before, _, after = parts(PAGE.read_text(encoding="utf-8"))
    PAGE.write_text(f"{before}{OPEN}\n{isa_table().strip()}\n\n{CLOSE}{after}", encoding="utf-8")
