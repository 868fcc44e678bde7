"""Operands of a concat that lie in its output: plans made by hand, to the checker and on the machine."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import product

import pytest
from checked import claimed
from emit_cases import Case
from networks import GraphBuilder

from sfopt.check import check_plan
from sfopt.check.placement import check_banks, check_placement
from sfopt.check.view import View
from sfopt.errors import PlanCheckError
from sfopt.groups import Network
from sfopt.places import first_channels
from sfopt.plan import Buffer, Plan, Role, WeightMode
from sfopt.testing.naive_plan import Choice, naive_plan
from sfopt.testing.shared_places import DEVICE, everything, in_places, in_places_where_possible
from sfopt_fpga.emit import emit


def plan_in_places(
    network: Network, outputs: Mapping[str, str], starts: list[int] | None = None, way: Choice | None = None
) -> Plan:
    """Everything resident, these operands in their outputs."""
    way = way or Choice(everything(network))
    return in_places(naive_plan(network, DEVICE, way, starts), network, DEVICE, outputs)


def runs(made: Plan, network: Network) -> None:
    """The checker has nothing against a plan, and every tensor and byte is right on the machine."""
    check_plan(made, network, DEVICE)
    Case(network).check(made, DEVICE)


def refused(
    network: Network, outputs: Mapping[str, str], starts: list[int] | None = None, way: Choice | None = None
) -> None:
    """The plan is sound without these operands in their outputs; with them, they overlap."""
    check_plan(plan_in_places(network, {}, starts, way), network, DEVICE)
    made = plan_in_places(network, outputs, starts, way)
    with pytest.raises(PlanCheckError, match=r"rule 5: .*overlap"):
        check_placement(View(made, network, DEVICE))
    with pytest.raises(PlanCheckError, match=r"rule 2: .* has rows of|rule 5: .*overlap"):
        check_plan(made, network, DEVICE)


def dense_block(*, like: bool) -> tuple[Network, dict[str, str]]:
    """A chain of concats, each with four channels more, every second of them in the middle of a word; what may lie in what."""
    b = GraphBuilder("dense", seed=like)
    x, outputs = b.conv(b.input(3, 6, 5), 8), dict[str, str]()
    for _ in range(4):
        y = b.conv(b.conv(x, 12), 4, 3)
        c = b.concat(x, y, like=x if like else None)
        outputs |= {x: c} if b.shape(x)[0] % 8 else {x: c, y: c}
        x = c
    return b.network([b.conv(x, 7)]), outputs


def ways(network: Network) -> Iterator[Choice]:
    for band, weights, overlap, early in product((None, 1, 2), WeightMode, (False, True), (False, True)):
        yield Choice(everything(network), {}, band, weights, 4, overlap=overlap, early=early)


@pytest.mark.parametrize("like", [False, True], ids=["requantised", "of one scale"])
def test_dense_block_lies_in_its_last_concat(like: bool) -> None:
    network, outputs = dense_block(like=like)
    case = Case(network)
    assert any(p.requantise for g in network.groups for p in g.pieces)
    assert any(len(g.pieces) > 1 and not g.pieces[0].requantise for g in network.groups) == like
    for way in ways(network):
        made, found = in_places_where_possible(naive_plan(network, DEVICE, way), network, DEVICE)
        assert found == outputs
        case.check(made, DEVICE)
        assert len({(b.offset, b.row_bytes) for b in made.buffers if b.name in {*outputs, *outputs.values()}}) == 1


def test_dense_block_is_right_where_every_map_is_stored() -> None:
    network, outputs = dense_block(like=False)
    case, made = Case(network), plan_in_places(network, outputs)
    result = case.simulate(emit(made, network, DEVICE, expose=True))
    assert case.differing(result) == []
    assert result.outputs.keys() == network.maps.keys() - {*network.inputs}


def test_concat_in_concat() -> None:
    b = GraphBuilder("nested")
    x = b.conv(b.input(3, 6, 5), 12)
    p, q = b.conv(x, 8, 3), b.conv(x, 5)
    inner = b.concat(p, q)
    y = b.conv(b.conv(inner, 9), 16)
    outer = b.concat(y, inner)
    last = b.concat(outer, b.conv(outer, 3))
    network = b.network([b.conv(last, 4)])
    outputs = {p: inner, q: inner, inner: outer, y: outer, outer: last}
    made = plan_in_places(network, outputs)
    runs(made, network)
    begins = first_channels(made, network)
    assert {n: c for n, c in begins.items() if c} == {q: 24, p: 16, inner: 16}
    assert begins.keys() == {b.name for b in made.buffers if b.role is Role.RESIDENT}
    assert not any(first_channels(plan_in_places(network, {}), network).values())


def residual_in_concat(b: GraphBuilder) -> tuple[Network, dict[str, str]]:
    """Two residual sums, one over the other, the second in a concat behind 16 other channels."""
    x = b.conv(b.input(3, 6, 5), 12)
    y = b.add(b.conv(b.conv(x, 9), 12), x)
    z = b.add(b.conv(b.conv(y, 9, 3), 12), y)
    c = b.concat(b.conv(z, 16), z)
    return b.network([b.conv(c, 4)]), {x: y, y: z, z: c}


def test_residual_sums_in_a_concat() -> None:
    network, outputs = residual_in_concat(GraphBuilder("sums"))
    case = Case(network)
    for way in ways(network):
        made = plan_in_places(network, outputs, way=way)
        check_plan(made, network, DEVICE)
        case.check(made, DEVICE)
        assert {b.row_bytes for b in made.buffers if b.name in {*outputs, *outputs.values()}} == {5 * 32}
        assert {first_channels(made, network)[m] for m in outputs} == {16}


def test_network_input_and_output_in_a_concat() -> None:
    b = GraphBuilder("ends")
    x, other = b.input(16, 6, 5), b.input(12, 6, 5)
    y = b.conv(b.conv(x, 8), 8)
    c = b.concat(x, y, other)
    network = b.network([y, c, b.conv(c, 4)])
    for starts in (None, [0, 2, 3]):
        runs(plan_in_places(network, {x: c, y: c, other: c}, starts), network)


def test_channel_scale_in_a_concat() -> None:
    b = GraphBuilder("scale")
    x = b.conv(b.input(8, 6, 5), 12)
    s = b.lookup(b.conv(b.relu(b.conv(b.mean(x), 5)), 12))
    c = b.concat(b.conv(b.mean(b.mul(x, s)), 16), s)
    network = b.network([b.conv(c, 4)])
    made = plan_in_places(network, {s: c})
    assert first_channels(made, network)[s] == 16
    runs(made, network)


def in_company(kernel: int, *, behind: bool = False) -> tuple[Network, dict[str, str], list[int]]:
    """A concat and another reader of its operand in one segment; what would lie in what; starts of the segments."""
    b = GraphBuilder("company")
    x = b.conv(b.input(3, 7, 5), 8)
    z = b.conv(x, 8)
    early = [] if behind else [b.conv(x, 6, kernel)]
    c = b.concat(x, z)
    late = [b.conv(x, 6, kernel)] if behind else []
    network = b.network([b.conv(c, 4), *early, *late])
    return network, {x: c}, [0, 1, 2, 4]


def banded(network: Network, outputs: Mapping[str, str], starts: list[int]) -> Plan:
    return plan_in_places(network, outputs, starts, Choice(everything(network), band_rows=2))


def test_reader_in_front_of_the_concat_that_needs_no_row_above() -> None:
    network, outputs, starts = in_company(1)
    made = banded(network, outputs, starts)
    assert made.segments[2].bands == 4
    runs(made, network)


def test_reader_in_front_of_the_concat_that_needs_rows_above() -> None:
    network, outputs, starts = in_company(3)
    runs(banded(network, {}, starts), network)
    made = banded(network, outputs, starts)
    with pytest.raises(
        PlanCheckError, match=r"rule 5: .* reads .* from row 1 in band 1, .* written over it up to row 2"
    ):
        check_plan(made, network, DEVICE)
    case = Case(network)
    assert case.differing(case.simulate(emit(made, network, DEVICE))), "a rule that nothing needs"
    runs(plan_in_places(network, outputs, starts), network)


def test_reader_that_is_a_row_ahead_of_the_concat() -> None:
    network, outputs, starts = in_company(3)
    made, step = banded(network, outputs, starts), 2
    segment = made.segments[step]
    ahead, name = replace(segment.runs[0], first=segment.runs[0].first + 1), network.groups[segment.first].output
    segments = (*made.segments[:step], replace(segment, runs=(ahead, *segment.runs[1:])), *made.segments[step + 1 :])
    buffers = tuple(replace(b, rows=b.rows + 1) if b.name == f"{step}:{name}" else b for b in made.buffers)
    spoilt = in_places(replace(made, segments=segments, buffers=buffers), network, DEVICE, outputs)
    runs(claimed(spoilt, network, DEVICE), network)


def test_reader_behind_the_concat() -> None:
    network, outputs, starts = in_company(1, behind=True)
    refused(network, outputs, starts)


def test_operand_that_the_segment_of_the_concat_makes() -> None:
    """It is stored behind the concat, for the reader that streams it in."""
    b = GraphBuilder("inside")
    x = b.conv(b.input(3, 6, 5), 8)
    y, z = b.conv(x, 8), b.conv(x, 8)
    c = b.concat(y, z)
    network = b.network([b.conv(c, 4), b.conv(y, 3)])
    way = Choice(everything(network), {y: network.producers[c]})
    starts = [0, 1, network.producers[c] + 1, network.producers[c] + 2]
    assert (network.producers[x], network.producers[c]) == (0, 3)
    made = plan_in_places(network, {}, starts, way)
    assert {(q.first_step, q.last_step) for q in made.buffers if q.name == y} == {(1, 1)}
    refused(network, {y: c}, starts, way)
    made = plan_in_places(network, {y: c}, starts, way)
    case = Case(network)
    assert case.differing(case.simulate(emit(made, network, DEVICE))), "a rule that nothing needs"


def test_piece_in_the_middle_of_a_word() -> None:
    b = GraphBuilder("middle")
    x = b.conv(b.input(3, 6, 5), 12)
    y = b.conv(x, 8)
    c = b.concat(x, y)
    network = b.network([b.conv(c, 4)])
    runs(plan_in_places(network, {x: c}), network)
    refused(network, {y: c})


def test_piece_that_comes_twice() -> None:
    b = GraphBuilder("twice")
    x = b.conv(b.input(3, 6, 5), 8)
    y = b.conv(x, 8)
    c = b.concat(x, y, x)
    network = b.network([b.conv(c, 4)])
    runs(plan_in_places(network, {y: c}), network)
    refused(network, {x: c})


def test_operands_of_one_instruction_in_one_place() -> None:
    b = GraphBuilder("banks")
    x = b.conv(b.input(3, 6, 5), 8)
    y = b.conv(x, 8, 3)
    c = b.concat(x, y)
    network = b.network([b.conv(c, 4)])
    for alone in (x, y):
        runs(plan_in_places(network, {alone: c}), network)
    with pytest.raises(PlanCheckError, match=rf"rule 6: `{x}` at .* and `{y}` at .* share a bank .* operands of `{y}`"):
        check_plan(plan_in_places(network, {x: c, y: c}), network, DEVICE)


def test_maps_on_the_same_channels_of_one_place() -> None:
    b = GraphBuilder("two")
    x = b.conv(b.input(3, 6, 5), 8)
    y = b.conv(x, 8, 3)
    u = b.conv(y, 3)
    z = b.add(x, y)
    c = b.concat(b.conv(z, 8), z)
    network = b.network([b.conv(c, 4), u])
    assert {*network.groups[network.producers[z]].replaceable} == {x, y}
    for alone in (x, y):
        runs(plan_in_places(network, {alone: z, z: c}), network)
    outputs = {x: z, y: z, z: c}
    with pytest.raises(PlanCheckError, match=rf"rule 5: `.*` in channels 8..16 and `.*` in 8..16 of `{c}` overlap"):
        check_plan(plan_in_places(network, outputs), network, DEVICE)


def sound() -> tuple[Plan, Network, Buffer, Buffer]:
    """An operand in a concat, behind another one; plan, network, operand, output."""
    b = GraphBuilder("sound")
    x = b.conv(b.input(3, 6, 5), 8)
    y = b.conv(b.conv(x, 9), 8)
    c = b.concat(x, y)
    network = b.network([b.conv(c, 4)])
    made = plan_in_places(network, {y: c})
    check_plan(made, network, DEVICE)
    table = {q.name: q for q in made.buffers}
    return made, network, table[y], table[c]


@pytest.mark.parametrize(
    "change",
    [
        lambda operand, output: {operand.name: replace(operand, offset=operand.offset + 8)},
        lambda operand, output: {operand.name: replace(operand, rows=operand.rows - 1)},
        lambda operand, output: {operand.name: replace(operand, row_bytes=operand.row_bytes // 2)},
        lambda operand, output: {operand.name: replace(operand, row_bytes=operand.row_bytes + 8)},
        lambda operand, output: {output.name: replace(output, offset=output.offset + 8)},
        lambda operand, output: {operand.name: replace(operand, last_step=operand.last_step + 1)},
        lambda operand, output: {output.name: replace(output, first_step=output.first_step - 1)},
    ],
    ids=["a word off", "fewer rows", "own rows", "longer rows", "output off", "read later", "written earlier"],
)
def test_what_only_nearly_lies_in_the_output_overlaps(change: Callable[[Buffer, Buffer], dict[str, Buffer]]) -> None:
    made, network, operand, output = sound()
    changed = change(operand, output)
    spoilt = replace(made, buffers=tuple(changed.get(b.name, b) for b in made.buffers))
    with pytest.raises(PlanCheckError, match=rf"rule 5: .*`({operand.name}|{output.name})`.*overlap"):
        check_placement(View(spoilt, network, DEVICE))
    with pytest.raises(PlanCheckError, match=r"rule 6: .*share a bank"):
        check_banks(View(spoilt, network, DEVICE))
    with pytest.raises(PlanCheckError):
        check_plan(spoilt, network, DEVICE)


def test_rows_longer_than_those_of_the_outermost_output() -> None:
    made, network, operand, output = sound()
    wide = {b.name: replace(b, row_bytes=b.row_bytes + 40) for b in (operand, output)}
    spoilt = replace(made, buffers=tuple(wide.get(b.name, b) for b in made.buffers))
    with pytest.raises(
        PlanCheckError, match=rf"rule 2: `({operand.name}|{output.name})` has rows of 120 bytes, needs 80"
    ):
        check_plan(spoilt, network, DEVICE)


def test_another_map_in_the_free_channels_of_a_place_overlaps() -> None:
    """They belong to the place."""
    made, network, operand, _ = sound()
    other = next(b for b in made.buffers if b.role is Role.RESIDENT and b.last_step == operand.first_step)
    moved = tuple(replace(b, offset=operand.offset) if b is other else b for b in made.buffers)
    with pytest.raises(PlanCheckError, match=r"rule 5: .* overlap"):
        check_placement(View(replace(made, buffers=moved), network, DEVICE))
