"""hw/README.md shows registers, errors and instructions as they are. `python tests/test_hw_readme.py` rewrites it."""

import re
from pathlib import Path

from sfopt_fpga.isa_table import isa_table
from sfopt_fpga.register_table import error_table, register_table
from sfopt_fpga.registers import REGISTERS, ErrorCode
from sfopt_fpga.sv_package import PACKAGES

HW = Path(__file__).parents[1] / "hw"
README = HW / "README.md"
TABLES = {"register_table": register_table, "error_table": error_table, "isa_table": isa_table}


def updated(page: str) -> str:
    for name, table in TABLES.items():
        block = f"<!-- {name} -->\n\n{table().strip()}\n\n<!-- /{name} -->"
        page, count = re.subn(f"<!-- {name} -->.*?<!-- /{name} -->", lambda _, b=block: b, page, flags=re.DOTALL)
        assert count == 1
    return page


def test_the_page_is_up_to_date() -> None:
    page = README.read_text(encoding="utf-8")
    assert page == updated(page)


def test_every_register_and_error_is_there() -> None:
    page = README.read_text(encoding="utf-8")
    assert all(f"`{r.name}`" in page for r in REGISTERS)
    assert all(f"| {int(code)} | {code.name} |" in page for code in ErrorCode if code)


def test_registers_do_not_overlap() -> None:
    offsets = [r.offset + 4 * i for r in REGISTERS for i in range(r.words)]
    assert len(offsets) == len(set(offsets))
    assert all(offset % 4 == 0 for offset in offsets)


def test_the_generated_packages_are_up_to_date() -> None:
    for name, text in PACKAGES.items():
        assert (HW / "rtl" / name).read_text(encoding="utf-8") == text(), name


if __name__ == "__main__":
    README.write_text(updated(README.read_text(encoding="utf-8")), encoding="utf-8")
