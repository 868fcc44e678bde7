"""A group that writes over an operand: in plans made by hand and by the planner, to the checker and on the machine."""

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import product

import pytest
from checked import claimed, roomy_device
from emit_cases import Case
from networks import GraphBuilder, random_network
from small_cases import sums_case

from sfopt.allocate import Switches, plan
from sfopt.check import check_plan
from sfopt.check.in_place import links
from sfopt.check.placement import check_banks, check_placement
from sfopt.check.view import View
from sfopt.device import Device
from sfopt.errors import PlanCheckError
from sfopt.groups import Kind, Network
from sfopt.plan import Buffer, Plan, Role, WeightMode
from sfopt.testing.naive_plan import Choice, can_be_resident, naive_plan

DEVICE = replace(roomy_device(4000), lanes_in=8, lanes_out=4)
"""Two weight tiles, at least, for what lies in one word."""


def written_over_where_possible(made: Plan, network: Network, device: Device) -> tuple[Plan, int]:
    """A plan of one group a segment, every buffer in banks of its own, but each output over an operand that ends; how many are."""
    resident = {b.content: b for b in made.buffers if b.role is Role.RESIDENT}
    offsets, count, top = dict[str, int](), 0, 0
    for b in sorted(made.buffers, key=lambda b: (b.first_step, b.role is Role.RESIDENT)):
        group = (
            network.groups[network.producer(b.content)]
            if b.role is Role.RESIDENT and b.content not in network.inputs
            else None
        )
        concat = group is not None and len(group.pieces) > 1
        operands = [resident[m] for m in group.replaceable if m in resident] if group is not None and not concat else []
        dying = [
            m.name for m in operands if m.last_step == b.first_step and made.segments[b.first_step].first == group.index
        ]
        if dying and made.segments[b.first_step].last == group.index:
            offsets[b.name], count = offsets[dying[-1]], count + 1
        else:
            offsets[b.name], top = top, -(-(top + b.size_bytes) // device.bank_bytes) * device.bank_bytes
    return claimed(
        replace(made, buffers=tuple(replace(b, offset=offsets[b.name]) for b in made.buffers)), network, device
    ), count


def sums(seed: int) -> Network:
    """Groups of several channel tiles whose residuals die, and element-wise groups behind them."""
    b = GraphBuilder(f"sums{seed}", seed=seed)
    x = b.conv(b.input(3, 6, 5), 12)
    y = b.add(b.conv(b.conv(x, 12), 12), x)
    z = b.mul(y, b.conv(y, 12, 1))
    w = b.add(b.depthwise(b.conv(z, 12)), z)
    return b.network([b.conv(b.add(w, b.relu(b.conv(w, 12))), 4)])


def ways() -> Iterator[Choice]:
    for band, weights, overlap, early in product((None, 1, 2), WeightMode, (False, True), (False, True)):
        yield Choice(band_rows=band, weights=weights, channel_tile=4, overlap=overlap, early=early)


@pytest.mark.parametrize("way", list(ways()), ids=str)
def test_every_way_to_run_a_group_writes_over_an_operand(way: Choice) -> None:
    network = sums(0)
    for kept in (frozenset(network.maps), frozenset(network.maps) - {*network.inputs}):
        resident = frozenset(m for m in kept if can_be_resident(network, m))
        made, count = written_over_where_possible(
            naive_plan(network, DEVICE, replace(way, resident=resident)), network, DEVICE
        )
        assert count == 4
        check_plan(made, network, DEVICE)
        Case(network).check(made, DEVICE)


def test_random_networks_write_over_operands_on_the_machine() -> None:
    total = 0
    for seed in range(120):
        r = random.Random(seed)
        network = random_network(seed, ops=r.randint(3, 8), side=r.randint(3, 9), channels=20)
        resident = frozenset(m for m in network.maps if can_be_resident(network, m) and r.random() < 0.8)
        weights = r.choice(list(WeightMode))
        way = Choice(resident, {}, r.choice([None, 1, 2]), weights, overlap=r.random() < 0.5, early=r.random() < 0.5)
        made, count = written_over_where_possible(naive_plan(network, DEVICE, way), network, DEVICE)
        if count:
            total += count
            check_plan(made, network, DEVICE)
            Case(network).check(made, DEVICE)
    assert total >= 15


def sound() -> tuple[Plan, Network, Buffer, Buffer]:
    """A convolution's output over its residual; plan, network, residual, output."""
    b = GraphBuilder("sound")
    x = b.conv(b.input(8, 6, 6), 8)
    y = b.add(b.conv(b.conv(x, 8), 8), x)
    network = b.network([b.conv(y, 8)])
    way = Choice(frozenset(m for m in network.maps if can_be_resident(network, m)))
    made, count = written_over_where_possible(naive_plan(network, DEVICE, way), network, DEVICE)
    assert count == 1
    check_plan(made, network, DEVICE)
    view = View(made, network, DEVICE)
    ((operand, output),) = (link for s in range(len(made.segments)) for link in links(view, s))
    assert (operand.content, output.content) == (x, y)
    return made, network, operand, output


@pytest.mark.parametrize(
    "change",
    [
        lambda operand, output: {output.name: replace(output, offset=output.offset + 8)},
        lambda operand, output: {output.name: replace(output, rows=output.rows - 1)},
        lambda operand, output: {output.name: replace(output, row_bytes=output.row_bytes + 8)},
        lambda operand, output: {operand.name: replace(operand, last_step=operand.last_step + 1)},
        lambda operand, output: {output.name: replace(output, first_step=output.first_step - 1)},
    ],
    ids=["a word off", "fewer rows", "longer rows", "read later", "written earlier"],
)
def test_what_only_nearly_writes_over_overlaps(change: Callable[[Buffer, Buffer], dict[str, Buffer]]) -> None:
    made, network, operand, output = sound()
    changed = change(operand, output)
    spoilt = replace(made, buffers=tuple(changed.get(b.name, b) for b in made.buffers))
    with pytest.raises(PlanCheckError, match=rf"rule 5: .*{operand.name}.*overlap"):
        check_placement(View(spoilt, network, DEVICE))
    with pytest.raises(PlanCheckError, match=r"rule 6: .*share a bank"):
        check_banks(View(spoilt, network, DEVICE))
    with pytest.raises(PlanCheckError):
        check_plan(spoilt, network, DEVICE)


def overlapping(network: Network, a: str, b: str, starts: list[int] | None = None) -> Plan:
    """Everything resident, every buffer in banks of its own, but map b where a is."""
    way = Choice(frozenset(m for m in network.maps if can_be_resident(network, m)))
    made = naive_plan(network, DEVICE, way, starts)
    size = max(-(-x.size_bytes // DEVICE.bank_bytes) * DEVICE.bank_bytes for x in made.buffers)
    apart = {x.name: replace(x, offset=i * size) for i, x in enumerate(made.buffers)}
    apart[b] = replace(apart[b], offset=apart[a].offset)
    return claimed(replace(made, buffers=tuple(apart.values())), network, DEVICE)


def taken(network: Network, a: str, b: str, starts: list[int] | None = None) -> None:
    check_plan(overlapping(network, a, b, starts), network, DEVICE)


def refused(network: Network, a: str, b: str, starts: list[int] | None = None) -> None:
    with pytest.raises(PlanCheckError, match=r"rule 5: .*overlap"):
        check_plan(overlapping(network, a, b, starts), network, DEVICE)


def test_no_other_operand_is_written_over() -> None:
    b = GraphBuilder("others")
    x = b.conv(b.input(8, 6, 6), 8)
    y = b.conv(x, 8)
    z = b.add(y, b.conv(y, 8))
    end = b.mul(z, b.conv(z, 8))
    network = b.network([b.conv(b.add(end, end), 8)])
    taken(network, y, z)
    taken(network, z, end)
    refused(network, x, y)  # the input of a convolution
    doubled = next(g for g in network.groups if [p.tensor for p in g.pieces] == [end])
    refused(network, end, doubled.output)  # both operands are one map
    assert not replace(doubled, kind=Kind.CONV).replaceable
    assert not doubled.replaceable


def test_no_operand_is_written_over_in_a_segment_of_several_groups() -> None:
    b = GraphBuilder("company")
    x = b.conv(b.input(8, 6, 6), 8)
    y = b.conv(b.conv(x, 8), 8)
    z = b.add(y, x)
    network = b.network([b.conv(z, 8)])
    adding = network.producers[z]
    taken(network, x, z)
    refused(network, x, z, [0, 1, adding - 1, adding + 1])


def test_only_one_of_two_operands_gives_its_place() -> None:
    b = GraphBuilder("two")
    x = b.conv(b.input(8, 6, 6), 8)
    y = b.max_pool(x, 3, 1, 1)
    z = b.add(x, b.average_pool(y, 3, 1, 1))
    network = b.network([b.conv(z, 8)])
    group = network.groups[network.producers[z]]
    made = overlapping(network, x, z)
    if len(group.replaceable) == 2:
        other = next(m for m in group.replaceable if m != x)
        moved = next(q for q in made.buffers if q.name == x).offset
        made = replace(made, buffers=tuple(replace(q, offset=moved) if q.name == other else q for q in made.buffers))
        with pytest.raises(PlanCheckError, match="rule 5"):
            check_plan(made, network, DEVICE)


def chain() -> tuple[Network, Device]:
    """Three residual sums of one shape."""
    b = GraphBuilder("chain")
    x = b.conv(b.input(8, 8, 8), 16)
    for _ in range(3):
        x = b.add(b.conv(b.conv(x, 4, 1), 16), x)
    device = replace(roomy_device(64), bank_bytes=256)
    return b.network([b.conv(x, 4)]), device


def test_planner_writes_a_chain_of_sums_over_one_map_and_it_runs() -> None:
    network, device = chain()
    peaks = dict[bool, int]()
    for on in (True, False):
        made = plan(network, device, objective="sram", switches=Switches(segments=False, in_place=on))
        check_plan(made, network, device)
        Case(network).check(made, device)
        peaks[on] = made.peak_bytes
        view = View(made, network, device)
        assert sum(len(links(view, s)) for s in range(len(made.segments))) == (3 if on else 0)
    assert peaks[True] < peaks[False]


def test_small_plans_that_write_over_operands_run_on_the_machine() -> None:
    written = 0
    for seed in (2, 5, 6, 9, 10, 13, 17, 20):
        network, device = sums_case(seed)
        made = plan(network, device)
        view = View(made, network, device)
        written += sum(len(links(view, s)) for s in range(len(made.segments)))
        Case(network).check(made, device)
    assert written >= 8
