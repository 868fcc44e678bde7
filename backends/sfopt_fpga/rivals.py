"""Which words a COMPUTE streams from the banks in which its parameters lie."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from sfopt.cost import CHANNEL_BYTES
from sfopt.device import Device
from sfopt.rivals import ELSEWHERE, Banks
from sfopt_fpga.isa import Binary, ComputeKind
from sfopt_fpga.parameters import ParameterLayout

__all__ = ["rivals_of"]

Words = npt.NDArray[np.intp]

_WINDOWED = (ComputeKind.CONV, ComputeKind.DEPTHWISE, ComputeKind.MAX_POOL, ComputeKind.AVERAGE_POOL)


def rivals_of(
    setup: Mapping[str, int],
    compute: Mapping[str, int],
    rows: tuple[int, int],
    layout: ParameterLayout,
    device: Device,
) -> "_Rivals | None":
    """The streams of a COMPUTE over rows `rows`; None if no stream has a bank with the parameters in common.

    `setup` has the fields of SETUP, and those of PHASE where there is one.
    """
    kind = ComputeKind(setup["kind"])
    lanes, bank_words = device.lanes_in, device.bank_bytes // device.lanes_in
    records = 1 if kind is ComputeKind.GLOBAL_MEAN else setup["out_channels"]
    size_bytes = layout.head_bytes + CHANNEL_BYTES * records * (layout.channels is not None)
    first, last = setup["parameters"], setup["parameters"] + -(-size_bytes // lanes) - 1
    banks = range(first // bank_words, last // bank_words + 1)
    rivals = _Rivals(setup, compute, rows, kind, lanes, bank_words, banks, layout.head_bytes)
    return rivals if size_bytes and rivals.any else None


@dataclass(frozen=True)
class _Rivals:
    setup: Mapping[str, int]
    compute: Mapping[str, int]
    rows_run: tuple[int, int]
    kind: ComputeKind
    lanes: int
    bank_words: int
    banks: range
    """Of the parameters."""
    head_bytes: int
    """Of them, in front of the biases."""

    @cached_property
    def any(self) -> bool:
        """Whether an operand has a word in the parameters' banks at all."""
        setup, compute = self.setup, self.compute
        sizes = [(compute["x_base"], compute["x_ring"] * self._x_row)]
        if self.kind in (ComputeKind.CONV, ComputeKind.DEPTHWISE):
            sizes.append((compute["weights_base"], compute["weights_ring"] * self._weights_row))
        if setup["binary"] != Binary.NONE:
            sizes.append((compute["residual_base"], compute["residual_ring"] * self._residual_row))
        if setup["has_scale"]:
            sizes.append((setup["scale"], self._words(setup["x_channels"])))
        return any(
            base // self.bank_words < self.banks.stop and (base + size - 1) // self.bank_words >= self.banks.start
            for base, size in sizes
        )

    def pixels(self, pixels: range, position: int, word: int, channel: int) -> Banks:
        """As `Streams.pixels` has it."""
        word += self._first_word(channel)
        row, column = self._input(pixels, position)
        inside = (row >= 0) & (row < self.setup["x_height"]) & (column >= 0) & (column < self.setup["x_width"])
        words = row % self.compute["x_ring"] * self._x_row + column * self.compute["x_pixel_words"] + word
        return np.where(inside, self._banks(self.compute["x_base"] + words), ELSEWHERE)

    def scale(self, word: int, channel: int) -> int:
        """As `Streams.scale` has it."""
        return self._bank(self.setup["scale"] + word + self._first_word(channel))

    def taps(self, position: int, channel: int) -> int:
        """As `Streams.taps` has it."""
        words = position * self._words(self.setup["out_channels"]) + channel // self.lanes
        return self._bank(self.compute["weights_base"] + words)

    def rows(self, channels: range, position: int, word: int) -> Banks:
        """As `Streams.rows` has it; a row has no words in front of its first and behind its last."""
        slots = np.asarray(channels) % self.compute["weights_ring"]
        depth_words = self._words(self.setup["x_channels"] // self.setup["groups"])
        if not 0 <= word < depth_words:
            return np.full(len(slots), ELSEWHERE)
        return self._banks(self.compute["weights_base"] + slots * self._weights_row + position * depth_words + word)

    def second(self, pixels: range, channel: int, word: int) -> Banks:
        """As `Streams.second` has it. A second operand that is the input is not read again."""
        setup, compute = self.setup, self.compute
        place = (compute["residual_base"], compute["residual_ring"], setup["residual_pixel_words"])
        if self.kind is ComputeKind.COPY and place == (compute["x_base"], compute["x_ring"], compute["x_pixel_words"]):
            return np.full(len(pixels), ELSEWHERE)
        row, column = np.divmod(np.asarray(pixels), setup["out_width"])
        row = (row + self.rows_run[0]) % compute["residual_ring"]
        words = row * self._residual_row + column * setup["residual_pixel_words"] + channel // self.lanes + word
        return self._banks(compute["residual_base"] + words)

    def head(self, words: int) -> Banks:
        """As `Streams.head` has it."""
        return self._banks(self.setup["parameters"] + np.arange(words))

    def records(self, channel: int, words: int) -> Banks:
        """As `Streams.records` has it."""
        first = (self.head_bytes + CHANNEL_BYTES * channel) // self.lanes
        return self._banks(self.setup["parameters"] + first + np.arange(words))

    def _input(self, pixels: range, position: int) -> tuple[Words, Words]:
        """Row and column of the input, also outside of the map, that the pixels need at a kernel position."""
        setup = self.setup
        width = setup["x_width"] if self.kind is ComputeKind.GLOBAL_MEAN else setup["out_width"]
        row, column = np.divmod(np.asarray(pixels), width)
        row = row + self.rows_run[0]
        if self.kind is ComputeKind.RESIZE:
            return row // setup["stride_h"], column // setup["stride_w"]
        if self.kind not in _WINDOWED:
            return row, column
        down, right = divmod(position, setup["kernel_w"])
        row = row * setup["stride_h"] - setup["pad_top"] + down * setup["dilation_h"]
        return row, column * setup["stride_w"] - setup["pad_left"] + right * setup["dilation_w"]

    def _first_word(self, channel: int) -> int:
        """Word of the input pixel where what belongs to an output channel begins: its own word, or its group's first."""
        if self.kind is not ComputeKind.CONV:
            return channel // self.lanes
        groups = self.setup["groups"]
        group = channel // (self.setup["out_channels"] // groups)
        return group * (self.setup["x_channels"] // groups) // self.lanes

    def _banks(self, words: Words) -> Banks:
        """Of words, the number among the parameters' banks."""
        banks = words // self.bank_words - self.banks.start
        return np.where((banks >= 0) & (banks < len(self.banks)), banks, ELSEWHERE)

    def _bank(self, word: int) -> int:
        return int(self._banks(np.asarray(word)))

    def _words(self, channels: int) -> int:
        return -(-channels // self.lanes)

    @property
    def _x_row(self) -> int:
        return self.setup["x_width"] * self.compute["x_pixel_words"]

    @property
    def _residual_row(self) -> int:
        return self.setup["out_width"] * self.setup["residual_pixel_words"]

    @property
    def _weights_row(self) -> int:
        """Words from one row of weights to the next."""
        setup = self.setup
        if self.kind is ComputeKind.CONV and setup.get("weights_row_words"):
            return setup["weights_row_words"]
        depth = setup["x_channels"] // setup["groups"] if self.kind is ComputeKind.CONV else setup["out_channels"]
        return setup["kernel_h"] * setup["kernel_w"] * self._words(depth)
