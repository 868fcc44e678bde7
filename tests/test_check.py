"""The plan checker: valid plans pass, and a fault planted under each rule is caught by that rule."""

from dataclasses import replace
from functools import cache

import pytest
from checked import Case, claimed, random_cases, roomy_device, segment_cases
from networks import GraphBuilder
from planted import (
    Fault,
    buffer,
    claim,
    early_behind_host,
    feed,
    host_map_resident,
    host_segment,
    joined,
    lost,
    more,
    overlap_two,
    region,
    role,
    run,
    segment,
    share_a_bank,
    share_dram,
    transfer,
    twin,
)

from sfopt import cost
from sfopt.check import check_plan
from sfopt.errors import PlanCheckError
from sfopt.groups import Kind, Network
from sfopt.plan import Buffer, Category, Feed, Plan, Role, Run, Segment, Status, Transfer, WeightMode
from sfopt.testing.naive_plan import Choice, naive_plan


@cache
def cases() -> tuple[Case, ...]:
    """Valid plans; the last has two means in a row."""
    b = GraphBuilder("means")
    x = b.input(8, 6, 6)
    y = b.conv(x, 8)
    network, device = b.network([b.mean(x), b.mean(y)]), roomy_device()
    means = claimed(naive_plan(network, device, Choice()), network, device)
    return (*random_cases(150), *segment_cases(), (means, network, device))


def several(s: Segment) -> bool:
    return len(s.runs) > 1


def banded(s: Segment, _: Run | Feed | None = None) -> bool:
    return s.bands > 1


def weights_at(mode: WeightMode) -> Fault:
    """What RESIDENT weights may do and tiles may not: be loaded a step early."""

    def fault(case: Case) -> Plan | None:
        steps = {i for i, s in enumerate(case[0].segments) if i and any(r.weight_mode is mode for r in s.runs)}
        tiled = buffer(lambda b: b.role is Role.WEIGHTS and b.last_step in steps, first_step=lambda b: b.last_step - 1)
        return tiled(case)

    return fault


def rereads_input(s: Segment) -> bool:
    return any(r.weight_mode is WeightMode.INPUT_REREAD for r in s.runs)


def reads_and_writes_residents(case: Case, s: Segment, r: Run) -> bool:
    """Whether a group alone reads its weights for every band, but no map from DRAM, nor writes one."""
    made, network, _ = case
    resident = {b.content for b in made.buffers if b.role is Role.RESIDENT}
    return (
        r.weight_mode is WeightMode.REREAD
        and not several(s)
        and not s.feeds
        and network.groups[r.group].output in resident
    )


def is_reread(case: Case, t: Transfer) -> bool:
    """Whether these are weights that are read again for every band."""
    made, network, _ = case
    runs = made.segments[t.segment].runs
    return t.tensor in {f"{network.groups[r.group].name}.weights" for r in runs if r.weight_mode is WeightMode.REREAD}


def is_plain_conv(case: Case, r: Run) -> bool:
    group = case[1].groups[r.group]
    return group.kind is Kind.CONV and group.conv_groups == 1


def scales_by(network: Network, a: Segment, b: Segment) -> bool:
    made = {g.output for g in network.groups[a.first : a.last + 1]}
    return any(g.scale in made for g in network.groups[b.first : b.last + 1])


def reads_mean(network: Network, a: Segment, b: Segment) -> bool:
    means = {g.output for g in network.groups[a.first : a.last + 1] if g.kind is Kind.GLOBAL_MEAN}
    return any(means & {*g.reads} for g in network.groups[b.first : b.last + 1])


def two_means(network: Network, a: Segment, b: Segment) -> bool:
    return [g.kind for g in network.groups[a.first : b.last + 1]].count(Kind.GLOBAL_MEAN) == 2


def beside_host(network: Network, a: Segment, b: Segment) -> bool:
    return Kind.HOST in (network.groups[a.first].kind, network.groups[b.first].kind)


FAULTS: dict[str, tuple[str, Fault]] = {
    "another network": ("rule 1: plan was made for another network", lambda c: replace(c[0], network="0" * 64)),
    "another device": (
        "rule 1: .* device other than",
        lambda c: replace(c[0], device=c[2].with_sram(1 << 20).to_dict()),
    ),
    "no device": ("rule 1: the plan's device is unusable", lambda c: replace(c[0], device={})),
    "missing segment": (
        r"rule 1: segments end with group \d+, network has",
        lambda c: replace(c[0], segments=c[0].segments[:-1]),
    ),
    "no segments": ("rule 1: segments end with group -1", lambda c: replace(c[0], segments=())),
    "skipped group": (
        r"rule 1: segment \d+ begins with group",
        segment(lambda s: s.first > 0, first=lambda s: s.first + 1),
    ),
    "beyond the end": (r"rule 1: segment \d+ covers groups .* of", segment(lambda s: True, last=999)),
    "lost run": (r"rule 1: segment \d+ .* runs groups", segment(several, runs=lambda s: s.runs[1:])),
    "runs out of order": (r"rule 1: segment \d+ .* runs groups", segment(several, runs=lambda s: s.runs[::-1])),
    "host in company": ("rule 1: segment .* holds HOST group", joined(beside_host)),
    "host with bands": (r"rule 1: segment \d+ \(HOST\) has 2 bands", host_segment(bands=2)),
    "host that runs": (
        "rule 1: .* 1 runs",
        host_segment(runs=lambda s: (Run(s.first, 1, 1, WeightMode.RESIDENT, 1),)),
    ),
    "twin buffers": ("rule 2: two buffers share", twin("buffers")),
    "late resident": (
        r"rule 2: resident `.*` is live",
        buffer(lambda b: b.role is Role.RESIDENT and b.last_step > b.first_step, first_step=lambda b: b.first_step + 1),
    ),
    "ends at no reader": (
        r"rule 2: resident `.*` is live",
        buffer(role(Role.RESIDENT), last_step=999),
    ),
    "cut resident map": (
        "rule 2: resident .* rows, needs its height",
        buffer(role(Role.RESIDENT), rows=lambda b: b.rows - 1),
    ),
    "ghost resident": (
        "rule 2: resident `ghost` is not",
        buffer(role(Role.RESIDENT), name="ghost", content="ghost"),
    ),
    "misnamed resident": ("rule 2: buffer `x` .*, needs resident", buffer(role(Role.RESIDENT), name="x")),
    "inner map resident": (
        "rule 2: .* no other segment reads it",
        buffer(role(Role.RING), role=Role.RESIDENT, name=lambda b: b.content),
    ),
    "host map resident": ("rule 2: .* but host group", host_map_resident),
    "lost feed": (r"rule 3: segment \d+ has feeds of", segment(lambda s: bool(s.feeds), feeds=lambda s: s.feeds[1:])),
    "ghost feed": (r"rule 3: .* feeds of \['ghost", feed(lambda s, f: True, tensor="ghost")),
    "twin feed": (
        r"rule 3: segment \d+ has feeds of",
        segment(lambda s: bool(s.feeds), feeds=lambda s: (*s.feeds, s.feeds[0])),
    ),
    "no input": ("rule 3: buffer .* is missing", lost("buffers", role(Role.INPUT))),
    "no output": ("rule 3: buffer .* is missing", lost("buffers", role(Role.OUTPUT))),
    "no ring": ("rule 3: buffer .* is missing", lost("buffers", role(Role.RING))),
    "stored ring": ("rule 3: .* needs ring", buffer(role(Role.RING), role=Role.OUTPUT)),
    "kept output": ("rule 3: .* needs output", buffer(role(Role.OUTPUT), role=Role.RING)),
    "narrow row": ("rule 3: .* rows of", buffer(role(Role.INPUT), row_bytes=lambda b: b.row_bytes - 8)),
    "lingering output": ("rule 3: .* is live", buffer(role(Role.OUTPUT), last_step=lambda b: b.last_step + 1)),
    "early input": (
        "rule 3: .* is live",
        buffer(lambda b: b.role is Role.INPUT and b.first_step > 0, first_step=lambda b: b.first_step - 1),
    ),
    "long ring": ("rule 3: .* rows, its map", buffer(role(Role.RING), rows=999, offset=0)),
    "no rows to read": ("rule 3: .* of them held in band 0", buffer(role(Role.INPUT, Role.RING), rows=0)),
    "no rows to write": (
        "rule 3: .* band 0 writes into",
        lambda c: buffer(lambda b: b.role is Role.OUTPUT and not several(c[0].segments[b.last_step]), rows=0)(c),
    ),
    "stray buffer": (
        "rule 3: buffer `0:stray`",
        more("buffers", lambda c: Buffer("0:stray", Role.INPUT, "stray", 1, c[2].word_bytes, 0, 0, 0)),
    ),
    "no bands": ("rule 3: segment .* has 0 bands", segment(lambda s: bool(s.runs), bands=0)),
    "endless bands": (r"rule 3: segment .* has 1\d+ bands", segment(lambda s: bool(s.runs), bands=10**12)),
    "standing run": ("rule 3: .* then 0 in each", run(banded, step=0)),
    "backward run": ("rule 3: .* runs -1 rows", run(banded, first=-1)),
    "backward feed": ("rule 3: .* then -1 in each", feed(banded, step=-1)),
    "unfinished run": (
        r"rule 3: .* has run \d+ of \d+ rows",
        run(lambda s, r: s.bands > 1 and r.first + (s.bands - 1) * r.step > s.bands, first=0, step=1),
    ),
    "late feed": (
        "rule 3: .* reads .* in band 0, 0 are there",
        feed(banded, first=0, step=lambda f: f.first + f.step),
    ),
    "part of a frame": (
        "rule 3: .* rows in the only band",
        feed(lambda s, f: s.bands == 1 and f.first > 1, first=lambda f: f.first - 1),
    ),
    "scaled inside": ("rule 3: .* scales by .* its own segment", joined(scales_by)),
    "mean read inside": ("rule 3: .* reads global mean .* its own segment", joined(reads_mean)),
    "two means": ("rule 3: .* takes 2 global means", joined(two_means)),
    "no parameters": ("rule 4: buffer .* is missing", lost("buffers", role(Role.PARAMETERS))),
    "no weights": ("rule 4: buffer .* is missing", lost("buffers", role(Role.WEIGHTS))),
    "few weights": ("rule 4: .* rows, needs", buffer(role(Role.WEIGHTS), rows=lambda b: b.rows - 1)),
    "narrow weights": ("rule 4: .* rows of", buffer(role(Role.WEIGHTS), row_bytes=lambda b: b.row_bytes - 8)),
    "too early": (
        "rule 4: .* is live",
        buffer(lambda b: b.role is Role.WEIGHTS and b.last_step > 1, first_step=0),
    ),
    "early behind host": ("rule 4: .* is live", early_behind_host),
    "early tile": ("rule 4: .* is live", weights_at(WeightMode.REREAD)),
    "part of resident": (
        "rule 4: .* tile .* RESIDENT needs",
        run(lambda s, r: r.channel_tile > 1 and r.weight_mode is WeightMode.RESIDENT, channel_tile=1),
    ),
    "no tile": ("rule 4: .* tile of 0 of", run(lambda s, r: r.weight_mode is WeightMode.REREAD, channel_tile=0)),
    "odd tile": (
        "rule 4: .* no multiple",
        run(lambda s, r: r.weight_mode is WeightMode.STREAMED and r.channel_tile > 7, channel_tile=7),
    ),
    "streamed twice": (
        "rule 4: .* with 1 bands",
        run(lambda s, r: r.weight_mode is WeightMode.STREAMED, weight_mode=WeightMode.REREAD),
    ),
    "bands again in company": (
        "rule 4: .* needs a segment of its own",
        lambda c: run(lambda s, r: several(s) and is_plain_conv(c, r), weight_mode=WeightMode.INPUT_REREAD)(c),
    ),
    "tile in company in one band": (
        "rule 4: .* with 1 bands",
        lambda c: run(lambda s, r: several(s) and s.bands == 1 and is_plain_conv(c, r), weight_mode=WeightMode.REREAD)(
            c
        ),
    ),
    "no band again": (
        "rule 4: .* reads no input again",
        lambda c: run(lambda s, r: reads_and_writes_residents(c, s, r), weight_mode=WeightMode.INPUT_REREAD)(c),
    ),
    "part of an output": (
        "rule 3: .* tile by tile and need all",
        lambda c: buffer(
            lambda b: b.role is Role.OUTPUT and rereads_input(c[0].segments[b.last_step]), rows=lambda b: b.rows - 1
        )(c),
    ),
    "inputs read once": (
        "rule 7: .* needs",
        lambda c: transfer(
            lambda t: t.tensor in c[1].maps and t.size_bytes > c[1].maps[t.tensor].size_bytes,
            size_bytes=lambda t: c[1].maps[t.tensor].size_bytes,
        )(c),
    ),
    "weights in company read once": (
        "rule 7: .* needs",
        lambda c: transfer(
            lambda t: several(c[0].segments[t.segment]) and is_reread(c, t),
            size_bytes=lambda t: t.size_bytes // c[0].segments[t.segment].bands,
        )(c),
    ),
    "tile of a pool": (
        "rule 4: .* needs a plain conv",
        lambda c: run(lambda s, r: not is_plain_conv(c, r), weight_mode=WeightMode.STREAMED)(c),
    ),
    "odd offset": ("rule 5: .* multiple of", buffer(role(*Role), offset=lambda b: b.offset + 1)),
    "negative offset": ("rule 5: .* is at -8", buffer(role(*Role), offset=-8)),
    "beyond the scratchpad": ("rule 5: .* ends at", lambda c: buffer(role(*Role), offset=c[2].sram_bytes)(c)),
    "overlap": ("rule 5: .* overlap", overlap_two),
    "shared bank": ("rule 6: .* share a bank", share_a_bank),
    "lost transfer": ("rule 7: .* is missing", lost("transfers")),
    "stray transfer": (
        "rule 7: .* is not needed",
        more("transfers", lambda c: Transfer(0, c[1].outputs[0], "read", 5, Category.OUTPUTS)),
    ),
    "twin transfers": ("rule 7: two transfers", twin("transfers")),
    "wrong size": ("rule 7: .* needs", transfer(Category.INPUTS, size_bytes=lambda t: t.size_bytes - 1)),
    "wrong category": ("rule 7: .* needs", transfer(Category.OUTPUTS, category=Category.FEATURE_MAPS)),
    "wrong shortcut": ("rule 7: .* needs", transfer(Category.FEATURE_MAPS, shortcut=lambda t: not t.shortcut)),
    "lost region": ("rule 8: DRAM regions differ", lost("dram")),
    "odd region": ("rule 8: .* multiple of 64", region(offset=1)),
    "small region": ("rule 8: .* bytes, needs", region(size_bytes=1)),
    "dying region": ("rule 8: .* lives", region(last_step=-1)),
    "twin regions": ("rule 8: two DRAM regions share", twin("dram")),
    "shared DRAM": ("rule 8: .* overlap", share_dram),
    "wrong traffic": ("rule 9: objective traffic says", claim("traffic", value=1, bound=0)),
    "wrong cycles": ("rule 9: objective cycles says", claim("cycles", value=lambda o: o.value - 1, bound=0)),
    "wrong peak": ("rule 9: objective peak says", claim("peak", value=lambda o: o.value + 8)),
    "bound above value": ("rule 9: .* bound", claim("traffic", bound=lambda o: o.value + 1)),
    "optimal beside its bound": (
        "rule 9: objective peak is optimal with bound",
        claim("peak", bound=lambda o: o.value - 8, status=Status.OPTIMAL),
    ),
    "modest": (
        "rule 9: objective traffic is feasible",
        claim("traffic", bound=lambda o: o.value, status=Status.FEASIBLE),
    ),
    "unknown objective": ("rule 9: objectives are", claim("peak", name="area")),
    "optimal by decree": (
        "rule 9: status optimal",
        lambda c: replace(c[0], certificate=replace(c[0].certificate, status=Status.OPTIMAL)),
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_planted_fault_is_caught_by_its_rule(name: str) -> None:
    pattern, fault = FAULTS[name]
    spoilt = ((fault(case), case) for case in cases())
    plan, case = next(((plan, case) for plan, case in spoilt if plan is not None), (None, None))
    assert plan is not None, "no case has anything to spoil this way"
    assert case is not None
    with pytest.raises(PlanCheckError, match=pattern):
        check_plan(plan, case[1], case[2])


def test_random_plans_pass_and_every_way_of_running_is_among_them() -> None:
    for made, network, device in cases():
        facts = check_plan(made, network, device)
        assert facts.traffic_bytes == made.traffic_bytes >= cost.compulsory_bytes(network)
        assert facts.peak_bytes == made.peak_bytes
        assert sum(facts.bytes_by_category.values()) == sum(facts.bytes_by_tensor.values()) == facts.traffic_bytes
    segments = [s for made, _, _ in cases() for s in made.segments]
    assert {b.role for made, _, _ in cases() for b in made.buffers} == {*Role}
    assert {r.weight_mode for s in segments for r in s.runs} == {*WeightMode}
    assert {s.overlap for s in segments if len(s.runs) > 1 and s.bands > 1} == {False, True}
    assert any(ends_early(case) for case in cases())
    assert any(not s.runs for s in segments), "no host group"


def ends_early(case: Case) -> bool:
    """Whether a map is read again from DRAM after it was resident."""
    made, network, _ = case
    resident = {b.name for b in made.buffers if b.role is Role.RESIDENT and b.name in network.producers}
    return any(f.tensor in resident for s in made.segments for f in s.feeds)


def test_a_map_that_ends_early_is_stored_and_read_again() -> None:
    """x is read next, from the scratchpad, and by the sum at the end, from DRAM."""
    b = GraphBuilder("shortcut")
    x = b.conv(b.input(8, 6, 6), 8)
    network, device = b.network([b.add(b.conv(b.conv(x, 8), 8), x)]), roomy_device()
    kept = naive_plan(network, device, Choice(frozenset({x}), {x: 1}))
    moved = check_plan(claimed(kept, network, device), network, device).bytes_by_tensor
    assert (moved[x, "write"], moved[x, "read"]) == (288, 288)
    kept = naive_plan(network, device, Choice(frozenset({x})))
    moved = check_plan(claimed(kept, network, device), network, device).bytes_by_tensor
    assert not {(x, "write"), (x, "read")} & moved.keys()


def test_what_flows_inside_a_segment_moves_no_bytes() -> None:
    b = GraphBuilder("inside")
    x = b.input(8, 12, 12)
    network, device = b.network([b.add(b.conv(b.conv(x, 8, 3), 8, 3), x)]), roomy_device()
    plan = naive_plan(network, device, Choice(band_rows=1), [0])
    assert len(plan.segments) == 1
    assert check_plan(claimed(plan, network, device), network, device).traffic_bytes == cost.compulsory_bytes(network)


@pytest.mark.parametrize("overlap", [False, True])
def test_cycles_of_a_segment_by_hand(overlap: bool) -> None:
    """Two 1 x 1 convolutions of 6 rows in 3 bands, then a third alone in one band, its constants loaded behind the first two."""
    b = GraphBuilder("cycles")
    network, device = b.network([b.conv(b.conv(b.conv(b.input(8, 6, 6), 8), 8), 8)]), roomy_device()
    band, frame = Choice(band_rows=2, overlap=overlap), Choice(early=True)
    plan = naive_plan(network, device, lambda group: frame if group.index == 2 else band, [0, 2])
    facts = check_plan(claimed(plan, network, device), network, device)

    def dma(size_bytes: int, *, reading: bool = True) -> int:
        """Eight channels fill a word of `sim8`, and so do eight bytes of parameters."""
        return cost.dma_cycles(cost.Moved(size_bytes, size_bytes // 8), device, reading=reading)

    def both(size_bytes: int) -> int:
        """An input and an output of one size."""
        return dma(size_bytes) + dma(size_bytes, reading=False)

    computing = 2 * 3 * cost.compute_cycles(network, network.groups[0], device, 2, 8, folded=False)
    band_bytes, constants = 2 * 6 * 8, dma(64) + dma(64)
    rest = both(2 * band_bytes) + sum(cost.transfer_start_cycles(device, reading=r) for r in (False, True))
    exposed = 2 * constants + both(band_bytes) + (0 if overlap else rest)
    first = exposed + max(computing, (rest if overlap else 0) + constants)
    second = both(3 * band_bytes) + cost.compute_cycles(network, network.groups[2], device, 6, 8, folded=False)
    assert facts.cycles == first + second


def test_loop_longer_than_the_machine_holds_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    made, network, device = next(c for c in segment_cases() if any(several(s) and s.bands > 1 for s in c[0].segments))
    longest = max(cost.loop_words(network.groups[s.first : s.last + 1]) for s in made.segments if s.bands > 1)
    monkeypatch.setattr(cost, "LOOP_WORDS", longest)
    check_plan(made, network, device)
    monkeypatch.setattr(cost, "LOOP_WORDS", longest - 1)
    with pytest.raises(PlanCheckError, match=rf"rule 3: segment \d+ is a loop of up to {longest} instructions"):
        check_plan(made, network, device)
