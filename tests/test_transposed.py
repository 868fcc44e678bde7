"""Transposed convolutions: phases against the definition, the oracle against a scatter, programs against the oracle."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from brute_force import TooManyCasesError, optimum
from checked import claimed, proven_levels
from emit_cases import DEVICE, Case, random_choice, residencies
from hypothesis import given
from hypothesis import strategies as st
from models import ModelBuilder
from networks import GraphBuilder
from small_cases import transposed_case
from transposed_networks import transposed_network

import sfopt_ort
from sfopt.allocate import OBJECTIVES, Switches, plan
from sfopt.check import check_plan
from sfopt.constant_blocks import parameter_block, weight_block
from sfopt.cost import group_macs
from sfopt.errors import InfeasibleError, PlanCheckError, SimulationFault
from sfopt.grouping import build_network
from sfopt.groups import FeatureMap, Group, Kind, Network, Piece, Window, network_fingerprint
from sfopt.onnx_io import read_onnx
from sfopt.passes import lower_quantized
from sfopt.phases import NO_TAP, axis_phases, kernel_positions, phases
from sfopt.pipeline import Options, optimize
from sfopt.recheck import check_directory
from sfopt.report import build_report, output_files
from sfopt.rows import rows_padded, rows_read
from sfopt.testing.naive_plan import Choice, naive_plan
from sfopt_fpga.isa import FORMATS, Opcode, decode, encode

axes = st.tuples(st.integers(1, 7), st.integers(1, 5), st.integers(1, 4), st.integers(0, 9))
"""Kernel, stride, dilation, padding."""


@given(axes, st.integers(1, 9), st.integers(1, 40))
def test_phases_read_what_the_definition_says(axis: tuple[int, int, int, int], height: int, total: int) -> None:
    kernel, stride, dilation, pad = axis
    wanted = {
        (stride * i + dilation * k - pad, i, k)
        for i in range(height)
        for k in range(kernel)
        if 0 <= stride * i + dilation * k - pad < total
    }
    found = list[tuple[int, int, int]]()
    for phase in axis_phases(*axis):
        for m in range(phase.rows(total, stride)):
            places = [(m - phase.pad + t * phase.dilation, k) for t, k in enumerate(phase.taps)]
            assert places[0][0] <= m, "an engine's padding is not below 0"
            found += [(phase.first + stride * m, i, k) for i, k in places if k != NO_TAP and 0 <= i < height]
    assert len(found) == len(set(found)) == len(wanted)
    assert set(found) == wanted


@given(axes, st.integers(1, 9), st.integers(0, 30), st.integers(1, 12))
def test_rows_read_are_those_of_the_phases(
    axis: tuple[int, int, int, int], height: int, start: int, count: int
) -> None:
    kernel, stride, dilation, pad = axis
    window = Window((kernel, 1), (stride, 1), (dilation, 1), (pad, 0, 0, 0), transposed=True)
    group = Group(0, Kind.CONV, "op", (Piece("x"),), "y", window)
    touched = set[int]()
    for phase in axis_phases(*axis):
        rows = [m for m in range(start + count) if start <= phase.first + stride * m < start + count]
        touched |= {m - phase.pad + t * phase.dilation for m in rows for t in range(len(phase.taps))}
    first, last = rows_read(group, FeatureMap("x", height, 1, 1), start, start + count)
    assert (first, last) == (min(max(min(touched), 0), height), min(max(max(touched) + 1, 0), height))
    if start >= rows_padded(group):
        assert min(touched) >= 0


@pytest.mark.parametrize("seed", range(40))
def test_the_oracle_scatters_as_the_definition_says(seed: int) -> None:
    """Integers: each input pixel times the kernel, added where it lands; requantised as ONNX Runtime does."""
    network = transposed_network(seed)
    case = Case(network, seed)
    for group in (g for g in network.groups if g.window.transposed):
        graph = network.graph
        op = graph.ops_by_name[group.heavy]
        names = (op.inputs[0], op.output)
        values = sfopt_ort.run(sfopt_ort.accelerator_part(network), case.inputs, list(names)) | case.inputs
        x, y = (values[n][0] for n in names)
        assert np.array_equal(y, scattered(network, group, x.astype(np.int64)))


def scattered(network: Network, group: Group, x: np.ndarray) -> np.ndarray:
    graph, window = network.graph, group.window
    op = graph.ops_by_name[group.heavy]
    w, bias = (graph.tensor(n) for n in op.inputs[1:])
    quants = [graph.tensor(n).quant for n in (op.inputs[0], op.output)]
    channels, height, width = graph.tensor(op.output).shape[1:]
    acc = np.zeros((channels, height, width), np.int64) + bias.data.reshape(-1, 1, 1)
    depth, size = w.shape[1], channels // (x.shape[0] // w.shape[1])
    for o in range(channels):
        inputs = x[o // size * depth : (o // size + 1) * depth] - quants[0].zero_point
        for i, j in np.ndindex(x.shape[1:]):
            for k, m in np.ndindex(window.kernel):
                row = window.stride[0] * i + window.dilation[0] * k - window.pads[0]
                column = window.stride[1] * j + window.dilation[1] * m - window.pads[1]
                if 0 <= row < height and 0 <= column < width:
                    acc[o, row, column] += inputs[:, i, j] @ w.data[o, :, k, m].astype(np.int64)
    factor = np.float32(quants[0].scale) * w.quant.scale / np.float32(quants[1].scale)
    scaled = acc.astype(np.float32) * factor.reshape(-1, 1, 1)
    return np.clip(np.rint(scaled) + quants[1].zero_point, -128, 127).astype(np.int8)


@pytest.mark.parametrize("seed", range(40))
def test_programs_of_naive_plans(seed: int) -> None:
    network, r = transposed_network(seed), np.random.default_rng(seed)
    case = Case(network, seed)
    for resident in residencies(network, seed):
        case.check(naive_plan(network, DEVICE, Choice(resident=resident)))
    for _ in range(3):
        case.check(naive_plan(network, DEVICE, random_choice(network, r)))


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize("share", [1, 3, 8])
def test_programs_of_proven_plans(seed: int, share: int) -> None:
    network = transposed_network(seed, side=9)
    device = DEVICE.with_sram(DEVICE.sram_bytes // share // 1024 * 1024)
    try:
        made = plan(network, device, time_limit_s=60)
    except InfeasibleError:
        return
    check_plan(made, network, device)
    Case(network, seed).check(made, device)


@pytest.mark.parametrize("seed", range(20))
def test_no_multiplication_is_wasted_but_those_without_a_tap(seed: int) -> None:
    network = transposed_network(seed)
    for group in (g for g in network.groups if g.window.transposed):
        kernel = group.window.kernel[0] * group.window.kernel[1]
        used = [
            (r, c) for p in phases(group.window) for r in p.rows.taps for c in p.columns.taps if NO_TAP not in (r, c)
        ]
        assert len(used) == len(set(used)) == kernel <= kernel_positions(group.window)
        x, depthwise = network.maps[group.pieces[0].tensor], group.kind is Kind.DEPTHWISE
        out = network.maps[group.output]
        depth = 1 if depthwise else x.channels // group.conv_groups
        assert 0 <= group_macs(network, group) <= out.size_bytes * depth * kernel


def compare(seeds: range, objective: str) -> tuple[int, int]:
    """How many cases of at most four groups were compared with enumeration, and how many of them had a plan."""
    compared = feasible = 0
    for seed in seeds:
        network, device = transposed_case(seed)
        if len(network.groups) > 4:
            continue
        try:
            expected = optimum(network, device, OBJECTIVES[objective], nodes=20_000, in_place=True, side_by_side=True)
        except TooManyCasesError:
            continue
        assert proven_levels(network, device, Switches(), objective) == expected, f"seed {seed}"
        compared += 1
        feasible += expected is not None
    return compared, feasible


@pytest.mark.parametrize("objective", ["traffic", "latency"])
def test_plans_are_those_of_enumeration(objective: str) -> None:
    compared, feasible = compare(range(80), objective)
    assert compared >= 40
    assert feasible >= 20


@pytest.mark.nightly
@pytest.mark.parametrize("objective", ["traffic", "latency"])
@pytest.mark.parametrize("block", range(10))
def test_so_are_many(block: int, objective: str) -> None:
    compare(range(1000 + 100 * block, 1100 + 100 * block), objective)


def test_a_program_has_a_phase_for_each_phase() -> None:
    network = transposed_network(0)
    program = Case(network).check(naive_plan(network, DEVICE, Choice(resident=frozenset())))
    wanted = sum(len(phases(g.window)) for g in network.groups if g.window.transposed)
    assert [decode(w)[0] for w in program.words].count(Opcode.PHASE) == wanted


FLOAT_FORMS = {
    "as long as the stride": {"strides": [2, 2]},
    "longer": {"strides": [2, 2], "pads": [1, 1, 1, 1], "output_padding": [1, 1]},
    "shorter": {"strides": [4, 5]},
    "same upper": {"strides": [2, 3], "auto_pad": "SAME_UPPER"},
    "same lower": {"strides": [2, 3], "auto_pad": "SAME_LOWER"},
    "valid": {"strides": [2, 1], "auto_pad": "VALID"},
    "a shape asked for": {"strides": [2, 2], "output_shape": [10, 9]},
    "a shape asked for, more at the end": {"strides": [2, 2], "output_shape": [10, 9], "auto_pad": "SAME_UPPER"},
    "asymmetric padding": {"strides": [3, 2], "pads": [2, 0, 1, 1]},
    "dilated": {"strides": [2, 2], "dilations": [3, 2], "pads": [1, 2, 2, 1]},
    "in groups": {"strides": [2, 2], "group": 2},
    "depthwise": {"strides": [2, 2], "group": 6, "pads": [1, 1, 1, 1]},
}


@pytest.mark.parametrize("attributes", FLOAT_FORMS.values(), ids=FLOAT_FORMS)
def test_every_form_in_onnx_runs_on_the_accelerator(attributes: dict[str, object], tmp_path: Path) -> None:
    """That no tensor differs from ONNX Runtime's is checked inside; the float model says that the meaning is right."""
    m, group = ModelBuilder(3), attributes.get("group", 1)
    x = m.conv(m.input((1, 3, 6, 5)), 3, 6)
    x = m.add("Relu", m.batch_norm(x, 6))
    outputs = 6 if group == 6 else 4
    weights = (m.random_constant(6, outputs // group, 3, 3), m.random_constant(outputs))
    y = m.add("Relu", m.batch_norm(m.add("ConvTranspose", x, *weights, **attributes), outputs))
    path = tmp_path / "model.onnx"
    path.write_bytes(m.build(m.conv(y, outputs, 5)))
    result = optimize(path, Options(DEVICE))
    assert [g.kind for g in result.imported.network.groups if g.kind is Kind.HOST] == []
    assert [g.window.transposed for g in result.imported.network.groups].count(True) == 1
    assert result.verification is not None
    assert result.verification.deviation is not None
    assert result.verification.deviation.sqnr_db > 20


@pytest.mark.parametrize("name", [f.name for f in FORMATS[Opcode.PHASE].fields])
def test_a_wrong_field_of_a_phase_is_caught_by_the_run(name: str) -> None:
    b = GraphBuilder("up")
    network = b.network([b.conv(b.conv_transpose(b.input(9, 4, 3), 5, (3, 3), (2, 2)), 6, 3)])
    case = Case(network)
    program = case.check(naive_plan(network, DEVICE, Choice(resident=frozenset(network.maps) - {*network.inputs})))
    tried = 0
    for index, word in enumerate(program.words):
        opcode, fields = decode(word)
        if opcode is not Opcode.PHASE:
            continue
        wrong = encode(opcode, {**fields, name: fields[name] ^ 1})
        broken = replace(program, words=(*program.words[:index], wrong, *program.words[index + 1 :]))
        tried += 1
        try:
            assert case.differing(case.simulate(broken)), f"instruction {index}"
        except SimulationFault:
            continue
    assert tried == 4


@pytest.mark.parametrize("field", ["first", "step"])
def test_the_checker_refuses_bands_with_parts_of_phases(field: str) -> None:
    b = GraphBuilder("up")
    network = b.network([b.conv_transpose(b.input(3, 6, 3), 5, (2, 2), (2, 2))])
    made = claimed(naive_plan(network, DEVICE, Choice(band_rows=2)), network, DEVICE)
    check_plan(made, network, DEVICE)
    (segment,) = made.segments
    (run,) = segment.runs
    broken = replace(segment, runs=(replace(run, **{field: getattr(run, field) + 1}),))
    with pytest.raises(PlanCheckError, match="needs a multiple of 2"):
        check_plan(replace(made, segments=(broken,)), network, DEVICE)


READABLE = [seed for seed in range(48) if transposed_network(seed).groups[0].kind is not Kind.MAX_POOL]
"""In the others nothing in the file would tell the scale of the input."""


@pytest.mark.parametrize("seed", READABLE)
def test_what_is_written_is_read_again_as_the_same_network(seed: int) -> None:
    network = transposed_network(seed)
    read = build_network(lower_quantized(read_onnx(sfopt_ort.model_bytes(network.graph))))
    assert network_fingerprint(read) == network_fingerprint(network)
    assert [parameter_block(read, g) for g in read.groups] == [parameter_block(network, g) for g in network.groups]
    assert [weight_block(read, g) for g in read.groups] == [weight_block(network, g) for g in network.groups]


def test_an_int8_model_that_was_written_is_a_model_again(tmp_path: Path) -> None:
    m = ModelBuilder(5)
    x = m.conv(m.input((1, 3, 6, 5)), 3, 6)
    y = m.add(
        "ConvTranspose", x, m.random_constant(6, 4, 3, 3), m.random_constant(4), strides=[2, 2], pads=[0, 0, 1, 1]
    )
    (tmp_path / "model.onnx").write_bytes(m.build(m.conv(y, 4, 5)))
    first = optimize(tmp_path / "model.onnx", Options(DEVICE))
    for name, content in output_files(first, build_report(first)).items():
        (tmp_path / name).write_bytes(content)
    check_directory(tmp_path)
    again = optimize(tmp_path / "model.int8.onnx", Options(DEVICE))
    assert again.plan.traffic_bytes == first.plan.traffic_bytes
    assert network_fingerprint(again.imported.network) == network_fingerprint(first.imported.network)
