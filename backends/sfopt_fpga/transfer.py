"""LOAD and STORE: dense DRAM rows to padded scratchpad rows and back."""

import numpy as np

from sfopt.arithmetic.rounding import Int8Array
from sfopt_fpga.dram import Dram
from sfopt_fpga.isa import Axis, Opcode
from sfopt_fpga.memory import Rows, Scratchpad
from sfopt_fpga.order import Access
from sfopt_fpga.sequencer import Step, rows_of

__all__ = ["transfer_rows", "transfer_span"]


def transfer_span(step: Step) -> tuple[tuple[int, int], int]:
    """Rows that a LOAD or STORE handles at its loop index, and their DRAM bytes."""
    fields = step.fields
    index = step.indices[Axis(fields["axis"])]
    span = rows_of(fields["first"], fields["step"], fields["total"], index)
    return span, max(0, span[1] - span[0]) * _row_bytes(step)


def transfer_rows(access: Access, scratchpad: Scratchpad, dram: Dram) -> None:
    """Execute a LOAD or STORE."""
    step, fields = access.step, access.step.fields
    span, size_bytes = transfer_span(step)
    if size_bytes == 0:
        return
    rows = Rows("rows", fields["base"], fields["ring"], fields["width"], fields["pixel_words"])
    address = fields["dram"] + span[0] * _row_bytes(step)
    if step.opcode is Opcode.STORE:
        values = scratchpad.read(access, rows, span, (0, fields["channels"]))
        dram.write(access, address, values.reshape(-1))
        return
    dense = dram.read(access, address, size_bytes)
    pixels = _fold(step, dense) if fields["fold_taps"] else dense.reshape(-1, fields["width"], fields["channels"])
    padding = -fields["channels"] % scratchpad.lanes
    padded = np.pad(pixels, ((0, 0), (0, 0), (0, padding))) if padding else pixels
    scratchpad.write(access, rows, span, 0, padded)


def _row_bytes(step: Step) -> int:
    fields = step.fields
    taps = fields["fold_taps"]
    if taps == 0:
        return fields["width"] * fields["channels"]
    if step.opcode is Opcode.STORE or fields["channels"] % taps or fields["fold_stride"] == 0:
        raise step.fault(
            f"cannot fold {fields['channels']} channels into {taps} taps at stride {fields['fold_stride']}"
        )
    return fields["fold_width"] * (fields["channels"] // taps)


def _fold(step: Step, dense: Int8Array) -> Int8Array:
    """Pixel x = DRAM pixels x * stride - pad .. + taps, side by side; `fold_zero` outside the row."""
    fields = step.fields
    taps, stride, pad, width = fields["fold_taps"], fields["fold_stride"], fields["fold_pad"], fields["fold_width"]
    depth = fields["channels"] // taps
    source = dense.reshape(-1, width, depth)
    reach = (fields["width"] - 1) * stride + taps
    row = np.full((len(source), max(reach, pad + width), depth), fields["fold_zero"], np.int8)
    row[:, pad : pad + width] = source
    taken = [row[:, k : k + (fields["width"] - 1) * stride + 1 : stride] for k in range(taps)]
    return np.concatenate(taken, axis=2)
