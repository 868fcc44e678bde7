"""The benchmark networks: their architectures by the published counts, and what import makes of them."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import sfopt_ort
from benchmarks.models import GRAPHS, NETWORKS, PUBLISHED, build_keras, build_onnx, chain_resnet, convnext
from sfopt import cost
from sfopt.execute import random_feeds
from sfopt.graph import verify_graph
from sfopt.groups import Kind, Network
from sfopt.importer import import_model
from sfopt.onnx_io import write_onnx
from sfopt.report import host_ops
from sfopt_ort import model_bytes

try:
    import keras

    from benchmarks.models.counts import multiply_accumulates, parameters
except ImportError:
    keras = None

needs_tensorflow = pytest.mark.skipif(keras is None, reason="needs the optional dependencies `tf`")

GROUPS = {
    "densenet121": 246,
    "efficientdet_d0": 265,
    "efficientdet_d1": 333,
    "efficientnet_b0": 99,
    "efficientnet_b1": 140,
    "efficientnet_b2": 140,
    "efficientnet_b3": 158,
    "inception_v3": 120,
    "mobilenet_v1": 29,
    "mobilenet_v2": 54,
    "mobilenet_v3_large": 74,
    "mobilenet_v3_small": 65,
    "resnet18": 23,
    "resnet34": 39,
    "resnet50": 56,
    "resnet50_v2": 77,
    "resnet101": 107,
    "resnet152": 158,
    "retinanet": 115,
    "shufflenet_v2": 88,
    "squeezenet": 38,
    "unet": 31,
    "yolov2": 30,
    "yolov3": 79,
    "yolov3_tiny": 21,
}
COPYING = {"densenet121", "mobilenet_v3_large", "mobilenet_v3_small", "resnet50_v2", "shufflenet_v2", "yolov2"}
"""Networks that multiply more than their own: normalisation that no convolution takes, copied padding and channels."""


def imported(name: str, cache: Path) -> Network:
    return import_model(build_onnx(name, cache)).network


def macs(network: Network) -> int:
    return sum(cost.group_macs(network, group) for group in network.groups)


@needs_tensorflow
def test_counts_of_every_layer_that_multiplies() -> None:
    layers = keras.layers
    x = inputs = keras.Input((8, 6, 4))
    x = layers.BatchNormalization()(layers.Conv2D(10, 3, 2, "same")(x))
    x = layers.DepthwiseConv2D(5, padding="same")(x)
    x = layers.Conv2DTranspose(7, 2, 2, "same")(x)
    model = keras.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling2D()(x)))
    weights = (10 * 4 * 9 + 10) + (10 * 25 + 10) + (7 * 10 * 4 + 7) + (7 * 3 + 3)
    assert parameters(model, statistics=False) == weights + 2 * 10
    assert parameters(model, statistics=True) == weights + 4 * 10
    assert multiply_accumulates(model) == 4 * 3 * (10 * 4 * 9 + 10 * 25 + 10 * 7 * 4) + 7 * 3


@needs_tensorflow
def test_what_cannot_be_counted_is_named() -> None:
    inputs = keras.Input((8, 6, 4))
    model = keras.Model(inputs, keras.layers.Conv2D(10, 3, groups=2)(inputs))
    with pytest.raises(ValueError, match="in a function of their own"):
        multiply_accumulates(model)


@pytest.mark.slow
@needs_tensorflow
@pytest.mark.parametrize("name", sorted(set(PUBLISHED) - set(GRAPHS)))
def test_architecture_has_the_published_counts(name: str) -> None:
    published = PUBLISHED[name]
    model = build_keras(name, published.side)
    assert parameters(model, statistics=published.statistics) == published.parameters
    if published.macs is not None:
        assert multiply_accumulates(model) == pytest.approx(published.macs, rel=0.02), "two digits where least exact"


@pytest.mark.slow
def test_convnext_has_the_published_counts() -> None:
    published, graph = PUBLISHED["convnext_tiny"], GRAPHS["convnext_tiny"]()
    verify_graph(graph)
    assert convnext.parameters(graph) == published.parameters
    assert convnext.multiply_accumulates(graph) == pytest.approx(published.macs, rel=0.001)


@pytest.mark.slow
def test_convnext_has_tables_for_gelu_and_normalises_on_the_host(tmp_path: Path) -> None:
    path = tmp_path / "convnext.onnx"
    path.write_bytes(write_onnx(convnext.convnext_block(side=32)))
    network = import_model(path).network
    block = ["host", "depthwise", "host", "conv", "conv"]
    assert [str(g.kind) for g in network.groups] == ["conv", *block, *block[1:], *block[1:]]
    wide = [g for g in network.groups if g.kind is Kind.CONV and network.maps[g.output].channels == 384]
    functions = [network.graph.ops_by_name[n].attributes["function"] for g in wide for n in g.before]
    assert functions == ["Expression"] * 3
    hosts = Counter(h["op"] for h in host_ops(network))
    assert hosts == {"LayerNormalization": 4, "Transpose": 8, "QuantizeLinear": 5, "DequantizeLinear": 5}


@pytest.mark.slow
@needs_tensorflow
def test_every_multiplication_of_squeezenet_is_imported(tmp_path: Path) -> None:
    network = imported("squeezenet", tmp_path)
    assert macs(network) == multiply_accumulates(build_keras("squeezenet"))
    assert all(group.kind is not Kind.HOST for group in network.groups)


@pytest.mark.nightly
@needs_tensorflow
@pytest.mark.parametrize("name", GROUPS)
def test_import_of(name: str, tmp_path: Path) -> None:
    network = imported(name, tmp_path)
    assert len(network.groups) == GROUPS[name]
    host = [network.graph.ops_by_name[n].op_type for g in network.groups for n in g.host_ops]
    assert [op for op in host if op not in ("DequantizeLinear", "QuantizeLinear")] == []
    if name not in COPYING:
        assert macs(network) == multiply_accumulates(build_keras(name))


@pytest.mark.parametrize("groups", [19, 20, 21, 22, 100, 300])
def test_a_chain_has_as_many_groups_as_asked_for(groups: int, tmp_path: Path) -> None:
    path = tmp_path / "chain.onnx"
    path.write_bytes(model_bytes(chain_resnet(groups)))
    network = import_model(path).network
    assert len(network.groups) == groups
    assert len(network.shortcuts) >= (groups - 19) // 3 + 4


def test_a_chain_stays_alive_to_its_end() -> None:
    graph = chain_resnet(100)
    maps = sfopt_ort.run(graph, random_feeds(graph, 0))
    assert min(len(np.unique(m)) for m in maps.values() if m.size >= 1024) >= 32


def test_a_chain_that_is_too_short_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 19 groups, 18 were asked for"):
        chain_resnet(18)


def test_every_published_network_can_be_built() -> None:
    assert set(PUBLISHED) <= set(NETWORKS)
