"""The registers and error codes as Markdown tables, for hw/README.md."""

import inspect
import re
from collections.abc import Iterator

from sfopt_fpga.registers import REGISTERS, ErrorCode

__all__ = ["error_table", "register_table"]


def register_table() -> str:
    """One row for each register."""
    lines = ["| offset | register | access | meaning |", "|---|---|---|---|"]
    for r in REGISTERS:
        last = f"..{r.offset + 4 * r.words - 1:#04x}" if r.words > 1 else ""
        lines.append(f"| {r.offset:#04x}{last} | `{r.name}` | {r.access} | {r.doc} |")
    return "\n".join(lines)


def error_table() -> str:
    """One row for each error code, with the text beneath it in `registers.py`."""
    meanings = dict(_meanings())
    rows = [f"| {int(code)} | {code.name} | {meanings[code.name]} |" for code in ErrorCode if code]
    return "\n".join(["| code | error | meaning |", "|---|---|---|", *rows])


def _meanings() -> Iterator[tuple[str, str]]:
    source = inspect.getsource(ErrorCode)
    for name, text in re.findall(r'(\w+) = \d+\n\s+"""(.*?)"""', source, re.DOTALL):
        yield name, " ".join(text.split())
