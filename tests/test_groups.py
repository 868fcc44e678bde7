"""Grouping: what is fused, what is not, and that nothing is lost."""

from dataclasses import replace

import pytest
from networks import GraphBuilder, efficientnet_b0, mobilenet_v2, random_graph, resnet50

from sfopt.errors import ModelError
from sfopt.graph import Graph, Op, Tensor
from sfopt.grouping import build_network
from sfopt.groups import Kind, network_fingerprint


@pytest.mark.parametrize("seed", range(60))
def test_every_operator_is_in_one_group_and_reads_come_before(seed: int) -> None:
    graph = random_graph(seed, ops=10, side=9)
    network = build_network(graph)
    covered = [name for g in network.groups for name in g.ops]
    assert sorted(covered) == sorted(op.name for op in graph.ops)
    ready = set(network.inputs)
    for i, group in enumerate(network.groups):
        assert group.index == i
        assert ready.issuperset(group.reads)
        ready.update(group.writes)
    assert set(network.outputs) == set(graph.outputs)
    assert all(m.size_bytes > 0 for m in network.maps.values())


def test_residual_block_is_fused_with_activations() -> None:
    b = GraphBuilder("residual")
    x = b.input(8, 6, 6)
    y = b.relu(b.add(b.conv(b.relu(b.conv(x, 8, 3)), 8, 3), x))
    first, second = b.network([y]).groups
    assert (first.kind, first.before, first.binary) == (Kind.CONV, ("op1",), None)
    assert (second.residual, second.binary, second.after, second.output) == (x, "op3", ("op4",), y)


def test_channel_scale_goes_to_the_convolution_that_reads_it() -> None:
    b = GraphBuilder("scale")
    x = b.conv(b.input(8, 6, 6), 8)
    scaled = b.squeeze_excite(x, 4)
    network = b.network([b.conv(scaled, 16)])
    last = network.groups[-1]
    assert last.kind is Kind.CONV
    assert last.pieces[0].tensor == x
    assert last.scale is not None
    assert scaled not in network.maps
    assert network.shortcuts == {x}


def test_channel_scale_that_is_an_output_stands_alone() -> None:
    b = GraphBuilder("scale")
    scaled = b.squeeze_excite(b.conv(b.input(8, 6, 6), 8), 4)
    network = b.network([b.conv(scaled, 16), scaled])
    assert [g.kind for g in network.groups if g.scale is not None] == [Kind.COPY]


def test_silu_is_one_table() -> None:
    b = GraphBuilder("silu")
    y = b.conv(b.input(8, 6, 6), 8)
    network = b.network([b.mul(y, b.lookup(y))])
    assert len(network.groups) == 1
    assert network.groups[0].before == ("op1", "op2")


def test_a_look_up_waits_for_the_other_operand_of_its_sum() -> None:
    b = GraphBuilder("weighted")
    x = b.conv(b.input(8, 6, 6), 8)
    scaled = b.lookup(x)
    y = b.conv(x, 8)
    b.conv(y, 4)
    groups = b.network([b.add(scaled, y), b.ops[-1].output]).groups
    assert [(g.kind, bool(g.before), bool(g.binary)) for g in groups] == [
        (Kind.CONV, False, False), (Kind.CONV, False, False), (Kind.CONV, False, False), (Kind.COPY, True, True)
    ]  # fmt: skip


def test_two_look_ups_that_wait_for_each_other_are_both_computed() -> None:
    b = GraphBuilder("both")
    x = b.conv(b.input(8, 6, 6), 8)
    one, two = b.lookup(x), b.lookup(x, "Tanh")
    groups = b.network([b.add(one, two), b.conv(x, 4)]).groups
    assert [(g.kind, g.before, g.binary) for g in groups[1:]] == [
        (Kind.COPY, ("op1",), None), (Kind.COPY, ("op2",), "op3"), (Kind.CONV, (), None)
    ]  # fmt: skip


def test_value_with_another_reader_is_not_absorbed() -> None:
    b = GraphBuilder("fork")
    y = b.conv(b.input(8, 6, 6), 8)
    network = b.network([b.relu(y), b.conv(y, 4)])
    assert [g.kind for g in network.groups] == [Kind.CONV, Kind.COPY, Kind.CONV]


def test_a_map_is_never_input_and_residual_of_one_convolution() -> None:
    b = GraphBuilder("self")
    x = b.conv(b.input(8, 6, 6), 8)
    network = b.network([b.add(b.conv(x, 8), x)])
    assert [g.kind for g in network.groups] == [Kind.CONV, Kind.CONV, Kind.COPY]


def test_concat_pieces_have_their_channels() -> None:
    b = GraphBuilder("concat")
    network = b.network([b.concat(b.input(3, 4, 4), b.input(5, 4, 4), b.input(7, 4, 4))])
    assert [(p.tensor, p.channel_offset) for p in network.groups[0].pieces] == [("in0", 0), ("in1", 3), ("in2", 8)]


@pytest.mark.parametrize(("make", "groups"), [(resnet50, 56), (mobilenet_v2, 54), (efficientnet_b0, 99)])
def test_known_networks_have_this_many_groups(make: object, groups: int) -> None:
    assert len(make().groups) == groups  # type: ignore[operator]


def test_fingerprint_depends_on_structure_and_not_on_weights() -> None:
    one, two = (build_network(random_graph(3, name="a")) for _ in range(2))
    assert network_fingerprint(one) == network_fingerprint(two)
    zeroed = {n: replace(t, data=t.data * 0) if t.data is not None else t for n, t in one.graph.tensors.items()}
    assert network_fingerprint(build_network(replace(one.graph, tensors=zeroed))) == network_fingerprint(one)
    assert network_fingerprint(one) != network_fingerprint(build_network(random_graph(4, name="a")))


def test_nothing_to_accelerate_is_named() -> None:
    tensors = {n: Tensor(n, (1, 3), "float32") for n in ("x", "y")}
    graph = Graph("floats", tensors, (Op("exp", "Exp", ("x",), ("y",)),), ("x",), ("y",))
    with pytest.raises(ModelError, match="`floats` has no operator"):
        build_network(graph)


def test_fingerprint_does_not_depend_on_operator_names() -> None:
    """A written model that is read again may have new names for its look-ups."""
    for seed in range(20):
        graph = random_graph(seed)
        renamed = replace(graph, ops=tuple(replace(op, name=f"other{i}") for i, op in enumerate(graph.ops)))
        assert network_fingerprint(build_network(graph)) == network_fingerprint(build_network(renamed))
    b, c = GraphBuilder("with"), GraphBuilder("without")
    with_table, without = b.network([b.relu(b.conv(b.input(4, 4, 4), 4))]), c.network([c.conv(c.input(4, 4, 4), 4)])
    first = replace(with_table.groups[0], output=without.groups[0].output)
    same_name = replace(with_table, groups=(first,), maps=without.maps, outputs=without.outputs)
    assert network_fingerprint(same_name) != network_fingerprint(without)
