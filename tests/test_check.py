"""The plan checker: what the planner writes passes, and a fault planted under each rule is caught by that rule."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache

import pytest
from networks import GraphBuilder, random_network

from sfopt.allocate import METHODS, plan
from sfopt.check import check_plan
from sfopt.cost import baseline_bytes, compulsory_bytes
from sfopt.device import Device, load_device
from sfopt.errors import InfeasibleError, PlanCheckError
from sfopt.groups import Network
from sfopt.plan import Buffer, Category, Plan, Role, Status, Transfer, WeightMode

Case = tuple[Plan, Network, Device]
Fault = Callable[[Case], Plan | None]
"""Plants a fault, or returns None where the plan has nothing to spoil that way."""


@cache
def cases() -> tuple[Case, ...]:
    """Checked plans of random networks on a device that is now ample, now tight."""
    found = list[Case]()
    for seed in range(60):
        network, device = (
            random_network(seed, ops=5, side=9, channels=20),
            load_device("sim8").with_sram((2048, 4096, 16384)[seed % 3]),
        )
        try:
            made = plan(network, device, ("optimal", "greedy-size", "once-per-layer")[seed // 3 % 3])
        except InfeasibleError:
            continue
        check_plan(made, network, device)
        found.append((made, network, device))
    return tuple(found)


def spoil_buffer(case: Case, wanted: Callable[[Buffer], bool], **changes: object) -> Plan | None:
    """The plan with the first wanted buffer changed; a callable change is given the buffer."""
    made = case[0]
    for i, b in enumerate(made.buffers):
        if wanted(b):
            new = replace(b, **{k: v(b) if callable(v) else v for k, v in changes.items()})  # type: ignore[arg-type]
            return replace(made, buffers=(*made.buffers[:i], new, *made.buffers[i + 1 :]))
    return None


def role(*roles: Role) -> Callable[[Buffer], bool]:
    return lambda b: b.role in roles


def spoil_segment(case: Case, mode: WeightMode | None = None, **changes: object) -> Plan | None:
    """The plan with the first accelerator segment (of a weight mode) changed."""
    made, network, _ = case
    for i, s in enumerate(made.segments):
        if network.groups[i].kind == "conv" and (mode is None or s.weight_mode is mode):
            new = replace(s, **{k: v(s) if callable(v) else v for k, v in changes.items()})  # type: ignore[arg-type]
            return replace(made, segments=(*made.segments[:i], new, *made.segments[i + 1 :]))
    return None


def spoil_claim(case: Case, level: str, **changes: object) -> Plan:
    """The plan with one objective of its certificate changed."""
    made = case[0]
    objectives = tuple(
        replace(o, **{k: v(o) if callable(v) else v for k, v in changes.items()}) if o.name == level else o  # type: ignore[arg-type]
        for o in made.certificate.objectives
    )
    return replace(made, certificate=replace(made.certificate, objectives=objectives))


def overlap_two(case: Case) -> Plan | None:
    """Move a buffer onto another that is live with it."""
    for a in case[0].buffers:
        for b in case[0].buffers:
            together = a.first_step <= b.last_step and b.first_step <= a.last_step
            if a.name != b.name and together and a.offset + b.size_bytes <= case[2].sram_bytes:
                return spoil_buffer(case, lambda c, name=b.name: c.name == name, offset=a.offset)
    return None


def share_a_bank(case: Case) -> Plan | None:
    """Put a group's output right behind its input: no overlap, but one bank serves both."""
    made, network, device = case
    for group in network.groups:
        source = made.buffer(group.index, group.pieces[0].tensor)
        target = made.buffer(group.index, group.output)
        others = [
            b
            for b in made.buffers
            if b not in (source, target) and b.first_step <= target.last_step and target.first_step <= b.last_step
        ]
        place = (source.end, source.end + target.size_bytes)
        free = all(b.end <= place[0] or place[1] <= b.offset for b in others) and place[1] <= device.sram_bytes
        if free and source.end % device.bank_bytes:
            return spoil_buffer(case, lambda b, name=target.name: b.name == name, offset=source.end)
    return None


def share_dram(case: Case) -> Plan | None:
    """Two DRAM regions that live together at one address."""
    made = case[0]
    for i, a in enumerate(made.dram):
        for b in made.dram[:i]:
            if a.first_step <= b.last_step and b.first_step <= a.last_step:
                return replace(made, dram=(*made.dram[:i], replace(a, offset=b.offset), *made.dram[i + 1 :]))
    return None


def spoil_transfer(case: Case, wanted: Category, **changes: object) -> Plan | None:
    """The plan with the first transfer of a category changed."""
    made = case[0]
    for i, t in enumerate(made.transfers):
        if t.category is wanted:
            new = replace(t, **{k: v(t) if callable(v) else v for k, v in changes.items()})  # type: ignore[arg-type]
            return replace(made, transfers=(*made.transfers[:i], new, *made.transfers[i + 1 :]))
    return None


def without_buffer(case: Case, wanted: Callable[[Buffer], bool]) -> Plan | None:
    """The plan with the first wanted buffer left out."""
    gone = next((b for b in case[0].buffers if wanted(b)), None)
    return replace(case[0], buffers=tuple(b for b in case[0].buffers if b != gone)) if gone else None


def extra_buffer(case: Case) -> Plan:
    stray = Buffer("0:stray", Role.INPUT, "stray", 1, case[2].word_bytes, 0, 0, 0)
    return replace(case[0], buffers=(*case[0].buffers, stray))


def extra_transfer(case: Case) -> Plan:
    stray = Transfer(0, case[1].outputs[0], "read", 5, Category.OUTPUTS)
    return replace(case[0], transfers=(*case[0].transfers, stray))


def early_tile(case: Case) -> Plan | None:
    """Tiled weights that pretend to be loaded a step early."""
    tiled = {i for i, s in enumerate(case[0].segments) if s.weight_mode is not WeightMode.RESIDENT and i}
    return spoil_buffer(
        case, lambda b: b.role is Role.WEIGHTS and b.last_step in tiled, first_step=lambda b: b.last_step - 1
    )


def claims_optimal(case: Case) -> Plan | None:
    made = case[0]
    if made.certificate.status is not Status.HEURISTIC:
        return None
    return replace(made, certificate=replace(made.certificate, status=Status.OPTIMAL))


FAULTS: dict[str, tuple[str, Fault]] = {
    "another network": ("rule 1: plan was made for another network", lambda c: replace(c[0], network="0" * 64)),
    "another device": (
        "rule 1: .* device other than",
        lambda c: replace(c[0], device=c[2].with_sram(1 << 20).to_dict()),
    ),
    "no device": ("rule 1: the plan's device is unusable", lambda c: replace(c[0], device={})),
    "missing segment": (r"rule 1: \d+ segments for \d+ groups", lambda c: replace(c[0], segments=c[0].segments[:-1])),
    "wrong cover": (r"rule 1: segment \d+ covers groups", lambda c: spoil_segment(c, last=lambda s: s.last + 1)),
    "twin buffers": ("rule 2: two buffers share", lambda c: replace(c[0], buffers=(*c[0].buffers, c[0].buffers[0]))),
    "short life": (
        r"rule 2: `.*` is live",
        lambda c: spoil_buffer(c, role(Role.RESIDENT), last_step=lambda b: b.last_step - 1),
    ),
    "cut resident map": (
        "rule 2: resident .* rows, needs its height",
        lambda c: spoil_buffer(c, role(Role.RESIDENT), rows=lambda b: b.rows - 1),
    ),
    "ghost resident": (
        "rule 2: resident `ghost` is not",
        lambda c: spoil_buffer(c, role(Role.RESIDENT), name="ghost", content="ghost"),
    ),
    "no stream": ("rule 3: buffer .* is missing", lambda c: without_buffer(c, role(Role.INPUT))),
    "short ring": (r"rule 3: .* has \d+ rows, needs", lambda c: spoil_buffer(c, role(Role.INPUT), rows=0)),
    "short output": (r"rule 3: .* has \d+ rows, needs", lambda c: spoil_buffer(c, role(Role.OUTPUT), rows=0)),
    "long ring": (r"rule 3: .* rows, needs", lambda c: spoil_buffer(c, role(Role.INPUT), rows=999, offset=0)),
    "narrow row": (
        "rule 3: .* rows of",
        lambda c: spoil_buffer(c, role(Role.INPUT), row_bytes=lambda b: b.row_bytes - 8),
    ),
    "lingering stream": (
        "rule 3: .* is live",
        lambda c: spoil_buffer(c, role(Role.OUTPUT), last_step=lambda b: b.last_step + 1),
    ),
    "stray buffer": ("rule 3: buffer `0:stray`", extra_buffer),
    "too few bands": ("rule 3: segment .* bands", lambda c: spoil_segment(c, bands=lambda s: s.bands + 1)),
    "endless band": ("rule 3: segment .* bands of", lambda c: spoil_segment(c, band_rows=999)),
    "no parameters": ("rule 4: buffer .* is missing", lambda c: without_buffer(c, role(Role.PARAMETERS))),
    "few weights": ("rule 4: .* rows, needs", lambda c: spoil_buffer(c, role(Role.WEIGHTS), rows=lambda b: b.rows - 1)),
    "too early": (
        "rule 4: .* is live",
        lambda c: spoil_buffer(c, lambda b: b.role is Role.WEIGHTS and b.last_step > 1, first_step=0),
    ),
    "early tile": ("rule 4: .* is live", early_tile),
    "part of resident": (
        "rule 4: .* tile .* RESIDENT needs",
        lambda c: spoil_segment(c, WeightMode.RESIDENT, channel_tile=1),
    ),
    "odd tile": ("rule 4: .* no multiple", lambda c: spoil_segment(c, WeightMode.STREAMED, channel_tile=3)),
    "streamed twice": (
        "rule 4: .* with 1 bands",
        lambda c: spoil_segment(c, WeightMode.STREAMED, weight_mode=WeightMode.REREAD),
    ),
    "odd offset": ("rule 5: .* multiple of", lambda c: spoil_buffer(c, role(*Role), offset=lambda b: b.offset + 1)),
    "beyond the end": ("rule 5: .* ends at", lambda c: spoil_buffer(c, role(*Role), offset=c[2].sram_bytes)),
    "overlap": ("rule 5: .* overlap", overlap_two),
    "shared bank": ("rule 6: .* share a bank", share_a_bank),
    "lost transfer": ("rule 7: .* is missing", lambda c: replace(c[0], transfers=c[0].transfers[1:])),
    "stray transfer": ("rule 7: .* is not needed", extra_transfer),
    "twin transfers": (
        "rule 7: two transfers",
        lambda c: replace(c[0], transfers=(*c[0].transfers, c[0].transfers[0])),
    ),
    "wrong size": (
        "rule 7: .* needs",
        lambda c: spoil_transfer(c, Category.INPUTS, size_bytes=lambda t: t.size_bytes - 1),
    ),
    "wrong category": (
        "rule 7: .* needs",
        lambda c: spoil_transfer(c, Category.OUTPUTS, category=Category.FEATURE_MAPS),
    ),
    "wrong shortcut": (
        "rule 7: .* needs",
        lambda c: spoil_transfer(c, Category.FEATURE_MAPS, shortcut=lambda t: not t.shortcut),
    ),
    "lost region": ("rule 8: DRAM regions differ", lambda c: replace(c[0], dram=c[0].dram[1:])),
    "odd region": (
        "rule 8: .* multiple of 64",
        lambda c: replace(c[0], dram=(replace(c[0].dram[0], offset=1), *c[0].dram[1:])),
    ),
    "small region": (
        "rule 8: .* bytes, needs",
        lambda c: replace(c[0], dram=(replace(c[0].dram[0], size_bytes=1), *c[0].dram[1:])),
    ),
    "dying region": (
        "rule 8: .* lives",
        lambda c: replace(c[0], dram=(*c[0].dram[:-1], replace(c[0].dram[-1], last_step=-1))),
    ),
    "twin regions": ("rule 8: two DRAM regions share", lambda c: replace(c[0], dram=(*c[0].dram, c[0].dram[0]))),
    "shared DRAM": ("rule 8: .* overlap", share_dram),
    "wrong traffic": ("rule 9: objective traffic says", lambda c: spoil_claim(c, "traffic", value=1, bound=0)),
    "wrong cycles": (
        "rule 9: objective cycles says",
        lambda c: spoil_claim(c, "cycles", value=lambda o: o.value - 1, bound=0),
    ),
    "wrong peak": ("rule 9: objective peak says", lambda c: spoil_claim(c, "peak", value=lambda o: o.value + 8)),
    "bound above value": ("rule 9: .* bound", lambda c: spoil_claim(c, "traffic", bound=lambda o: o.value + 1)),
    "optimal beside its bound": (
        "rule 9: objective peak is optimal with bound",
        lambda c: spoil_claim(c, "peak", bound=lambda o: o.value - 8, status=Status.OPTIMAL),
    ),
    "modest": (
        "rule 9: objective traffic is feasible",
        lambda c: spoil_claim(c, "traffic", bound=lambda o: o.value, status=Status.FEASIBLE),
    ),
    "unknown objective": ("rule 9: objectives are", lambda c: spoil_claim(c, "peak", name="area")),
    "optimal by decree": ("rule 9: status optimal", claims_optimal),
}


def spoilt(fault: Fault) -> Iterator[tuple[Plan, Network, Device]]:
    for case in cases():
        made = fault(case)
        if made is not None:
            yield made, case[1], case[2]


@pytest.mark.parametrize("name", FAULTS)
def test_planted_fault_is_caught_by_its_rule(name: str) -> None:
    pattern, fault = FAULTS[name]
    first = next(spoilt(fault), None)
    assert first is not None, "no case has anything to spoil this way"
    with pytest.raises(PlanCheckError, match=pattern):
        check_plan(*first)


def test_every_role_and_mode_is_among_the_cases() -> None:
    assert {b.role for made, _, _ in cases() for b in made.buffers} == set(Role)
    assert {s.weight_mode for made, _, _ in cases() for s in made.segments} == set(WeightMode)
    assert any(s.overlap and s.bands > 1 for made, _, _ in cases() for s in made.segments)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_makes_checked_plans(method: str) -> None:
    checked = 0
    for seed in range(28):
        network, device = (
            random_network(seed, ops=8, side=10, channels=20),
            load_device("sim8").with_sram(8192 << seed % 4),
        )
        try:
            made = plan(network, device, method)
        except InfeasibleError:
            continue
        facts = check_plan(made, network, device)
        assert compulsory_bytes(network) <= facts.traffic_bytes == made.traffic_bytes
        assert facts.peak_bytes == made.peak_bytes <= device.sram_bytes
        assert sum(facts.bytes_by_category.values()) == sum(facts.bytes_by_tensor.values()) == facts.traffic_bytes
        checked += 1
    assert checked > 14


def test_once_per_layer_is_the_baseline_where_weights_fit() -> None:
    network, device = random_network(4, ops=8), load_device("sim8")
    assert plan(network, device, "once-per-layer").traffic_bytes == baseline_bytes(network)


def test_two_readers_of_one_map_and_a_map_read_twice_by_one_group() -> None:
    b = GraphBuilder("twice")
    x = b.input(8, 6, 6)
    squared = b.mul(x, x)
    network = b.network([b.concat(squared, squared)])
    for sram in (1024, 2048, 4096):
        device = load_device("sim8").with_sram(sram)
        check_plan(plan(network, device), network, device)
