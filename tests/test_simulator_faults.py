"""Every rule of the machine, broken once: the simulator must say which instruction did what."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from assembler import BANK_WORDS, BANKS, DEVICE, Assembler
from layers import ADD, conv_layer, copy_layer, input_schedule, random_int8

from sfopt.arithmetic import AddParams, AveragePoolParams
from sfopt.errors import ProgramError, SimulationFault
from sfopt_fpga.isa import FORMATS, WORD_BITS, WORD_BYTES, Axis, Binary, ComputeKind, Engine, Opcode, decode, encode
from sfopt_fpga.parameters import pack_average, pack_binary
from sfopt_fpga.simulator import simulate

X = random_int8(4, 3, 4)
SHAPE = X.shape


def through(load=None, store=None, wait="l", signal="s", category="outputs"):
    """x comes in, goes out: the smallest program that moves something."""
    asm = Assembler()
    asm.maps = {"x": (SHAPE, "inputs"), "other": (SHAPE, "feature_maps"), "out": (SHAPE, category)}
    asm.constants["table"] = bytes(64)
    asm.load("x", **{"base": 0, "shape": SHAPE, "signal": signal, **(load or {})})
    asm.store("out", **{"base": 0, "shape": SHAPE, "wait": wait, **(store or {})})
    return asm


def fault(program, inputs=None, match=""):
    with pytest.raises(SimulationFault, match=match) as error:
        simulate(program, {"x": X} if inputs is None else inputs)
    assert "\n" not in str(error.value)


def changed(program, word, **values):
    """The program with fields of one word changed."""
    opcode, fields = decode(program.words[word])
    return replace(program, words=(*program.words[:word], encode(opcode, fields | values), *program.words[word + 1 :]))


def test_the_sound_program_runs():
    result = simulate(through().build(), {"x": X})
    np.testing.assert_array_equal(result.outputs["out"], X)


def test_race_of_a_read_behind_a_write():
    fault(through(wait="", signal="").build(), match="STORE: race on scratchpad word 0: written by load, and no token")


def test_race_of_a_write_behind_a_read():
    asm = through()
    asm.load("x", 0, SHAPE)
    fault(asm.build(), match="LOAD: race on scratchpad word 0: read by store")


def test_race_of_a_write_behind_a_write():
    layer = copy_layer()
    asm = layer.start()
    asm.load("x", BANKS["x"], layer.x.shape, signal="c")
    asm.emit(Opcode.SETUP, **layer.full_setup)
    asm.emit(Opcode.COMPUTE, "l", **layer.compute_fields())
    asm.load("x", BANKS["out"], layer.x.shape)
    fault(asm.build(), layer.inputs, match="LOAD: race on scratchpad word 4096: written by compute")


def test_race_in_dram():
    asm = through(category="feature_maps")
    asm.load("out", 64, SHAPE)
    fault(asm.build(), match="LOAD: race on DRAM granule of 64 bytes .*: written by store")


def test_a_token_orders_what_its_sender_had_seen():
    """load -> compute -> store: the store knows that the load has ended without a token of its own."""
    asm = through(wait="c", signal="c")
    asm.words.insert(1, (Opcode.SYNC, {"engine": Engine.COMPUTE, "wait0": 1, "signal1": 1}))
    simulate(asm.build(), {"x": X})


def test_a_token_sent_before_the_write_orders_nothing():
    asm = through(signal="")
    asm.words.insert(0, (Opcode.SYNC, {"engine": Engine.LOAD, "signal1": 1}))
    fault(asm.build(), match="race on scratchpad word 0")


def test_host_orders_everything():
    asm = through(wait="", signal="")
    asm.words.insert(1, (Opcode.HOST, {"index": 0}))
    asm.host.append(("nothing", (), ()))
    simulate(asm.build(), {"x": X}, lambda call, given: {})


def test_deadlock():
    fault(through(wait="lc").build(), match="STORE: deadlock: store waits for 1 tokens from compute, which has given 0")


def test_tokens_left_over():
    fault(through(signal="sc").build(), match="END: 1 tokens from load to compute are left over")


def test_never_written():
    fault(through(store={"base": 64}).build(), match="row 0 pixel 0 channel 0: word 64 was never written")


def test_wrong_row():
    """Row 0 is read where row 1 lies."""
    fault(through(store={"base": 3, "first": 3}).build(), match="row 0 pixel 0 channel 0: word 3 holds row 1")


def test_row_overwritten_in_its_ring():
    fault(through(load={"ring": 2}).build(), match="row 0 pixel 0 channel 0: word 0 holds row 2")


def test_ring_overrun():
    fault(through(store={"ring": 2}).build(), match=r"STORE: ring overrun: rows 0\.\.4 of rows in a ring of 2")


def test_half_written_words_are_not_taken_for_written():
    """A LOAD fills the rest of a word with zeros, a COMPUTE leaves it alone."""
    asm = through(load={"channels": 3})
    asm.maps["x"] = ((4, 3, 3), "inputs")
    result = simulate(asm.build(), {"x": X[:, :, :3].copy()})
    np.testing.assert_array_equal(result.outputs["out"][:, :, 3], 0)
    layer = copy_layer()
    asm = layer.start()
    asm.maps["out"] = ((6, 5, 8), "outputs")
    asm.load("x", BANKS["x"], layer.x.shape, signal="c")
    asm.emit(Opcode.SETUP, **layer.full_setup)
    asm.emit(Opcode.COMPUTE, "l", "s", **layer.compute_fields())
    asm.store("out", BANKS["out"], (6, 5, 8), wait="c")
    fault(asm.build(), layer.inputs, match="row 0 pixel 0 channel 7: word 4097 was never written")


@pytest.mark.parametrize("ring", [0, 4])
def test_scratchpad_limits(ring):
    last = DEVICE.words - 11
    message = (
        "has a ring of 0 rows" if ring == 0 else rf"at words {last}\.\.{last + 12}, the scratchpad has {DEVICE.words}"
    )
    fault(through(load={"base": last, "ring": ring}).build(), match=message)


def test_pixel_too_small_for_its_channels():
    fault(through(load={"pixel_words": 0}).build(), match="0 words a pixel for 4 channels")


@pytest.mark.parametrize(("shift", "region"), [(-8, "table"), (16, "x")])
def test_dram_that_straddles(shift, region):
    program = through().build()
    place = program.inputs[0].offset
    fault(changed(program, 0, dram=place + shift), match=f"LOAD: DRAM .* leaves region `{region}` at")


def test_dram_in_no_region():
    program = through().build()
    fault(changed(program, 0, dram=1 << 31), match="LOAD: DRAM 0x80000000..0x80000030 is in no region")
    fault(changed(program, 0, dram=0), match="LOAD: DRAM 0x0..0x30 is in no region")


def test_region_that_is_not_alive_yet():
    program = through().build()
    alive = tuple(replace(r, first_word=1) if r.name == "out" else r for r in program.regions)
    simulate(replace(program, regions=alive), {"x": X})
    dead = tuple(replace(r, last_word=0) if r.name == "out" else r for r in program.regions)
    fault(replace(program, regions=dead), match="STORE: DRAM .* is in no region")


def test_dram_never_written():
    program = through().build()
    other = next(r for r in program.regions if r.name == "other")
    fault(changed(program, 0, dram=other.offset), match="LOAD: reads `other` at DRAM .*, which was never written")


def test_dram_that_holds_another_tensor():
    """Two regions share addresses one after the other; the second is read before anything is stored in it."""
    asm = through()
    asm.sync(Engine.STORE, signal=(1, 0))
    asm.load("out", 64, SHAPE, wait="s")
    program = asm.build()
    simulate(program, {"x": X})
    out = next(r for r in program.regions if r.name == "out")
    regions = tuple(replace(r, last_word=1) if r is out else r for r in program.regions)
    late = replace(out, name="late", category="feature_maps", first_word=2)
    fault(
        replace(program, regions=(*regions, late), outputs=()), match="LOAD: reads `late` at DRAM .*, which holds `out`"
    )


@pytest.mark.parametrize("where", ["program", "constants", "inputs"])
def test_store_where_nothing_may_be_stored(where):
    program = through().build()
    place = {"program": 0, "constants": program.constants_base, "inputs": program.inputs[0].offset}[where]
    fault(
        changed(program, 1, dram=place),
        match="STORE: writes (DRAM .*program and constants reach to|region `x` of inputs)",
    )


def test_output_that_is_never_stored():
    asm = through()
    asm.words.pop()
    asm.words[0][1]["signal"] = 0
    fault(asm.build(), match="END: reads `out` at DRAM .*, which was never written")


BANK_CLASHES = {
    "input and output": {"out_base": BANKS["x"] + 512},
    "input and weights": {"weights_base": BANKS["x"] + 512},
    "input and residual": {"residual_base": BANKS["x"] + 512},
    "residual and output": {"out_base": BANKS["residual"] + 512},
}


@pytest.mark.parametrize("pair", BANK_CLASHES)
def test_two_streams_in_one_bank(pair):
    """Operands are loaded to where the clash wants them, so that nothing else is wrong."""
    layer = conv_layer(binary=Binary.ADD)
    layer.residual, layer.parameters = random_int8(*layer.out_shape), pack_binary(ADD) + layer.parameters
    program = layer.frame(**BANK_CLASHES[pair])
    for index, word in enumerate(program.words):
        opcode, fields = decode(word)
        name = next((r.name for r in program.regions if opcode is Opcode.LOAD and r.offset == fields["dram"]), None)
        if f"{name}_base" in BANK_CLASHES[pair]:
            program = changed(program, index, base=BANK_CLASHES[pair][f"{name}_base"])
        if opcode is Opcode.STORE:
            program = changed(program, index, base=BANK_CLASHES[pair].get("out_base", fields["base"]))
    first, second = pair.split(" and ")
    fault(program, layer.inputs, match=f"COMPUTE: ({first} and {second}|{second} and {first}) are both in bank")


def test_operand_that_reaches_into_the_next_bank():
    layer = copy_layer()
    base = BANK_WORDS - 4
    program = layer.frame(x_base=base, out_base=BANK_WORDS + 512)
    program = changed(program, 0, base=base)
    fault(program, layer.inputs, match="COMPUTE: input and output are both in bank 1")


def test_parameters_are_exempt_from_the_bank_rule():
    layer = conv_layer()
    program = layer.frame(x_base=BANKS["parameters"] + 512)
    program = changed(program, 2, base=BANKS["parameters"] + 512)
    simulate(program, layer.inputs)


SETUP_FAULTS = {
    "kind 7 or binary 0": {"kind": 7},
    "kind 0 or binary 3": {"binary": 3},
    "kernel_h is 0": {"kernel_h": 0},
    "stride_w is 0": {"stride_w": 0},
    "groups is 0": {"groups": 0},
    "x_height is 0": {"x_height": 0},
    "x_channels is 0": {"x_channels": 0},
    "do not divide into 2 groups": {"groups": 2},
    "x_channels 5 and out_channels 7 differ": {"kind": ComputeKind.DEPTHWISE},
    "the output is 7x6, this operation gives 14x6": {"kind": ComputeKind.RESIZE, "stride_h": 2, "x_channels": 7},
    "the output is 7x6, this operation gives 1x1": {"kind": ComputeKind.GLOBAL_MEAN, "x_channels": 7},
}


@pytest.mark.parametrize("message", SETUP_FAULTS)
def test_impossible_setup(message):
    layer = conv_layer()
    layer.setup |= SETUP_FAULTS[message]
    fault(layer.frame(), layer.inputs, match=f"SETUP: .*{message}")


@pytest.mark.parametrize(
    ("params", "name"), [(AddParams(np.float32("nan"), ADD.b_ratio, ADD.offset), "a_ratio is nan")]
)
def test_parameters_that_are_no_numbers(params, name):
    layer = copy_layer(pack_binary(params), binary=Binary.ADD)
    layer.residual = layer.x
    fault(layer.frame(), layer.inputs, match=f"COMPUTE: AddParams.{name}")
    layer = conv_layer()
    layer.parameters = b"\xff" * len(layer.parameters)
    fault(layer.frame(), layer.inputs, match="a channel's factor is not finite")
    layer = copy_layer(
        pack_average(AveragePoolParams(np.float32(1), 0, np.float32(0), 0)), kind=ComputeKind.AVERAGE_POOL
    )
    fault(layer.frame(), layer.inputs, match="AveragePoolParams.y_scale is 0")


def test_compute_before_setup():
    asm = Assembler()
    asm.emit(Opcode.COMPUTE)
    fault(asm.build(), {}, match="COMPUTE: no SETUP came before")


def test_host_index():
    asm = Assembler()
    asm.emit(Opcode.HOST, index=3)
    fault(asm.build(), {}, match="HOST: index 3, the host table has 0 entries")


def test_sync_of_no_engine():
    asm = Assembler()
    asm.emit(Opcode.SYNC, engine=3)
    fault(asm.build(), {}, match="SYNC: engine 3 does not exist")


def test_store_that_folds():
    fault(through(store={"fold_taps": 2, "fold_stride": 1}).build(), match="STORE: cannot fold 4 channels into 2 taps")
    fault(through(load={"fold_taps": 3, "fold_stride": 1}).build(), match="LOAD: cannot fold 4 channels into 3 taps")
    fault(through(load={"fold_taps": 2}).build(), match="LOAD: cannot fold 4 channels into 2 taps at stride 0")


LOOPS = {
    "a loop over rows is already running": [(Axis.ROWS, 2, 2), (Axis.ROWS, 2, 1)],
    "count 0 and body 1 must be above 0": [(Axis.ROWS, 0, 1)],
    "count 2 and body 0 must be above 0": [(Axis.ROWS, 2, 0)],
    "its body of 1025 words does not fit the buffer of 1024": [(Axis.ROWS, 2, 1025)],
    "its body of 9 words ends behind word": [(Axis.ROWS, 2, 9)],
    "its body of 2 words ends behind word 2": [(Axis.ROWS, 2, 1), (Axis.CHANNELS, 2, 2)],
}


@pytest.mark.parametrize("message", LOOPS)
def test_wrong_loops(message):
    asm = Assembler()
    for axis, count, body in LOOPS[message]:
        asm.emit(Opcode.LOOP, axis=axis, count=count, body=body)
    asm.sync(Engine.LOAD)
    asm.sync(Engine.LOAD)
    fault(asm.build(), {}, match=f"LOOP: {message}")


@pytest.mark.parametrize("opcode", [Opcode.HOST, Opcode.END])
def test_what_may_not_stand_in_a_loop(opcode):
    asm = Assembler()
    asm.emit(Opcode.LOOP, count=1, body=1)
    asm.emit(opcode)
    asm.sync(Engine.LOAD)
    fault(asm.build(), {}, match=f"{opcode.name}: may not stand in a loop")


def test_program_without_end():
    program = through().build()
    fault(replace(program, words=program.words[:-1]), match="runs past its last word without END")


def test_illegal_word():
    program = through().build()
    fault(replace(program, words=(bytes(WORD_BYTES), *program.words[1:])), match="instruction 0: illegal opcode 0")


def test_what_lies_behind_end_is_not_looked_at():
    program = through().build()
    simulate(replace(program, words=(*program.words, bytes(WORD_BYTES))), {"x": X})


BENIGN = {
    "COMPUTE.residual_base": "there is no residual",
    "COMPUTE.residual_ring": "there is no residual",
    "COMPUTE.channel_step": "the only tile has all channels",
    "COMPUTE.channel_first": "more than all channels is all channels",
    "COMPUTE.weights_ring": "a longer ring of rows that all fit is the same memory",
    "LOAD.ring": "likewise: constants, and rings that never wrap",
    "LOAD.total": "more rows in all than the indices ask for",
    "LOAD.first": "more than all rows is all rows",
    "LOAD.step": "a LOAD at index 0 has no further rows",
    "LOAD.axis": "a LOAD outside any loop sees index 0 of both",
    "LOAD.pixel_words": "a row of one pixel",
    "LOAD.fold_stride": "nothing folds",
    "LOAD.fold_pad": "nothing folds",
    "LOAD.fold_width": "nothing folds",
    "LOAD.fold_zero": "nothing folds",
    "STORE.fold_stride": "nothing folds",
    "STORE.fold_pad": "nothing folds",
    "STORE.fold_width": "nothing folds",
    "STORE.fold_zero": "nothing folds",
    "SETUP.include_pad": "no average pool",
    "SETUP.residual_pixel_words": "there is no residual",
    "SETUP.scale": "there is no channel scale",
    "SETUP.swapped": "there is no second operand",
    "SETUP.x_height": "rows below the last window are not read",
    "SETUP.x_width": "columns right of the last window are not read",
    "SETUP.out_height": "loops end before",
    "SETUP.out_channels": "the only tile ends before",
    "LOOP.count": "further indices have no rows",
}


def flips(program):
    """Every instruction bit, flipped: (instruction and field, program)."""
    for index, word in enumerate(program.words):
        positions = ["opcode"] * 4
        for field in FORMATS[decode(word)[0]].fields:
            positions += [field.name] * field.bits
        positions += ["stray"] * (WORD_BITS - len(positions))
        for bit, name in enumerate(positions):
            flipped = (int.from_bytes(word, "little") ^ 1 << bit).to_bytes(WORD_BYTES, "little")
            words = (*program.words[:index], flipped, *program.words[index + 1 :])
            yield f"{decode(word)[0].name}.{name}", replace(program, words=words)


def observed(program, inputs):
    result = simulate(program, inputs)
    return result.outputs["out"].tobytes(), dict(result.reads), dict(result.writes), result.program_bytes, result.cycles


@pytest.mark.slow
def test_flipped_instruction_bits_are_noticed():
    """A banded convolution: each flip is a fault, or another result, other bytes or other cycles, or has a reason not to be."""
    layer = conv_layer(h=5, w=4, c=4, oc=4, kernel=(3, 3))
    program = layer.bands(2, input_schedule(layer.full_setup, 5, 2))
    sound = observed(program, layer.inputs)
    outcomes, unnoticed = Counter(), set()
    for name, broken in flips(program):
        try:
            seen = observed(broken, layer.inputs)
        except (SimulationFault, ProgramError):
            outcomes["fault"] += 1
            continue
        outcomes["changed" if seen != sound else "benign"] += 1
        if seen == sound:
            unnoticed.add(name)
    assert unnoticed <= set(BENIGN)
    assert outcomes.total() == WORD_BITS * len(program.words)
    assert outcomes["benign"] < 0.2 * outcomes.total(), outcomes
