"""The nine `light_*.onnx` of the onnx package through the whole flow, as they are and with weights that tell channels apart."""

import math
from pathlib import Path

import numpy as np
import pytest

from benchmarks.models import NETWORKS, build_onnx
from benchmarks.models.light import LIGHT, light_onnx, light_path
from sfopt import cost
from sfopt.device import load_device
from sfopt.graph import Graph
from sfopt.onnx_io import read_onnx
from sfopt.pipeline import Options, Result, optimize
from sfopt.report import host_ops
from sfopt.traffic import bytes_per_tensor

SMALL = ("squeezenet",)
GROUPS = {
    "bvlc_alexnet": 13,
    "densenet121": 246,
    "inception_v1": 83,
    "inception_v2": 93,
    "resnet50": 56,
    "shufflenet": 74,
    "squeezenet": 38,
    "vgg19": 24,
    "zfnet512": 13,
}
COPYING = {"densenet121", "shufflenet"}
"""Networks that multiply more than their own: normalisation that no convolution takes, channels that change places."""
HOST = {"bvlc_alexnet": 2, "inception_v1": 2, "zfnet512": 2}
"""Local response normalisations, which the host runs."""


def require_equal(name: str, result: Result) -> None:
    network, verification = result.imported.network, result.verification
    assert verification is not None
    assert verification.equivalence.mismatches == 0
    assert verification.equivalence.tensors == sum(len(g.writes) for g in network.groups)
    assert verification.simulated == result.planned
    planned, simulated = bytes_per_tensor(result.plan.transfers), bytes_per_tensor(verification.execution.transfers)
    assert planned == simulated == result.facts.bytes_by_tensor
    reasons = {h["op"]: h["reason"] for h in host_ops(network)}
    assert reasons.keys() - {"QuantizeLinear", "DequantizeLinear", "Softmax"} <= {"LRN"}
    assert sum(h["op"] == "LRN" for h in host_ops(network)) in (0, HOST.get(name, 0))
    assert all(reasons.values())


def optimized(path: Path) -> Result:
    return optimize(path, Options(load_device("kcu1500")))


def require_alive(result: Result) -> None:
    """Channels that are alike, or maps of a few values, would hide what a comparison is for; some channels die in a Relu."""
    maps = [v for v in result.verification.execution.tensors.values() if v.ndim == 4 and v.size >= 4096]
    assert min(len(np.unique(v)) for v in maps) >= 32
    assert all(len({c.tobytes() for c in v[0]}) > 0.4 * v.shape[1] for v in maps if v.shape[2] > 3)


def own_macs(graph: Graph) -> int:
    """Products of the convolutions and dense layers of the source."""
    heavy = [op for op in graph.ops if op.op_type in ("Conv", "Gemm")]
    return sum(graph.tensor(op.output).elements * math.prod(graph.tensor(op.inputs[1]).shape[1:]) for op in heavy)


@pytest.mark.slow
@pytest.mark.parametrize("name", [n if n in SMALL else pytest.param(n, marks=pytest.mark.nightly) for n in LIGHT])
def test_with_random_weights(name: str, tmp_path: Path) -> None:
    result = optimized(build_onnx(f"light_{name}", tmp_path))
    require_equal(name, result)
    require_alive(result)
    network = result.imported.network
    assert len(network.groups) == GROUPS[name]
    macs = sum(cost.group_macs(network, group) for group in network.groups)
    own = own_macs(read_onnx(light_path(name)))
    assert macs > own if name in COPYING else macs == own


@pytest.mark.nightly
@pytest.mark.parametrize("name", LIGHT)
def test_as_it_is_shipped(name: str) -> None:
    require_equal(name, optimized(light_path(name)))


def test_all_nine_are_named() -> None:
    shipped = {p.stem for p in light_path("resnet50").parent.glob("light_*.onnx")}
    assert shipped == {f"light_{name}" for name in LIGHT} == {n for n in NETWORKS if n.startswith("light_")}


def test_random_weights_are_the_only_difference() -> None:
    before, after = read_onnx(light_path("squeezenet")), read_onnx(light_onnx("squeezenet", 1))
    assert [(op.op_type, op.outputs) for op in before.ops] == [(op.op_type, op.outputs) for op in after.ops]
    assert {n: t.shape for n, t in before.tensors.items()} == {n: t.shape for n, t in after.tensors.items()}
    weights = [op.inputs[1] for op in before.ops if op.op_type == "Conv"]
    assert all(len(np.unique(before.tensor(n).data)) == 1 for n in weights)
    assert all(len(np.unique(after.tensor(n).data)) > 1000 for n in weights)
    assert light_onnx("squeezenet", 1) == light_onnx("squeezenet", 1) != light_onnx("squeezenet", 2)
