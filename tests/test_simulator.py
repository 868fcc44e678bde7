"""Every kind of instruction against plain loops, in every way that a program can cut the work."""

from functools import partial

import layer_reference as ref
import numpy as np
import pytest
from assembler import BANKS, DEVICE, LANES, Assembler, words_of
from layers import ADD, MUL, SCALE, F, Layer, channel_constants, conv_layer, copy_layer, input_schedule, random_int8

from sfopt.arithmetic import AveragePoolParams
from sfopt.errors import UsageError
from sfopt_fpga.isa import Axis, Binary, ComputeKind, Engine, Opcode
from sfopt_fpga.parameters import pack_average, pack_binary, pack_channels, pack_scale, pack_table
from sfopt_fpga.simulator import simulate


def conv_expected(layer, x=None):
    setup = layer.full_setup
    return ref.conv(layer.x if x is None else x, layer.w, *channel_constants(setup["out_channels"]), setup)


def check(program, layer, expected, **options):
    result = simulate(program, layer.inputs, **options)
    np.testing.assert_array_equal(result.outputs["out"], expected)
    return result


CONVS = {
    "pointwise": {"kernel": (1, 1), "pad": (0, 0)},
    "3x3": {},
    "strided": {"stride": (2, 2)},
    "uneven": {"kernel": (3, 2), "stride": (1, 2), "pad": (2, 0)},
    "dilated": {"dilation": (2, 2), "pad": (2, 2)},
    "grouped": {"groups": 3, "c": 6, "oc": 9},
    "stride-leaves-columns": {"kernel": (1, 1), "pad": (0, 0), "stride": (2, 3)},
}


@pytest.mark.parametrize("name", CONVS)
def test_conv_frame(name):
    layer = conv_layer(**CONVS[name])
    result = check(layer.frame(), layer, conv_expected(layer), capture=True)
    np.testing.assert_array_equal(result.tensors["traced"], result.outputs["out"])


@pytest.mark.parametrize("name", CONVS)
@pytest.mark.parametrize("tile", [1, 4])
def test_conv_channel_tiles(name, tile):
    layer = conv_layer(**CONVS[name])
    check(layer.tiles(tile), layer, conv_expected(layer))


@pytest.mark.parametrize("name", CONVS)
@pytest.mark.parametrize("band", [1, 2, 3])
def test_conv_bands(name, band):
    layer = conv_layer(h=9, **CONVS[name])
    program = layer.bands(band, input_schedule(layer.full_setup, 9, band))
    result = check(program, layer, conv_expected(layer), capture=True)
    np.testing.assert_array_equal(result.tensors["traced"], result.outputs["out"])
    assert result.reads["weights"] == layer.w.size


@pytest.mark.parametrize("tile", [2, 3, 4])
def test_conv_bands_with_weights_read_again(tile):
    layer = conv_layer(h=9)
    program = layer.bands(2, input_schedule(layer.full_setup, 9, 2), tile=tile)
    result = check(program, layer, conv_expected(layer))
    assert result.reads["weights"] == 5 * layer.w.size


def test_rows_inside_channels():
    """The other nesting: a channel tile over all bands, then the next; the output is whole."""
    layer = conv_layer(kernel=(1, 1), pad=(0, 0))
    asm = layer.start()
    layer.load_weights(asm)
    asm.load("x", BANKS["x"], layer.x.shape, signal="c")
    asm.emit(Opcode.SETUP, **layer.full_setup)
    asm.sync(Engine.COMPUTE, wait=(1, 0))
    asm.emit(Opcode.LOOP, axis=Axis.CHANNELS, count=3, body=2)
    asm.emit(Opcode.LOOP, axis=Axis.ROWS, count=4, body=1)
    asm.emit(Opcode.COMPUTE, **layer.compute_fields(first=2, step=2, channel_first=3, channel_step=3))
    asm.sync(Engine.COMPUTE, signal=(0, 1))
    asm.store("out", BANKS["out"], layer.out_shape, wait="c")
    check(asm.build(), layer, conv_expected(layer))


@pytest.mark.parametrize("banded", [False, True])
def test_folded_conv(banded):
    """Kernel columns in the lanes: 3x3 over 1 channel becomes 3x1 over 3, the DMA lays out the columns."""
    plain = conv_layer(h=8, w=7, c=1, oc=3, stride=(2, 2))
    width = plain.out_shape[1]
    setup = {**plain.setup, "kernel_w": 1, "stride_w": 1, "pad_left": 0, "x_width": width, "x_channels": 3}
    folded = Layer(setup, plain.x, plain.w.reshape(3, 3, 3), plain.parameters)
    fold = {"width": width, "channels": 3, "fold_taps": 3, "fold_stride": 2, "fold_pad": 1, "fold_width": 7}
    fold["fold_zero"] = plain.setup["pad_value"]
    program = folded.bands(2, input_schedule(setup | {"dilation_h": 1}, 8, 2)) if banded else folded.frame()
    asm_words = [_with(program, w, fold) for w in program.words]
    program = type(program)(**{**_fields(program), "words": tuple(asm_words)})
    result = check(program, folded, conv_expected(plain))
    assert result.reads["x"] == plain.x.size


def _fields(program):
    return {name: getattr(program, name) for name in program.__dataclass_fields__}


def _with(program, word, fold):
    """Turn the LOAD of x into a folding one."""
    from sfopt_fpga.isa import decode, encode

    opcode, values = decode(word)
    place = next(p.offset for p in program.inputs if p.tensor == "x")
    folds = opcode is Opcode.LOAD and values["dram"] == place
    return encode(opcode, values | fold) if folds else word


def depthwise_layer(**more):
    base = conv_layer(c=6, oc=6, **more)
    base.setup["kind"] = ComputeKind.DEPTHWISE
    base.w = random_int8(1, base.setup["kernel_h"] * base.setup["kernel_w"], 6, seed=2)
    return base


@pytest.mark.parametrize("more", [{}, {"stride": (2, 1)}, {"dilation": (2, 1), "pad": (2, 1)}])
@pytest.mark.parametrize("band", [None, 1, 2])
def test_depthwise(more, band):
    layer = depthwise_layer(h=8, **more)
    expected = ref.depthwise(layer.x, layer.w, *channel_constants(6), layer.full_setup)
    check(
        layer.frame() if band is None else layer.bands(band, input_schedule(layer.full_setup, 8, band)), layer, expected
    )


def pool_layer(kind, **more):
    base = conv_layer(h=8, c=6, oc=6, **more)
    setup = {**base.setup, "kind": kind, "pad_value": -128 if kind == ComputeKind.MAX_POOL else 4}
    return Layer(setup, base.x)


@pytest.mark.parametrize("band", [None, 1, 3])
@pytest.mark.parametrize("more", [{}, {"stride": (2, 2)}, {"dilation": (2, 1)}])
def test_max_pool(more, band):
    layer = pool_layer(ComputeKind.MAX_POOL, **more)
    expected = ref.max_pool(layer.x, layer.full_setup)
    check(
        layer.frame() if band is None else layer.bands(band, input_schedule(layer.full_setup, 8, band)), layer, expected
    )


@pytest.mark.parametrize("include_pad", [0, 1])
@pytest.mark.parametrize("band", [None, 2])
def test_average_pool(include_pad, band):
    layer = pool_layer(ComputeKind.AVERAGE_POOL, stride=(2, 2), include_pad=include_pad)
    layer.parameters = pack_average(AveragePoolParams(F(0.3), 4, F(0.21), -6))
    expected = ref.average_pool(layer.x, layer.full_setup, 0.3, 4, 0.21, -6)
    check(
        layer.frame() if band is None else layer.bands(band, input_schedule(layer.full_setup, 8, band)), layer, expected
    )


@pytest.mark.parametrize("band", [None, 1, 3])
@pytest.mark.parametrize("residual", [False, True])
def test_global_mean(band, residual):
    setup = {"kind": ComputeKind.GLOBAL_MEAN, "out_height": 1, "out_width": 1, "out_channels": 6, "out_zero": 3}
    layer = Layer(setup, random_int8(7, 5, 6), parameters=pack_channels(np.array([70], np.int32), np.array([0.03], F)))
    expected = ref.global_mean(layer.x, 70, 0.03, 3)
    if residual and band is None:
        layer.residual = random_int8(1, 1, 6, seed=5)
        layer.setup["binary"] = Binary.ADD
        layer.parameters = pack_binary(ADD) + layer.parameters
        expected = ref.add(expected, layer.residual, 0.5, 0.75, -3)
    check(layer.frame() if band is None else layer.bands(band, (band, band, band)), layer, expected)


@pytest.mark.parametrize("band", [1, 3])
def test_global_mean_goes_on_behind_another_setup(band):
    setup = {"kind": ComputeKind.GLOBAL_MEAN, "out_height": 1, "out_width": 1, "out_channels": 6, "out_zero": 3}
    layer = Layer(setup, random_int8(7, 5, 6), parameters=pack_channels(np.array([70], np.int32), np.array([0.03], F)))
    program = layer.bands(band, (band, band, band), setups=[copy_layer().full_setup, layer.full_setup])
    check(program, layer, ref.global_mean(layer.x, 70, 0.03, 3))


@pytest.mark.parametrize("band", [None, 2, 4])
def test_resize(band):
    setup = {
        "kind": ComputeKind.RESIZE,
        "stride_h": 2,
        "stride_w": 3,
        "out_height": 10,
        "out_width": 12,
        "out_channels": 5,
    }
    layer = Layer(setup, random_int8(5, 4, 5))
    program = layer.frame() if band is None else layer.bands(band, (band // 2, band // 2, band // 2))
    check(program, layer, ref.resize(layer.x, 2, 3))


def test_resize_bands_that_cut_through_a_repeated_row():
    """5 rows a band of factor 3: the window of a band starts inside an input row."""
    setup = {
        "kind": ComputeKind.RESIZE,
        "stride_h": 3,
        "stride_w": 1,
        "out_height": 12,
        "out_width": 3,
        "out_channels": 2,
    }
    layer = Layer(setup, random_int8(4, 3, 2))
    asm = layer.start()
    asm.load("x", BANKS["x"], layer.x.shape, signal="c")
    asm.emit(Opcode.SETUP, **layer.full_setup)
    asm.sync(Engine.COMPUTE, wait=(1, 0))
    asm.emit(Opcode.LOOP, axis=Axis.ROWS, count=3, body=1)
    asm.emit(Opcode.COMPUTE, **layer.compute_fields(first=5, step=5))
    asm.sync(Engine.COMPUTE, signal=(0, 1))
    asm.store("out", BANKS["out"], layer.out_shape, wait="c")
    check(asm.build(), layer, ref.resize(layer.x, 3, 1))


BINARIES = {
    "add": (Binary.ADD, ADD, partial(ref.add, ratio_a=0.5, ratio_b=0.75, offset=-3)),
    "mul": (Binary.MUL, MUL, partial(ref.mul, factor=0.0625, zero_a=3, zero_b=-2, zero_y=5)),
}


@pytest.mark.parametrize("swapped", [0, 1])
@pytest.mark.parametrize("name", BINARIES)
@pytest.mark.parametrize("band", [None, 1, 4])
def test_binary(name, swapped, band):
    binary, params, rule = BINARIES[name]
    layer = copy_layer(pack_binary(params), binary=binary, swapped=swapped)
    layer.residual = random_int8(6, 5, 7, seed=3)
    expected = rule(layer.residual, layer.x) if swapped else rule(layer.x, layer.residual)
    check(layer.frame() if band is None else layer.bands(band, (band, band, band)), layer, expected)


def test_an_input_that_is_its_own_residual_is_read_from_one_bank():
    layer = copy_layer(pack_binary(ADD), binary=Binary.ADD, residual_pixel_words=words_of(7))
    program = layer.frame(residual_base=BANKS["x"], residual_ring=6)
    check(program, layer, ref.add(layer.x, layer.x, 0.5, 0.75, -3))


def test_everything_after_a_conv_in_order():
    """Channel scale, conv, table, add with exchanged operands, table; the records in the order of the parameter block."""
    layer = conv_layer(binary=Binary.ADD, swapped=1, has_table0=1, has_table1=1)
    table0, table1 = random_int8(256, seed=8), random_int8(256, seed=9)
    layer.residual, layer.scale = random_int8(*layer.out_shape, seed=3), random_int8(1, 1, 5, seed=4)
    tables = pack_table(table0) + pack_table(table1)
    layer.parameters = pack_binary(ADD) + pack_scale(SCALE) + tables + layer.parameters
    scaled = ref.mul(layer.x, np.broadcast_to(layer.scale, layer.x.shape), 0.03125, -4, 1, 7)
    value = ref.look_up(conv_expected(layer, scaled), table0)
    expected = ref.look_up(ref.add(layer.residual, value, 0.5, 0.75, -3), table1)
    check(layer.frame(), layer, expected)
    check(layer.bands(2, input_schedule(layer.full_setup, 7, 2)), layer, expected)


def test_channel_scale_alone():
    layer = copy_layer(pack_scale(SCALE))
    layer.scale = random_int8(1, 1, 7, seed=4)
    expected = ref.mul(layer.x, np.broadcast_to(layer.scale, layer.x.shape), 0.03125, -4, 1, 7)
    check(layer.frame(), layer, expected)
    check(layer.bands(2, (2, 2, 2)), layer, expected)


@pytest.mark.parametrize("banded", [False, True])
def test_concat_of_pieces_that_share_words(banded):
    """3 + 6 + 2 channels: neighbours share words, the second piece is requantised by a table further on in the block."""
    sizes, offsets = (3, 6, 2), (0, 3, 9)
    pieces = [random_int8(5, 4, c, seed=c) for c in sizes]
    table = random_int8(256, seed=9)
    asm = Assembler()
    asm.constants["parameters"] = bytes(256) + pack_table(table)
    asm.load("parameters", BANKS["parameters"], (1, 1, 512))
    banks = [BANKS["x"], BANKS["x1"], BANKS["x2"]]
    for i, piece in enumerate(pieces):
        asm.maps[f"x{i}"] = (piece.shape, "inputs")
        asm.load(f"x{i}", banks[i], piece.shape, signal="c" if i == 2 else "")
    asm.maps["out"] = ((5, 4, 11), "outputs")
    asm.sync(Engine.COMPUTE, wait=(1, 0))
    if banded:
        asm.emit(Opcode.LOOP, axis=Axis.ROWS, count=3, body=6)
    for i, (size, offset) in enumerate(zip(sizes, offsets, strict=True)):
        shape = {"x_height": 5, "x_width": 4, "x_channels": size, "out_height": 5, "out_width": 4, "out_channels": size}
        parameters = BANKS["parameters"] + 256 // LANES
        asm.emit(Opcode.SETUP, kind=ComputeKind.COPY, has_table0=int(i == 1), parameters=parameters, **shape)
        out = {"out_base": BANKS["out"], "out_ring": 5, "out_pixel_words": words_of(11), "out_channel": offset}
        rows = {"first": 2, "step": 2} if banded else {"first": 5}
        x = {"x_base": banks[i], "x_ring": 5, "x_pixel_words": words_of(size)}
        asm.trace.append((asm.emit(Opcode.COMPUTE, **x, **out, **rows, channel_first=size), "whole", offset))
    asm.sync(Engine.COMPUTE, signal=(0, 1))
    asm.store("out", BANKS["out"], (5, 4, 11), wait="c")
    result = simulate(asm.build(), {f"x{i}": p for i, p in enumerate(pieces)}, capture=True)
    expected = np.concatenate([pieces[0], ref.look_up(pieces[1], table), pieces[2]], axis=2)
    np.testing.assert_array_equal(result.outputs["out"], expected)
    np.testing.assert_array_equal(result.tensors["whole"], expected)


def host_program():
    asm = Assembler()
    asm.maps = {"x": ((2, 3, 4), "inputs"), "middle": ((2, 3, 4), "feature_maps"), "out": ((2, 3, 4), "outputs")}
    asm.host.append(("negate", ("x",), ("middle",)))
    asm.emit(Opcode.HOST, index=0)
    asm.load("middle", 0, (2, 3, 4), signal="s")
    asm.store("out", 0, (2, 3, 4), wait="l")
    return asm.build()


def test_host_call_reads_and_writes_dram():
    x = random_int8(2, 3, 4) // 2
    result = simulate(host_program(), {"x": x}, lambda call, given: {"middle": -given["x"]})
    np.testing.assert_array_equal(result.outputs["out"], -x)
    assert result.reads == {"x": 24, "middle": 24}
    assert result.writes == {"middle": 24, "out": 24}


def test_host_call_without_host_function():
    with pytest.raises(UsageError, match="calls the host for `negate`"):
        simulate(host_program(), {"x": random_int8(2, 3, 4)})


@pytest.mark.parametrize("inputs", [{}, {"x": np.zeros((7, 6, 4), np.int8)}, {"x": np.zeros((7, 6, 5), np.uint8)}])
def test_wrong_inputs(inputs):
    with pytest.raises(UsageError, match="input `x` "):
        simulate(conv_layer().frame(), inputs)


def test_bytes_and_file_form():
    layer = conv_layer()
    program = layer.frame()
    result = check(program.to_bytes(), layer, conv_expected(layer))
    assert result.program_bytes == 32 * len(program.words)
    assert result.reads == {"weights": layer.w.size, "parameters": 56, "x": layer.x.size}
    assert result.writes == {"out": 7 * 6 * 7}


def test_loop_bodies_are_fetched_once():
    layer = conv_layer(h=9)
    program = layer.bands(1, input_schedule(layer.full_setup, 9, 1))
    assert simulate(program, layer.inputs).program_bytes == 32 * len(program.words)


def test_a_batch_dimension_is_allowed():
    layer = conv_layer()
    result = simulate(layer.frame(), {"x": layer.x[None]})
    np.testing.assert_array_equal(result.outputs["out"], conv_expected(layer))


def test_accumulators_wrap():
    layer = conv_layer(kernel=(1, 1), pad=(0, 0))
    bias, factor = channel_constants(7)
    bias += 2**31 - 3000
    layer.parameters = pack_channels(bias, factor * F(1e-4))
    expected = ref.conv(layer.x, layer.w, bias, factor * F(1e-4), layer.full_setup)
    assert expected.min() < -20
    assert expected.max() > 20
    check(layer.frame(), layer, expected)


def test_device_lanes():
    assert DEVICE.word_bytes == LANES
