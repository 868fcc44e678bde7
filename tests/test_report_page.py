"""`report.html` before a browser sees it: every buffer, byte and cycle is in its figures; nothing is fetched or injected."""

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

import plotly.graph_objects as go
import pytest
from networks import GraphBuilder
from segment_networks import SEGMENT_NETWORKS
from transposed_networks import transposed_network

from sfopt import cost
from sfopt.device import load_device
from sfopt.examples import digits_model_path
from sfopt.groups import Network
from sfopt.pipeline import Moment, Options, Result, optimize
from sfopt.plan import Category, Plan, Role
from sfopt.report import build_report, sections, summary_lines
from sfopt.report.charts import cycles_figure, roofline_figure, search_figure, traffic_figure
from sfopt.report.costs import GroupCost, group_costs
from sfopt.report.facts import MOMENTS
from sfopt.report.memory_map import hover_text, memory_map
from sfopt.report.page import report_page
from sfopt.report.placement import placement_reasons
from sfopt.testing.naive_plan import Choice, naive_plan

DEVICE = replace(load_device("sim8"), banks=256)
NETWORKS = {**SEGMENT_NETWORKS, "transposed": lambda: transposed_network(3)}
NAMES = ("residual_chain", "forks", "inception", "pyramid", "sparse", "transposed")


@pytest.fixture(scope="module")
def digits() -> Result:
    return optimize(digits_model_path(), Options(load_device("sim8")))


def planned(name: str, choice: Choice | None = None, cuts: tuple[int, ...] = (1,)) -> tuple[Network, Plan]:
    network = NETWORKS[name]()
    return network, naive_plan(network, DEVICE, choice or Choice(band_rows=2), [*cuts])


def bars(figure: go.Figure) -> list[go.Bar]:
    return [trace for trace in figure.data if trace.type == "bar"]


def rectangles(figure: go.Figure) -> Counter[tuple[float, float, float, float]]:
    """Left, right, bottom, top of all bars."""
    return Counter(
        (x - w / 2, x + w / 2, base, base + y)
        for bar in bars(figure)
        for x, w, base, y in zip(bar.x, bar.width, bar.base, bar.y, strict=True)
    )


@pytest.mark.parametrize("name", NAMES)
def test_memory_map_has_every_buffer_where_the_plan_has_it(name: str) -> None:
    network, plan = planned(name)
    segments = plan.segments
    expected = Counter(
        (segments[b.first_step].first - 0.5, segments[b.last_step].last + 0.5, b.offset, b.end) for b in plan.buffers
    )
    drawn = rectangles(memory_map(network, plan, DEVICE))
    assert expected <= drawn
    inside = {r: n for r, n in drawn.items() if r[2] >= 0 and r[3] <= plan.peak_bytes}
    assert inside == expected


@pytest.mark.parametrize("name", NAMES)
def test_hover_names_tensor_bytes_and_reason(name: str) -> None:
    network, plan = planned(name, Choice(band_rows=2, resident=frozenset(NETWORKS[name]().shortcuts)), cuts=())
    texts = [t for bar in bars(memory_map(network, plan, DEVICE)) for t in bar.hovertext]
    reasons = placement_reasons(network, plan)
    for b in plan.buffers:
        mine = [
            t.replace("<br>", " ") for t in texts if f"({b.size_bytes} bytes) at {b.offset}," in t.replace("<br>", " ")
        ]
        assert any(t.startswith(f"<b>{b.content}</b> ") for t in mine), b
        if b.role is Role.RESIDENT:
            assert any(reasons[b.content][1] in t for t in mine)
    assert any("shortcut kept until" in t.replace("<br>", " ") for t in texts) == any(
        b.role is Role.RESIDENT and b.content in network.shortcuts for b in plan.buffers
    )
    assert all(len(re.sub("<[^>]*>", "", line)) <= 80 for t in texts for line in t.split("<br>"))


@pytest.mark.parametrize("name", NAMES)
def test_every_read_and_write_of_a_map_is_an_arrow(name: str) -> None:
    network, plan = planned(name)
    moved = [t for t in plan.transfers if t.category is not Category.WEIGHTS]
    heads = [
        (trace.y[i + 1] > trace.y[i], size)
        for trace in memory_map(network, plan, DEVICE).data
        if trace.type == "scatter"
        for i in range(0, len(trace.x), 3)
        for size in trace.marker.size[i + 1 : i + 2]
    ]
    assert Counter(up for up, _ in heads) == Counter(t.direction == "read" for t in moved)
    assert all(size > 0 for _, size in heads)


def test_maps_in_dram_at_one_time_do_not_overlap() -> None:
    for name in NAMES:
        network, plan = planned(name, Choice(), cuts=(1, 2))
        below = [r for r in rectangles(memory_map(network, plan, DEVICE)).elements() if r[3] < 0]
        assert len(below) == len(plan.dram)
        for i, a in enumerate(below):
            for b in below[:i]:
                assert a[1] <= b[0] or b[1] <= a[0] or a[3] <= b[2] or b[3] <= a[2]


def test_an_empty_scratchpad_is_not_most_of_the_map() -> None:
    network, plan = planned("forks")
    top = memory_map(network, plan, DEVICE).layout.yaxis.range[1]
    assert plan.peak_bytes < top < 1.3 * plan.peak_bytes
    small = replace(DEVICE, banks=-(-plan.peak_bytes // DEVICE.bank_bytes) + 1)
    assert small.sram_bytes < memory_map(network, plan, small).layout.yaxis.range[1]


@pytest.mark.parametrize("name", NAMES)
def test_costs_add_up(name: str) -> None:
    for choice in (Choice(), Choice(band_rows=2)):
        network, plan = planned(name, choice)
        costs = group_costs(network, plan, DEVICE)
        sums = Counter[str]()
        for c in costs:
            sums.update(c.moved_bytes)
        expected = Counter[str]()
        for t in plan.transfers:
            shortcut = t.shortcut and t.category is Category.FEATURE_MAPS
            expected["shortcuts" if shortcut else t.category.value] += t.size_bytes
        assert +sums == +expected
        assert sum(c.baseline_bytes for c in costs) == cost.baseline_bytes(network)
        assert sum(c.compulsory_bytes for c in costs) == cost.compulsory_bytes(network)
        assert all(c.compulsory_bytes <= c.baseline_bytes for c in costs)
        drawn = sum(sum(bar.y) for bar in bars(traffic_figure(costs)))
        assert drawn == plan.traffic_bytes
        both = [sum(bar.y) for bar in bars(cycles_figure(costs))]
        assert both == [sum(c.compute_cycles for c in costs), sum(c.dram_cycles for c in costs)]


def test_compute_cycles_are_those_of_the_run(digits: Result) -> None:
    """But for what COMPUTEs wait for each other's banks, which only the timing model knows."""
    verification = digits.verification
    assert verification is not None
    run = Counter[str]()
    for e in verification.execution.events:
        if e.engine == "compute":
            run[str(e.group)] += e.end_cycle - e.start_cycle
    costs = costs_of(digits)
    assert all(c.compute_cycles <= run[c.name] for c in costs)
    assert sum(c.compute_cycles == run[c.name] for c in costs) >= len(costs) - 1


def costs_of(result: Result) -> tuple[GroupCost, ...]:
    return group_costs(result.imported.network, result.plan, result.options.device)


def test_no_group_is_above_the_roofs(digits: Result) -> None:
    device = digits.options.device
    figure = roofline_figure(costs_of(digits), device)
    roof, *groups = figure.data
    assert max(roof.y) == device.lanes_in * device.lanes_out
    assert sum(len(t.x) for t in groups) == sum(c.macs > 0 for c in costs_of(digits))
    for trace in groups:
        for x, y in zip(trace.x, trace.y, strict=True):
            assert 0 < y <= min(device.lanes_in * device.lanes_out, x * device.dram_bytes_per_s / device.clock_hz)


def test_search_shows_values_and_bounds_of_each_level() -> None:
    history = [
        Moment(0.5, "traffic", None, 50),
        Moment(1, "traffic", 90, 60),
        Moment(3, "traffic", 80, 80),
        Moment(4, "cycles", 7, 5),
    ]
    levels = [
        {"name": "traffic", "value": 80, "bound": 80, "status": "optimal"},
        {"name": "cycles", "value": 7, "bound": 5, "status": "feasible"},
        {"name": "peak", "value": 9, "bound": 0, "status": "feasible"},
    ]
    solver = {"levels": levels, "history": [asdict(m) for m in history], "seconds": 6.0, "order": None}
    figure = search_figure(solver)
    assert figure is not None
    bound, floor, value, plan, *cycles = figure.data
    assert (floor.x, floor.y) == ((1, 3, 6), (60, 80, 80))
    assert (bound.x, bound.y) == ((0.5, 1, 3, 6), (50, 60, 80, 80))
    assert (value.x, value.y) == ((1, 3, 6), (90, 80, 80))
    assert (plan.x, plan.y) == ((6,), (80,))
    assert [t.y for t in cycles] == [(5, 5), (5, 5), (7, 7), (7,)]
    assert "no choice yet" in bound.hovertext[0]
    assert "gap 33.33 %" in bound.hovertext[1]
    assert "gap 0.00 %" in value.hovertext[1]
    assert search_figure({**solver, "history": []}) is None
    anew = {"seconds": 3.5, "level": "traffic", "value": 95, "bound": 10}
    again = {**solver, "history": [*solver["history"], anew]}
    one_order, several = (search_figure({**again, "order": order}) for order in (None, {"tried": 2}))
    assert one_order is not None
    assert several is not None
    assert one_order.data[0].y[-2:] == (80, 80)
    assert several.data[0].y[-2:] == (10, 10)


def test_history_is_in_the_report_and_bounded(digits: Result) -> None:
    history = build_report(digits)["solver"]["history"]
    assert {m["level"] for m in history} >= {"traffic", "cycles", "peak"}
    assert [m["seconds"] for m in history] == sorted(m["seconds"] for m in history)
    final = {m["level"]: (m["value"], m["bound"]) for m in history}
    assert final["traffic"] == (
        digits.plan.certificate.objectives[0].value,
        digits.plan.certificate.objectives[0].bound,
    )
    many = tuple(Moment(i / 1000, "traffic", 10**6 - i, i) for i in range(20_000))
    kept = build_report(replace(digits, history=many))["solver"]["history"]
    assert MOMENTS / 2 <= len(kept) <= MOMENTS + 1
    assert (kept[-1]["value"], kept[-1]["bound"]) == (many[-1].value, many[-1].bound)
    same = (Moment(1, "traffic", 5, 4), Moment(2, "traffic", 5, 4), Moment(3, "traffic", 5, 5))
    assert [m["seconds"] for m in build_report(replace(digits, history=same))["solver"]["history"]] == [1, 3]


def page_of(result: Result, facts: dict[str, Any] | None = None) -> str:
    facts = facts or build_report(result)
    return report_page(result.imported.network, result.plan, result.options.device, facts, summary_lines(facts))


def figures_in(page: str) -> Mapping[str, Any]:
    found = re.search(r'<script type="application/json" id="figures">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    return json.loads(found[1])


def test_page_has_every_section_and_fetches_nothing(digits: Result) -> None:
    page = page_of(digits)
    assert figures_in(page).keys() == {"memory", "traffic", "cycles", "roofline", "proof"}
    ids = re.findall(r'<section id="(\w+)"', page)
    assert ids == ["memory", "traffic", "cycles", "roofline", "segments", "proof", "equivalence", "host", "summary"]
    assert all(f'href="#{name}"' in page for name in ids)
    assert not re.findall(r"<(?:script|img|link|iframe)[^>]*(?:src|href)\s*=", page)
    assert not re.findall(r"@import|url\(\s*[\"']?https?:", page)
    assert "0 mismatches in 14 tensors" in page
    assert "needs exponentials and sums in float" in page


def test_names_from_a_model_are_text_and_nothing_else() -> None:
    nasty = "</script><b onmouseover=alert(1)>&amp;"
    b = GraphBuilder("nasty")
    network = b.network([b.conv(b.conv(b.input(3, 6, 6), 8), 8)])
    plan = naive_plan(network, DEVICE, Choice())
    facts = {**plain_facts(plan), "host_ops": [{"op": nasty, "name": nasty, "reason": nasty}]}
    facts["model"] = {**facts["model"], "name": nasty}
    page = report_page(network, plan, DEVICE, facts, [nasty])
    assert nasty not in page
    assert "<b onmouseover" not in page
    assert page.count("&lt;/script&gt;&lt;b onmouseover=alert(1)&gt;&amp;amp;") >= 5
    assert hover_text(nasty, nasty).count("&lt;/script&gt;&lt;b onmouseover=alert(1)&gt;&amp;amp;") == 2
    assert "<" not in json.dumps(figures_in(page)).replace("<b>", "").replace("</b>", "").replace("<br>", "")


def plain_facts(plan: Plan) -> dict[str, Any]:
    """Of a plan that was not run."""
    levels = [{"name": "cycles", "value": 1, "bound": 0, "status": "heuristic"}]
    return {
        "model": {"name": "m", "groups": 2, "macs": 1, "weight_bytes": 1},
        "device": {k: getattr(DEVICE, k) for k in ("name", "sram_bytes", "lanes_in", "lanes_out", "clock_hz", "dram_bytes_per_s")},
        "dram_bytes": {"baseline": 0, "compulsory": 1, "planned": {"total": 2, "program": 1}, "simulated": None, "rtl": None},
        "sram": {"capacity": 2, "peak": plan.peak_bytes},
        "solver": {"method": "m", "status": "heuristic", "seconds": 0.0, "levels": levels, "history": [], "order": None},
        "cycles": None, "latency_ms": None, "equivalence": None, "original": None, "host_ops": [],
    }  # fmt: skip


def test_sections_say_what_was_and_what_was_not_shown(digits: Result) -> None:
    facts = build_report(digits)
    bare = plain_facts(digits.plan)
    assert "not run" in sections.cards(bare)
    assert "Plan only" in sections.equivalence(bare)
    assert "Nothing: every op" in sections.hosted(bare)
    assert "There was no search" in sections.proof_note(bare)
    assert "bit for bit" in sections.cards(facts)
    wrong = {**facts, "equivalence": {**facts["equivalence"], "mismatches": 3}}
    assert '<b class="bad">3 mismatches' in sections.cards(wrong)
    rtl = {**facts, "cycles": {**facts["cycles"], "rtl": 65000}}
    rtl["dram_bytes"] = {**facts["dram_bytes"], "rtl": facts["dram_bytes"]["simulated"]}
    assert "65000 cycles" in sections.equivalence(rtl)
    assert "RTL: 65000 cycles" in sections.cards(rtl)
    above = {
        **facts,
        "solver": {**facts["solver"], "levels": [{"name": "cycles", "value": 8, "bound": 6, "status": "feasible"}]},
    }
    assert "gap 25.0 %" in sections.levels(above)


def test_segment_table_has_every_segment(digits: Result) -> None:
    network, plan = digits.imported.network, digits.plan
    table = sections.segments(network, plan, costs_of(digits))
    rows = re.findall(r"<tr>(.*?)</tr>", table)[1:]
    assert len(rows) == len(plan.segments)
    moved = [int(re.findall(r"<td[^>]*>(.*?)</td>", row)[5]) for row in rows]
    assert sum(moved) == plan.traffic_bytes
