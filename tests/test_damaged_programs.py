"""Program files with damage that their checksum does not show: an error that names it, in bounded time and memory."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from assembler import DEVICE, Assembler
from damaged import try_damaged
from layers import conv_layer

from sfopt.errors import ProgramError, SimulationFault
from sfopt_fpga.heavy import MOST_PRODUCTS, MOST_WINDOW_BYTES
from sfopt_fpga.isa import Axis, Engine, Opcode
from sfopt_fpga.program import Program
from sfopt_fpga.sequencer import MOST_INSTRUCTIONS
from sfopt_fpga.simulator import MOST_SRAM_BYTES, simulate


def test_damaged_files() -> None:
    outcomes = try_damaged("damaged_programs.py", 0, 80)
    assert outcomes["ProgramError"] > 8
    assert outcomes["SimulationFault"] > 16


@pytest.mark.nightly
@pytest.mark.parametrize("block", range(20))
def test_damaged_files_nightly(block: int) -> None:
    try_damaged("damaged_programs.py", 1000 + 500 * block, 500)


def fault(program: Program, match: str) -> None:
    with pytest.raises(SimulationFault, match=match):
        simulate(program, {"x": np.zeros((4, 3, 4), np.int8)})


def test_loops_that_would_run_for_days() -> None:
    asm = Assembler()
    asm.emit(Opcode.LOOP, axis=Axis.ROWS, count=65535, body=2)
    asm.emit(Opcode.LOOP, axis=Axis.CHANNELS, count=65535, body=1)
    asm.sync(Engine.LOAD)
    fault(asm.build(), f"LOOP: brings the program to {65535 * 65535} instructions, the limit is {MOST_INSTRUCTIONS}")


def test_many_short_loops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sfopt_fpga.sequencer.MOST_INSTRUCTIONS", 1000)
    asm = Assembler()
    for _ in range(3):
        asm.emit(Opcode.LOOP, axis=Axis.ROWS, count=400, body=1)
        asm.sync(Engine.LOAD)
    fault(asm.build(), "instruction 4 LOOP: brings the program to 1200 instructions, the limit is 1000")


def test_tokens_that_would_fill_the_memory() -> None:
    asm = Assembler()
    asm.emit(Opcode.LOOP, axis=Axis.ROWS, count=65535, body=2)
    asm.sync(Engine.LOAD, signal=(65535, 0))
    asm.sync(Engine.COMPUTE, wait=(65535, 0))
    fault(asm.build(), "LOOP: brings the program to")


def test_loops_in_loops_in_loops() -> None:
    """Each is wrong in itself; looking at what they would take must not go as deep as they do."""
    asm = Assembler()
    for _ in range(1500):
        asm.emit(Opcode.LOOP, axis=Axis.ROWS, count=1, body=1000)
    fault(asm.build(), "LOOP: a loop over rows is already running")


WORK: Mapping[str, dict[str, int]] = {
    "bytes of results, the scratchpad has": {"out_height": 6000, "out_width": 600},
    f"bytes of windows, the simulator holds {MOST_WINDOW_BYTES}": {
        "kernel_h": 63, "kernel_w": 63, "dilation_h": 63, "dilation_w": 63, "x_channels": 65535,
    },
    f"products, the limit is {MOST_PRODUCTS}": {
        "kernel_h": 63, "kernel_w": 63, "x_channels": 65535, "out_channels": 2000, "out_height": 1, "out_width": 4,
    },
}  # fmt: skip


@pytest.mark.parametrize("message", WORK)
def test_work_beyond_all_measure(message: str) -> None:
    layer = conv_layer()
    layer.setup |= WORK[message]
    program = layer.frame(first=65535, channel_first=65535)
    with pytest.raises(SimulationFault, match=message):
        simulate(program, layer.inputs)


def test_load_that_folds_beyond_all_measure() -> None:
    asm = Assembler()
    asm.maps["x"] = ((4, 3, 4), "inputs")
    asm.load("x", 0, (4, 3, 4))
    asm.words[0][1].update(fold_taps=4, fold_stride=63, fold_width=1, width=65535, total=65535, first=65535, channels=4)
    fault(asm.build(), "LOAD: .*(bytes of rows, the simulator holds|leaves region)")


@pytest.mark.parametrize(
    "sizes", [{"lanes_in": 1 << 40, "bank_bytes": 1 << 40}, {"banks": 1 << 50}, {"bank_bytes": 1 << 40}]
)
def test_scratchpad_beyond_all_measure(sizes: dict[str, int]) -> None:
    program = replace(Assembler().build(), device=replace(DEVICE, **sizes))
    with pytest.raises(ProgramError, match=f"a scratchpad of .* bytes, the simulator holds {MOST_SRAM_BYTES} at most"):
        simulate(Program.from_bytes(program.to_bytes()), {})


def test_dram_that_is_declared_and_never_touched() -> None:
    """Four GiB cost nothing but addresses."""
    asm = Assembler()
    asm.maps["out"] = ((65535, 65535, 1), "feature_maps")
    assert simulate(asm.build(), {}).outputs == {}
