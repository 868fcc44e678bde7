"""What yosys infers from single modules of `hw/rtl`: block RAMs, distributed RAMs and DSP slices, by count."""

from collections import Counter

import pytest

from hierarchy import cut, elaborate
from mapping import map_variants
from paths import Arcs, Levels, longest_path, module_arcs
from resources import Resources, resources
from yosys import is_installed, work_folder

needs_yosys = pytest.mark.skipif(not is_installed(), reason="yosys is not installed: pip install 'sfopt[rtl]'")
TOPS = {
    "bank": ("sf_bank", {"LANES": 16, "WORDS": 2048}),
    "fifo": ("sf_fifo", {"WIDTH": 56, "DEPTH": 32}),
    "lookup": ("sf_lookup", {"LANES_IN": 16, "LANES": 2}),
    "paired": ("sf_mac_array", {"LANES_IN": 8, "LANES_OUT": 2, "PAIRED": 1}),
    "plain": ("sf_mac_array", {"LANES_IN": 8, "LANES_OUT": 2, "PAIRED": 0}),
}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Resources]:
    """What each of TOPS takes, with its submodules."""
    folder = work_folder(tmp_path_factory.mktemp("synthesis"))
    total = {}
    for name, (top, parameters) in TOPS.items():
        design = elaborate(folder, top, parameters)
        mapped = map_variants(folder, design, [v.name for v in design.apart()])
        count = design.instances()
        total[name] = sum((resources(m.cells) * count[n] for n, m in mapped.items()), Resources())
        assert len(mapped) == len(design.apart())
    return total


@needs_yosys
def test_a_bank_is_block_ram(found: dict[str, Resources]) -> None:
    """2,048 words of 16 bytes: two RAMB36 across, of 512 x 64 data bits, and four deep; the output's register is the block's."""
    assert found["bank"].ramb36 == 2 * 4
    assert found["bank"].ff == found["bank"].lut_ram == found["bank"].dsp == 0
    assert found["bank"].lut <= 9 * 16 + 64  # write data and strobes, and which block is written


@needs_yosys
def test_a_queue_is_distributed_ram(found: dict[str, Resources]) -> None:
    """56 bits, 32 deep: four RAM32M16 of 14 bits; the registers are pointers and level, some of them twice, and no entry."""
    assert found["fifo"].lut_ram == 4 * 8
    assert found["fifo"].ff <= 2 * (5 + 5 + 6)


@needs_yosys
def test_a_table_is_distributed_ram(found: dict[str, Resources]) -> None:
    """Two lanes, each 16 words of 128 bits; the results are the registers."""
    assert found["lookup"].lut_ram == 2 * 8 * 10
    assert found["lookup"].ff == 2 * 8
    assert found["lookup"].ramb18 == 0


@needs_yosys
def test_two_products_a_dsp_slice(found: dict[str, Resources]) -> None:
    """16 products: one DSP slice each, or one for two. Registers: two tiles, the products, two sums, the sum of x, `valid_q`."""
    assert found["plain"].dsp == 16
    assert found["paired"].dsp == 8
    assert found["paired"].ff <= 2 * 2 * 64 + 8 * 34 + 2 * 32 + 11 + 1


def test_unknown_cells_are_not_passed_over() -> None:
    with pytest.raises(ValueError, match="`URAM288`"):
        resources(Counter({"LUT6": 1, "URAM288": 1}))


LUT = {"type": "LUT2", "parameters": {}, "port_directions": {"I0": "input", "I1": "input", "O": "output"}}
REGISTER = {"type": "FDRE", "parameters": {}, "port_directions": {"C": "input", "D": "input", "Q": "output"}}


def _netlist(cells: dict[str, tuple[dict, dict]], inputs: dict[str, int], outputs: dict[str, int]) -> dict:
    ports = {n: {"direction": "input", "bits": [b]} for n, b in inputs.items()}
    ports |= {n: {"direction": "output", "bits": [b]} for n, b in outputs.items()}
    made = {n: kind | {"connections": {p: [b] for p, b in bits.items()}} for n, (kind, bits) in cells.items()}
    return {"ports": ports, "cells": made, "netnames": {n: {"bits": [b]} for n, b in {**inputs, **outputs}.items()}}


CHILD = _netlist(
    {
        "a": (LUT, {"I0": 1, "I1": 2, "O": 3}),
        "b": (LUT, {"I0": 3, "I1": 1, "O": 4}),
        "r": (REGISTER, {"C": 9, "D": 4, "Q": 5}),
        "c": (LUT, {"I0": 5, "I1": 5, "O": 6}),
    },
    {"x": 1, "y": 2},
    {"z": 6, "w": 3},
)


def test_a_path_ends_at_registers() -> None:
    path = longest_path(CHILD)
    assert (path.levels, path.start, path.end) == (Levels(2, lut=2), "x", "?")
    arcs = module_arcs(CHILD, {})
    assert arcs.leaving == {("z", 0): Levels(1, lut=1)}
    assert arcs.entering == {("x", 0): Levels(2, lut=2), ("y", 0): Levels(2, lut=2)}
    assert arcs.through == {(("x", 0), ("w", 0)): Levels(1, lut=1), (("y", 0), ("w", 0)): Levels(1, lut=1)}


def test_a_path_goes_through_submodules() -> None:
    """From one child's register through its LUT, another child's wire-through LUT, and into its own registers behind two."""
    child = {
        "type": "child",
        "parameters": {},
        "port_directions": {"x": "input", "y": "input", "z": "output", "w": "output"},
    }
    parent = _netlist(
        {"u": (child, {"x": 10, "y": 11, "z": 10, "w": 12}), "l": (LUT, {"I0": 12, "I1": 12, "O": 11})}, {}, {}
    )
    arcs: dict[str, Arcs] = {"child": module_arcs(CHILD, {})}
    with pytest.raises(ValueError, match="combinational loop"):
        longest_path(parent, arcs)
    parent = _netlist(
        {"u": (child, {"x": 10, "z": 10, "w": 12}), "l": (LUT, {"I0": 12, "I1": 12, "O": 13})}, {}, {"o": 13}
    )
    assert longest_path(parent).levels == Levels(1, lut=1)  # children left out
    assert longest_path(parent, arcs).levels == Levels(3, lut=3)


def test_equal_modules_are_one_variant() -> None:
    module = "module \\m${0}\n  wire input 1 \\a\n  wire $1{1}\n  cell $dff $x$f.sv:1$2{1}\n    parameter \\WIDTH {2}\n  end\nend\n"
    cells = "".join(f"  cell \\m$top.{u} \\{u}\n  end\n" for u in "abc")
    text = (
        module.format("top.a", 1, 3)
        + module.format("top.b", 7, 3)
        + module.format("top.c", 8, 4)
        + f"module \\top\n{cells}end\n"
    )
    design = cut(text, "top")
    assert sorted(design.instances().values()) == [1, 1, 2]
