"""The scratchpad: bytes, and beside them which row every byte holds, so that a stale row is a fault and not a wrong number."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from sfopt.arithmetic.rounding import Int8Array
from sfopt.device import Device
from sfopt_fpga.isa import Opcode
from sfopt_fpga.order import Access
from sfopt_fpga.shadow import Cells, Shadow

__all__ = ["Rows", "Scratchpad"]

Element = TypeVar("Element", bound=np.generic)


@dataclass(frozen=True)
class Rows:
    """An operand in the scratchpad. Row r lies at word base + (r mod ring) * row_words.

    A pixel may have more words than the operand's channels need: others may lie beside it. `row_words` is width * pixel_words,
    or `pitch` where that is not 0: other rows may lie between. Row r is then row `row_first` + r * `row_step` of all of them.
    """

    name: str
    base: int
    ring: int
    width: int
    pixel_words: int
    pitch: int = 0
    row_first: int = 0
    row_step: int = 1

    @property
    def row_words(self) -> int:
        """Words from one row to the next."""
        return self.pitch or self.width * self.pixel_words

    @property
    def is_dense(self) -> bool:
        """Whether the pixels of a row follow those of the row before at the same distance."""
        return self.row_words == self.width * self.pixel_words


class Scratchpad:
    """`words` x `lanes_in` bytes. Every byte is tagged with the row that was last written there, -1 for none."""

    def __init__(self, device: Device) -> None:
        self.lanes = device.lanes_in
        self.words = device.words
        self.bank_words = device.bank_bytes // device.lanes_in
        self.data = np.zeros((self.words, self.lanes), np.int8)
        self.tags = np.full((self.words, self.lanes), -1, np.int32)
        self.shadow = Shadow("scratchpad word", self.words)

    def read(self, access: Access, rows: Rows, span: tuple[int, int], channels: tuple[int, int]) -> Int8Array:
        """Rows `span` of all pixels, channels `channels`, as (rows, width, channels). Faults when a byte holds another row."""
        parts = []
        for start, count, first in self._pieces(access, rows, span, channels[1]):
            for cells in self._cells(rows, start, count, channels):
                self.shadow.read(access, cells)
            tags = self._bytes(self.tags, rows, start, count, channels)
            wanted = np.arange(first, first + count, dtype=np.int32)[:, None, None]
            if not (tags == wanted).all():
                self._stale(access, rows, start, channels[0], tags != wanted, first)
            parts.append(self._bytes(self.data, rows, start, count, channels))
        if len(parts) == 1:
            return parts[0]
        return np.concatenate(parts) if parts else np.empty((0, rows.width, channels[1] - channels[0]), np.int8)

    def write(self, access: Access, rows: Rows, span: tuple[int, int], channel: int, values: Int8Array) -> None:
        """Write (rows, width, channels) values as rows `span`, channel 0 at byte `channel` of each pixel. No other byte changes."""
        channels = (channel, channel + values.shape[2])
        for start, count, first in self._pieces(access, rows, span, channels[1]):
            for cells in self._cells(rows, start, count, channels):
                self.shadow.write(access, cells)
            self._bytes(self.data, rows, start, count, channels)[:] = values[first - span[0] : first - span[0] + count]
            numbers = rows.row_first + rows.row_step * np.arange(first, first + count, dtype=np.int32)
            self._bytes(self.tags, rows, start, count, channels)[:] = numbers[:, None, None]

    def banks(self, access: Access, rows: Rows, span: tuple[int, int], channels: int) -> set[int]:
        """Banks from the first to the last word that rows `span` of `channels` channels touch."""
        touched = set[int]()
        for start, count, _ in self._pieces(access, rows, span, channels):
            last = start + self._extent(rows, count, channels) - 1
            touched.update(range(start // self.bank_words, last // self.bank_words + 1))
        return touched

    def _extent(self, rows: Rows, count: int, channels: int) -> int:
        """Words from the first of `count` rows in a piece to the last that has one of `channels` channels.

        An operand that lies beside others in its pixels ends in the middle of the last one.
        """
        return (count - 1) * rows.row_words + (rows.width - 1) * rows.pixel_words + -(-channels // self.lanes)

    def _cells(self, rows: Rows, start: int, count: int, channels: tuple[int, int]) -> Iterator[Cells]:
        """The words of these channels, in every pixel of a piece."""
        first, last = channels[0] // self.lanes, -(-channels[1] // self.lanes)
        if rows.is_dense:
            yield Cells(start + first, last - first, rows.pixel_words, count * rows.width)
            return
        for row in range(count):
            yield Cells(start + row * rows.row_words + first, last - first, rows.pixel_words, rows.width)

    def _bytes(
        self, array: npt.NDArray[Element], rows: Rows, start: int, count: int, channels: tuple[int, int]
    ) -> npt.NDArray[Element]:
        """View (rows, width, channels) of what `array`, (words, lanes), has for these channels in a piece."""
        size = array.itemsize
        pixel = rows.pixel_words * self.lanes * size
        return np.ndarray(
            (count, rows.width, channels[1] - channels[0]),
            array.dtype,
            array.data,
            (start * self.lanes + channels[0]) * size,
            (rows.row_words * self.lanes * size, pixel, size),
        )

    def _pieces(
        self, access: Access, rows: Rows, span: tuple[int, int], channels: int
    ) -> Iterator[tuple[int, int, int]]:
        """What is contiguous of rows `span`: (first word, rows, first row); faults for an impossible operand or address.

        A LOAD may bring more rows than its ring has, the later ones over the earlier: with a stride above the kernel's extent, the
        rows between two windows are read from DRAM and never used.
        """
        first, last = span
        if rows.ring < 1 or rows.pixel_words * self.lanes < max(1, channels):
            raise access.step.fault(
                f"{rows.name} has a ring of {rows.ring} rows and {rows.pixel_words} words a pixel for {channels} channels"
            )
        if last - first > rows.ring and access.step.opcode is not Opcode.LOAD:
            raise access.step.fault(f"ring overrun: rows {first}..{last} of {rows.name} in a ring of {rows.ring}")
        while first < last:
            slot = first % rows.ring
            count = min(last - first, rows.ring - slot)
            start = rows.base + slot * rows.row_words
            stop = start + self._extent(rows, count, channels)
            if stop > self.words:
                raise access.step.fault(
                    f"{rows.name} rows {first}..{first + count} at words {start}..{stop}, the scratchpad has {self.words}"
                )
            yield start, count, first
            first += count

    def _stale(
        self, access: Access, rows: Rows, start: int, channel: int, wrong: npt.NDArray[np.bool_], first: int
    ) -> None:
        row, pixel, lane = (int(i) for i in np.argwhere(wrong)[0])
        word = start + row * rows.row_words + pixel * rows.pixel_words + (channel + lane) // self.lanes
        tag = int(self.tags[word, (channel + lane) % self.lanes])
        held = f"holds row {tag}" if tag >= 0 else "was never written"
        raise access.step.fault(
            f"{rows.name} row {first + row} pixel {pixel} channel {channel + lane}: word {word} {held}"
        )
