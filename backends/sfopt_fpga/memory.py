"""The scratchpad: bytes, and beside them which row every byte holds, so that a stale row is a fault and not a wrong number."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sfopt.arithmetic.rounding import Int8Array
from sfopt.device import Device
from sfopt_fpga.isa import Opcode
from sfopt_fpga.order import Access
from sfopt_fpga.shadow import Shadow

__all__ = ["Rows", "Scratchpad"]


@dataclass(frozen=True)
class Rows:
    """An operand in the scratchpad. Row r lies at word base + (r mod ring) * width * pixel_words."""

    name: str
    base: int
    ring: int
    width: int
    pixel_words: int


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
        for start, stop, first in self._pieces(access, rows, span, channels[1]):
            self.shadow.read(access, start, stop)
            shape = (-1, rows.width, rows.pixel_words * self.lanes)
            tags = self.tags[start:stop].reshape(shape)[:, :, channels[0] : channels[1]]
            wanted = np.arange(first, first + len(tags), dtype=np.int32)[:, None, None]
            if not (tags == wanted).all():
                self._stale(access, rows, start, channels[0], tags != wanted, first)
            parts.append(self.data[start:stop].reshape(shape)[:, :, channels[0] : channels[1]])
        if len(parts) == 1:
            return parts[0]
        return np.concatenate(parts) if parts else np.empty((0, rows.width, channels[1] - channels[0]), np.int8)

    def write(self, access: Access, rows: Rows, span: tuple[int, int], channel: int, values: Int8Array) -> None:
        """Write (rows, width, channels) values as rows `span`, channel 0 at byte `channel` of each pixel. No other byte changes."""
        last = channel + values.shape[2]
        for start, stop, first in self._pieces(access, rows, span, last):
            self.shadow.write(access, start, stop)
            shape = (-1, rows.width, rows.pixel_words * self.lanes)
            target = self.data[start:stop].reshape(shape)[:, :, channel:last]
            part = values[first - span[0] : first - span[0] + len(target)]
            target[:] = part
            numbers = np.arange(first, first + len(target), dtype=np.int32)
            self.tags[start:stop].reshape(shape)[:, :, channel:last] = numbers[:, None, None]

    def banks(self, access: Access, rows: Rows, span: tuple[int, int]) -> set[int]:
        """Banks that rows `span` touch."""
        touched = set[int]()
        for start, stop, _ in self._pieces(access, rows, span, 0):
            touched.update(range(start // self.bank_words, (stop - 1) // self.bank_words + 1))
        return touched

    def _pieces(
        self, access: Access, rows: Rows, span: tuple[int, int], channels: int
    ) -> Iterator[tuple[int, int, int]]:
        """Contiguous word ranges (start, stop, first row) of rows `span`; faults for an impossible operand or address.

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
        row_words = rows.width * rows.pixel_words
        while first < last:
            slot = first % rows.ring
            count = min(last - first, rows.ring - slot)
            start = rows.base + slot * row_words
            if start + count * row_words > self.words:
                raise access.step.fault(
                    f"{rows.name} rows {first}..{first + count} at words {start}..{start + count * row_words},"
                    f" the scratchpad has {self.words}"
                )
            yield start, start + count * row_words, first
            first += count

    def _stale(
        self, access: Access, rows: Rows, start: int, channel: int, wrong: npt.NDArray[np.bool_], first: int
    ) -> None:
        row, pixel, lane = (int(i) for i in np.argwhere(wrong)[0])
        word = start + (row * rows.width + pixel) * rows.pixel_words + (channel + lane) // self.lanes
        tag = int(self.tags[word, (channel + lane) % self.lanes])
        held = f"holds row {tag}" if tag >= 0 else "was never written"
        raise access.step.fault(
            f"{rows.name} row {first + row} pixel {pixel} channel {channel + lane}: word {word} {held}"
        )
