"""The program file: round trip, and one line for every way in which it can be wrong."""

import hashlib
import json
import re
from dataclasses import replace

import numpy as np
import pytest
from assembler import DEVICE, Assembler

from sfopt.arithmetic import AddParams, AveragePoolParams, MulParams
from sfopt.errors import ProgramError
from sfopt_fpga.disassemble import disassemble
from sfopt_fpga.isa import FORMATS, Axis, Binary, Opcode, encode
from sfopt_fpga.parameters import (
    ParameterLayout,
    pack_average,
    pack_binary,
    pack_channels,
    pack_scale,
    pack_table,
    unpack_average,
    unpack_binary,
    unpack_channels,
    unpack_scale,
    unpack_table,
)
from sfopt_fpga.program import VERSION, Port, Program, Region

HEADER_BYTES = 88


def example():
    asm = Assembler()
    asm.maps = {"x": ((2, 3, 4), "inputs"), "middle": ((2, 3, 4), "feature_maps"), "out": ((2, 3, 4), "outputs")}
    asm.constants = {"table": bytes(range(256)), "weights": bytes(70)}
    asm.host.append(("softmax", ("x",), ("middle",)))
    asm.emit(Opcode.HOST, index=0)
    asm.emit(Opcode.LOOP, axis=Axis.ROWS, count=2, body=1)
    asm.load("middle", 0, (2, 3, 4), first=1, step=1)
    asm.sync(0, signal=(0, 1))
    asm.trace.append((asm.emit(Opcode.COMPUTE), "made", 2))
    asm.store("out", 0, (2, 3, 4), wait="l")
    return asm.build()


def resealed(data):
    """The file with a checksum that fits its content."""
    at = HEADER_BYTES - 32
    return data[:at] + hashlib.sha256(data[:at] + data[HEADER_BYTES:]).digest() + data[HEADER_BYTES:]


def with_map(change):
    """The file with its JSON map changed, sizes and checksum right."""
    data = example().to_bytes()
    size = int.from_bytes(data[12:16], "little")
    content = json.loads(data[HEADER_BYTES : HEADER_BYTES + size])
    change(content)
    text = json.dumps(content).encode()
    return resealed(
        data[:12] + len(text).to_bytes(4, "little") + data[16:HEADER_BYTES] + text + data[HEADER_BYTES + size :]
    )


def test_round_trip():
    program = example()
    data = program.to_bytes()
    assert Program.from_bytes(data) == program
    assert Program.from_bytes(data).to_bytes() == data
    assert len(data) > HEADER_BYTES
    assert data[:8] == b"\x89SFOPT\r\n"


def test_layout():
    program = example()
    assert program.constants_base == 256
    assert program.feature_base == 256 + 384
    assert program.dram_bytes == program.feature_base + 2 * 64 + 24


def test_every_flipped_bit_is_caught():
    data = bytearray(example().to_bytes())
    for index in range(len(data)):
        flip = 1 << index % 8
        data[index] ^= flip
        with pytest.raises(ProgramError):
            Program.from_bytes(bytes(data))
        data[index] ^= flip
    assert Program.from_bytes(bytes(data)) == example()


def test_every_truncation_is_caught():
    data = example().to_bytes()
    for size in range(len(data)):
        with pytest.raises(ProgramError, match="cut off" if size >= 8 else "first bytes"):
            Program.from_bytes(data[:size])


def test_trailing_bytes():
    with pytest.raises(ProgramError, match="has trailing bytes"):
        Program.from_bytes(example().to_bytes() + b"\0")


def test_other_version():
    data = bytearray(example().to_bytes())
    data[8] = VERSION + 1
    with pytest.raises(ProgramError, match=f"has version {VERSION + 1}, this release reads {VERSION}"):
        Program.from_bytes(resealed(bytes(data)))


def test_not_a_program():
    with pytest.raises(ProgramError, match="not a program file"):
        Program.from_bytes(b"PK\x03\x04" * 100)


@pytest.mark.parametrize("at", [12, 16, 20])
@pytest.mark.parametrize("size", [0, 1, 0x7FFFFFFF, 0xFFFFFFFF])
def test_sizes_that_lie(at, size):
    data = example().to_bytes()
    lying = resealed(data[:at] + size.to_bytes(4, "little") + data[at + 4 :])
    with pytest.raises(ProgramError, match="header says"):
        Program.from_bytes(lying)


@pytest.mark.parametrize("moved", [1, 32, -32])
def test_sections_that_shift_into_each_other(moved):
    """The sum of the sizes is right, the parts are not."""
    data = example().to_bytes()
    sizes = np.frombuffer(data[12:24], "<u4") + np.array([-moved, moved, 0])
    with pytest.raises(ProgramError):
        Program.from_bytes(resealed(data[:12] + sizes.astype("<u4").tobytes() + data[24:]))


WRONG_MAPS = {
    "missing table": (lambda m: m.pop("trace"), "lacks a table"),
    "unknown table": (lambda m: m.update(more=[]), "one too many"),
    "table is no list": (lambda m: m.update(regions={}), "`regions` is not a list"),
    "missing field": (lambda m: m["regions"][0].pop("name"), r"`regions\[0\]` does not have the fields"),
    "unknown field": (lambda m: m["inputs"][0].update(x=1), r"`inputs\[0\]` does not have the fields"),
    "text for a number": (lambda m: m["inputs"][0].update(height="2"), "`inputs.0..height` is str, needs int"),
    "true for a number": (lambda m: m["inputs"][0].update(height=True), "is bool, needs int"),
    "fraction": (lambda m: m["inputs"][0].update(height=1.5), "is float, needs int"),
    "negative": (lambda m: m["inputs"][0].update(offset=-64), "= -64 does not fit in 32 bits"),
    "huge": (lambda m: m["outputs"][0].update(width=10**30), "does not fit in 32 bits"),
    "infinite": (lambda m: m["outputs"][0].update(scale=float("inf")), "is float, needs float"),
    "empty port": (lambda m: m["outputs"][0].update(width=0), "port `out` at"),
    "port in the program": (lambda m: m["outputs"][0].update(offset=0), "port `out` at 0..24 is outside"),
    "port behind DRAM": (lambda m: m["outputs"][0].update(height=2**31), "port `out` at .* is outside"),
    "region in the program": (lambda m: m["regions"][0].update(offset=0), "region `table` at 0..256 is outside"),
    "category": (lambda m: m["regions"][0].update(category="gold"), "has category `gold`"),
    "trace": (lambda m: m["trace"][0].update(word=99), "trace of `made` names instruction 99 of"),
    "host": (lambda m: m["host"][0].update(reads=7), r"`host\[0\].reads` is not a list"),
    "no device": (lambda m: m.update(device=[]), "has no device"),
    "device key": (lambda m: m["device"].update(colour="red"), "unknown key `colour`"),
    "device figure": (lambda m: m["device"].update(lanes_in=3), "needs a power of two"),
    "other device": (lambda m: m["device"].update(lanes_in=8), "name different devices"),
}


@pytest.mark.parametrize("name", WRONG_MAPS)
def test_wrong_map(name):
    change, message = WRONG_MAPS[name]
    with pytest.raises(ProgramError, match=message) as error:
        Program.from_bytes(with_map(change))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", [b"", b"[", b"[]", b"\xff\xfe", b"[" * 100_000, b'{"device": NaN}'])
def test_map_that_is_no_json_object(text):
    data = example().to_bytes()
    size = int.from_bytes(data[12:16], "little")
    rest = data[16:HEADER_BYTES] + text + data[HEADER_BYTES + size :]
    with pytest.raises(ProgramError, match="program map"):
        Program.from_bytes(resealed(data[:12] + len(text).to_bytes(4, "little") + rest))


def test_parts_that_contradict_each_other():
    program = example()
    with pytest.raises(ProgramError, match="not 32 bytes"):
        replace(program, words=(b"short",))
    with pytest.raises(ProgramError, match="region `r` at"):
        replace(program, regions=(Region("r", 2**32 - 1, 2, "weights"),))
    with pytest.raises(ProgramError, match="port `p` at"):
        replace(program, inputs=(Port("p", 2**32 - 1, 1, 2, 1, 1.0, 0),))


def test_disassembly():
    text = disassemble(example()).splitlines()
    assert text[0].startswith("; device test ")
    body = [re.sub(r"\s+", " ", line).strip() for line in text if not line.startswith(";")]
    assert body[0] == "0 HOST ; softmax"
    assert body[1] == "1 LOOP axis=rows count=2 body=1"
    assert text[6].startswith("     2   LOAD ")
    assert body[2].endswith("; middle")
    assert body[3] == "3 SYNC engine=load signal1=1"
    assert body[4] == "4 COMPUTE ; made"
    assert body[5].endswith("; out")
    assert body[6] == "6 END"


def test_disassembly_of_illegal_words():
    words = (bytes(32), encode(Opcode.HOST, {"index": 9}), b"\x08" + b"\xff" * 31)
    text = disassemble(replace(example(), words=words, trace=()))
    assert "illegal opcode 0" in text
    assert "END has bits set" in text


def test_disassembly_names_every_field():
    for opcode, fmt in FORMATS.items():
        word = encode(opcode, {f.name: 1 for f in fmt.fields})
        line = disassemble(replace(example(), words=(word,), trace=())).splitlines()[4]
        assert all(f" {f.name}=" in line for f in fmt.fields)


def test_parameter_records():
    f = np.float32
    add, mul = AddParams(f(0.1), f(0.2), f(-7.5)), MulParams(-128, 127, f(0.3), -1)
    average = AveragePoolParams(f(0.1), -128, f(0.2), 127)
    table = np.arange(256, dtype=np.uint8).view(np.int8)
    bias, factor = np.array([-(2**31), 2**31 - 1], np.int32), np.array([0.1, 1e-9], f)
    assert unpack_binary(pack_binary(add), Binary.ADD) == add
    assert unpack_binary(pack_binary(mul), Binary.MUL) == mul
    assert unpack_scale(pack_scale(mul)) == mul
    assert unpack_average(pack_average(average)) == average
    assert [len(r) for r in (pack_binary(add), pack_binary(mul), pack_scale(mul), pack_average(average))] == [16] * 4
    np.testing.assert_array_equal(unpack_table(pack_table(table)), table)
    for got, want in zip(unpack_channels(pack_channels(bias, factor)), (bias, factor), strict=True):
        np.testing.assert_array_equal(got, want)
    with pytest.raises(ValueError, match="a table is int8"):
        pack_table(table[:255])


def test_parameter_layout():
    setup = {"kind": 0, "binary": 1, "has_scale": 1, "has_table0": 1, "has_table1": 1, "out_channels": 5}
    assert ParameterLayout.of(setup) == ParameterLayout(0, 16, None, 32, 288, 544, 544)
    assert ParameterLayout.of(setup | {"kind": 3, "binary": 0}) == ParameterLayout(None, 0, 16, 32, 288, None, 544)
    assert ParameterLayout.of(setup | {"kind": 4, "has_scale": 0, "has_table1": 0}) == ParameterLayout(
        0, None, None, 16, None, 272, 272
    )


def test_device_is_kept():
    assert Program.from_bytes(example().to_bytes()).device == DEVICE
