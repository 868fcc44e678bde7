"""LOAD and STORE: dense DRAM rows to padded scratchpad rows and back."""

import numpy as np

from sfopt.arithmetic.rounding import Int8Array
from sfopt.cost import Moved
from sfopt_fpga.dram import Dram
from sfopt_fpga.isa import Axis, Opcode
from sfopt_fpga.memory import Rows, Scratchpad
from sfopt_fpga.order import Access
from sfopt_fpga.sequencer import Step, rows_of

__all__ = ["transfer_moved", "transfer_rows", "transfer_span"]

MOST_LOADED_BYTES = 1 << 30
"""Of one LOAD, with what lies between its pixels when it folds."""


def transfer_moved(step: Step, lanes: int) -> Moved:
    """What a LOAD or STORE moves at its loop index, in words of `lanes` bytes."""
    first, last = transfer_span(step)
    words = step.fields["width"] * -(-step.fields["channels"] // lanes)
    return Moved(_row_bytes(step), words) * max(0, last - first)


def transfer_rows(access: Access, scratchpad: Scratchpad, dram: Dram) -> None:
    """Execute a LOAD or STORE."""
    step, fields = access.step, access.step.fields
    span = transfer_span(step)
    size_bytes = max(0, span[1] - span[0]) * _row_bytes(step)
    if size_bytes == 0:
        return
    rows = Rows("rows", fields["base"], fields["ring"], fields["width"], fields["pixel_words"])
    address = fields["dram"] + span[0] * _row_bytes(step)
    if step.opcode is Opcode.STORE:
        values = scratchpad.read(access, rows, span, (0, fields["channels"]))
        dram.write(access, address, values.reshape(-1))
        return
    if fields["fold_taps"] and fields["channels"] > scratchpad.lanes:
        raise step.fault(f"folds {fields['channels']} bytes into a pixel, a word has {scratchpad.lanes}")
    held = (span[1] - span[0]) * fields["width"] * max(1, fields["fold_stride"]) * fields["channels"]
    if held > MOST_LOADED_BYTES:
        raise step.fault(f"{held} bytes of rows, the simulator holds {MOST_LOADED_BYTES}")
    dense = dram.read(access, address, size_bytes)
    pixels = _fold(step, dense) if fields["fold_taps"] else dense.reshape(-1, fields["width"], fields["channels"])
    padding = -fields["channels"] % scratchpad.lanes
    padded = np.pad(pixels, ((0, 0), (0, 0), (0, padding))) if padding else pixels
    scratchpad.write(access, rows, span, 0, padded)


def transfer_span(step: Step) -> tuple[int, int]:
    """Rows [first, last) that a LOAD or STORE handles at its loop index."""
    fields = step.fields
    return rows_of(fields["first"], fields["step"], fields["total"], step.indices[Axis(fields["axis"])])


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
