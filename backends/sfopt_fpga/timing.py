"""Cycles of one instruction, from the planner's own formulas (`sfopt/cost.py`): a plan expects what the simulator charges."""

from collections.abc import Mapping

from sfopt.cost import PIPELINE_CYCLES, conv_cycles, word_cycles
from sfopt.device import Device
from sfopt_fpga.isa import WORD_BYTES, ComputeKind

__all__ = [
    "QUEUE_DEPTH",
    "SETUP_CYCLES",
    "SYNC_CYCLES",
    "bus_rate",
    "bus_work",
    "compute_instruction_cycles",
    "fetch_cycle",
]

SETUP_CYCLES = 1
SYNC_CYCLES = 1
QUEUE_DEPTH = 16
"""Instructions that wait in front of one engine; the sequencer issues one a cycle while there is room."""


def compute_instruction_cycles(setup: Mapping[str, int], rows: int, channels: int, device: Device) -> int:
    """Cycles of a COMPUTE over `rows` rows (input rows of a global mean) and `channels` output channels."""
    if rows <= 0 or channels <= 0:
        return PIPELINE_CYCLES
    kind, positions = setup["kind"], setup["kernel_h"] * setup["kernel_w"]
    pixels = rows * setup["out_width"]
    if kind == ComputeKind.CONV:
        depth = setup["x_channels"] // setup["groups"]
        return conv_cycles(pixels, channels, positions, depth, setup["groups"], device)
    if kind == ComputeKind.GLOBAL_MEAN:
        return word_cycles(rows * setup["x_width"], channels, 1, device)
    windowed = kind in (ComputeKind.DEPTHWISE, ComputeKind.MAX_POOL, ComputeKind.AVERAGE_POOL)
    return word_cycles(pixels, channels, positions if windowed else 1, device)


def bus_work(size_bytes: int, device: Device) -> int:
    """What a transfer asks of the DRAM bus, in the unit of `bus_rate`: twice its bytes times the clock, so that all is whole."""
    return 2 * size_bytes * device.clock_hz


def bus_rate(transfers: int, device: Device) -> int:
    """Work that each of 1 or 2 transfers gets done in a cycle: an equal share of DRAM's bandwidth, at most one word a cycle.

    Alone, a transfer takes the latency and `bus_work / bus_rate` cycles: `dma_cycles`.
    """
    return min(2 * device.dram_bytes_per_s // transfers, 2 * device.lanes_in * device.clock_hz)


def fetch_cycle(word: int, device: Device) -> int:
    """Cycle at which instruction `word` has arrived: one latency, then the words at DRAM's bandwidth, fetched ahead."""
    return device.dram_latency_cycles + -(-(word + 1) * WORD_BYTES * device.clock_hz // device.dram_bytes_per_s)
