"""The accelerator that a plan is made for: lanes, scratchpad banks, DRAM and clock, read from a TOML file.

The files that ship with sfopt are in `sfopt/devices/`; each figure there names where it comes from under `[sources]`.
"""

import hashlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Self

from sfopt.errors import DeviceError
from sfopt.units import format_bytes

__all__ = ["Device", "device_names", "load_device"]


@dataclass(frozen=True)
class Device:
    """One accelerator on one board. Construction raises DeviceError for a figure that cannot be."""

    name: str
    description: str
    lanes_in: int
    """Input channels that the MAC array multiplies in one cycle, and bytes of a scratchpad word: a power of two."""
    lanes_out: int
    """Output channels that the MAC array sums in one cycle: a power of two."""
    clock_hz: int
    banks: int
    """Scratchpad banks, each with one read and one write port."""
    bank_bytes: int
    """Bytes of one bank: a multiple of `lanes_in`."""
    accumulator_pixels: int
    """Output pixels whose int32 partial sums the MAC array keeps for each output lane."""
    dram_bytes_per_s: int
    """Peak bandwidth of the one DRAM channel that the design uses."""
    dram_latency_cycles: int
    """Cycles of the accelerator's clock from a DRAM request to its first word."""
    dram_word_bytes: int
    """Bytes of one beat on the accelerator's DRAM port: a power of two."""
    dsp: int | None = None
    """DSP slices of the chip."""
    block_ram_bits: int | None = None
    """Block RAM and UltraRAM of the chip, in bits."""
    sources: Mapping[str, str] = field(default_factory=dict, compare=False, hash=False)
    """Field name -> where its figure comes from."""

    def __post_init__(self) -> None:
        for key in _COUNTS:
            value = getattr(self, key)
            if value is None and key in _OPTIONAL:
                continue
            if type(value) is not int:
                raise DeviceError(f"device `{self.name}`: `{key}` is {value!r}, needs an integer")
            if value <= 0:
                raise DeviceError(f"device `{self.name}`: `{key}` is {value}, needs to be above 0")
        for key in ("lanes_in", "lanes_out", "dram_word_bytes"):
            value = getattr(self, key)
            if value.bit_count() != 1:
                raise DeviceError(f"device `{self.name}`: `{key}` is {value}, needs a power of two")
        if self.bank_bytes % self.lanes_in:
            raise DeviceError(
                f"device `{self.name}`: `bank_bytes` is {self.bank_bytes}, needs a multiple of `lanes_in` = {self.lanes_in}"
            )
        port_bytes_per_s = self.dram_word_bytes * self.clock_hz
        if self.dram_bytes_per_s > port_bytes_per_s:
            raise DeviceError(
                f"device `{self.name}`: `dram_bytes_per_s` is {self.dram_bytes_per_s}, "
                f"`dram_word_bytes` x `clock_hz` carries {port_bytes_per_s}"
            )

    @property
    def sram_bytes(self) -> int:
        """Bytes of the whole scratchpad."""
        return self.banks * self.bank_bytes

    @property
    def word_bytes(self) -> int:
        """Bytes of one scratchpad word: one pixel, one block of channels."""
        return self.lanes_in

    @property
    def words(self) -> int:
        """Words of the whole scratchpad."""
        return self.sram_bytes // self.word_bytes

    def fingerprint(self) -> str:
        """SHA-256, in hexadecimal, of the figures that plans and programs depend on: no names, texts or chip totals."""
        figures = {key: getattr(self, key) for key in _COUNTS if key not in _OPTIONAL}
        return hashlib.sha256(json.dumps(figures, sort_keys=True, separators=(",", ":")).encode()).hexdigest()

    def with_sram(self, size_bytes: int) -> Self:
        """This device with a scratchpad of at most `size_bytes`: as many banks, each rounded down to whole words.

        Raises DeviceError when a bank would be smaller than one word.
        """
        bank_bytes = size_bytes // self.banks // self.word_bytes * self.word_bytes
        if bank_bytes <= 0:
            needed_bytes = self.banks * self.word_bytes
            raise DeviceError(
                f"device `{self.name}`: a scratchpad of {format_bytes(size_bytes)} is too small, "
                f"{self.banks} banks of one {self.word_bytes} B word need {format_bytes(needed_bytes)}"
            )
        return replace(self, bank_bytes=bank_bytes, sources={**self.sources, "bank_bytes": "scratchpad size asked for"})

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON values; unknown chip totals are left out."""
        raw = asdict(replace(self, sources={})) | {"sources": dict(self.sources)}
        return {key: value for key, value in raw.items() if value is not None}

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any], origin: str = "device") -> Self:
        """Inverse of `to_dict`; raises DeviceError naming `origin`, the key that is unknown, missing or of a wrong type."""
        _check_keys(raw, origin)
        try:
            return cls(**raw)
        except DeviceError as error:
            raise DeviceError(f"{origin}: {error}") from None


_TEXTS = ("name", "description")
_OPTIONAL = ("dsp", "block_ram_bits")
_COUNTS = tuple(f.name for f in fields(Device) if f.name not in (*_TEXTS, "sources"))


def _check_keys(raw: Mapping[str, Any], origin: str) -> None:
    """Raise DeviceError for an unknown or a missing key, or a text or `sources` of a wrong type."""
    allowed = (*_TEXTS, *_COUNTS, "sources")
    for key in raw:
        if key not in allowed:
            raise DeviceError(f"{origin}: unknown key `{key}`; allowed: {', '.join(allowed)}")
    for key in allowed:
        if key not in raw and key not in (*_OPTIONAL, "sources"):
            raise DeviceError(f"{origin}: key `{key}` is missing; needed: {', '.join((*_TEXTS, *_COUNTS))}")
    for key in _TEXTS:
        if not isinstance(raw[key], str):
            raise DeviceError(f"{origin}: `{key}` is {raw[key]!r}, needs a text")
    sources = raw.get("sources", {})
    if not isinstance(sources, Mapping):
        raise DeviceError(f"{origin}: `sources` is {sources!r}, needs a table of key = text")
    for key, text in sources.items():
        if key not in _COUNTS:
            raise DeviceError(f"{origin}: unknown key `sources.{key}`; allowed: {', '.join(_COUNTS)}")
        if not isinstance(text, str):
            raise DeviceError(f"{origin}: `sources.{key}` is {text!r}, needs a text")


def _folder() -> Traversable:
    return resources.files("sfopt") / "devices"


def device_names() -> tuple[str, ...]:
    """Names of the devices that ship with sfopt, sorted."""
    return tuple(sorted(f.name.removesuffix(".toml") for f in _folder().iterdir() if f.name.endswith(".toml")))


def load_device(name_or_path: str | Path) -> Device:
    """The device that ships under this name, or the one that a TOML file at this path describes.

    Raises DeviceError, naming the file and the key, when there is no such device or its description is wrong.
    """
    text = str(name_or_path)
    if text in device_names():
        return _read(_folder() / f"{text}.toml", text)
    path = Path(name_or_path)
    if path.suffix != ".toml" and not path.is_file():
        raise DeviceError(f"unknown device `{text}`; known: {', '.join(device_names())}, or the path of a .toml file")
    return _read(path, text)


def _read(file: Traversable, origin: str) -> Device:
    try:
        raw = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise DeviceError(f"device file `{origin}` cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DeviceError(f"device file `{origin}` is not TOML: {error}") from None
    return Device.from_dict(raw, f"device file `{origin}`")
