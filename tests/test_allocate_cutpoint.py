"""ShortcutFusion's cut: which groups run in which mode, what three buffers hold, what that costs; on cases worked out by hand."""

from collections.abc import Iterator

import pytest
from networks import GraphBuilder, random_network

from sfopt.allocate import Switches, plan
from sfopt.allocate.cut_bounds import RangeBounds
from sfopt.allocate.cutpoint import Cut, plan_by_cuts, plan_range
from sfopt.allocate.problem import Problem
from sfopt.allocate.three_buffers import crossing_bytes, handed_on_bytes, may_hold, residents, seat_buffers
from sfopt.check import check_plan
from sfopt.cost import compulsory_bytes, constant_bytes
from sfopt.device import load_device
from sfopt.errors import InfeasibleError
from sfopt.groups import Network
from sfopt.plan import Plan, Role, WeightMode


def cut(network: Network, sram_bytes: int) -> Plan:
    device = load_device("sim8").with_sram(sram_bytes)
    found = plan(network, device, "cutpoint")
    check_plan(found, network, device)
    return found


def problem_of(network: Network, sram_bytes: int) -> Problem:
    problem = Problem.build(network, load_device("sim8").with_sram(sram_bytes), Switches())
    if problem.misfit is not None:
        raise InfeasibleError(problem.misfit)  # as every heuristic does
    return problem


def modes(found: Plan) -> list[str]:
    return [s.mode for s in found.segments]


def resident_maps(found: Plan) -> set[str]:
    return {b.content for b in found.buffers if b.role is Role.RESIDENT}


def narrowing() -> Network:
    """Maps of 8, 4, 4 and 4 KiB after an input of 8 KiB."""
    b = GraphBuilder("narrowing")
    x = b.conv(b.input(8, 32, 32), 8, 3)
    return b.network([b.conv(b.conv(b.conv(x, 16, 3, 2), 16, 3), 16, 3)])


def test_a_cut_in_a_narrowing_chain() -> None:
    """12 KiB: 8 + 4 and a weight tile are too much for frame mode at the second group, 4 + 4 and a tile at the third are not."""
    network = narrowing()
    found = cut(network, 12 << 10)
    assert modes(found) == ["row", "row", "frame", "frame"]
    assert resident_maps(found) == {network.groups[1].output, network.groups[2].output}
    assert [s.runs[0].weight_mode for s in found.segments[:2]] == [WeightMode.RESIDENT] * 2
    wide = network.maps[network.groups[0].output].size_bytes
    assert found.traffic_bytes == compulsory_bytes(network) + 2 * wide


def test_the_cut_moves_with_the_scratchpad() -> None:
    """Where 8 + 4 KiB and a tile fit, the first group alone streams its rows, and its output stays."""
    network = narrowing()
    found = cut(network, 16 << 10)
    assert modes(found)[:2] == ["row", "frame"]
    assert found.traffic_bytes == compulsory_bytes(network)
    tiny = cut(network, 6 << 10)
    assert modes(tiny) == ["row"] * 4
    assert tiny.traffic_bytes == compulsory_bytes(network) + 2 * (8 + 4 + 4 << 10)


def block(*, long_shortcut: bool) -> Network:
    """A residual block of two convolutions, between two others; with a second shortcut around everything."""
    b = GraphBuilder("block")
    start = b.conv(b.input(8, 16, 16), 8)
    x = b.conv(start, 8, 3)
    x = b.add(b.conv(b.conv(x, 8, 3), 8, 3), x)
    x = b.conv(x, 8, 3)
    return b.network([b.add(x, start) if long_shortcut else x])


def test_a_block_goes_round_in_three_buffers() -> None:
    """Input, output and shortcut change places: four maps in three buffers, each beginning where a bank does."""
    network = block(long_shortcut=False)
    found = cut(network, 64 << 10)
    bank_bytes = 8 << 10
    held = [b for b in found.buffers if b.role is Role.RESIDENT]
    assert len(held) == 4
    assert {b.offset for b in held} == {0, bank_bytes, 2 * bank_bytes}
    assert found.traffic_bytes == compulsory_bytes(network)
    others = [b for b in found.buffers if b.role is not Role.RESIDENT and b.first_step >= 1]
    assert modes(found)[1:] == ["frame"] * (len(network.groups) - 1)
    assert all(b.offset >= 3 * bank_bytes for b in others if b.role is not Role.OUTPUT)


def test_of_four_maps_the_one_read_last_is_spilled() -> None:
    """Over the inner shortcut's addition input, output and both shortcuts are live; the outer one is the last to be read."""
    network = block(long_shortcut=True)
    found = cut(network, 64 << 10)
    outer = network.groups[0].output
    assert outer not in resident_maps(found)
    assert len(resident_maps(found)) == 3
    size = network.maps[outer].size_bytes
    assert found.traffic_bytes == compulsory_bytes(network) + 3 * size  # written, and read by both that want it


def test_what_the_original_would_hand_on_is_measured() -> None:
    problem = problem_of(block(long_shortcut=True), 64 << 10)
    total = len(problem.network.groups)
    outer = problem.network.groups[0].output
    held = residents(problem, 0, total)
    buffers = seat_buffers(problem, 0, total, held)
    assert buffers is not None
    assert handed_on_bytes(problem, buffers) == problem.network.maps[outer].size_bytes
    assert seat_buffers(problem_of(block(long_shortcut=True), 5 << 10), 0, total, held) is None


def test_what_the_original_would_move_over_the_cut_is_measured() -> None:
    """The output of the first group goes straight into a buffer; the original writes and reads its 8 KiB."""
    problem = problem_of(narrowing(), 16 << 10)
    cut_there = plan_by_cuts(problem)
    assert (cut_there.buffers.first, cut_there.buffers.end) == (1, 4)
    assert crossing_bytes(problem, cut_there.buffers) == 2 * (8 << 10)
    everything = plan_range(problem_of(narrowing(), 64 << 10), 0, 4)
    assert everything is not None
    assert crossing_bytes(problem, everything.buffers) == 0


def hourglass() -> Network:
    """32 x 32 down to 8 x 8 and up again."""
    b = GraphBuilder("hourglass")
    x = b.conv(b.conv(b.conv(b.input(8, 32, 32), 8, 3, 2), 8, 3, 2), 8, 3)
    x = b.conv(b.resize(b.conv(x, 8, 3)), 8, 3)
    return b.network([b.conv(b.conv(b.resize(x), 8, 3), 8, 3)])


def test_a_second_cut_where_resolution_rises_again() -> None:
    network = hourglass()
    problem = problem_of(network, 5 << 10)
    found = cut(network, 5 << 10)
    held = [problem.live[m] for m in resident_maps(found)]
    convolutions = {g.index: m for g, m in zip(network.groups, modes(found), strict=True) if g.kind == "conv"}
    assert "row" in (convolutions[0], convolutions[1])
    assert convolutions[len(network.groups) - 1] == "row"
    assert held
    assert all(
        convolutions[s] == "frame" for first, last in held for s in range(first + 1, last + 1) if s in convolutions
    )


def test_vectors_lie_beside_the_buffers() -> None:
    """A squeeze-excite block in a residual one: its vectors come on top of shortcut, input and output, and nothing is spilled."""
    b = GraphBuilder("squeezed")
    x = b.conv(b.input(8, 16, 16), 16, 3)
    y = b.squeeze_excite(b.relu(b.depthwise(b.conv(x, 16))), 4)
    network = b.network([b.conv(b.add(b.conv(y, 16), x), 8)])
    found = cut(network, 128 << 10)
    vectors = {m for m in resident_maps(found) if network.maps[m].height * network.maps[m].width == 1}
    assert len(vectors) == 3
    assert found.traffic_bytes == compulsory_bytes(network)
    frames = [b for b in found.buffers if b.role is Role.RESIDENT and b.content not in vectors]
    assert len({b.offset for b in frames}) <= 3


def ranges(total: int) -> Iterator[tuple[int, int]]:
    return ((first, end) for first in range(total) for end in range(first + 1, total + 1))


def planned(network: Network, sram_bytes: int) -> tuple[Problem, Cut] | None:
    try:
        problem = problem_of(network, sram_bytes)
        return problem, plan_by_cuts(problem)
    except InfeasibleError:
        return None


def value(problem: Problem, found: Cut) -> tuple[int, int]:
    return problem.traffic(found.placed.choice), problem.cycles(found.placed.choice)


@pytest.mark.parametrize("seed", range(24))
@pytest.mark.parametrize("sram_kib", [2, 4, 8])
def test_no_range_of_groups_is_better_and_every_bound_holds(seed: int, sram_kib: int) -> None:
    found = planned(random_network(seed, ops=5, side=10, channels=20), sram_kib << 10)
    if found is None:
        pytest.skip("nothing fits")
    problem, best = found
    total = len(problem.network.groups)
    every = {r: p for r in ranges(total) if (p := plan_range(problem, *r)) is not None}
    bounds = {(first, end): bound for bound, first, end in RangeBounds(problem).ranges()}
    assert every.keys() <= bounds.keys()
    assert all(bounds[r] <= value(problem, p)[0] for r, p in every.items())
    rows = plan_range(problem, 0, 0)
    assert rows is not None
    assert value(problem, best) == min(value(problem, p) for p in (rows, *every.values()))


@pytest.mark.parametrize("seed", range(24))
def test_three_buffers_and_nothing_else_is_held(seed: int) -> None:
    """At no step more than three maps of more than one pixel are in buffers, whoever asks for them."""
    problem = problem_of(random_network(seed, ops=9, side=10, channels=20), 64 << 10)
    for first, end in ranges(len(problem.network.groups)):
        held = residents(problem, first, end)
        buffers = seat_buffers(problem, first, end, held)
        assert held <= set(may_hold(problem, first, end))
        assert buffers is not None
        for step in range(first, end):
            kept = [(m, i) for m, i in buffers.held.items() if problem.live[m][0] <= step <= problem.live[m][1]]
            passing = [(m, i) for (s, m), i in buffers.staged.items() if s == step]
            assert len({i for _, i in kept + passing}) == len(kept + passing) <= 3
            assert all(buffers.sizes[i] >= problem.map_bytes[m] for m, i in kept)
            if problem.network.groups[step].kind == "conv":
                group = problem.network.groups[step]
                operands = {m for m in (*group.reads, group.output) if m not in buffers.vectors}
                frames = {m for m in operands if problem.network.maps[m].height * problem.network.maps[m].width > 1}
                assert frames <= {m for m, _ in kept + passing}


def test_weights_too_large_to_stay_are_streamed_or_read_again() -> None:
    """6.75 KiB of weights in 6: read again for each band, were it not for the whole frame that fits; a larger one does not."""
    b = GraphBuilder("heavy")
    network = b.network([b.conv(b.input(32, 4, 4), 24, 3)])
    found = cut(network, 6 << 10)
    assert found.segments[0].runs[0].weight_mode is WeightMode.STREAMED
    assert found.traffic_bytes == compulsory_bytes(network)
    wide = GraphBuilder("heavy and wide")
    network = wide.network([wide.conv(wide.input(32, 16, 16), 24, 3)])
    found = cut(network, 8 << 10)
    assert found.segments[0].runs[0].weight_mode is WeightMode.REREAD
    weights = 24 * 32 * 9
    ends = sum(network.maps[n].size_bytes for n in (*network.inputs, *network.outputs))
    assert found.traffic_bytes == ends + constant_bytes(network) + weights * (found.segments[0].bands - 1)
