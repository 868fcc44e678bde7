"""The compute engine: one COMPUTE instruction from its operands in the scratchpad to its rows of output."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from sfopt.arithmetic import AddParams, add, apply_table, mul
from sfopt.arithmetic.rounding import Int8Array, Int32Array
from sfopt.cost import AVERAGE_BYTES, BINARY_BYTES, CHANNEL_BYTES, SCALE_BYTES, TABLE_BYTES
from sfopt_fpga.heavy import (
    average,
    check_setup,
    check_work,
    convolve,
    convolve_depthwise,
    input_rows,
    maximum,
    pad_window,
    replicate,
    scale_accumulators,
)
from sfopt_fpga.isa import Binary, ComputeKind
from sfopt_fpga.memory import Rows, Scratchpad
from sfopt_fpga.order import Access
from sfopt_fpga.parameters import (
    ParameterLayout,
    unpack_average,
    unpack_binary,
    unpack_channels,
    unpack_scale,
    unpack_table,
)
from sfopt_fpga.sequencer import Step, rows_of
from sfopt_fpga.sums import Sums

__all__ = ["Band", "Computer", "compute_span"]

Params = TypeVar("Params")
_WEIGHTED = (ComputeKind.CONV, ComputeKind.DEPTHWISE)
_DENSE = {"out_row_words": 0, "weights_row_words": 0, "row_first": 0, "row_step": 1}
"""What a SETUP stands for, until a PHASE says something else."""


@dataclass(frozen=True)
class Band:
    """What one COMPUTE wrote: `values` (rows, width, channels) from this row and this channel of the output on."""

    row: int
    channel: int
    values: Int8Array
    row_step: int = 1
    """Rows of the output from one of these to the next."""


def compute_span(step: Step, setup: Mapping[str, int]) -> tuple[tuple[int, int], tuple[int, int]]:
    """Rows (of the output; of the input for a global mean) and output channels that a COMPUTE handles at its loop indices."""
    fields = step.fields
    total = setup["x_height"] if setup["kind"] == ComputeKind.GLOBAL_MEAN else setup["out_height"]
    rows = rows_of(fields["first"], fields["step"], total, step.indices[0])
    return rows, rows_of(fields["channel_first"], fields["channel_step"], setup["out_channels"], step.indices[1])


class Computer:
    """State between COMPUTE instructions: the present SETUP and PHASE, and the sums of a global mean."""

    def __init__(self, scratchpad: Scratchpad) -> None:
        self.scratchpad = scratchpad
        self.setup: Mapping[str, int] = {}
        self.phase: Mapping[str, int] = _DENSE
        self.layout = ParameterLayout.of(
            {"kind": ComputeKind.COPY, "binary": 0, "has_scale": 0, "has_table0": 0, "has_table1": 0}
        )
        self.sums = Sums()

    def configure(self, step: Step) -> None:
        """Execute a SETUP. Faults for a geometry that no operation has."""
        check_setup(step)
        self.setup, self.phase = step.fields, _DENSE
        self.layout = ParameterLayout.of(step.fields)

    def interleave(self, step: Step) -> None:
        """Execute a PHASE."""
        if not self.setup:
            raise step.fault("no SETUP came before")
        self.phase = step.fields

    def run(self, access: Access) -> Band | None:
        """Execute a COMPUTE; None if it writes nothing."""
        if not self.setup:
            raise access.step.fault("no SETUP came before")
        rows, channels = compute_span(access.step, self.setup)
        if rows[0] >= rows[1] or channels[0] >= channels[1]:
            return None
        check_work(access.step, self.setup, rows, channels, self.scratchpad.data.nbytes)
        with np.errstate(all="ignore"):  # huge factors saturate, as in the machine
            return _Instruction(self, access, rows, channels).run()


class _Instruction:
    """One COMPUTE that is not empty."""

    def __init__(self, computer: Computer, access: Access, rows: tuple[int, int], channels: tuple[int, int]) -> None:
        self.computer, self.access = computer, access
        self.setup, self.phase, self.fields = computer.setup, computer.phase, access.step.fields
        self.rows, self.channels = rows, channels
        self.mean = self.setup["kind"] == ComputeKind.GLOBAL_MEAN
        self.out_rows = (0, 1) if self.mean else rows
        self.final = not self.mean or rows[1] == self.setup["x_height"]
        self.streams: list[tuple[str, set[int]]] = []

    def run(self) -> Band | None:
        values = self._heavy(self._scaled(self._input()))
        if values is None:
            self._check_banks()
            return None
        values = self._finish(values)
        self._write(values)
        self._check_banks()
        phase, channel = self.phase, self.channels[0] + self.fields["out_channel"]
        return Band(phase["row_first"] + self.out_rows[0] * phase["row_step"], channel, values, phase["row_step"])

    def _input(self) -> Int8Array:
        fields, setup = self.fields, self.setup
        x = Rows("input", fields["x_base"], fields["x_ring"], setup["x_width"], fields["x_pixel_words"])
        return self._read(x, input_rows(setup, self.rows), self._input_channels())

    def _input_channels(self) -> tuple[int, int]:
        if self.setup["kind"] != ComputeKind.CONV:
            return self.channels
        groups = self.setup["groups"]
        depth, size = self.setup["x_channels"] // groups, self.setup["out_channels"] // groups
        return self.channels[0] // size * depth, ((self.channels[1] - 1) // size + 1) * depth

    def _scaled(self, x: Int8Array) -> Int8Array:
        if not self.setup["has_scale"]:
            return x
        params = self._finite(unpack_scale(self._record(self.computer.layout.scale, SCALE_BYTES)))
        vector = Rows(
            "channel scale", self.setup["scale"], 1, 1, _words(self.setup["x_channels"], self.computer.scratchpad)
        )
        return mul(x, self._read(vector, (0, 1), self._input_channels()), params)

    def _heavy(self, x: Int8Array) -> Int8Array | None:
        setup, kind = self.setup, self.setup["kind"]
        if kind in _WEIGHTED:
            return self._convolution(pad_window(setup, x, self.rows, setup["pad_value"]))
        if kind == ComputeKind.MAX_POOL:
            return maximum(setup, pad_window(setup, x, self.rows, setup["pad_value"]), self.rows[1] - self.rows[0])
        if kind == ComputeKind.AVERAGE_POOL:
            params = self._finite(unpack_average(self._record(self.computer.layout.average, AVERAGE_BYTES)))
            return average(setup, x, self.rows, params)
        if kind == ComputeKind.RESIZE:
            return replicate(setup, x, self.rows)
        return self._mean(x) if self.mean else x

    def _convolution(self, x: Int8Array) -> Int8Array:
        setup, fields, scratchpad = self.setup, self.fields, self.computer.scratchpad
        positions = setup["kernel_h"] * setup["kernel_w"]
        if setup["kind"] == ComputeKind.CONV:
            depth = setup["x_channels"] // setup["groups"]
            pitch = self.phase["weights_row_words"]
            w = Rows(
                "weights", fields["weights_base"], fields["weights_ring"], positions, _words(depth, scratchpad), pitch
            )
            acc = convolve(setup, x, self._read(w, self.channels, (0, depth)), self.channels)
        else:
            words = _words(setup["out_channels"], scratchpad)
            w = Rows("weights", fields["weights_base"], fields["weights_ring"], positions, words)
            acc = convolve_depthwise(setup, x, self._read(w, (0, 1), self.channels))
        return self._requantised(acc, self.channels)

    def _mean(self, x: Int8Array) -> Int8Array | None:
        sums = self.computer.sums.add(self.access.step, x, self.rows, self.channels)
        if not self.final:
            return None
        return self._requantised(sums[None, None].copy(), (0, 1))

    def _requantised(self, acc: Int32Array, channels: tuple[int, int]) -> Int8Array:
        """Bias, factor and zero point; `channels` are the records used."""
        offset = self.computer.layout.channels
        assert offset is not None
        first, last = (offset + CHANNEL_BYTES * c for c in channels)
        bias, factor = unpack_channels(self._record(first, last - first))
        if not np.isfinite(factor).all():
            raise self.access.step.fault("a channel's factor is not finite")
        return scale_accumulators(acc, bias, factor, self.setup["out_zero"])

    def _finish(self, values: Int8Array) -> Int8Array:
        layout, setup = self.computer.layout, self.setup
        if setup["has_table0"]:
            values = apply_table(values, unpack_table(self._record(layout.table0, TABLE_BYTES)))
        if setup["binary"] != Binary.NONE:
            params = self._finite(unpack_binary(self._record(layout.binary, BINARY_BYTES), Binary(setup["binary"])))
            residual = self._residual()
            a, b = (residual, values) if setup["swapped"] else (values, residual)
            values = add(a, b, params) if isinstance(params, AddParams) else mul(a, b, params)
        if setup["has_table1"]:
            values = apply_table(values, unpack_table(self._record(layout.table1, TABLE_BYTES)))
        return values

    def _residual(self) -> Int8Array:
        fields, setup = self.fields, self.setup
        words = setup["residual_pixel_words"]
        rows = Rows("residual", fields["residual_base"], fields["residual_ring"], setup["out_width"], words)
        return self._read(rows, self.out_rows, self.channels)

    def _write(self, values: Int8Array) -> None:
        fields, phase = self.fields, self.phase
        out = Rows(
            "output",
            fields["out_base"],
            fields["out_ring"],
            self.setup["out_width"],
            fields["out_pixel_words"],
            phase["out_row_words"],
            phase["row_first"],
            phase["row_step"],
        )
        scratchpad, channel = self.computer.scratchpad, fields["out_channel"] + self.channels[0]
        scratchpad.write(self.access, out, self.out_rows, channel, values)
        banks = scratchpad.banks(self.access, out, self.out_rows, channel + values.shape[2])
        self.streams.append((out.name, banks))

    def _read(self, rows: Rows, span: tuple[int, int], channels: tuple[int, int]) -> Int8Array:
        values = self.computer.scratchpad.read(self.access, rows, span, channels)
        self.streams.append((rows.name, self.computer.scratchpad.banks(self.access, rows, span, channels[1])))
        return values

    def _record(self, offset: int | None, size: int) -> bytes:
        """Bytes of the parameter block; no streaming operand, it is read before the first row."""
        assert offset is not None
        scratchpad = self.computer.scratchpad
        block = Rows("parameters", self.setup["parameters"], 1, 1, -(-(offset + size) // scratchpad.lanes))
        return scratchpad.read(self.access, block, (0, 1), (offset, offset + size)).tobytes()

    def _finite(self, params: Params) -> Params:
        """The constants of a rule, whose floats must be numbers."""
        for name, value in vars(params).items():
            if not np.isfinite(value) or (name.endswith("_scale") and value <= 0):
                raise self.access.step.fault(f"{type(params).__name__}.{name} is {value}")
        return params

    def _check_banks(self) -> None:
        """No two streams of one instruction touch one bank, but an input that is its own residual is read once, and an output may
        be written over the residual, or over the input of a COPY: each byte is read before it is written.
        """
        for i, (name, banks) in enumerate(self.streams):
            for other, other_banks in self.streams[:i]:
                if banks & other_banks and not self._is_one_map(other, name):
                    raise self.access.step.fault(f"{other} and {name} are both in bank {min(banks & other_banks)}")

    def _is_one_map(self, operand: str, other: str) -> bool:
        """Whether each element of an operand, read element by element, has the address of that element of the other stream."""
        copied = operand == "input" and self.setup["kind"] == ComputeKind.COPY
        by_element = other in ("residual", "output") and (copied or operand == "residual")
        return by_element and self._place(operand) == self._place(other)

    def _place(self, name: str) -> tuple[int, int, int]:
        """Byte of row 0, pixel 0, channel 0 of the instruction; rows of the ring; words of a pixel."""
        fields, lanes = self.fields, self.computer.scratchpad.lanes
        if name == "residual":
            return fields["residual_base"] * lanes, fields["residual_ring"], self.setup["residual_pixel_words"]
        if name == "input":
            return fields["x_base"] * lanes, fields["x_ring"], fields["x_pixel_words"]
        return fields["out_base"] * lanes + fields["out_channel"], fields["out_ring"], fields["out_pixel_words"]


def _words(channels: int, scratchpad: Scratchpad) -> int:
    return -(-channels // scratchpad.lanes)
