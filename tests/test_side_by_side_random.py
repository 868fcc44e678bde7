"""Operands that lie in concats wherever the checker lets them, in any segments: every tensor and byte on the machine."""

import random
from dataclasses import replace

import pytest
from emit_cases import Case
from networks import GraphBuilder
from segment_networks import SEGMENT_NETWORKS

from sfopt.allocate import Switches, plan
from sfopt.check import check_plan
from sfopt.check.in_place import links
from sfopt.check.view import View
from sfopt.groups import Network
from sfopt.plan import WeightMode
from sfopt.testing.naive_plan import Choice, naive_plan
from sfopt.testing.shared_places import DEVICE, everything, in_places_where_possible


def random_way(r: random.Random, network: Network) -> Choice:
    resident = frozenset(m for m in sorted(everything(network)) if r.random() < 0.95)
    ends = {m: r.choice(network.readers[m]) for m in sorted(resident) if r.random() < 0.2}
    band, weights = r.choice([None, 1, 2]), r.choice(list(WeightMode))
    return Choice(resident, ends, band, weights, 4, overlap=r.random() < 0.5, early=r.random() < 0.5)


def random_concats(r: random.Random, seed: int) -> Network:
    """Concats, convolutions and sums of what was made before, most of whole words."""
    b = GraphBuilder(f"concats{seed}", seed=seed)
    made = [b.input(r.choice((3, 8)), r.randint(3, 8), r.randint(2, 5))]
    for _ in range(r.randint(4, 9)):
        x, recent = made[-1] if r.random() < 0.6 else r.choice(made[-4:]), made[-5:]
        same = [t for t in recent if t != x and b.shape(t) == b.shape(x)]
        if len(recent) > 1 and b.shape(x)[0] <= 40 and r.random() < 0.4:
            others = r.sample([t for t in recent if t != x], min(len(recent) - 1, r.randint(1, 2)))
            pieces = r.sample([x, *others], 1 + len(others))
            made.append(b.concat(*pieces, like=x if r.random() < 0.3 else None))
        elif same and r.random() < 0.5:
            made.append(b.add(x, r.choice(same)))
        else:
            made.append(b.conv(x, r.choice((3, 8, 8, 12, 16)), r.choice((1, 1, 3))))
    read = {name for op in b.ops for name in op.inputs}
    return b.network([t for t in made[1:] if t not in read or r.random() < 0.1])


def test_random_networks_lie_in_their_concats_on_the_machine() -> None:
    alone = in_company = nested = 0
    for seed in range(200):
        r = random.Random(seed)
        network = random_concats(r, seed)
        starts = r.choice([None, [i for i in range(len(network.groups)) if r.random() < 0.6]])
        naive = naive_plan(network, DEVICE, random_way(r, network), starts)
        made, outputs = in_places_where_possible(naive, network, DEVICE)
        if outputs:
            Case(network).check(made, DEVICE)
        spans = {g: s.last - s.first for s in made.segments for g in range(s.first, s.last + 1)}
        concats = [g for o in outputs.values() if len((g := network.groups[network.producers[o]]).pieces) > 1]
        alone += sum(spans[g.index] == 0 for g in concats)
        in_company += sum(spans[g.index] > 0 for g in concats)
        nested += sum(g.output in outputs for g in concats)
    assert min(alone, in_company, nested) >= 10


@pytest.mark.parametrize("name", ["dense", "inception", "fires", "forks", "hourglass"])
def test_networks_with_concats_in_any_segments(name: str) -> None:
    network, total = SEGMENT_NETWORKS[name](), 0
    case = Case(network)
    for seed in range(6):
        r = random.Random(seed)
        starts = [i for i in range(len(network.groups)) if r.random() < 0.7]
        made, outputs = in_places_where_possible(
            naive_plan(network, DEVICE, random_way(r, network), starts), network, DEVICE
        )
        case.check(made, DEVICE)
        total += len(outputs)
    assert total > 0


@pytest.mark.parametrize("segments", [False, True], ids=["one group at a time", "segments"])
def test_planned_block_lies_in_its_concats_and_runs(segments: bool) -> None:
    """Every map of the plan against ONNX Runtime; it needs less scratchpad than one with buffers for all."""
    b = GraphBuilder("planned")
    x = b.conv(b.input(3, 10, 10), 8)
    for _ in range(3):
        x = b.concat(x, b.conv(b.conv(x, 8), 8, 3))
    network, device, peaks = b.network([b.conv(x, 4)]), replace(DEVICE, bank_bytes=256), dict[bool, int]()
    for on in (True, False):
        made = plan(network, device, objective="sram", switches=Switches(segments=segments, side_by_side=on))
        check_plan(made, network, device)
        Case(network).check(made, device)
        peaks[on] = made.peak_bytes
        view = View(made, network, device)
        assert any(links(view, step) for step in range(len(made.segments))) == on
    assert peaks[True] < peaks[False]
