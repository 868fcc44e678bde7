"""What the report says about a plan: segments, runs, rings, residents that end early."""

import re

from networks import GraphBuilder
from segment_networks import SEGMENT_NETWORKS

from sfopt.device import load_device
from sfopt.plan import Role
from sfopt.report import explain_lines
from sfopt.report.placement import placement_reasons
from sfopt.testing.naive_plan import Choice, naive_plan

DEVICE = load_device("sim8")


def test_explain_has_segments_and_their_groups() -> None:
    network = SEGMENT_NETWORKS["residual_chain"]()
    plan = naive_plan(network, DEVICE, Choice(band_rows=2), [4])
    lines = explain_lines(network, plan)
    heads = [line for line in lines if re.match(r" {0,3}\d", line)]
    assert [head.split(":")[0].strip() for head in heads] == ["0 4 groups", f"1 {len(network.groups) - 4} groups"]
    assert all(re.search(r": row, \d+ bands; \d+ DRAM bytes$", head) for head in heads)
    assert len(lines) == 2 + 2 * len(network.groups)
    rings = {b.content: b for b in plan.buffers if b.role is Role.RING}
    for name, ring in rings.items():
        at = next(i for i, line in enumerate(lines) if f"conv `{name}`" in line)
        assert f"output {ring.rows} of its {network.maps[name].height} rows on-chip" in lines[at + 1]
    assert any("rows, then 2 a band, weights resident" in line for line in lines)


def test_resident_that_ends_early_says_what_it_saves() -> None:
    b = GraphBuilder("early")
    x = b.conv(b.input(3, 6, 6), 8)
    y = b.conv(x, 8, 3)
    network = b.network([b.conv(b.add(b.conv(y, 8, 3), x), 4)])
    last, size = network.readers[x][-1], network.maps[x].size_bytes
    choice = Choice(resident=frozenset({x}), ends={x: network.producers[y]})
    where, why = placement_reasons(network, naive_plan(network, DEVICE, choice))[x]
    assert where.startswith("on-chip at")
    assert why == f"shortcut kept until `{y}`, read back by 1 more; spilling it would move {size} B"
    why = placement_reasons(network, naive_plan(network, DEVICE, Choice(resident=frozenset({x}))))[x][1]
    assert f"kept until `{network.groups[last].name}`; spilling it would move {3 * size} B" in why
