"""Shortcut Mining's banks: how many rows stay where, what moves, and who gives way, on cases worked out by hand."""

from dataclasses import replace

import pytest
from networks import GraphBuilder, random_network

from sfopt.allocate import Switches, plan
from sfopt.allocate.banks import Mined, mine
from sfopt.allocate.first_fit import peak_of
from sfopt.allocate.one_by_one import choose
from sfopt.allocate.problem import Choice, Problem
from sfopt.allocate.rectangles import rectangles
from sfopt.allocate.shortcut_mining import in_banks, plan_by_mining
from sfopt.allocate.static import preferred
from sfopt.check import check_plan
from sfopt.cost import compulsory_bytes
from sfopt.device import load_device
from sfopt.groups import Network
from sfopt.plan import Role


def problem_of(network: Network, sram_bytes: int) -> Problem:
    return Problem.build(network, load_device("sim8").with_sram(sram_bytes), Switches())


def chain() -> Network:
    """Three convolutions without padding rows to share: every map has 16 rows of 128 bytes, one bank of 1 KiB holds 8 rows."""
    b = GraphBuilder("chain")
    x = b.input(8, 16, 16)
    return b.network([b.conv(b.conv(b.conv(x, 8), 8), 8)])


def moved(mined: Mined) -> dict[str, int]:
    return {m: mined.bytes_moved(m) for m in mined.problem.network.maps}


def test_an_output_stays_as_far_as_banks_reach() -> None:
    """8 banks of 1 KiB: a map fills two, and everything stays."""
    problem = problem_of(chain(), 8 << 10)
    first, second = (g.output for g in problem.network.groups[:2])
    mined = mine(problem, outputs_first=True, whole=False)
    assert mined.kept_rows == {problem.network.inputs[0]: 0, first: 16, second: 16}
    assert mined.whole_maps == {first, second}
    assert moved(mined) == {m: 0 if m in (first, second) else 2048 for m in problem.network.maps}


def test_what_banks_do_not_reach_is_moved_row_by_row() -> None:
    """8 banks of 256 bytes, two rows each. One each for input ring, output ring and constants: five are left for ten rows.

    The second group reads those and streams the others: five banks held, two rings and constants leave nothing for its output.
    """
    problem = problem_of(chain(), 2 << 10)
    first, second = (g.output for g in problem.network.groups[:2])
    mined = mine(problem, outputs_first=True, whole=False)
    assert mined.kept_rows[first] == 10
    assert mined.kept_rows[second] == 0
    assert mined.bytes_moved(first) == 2 * 6 * 128
    assert mined.bytes_moved(second) == 2 * 16 * 128
    assert mine(problem, outputs_first=True, whole=True).kept_rows[first] == 0


def residual() -> Network:
    """A block with a shortcut, of maps that have 2 KiB each."""
    b = GraphBuilder("residual")
    x = b.conv(b.input(8, 16, 16), 8)
    return b.network([b.conv(b.add(b.conv(b.conv(x, 8), 8), x), 8)])


def test_a_shortcut_gives_way_to_an_output_or_does_not() -> None:
    """8 banks of 768 bytes; a map fills three, constants one. At the addition, input and shortcut leave one bank for the output.

    With outputs first the shortcut leaves; else it stays, and the output of the addition is written and read.
    """
    network = residual()
    problem = problem_of(network, 6 << 10)
    shortcut, inner, total = (g.output for g in network.groups[:3])
    yields = mine(problem, outputs_first=True, whole=True)
    stays = mine(problem, outputs_first=False, whole=True)
    assert yields.whole_maps == {inner, total}
    assert stays.whole_maps == {shortcut, inner}
    assert (
        sum(moved(yields).values()) - sum(moved(stays).values()) == 2048
    )  # three movements of one map against two of another
    placed = plan_by_mining(problem, 0)
    assert placed.choice.resident == stays.whole_maps


def test_shortcuts_give_up_only_the_rows_that_are_wanted() -> None:
    """24 banks of two rows each: at the addition three maps of eight banks and the constants are one bank too many.

    One bank of the shortcut goes, and because it is not whole any more, another for the ring that brings its rows back.
    """
    network = residual()
    device = replace(load_device("sim8"), banks=24, bank_bytes=256)
    problem = Problem.build(network, device, Switches())
    shortcut, inner, total = (g.output for g in network.groups[:3])
    mined = mine(problem, outputs_first=True, whole=False)
    assert mined.kept_rows == {network.inputs[0]: 0, shortcut: 12, inner: 16, total: 16}
    assert mined.rows_at[shortcut, 1] == 16
    assert (
        mined.bytes_moved(shortcut) == 2 * 4 * 128
    )  # written, and read by the addition; the convolution had them on-chip
    given_up = mine(problem, outputs_first=False, whole=False)
    assert given_up.kept_rows == {network.inputs[0]: 0, shortcut: 16, inner: 16, total: 12}


@pytest.mark.parametrize("outputs_first", [True, False])
@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("seed", range(16))
def test_rows_only_ever_leave_and_banks_suffice(seed: int, whole: bool, outputs_first: bool) -> None:
    problem = problem_of(random_network(seed, ops=8, side=10, channels=20), 8 << 10)
    network, device = problem.network, problem.device
    mined = mine(problem, outputs_first=outputs_first, whole=whole)
    for m in problem.free_maps:
        rows = [mined.rows_at[m, step] for step in network.readers[m]]
        assert rows == sorted(rows, reverse=True)
        assert set(rows) <= set(range(network.maps[m].height + 1))
        assert not whole or rows[-1] in (0, network.maps[m].height)
        assert mined.bytes_moved(m) >= problem.map_traffic(m, resident=True)
        assert mined.bytes_moved(m) <= problem.map_traffic(m, resident=False)
    for step, group in enumerate(network.groups):
        banks = 0
        for m in problem.free_maps:
            later = [s for s in network.readers[m] if s >= step]
            if later and problem.live[m][0] < step:
                row_bytes = problem.map_bytes[m] // network.maps[m].height
                banks += -(-mined.rows_at[m, later[0]] * row_bytes // device.bank_bytes)
        assert banks <= device.banks, group.name


def test_maps_and_rings_take_whole_banks() -> None:
    network = residual()
    problem = problem_of(network, 64 << 10)
    choice = choose(problem, problem.free_maps, lambda _, option: preferred(option))
    assert isinstance(choice, Choice)
    layout = rectangles(problem, choice)
    offsets = in_banks(0)(layout, problem.device)
    assert peak_of(layout, offsets) <= problem.device.sram_bytes
    spans = [
        (r, o // problem.device.bank_bytes, (o + r.size_bytes - 1) // problem.device.bank_bytes)
        for r, o in zip(layout.items, offsets, strict=True)
        if r.block.role not in (Role.WEIGHTS, Role.PARAMETERS)
    ]
    clashes = [
        (a.name, b.name)
        for j, (b, low_b, high_b) in enumerate(spans)
        for a, low_a, high_a in spans[:j]
        if a.meets(b) and low_a <= high_b and low_b <= high_a
    ]
    assert clashes == []


def test_the_plan_is_what_was_mined() -> None:
    network = residual()
    device = load_device("sim8").with_sram(6 << 10)
    found = plan(network, device, "shortcut-mining")
    check_plan(found, network, device)
    resident = {b.content for b in found.buffers if b.role is Role.RESIDENT}
    assert resident == mine(problem_of(network, 6 << 10), outputs_first=False, whole=True).whole_maps
    assert found.traffic_bytes == compulsory_bytes(network) + 2 * 2048


def test_nothing_is_kept_where_that_would_cost_more_weights_than_it_saves() -> None:
    """Beside a map of 4 KiB there is no room in 11 for 6.75 KiB of weights, which would be read again for every band."""
    b = GraphBuilder("heavy")
    network = b.network([b.conv(b.conv(b.conv(b.input(8, 16, 16), 16), 48, 3), 8)])
    tight, ample = problem_of(network, 11 << 10), problem_of(network, 16 << 10)
    first = network.groups[0].output
    assert mine(tight, outputs_first=True, whole=True).whole_maps == {first}
    assert plan_by_mining(tight, 0).choice.resident == frozenset()
    assert plan_by_mining(ample, 0).choice.resident == {first}
