"""Sizes in bytes, as people write them and as reports print them. Prefixes are binary: K and KiB are 1024."""

import re

from sfopt.errors import UsageError

__all__ = ["MAX_COUNT", "format_bytes", "parse_size", "parse_sizes"]

MAX_COUNT = 1000
"""Most sizes that one range may ask for."""

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


def parse_sizes(text: str) -> tuple[int, ...]:
    """Bytes of every size in a list such as `256K:8M` or `64K,256K:2M:4,6MiB`: ascending, each once.

    `A:B` is A doubled until it reaches B, and B; `A:B:N` is N sizes from A to B with equal ratios, rounded to whole KiB where A and
    B are. Raises UsageError for an item that is neither a size nor such a range.
    """
    return tuple(sorted({size for item in text.split(",") for size in _sizes_of(item)}))


def _sizes_of(item: str) -> list[int]:
    first, *rest = item.split(":")
    start_bytes = parse_size(first)
    if not rest:
        return [start_bytes]
    stop_bytes = parse_size(rest[0])
    if stop_bytes < start_bytes:
        raise UsageError(f"size range `{item}` ends below its start")
    if len(rest) == 1:
        doublings = (stop_bytes // start_bytes).bit_length()
        return [*(start_bytes << i for i in range(doublings)), stop_bytes]
    if len(rest) > 2 or not re.fullmatch(r"\d{1,4}", rest[1]) or not 2 <= int(rest[1]) <= MAX_COUNT:
        raise UsageError(f"size range `{item}` is not FROM:TO or FROM:TO:COUNT with a COUNT from 2 to {MAX_COUNT}")
    last, ratio = int(rest[1]) - 1, stop_bytes / start_bytes
    unit_bytes = 1 << 10 if start_bytes % 1024 == stop_bytes % 1024 == 0 else 1
    return [round(start_bytes * ratio ** (i / last) / unit_bytes) * unit_bytes for i in range(last + 1)]


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
