"""The planner against what was published and against the heuristics: traffic, proof, time, and how little scratchpad is enough.

    python benchmarks/planner.py [--cache DIR] [--out DIR] [--device NAME] [NAME|FILE.onnx ...]

For each network: the proven plan on the device beside each heuristic's; then the smallest scratchpad, of the device's banks made
smaller, with which at most 1.05 x the compulsory traffic is moved, and what `cutpoint` moves there. Traffic is of data, without
the program's own fetches. Every plan passes the checker. Writes `planner.json` and `planner.md`.
"""

import json
import time
from dataclasses import replace
from typing import Any

from common import argument_parser, model_file, this_machine
from models import NETWORKS

from sfopt import cost
from sfopt.allocate import Switches, plan
from sfopt.allocate.linear import Limits
from sfopt.allocate.optimal import traffic_bound
from sfopt.allocate.problem import Problem
from sfopt.check import check_plan
from sfopt.device import Device, load_device
from sfopt.errors import InfeasibleError
from sfopt.graph import Graph
from sfopt.groups import Network
from sfopt.importer import import_model
from sfopt.plan import Category

NAMES = (
    "resnet50", "resnet152", "mobilenet_v2", "efficientnet_b1", "squeezenet", "resnet34", "yolov3", "retinanet", "efficientdet_d0",
)  # fmt: skip
HEURISTICS = ("once-per-layer", "greedy-order", "greedy-size", "best-fit", "cutpoint", "shortcut-mining")
NEAR = 1.05
"""Of the compulsory traffic: what counts as reached."""
STEPS = 8
"""Scratchpad sizes tried between one power of two and the next."""


def planned(network: Network, device: Device, method: str, seconds: float) -> dict[str, Any] | None:
    """One checked plan in figures; None where nothing fits."""
    start = time.perf_counter()
    try:
        found = plan(network, device, method, time_limit_s=seconds)
    except InfeasibleError:
        return None
    wall = time.perf_counter() - start
    check_plan(found, network, device)
    return {
        "traffic": found.traffic_bytes,
        "feature_maps": sum(t.size_bytes for t in found.transfers if t.category is Category.FEATURE_MAPS),
        "peak": found.peak_bytes,
        "status": str(found.certificate.status),
        "levels": [[o.name, o.value, o.bound] for o in found.certificate.objectives],
        "segments": sum(s.last > s.first for s in found.segments),
        "grouped": sum(s.last - s.first + 1 for s in found.segments if s.last > s.first),
        "seconds": round(wall, 2),
    }


def smallest(network: Network, device: Device, seconds: float) -> dict[str, Any] | None:
    """The smallest scratchpad near the compulsory traffic: by proven bounds first, then upwards until a plan reaches it."""
    target = int(NEAR * cost.compulsory_bytes(network))
    sizes = [int(2 ** (exponent / STEPS)) for exponent in range(15 * STEPS, 23 * STEPS + 1)]
    low, high = 0, len(sizes) - 1
    while low < high:
        middle = (low + high) // 2
        if _bound(network, device.with_sram(sizes[middle]), seconds) <= target:
            high = middle
        else:
            low = middle + 1
    for size in sizes[low:]:
        small = device.with_sram(size)
        found = planned(network, small, "optimal", seconds)
        if found is not None and found["traffic"] <= target:
            return {
                "sram": small.sram_bytes,
                "optimal": found,
                "cutpoint": planned(network, small, "cutpoint", seconds),
            }
    return None


def _bound(network: Network, device: Device, seconds: float) -> float:
    try:
        problem = Problem.build(network, device, Switches())
        return traffic_bound(problem, Limits(seconds), Switches())
    except InfeasibleError:
        return float("inf")


def shares(network: Network) -> dict[str, float]:
    """Part of the baseline's feature-map traffic that belongs to shortcuts, under three definitions."""
    maps, inner = network.maps, {*network.maps} - {*network.inputs, *network.outputs}
    moved = {m: maps[m].size_bytes * (1 + len(network.readers[m])) for m in inner}
    again = {m: maps[m].size_bytes * sum(r != network.producers[m] + 1 for r in network.readers[m]) for m in inner}
    total = max(1, sum(moved.values()))
    return {
        "all traffic of shortcut maps": sum(moved[m] for m in inner & network.shortcuts) / total,
        "reads that are not by the next group": sum(again.values()) / total,
        "those reads and the shortcut maps' writes": (
            sum(again.values()) + sum(maps[m].size_bytes for m in inner & network.shortcuts)
        )
        / total,
    }


def measure(network: Network, device: Device, seconds: float) -> dict[str, Any]:
    """Everything about one network on the device itself."""
    return {
        "groups": len(network.groups),
        "baseline": cost.baseline_bytes(network),
        "baseline_layer": cost.baseline_layer_bytes(network),
        "compulsory": cost.compulsory_bytes(network),
        "shortcut_shares": shares(network),
        "methods": {m: planned(network, device, m, seconds) for m in ("optimal", *HEURISTICS)},
        "smallest": None,
    }


def _row(*cells: object) -> str:
    return f"| {' | '.join(str(c) for c in cells)} |"


def _moved(found: dict[str, Any] | None) -> str:
    return "no plan" if found is None else f"{found['traffic']:,}"


def tables(results: dict[str, dict[str, Any]], device: Device, machine: str) -> list[str]:
    """The Markdown page."""
    lines = [
        f"# The planner on `{device.name}`",
        "",
        f"Measured on {machine}. Bytes of data, without the program's own fetches.",
        "",
    ]
    head = ("network", "groups", "baseline", "compulsory", "optimal", "less than baseline", "less than layers", "over compulsory",
            "feature maps", "status", "peak", "joined groups", "seconds")  # fmt: skip
    lines += [_row(*head), _row(*["---"] * len(head))]
    for name, r in results.items():
        o = r["methods"]["optimal"]
        if o is None:
            lines.append(_row(name, r["groups"], f"{r['baseline']:,}", f"{r['compulsory']:,}", "no plan", *[""] * 8))
            continue
        less = (f"{100 * (1 - o['traffic'] / r[key]):.1f} %" for key in ("baseline", "baseline_layer"))
        over = f"{100 * (o['traffic'] / r['compulsory'] - 1):.1f} %"
        lines.append(_row(name, r["groups"], f"{r['baseline']:,}", f"{r['compulsory']:,}", f"{o['traffic']:,}", *less, over,
                          f"{o['feature_maps']:,}", o["status"], f"{o['peak']:,}", o["grouped"], o["seconds"]))  # fmt: skip
    lines += ["", "## Total traffic of every method", "", _row("network", "optimal", *HEURISTICS)]
    lines.append(_row(*["---"] * (2 + len(HEURISTICS))))
    lines += [_row(n, *(_moved(r["methods"][m]) for m in ("optimal", *HEURISTICS))) for n, r in results.items()]
    lines += ["", f"## The smallest scratchpad with at most {NEAR} x the compulsory traffic", ""]
    head = ("network", "scratchpad", "optimal, feature maps", "status", "seconds", "cutpoint, feature maps", "ratio")
    lines += [_row(*head), _row(*["---"] * len(head))]
    for name, r in results.items():
        if r["smallest"] is None:
            lines.append(_row(name, "not searched, or none up to 8 MiB", *[""] * 5))
            continue
        s, c = r["smallest"], r["smallest"]["cutpoint"]
        o = s["optimal"]
        ratio = (
            ""
            if c is None
            else f"{c['feature_maps'] / o['feature_maps']:.1f}"
            if o["feature_maps"]
            else "no feature map moves"
        )
        lines.append(_row(name, f"{s['sram']:,}", f"{o['feature_maps']:,}", o["status"], o["seconds"],
                          "no plan" if c is None else f"{c['feature_maps']:,}", ratio))  # fmt: skip
    lines += ["", "## Shortcuts' part of the baseline's feature-map traffic", ""]
    definitions = list(next(iter(results.values()))["shortcut_shares"])
    lines += [_row("network", *definitions), _row(*["---"] * (1 + len(definitions)))]
    lines += [_row(n, *(f"{100 * r['shortcut_shares'][d]:.1f} %" for d in definitions)) for n, r in results.items()]
    return lines


def main() -> None:
    """Run and write both result files, after every network; the search for the smallest scratchpads comes last."""
    parser = argument_parser(__doc__, 60.0)
    parser.add_argument(
        "networks", nargs="*", metavar="NAME|FILE.onnx", help=f"of {', '.join(NETWORKS)}, or a model file"
    )
    arguments = parser.parse_args()
    device, results = load_device(arguments.device), dict[str, dict[str, Any]]()
    machine = this_machine()
    arguments.out.mkdir(parents=True, exist_ok=True)

    def save(stem: str, key: str) -> None:
        print(stem, json.dumps(results[stem][key]), flush=True)
        data = {"machine": machine, "device": device.name, "networks": results}
        (arguments.out / "planner.json").write_text(json.dumps(data, indent=1) + "\n")
        (arguments.out / "planner.md").write_text("\n".join(tables(results, device, machine)) + "\n")

    networks = dict[str, Network]()
    for name in arguments.networks or NAMES:
        path = model_file(name, arguments.cache)
        networks[path.stem] = replace(import_model(path).network, graph=Graph("", {}, (), (), ()))
        results[path.stem] = measure(networks[path.stem], device, arguments.seconds)
        save(path.stem, "methods")
    for stem, network in networks.items():
        results[stem]["smallest"] = smallest(network, device, arguments.seconds)
        save(stem, "smallest")


if __name__ == "__main__":
    main()
