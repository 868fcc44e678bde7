"""Networks as PyTorch's exporters write them (`tests/data/torch_exports.py`) through the whole flow."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from models import count, random_inputs, run

from sfopt.device import load_device
from sfopt.onnx_io import read_onnx, write_onnx
from sfopt.passes import run_passes
from sfopt.pipeline import Options, Result, optimize

DATA = Path(__file__).parent / "data"
EXPORTERS = ("script", "dynamo")
INT8_ONLY = {
    "residual": {"QLinearConv": 7, "QLinearAdd": 2, "QLinearGlobalAveragePool": 1},
    "mobile": {"QLinearConv": 7, "QLinearAdd": 1, "QLinearMul": 1, "QLinearGlobalAveragePool": 2},
    "dense": {"QLinearAveragePool": 1},
    "segmentation": {"QLinearConvTranspose": 2, "QLinearConcat": 1},
    "super_resolution": {"QLinearConcat": 1},
    "fake_quant": {"QLinearConv": 4, "QLinearAdd": 1, "QLinearGlobalAveragePool": 1},
    "fake_quant_reduced": {"QLinearConv": 4, "QLinearAdd": 1, "QLinearGlobalAveragePool": 1},
}
"""Networks of which nothing stays on the host but conversions at the ends, and some of their integer operators."""
NORMALISED = {"LayerNormalization", "QuantizeLinear", "DequantizeLinear", "Transpose", "Reshape"}
"""All that the host runs of ConvNeXt; GELU, in one operator or five, is a table."""
NAMES = (*INT8_ONLY, "convnext")


def export(name: str, exporter: str) -> Path:
    return DATA / f"torch_{name}_{exporter}.onnx"


def optimized(path: Path) -> Result:
    return optimize(path, Options(load_device("sim8").with_sram(512 << 10), method="once-per-layer"))


@pytest.mark.parametrize("exporter", EXPORTERS)
@pytest.mark.parametrize("name", NAMES)
def test_the_passes_keep_what_an_export_computes(name: str, exporter: str) -> None:
    model = export(name, exporter).read_bytes()
    source = read_onnx(model)
    graph = run_passes(source)
    feeds = random_inputs(source)
    (want,), (got,) = run(model, feeds), run(write_onnx(graph), feeds)
    if graph.output_layouts:
        got = np.moveaxis(got, 1, -1)
    tolerance = 1e-4 * float(np.abs(want).max())
    np.testing.assert_allclose(got, want, rtol=0, atol=tolerance)
    assert not {"BatchNormalization", "Identity", "Shape", "Gather", "Cast"} & count(graph).keys()


@pytest.mark.parametrize("exporter", EXPORTERS)
@pytest.mark.parametrize("name", NAMES)
def test_the_flow_takes_an_export(name: str, exporter: str) -> None:
    result = optimized(export(name, exporter))
    verification, network = result.verification, result.imported.network
    assert verification is not None
    assert verification.equivalence.mismatches == 0
    assert verification.equivalence.elements > 3000
    assert verification.simulated == result.planned
    assert verification.deviation is not None
    assert verification.deviation.sqnr_db > 30
    found = count(network.graph)
    for op_type, number in INT8_ONLY.get(name, {}).items():
        assert found[op_type] == number
    if name in INT8_ONLY:
        assert found["QuantizeLinear"] == found["DequantizeLinear"] == 1
        assert not [n for group in network.groups for n in group.host_ops]
    else:
        assert {op.op_type for op in network.graph.ops if not network.graph.is_integer(op)} == NORMALISED


@pytest.mark.parametrize("name", NAMES)
def test_both_exporters_give_one_network(name: str) -> None:
    """Names differ, and what the older one spells with several operators; what is computed does not."""
    ours = [run_passes(read_onnx(export(name, e))) for e in EXPORTERS]
    feeds = random_inputs(ours[0])
    first, second = (run(write_onnx(graph), feeds)[0] for graph in ours)
    np.testing.assert_allclose(first, second, rtol=0, atol=1e-4 * float(np.abs(first).max()))
    if name in INT8_ONLY:
        assert count(ours[0]) == count(ours[1])


def test_a_dynamic_batch_is_one_image() -> None:
    for exporter in EXPORTERS:
        graph = read_onnx(export("residual", exporter))
        assert graph.tensor("image").shape == (1, 3, 32, 32)
        assert graph.tensor("result").shape == (1, 10)
        assert graph.notes == ("input `image`: dynamic batch fixed to 1",)


@pytest.mark.parametrize("exporter", EXPORTERS)
@pytest.mark.parametrize("name", ["fake_quant", "fake_quant_reduced"])
def test_trained_scales_are_kept(name: str, exporter: str) -> None:
    path = export(name, exporter)
    source = read_onnx(path)
    given = {
        float(np.float32(source.tensor(op.inputs[1]).data))
        for op in source.ops
        if op.op_type == "QuantizeLinear" and source.tensor(op.inputs[1]).elements == 1
    }
    network = optimized(path).imported.network
    kept = [float(network.graph.tensor(n).quant.scale) for g in network.groups for n in g.writes]
    added = [note for note in network.graph.notes if "the model gives it no scale" in note]
    assert len(added) == 1, "only the convolution in front of HardSwish is not rounded by the source"
    assert len([scale for scale in kept if scale not in given]) <= 1
    assert len(set(kept) & given) >= 5


def test_files_are_small() -> None:
    files = sorted(DATA.glob("torch_*.onnx"))
    assert len(files) == len(NAMES) * len(EXPORTERS)
    assert max(f.stat().st_size for f in files) < 200_000
    assert all(onnx.load(f).producer_name == "pytorch" for f in files)
