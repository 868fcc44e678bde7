"""Segments of several groups on the machine: right numbers in every tensor, the plan's bytes, no fault; one row too few is one."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from emit_cases import DEVICE, Case, random_choice
from networks import GraphBuilder, random_network
from segment_networks import SEGMENT_NETWORKS

from sfopt.cost import loop_words
from sfopt.errors import InternalError, ProgramError, SimulationFault
from sfopt.groups import Network
from sfopt.plan import Buffer, Feed, Plan, Role, Run, Segment, WeightMode
from sfopt.rows import RowSchedule, rows_to_run
from sfopt.testing.naive_plan import Choice, naive_plan
from sfopt.testing.naive_schedule import spans_read
from sfopt_fpga import loops
from sfopt_fpga.emit import emit
from sfopt_fpga.isa import Axis, Engine, Opcode, decode, encode
from sfopt_fpga.program import Program


def random_plan(network: Network, r: np.random.Generator) -> Plan:
    """Random boundaries, and for each segment the same choice or one of its own."""
    share = r.choice([0.0, 0.1, 0.3])
    starts = [g.index for g in network.groups if r.random() < share]
    choices = [random_choice(network, r) for _ in network.groups]
    if r.random() < 0.5:
        return naive_plan(network, DEVICE, choices[0], starts)
    return naive_plan(network, DEVICE, lambda group: replace(choices[group.index], ends=choices[0].ends), starts)


def check_random_plans(network: Network, seed: int, count: int) -> list[Segment]:
    """Run `count` random plans, every second one in the build that stores every map; returns their segments."""
    case, r = Case(network, seed), np.random.default_rng(seed)
    plans = [random_plan(network, r) for _ in range(count)]
    for i, plan in enumerate(plans):
        check_loop_lengths(plan, network)
        if i % 2:
            case.check_exposed(plan)
        else:
            case.check(plan)
    return [s for p in plans for s in p.segments]


def check_loop_lengths(plan: Plan, network: Network) -> None:
    """No loop over bands is longer than the planner takes it for, also in the build that stores every map."""
    words = [decode(word) for word in emit(plan, network, DEVICE, expose=True).words]
    bodies = [f["body"] for opcode, f in words if opcode is Opcode.LOOP and f["axis"] == Axis.ROWS]
    expected = [
        loop_words(network.groups[s.first : s.last + 1], sum(r.weight_mode is WeightMode.REREAD for r in s.runs))
        for s in plan.segments
        if s.bands > 1
    ]
    assert all(body <= most for body, most in zip(bodies, expected, strict=True))


@pytest.mark.parametrize("name", SEGMENT_NETWORKS)
def test_segments(name: str) -> None:
    segments = check_random_plans(SEGMENT_NETWORKS[name](), 1, 30)
    assert max(s.last - s.first for s in segments if s.mode == "row") >= 2


@pytest.mark.parametrize("seed", range(40))
def test_segments_of_random_networks(seed: int) -> None:
    check_random_plans(random_network(seed, ops=9), seed, 6)


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(1000, 1400))
def test_segments_of_more_random_networks(seed: int) -> None:
    check_random_plans(random_network(seed, ops=12, side=12), seed, 10)


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(2, 30))
@pytest.mark.parametrize("name", SEGMENT_NETWORKS)
def test_more_segments(name: str, seed: int) -> None:
    check_random_plans(SEGMENT_NETWORKS[name](), seed, 30)


def joined(name: str, **choice: object) -> tuple[Case, Plan]:
    """A network in as few segments as the rules allow."""
    network = SEGMENT_NETWORKS[name]()
    return Case(network), naive_plan(network, DEVICE, Choice(band_rows=1, **choice), [])


def with_buffer(plan: Plan, changed: Buffer) -> Plan:
    return replace(plan, buffers=tuple(changed if b.name == changed.name else b for b in plan.buffers))


def with_segment(plan: Plan, step: int, **changes: object) -> Plan:
    segments = [replace(s, **changes) if i == step else s for i, s in enumerate(plan.segments)]
    return replace(plan, segments=tuple(segments))


def short_rings(network: Network, plan: Plan) -> Iterator[Buffer]:
    """The first segment's rings, each with a row less than its rows ask for."""
    for buffer in plan.buffers:
        ring = buffer.first_step == 0 and buffer.role in (Role.INPUT, Role.OUTPUT, Role.RING) and buffer.rows > 1
        if ring and (
            buffer.role is not Role.INPUT or buffer.rows == rows_held(network, plan.segments[0], buffer.content)
        ):
            yield replace(buffer, rows=buffer.rows - 1)


def rows_held(network: Network, segment: Segment, tensor: str) -> int:
    """The most rows of a map that streams in which lie between what a band reads first and what has arrived meanwhile.

    Rows that are loaded and never read may pass through a shorter ring: no fault, although the rules want room for them.
    """
    feed = next(f for f in segment.feeds if f.tensor == tensor)
    there, held = RowSchedule(feed.first, feed.step, network.maps[tensor].height), [0]
    for run in segment.runs:
        group = network.groups[run.group]
        if tensor in group.reads:
            rows = RowSchedule(run.first, run.step, rows_to_run(network, group))
            for i, first, last in spans_read(network, group, tensor, rows, segment.bands):
                arrived = there.after(min(i + segment.overlap, segment.bands - 1))
                held += [arrived - first] * (first < last)
    return max(held)


@pytest.mark.parametrize("overlap", [False, True])
@pytest.mark.parametrize("name", SEGMENT_NETWORKS)
def test_ring_that_is_a_row_short_is_a_fault(name: str, overlap: bool) -> None:
    case, plan = joined(name, overlap=overlap)
    short = list(short_rings(case.network, plan))
    assert any(b.role is Role.RING for b in short)
    for buffer in short:
        with pytest.raises(SimulationFault, match=r"holds row|race|ring overrun"):
            case.simulate(emit(with_buffer(plan, buffer), case.network, DEVICE))


def a_row_late(part: Feed | Run) -> Feed | Run:
    return replace(part, first=part.first - 1)


@pytest.mark.parametrize("overlap", [False, True])
@pytest.mark.parametrize("name", SEGMENT_NETWORKS)
def test_feed_that_is_a_row_late_is_a_fault(name: str, overlap: bool) -> None:
    case, plan = joined(name, overlap=overlap)
    feeds = plan.segments[0].feeds
    for feed in feeds:
        late = tuple(a_row_late(f) if f is feed else f for f in feeds)
        with pytest.raises(SimulationFault, match=r"holds row|was never written"):
            case.simulate(emit(with_segment(plan, 0, feeds=late), case.network, DEVICE))


@pytest.mark.parametrize("name", SEGMENT_NETWORKS)
def test_group_that_is_a_row_late_is_caught(name: str) -> None:
    """A reader finds no row; or none wants the last one, and it is missing in the end."""
    case, plan = joined(name)
    network, (segment, *_) = case.network, plan.segments
    faults = 0
    for run in segment.runs:
        read = [g for g in network.groups[: segment.last + 1] if network.groups[run.group].output in g.reads]
        if read and run.first:
            runs = tuple(a_row_late(r) if r is run else r for r in segment.runs)
            try:
                assert case.differing(case.simulate(emit(with_segment(plan, 0, runs=runs), network, DEVICE)))
            except SimulationFault:
                faults += 1
    assert faults


def test_one_store_ahead_of_a_ring_is_a_race(monkeypatch: pytest.MonkeyPatch) -> None:
    """Why the build that stores every map does so in turn."""
    case, plan = joined("residual_chain", overlap=True)
    case.check_exposed(plan)
    monkeypatch.setattr("sfopt_fpga.stage.Stage.bands_ahead", 2)
    with pytest.raises(SimulationFault, match="race"):
        case.check_exposed(plan)


def rereading(name: str, *, overlap: bool, kept: int, tile: int = 3, all_resident: bool = False) -> tuple[Case, Plan]:
    """Of the groups of a segment, those whose index is not `kept` modulo 3 read their weights again in every band."""
    network = SEGMENT_NETWORKS[name]()
    choice = Choice(
        resident=frozenset(network.maps) if all_resident else frozenset(),
        band_rows=2,
        weights=WeightMode.REREAD,
        channel_tile=tile,
        kept=frozenset(range(kept, len(network.groups), 3)),
        overlap=overlap,
    )
    return Case(network), naive_plan(network, DEVICE, choice, [])


def rereads(plan: Plan) -> int:
    """Groups in company that read their weights again."""
    return sum(r.weight_mode is WeightMode.REREAD for s in plan.segments for r in s.runs if len(s.runs) > 1)


@pytest.mark.parametrize("all_resident", [False, True])
@pytest.mark.parametrize("overlap", [False, True])
@pytest.mark.parametrize("name", SEGMENT_NETWORKS)
def test_weights_are_read_again_in_company(name: str, overlap: bool, all_resident: bool) -> None:
    for kept in range(3):
        case, plan = rereading(name, overlap=overlap, kept=kept, all_resident=all_resident)
        case.check(plan)
        case.check_exposed(plan)
        assert rereads(plan) >= 1


@pytest.mark.parametrize("overlap", [False, True])
@pytest.mark.parametrize("name", ["residual_chain", "dense", "fires"])
def test_every_dropped_wait_among_rereads_is_a_fault(name: str, overlap: bool) -> None:
    """Fewer tokens taken: in time two engines meet, or tokens are left over."""
    for kept in range(3):
        case, plan = rereading(name, overlap=overlap, kept=kept)
        program, dropped = emit(plan, case.network, DEVICE), 0
        for index, word in enumerate(program.words):
            opcode, fields = decode(word)
            for field in ("wait", "wait0", "wait1"):
                for lesser in (
                    ([fields[field] & ~1, fields[field] & ~2] if field == "wait" else [0]) if field in fields else ()
                ):
                    if lesser != fields[field]:
                        words = (
                            *program.words[:index],
                            encode(opcode, {**fields, field: lesser}),
                            *program.words[index + 1 :],
                        )
                        with pytest.raises(SimulationFault):
                            case.simulate(replace(program, words=words))
                        dropped += 1
        assert dropped > 5


@pytest.mark.parametrize("overlap", [False, True])
def test_one_token_too_many_among_rereads_is_a_race(monkeypatch: pytest.MonkeyPatch, overlap: bool) -> None:
    def generous(*args: object, overlap: bool, store_credits: int) -> loops.Body:
        body, flows = loops.company_loop(*args, overlap=overlap, store_credits=store_credits)
        return body, [replace(f, credits=f.credits + (f.taker is Engine.LOAD)) for f in flows]

    case, plan = rereading("residual_chain", overlap=overlap, kept=0, tile=1)
    case.check(plan)
    monkeypatch.setattr("sfopt_fpga.emit.company_loop", generous)
    with pytest.raises(SimulationFault, match="race"):
        case.check(plan)


def opcodes(program: Program) -> list[Opcode]:
    return [decode(word)[0] for word in program.words]


def test_body_has_loads_then_pairs_then_stores() -> None:
    case, plan = joined("residual_chain")
    assert len(plan.segments) == 1
    program = emit(plan, case.network, DEVICE)
    at = opcodes(program).index(Opcode.LOOP)
    fields = decode(program.words[at])[1]
    pairs = [Opcode.SETUP, Opcode.COMPUTE] * len(case.network.groups)
    assert fields["axis"] == Axis.ROWS
    assert opcodes(program)[at + 1 : at + 1 + fields["body"]] == [Opcode.LOAD, *pairs, Opcode.STORE]


def test_storing_every_map_changes_nothing_else() -> None:
    case, plan = joined("pyramid")
    normal, exposed = (emit(plan, case.network, DEVICE, expose=e) for e in (False, True))
    assert opcodes(normal) == [
        code
        for code, word in zip(opcodes(exposed), exposed.words, strict=True)
        if not stores_extra(case, exposed, word)
    ]
    assert [p.tensor for p in normal.outputs] == list(case.network.outputs)


def stores_extra(case: Case, program: Program, word: bytes) -> bool:
    """Whether a word stores a map that the plan keeps on-chip."""
    code, fields = decode(word)
    region = next((r.name for r in program.regions if code is Opcode.STORE and r.offset == fields["dram"]), None)
    return region is not None and region not in case.network.outputs


def test_segments_take_fewer_bytes_and_cycles() -> None:
    network = SEGMENT_NETWORKS["residual_chain"]()
    case, cycles, moved = Case(network), [], []
    for starts in ([], None):
        plan = naive_plan(network, DEVICE, Choice(band_rows=2, overlap=True), starts)
        cycles.append(case.simulate(case.check(plan)).cycles)
        moved.append(plan.traffic_bytes)
    assert moved[0] < 0.7 * moved[1]
    assert cycles[0] < cycles[1]


def test_global_mean_ends_a_segment_and_two_of_them_do_not_mix(monkeypatch: pytest.MonkeyPatch) -> None:
    b = GraphBuilder("means")
    x = b.conv(b.input(4, 6, 5), 6, 3)
    network = b.network([b.mean(x), b.mean(b.relu(b.conv(x, 6)))])
    plan = naive_plan(network, DEVICE, Choice(band_rows=2), [])
    assert [s.last - s.first + 1 for s in plan.segments] == [3, 1]
    Case(network).check(plan)
    monkeypatch.setattr("sfopt.testing.naive_schedule._is_forbidden", lambda groups: False)
    plan = naive_plan(network, DEVICE, Choice(band_rows=2), [])
    assert len(plan.segments) == 1
    with pytest.raises(SimulationFault, match="goes on at row 2, the sums are those of the input at word"):
        Case(network).check(plan)


def test_refusals_name_what_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    case, plan = joined("residual_chain")
    segment = plan.segments[0]
    runs = (replace(segment.runs[0], weight_mode=WeightMode.REREAD, channel_tile=3), *segment.runs[1:])
    groups, name = len(case.network.groups), case.network.groups[0].name
    with pytest.raises(InternalError, match=f"segment 0 has {groups} groups in one band, `{name}` tiles its weights"):
        emit(with_segment(plan, 0, runs=runs, bands=1), case.network, DEVICE)
    body = 2 * groups + 2
    monkeypatch.setattr("sfopt_fpga.emit.LOOP_BODY_WORDS", body)
    case.check(plan)
    monkeypatch.setattr("sfopt_fpga.emit.LOOP_BODY_WORDS", body - 1)
    message = rf"segment 0 \(groups 0\.\.{groups - 1}\) has a loop of {body} words, the machine holds {body - 1}"
    with pytest.raises(ProgramError, match=message):
        emit(plan, case.network, DEVICE)
