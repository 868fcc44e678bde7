"""Whole networks through the whole flow: every tensor equal to ONNX Runtime's, every byte as planned, every plan proven."""

from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from benchmarks.models import build_onnx
from sfopt import cost
from sfopt.backend import load_backend
from sfopt.device import load_device
from sfopt.examples import digits_data, digits_model_path
from sfopt.pipeline import Options, Result, optimize, verify
from sfopt.plan import Status
from sfopt.report import build_report, host_ops
from sfopt.testing import assert_equivalent
from sfopt.traffic import bytes_per_tensor, tally

LIGHT_RESNET50 = files("onnx") / "backend" / "test" / "data" / "light" / "light_resnet50.onnx"
BOUNDARY = {"QuantizeLinear", "DequantizeLinear", "Softmax"}


def require_proven_and_equal(result: Result) -> None:
    """What the main flow promises for a named network."""
    network, verification = result.imported.network, result.verification
    assert verification is not None
    assert verification.equivalence.mismatches == 0
    assert verification.equivalence.tensors == len(network.groups)
    assert verification.equivalence.elements == sum(
        network.maps[n].size_bytes for g in network.groups for n in g.writes
    )
    assert verification.simulated == result.planned
    assert result.facts.traffic_bytes == result.planned.total - result.planned.program
    planned, simulated = bytes_per_tensor(result.plan.transfers), bytes_per_tensor(verification.execution.transfers)
    assert planned == simulated == result.facts.bytes_by_tensor
    assert result.plan.certificate.status is Status.OPTIMAL
    assert all(o.bound == o.value for o in result.plan.certificate.objectives)
    assert {h["op"] for h in host_ops(network)} <= BOUNDARY


def optimize_at(model: Path, device: str, sram_bytes: int | None = None) -> Result:
    chosen = load_device(device)
    return optimize(model, Options(chosen if sram_bytes is None else chosen.with_sram(sram_bytes)))


@pytest.mark.parametrize(
    ("device", "sram_bytes"), [("sim8", None), ("sim8", 24 << 10), ("pynq-z2", 64 << 10), ("kcu1500", None)]
)
def test_digits(device: str, sram_bytes: int | None) -> None:
    require_proven_and_equal(optimize_at(digits_model_path(), device, sram_bytes))


def test_digits_classifies_on_the_simulator_as_in_onnxruntime() -> None:
    from sfopt.execute import run_network

    data = digits_data()
    result = optimize_at(digits_model_path(), "sim8")
    for image in data.images[:10]:
        feeds = {"image": image.transpose(2, 0, 1)[None]}
        _, ours = run_network(result.imported.network, result.compiled, feeds)
        _, theirs = run_network(result.imported.network, result.reference, feeds)
        assert {n: v.tobytes() for n, v in ours.items()} == {n: v.tobytes() for n, v in theirs.items()}


@pytest.mark.slow
def test_light_resnet50() -> None:
    result = optimize_at(Path(str(LIGHT_RESNET50)), "kcu1500")
    require_proven_and_equal(result)
    assert result.planned.feature_maps == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "mmac", "groups"), [("resnet50", 3858, 56), ("mobilenet_v2", 301, 54), ("efficientnet_b0", 386, 99)]
)
def test_keras_networks_at_224(name: str, mmac: int, groups: int, tmp_path: Path) -> None:
    result = optimize_at(build_onnx(name, tmp_path), "kcu1500")
    require_proven_and_equal(result)
    maps = [v for v in result.verification.execution.tensors.values() if v.size >= 1024]
    assert min(len(np.unique(v)) for v in maps) >= 32, "comparing dead tensors would prove little"
    report = build_report(result)
    assert round(report["model"]["macs"] / 1e6) == mmac
    assert report["model"]["groups"] == groups
    assert result.planned.total - result.planned.program == cost.compulsory_bytes(result.imported.network)
    assert result.planned.program < 0.01 * result.planned.total
    if name == "mobilenet_v2":
        require_the_same_in_c(result)


def require_the_same_in_c(result: Result) -> None:
    """The plan as C: every tensor, every byte, and an arena of the plan's peak."""
    network, plan = result.imported.network, result.plan
    compiled = load_backend("c").compile(network, plan, result.options.device)
    found = verify(result.imported, result.facts, compiled, result.reference)
    assert found.equivalence.tensors == len(network.groups)
    assert found.simulated == tally(plan.transfers, 0)
    assert f"#define MODEL_ARENA_BYTES {plan.peak_bytes}\n" in compiled.files["model.c"].decode()


def test_the_same_seed_gives_the_same_plan_and_program() -> None:
    first, second = (optimize_at(digits_model_path(), "sim8", 32 << 10) for _ in range(2))
    assert first.compiled.files["program.sfp"] == second.compiled.files["program.sfp"]
    assert first.plan.buffers == second.plan.buffers


def test_users_can_assert_equivalence_in_their_own_suite() -> None:
    assert assert_equivalent(digits_model_path(), device="sim8").verification is not None
