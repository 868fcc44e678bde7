"""Transposed convolutions: their phases against the definition, the oracle against a scatter, and whole programs against the oracle."""

import numpy as np
import pytest
import sfopt_ort
from emit_cases import DEVICE, Case, random_choice, residencies
from hypothesis import given
from hypothesis import strategies as st
from naive_plan import Choice, naive_plan
from transposed_networks import transposed_network

from sfopt.allocate import plan
from sfopt.check import check_plan
from sfopt.cost import group_macs
from sfopt.errors import InfeasibleError
from sfopt.groups import FeatureMap, Group, Kind, Network, Piece, Window
from sfopt.phases import NO_TAP, axis_phases, kernel_positions, phases
from sfopt.rows import rows_padded, rows_read
from sfopt_fpga.isa import Opcode, decode

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
def test_rows_read_are_those_of_the_phases(axis: tuple[int, int, int, int], height: int, start: int, count: int) -> None:
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
        made = plan(network, device, time_limit_s=20)
    except InfeasibleError:
        return
    check_plan(made, network, device)
    Case(network, seed).check(made, device)


@pytest.mark.parametrize("seed", range(20))
def test_no_multiplication_is_wasted_but_those_without_a_tap(seed: int) -> None:
    network = transposed_network(seed)
    for group in (g for g in network.groups if g.window.transposed):
        kernel = group.window.kernel[0] * group.window.kernel[1]
        used = [(r, c) for p in phases(group.window) for r in p.rows.taps for c in p.columns.taps if NO_TAP not in (r, c)]
        assert len(used) == len(set(used)) == kernel <= kernel_positions(group.window)
        x, depthwise = network.maps[group.pieces[0].tensor], group.kind is Kind.DEPTHWISE
        out = network.maps[group.output]
        depth = 1 if depthwise else x.channels // group.conv_groups
        assert 0 <= group_macs(network, group) <= out.size_bytes * depth * kernel


def test_a_program_has_a_phase_for_each_phase() -> None:
    network = transposed_network(0)
    program = Case(network).check(naive_plan(network, DEVICE, Choice(resident=frozenset())))
    wanted = sum(len(phases(g.window)) for g in network.groups if g.window.transposed)
    assert [decode(w)[0] for w in program.words].count(Opcode.PHASE) == wanted
