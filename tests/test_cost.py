"""Bytes and cycles: each formula against a count by hand or by brute force."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from networks import GraphBuilder, mobilenet_v2, random_network, resnet50

from sfopt import cost
from sfopt.cycles import EMPTY_CYCLES
from sfopt.device import load_device
from sfopt.groups import FeatureMap, Kind, Network
from sfopt.rows import RowSchedule

SIM8, KCU = load_device("sim8"), load_device("kcu1500")


def conv_network(kernel: int, stride: int, side: int = 11) -> Network:
    b = GraphBuilder("conv")
    return b.network([b.conv(b.input(12, side, side), 20, kernel, stride)])


@given(st.integers(1, 10**7), st.integers(1, 10**7))
def test_dma_cycles_are_a_start_and_what_bus_and_words_ask_for(size_bytes: int, words: int) -> None:
    reading = cost.dma_cycles(cost.Moved(size_bytes, words), KCU, reading=True)
    writing = cost.dma_cycles(cost.Moved(size_bytes, words), KCU, reading=False)
    assert writing - reading == cost.STORE_CYCLES - cost.LOAD_CYCLES
    cycles = reading - KCU.dram_latency_cycles - cost.LOAD_CYCLES
    assert cycles * KCU.dram_bytes_per_s >= size_bytes * KCU.clock_hz
    assert cycles >= words
    assert cycles == words or size_bytes * KCU.clock_hz > (cycles - 1) * KCU.dram_bytes_per_s


def test_an_empty_transfer_costs_its_instruction() -> None:
    assert {cost.dma_cycles(cost.Moved(0, 0), KCU, reading=r) for r in (False, True)} == {cost.EMPTY_TRANSFER_CYCLES}


def test_words_moved_by_hand() -> None:
    """Words of 8 bytes: 12 channels take two, 4 in the second left empty; a kernel's 3 columns of 2 channels share one."""
    assert cost.Moved.whole(FeatureMap("x", 5, 7, 12), SIM8) == cost.Moved(5 * 7 * 12, 5 * 7 * 2)
    b = GraphBuilder("words")
    network = b.network([b.conv(b.input(2, 6, 6), 20, 3, 2)])
    group, fmap = network.groups[0], network.maps["in0"]
    row_bytes = cost.stream_row_bytes(network, group, fmap.name, SIM8)
    assert cost.Moved.row(fmap, row_bytes, SIM8) == cost.Moved(6 * 2, 3)
    assert cost.Moved.row(fmap, cost.map_row_bytes(fmap, SIM8), SIM8) == cost.Moved(6 * 2, 6)
    plain, folded = (cost.constants(network, group, folded=f) for f in (False, True))
    assert plain[0].moved(SIM8) == cost.Moved(20 * 9 * 2, 20 * 9)
    assert folded[0].moved(SIM8) == cost.Moved(20 * 9 * 2, 20 * 3)
    assert plain[1].moved(SIM8) == folded[1].moved(SIM8) == cost.Moved(20 * 8, 20)


@given(st.integers(1, 300))
def test_padded_bytes_are_whole_words(channels: int) -> None:
    padded = cost.padded_bytes(channels, KCU)
    assert padded % KCU.lanes_in == 0
    assert 0 <= padded - channels < KCU.lanes_in


def test_folding_keeps_the_bytes_and_fills_the_lanes() -> None:
    network = resnet50()
    group = network.groups[0]
    x, out = network.maps["in0"], network.maps[group.output]
    assert cost.folds_input(group, x, KCU)
    assert cost.stream_row_bytes(network, group, "in0", KCU) == out.width * 64
    plain, folded = (cost.constants(network, group, folded=f)[0] for f in (False, True))
    assert plain.size_bytes == folded.size_bytes == 64 * 7 * 7 * 3
    assert (folded.pixels, folded.channels) == (7, 21)
    assert not cost.folds_input(network.groups[2], network.maps[network.groups[2].pieces[0].tensor], KCU)


@pytest.mark.parametrize(
    ("first", "step", "bands"), [(1, 1, 11), (2, 2, 6), (4, 3, 4), (3, 8, 3), (11, 1, 1), (0, 6, 3)]
)
@pytest.mark.parametrize("tile", [8, 16, 20])
def test_group_cycles_sum_the_instructions(first: int, step: int, bands: int, tile: int) -> None:
    network = conv_network(3, 1)
    group, total, rows = network.groups[0], 0, RowSchedule(first, step, 11)
    for band in range(bands):
        size = rows.after(band) - rows.after(band - 1)
        for channel in range(0, 20, tile):
            total += cost.compute_cycles(network, group, SIM8, size, min(tile, 20 - channel), folded=False)
    assert cost.group_cycles(network, group, SIM8, rows, bands, tile, folded=False) == total


def test_an_empty_band_costs_its_instruction() -> None:
    network = conv_network(3, 1)
    one, two = (
        cost.group_cycles(network, network.groups[0], SIM8, RowSchedule(11, 1, 11), bands, 20, folded=False)
        for bands in (1, 2)
    )
    assert two == one + EMPTY_CYCLES


def test_group_cycles_of_a_concat_sum_its_pieces() -> None:
    b = GraphBuilder("concat")
    network = b.network([b.concat(b.input(8, 4, 4), b.input(12, 4, 4))])
    cycles = cost.group_cycles(network, network.groups[0], SIM8, RowSchedule(4, 4, 4), 1, 20, folded=False)
    parts = [
        cost.compute_cycles(network, network.groups[0], SIM8, 4, n, folded=False, piece=p)
        for n, p in zip((8, 12), network.groups[0].pieces, strict=True)
    ]
    assert cycles == sum(parts)
    assert parts[1] - parts[0] == 16  # a second word of each of 16 pixels


@given(
    st.builds(RowSchedule, st.integers(0, 12), st.integers(0, 6), st.integers(1, 30)),
    st.integers(1, 30),
    st.builds(cost.Moved, st.integers(1, 200), st.integers(1, 40)),
    st.booleans(),
)
def test_stream_cycles_are_one_edge_piece_and_all_the_others(
    rows: RowSchedule, bands: int, row: cost.Moved, reading: bool
) -> None:
    moved = [size for i in range(bands) if (size := rows.after(i) - rows.after(i - 1))] or [rows.total]
    edge, rest = cost.stream_cycles(row, rows, bands, SIM8, reading=reading)
    edge_rows = moved[0 if reading else -1]
    rest_rows = rows.total - edge_rows
    assert edge == cost.dma_cycles(row * edge_rows, SIM8, reading=reading)
    if rest_rows == 0:
        assert rest == 0
    else:  # rows that no band moves come along with the last piece
        starts = max(1, len(moved) - 1) * cost.transfer_start_cycles(SIM8, reading=reading)
        assert rest == starts + max(-(-rest_rows * row.size_bytes // 8), rest_rows * row.words)


@pytest.mark.parametrize("words", [125, 1000])
def test_pieces_of_constants_pay_their_start_each(words: int) -> None:
    moved = cost.Moved(1000, words)
    first, rest = cost.piece_cycles(moved, 4, SIM8)
    assert first == cost.dma_cycles(cost.Moved(250, -(-words // 4)), SIM8, reading=True)
    others = cost.dma_cycles(cost.Moved(750, words * 3 // 4), SIM8, reading=True)
    assert rest == others + 2 * cost.transfer_start_cycles(SIM8, reading=True)
    assert cost.piece_cycles(moved, 1, SIM8) == (cost.dma_cycles(moved, SIM8, reading=True), 0)


def test_an_input_that_is_also_the_residual_is_not_folded() -> None:
    b = GraphBuilder("once")
    network = b.network([b.conv(b.input(2, 6, 6), 2, 3)])
    group, x = network.groups[0], network.maps["in0"]
    assert cost.folds_input(group, x, SIM8)
    assert not cost.folds_input(replace(group, residual=x.name), x, SIM8)


@pytest.mark.parametrize("seed", range(30))
def test_compulsory_and_baselines_are_ordered(seed: int) -> None:
    network = random_network(seed, ops=8, side=10)
    compulsory, baseline = cost.compulsory_bytes(network), cost.baseline_bytes(network)
    assert compulsory <= baseline <= cost.baseline_layer_bytes(network)
    constants = sum(c.size_bytes for g in network.groups for c in cost.constants(network, g, folded=False))
    assert cost.constant_bytes(network) == constants


def test_known_networks_have_their_published_macs_and_weights() -> None:
    network = resnet50()
    assert sum(cost.group_macs(network, g) for g in network.groups) == pytest.approx(4.09e9, rel=0.01)
    weights = [
        c.size_bytes for g in network.groups for c in cost.constants(network, g, folded=False) if "weights" in c.name
    ]
    assert sum(weights) == pytest.approx(25.5e6, rel=0.01)
    network = mobilenet_v2()
    assert sum(cost.group_macs(network, g) for g in network.groups) == pytest.approx(300e6, rel=0.01)


def test_parameters_hold_bias_and_factor_per_channel_and_tables() -> None:
    b = GraphBuilder("parameters")
    x = b.input(8, 4, 4)
    y = b.conv(x, 8)
    network = b.network([b.relu(b.add(b.relu(b.conv(y, 8)), x))])
    block = cost.constants(network, network.groups[1], folded=False)[1]
    assert block.size_bytes == 8 * cost.CHANNEL_BYTES + 2 * cost.TABLE_BYTES + cost.BINARY_BYTES
    assert network.groups[1].kind is Kind.CONV
