"""Orders of the groups: each is one, and a plan for another order than the network's own is as good as any other plan."""

import random
from collections.abc import Callable
from dataclasses import replace

import models
import pytest
from checked import with_host_group
from hypothesis import given
from hypothesis import strategies as st
from networks import GraphBuilder, random_network
from small_cases import shared_case

from sfopt.allocate import OBJECTIVES, in_orders, plan, plan_in_orders
from sfopt.allocate.linear import Limits
from sfopt.allocate.optimal import first_bound
from sfopt.allocate.problem import Problem
from sfopt.allocate.switches import Switches
from sfopt.check import check_plan
from sfopt.device import load_device
from sfopt.errors import InfeasibleError, PlanCheckError, UsageError
from sfopt.groups import Kind, Network
from sfopt.importer import import_model
from sfopt.orders import candidate_orders, dependencies, in_order_of, random_order, reordered
from sfopt.plan import Order as OrderChosen
from sfopt.plan import Plan

Order = tuple[int, ...]
GAINING = (62, 64)
"""Seeds of `shared_case` for which another order moves fewer bytes."""


def branching() -> Network:
    """A fork of a long branch and a short one, joined, in the order in which the import has them: long first."""
    b = GraphBuilder("fork")
    x = b.input(2, 4, 4)
    long = b.conv(b.conv(b.conv(x, 8, 3), 2, 3), 4)
    return b.network([b.concat(long, b.conv(x, 4, 3))])


def orders_of(network: Network, count: int, seed: int = 0, best: int = 0) -> tuple[Order, ...]:
    """Candidates where the best known is the one given, or the last before."""
    found = list[Order]()
    for order in candidate_orders(network, count, seed, lambda: found[min(best, len(found) - 1)]):
        found.append(order)
    return tuple(found)


def is_topological(network: Network, order: Order) -> bool:
    """Whether every map is written before it is read and HOST groups keep their order, told without `dependencies`."""
    there = set(network.inputs)
    for index in order:
        group = network.groups[index]
        if not there.issuperset(group.reads):
            return False
        there.update(group.writes)
    hosts = [i for i in order if network.groups[i].kind is Kind.HOST]
    return sorted(order) == list(range(len(network.groups))) and hosts == sorted(hosts)


@given(st.integers(0, 10_000), st.integers(1, 24), st.integers(0, 3), st.integers(0, 9))
def test_orders_are_topological_different_and_the_own_comes_first(
    seed: int, count: int, order_seed: int, best: int
) -> None:
    network = random_network(seed)
    if seed % 3 == 0:
        network = with_host_group(network, seed % len(network.groups))
    orders = orders_of(network, count, order_seed, best)
    assert orders[0] == tuple(range(len(network.groups)))
    assert 1 <= len(orders) <= count
    assert len(set(orders)) == len(orders)
    assert all(is_topological(network, order) for order in orders)
    assert orders == orders_of(network, count, order_seed, best)


def test_another_seed_gives_other_random_orders() -> None:
    b = GraphBuilder("wide")
    x = b.input(2, 4, 4)
    network = b.network([b.concat(*(b.conv(x, 2) for _ in range(8)))])
    one, two = (set(orders_of(network, 500, seed)) for seed in (0, 1))
    assert len(one) == len(two) == 500
    assert one != two


def test_a_chain_has_one_order() -> None:
    b = GraphBuilder("chain")
    network = b.network([b.conv(b.conv(b.conv(b.input(2, 4, 4), 3), 4), 5)])
    assert orders_of(network, 9) == ((0, 1, 2),)


def test_every_order_of_a_fork_is_found() -> None:
    """Three groups of one branch and one of the other: four orders."""
    network = branching()
    orders = orders_of(network, 100)
    assert set(orders) == {(0, 1, 2, 3, 4), (0, 1, 3, 2, 4), (0, 3, 1, 2, 4), (3, 0, 1, 2, 4)}
    assert orders[:2] == ((0, 1, 2, 3, 4), (3, 0, 1, 2, 4))  # long branch first is the own, then short branch first


def test_host_groups_stay_in_order() -> None:
    b = GraphBuilder("hosts")
    x = b.input(2, 4, 4)
    network = b.network([b.concat(b.conv(x, 2), b.conv(x, 3), b.conv(x, 4))])
    for index in (0, 2):
        network = with_host_group(network, index)
    hosts = [g.index for g in network.groups if g.kind is Kind.HOST]
    assert len(hosts) == 2
    assert hosts[0] in dependencies(network)[hosts[1]]
    orders = orders_of(network, 50)
    assert len(orders) == 12 // 4  # the group between may be first, second or third
    assert all(order.index(hosts[0]) < order.index(hosts[1]) for order in orders)


@given(st.integers(0, 10_000))
def test_a_reordered_network_is_the_same_but_for_its_indices(seed: int) -> None:
    network = random_network(seed)
    order = random_order(dependencies(network), random.Random(seed))
    other = reordered(network, order)
    assert [g.index for g in other.groups] == list(range(len(order)))
    assert [replace(g, index=0) for g in other.groups] == [replace(network.groups[g], index=0) for g in order]
    assert (other.maps, other.inputs, other.outputs) == (network.maps, network.inputs, network.outputs)
    for name, readers in other.readers.items():
        assert sorted(order[r] for r in readers) == list(network.readers[name])
        assert all(other.producer(name) < r for r in readers)
    names = [g.name for g in other.groups]
    assert in_order_of(network, names) == other
    assert in_order_of(other, [g.name for g in network.groups]) == network


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda names: ["ghost", *names[1:]], "group `ghost`, which the network does not have"),
        (lambda names: names[:-1], "has 4 of the network's 5 groups once each"),
        (lambda names: [*names[:-1], names[0]], "has 4 of the network's 5 groups once each"),
        (lambda names: names[::-1], "before"),
    ],
)
def test_names_that_are_no_order(change: Callable[[list[str]], list[str]], expected: str) -> None:
    network = branching()
    with pytest.raises(PlanCheckError, match=expected):
        in_order_of(network, change([g.name for g in network.groups]))


def tried(seed: int, orders: int) -> tuple[Network, Plan, Plan]:
    """A small network in the order chosen, the plan in its own order and the best of several."""
    network, device = shared_case(seed)
    one = plan(network, device)
    other, best = plan_in_orders(network, device, orders)
    check_plan(best, other, device)
    return other, one, best


@pytest.mark.parametrize("seed", range(12))
def test_more_orders_never_move_more(seed: int) -> None:
    """And what is claimed of the orders tried holds: none has a lower bound, by each order's own proof."""
    try:
        _, one, best = tried(seed, 6)
    except InfeasibleError:
        return
    network, device = shared_case(seed)
    assert best.order is not None
    assert best.order.bound == best.traffic_bytes <= one.traffic_bytes
    if best.order.chosen == 1:
        assert (best.buffers, best.segments, best.traffic_bytes) == (one.buffers, one.segments, one.traffic_bytes)
    else:
        assert best.traffic_bytes < one.traffic_bytes
    every = orders_of(network, 1000)
    if best.order.tried == len(every):
        for order in every:
            problem = Problem.build(reordered(network, order), device, Switches())
            assert first_bound(problem, "traffic", Limits(60), Switches()) >= best.traffic_bytes


@pytest.mark.parametrize("seed", GAINING)
def test_another_order_gains(seed: int) -> None:
    network, one, best = tried(seed, 8)
    assert best.order is not None
    assert best.order.chosen > 1
    assert best.order.groups == tuple(g.name for g in network.groups)
    assert best.traffic_bytes < one.traffic_bytes
    assert best.certificate.status == one.certificate.status == "optimal"
    assert Plan.from_json(best.to_json()) == best


@pytest.fixture(scope="module")
def forked(tmp_path_factory: pytest.TempPathFactory) -> Network:
    path = tmp_path_factory.mktemp("fork") / "fork.onnx"
    path.write_bytes(models.fork())
    return import_model(path).network


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_first_objective_counts(forked: Network, objective: str) -> None:
    device = load_device("sim8").with_sram((4 if objective == "traffic" else 6) << 10)
    one = plan(forked, device, objective=objective)
    other, best = plan_in_orders(forked, device, 8, objective=objective)
    check_plan(best, other, device)
    first, before = best.certificate.objectives[0], one.certificate.objectives[0]
    assert first.name == before.name == OBJECTIVES[objective][0]
    assert best.order is not None
    assert best.order.bound == first.value < before.value


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_own_order_is_kept_where_no_other_is_better(forked: Network, objective: str) -> None:
    device = load_device("sim8")
    one = plan(forked, device, objective=objective)
    other, best = plan_in_orders(forked, device, 8, objective=objective)
    assert other == forked
    assert best.order is not None
    assert (best.order.chosen, best.order.groups) == (1, ())
    assert replace(best, order=None, certificate=one.certificate) == one


def test_another_order_may_fit_where_the_own_does_not(forked: Network) -> None:
    """No plan in the own order moves as little."""
    device = load_device("sim8").with_sram(5 << 10)
    with pytest.raises(InfeasibleError, match="no plan moves at most"):
        plan(forked, device, objective="sram")
    other, best = plan_in_orders(forked, device, 8, objective="sram")
    check_plan(best, other, device)
    assert best.order is not None
    assert best.order.bound == best.peak_bytes <= device.sram_bytes


def test_too_small_a_scratchpad_names_the_group() -> None:
    network, device = shared_case(0)
    with pytest.raises(InfeasibleError, match="needs"):
        plan_in_orders(network, replace(device, banks=5, bank_bytes=device.word_bytes), 4)


def test_no_orders_is_a_usage_error() -> None:
    network, device = shared_case(0)
    with pytest.raises(UsageError, match="at least 1 order to try, not 0"):
        plan_in_orders(network, device, 0)


def test_out_of_time_the_own_order_is_planned() -> None:
    network, device = shared_case(GAINING[0])
    other, made = plan_in_orders(network, device, 8, time_limit_s=0)
    assert made.order == OrderChosen(1, 1, made.certificate.objectives[0].bound, ())
    assert other == network
    check_plan(made, network, device)


def test_ctrl_c_goes_on_with_the_orders_that_have_a_bound(forked: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    device, calls = load_device("sim8").with_sram(4 << 10), list[str]()

    def interrupted(problem: Problem, name: str, *rest: object) -> int:
        calls.append(name)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return first_bound(problem, name, *rest)

    monkeypatch.setattr(in_orders, "first_bound", interrupted)
    other, best = plan_in_orders(forked, device, 8)
    check_plan(best, other, device)
    assert best.order is not None
    assert best.order.tried == 2
    assert best.order.bound == best.traffic_bytes


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"chosen": 0}, "order 0 of"),
        ({"chosen": 99}, "order 99 of"),
        ({"chosen": 1}, "names"),
        ({"groups": ()}, "names 0 groups"),
        ({"bound": -1}, "bound -1"),
        ({"bound": 1 << 50}, "has bound"),
    ],
)
def test_the_checker_refuses_a_wrong_order(changes: dict[str, object], expected: str) -> None:
    network, _, best = tried(GAINING[0], 8)
    assert best.order is not None
    wrong = replace(best, order=replace(best.order, **changes))
    with pytest.raises(PlanCheckError, match=f"rule 10.*{expected}"):
        check_plan(wrong, network, shared_case(GAINING[0])[1])


def test_the_checker_refuses_the_plan_for_another_order() -> None:
    network, _, best = tried(GAINING[0], 8)
    assert best.order is not None
    own, device = shared_case(GAINING[0])
    with pytest.raises(PlanCheckError, match="another network"):
        check_plan(best, own, device)
    order = replace(best.order, groups=best.order.groups[::-1])
    with pytest.raises(PlanCheckError, match="rule 10: the order named is not that of the network's groups"):
        check_plan(replace(best, order=order), network, device)
