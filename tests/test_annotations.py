"""The int8 model that carries the plan: notes that say what the plan does, and results as without them."""

import numpy as np
import onnx
import onnxruntime
import pytest
from networks import GraphBuilder
from segment_networks import SEGMENT_NETWORKS

from sfopt.allocate import plan
from sfopt.device import load_device
from sfopt.host import open_session
from sfopt.onnx_io import Notes, annotate_onnx, read_onnx
from sfopt.plan import Role
from sfopt.report.annotations import plan_notes
from sfopt_ort import model_bytes

DEVICE = load_device("sim8").with_sram(16 << 10)


def props(item: onnx.NodeProto | onnx.ValueInfoProto | onnx.ModelProto) -> dict[str, str]:
    return {p.key: p.value for p in item.metadata_props}


def ran(data: bytes) -> list[np.ndarray]:
    session = open_session(data)
    feeds = {i.name: np.random.default_rng(1).integers(-128, 128, i.shape, dtype=np.int8) for i in session.get_inputs()}
    return session.run(None, feeds)


@pytest.mark.parametrize(
    ("name", "method"), [("residual_chain", "optimal"), ("inception", "greedy-size"), ("pyramid", "greedy-size")]
)
def test_notes_say_what_the_plan_does(name: str, method: str) -> None:
    network = SEGMENT_NETWORKS[name]()
    found = plan(network, DEVICE, method)
    plain = model_bytes(network.graph)
    data = annotate_onnx(plain, plan_notes(network, found))
    model = onnx.load_from_string(data)
    onnx.checker.check_model(model)
    assert model.ir_version == 10
    notes = {props(node)["sfopt.group"]: props(node) for node in model.graph.node if node.metadata_props}
    assert notes.keys() == {g.name for g in network.groups}
    assert sum(int(note["sfopt.dram_bytes"]) for note in notes.values()) == found.traffic_bytes
    for step, segment in enumerate(found.segments):
        for group in network.groups[segment.first : segment.last + 1]:
            note = notes[group.name]
            assert note["sfopt.segment"].startswith(f"{step}: {network.groups[segment.first].name}")
            assert (note["sfopt.mode"], note["sfopt.bands"]) == (segment.mode, str(segment.bands))
            assert note["sfopt.band_rows"].startswith(str(segment.run(group.index).first))
    info = model.graph
    tensors = {v.name: props(v) for v in (*info.input, *info.output, *info.value_info) if v.metadata_props}
    assert tensors.keys() == network.maps.keys()
    moved = sum(int(n["sfopt.dram_read_bytes"]) + int(n["sfopt.dram_write_bytes"]) for n in tensors.values())
    assert moved == sum(t.size_bytes for t in found.transfers if t.category != "weights")
    for b in found.buffers:
        if b.role is Role.RESIDENT:
            assert tensors[b.content]["sfopt.scratchpad"].startswith(f"bytes {b.offset} to {b.end - 1}, ")
    node = next(n for n in model.graph.node if n.metadata_props)
    assert node.doc_string.splitlines() == [f"{k}: {v}" for k, v in props(node).items()]
    least = found.certificate.objectives[0]
    proven = "proven least" if least.bound == least.value else f"bound {least.bound}"
    assert props(model)["sfopt.traffic"] == f"{found.traffic_bytes} ({proven})"


def test_notes_leave_results_and_the_graph_alone() -> None:
    network = SEGMENT_NETWORKS["residual_chain"]()
    plain = model_bytes(network.graph)
    data = annotate_onnx(plain, plan_notes(network, plan(network, DEVICE, "greedy-size")))
    assert data != plain
    for a, b in zip(ran(plain), ran(data), strict=True):
        np.testing.assert_array_equal(a, b)
    stripped = onnx.load_from_string(data)
    for item in (
        stripped,
        *stripped.graph.node,
        *stripped.graph.input,
        *stripped.graph.output,
        *stripped.graph.value_info,
    ):
        del item.metadata_props[:]
        item.ClearField("doc_string")
    assert stripped == onnx.load_from_string(plain)
    assert [op.name for op in read_onnx(data).ops] == [op.name for op in read_onnx(plain).ops]


def test_a_lookup_is_noted_on_all_that_it_became() -> None:
    b = GraphBuilder("lookup")
    network = b.network([b.conv(b.relu(b.conv(b.input(3, 6, 6), 8)), 8)])
    data = annotate_onnx(model_bytes(network.graph), plan_notes(network, plan(network, DEVICE, "greedy-size")))
    model = onnx.load_from_string(data)
    onnxruntime.InferenceSession(data)
    for group in network.groups:
        for name in group.ops:
            output = network.graph.ops_by_name[name].output
            writer = next(n for n in model.graph.node if output in n.output)
            assert props(writer)["sfopt.group"] == group.name


def test_older_files_have_descriptions_alone() -> None:
    network = SEGMENT_NETWORKS["residual_chain"]()
    model = onnx.load_from_string(model_bytes(network.graph))
    model.ir_version = 9
    name = network.groups[0].output
    data = annotate_onnx(model.SerializeToString(), Notes(writers={name: {"k": "v"}}))
    node = next(n for n in onnx.load_from_string(data).graph.node if name in n.output)
    assert node.doc_string == "k: v"
    assert not node.metadata_props
