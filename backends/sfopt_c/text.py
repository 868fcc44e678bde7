"""C as text: names, numbers, initialisers."""

import re
from collections.abc import Iterable, Mapping

import numpy as np

__all__ = ["Value", "comment", "indented", "initialiser", "number_list", "real", "string"]

_NUMBERS_A_LINE = 32
Value = int | str | tuple[int, ...]


def comment(name: str) -> str:
    """A tensor's name inside a comment: what could end it, or is no ASCII, becomes `_`."""
    return re.sub(r"[^A-Za-z0-9_.:,+ -]|--+", "_", name)


def string(name: str) -> str:
    """A string literal; all but letters, digits and a few signs as octal escapes, so that no trigraph arises."""
    safe = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.:,+- "
    return '"' + "".join(chr(b) if b in safe else f"\\{b:03o}" for b in name.encode()) + '"'


def real(value: float) -> str:
    """A float32, exactly."""
    return f"{float(np.float32(value)).hex()}f"


def initialiser(values: Mapping[str, Value]) -> str:
    """Designated fields in braces; tuples are structs of their own."""
    parts = (f".{name} = {_braced(value) if isinstance(value, tuple) else value}" for name, value in values.items())
    return "{" + ", ".join(parts) + "}"


def number_list(data: bytes) -> str:
    """Bytes as int8 numbers, some on a line."""
    numbers = [str(v) for v in np.frombuffer(data, np.int8).tolist()]
    starts = range(0, len(numbers), _NUMBERS_A_LINE)
    return ",\n".join(",".join(numbers[i : i + _NUMBERS_A_LINE]) for i in starts)


def indented(lines: Iterable[str]) -> list[str]:
    """One level deeper."""
    return [f"    {line}" for line in lines]


def _braced(values: tuple[int, ...]) -> str:
    return "{" + ", ".join(map(str, values)) + "}"
