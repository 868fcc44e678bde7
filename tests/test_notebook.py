"""What notebooks show: well-formed, escaped, with the plan's own numbers."""

from dataclasses import replace
from xml.etree import ElementTree

from segment_networks import SEGMENT_NETWORKS

from sfopt.allocate import plan
from sfopt.device import load_device
from sfopt.plan import Plan

DEVICE = load_device("sim8").with_sram(16 << 10)


def parsed(found: Plan) -> ElementTree.Element:
    return ElementTree.fromstring(found._repr_html_())


def test_a_plan_is_a_table_of_its_segments() -> None:
    network = SEGMENT_NETWORKS["residual_chain"]()
    found = plan(network, DEVICE)
    table = parsed(found)
    assert table.tag == "table"
    rows = [[cell.text or "" for cell in row] for row in table.findall("tbody/tr")]
    header = [cell.text for cell in table.findall("thead/tr/th")]
    assert len(rows) == len(found.segments)
    column = header.index("DRAM bytes")
    assert sum(int(row[column]) for row in rows) == found.traffic_bytes
    assert int(table.findall("tfoot/tr/td")[column].text or 0) == found.traffic_bytes
    for step, row in enumerate(rows):
        segment = found.segments[step]
        assert row[:2] == [str(step), " to ".join(map(str, dict.fromkeys((segment.first, segment.last))))]
        live = [b for b in found.buffers if b.first_step <= step <= b.last_step]
        held = {byte for b in live for byte in range(b.offset, b.end)}
        assert row[header.index("scratchpad bytes")] == str(len(held))
    caption = table.findtext("caption") or ""
    assert "sim8 with 16.0 KiB: optimal, optimal" in caption
    assert all(f"{o.name} {o.value}" in caption for o in found.certificate.objectives)


def test_a_place_that_an_output_takes_over_counts_once() -> None:
    found = plan(SEGMENT_NETWORKS["residual_chain"](), DEVICE, "greedy-size")
    b = replace(found.buffers[0], offset=0)
    shared = replace(found, buffers=(b, replace(b, name="over it"), replace(b, name="above", offset=b.end)))
    assert shared.held_bytes(b.first_step) == 2 * b.size_bytes == shared.peak_bytes


def test_names_are_escaped() -> None:
    found = plan(SEGMENT_NETWORKS["residual_chain"](), DEVICE, "greedy-size")
    transfer = replace(found.transfers[0], tensor="<b>&x", category="inputs")
    table = parsed(replace(found, transfers=(transfer,), device={**found.device, "name": "<i>"}))
    assert "<b>&x" in "".join(table.itertext())
    assert "Plan for <i> with" in (table.findtext("caption") or "")
