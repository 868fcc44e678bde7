"""The integer programs against enumeration, with every modelling trick on and off."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import fields, replace
from typing import Any

import pytest
from brute_force import TooManyCasesError, optimum
from checked import proven_levels
from networks import GraphBuilder, efficientnet_b0, mobilenet_v2, random_network, resnet50
from small_cases import heavy_case, shared_case, small_case, sums_case, wide_case

from sfopt import cost
from sfopt.allocate import OBJECTIVES, Switches, optimal, plan, pricing
from sfopt.allocate.choice import LEVELS
from sfopt.check import check_plan
from sfopt.cost import compulsory_bytes
from sfopt.device import Device, load_device
from sfopt.errors import InfeasibleError, UsageError
from sfopt.groups import Network
from sfopt.plan import Status, WeightMode
from sfopt_fpga.emit import emit


def compare(
    seeds: Iterable[int],
    switches: Switches | None = None,
    objective: str = "traffic",
    case: Callable[[int], tuple[Network, Device]] = small_case,
) -> tuple[int, int]:
    """Planner against enumeration on small cases: how many were compared, and how many of them had a plan."""
    compared = feasible = 0
    switches = switches or Switches()
    for seed in seeds:
        network, device = case(seed)
        if len(network.groups) > 5:
            continue
        try:
            kinds = [("inputs", switches.reread_inputs), ("weights", switches.reread_weights)]
            expected = optimum(
                network,
                device,
                OBJECTIVES[objective],
                nodes=20_000,
                segments=switches.segments,
                ends_early=switches.early_ends,
                in_place=switches.in_place,
                side_by_side=switches.side_by_side,
                rereads=frozenset(name for name, on in kinds if on),
            )
        except TooManyCasesError:
            continue
        assert proven_levels(network, device, switches, objective) == expected, f"seed {seed}"
        compared += 1
        feasible += expected is not None
    return compared, feasible


@pytest.mark.parametrize("block", range(6))
def test_optimum_equals_enumeration(block: int) -> None:
    compared, feasible = compare(range(block * 35, block * 35 + 35))
    assert compared >= 20
    assert feasible >= 12


@pytest.mark.nightly
@pytest.mark.parametrize("block", range(40))
def test_optimum_equals_enumeration_on_thousands(block: int) -> None:
    compared, feasible = compare(range(1000 + block * 100, 1100 + block * 100))
    assert compared >= 60
    assert feasible >= 40


@pytest.mark.parametrize("objective", ["traffic", "latency"])
@pytest.mark.parametrize("block", range(2))
@pytest.mark.parametrize("make", [heavy_case, wide_case])
def test_optimum_of_weights_that_hardly_fit_equals_enumeration(
    make: Callable[[int], tuple[Network, Device]], block: int, objective: str
) -> None:
    compared, feasible = compare(range(85 + block * 25, 110 + block * 25), objective=objective, case=make)
    assert compared >= 12
    assert feasible >= 6


@pytest.mark.nightly
@pytest.mark.parametrize("objective", ["traffic", "latency"])
@pytest.mark.parametrize("block", range(10))
@pytest.mark.parametrize("make", [heavy_case, wide_case])
def test_optimum_of_weights_that_hardly_fit_equals_enumeration_on_hundreds(
    make: Callable[[int], tuple[Network, Device]], block: int, objective: str
) -> None:
    compared, feasible = compare(range(1000 + block * 50, 1050 + block * 50), objective=objective, case=make)
    assert compared >= 20
    assert feasible >= 10


@pytest.mark.parametrize("name", ["reread_inputs", "reread_weights", "drop_dominated", "budgets", "reduced_costs"])
def test_switches_leave_the_optimum_of_weights_that_hardly_fit_alone(name: str) -> None:
    compared, _ = compare(range(150, 160), replace(Switches(), **{name: False}), case=wide_case)
    assert compared >= 6


def test_both_ways_to_read_again_are_among_the_optima() -> None:
    """Otherwise the comparisons would say nothing about them."""
    modes = set[tuple[WeightMode, bool]]()
    for seed in range(85, 135):
        network, device = wide_case(seed)
        with suppress(InfeasibleError):
            found = plan(network, device)
            modes |= {(r.weight_mode, len(s.runs) > 1) for s in found.segments for r in s.runs}
    assert modes >= {(WeightMode.INPUT_REREAD, False), (WeightMode.REREAD, False), (WeightMode.REREAD, True)}


def test_optimum_for_latency_equals_enumeration() -> None:
    compared, feasible = compare(range(300, 335), objective="latency")
    assert compared >= 15
    assert feasible >= 10


@pytest.mark.nightly
@pytest.mark.parametrize("block", range(5))
def test_optimum_for_latency_equals_enumeration_on_hundreds(block: int) -> None:
    compared, feasible = compare(range(6000 + block * 100, 6100 + block * 100), objective="latency")
    assert compared >= 60
    assert feasible >= 40


@pytest.mark.parametrize(("objective", "block"), [("traffic", 0), ("traffic", 1), ("latency", 2)])
def test_optimum_with_a_shared_map_equals_enumeration(objective: str, block: int) -> None:
    compared, feasible = compare(range(block * 25, block * 25 + 25), objective=objective, case=shared_case)
    assert compared >= 16
    assert feasible >= 12


@pytest.mark.nightly
@pytest.mark.parametrize("objective", ["traffic", "latency"])
@pytest.mark.parametrize("block", range(10))
def test_optimum_with_a_shared_map_equals_enumeration_on_hundreds(objective: str, block: int) -> None:
    compared, feasible = compare(range(100 + block * 100, 200 + block * 100), objective=objective, case=shared_case)
    assert compared >= 60
    assert feasible >= 40


EARLY_END_PAYS = {"traffic": (2, 54, 84, 208), "latency": (7, 60)}
"""Seeds of shared cases by objective."""


@pytest.mark.parametrize("objective", EARLY_END_PAYS)
def test_early_ends_are_found_where_they_pay(objective: str) -> None:
    seeds = EARLY_END_PAYS[objective]
    assert compare(seeds, objective=objective, case=shared_case) == (len(seeds), len(seeds))
    assert compare(seeds, Switches(early_ends=False), objective, shared_case) == (len(seeds), len(seeds))
    for seed in seeds:
        network, device = shared_case(seed)
        whole = proven_levels(network, device, Switches(early_ends=False), objective)
        shorter = proven_levels(network, device, Switches(), objective)
        assert whole is not None
        assert shorter is not None
        assert shorter < whole


@pytest.mark.parametrize("objective", ["traffic", "latency"])
@pytest.mark.parametrize("block", range(2))
def test_optimum_of_sums_equals_enumeration(objective: str, block: int) -> None:
    compared, feasible = compare(range(block * 30, block * 30 + 30), objective=objective, case=sums_case)
    assert compared >= 22
    assert feasible >= 18


@pytest.mark.nightly
@pytest.mark.parametrize("objective", ["traffic", "latency"])
@pytest.mark.parametrize("block", range(10))
def test_optimum_of_sums_equals_enumeration_on_hundreds(objective: str, block: int) -> None:
    compared, feasible = compare(range(100 + block * 100, 200 + block * 100), objective=objective, case=sums_case)
    assert compared >= 70
    assert feasible >= 60


IN_PLACE_PAYS = {"traffic": (22, 26), "cycles": (5, 20, 21), "peak": (13, 17, 58)}
"""Seeds of sums by the first level that writing over operands lowers."""


@pytest.mark.parametrize("level", IN_PLACE_PAYS)
def test_operands_are_written_over_where_it_pays(level: str) -> None:
    seeds = IN_PLACE_PAYS[level]
    for on in (True, False):
        assert compare(seeds, Switches(in_place=on), case=sums_case) == (len(seeds), len(seeds))
    for seed in seeds:
        network, device = sums_case(seed)
        apart = proven_levels(network, device, Switches(in_place=False), "traffic")
        over = proven_levels(network, device, Switches(), "traffic")
        lower = [name for name, a, b in zip(LEVELS, over or (), apart or (), strict=True) if a < b]
        assert lower[0] == level


def test_cuts_among_maps_written_over_leave_the_optimum_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every cut from a bisection of the whole, with and without floors of single steps."""
    monkeypatch.setattr(optimal, "WINDOWS", ())
    for switches in (Switches(), Switches(bank_floors=False), Switches(step_cuts=False, bank_floors=False)):
        compared, _ = compare(range(60, 74), switches, case=sums_case)
        assert compared >= 10


ALL_OFF = Switches(**{f.name: False for f in fields(Switches)})


@pytest.mark.parametrize(
    "switches",
    [
        *(replace(Switches(), **{f.name: False}) for f in fields(Switches)),
        ALL_OFF,
        replace(ALL_OFF, segments=True),
    ],
    ids=str,
)
def test_switches_leave_the_optimum_alone(switches: Switches) -> None:
    """`segments`, `early_ends`, `in_place` and the like are none of the tricks: without them, the enumeration has none either."""
    compared, _ = compare(range(400, 420), switches)
    more, _ = compare(range(400, 408), switches, case=sums_case)
    assert compared >= 10
    assert more >= 5


@pytest.mark.parametrize("words", [9, 14])
def test_loops_that_fit_the_machine_equal_enumeration(words: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A buffer so short that it limits segments, and forbids bands to some groups."""
    monkeypatch.setattr(cost, "LOOP_WORDS", words)
    compared, feasible = compare(range(440, 465))
    more, feasible_too = compare(range(200, 220), case=heavy_case)
    assert compared + more >= 25
    assert feasible + feasible_too >= 15


def test_segments_are_as_long_as_the_machine_can_run(monkeypatch: pytest.MonkeyPatch) -> None:
    b = GraphBuilder("long", seed=3)
    x = b.input(4, 60, 6)
    for _ in range(24):
        x = b.conv(x, 4)
    network, device = b.network([x]), load_device("sim8").with_sram(4 << 10)
    lengths = dict[int, int]()
    for words in (1024, 40):
        monkeypatch.setattr(cost, "LOOP_WORDS", words)
        monkeypatch.setattr("sfopt_fpga.emit.LOOP_BODY_WORDS", words)
        found = plan(network, device)
        check_plan(found, network, device)
        emit(found, network, device, expose=True)
        lengths[words] = max(s.last - s.first + 1 for s in found.segments)
    assert lengths[1024] > lengths[40] > 1


@pytest.mark.parametrize("first_margin", [0.0, 0.1])
def test_prices_leave_the_optimum_alone(first_margin: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs as small as these are solved as they are; here all of them go by prices, after a narrow and a wide first try."""
    monkeypatch.setattr(pricing, "SMALL", 0)
    monkeypatch.setattr(pricing, "FIRST_MARGIN", first_margin)
    compared, feasible = compare(range(420, 435))
    assert compared >= 8
    assert feasible >= 5


def test_bisection_explains_what_no_window_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """The usual windows catch nearly all failures; without them, every cut comes from a bisection, and the optima stay."""
    narrowed = list[int]()

    def spy(*arguments: Any) -> Any:
        part, bound = original(*arguments)
        narrowed.append(len(arguments[1].items) - len(part.items))
        return part, bound

    original = optimal._narrowed
    monkeypatch.setattr(optimal, "WINDOWS", ())
    monkeypatch.setattr(optimal, "_narrowed", spy)
    compared, feasible = compare(range(435, 500))
    assert compared >= 35
    assert feasible >= 20
    assert max(narrowed) > 0


@pytest.mark.parametrize("make", [mobilenet_v2, efficientnet_b0, resnet50])
@pytest.mark.parametrize("sram", [6 << 20, 2 << 20])
def test_known_networks_are_proven(make: Callable[[], Network], sram: int) -> None:
    network, device = make(), load_device("kcu1500").with_sram(sram)
    found = plan(network, device, time_limit_s=60)
    check_plan(found, network, device)
    assert [o.status for o in found.certificate.objectives] == [Status.OPTIMAL] * 3
    if sram == 6 << 20:
        assert found.traffic_bytes == compulsory_bytes(network)


def test_same_arguments_give_the_same_plan() -> None:
    network, device = mobilenet_v2(64), load_device("kcu1500").with_sram(256 << 10)
    one, two = (plan(network, device, workers=w, seed=3) for w in (1, 1))
    assert one.buffers == two.buffers
    assert one.segments == two.segments


def test_more_scratchpad_never_costs_traffic() -> None:
    network = mobilenet_v2(64)
    sizes = (96 << 10, 128 << 10, 192 << 10, 512 << 10)
    traffic = [plan(network, load_device("kcu1500").with_sram(s)).traffic_bytes for s in sizes]
    assert traffic == sorted(traffic, reverse=True)
    assert traffic[-1] == compulsory_bytes(network)


def test_no_time_gives_a_plan_that_claims_no_more_than_it_knows() -> None:
    network, device = resnet50(), load_device("kcu1500").with_sram(1 << 20)
    found = plan(network, device, time_limit_s=0.01)
    check_plan(found, network, device)
    assert found.certificate.status is Status.FEASIBLE


def test_what_does_not_fit_is_named_with_its_numbers() -> None:
    with pytest.raises(InfeasibleError, match=r"t101.*needs .* KiB.*scratchpad has 255\.0 KiB, short by .* KiB"):
        plan(resnet50(), load_device("kcu1500").with_sram(256 << 10))


def test_unknown_method_and_objective_are_named() -> None:
    network, device = random_network(0), load_device("sim8")
    with pytest.raises(UsageError, match="unknown method `best`; known: optimal"):
        plan(network, device, "best")
    with pytest.raises(UsageError, match="unknown objective `area`; known: traffic"):
        plan(network, device, objective="area")


def test_progress_reports_every_level() -> None:
    seen = list[tuple[str, int | None, int]]()
    network, device = random_network(0), load_device("sim8")
    found = plan(network, device, on_progress=lambda *news: seen.append(news))
    assert list(dict.fromkeys(name for name, _, _ in seen)) == ["traffic", "cycles", "peak", "placement"]
    assert all(value is None or bound <= value for _, value, bound in seen)
    last = {name: (value, bound) for name, value, bound in seen}
    assert [last[o.name] for o in found.certificate.objectives] == [
        (o.value, o.bound) for o in found.certificate.objectives
    ]
    assert last["placement"][0] == found.peak_bytes
    assert found.to_json().split('"seconds"')[0] == plan(network, device).to_json().split('"seconds"')[0]


def test_progress_hears_of_better_values_while_a_level_is_solved() -> None:
    seen = list[tuple[int | None, int]]()

    def on_progress(name: str, value: int | None, bound: int) -> None:
        if name == "cycles":
            seen.append((value, bound))

    found = plan(random_network(4), load_device("sim8"), on_progress=on_progress)
    values, bounds = [value for value, _ in seen if value is not None], [bound for _, bound in seen]
    assert len(set(values)) > 2
    assert values == sorted(values, reverse=True)
    assert len(set(bounds)) > 1
    assert bounds == sorted(bounds)
    assert seen[-1] == (values[-1], values[-1])
    assert found.certificate.objectives[1].value == values[-1]


def test_what_the_listener_raises_ends_the_search() -> None:
    def stop(name: str, value: int | None, bound: int) -> None:
        raise LookupError(name)

    with pytest.raises(LookupError, match="traffic"):
        plan(random_network(0), load_device("sim8"), on_progress=stop)
