"""Operands that lie beside others in larger pixels: their words, to the last one, and nothing else is theirs."""

import re

import layer_reference as ref
import numpy as np
import pytest
from assembler import BANK_WORDS, BANKS, DEVICE, Assembler
from layers import ADD, copy_layer, random_int8

from sfopt.errors import SimulationFault
from sfopt_fpga.isa import Binary, Opcode
from sfopt_fpga.parameters import pack_binary
from sfopt_fpga.program import Program
from sfopt_fpga.simulator import simulate

X = random_int8(4, 3, 4)
"""A word a pixel."""


def fault(program: Program, inputs: dict[str, np.ndarray], text: str) -> None:
    with pytest.raises(SimulationFault, match=re.escape(text)):
        simulate(program, inputs)


def through(base: int, pixel_words: int) -> Assembler:
    """`x` into the scratchpad, a pixel `pixel_words` behind the one before, and out again."""
    asm = Assembler()
    asm.maps = {"x": (X.shape, "inputs"), "out": (X.shape, "outputs")}
    asm.load("x", base, X.shape, signal="s", pixel_words=pixel_words)
    asm.store("out", base, X.shape, wait="l", pixel_words=pixel_words)
    return asm


@pytest.mark.parametrize("pixel_words", [1, 2, 3, 7])
def test_last_word_of_the_scratchpad_ends_the_last_pixel(pixel_words: int) -> None:
    base = DEVICE.words - (X.shape[0] * X.shape[1] - 1) * pixel_words - 1
    result = simulate(through(base, pixel_words).build(), {"x": X})
    np.testing.assert_array_equal(result.outputs["out"], X)
    fault(through(base + 1, pixel_words).build(), {"x": X}, f"..{DEVICE.words + 1}, the scratchpad has {DEVICE.words}")


def beside(second: int, channels: int = 4, *, token: bool = False) -> Program:
    """STORE of a map in word 1 of pixels of 3 words, while LOAD brings another one to word `second` of the same pixels."""
    asm = Assembler()
    other = (*X.shape[:2], channels)
    asm.maps = {"x": (X.shape, "inputs"), "y": (other, "inputs"), "out": (X.shape, "outputs")}
    asm.load("x", 1, X.shape, signal="s", pixel_words=3)
    asm.load("y", second, other, wait="s" if token else "", pixel_words=3)
    asm.store("out", 1, X.shape, wait="l", signal="l" if token else "", pixel_words=3)
    if token:
        asm.words = [asm.words[i] for i in (0, 2, 1)]
    return asm.build()


@pytest.mark.parametrize("second", [0, 2])
def test_no_race_on_the_words_beside(second: int) -> None:
    result = simulate(beside(second), {"x": X, "y": random_int8(4, 3, 4, seed=1)})
    np.testing.assert_array_equal(result.outputs["out"], X)


def test_race_on_one_word_of_every_pixel() -> None:
    inputs = {"x": X, "y": random_int8(4, 3, 8, seed=1)}
    fault(beside(0, 8), inputs, "race on scratchpad word 1: written by load, and no token orders that")
    assert simulate(beside(0, 8, token=True), inputs).outputs["out"].tobytes() == X.tobytes()


@pytest.mark.parametrize(("base", "row"), [(1, 0), (10, 1)], ids=["same rows", "a row further on"])
def test_words_that_hold_rows_of_a_map_beside(base: int, row: int) -> None:
    """A LOAD over the second of two words: which map's bytes they are no tag says, which row's it does."""
    wide, asm = random_int8(4, 3, 8), Assembler()
    asm.maps = {"x": (wide.shape, "inputs"), "y": (X.shape, "inputs"), "out": (wide.shape, "outputs")}
    asm.load("x", 0, wide.shape, pixel_words=3)
    asm.load("y", base, X.shape, signal="s", pixel_words=3)
    asm.store("out", 0, wide.shape, wait="l", pixel_words=3)
    if row:
        fault(asm.build(), {"x": wide, "y": X}, "row 1 pixel 0 channel 4: word 10 holds row 0")
    else:
        stored = simulate(asm.build(), {"x": wide, "y": X}).outputs["out"]
        np.testing.assert_array_equal(stored, np.concatenate([wide[:, :, :4], X], axis=2))


def copied(x_base: int, x_words: int, out_base: int, out_words: int, out_channel: int = 0, **setup: int) -> Program:
    """COPY of 6x5x7 from pixels of `x_words` to pixels of `out_words`, with a residual where the output is, if `setup` has one."""
    layer = copy_layer(pack_binary(ADD) if setup else b"", **setup)
    asm = layer.start()
    asm.maps["residual"] = (layer.x.shape, "inputs")
    if setup:
        asm.load("residual", out_base, layer.x.shape, pixel_words=setup["residual_pixel_words"])
    asm.load("x", x_base, layer.x.shape, signal="c", pixel_words=x_words)
    asm.emit(Opcode.SETUP, **layer.full_setup)
    fields = {"x_base": x_base, "x_pixel_words": x_words, "out_base": out_base, "out_pixel_words": out_words}
    residual = {"residual_base": out_base, "residual_ring": 6} if setup else {}
    asm.emit(Opcode.COMPUTE, "l", "s", **layer.compute_fields(**fields, out_channel=out_channel, **residual))
    asm.store("out", out_base + out_channel // 4, layer.out_shape, wait="c", pixel_words=out_words)
    return asm.build()


INPUTS = {"x": copy_layer().x, "residual": random_int8(6, 5, 7, seed=2)}


def test_copy_between_pixels_of_different_sizes() -> None:
    result = simulate(copied(5, 3, BANKS["out"] + 2, 6, 8), INPUTS)
    np.testing.assert_array_equal(result.outputs["out"], INPUTS["x"])


def test_bank_of_the_last_word() -> None:
    """A pixel of three words, two of them its own: the third of the last would be in the next bank."""
    base = BANK_WORDS - (6 * 5 - 1) * 3 - 2
    simulate(copied(base, 3, BANK_WORDS + 200, 2), INPUTS)
    fault(copied(base + 1, 3, BANK_WORDS + 200, 2), INPUTS, "input and output are both in bank 1")


def test_copy_to_where_its_input_lies() -> None:
    """At channel 8 of pixels of five words; a word, a pixel's size or a ring off, they are two operands in one bank."""
    assert simulate(copied(12, 5, 10, 5, 8), INPUTS).outputs["out"].tobytes() == INPUTS["x"].tobytes()
    clash = "input and output are both in bank 0"
    for wrong in (copied(13, 5, 10, 5, 8), copied(12, 6, 10, 5, 8), copied(12, 5, 10, 5, 4), copied(12, 5, 10, 5)):
        fault(wrong, INPUTS, clash)


def test_copy_in_place_leaves_the_channels_beside_it() -> None:
    """Seven channels, the eighth in the same word is another's."""
    table, wide = random_int8(256, seed=8), random_int8(6, 5, 16)
    layer = copy_layer(table.tobytes(), has_table0=1)
    asm = layer.start()
    asm.maps = {"x": (wide.shape, "inputs"), "out": (wide.shape, "outputs")}
    asm.load("x", 0, wide.shape, signal="c")
    asm.emit(Opcode.SETUP, **layer.full_setup)
    place = {"x_base": 1, "x_pixel_words": 4, "out_base": 0, "out_pixel_words": 4, "out_channel": 4}
    asm.emit(Opcode.COMPUTE, "l", "s", **layer.compute_fields(**place))
    asm.store("out", 0, wide.shape, wait="c")
    expected = wide.copy()
    expected[:, :, 4:11] = ref.look_up(wide[:, :, 4:11], table)
    np.testing.assert_array_equal(simulate(asm.build(), {"x": wide}).outputs["out"], expected)


def test_sum_to_where_its_residual_lies() -> None:
    setup = {"binary": Binary.ADD, "residual_pixel_words": 4}
    result = simulate(copied(BANKS["x1"] + 1, 3, 3, 4, **setup), INPUTS)
    np.testing.assert_array_equal(result.outputs["out"], ref.add(INPUTS["x"], INPUTS["residual"], 0.5, 0.75, -3))
    fault(copied(BANKS["x1"], 3, 3, 5, **setup), INPUTS, "residual and output are both in bank 0")
    fault(
        copied(BANKS["x1"], 3, 3, 4, **(setup | {"residual_pixel_words": 1})),
        INPUTS,
        "and 1 words a pixel for 8 channels",
    )


def test_input_that_is_a_residual_in_pixels_of_another_size_is_another_operand() -> None:
    layer = copy_layer(pack_binary(ADD), binary=Binary.ADD, residual_pixel_words=2)
    simulate(layer.frame(residual_base=BANKS["x"], residual_ring=6), layer.inputs)
    layer.setup |= {"out_height": 1, "out_width": 1, "residual_pixel_words": 3}
    layer.x = layer.x[:1, :1].copy()
    fault(layer.frame(residual_base=BANKS["x"], residual_ring=1), layer.inputs, "input and residual are both in bank 0")
