"""Sizes: what people may write, and what reports print."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfopt.errors import UsageError
from sfopt.units import MAX_COUNT, format_bytes, parse_size, parse_sizes


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [
        ("65536", 65536),
        ("256K", 262_144),
        ("256k", 262_144),
        ("1M", 1_048_576),
        ("6MiB", 6_291_456),
        ("6 MiB", 6_291_456),
        ("1.5M", 1_572_864),
        ("2G", 2_147_483_648),
        ("17B", 17),
        (" 8KB ", 8192),
    ],
)
def test_parse_size(text, size_bytes):
    assert parse_size(text) == size_bytes


@pytest.mark.parametrize("text", ["", "K", "-1K", "1T", "256 K B", "1e6", "0x10", "one", "1..5M"])
def test_parse_size_names_what_it_cannot_read(text):
    with pytest.raises(UsageError, match="is not a number with an optional K, M or G"):
        parse_size(text)


@pytest.mark.parametrize("text", ["0", "0K", "0.3", "0.0001K"])
def test_parse_size_wants_whole_positive_bytes(text):
    with pytest.raises(UsageError, match="needs a whole number above 0"):
        parse_size(text)


@pytest.mark.parametrize(
    ("text", "kib"),
    [
        ("512K", [512]),
        ("6M,256K,512K", [256, 512, 6144]),
        ("256K:8M", [256, 512, 1024, 2048, 4096, 8192]),
        ("300K:1M", [300, 600, 1024]),
        ("1M:1M", [1024]),
        ("256K:1M:5", [256, 362, 512, 724, 1024]),
        ("1K:1000K:4", [1, 10, 100, 1000]),
        ("256K:1M,512K, 6M", [256, 512, 1024, 6144]),
    ],
)
def test_parse_sizes(text, kib):
    assert parse_sizes(text) == tuple(size << 10 for size in kib)


def test_sizes_that_are_not_whole_kib_are_spaced_in_bytes():
    assert parse_sizes("100:10000:3") == (100, 1000, 10000)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is not a number"),
        ("256K,", "is not a number"),
        ("256K:", "is not a number"),
        (":8M", "is not a number"),
        ("8M:256K", "`8M:256K` ends below its start"),
        ("256K:8M:1", "COUNT from 2 to 1000"),
        ("256K:8M:1001", "COUNT from 2 to 1000"),
        ("256K:8M:many", "COUNT from 2 to 1000"),
        ("256K:8M:3:4", "`256K:8M:3:4` is not FROM:TO"),
        ("0:8M", "whole number above 0"),
    ],
)
def test_parse_sizes_names_what_it_cannot_read(text, reason):
    with pytest.raises(UsageError, match=reason):
        parse_sizes(text)


@given(st.integers(1, 1 << 33), st.integers(0, 1 << 33), st.integers(2, MAX_COUNT))
def test_a_range_keeps_its_ends_and_its_order(start_bytes, more_bytes, count):
    stop_bytes = start_bytes + more_bytes
    for text in (f"{start_bytes}:{stop_bytes}", f"{start_bytes}:{stop_bytes}:{count}"):
        sizes = parse_sizes(text)
        assert (sizes[0], sizes[-1]) == (start_bytes, stop_bytes)
        assert list(sizes) == sorted(set(sizes))
        assert len(sizes) <= max(count, 35)


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (501_760, "490.0 KiB"),
        (1_048_575, "1.0 MiB"),
        (6_291_456, "6.0 MiB"),
        (3 << 30, "3.0 GiB"),
        (5 << 40, "5.0 TiB"),
        (-2048, "-2.0 KiB"),
    ],
)
def test_format_bytes(size_bytes, text):
    assert format_bytes(size_bytes) == text


@given(st.integers(1, 1 << 44))
def test_a_printed_size_reads_back_within_its_last_decimal(size_bytes):
    text = format_bytes(size_bytes)
    number, unit = text.split()
    scale_bytes = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}[unit]
    assert abs(float(number) * scale_bytes - size_bytes) <= 0.0501 * scale_bytes


@given(st.integers(1, 1 << 40))
def test_plain_bytes_read_back(size_bytes):
    assert parse_size(str(size_bytes)) == size_bytes
