"""`--orders` as a person meets it: another order from the model to the checked files."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import models
import pytest
from command_line import Run, one_line

from sfopt.examples import digits_model_path


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "fork.onnx"
    path.write_bytes(models.fork())
    return path


def optimized(sfopt: Run, model: Path, out: Path, *more: object) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """What is printed, and the written plan and report."""
    code, text, err = sfopt("optimize", model, "--device", "sim8", "--sram", "4K", "--out", out, *more)
    assert code == 0, err
    return text, json.loads((out / "plan.json").read_text()), json.loads((out / "report.json").read_text())


def test_another_order_goes_through_the_whole_flow(sfopt: Run, model: Path, tmp_path: Path) -> None:
    _, plan, before = optimized(sfopt, model, tmp_path / "one")
    assert plan["order"] is before["solver"]["order"] is None
    text, plan, report = optimized(sfopt, model, tmp_path / "best", "--orders", 8)
    solver, order = report["solver"], plan["order"]
    assert solver["objective"] < before["solver"]["objective"]
    assert solver["order"] == {k: order[k] for k in ("chosen", "tried", "bound")}
    chosen = f"{order['chosen']} of {order['tried']}"
    claim = f"not the model's own; none of these has traffic below {solver['objective']} (proven)"
    assert f"; order {chosen} tried, {claim}; " in text
    assert "0 mismatches" in text
    assert report["dram_bytes"]["planned"] == report["dram_bytes"]["simulated"]
    code, text, err = sfopt("check", tmp_path / "best")
    assert code == 0, err
    assert "every rule holds" in text
    assert f"order     {chosen}, bound {solver['objective']} for all of them\n" in text
    code, text, _ = sfopt("disasm", tmp_path / "best" / "program.sfp")
    assert code == 0
    assert text == (tmp_path / "best" / "program.s").read_text()


def test_explain_follows_the_order(sfopt: Run, model: Path) -> None:
    texts = [sfopt("explain", model, "--device", "sim8", "--sram", "4K", "--orders", n) for n in (1, 8)]
    assert [code for code, _, _ in texts] == [0, 0]
    groups = [[line for line in text.splitlines() if line.startswith("     conv")] for _, text, _ in texts]
    names = [[line.split("`")[1] for line in lines] for lines in groups]
    assert names[0] != names[1]
    assert sorted(names[0]) == sorted(names[1])


def test_the_own_order_is_said_to_be_the_own(sfopt: Run, tmp_path: Path) -> None:
    code, text, _ = sfopt(
        "optimize", digits_model_path(), "--device", "sim8", "--orders", 4, "--out", tmp_path / "o", "--no-verify"
    )
    assert code == 0
    assert ", the model's own; none of these has traffic below" in text
    assert sfopt("check", tmp_path / "o")[0] == 0


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda names: names[::-1], "which it needs"),
        (lambda names: ["ghost", *names[1:]], "group `ghost`"),
        (lambda _names: [], "another network"),
    ],
)
def test_check_refuses_another_order_than_the_plan_is_for(
    sfopt: Run,
    model: Path,
    tmp_path: Path,
    change: Callable[[list[str]], list[str]],
    expected: str,
) -> None:
    _, plan, _ = optimized(sfopt, model, tmp_path / "o", "--orders", 8, "--no-verify")
    plan["order"]["groups"] = change(plan["order"]["groups"])
    (tmp_path / "o" / "plan.json").write_text(json.dumps(plan))
    code, _, err = sfopt("check", tmp_path / "o")
    assert code == 1
    assert expected in one_line(err)


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        (("--orders", "0"), "--orders"),
        (("--orders", "-3"), "--orders"),
        (("--orders", "many"), "--orders"),
        (("--orders", "4", "--method", "greedy-size"), "4 orders need method `optimal`, not `greedy-size`"),
    ],
)
@pytest.mark.parametrize("command", ["optimize", "explain"])
def test_wrong_orders_are_one_line(sfopt: Run, model: Path, command: str, more: tuple[str, ...], expected: str) -> None:
    code, _, err = sfopt(command, model, "--device", "sim8", *more)
    assert code == 2
    assert expected in one_line(err)
