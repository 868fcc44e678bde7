"""Faults planted on purpose in a real network, each caught by the check that owns it."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from sfopt.backend import Compiled, Execution
from sfopt.check import check_plan
from sfopt.device import load_device
from sfopt.equivalence import compare
from sfopt.errors import EquivalenceError, PlanCheckError, ProgramError, SimulationFault
from sfopt.examples import digits_model_path
from sfopt.execute import accelerator_inputs, random_feeds
from sfopt.pipeline import Options, Result, optimize, verify
from sfopt.plan import Plan, Role
from sfopt_fpga.isa import FORMATS, Opcode, decode, encode
from sfopt_fpga.program import Program
from sfopt_fpga.simulator import simulate


@pytest.fixture(scope="module")
def result() -> Result:
    return optimize(digits_model_path(), Options(load_device("sim8")))


def program_of(result: Result) -> Program:
    return Program.from_bytes(result.compiled.files["program.sfp"])


def simulated_mismatches(result: Result, program: Program) -> int:
    """Mismatches of `program`'s tensors against ONNX Runtime. SimulationFault passes through."""
    network = result.imported.network
    inputs = accelerator_inputs(network, random_feeds(network.graph, 0))
    expected = result.reference.run(inputs).tensors
    feeds = {name: value[0].transpose(1, 2, 0) for name, value in inputs.items()}
    run = simulate(program, feeds, capture=True)
    ours = {name: value.transpose(2, 0, 1)[None] for name, value in {**run.tensors, **run.outputs}.items()}
    return compare("ort", expected, ours, tuple(g.output for g in network.groups)).mismatches


def test_untouched_program_has_no_mismatch(result: Result) -> None:
    assert simulated_mismatches(result, program_of(result)) == 0


def test_every_flipped_bit_of_the_file_is_caught_by_its_checksum(result: Result) -> None:
    image = bytearray(result.compiled.files["program.sfp"])
    rng = np.random.default_rng(1)
    for position in rng.choice(len(image), 200, replace=False):
        bit = 1 << int(rng.integers(8))
        image[position] ^= bit
        with pytest.raises(ProgramError):
            Program.from_bytes(bytes(image))
        image[position] ^= bit


ADDRESSES = [
    (Opcode.LOAD, "dram"),
    (Opcode.LOAD, "base"),
    (Opcode.STORE, "base"),
    (Opcode.SETUP, "parameters"),
    (Opcode.SETUP, "residual_pixel_words"),
    (Opcode.COMPUTE, "x_base"),
    (Opcode.COMPUTE, "out_base"),
    (Opcode.COMPUTE, "weights_base"),
    (Opcode.COMPUTE, "residual_base"),
]


@pytest.mark.parametrize(("opcode", "name"), ADDRESSES)
def test_a_flipped_address_bit_with_a_matching_checksum_is_caught_by_the_run(
    result: Result, opcode: Opcode, name: str
) -> None:
    program = program_of(result)
    assert name in {f.name for f in FORMATS[opcode].fields}
    tried = 0
    for index, word in enumerate(program.words):
        found, fields = decode(word)
        if found is not opcode or not fields[name]:
            continue
        flipped = encode(opcode, {**fields, name: fields[name] ^ 1})
        broken = replace(program, words=(*program.words[:index], flipped, *program.words[index + 1 :]))
        tried += 1
        try:
            wrong = simulated_mismatches(result, broken)
        except SimulationFault:
            continue
        assert wrong > 0, f"instruction {index}: {opcode.name}.{name} changed and nothing noticed"
    assert tried > 0


def test_a_changed_weight_is_caught_by_the_comparison(result: Result) -> None:
    program = program_of(result)
    weights = next(r for r in program.regions if r.name.endswith(".weights"))
    constants = bytearray(program.constants)
    constants[weights.offset - program.constants_base] ^= 0x40
    assert simulated_mismatches(result, replace(program, constants=bytes(constants))) > 0


class OtherBytes:
    """The compiled program, but its runs say that one tensor moved a byte more and another one a byte less."""

    def __init__(self, compiled: Compiled, program_bytes: int = 0) -> None:
        self.compiled, self.program_bytes, self.files = compiled, compiled.program_bytes, compiled.files
        self.fetched = self.program_bytes + program_bytes

    def run(self, inputs: Mapping[str, np.ndarray], *, expose: bool = True) -> Execution:
        execution = self.compiled.run(inputs, expose=expose)
        assert execution.transfers is not None
        first, second, *others = execution.transfers
        if self.fetched == self.program_bytes:
            first = replace(first, size_bytes=first.size_bytes + 1)
            second = replace(second, size_bytes=second.size_bytes - 1)
        return replace(execution, transfers=(first, second, *others), program_bytes=self.fetched)


def test_bytes_that_differ_per_tensor_only_are_caught_by_the_comparison(result: Result) -> None:
    with pytest.raises(EquivalenceError, match=r"tensor `.+` read: plan promises \d+ bytes, the run moved \d+"):
        verify(result.imported, result.facts, OtherBytes(result.compiled), result.reference)
    with pytest.raises(EquivalenceError, match="tensor `program` read: plan promises"):
        verify(result.imported, result.facts, OtherBytes(result.compiled, program_bytes=32), result.reference)


def resized(plan: Plan, name: str, **changes: int) -> Plan:
    return replace(plan, buffers=tuple(replace(b, **changes) if b.name == name else b for b in plan.buffers))


def test_a_shifted_offset_is_caught_by_the_plan_checker(result: Result) -> None:
    network, device = result.imported.network, result.options.device
    for buffer in result.plan.buffers:
        with pytest.raises(PlanCheckError):
            check_plan(resized(result.plan, buffer.name, offset=device.sram_bytes), network, device)
        with pytest.raises(PlanCheckError):
            check_plan(resized(result.plan, buffer.name, offset=buffer.offset + 1), network, device)


def test_an_overlapping_placement_is_caught_by_the_plan_checker(result: Result) -> None:
    """Every two resident maps that meet, but for an output and an operand that it may be written over."""
    network, device = result.imported.network, result.options.device
    resident = [b for b in result.plan.buffers if b.role is Role.RESIDENT]
    pairs = [
        (a, b)
        for a in resident
        for b in resident
        if a is not b and a.first_step <= b.last_step and b.first_step <= a.last_step
        if not any({a.content, b.content} == {m, g.output} for g in network.groups for m in g.replaceable)
    ]
    assert pairs
    for a, b in pairs:
        with pytest.raises(PlanCheckError):
            check_plan(resized(result.plan, a.name, offset=b.offset), network, device)


def test_a_transfer_that_lies_is_caught_by_the_plan_checker(result: Result) -> None:
    network, device = result.imported.network, result.options.device
    for index, transfer in enumerate(result.plan.transfers):
        lie = replace(transfer, size_bytes=transfer.size_bytes - 1)
        transfers = (*result.plan.transfers[:index], lie, *result.plan.transfers[index + 1 :])
        with pytest.raises(PlanCheckError):
            check_plan(replace(result.plan, transfers=transfers), network, device)
