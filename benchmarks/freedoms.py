"""What more freedom could gain at most: for each freedom that plans lack, a bound in its favour; for one that they have, its gain.

    python benchmarks/freedoms.py [--out DIR] [--device NAME] [--sram SIZE ...] [--seconds S] [--seeds N] FILE.onnx ...

Traffic is the first level of the choice program without banks and addresses, over the options that plans have today. A freedom
that gains nothing here gains nothing over them. `early ends` is exact. `rows`: of each map some rows resident and the others
streamed, and of each group several ways mixed (the linear relaxation: far too kind). `order`: other topological orders; of small
networks all where they are few, else a sample, which proves nothing. No maps share places here: `in_place.py` has what that gains.
Peak is the least at the compulsory traffic, on the last scratchpad. A bound that takes longer than `--seconds` is given up. Random
small networks of the tests come first, `--seeds` of them. Writes `freedoms.json` and `freedoms.md`.
"""

import json
import random
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from math import ceil
from pathlib import Path
from typing import Any

from common import argument_parser, model_file, this_machine

from sfopt.allocate import Switches
from sfopt.allocate.choice import ChoiceProgram, Known
from sfopt.allocate.linear import Limits, relaxed
from sfopt.allocate.pricing import minimise
from sfopt.allocate.problem import Problem
from sfopt.device import Device, load_device
from sfopt.errors import InfeasibleError
from sfopt.graph import Graph
from sfopt.groups import Network
from sfopt.importer import import_model
from sfopt.orders import dependencies, random_order, reordered
from sfopt.plan import Status
from sfopt.units import format_bytes, parse_size

TESTS = Path(__file__).parent.parent / "tests"
SRAM = ("192K", "256K", "320K", "384K", "512K", "1M", "2M")
ORDERS = 6
"""Other topological orders tried."""
ROUNDING = 2e-6
"""Of the traffic: what the linear relaxation's sums in floating point may be off."""
ALL_ORDERS = 24
"""Orders of a small network that are all tried."""
PLAIN = Switches(in_place=False, side_by_side=False, bank_floors=False, step_cuts=False)
WITHOUT = replace(PLAIN, early_ends=False)
UNKNOWN = "?"


def least_traffic(problem: Problem, end: float) -> int | None:
    """The optimum of the first level, small budgets first as in the planner; None when time runs out or nothing fits."""
    largest = max(f.size_bytes for f in problem.network.maps.values())
    for budget in (0, largest, 4 * largest, 1 << 62):
        program = ChoiceProgram(problem, problem.lean(budget), Known(), problem.switches)
        answer = minimise(program, "traffic", {}, _left(end), problem.switches, None).answer
        if time.monotonic() > end:
            return None
        proven = answer.values is not None and answer.status is Status.OPTIMAL
        if proven and answer.value - problem.compulsory_bytes <= budget:
            return answer.value
    return None


def least_peak(problem: Problem, end: float) -> int | None:
    """The least peak, in bytes, at the compulsory traffic."""
    program = ChoiceProgram(problem, problem.lean(0), Known(), problem.switches)
    limits = {"traffic": problem.compulsory_bytes}
    answer = minimise(program, "peak", limits, _left(end), problem.switches, None).answer
    return answer.value if answer.status is Status.OPTIMAL and answer.values is not None else None


def mixed_traffic(problem: Problem, end: float) -> int | None:
    """The linear relaxation of the first level over all lean options."""
    found = relaxed(
        ChoiceProgram(problem, problem.lean(), Known(), problem.switches).minimise("traffic", {}), _left(end)
    )
    return None if found is None else ceil(found[0] - 1e-6 * abs(found[0]))


def _left(end: float) -> Limits:
    return Limits(max(0.1, end - time.monotonic()))


def other_orders(network: Network, most: int, sample: int) -> Iterator[Network]:
    """Topological orders of the groups other than the given one: those found if fewer than `most`, else a random sample of them.

    HOST groups keep theirs.
    """
    needs, r = dependencies(network), random.Random(0)
    orders = {random_order(needs, r) for _ in range(20 * most)}
    found = sorted(orders - {tuple(sorted(needs))})
    for order in found if len(found) < most else r.sample(found, min(sample, len(found))):
        yield reordered(network, order)


def point(network: Network, device: Device, seconds: float, most_orders: int, *, peak: bool) -> dict[str, Any] | None:
    """Every freedom on one scratchpad; None where nothing fits."""
    try:
        problem, without = (Problem.build(network, device, s) for s in (PLAIN, WITHOUT))
    except InfeasibleError:
        return None
    clock = time.monotonic
    bounds = {
        "without early ends": least_traffic(without, clock() + seconds),
        "plans": least_traffic(problem, clock() + seconds),
        "rows": mixed_traffic(problem, clock() + seconds),
    }
    others = [Problem.build(n, device, PLAIN) for n in other_orders(network, most_orders, ORDERS)]
    tried = [least_traffic(p, clock() + seconds) for p in others]
    bounds["order"] = min((t for t in tried if t is not None), default=None)
    result: dict[str, Any] = {"compulsory": problem.compulsory_bytes, "traffic": bounds, "orders": len(tried)}
    if peak:
        peaks = [least_peak(p, clock() + seconds) for p in others]
        least = min((p for p in peaks if p is not None), default=None)
        result["peak"] = {"plans": least_peak(problem, clock() + seconds), "order": least}
    return result


NETWORKS_BY_DEFAULT = (
    "squeezenet", "mobilenet_v2", "resnet34", "efficientnet_b1", "resnet50", "yolov3_tiny", "densenet121", "shufflenet_v2",
)  # fmt: skip
NAMES = ("early ends", "rows", "order")


def gains(found: dict[str, Any], what: str) -> dict[str, int | None]:
    """Bytes that each freedom gains at most; None where that is not known."""
    values = found[what]
    plans, base = values["plans"], values.get("without early ends")
    pairs = {n: (plans, values.get(n)) for n in NAMES if n != "early ends"} | {"early ends": (base, plans)}
    rounding = {"rows": ROUNDING * (plans or 0)}
    return {
        n: None if a is None or b is None else a - b if a - b > rounding.get(n, 0) else 0 for n, (a, b) in pairs.items()
    }


def small_networks(seeds: int, seconds: float) -> dict[str, Any]:
    """Over the tests' random small networks: how many each freedom helps, and by what share of the traffic in the mean of those."""
    sys.path.insert(0, str(TESTS))
    from small_cases import shared_case, small_case  # noqa: PLC0415  the tests are no package

    helped: dict[str, list[float]] = {n: [] for n in NAMES}
    counted = dict.fromkeys(NAMES, 0)
    for seed in range(seeds):
        network, device = (small_case, shared_case)[seed % 2](seed // 2)
        found = point(network, device, seconds, ALL_ORDERS, peak=False)
        for name, gain in gains(found, "traffic").items() if found is not None else ():
            if gain is not None:
                counted[name] += 1
                helped[name] += [gain / found["traffic"]["plans"]] if gain else []
    return {
        n: {
            "counted": counted[n],
            "helped": len(h),
            "mean_share": sum(h) / len(h) if h else 0.0,
            "most": max(h, default=0.0),
        }
        for n, h in helped.items()
    }


def page(results: dict[str, Any], machine: str) -> list[str]:
    """The Markdown page."""
    note = "`benchmarks/freedoms.py` says what each column is: bytes that a freedom could gain at most. "
    note += "`?`: time ran out, or there is nothing to try: no other order, no plan at the compulsory traffic."
    lines = ["# What more freedom could gain at most", "", f"Measured on {machine}. {note}", ""]
    for what in ("traffic", "peak"):
        lines += [
            f"## {what.capitalize()}, bytes",
            "",
            f"| network | scratchpad | {what} of plans | {' | '.join(NAMES)} | orders |",
        ]
        lines.append("|" + " --- |" * (len(NAMES) + 4))
        for name, r in results["networks"].items():
            if r is None or what not in r:
                continue
            cells = [UNKNOWN if g is None else f"{g:,}" for g in (gains(r, what)[n] for n in NAMES)]
            plans = UNKNOWN if r[what]["plans"] is None else f"{r[what]['plans']:,}"
            lines.append(f"| {' | '.join([*name.split(' '), plans, *cells, str(r['orders'])])} |")
        lines.append("")
    lines += [
        "## Random small networks, traffic",
        "",
        "| freedom | networks | helped | mean of those | most |",
        "|" + " --- |" * 5,
    ]
    for name, s in results.get("small", {}).items():
        lines.append(
            f"| {name} | {s['counted']} | {s['helped']} | {100 * s['mean_share']:.1f} % | {100 * s['most']:.1f} % |"
        )
    return lines


def main() -> None:
    """Run and write both result files, after every point."""
    parser = argument_parser(__doc__, 60.0, "bound")
    parser.add_argument("networks", nargs="*", metavar="NAME|FILE.onnx")
    parser.add_argument("--sram", nargs="*", default=SRAM)
    parser.add_argument("--seeds", type=int, default=300, help="random small networks")
    arguments = parser.parse_args()
    machine = this_machine()
    results: dict[str, Any] = {"machine": machine, "device": arguments.device, "networks": {}}
    arguments.out.mkdir(parents=True, exist_ok=True)

    def save() -> None:
        (arguments.out / "freedoms.json").write_text(json.dumps(results, indent=1) + "\n")
        (arguments.out / "freedoms.md").write_text("\n".join(page(results, machine)) + "\n")

    results["small"] = small_networks(arguments.seeds, arguments.seconds)
    save()
    for name in arguments.networks or NETWORKS_BY_DEFAULT:
        path = model_file(name, arguments.cache)
        network = replace(import_model(path).network, graph=Graph("", {}, (), (), ()))
        for i, size in enumerate(arguments.sram):
            device = load_device(arguments.device).with_sram(parse_size(size))
            key = f"{path.stem} {format_bytes(device.sram_bytes).replace(' ', '')}"
            last = i == len(arguments.sram) - 1
            results["networks"][key] = point(network, device, arguments.seconds, ORDERS, peak=last)
            print(key, json.dumps(results["networks"][key]), flush=True)
            save()


if __name__ == "__main__":
    main()
