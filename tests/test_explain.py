"""`sfopt explain`: what it says of plans against what plans say, and its texts."""

import json
import re
from pathlib import Path
from typing import Any

import models
import pytest
from command_line import Run, one_line

from sfopt.allocate import plan
from sfopt.allocate.demand import Demand
from sfopt.allocate.linear import Limits
from sfopt.allocate.optimal import solve
from sfopt.allocate.problem import Problem
from sfopt.allocate.switches import Switches
from sfopt.check import check_plan
from sfopt.device import load_device
from sfopt.errors import InfeasibleError
from sfopt.groups import Network
from sfopt.importer import import_model
from sfopt.plan import Plan
from sfopt.report import explain_plan, plan_lines

SIM8 = load_device("sim8")
TIGHT = SIM8.with_sram(3 << 10)


@pytest.fixture(scope="module")
def fork(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six groups, more than a few KiB of maps."""
    path = tmp_path_factory.mktemp("fork") / "fork.onnx"
    path.write_bytes(models.fork())
    return path


def explained(sfopt: Run, *arguments: object) -> dict[str, Any]:
    code, text, err = sfopt(*arguments, "--json")
    assert code == 0, err
    return json.loads(text)


@pytest.fixture(scope="module")
def tight(fork: Path) -> tuple[Network, Plan, dict[str, Any]]:
    """The network, its plan in 3 KiB and what is said of it."""
    network = import_model(fork).network
    found = plan(network, TIGHT)
    return network, found, explain_plan(network, TIGHT, found, 60)


def test_every_tensor_is_explained_once_with_its_place(tight) -> None:
    network, found, facts = tight
    assert sorted(t["name"] for t in facts["tensors"]) == sorted(network.maps)
    for t in facts["tensors"]:
        moved = dict.fromkeys(("read", "write"), 0)
        for transfer in found.transfers:
            if transfer.tensor == t["name"]:
                moved[transfer.direction] += transfer.size_bytes
        once = t["bytes"] if t["name"] in network.inputs else 0
        assert t["on_chip"] == (moved["read"] <= once)
        assert t["instead"] in (None, "spill" if t["on_chip"] else "keep")
        if t["proof"] == "exact":
            assert t["dram_bytes"] >= 0
            assert t["cycles"] is not None


def test_what_one_more_mib_buys_is_what_a_plan_for_it_saves(tight) -> None:
    network, found, facts = tight
    more, larger = facts["one_more_mib"], SIM8.with_sram((3 << 10) + (1 << 20))
    other = plan(network, larger)
    assert more["status"] == "optimal"
    assert more["saved_dram_bytes"] == found.traffic_bytes - other.traffic_bytes > 0
    assert facts["traffic"] - facts["compulsory"] >= more["saved_dram_bytes"]


def covered(found: Plan, step: int) -> set[int]:
    """The bytes of scratchpad that hold something at a step, one by one."""
    live = [b for b in found.buffers if b.first_step <= step <= b.last_step]
    return {byte for b in live for byte in range(b.offset, b.end)}


def test_what_binds_is_named_with_what_is_held_there(tight) -> None:
    _, found, facts = tight
    assert facts["traffic"] > facts["compulsory"]
    binding = facts["binding"]
    assert binding["rules"] == ["capacity"]
    assert binding["banks_bytes"] == binding["placement_bytes"] == 0
    loads = sorted((len(covered(found, s)) for s in range(len(found.segments))), reverse=True)
    assert [step["held_bytes"] for step in binding["fullest"]] == loads[:3]
    for step in binding["fullest"]:
        live = [b for b in found.buffers if b.first_step <= step["segment"] <= b.last_step]
        assert step["largest"][0]["bytes"] == max(b.size_bytes for b in live)


def test_a_spilled_map_names_the_group_beside_which_it_is_hardest_to_keep(tight) -> None:
    """Where that group needs more than there is with every group by itself, no plan of single groups keeps the map."""
    network, _, facts = tight
    switches = Switches(segments=False)
    spilled = [t for t in facts["tensors"] if t["instead"] == "keep"]
    assert spilled
    for t in spilled:
        crowded = t["crowded"]
        born, dies = network.producers[t["name"]], network.readers[t["name"]][-1]
        assert crowded["group"] in {g.name for g in network.groups[born : dies + 1]}
        assert crowded["short_bytes"] == max(0, crowded["need_bytes"] - TIGHT.sram_bytes)
        demand = Demand(on_chip={t["name"]: True})
        problem = Problem.build(network, TIGHT, switches).demanding(demand)
        if crowded["short_bytes"]:
            with pytest.raises(InfeasibleError):
                solve(problem, ("traffic", "cycles", "peak"), Limits(60), switches)
    assert any(t["crowded"]["short_bytes"] for t in spilled)


def test_every_boundary_has_a_verdict(tight) -> None:
    network, found, facts = tight
    boundaries = {(network.groups[s.last].name, network.groups[s.last + 1].name) for s in found.segments[:-1]}
    assert {(f["front"], f["behind"]) for f in facts["fusions"]} == boundaries
    assert all((f["proof"] is not None) == (f["verdict"] == "possible") for f in facts["fusions"])
    assert all(f["dram_bytes"] >= 0 for f in facts["fusions"] if f["proof"] == "exact")


def test_long_tables_are_cut_and_columns_line_up(tight) -> None:
    _, _, facts = tight
    many = {**facts, "tensors": facts["tensors"] * 5}
    short, long = plan_lines(many, every=False), plan_lines(many, every=True)
    left = len(many["tensors"]) - 15
    assert f"          and {left} more: --all" in short
    assert len(long) > len(short)
    begin = next(i for i, line in enumerate(long) if line.startswith("tensors"))
    rows = long[begin + 1 : begin + 2 + len(many["tensors"])]
    where = rows[0].index("where")
    assert all(row[where - 2 : where] == "  " and row[where] != " " for row in rows)


def test_without_time_it_claims_only_bounds(tight) -> None:
    network, found, exact = tight
    facts = explain_plan(network, TIGHT, found, 0)
    known = {t["name"]: t for t in exact["tensors"]}
    assert {t["proof"] for t in facts["tensors"]} == {"unknown", "at least"}
    for t in facts["tensors"]:
        if t["dram_bytes"] is not None and known[t["name"]]["proof"] == "exact":
            assert t["dram_bytes"] <= known[t["name"]]["dram_bytes"]
    assert "time ran out" in "\n".join(plan_lines(facts, every=True))


def test_the_texts_of_a_plan(sfopt: Run, fork: Path) -> None:
    code, text, err = sfopt("explain", fork, "--device", "sim8", "--sram", "3K")
    assert code == 0, err
    first = "binds     the scratchpad's size; traffic is 14364 bytes, 9984 above the compulsory 4380\n"
    assert text.startswith(first + "          operands in banks of their own cost 0 bytes of it, addresses 0\n")
    assert re.search(r"\nfullest   segment \d+ \(.+\) holds \d+ of 3072 bytes: \w+ `t\d+` \d+", text)
    assert re.search(r"\nspilled   keeping `t\d+` beside `t\d+` alone needs \d+ bytes, short by \d+\n", text)
    assert re.search(r"\n1 MiB     more would save 9984 DRAM bytes and \d+ cycles \(optimal\)\n", text)
    assert re.search(r"\n          t\d+ +\d+  in DRAM +keep +\+\d+ +[+-]\d+\n", text)
    assert "\nfusions   " in text
    assert "\x1b" not in text
    assert facts_of(sfopt, fork)["traffic"] == 14364


def facts_of(sfopt: Run, fork: Path, *more: object) -> dict[str, Any]:
    return explained(sfopt, "explain", fork, "--device", "sim8", "--sram", "3K", *more)


def test_where_traffic_is_compulsory_nothing_binds(sfopt: Run, fork: Path) -> None:
    code, text, _ = sfopt("explain", fork, "--device", "sim8")
    assert code == 0
    assert text.startswith("binds     nothing: traffic is 4380 bytes, the compulsory ones")
    assert "\n1 MiB     more would save 0 DRAM bytes and " in text


def test_one_tensor_in_depth(sfopt: Run, fork: Path, tight) -> None:
    network, found, facts = tight
    for t in (next(t for t in facts["tensors"] if t["instead"] == way) for way in ("keep", "spill")):
        deep = facts_of(sfopt, fork, "--tensor", t["name"])
        assert {key: deep[key] for key in t} == t
        assert deep["readers"] == [network.groups[r].name for r in network.readers[t["name"]]]
        moved = sum(x["bytes"] for x in deep["transfers"])
        assert moved == sum(x.size_bytes for x in found.transfers if x.tensor == t["name"])
        assert deep["placed"]["proof"] == t["proof"]
        if t["proof"] == "exact":
            assert deep["placed"]["dram_bytes"] >= t["dram_bytes"]
    code, text, _ = sfopt("explain", fork, "--device", "sim8", "--sram", "3K", "--tensor", t["name"])
    assert code == 0
    assert f"\ninstead   spilling it: {t['dram_bytes']:+d} DRAM bytes and {t['cycles']:+d} cycles before" in text
    assert " DRAM bytes and " in text.splitlines()[-1]


def test_an_unknown_tensor_is_one_line_before_anything_is_planned(
    sfopt: Run, fork: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sfopt.pipeline.plan_network", None)
    code, text, err = sfopt("explain", fork, "--device", "sim8", "--tensor", "ghost")
    assert (code, text) == (2, "")
    assert one_line(err).startswith("the network has no feature map `ghost`")


def test_an_infeasible_request_names_the_smallest_that_works(sfopt: Run, fork: Path) -> None:
    request = ("explain", fork, "--device", "sim8", "--sram", "2K")
    code, text, err = sfopt(*request, "--json")
    assert code == 3
    assert "short by 64 B" in one_line(err)
    facts = json.loads(text)
    smallest = facts["smallest"]
    assert smallest["proven"]
    assert facts["short_bytes"] == smallest["works"] - (2 << 10)
    network = import_model(fork).network
    works = SIM8.with_sram(smallest["works"])
    check_plan(plan(network, works), network, works)
    with pytest.raises(InfeasibleError):
        plan(network, SIM8.with_sram(smallest["works"] - smallest["step"]))
    assert 0 < facts["fullest"]["held_bytes"] <= smallest["works"]
    assert len(facts["fullest"]["largest"]) > 1
    code, text, _ = sfopt(*request)
    assert code == 3
    assert text.startswith(f"smallest  {smallest['works']} bytes (2.")
    assert (
        f"{smallest['fails']} have no plan, proven\nshort     {facts['short_bytes']} bytes: the request has 2048\n"
        in text
    )


def test_heuristics_are_explained_against_the_optimum(sfopt: Run, fork: Path) -> None:
    facts = facts_of(sfopt, fork, "--method", "once-per-layer")
    assert facts["traffic"] > facts["cost_base"]["traffic"] == 14364
    assert any(t["instead"] == "keep" and t["dram_bytes"] == 0 for t in facts["tensors"])
