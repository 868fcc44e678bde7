"""Encoding and decoding of every field of every instruction."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfopt.errors import ProgramError
from sfopt_fpga.isa import ENGINES, FORMATS, OPCODE_BITS, WORD_BITS, WORD_BYTES, Opcode, decode, encode

FIELDS = [(opcode, field) for opcode, fmt in FORMATS.items() for field in fmt.fields]


def limits(field):
    return (-(1 << field.bits - 1), (1 << field.bits - 1) - 1) if field.signed else (0, (1 << field.bits) - 1)


def words():
    def of(opcode):
        fields = {f.name: st.integers(*limits(f)) for f in FORMATS[opcode].fields}
        return st.tuples(st.just(opcode), st.fixed_dictionaries(fields))

    return st.sampled_from(Opcode).flatmap(of)


@given(words())
def test_round_trip(word):
    opcode, values = word
    assert decode(encode(opcode, values)) == (opcode, values)


@given(st.binary(min_size=WORD_BYTES, max_size=WORD_BYTES))
def test_whatever_decodes_encodes_to_itself(raw):
    try:
        opcode, values = decode(raw)
    except ProgramError:
        return
    assert encode(opcode, values) == raw


def test_every_opcode_has_a_format_that_fits():
    assert set(FORMATS) == set(Opcode)
    for fmt in FORMATS.values():
        assert OPCODE_BITS + sum(f.bits for f in fmt.fields) <= WORD_BITS
        names = [f.name for f in fmt.fields]
        assert len(names) == len(set(names))
        assert all(f.doc for f in fmt.fields)
    assert set(ENGINES) <= set(Opcode)


@pytest.mark.parametrize(("opcode", "field"), FIELDS, ids=lambda v: getattr(v, "name", None))
def test_field(opcode, field):
    """Its limits come through, one more does not fit, and no other field sees it."""
    low, high = limits(field)
    for value in (low, high):
        values = decode(encode(opcode, {field.name: value}))[1]
        assert values.pop(field.name) == value
        assert not any(values.values())
    for value in (low - 1, high + 1):
        with pytest.raises(
            ProgramError, match=rf"{opcode.name}.{field.name} = {value} does not fit in {field.bits} bits"
        ):
            encode(opcode, {field.name: value})


@pytest.mark.parametrize("opcode", Opcode)
def test_fields_lie_next_to_each_other(opcode):
    """A generated table of positions: each field starts where the one before ends, the first behind the opcode."""
    table = []
    for field in FORMATS[opcode].fields:
        word = int.from_bytes(encode(opcode, {field.name: -1 if field.signed else (1 << field.bits) - 1}), "little")
        mask = word ^ int(opcode)
        start = (mask & -mask).bit_length() - 1
        assert mask == ((1 << field.bits) - 1) << start
        table.append((start, start + field.bits))
    assert [start for start, _ in table[:1]] in ([OPCODE_BITS], [])
    assert all(before[1] == after[0] for before, after in pairwise(table))


@pytest.mark.parametrize("number", sorted(set(range(1 << OPCODE_BITS)) - set(Opcode)))
def test_unknown_opcode(number):
    with pytest.raises(ProgramError, match=f"illegal opcode {number}"):
        decode(number.to_bytes(WORD_BYTES, "little"))


@pytest.mark.parametrize("opcode", Opcode)
def test_stray_bits(opcode):
    used = OPCODE_BITS + sum(f.bits for f in FORMATS[opcode].fields)
    clean = int.from_bytes(encode(opcode, {}), "little")
    for bit in range(used, WORD_BITS):
        with pytest.raises(ProgramError, match=f"{opcode.name} has bits set outside its fields"):
            decode((clean | 1 << bit).to_bytes(WORD_BYTES, "little"))


def test_unknown_field():
    with pytest.raises(ProgramError, match="END has no field `colour`"):
        encode(Opcode.END, {"colour": 1})


def test_fields_that_are_left_out_are_zero():
    assert not any(decode(encode(Opcode.LOAD, {}))[1].values())
