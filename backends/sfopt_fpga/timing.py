"""Cycles of one instruction, from the planner's own formulas: a plan expects what the simulator charges."""

from collections.abc import Mapping

from sfopt.cost import EMPTY_TRANSFER_CYCLES, LOAD_CYCLES, STORE_CYCLES, Moved
from sfopt.cycles import compute_cycles
from sfopt.device import Device
from sfopt.work import Columns, Mode, Work
from sfopt_fpga.heavy import input_rows
from sfopt_fpga.isa import Binary, ComputeKind, Engine, Opcode
from sfopt_fpga.parameters import ParameterLayout
from sfopt_fpga.rivals import rivals_of

__all__ = [
    "DIVIDE_CYCLES",
    "EMPTY_PREPARE_CYCLES",
    "FETCH_CHUNKS",
    "FETCH_QUEUE_WORDS",
    "FETCH_START_CYCLES",
    "FOLD_CYCLES",
    "ISSUE_CYCLES",
    "PHASE_CYCLES",
    "PREPARE_CYCLES",
    "QUEUE_CYCLES",
    "QUEUE_DEPTH",
    "STOP_CYCLES",
    "SYNC_CYCLES",
    "SYNC_PREPARE_CYCLES",
    "TOKEN_CYCLES",
    "TURN_CYCLES",
    "chunk_words",
    "compute_instruction_cycles",
    "compute_prepare_cycles",
    "setup_cycles",
    "transfer_edges",
    "transfer_prepare_cycles",
]

FETCH_START_CYCLES = 2
"""From the start to the first request for the program, and from its first word to the sequencer."""
FETCH_CHUNKS = 2
"""Requests for the program that are under way at once."""
FETCH_QUEUE_WORDS = 64
"""Words of the program that wait for the sequencer."""
ISSUE_CYCLES = 2
"""Between two instructions that the sequencer hands out."""
QUEUE_CYCLES = 2
"""From the sequencer to the engine's first look at an instruction."""
QUEUE_DEPTH = 16
"""Instructions that wait in front of one engine."""
STOP_CYCLES = {Opcode.END: 2, Opcode.HOST: 1}
"""From the end of all before to that of the program, or to the next word; the host's own time does not count."""
TOKEN_CYCLES = 1
"""From an instruction's end to a start that needed its token."""
TURN_CYCLES = {Engine.LOAD: 0, Engine.COMPUTE: 1, Engine.STORE: 0}
"""Between two instructions of one engine."""
SYNC_CYCLES = 1
"""Of a SYNC's execution."""
SYNC_PREPARE_CYCLES = 2
SETUP_CYCLES = 2
"""In which a SETUP keeps its engine from looking at the next instruction."""
PHASE_CYCLES = 2
"""The same of a PHASE."""
COMPUTE_PREPARE_CYCLES = 7
"""In which the compute engine looks at a COMPUTE."""
EMPTY_COMPUTE_PREPARE_CYCLES = 5
"""The same of one that has nothing to do."""
COMPUTE_DIVIDE_CYCLES = 17
"""More, when a row is not in its ring's first round, for a resize, for convolution groups; of their SETUP as well."""
PREPARE_CYCLES = 11
"""In which a DMA engine looks at a transfer: rows, addresses."""
EMPTY_PREPARE_CYCLES = 6
"""The same of one that moves nothing."""
FOLD_CYCLES = 8
"""More, when it folds."""
DIVIDE_CYCLES = 15
"""More, when its first row is not in the ring's first round."""


def compute_instruction_cycles(
    setup: Mapping[str, int],
    compute: Mapping[str, int],
    rows: tuple[int, int],
    channels: tuple[int, int],
    device: Device,
) -> int:
    """Cycles of a COMPUTE over rows `rows` (input rows of a global mean) and output channels `channels`, each from and up to.

    `setup` has the fields of SETUP, and those of PHASE where there is one.
    """
    kind = ComputeKind(setup["kind"])
    convolution, mean = kind is ComputeKind.CONV, kind is ComputeKind.GLOBAL_MEAN
    mode = _MODES.get(kind, Mode.ELEMENT)
    groups = setup["groups"] if convolution else 1
    layout = ParameterLayout.of(setup)
    work = Work(
        mode,
        (rows[1] - rows[0]) * (setup["x_width"] if mean else setup["out_width"]),
        channels[1] - channels[0],
        setup["kernel_h"] * setup["kernel_w"] if mode in (Mode.CONV, Mode.WINDOW, Mode.AVERAGE) else 1,
        setup["x_channels"] // groups if convolution else 1,
        setup["out_channels"] // groups if convolution else 0,
        channels[0],
        compute["out_channel"],
        layout.head_bytes,
        layout.channels is not None,
        bool(setup["has_scale"]),
        setup["binary"] != Binary.NONE,
        rows[1] == setup["x_height"],
        rivals_of(setup, compute, rows, layout, device),
        _columns(setup) if convolution and groups == 1 else None,
    )
    return compute_cycles(work, device)


def _columns(setup: Mapping[str, int]) -> Columns:
    return Columns(setup["kernel_w"], setup["stride_w"], setup["dilation_w"], setup["out_width"])


_MODES = {
    ComputeKind.CONV: Mode.CONV,
    ComputeKind.DEPTHWISE: Mode.WINDOW,
    ComputeKind.MAX_POOL: Mode.WINDOW,
    ComputeKind.AVERAGE_POOL: Mode.AVERAGE,
    ComputeKind.GLOBAL_MEAN: Mode.MEAN,
}


def setup_cycles(setup: Mapping[str, int]) -> int:
    """Cycles in which a SETUP keeps the compute engine from looking at the next instruction."""
    grouped = setup["kind"] == ComputeKind.CONV and setup["groups"] > 1
    return SETUP_CYCLES + COMPUTE_DIVIDE_CYCLES * grouped


def compute_prepare_cycles(
    setup: Mapping[str, int], compute: Mapping[str, int], rows: tuple[int, int], channels: tuple[int, int]
) -> int:
    """Cycles in which the compute engine looks at a COMPUTE over `rows` and `channels`."""
    if rows[0] >= rows[1] or channels[0] >= channels[1]:
        return EMPTY_COMPUTE_PREPARE_CYCLES
    out_row = 0 if setup["kind"] == ComputeKind.GLOBAL_MEAN else rows[0]
    convolution = setup["kind"] == ComputeKind.CONV
    divides = (
        (convolution and (setup["groups"] > 1 or channels[0] >= compute["weights_ring"]))
        or input_rows(setup, rows)[0] >= compute["x_ring"]
        or out_row >= compute["out_ring"]
        or (setup["binary"] != Binary.NONE and out_row >= compute["residual_ring"])
    )
    resizes = setup["kind"] == ComputeKind.RESIZE
    return COMPUTE_PREPARE_CYCLES + COMPUTE_DIVIDE_CYCLES * (divides + resizes)


def transfer_edges(engine: Engine, moved: Moved, device: Device) -> tuple[int, int]:
    """Cycles of a LOAD or STORE before its data move and behind them. A STORE waits until DRAM has acknowledged all of it."""
    if moved.size_bytes == 0:
        return EMPTY_TRANSFER_CYCLES, 0
    latency = device.dram_latency_cycles
    if engine is Engine.LOAD:
        return latency, LOAD_CYCLES
    return STORE_CYCLES - 1, latency + 1


def transfer_prepare_cycles(fields: Mapping[str, int], span: tuple[int, int]) -> int:
    """Cycles in which a LOAD or STORE of rows `span` works out its addresses."""
    folding = FOLD_CYCLES if fields.get("fold_taps") else 0
    if span[0] >= span[1]:
        return EMPTY_PREPARE_CYCLES + folding
    return PREPARE_CYCLES + folding + (DIVIDE_CYCLES if span[0] >= fields["ring"] else 0)


def chunk_words(device: Device) -> int:
    """Words of the program that are asked for at once."""
    return 16 if device.dram_word_bytes > 16 else 8
