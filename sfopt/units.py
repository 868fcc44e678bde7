"""Sizes in bytes, as people write them and as reports print them. Prefixes are binary: K and KiB are 1024."""

import re

from sfopt.errors import UsageError

__all__ = ["format_bytes", "parse_size"]

_UNIT_BYTES = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMG]?)(?:i?B)?", re.IGNORECASE)


def parse_size(text: str) -> int:
    """Bytes of a size such as `256K`, `1M`, `6MiB`, `1.5 MiB` or `65536`.

    Raises UsageError for anything else, and for sizes that are not a whole, positive number of bytes.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"size `{text}` is not a number with an optional K, M or G, such as 256K or 6MiB")
    number, unit = match.groups()
    size_bytes = float(number) * _UNIT_BYTES[unit.upper()] if "." in number else int(number) * _UNIT_BYTES[unit.upper()]
    if size_bytes != int(size_bytes) or size_bytes <= 0:
        raise UsageError(f"size `{text}` is {size_bytes:g} bytes, needs a whole number above 0")
    return int(size_bytes)


def format_bytes(size_bytes: int) -> str:
    """`size_bytes` with one decimal in the largest binary unit below it (`490.0 KiB`); whole bytes below 1 KiB (`17 B`)."""
    if abs(size_bytes) < 1 << 10:
        return f"{size_bytes} B"
    size, unit = size_bytes / (1 << 10), "KiB"
    for larger in ("MiB", "GiB", "TiB"):
        if round(abs(size), 1) < 1 << 10:
            break
        size, unit = size / (1 << 10), larger
    return f"{size:.1f} {unit}"
