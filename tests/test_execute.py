"""Networks with float operators in the middle: what the host hands to the accelerator, to itself and to the outputs."""

from collections.abc import Callable
from pathlib import Path

import models
import numpy as np
import pytest
from models import ModelBuilder

from sfopt.device import load_device
from sfopt.execute import random_feeds, run_network
from sfopt.groups import Kind
from sfopt.pipeline import Options, Result, optimize

SHAPE = (1, 3, 6, 6)


def straight(m: ModelBuilder, x: str) -> list[str]:
    """Conv, Softmax, Conv."""
    return [m.conv(m.add("Softmax", m.conv(x, 3, 4), axis=1), 4, 2)]


def head_value_used_later(m: ModelBuilder, x: str) -> list[str]:
    """A float result of the head is compared with what the accelerator computed."""
    return [m.conv(m.add("Max", m.add("Softmax", x, axis=1), m.conv(x, 3, 3)), 3, 2)]


def two_host_groups(m: ModelBuilder, x: str) -> list[str]:
    """The second host group reads a float tensor of the first."""
    y = m.conv(x, 3, 3)
    s = m.add("Softmax", y, axis=1)
    return [m.conv(m.add("Max", s, m.conv(m.conv(s, 3, 3), 3, 3)), 3, 2)]


def float_output_of_a_host_group(m: ModelBuilder, x: str) -> list[str]:
    """What the host computes in the middle is a result itself, and the tail reads it too."""
    s = m.add("Softmax", m.conv(x, 3, 3), axis=3)
    return [m.conv(s, 3, 2), s, m.add("Softmax", s, axis=1)]


def early_and_late(m: ModelBuilder, x: str) -> list[str]:
    """A float operator whose input is there early and whose result is needed late: it runs late, and writes something."""
    y = m.conv(x, 3, 3)
    z = m.conv(m.conv(y, 3, 3), 3, 3)
    return [m.conv(m.add("Max", y, z), 3, 2)]


def channels_compared(m: ModelBuilder, x: str) -> list[str]:
    """Min with a (1, C, 1, 1) map."""
    y = m.conv(x, 3, 4)
    return [m.conv(m.add("Min", y, m.conv(m.add("GlobalAveragePool", y), 4, 4, 1)), 4, 2)]


BUILDS = (
    straight,
    head_value_used_later,
    two_host_groups,
    float_output_of_a_host_group,
    early_and_late,
    channels_compared,
)


def optimized(build: object, folder: Path, backend: str) -> Result:
    m = ModelBuilder()
    outputs = build(m, m.input(SHAPE))  # type: ignore[operator]
    path = folder / "host.onnx"
    path.write_bytes(m.build(*outputs))
    return optimize(path, Options(load_device("sim8"), backend=backend))


@pytest.mark.parametrize("build", BUILDS)
def test_host_groups_in_the_middle(build: object, tmp_path: Path) -> None:
    result = optimized(build, tmp_path, "fpga")
    network = result.imported.network
    hosts = [g for g in network.groups if g.kind is Kind.HOST]
    assert hosts
    for group in hosts:
        assert group.host_outputs, f"`{group.name}` writes nothing that the accelerator reads"
        assert all(network.graph.tensor(n).dtype == "int8" for n in (*group.reads, *group.writes))
    assert result.verification is not None
    assert result.verification.equivalence.mismatches == 0
    assert result.verification.deviation is not None
    assert result.verification.deviation.sqnr_db > 15


@pytest.mark.parametrize("build", BUILDS)
def test_both_backends_give_the_same_outputs(build: object, tmp_path: Path) -> None:
    result = optimized(build, tmp_path, "ort")
    network, feeds = result.imported.network, random_feeds(result.imported.network.graph, 5)
    _, theirs = run_network(network, result.compiled, feeds)
    from sfopt.backend import load_backend

    ours_compiled = load_backend("fpga").compile(network, result.plan, load_device("sim8"))
    _, ours = run_network(network, ours_compiled, feeds)
    assert ours.keys() == theirs.keys() == set(network.graph.outputs)
    for name, value in ours.items():
        np.testing.assert_array_equal(value, theirs[name], err_msg=name)


@pytest.mark.parametrize("build", [models.channels_last, models.conv_chain, models.pyramid])
def test_the_original_is_compared_in_its_own_layout(build: Callable[[], bytes], tmp_path: Path) -> None:
    """A map of the original in NHWC, of which the graph has the NCHW: compared as it lies, the two have nothing in common."""
    path = tmp_path / "model.onnx"
    path.write_bytes(build())
    result = optimize(path, Options(load_device("sim8")))
    assert result.verification is not None
    assert result.verification.deviation is not None
    assert result.verification.deviation.sqnr_db > 20
