"""What the two re-reading weight modes gain: the traffic bound with and without each, at small scratchpads.

    python benchmarks/weight_modes.py [--cache DIR] [--out DIR] [--device NAME] [NAME|FILE.onnx ...]

For each network and scratchpad: the proven lower bound on the traffic of any plan (the planner's first level), with neither mode,
with each, and with both; and how long that took. Writes `weight_modes.json` and `weight_modes.md` after every network.
"""

import json
import time
from typing import Any

from common import argument_parser, model_file, this_machine
from models import NETWORKS

from sfopt import cost
from sfopt.allocate import Switches
from sfopt.allocate.linear import Limits
from sfopt.allocate.optimal import traffic_bound
from sfopt.allocate.problem import Problem
from sfopt.device import Device, load_device
from sfopt.errors import InfeasibleError
from sfopt.groups import Network
from sfopt.importer import import_model
from sfopt.units import format_bytes

NAMES = ("resnet50", "mobilenet_v2", "squeezenet", "vgg16", "resnet34", "efficientnet_b1")
SIZES = tuple(k << 10 for k in (64, 96, 128, 160, 192, 256, 320, 512, 1024))
MODES = {
    "neither": Switches(reread_inputs=False, reread_weights=False),
    "inputs again for each tile": Switches(reread_weights=False),
    "weights again in segments": Switches(reread_inputs=False),
    "both": Switches(),
}


def bound(network: Network, device: Device, switches: Switches, seconds: float) -> dict[str, Any] | None:
    """The proven bound and the time it took; None where nothing fits."""
    start = time.perf_counter()
    try:
        found = traffic_bound(Problem.build(network, device, switches), Limits(seconds), switches)
    except InfeasibleError:
        return None
    wall = time.perf_counter() - start
    return {"bytes": found, "seconds": round(wall, 2), "in_time": wall < seconds}


def table(results: dict[str, dict[str, Any]], device: Device, machine: str) -> list[str]:
    """The Markdown page."""
    head = ["network", "scratchpad", "compulsory", *MODES]
    lines = [
        f"# Re-reading weight modes on `{device.name}` with small scratchpads",
        "",
        f"Measured on {machine}. Proven lower bounds on the bytes of data that any plan moves, how much less that is than",
        "with neither mode, and seconds. `*`: the time limit came first, so the bound is the relaxation's.",
        "",
        f"| {' | '.join(head)} |",
        f"| {' | '.join(['---'] * len(head))} |",
    ]
    for name, r in results.items():
        for size, found in r["sizes"].items():
            cells = [_cell(found[mode], found["neither"]) for mode in MODES]
            lines.append(f"| {name} | {format_bytes(int(size))} | {r['compulsory']:,} | {' | '.join(cells)} |")
    return lines


def _cell(found: dict[str, Any] | None, without: dict[str, Any] | None) -> str:
    if found is None:
        return "nothing fits"
    less = f", {100 * (1 - found['bytes'] / without['bytes']):.2f} % less" if without and found is not without else ""
    return f"{found['bytes']:,}{less} ({found['seconds']} s{'' if found['in_time'] else '*'})"


def main() -> None:
    """Run and write both result files."""
    parser = argument_parser(__doc__, 30.0, "bound")
    parser.add_argument(
        "networks", nargs="*", metavar="NAME|FILE.onnx", help=f"of {', '.join(NETWORKS)}, or a model file"
    )
    arguments = parser.parse_args()
    device, results = load_device(arguments.device), dict[str, dict[str, Any]]()
    machine = this_machine()
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name in arguments.networks or NAMES:
        path = model_file(name, arguments.cache)
        network = import_model(path).network
        sizes = {}
        for size in SIZES:
            small = device.with_sram(size)
            sizes[str(size)] = {mode: bound(network, small, s, arguments.seconds) for mode, s in MODES.items()}
            print(path.stem, size, json.dumps(sizes[str(size)]), flush=True)
        results[path.stem] = {"compulsory": cost.compulsory_bytes(network), "sizes": sizes}
        data = {"machine": machine, "device": device.name, "seconds": arguments.seconds, "networks": results}
        (arguments.out / "weight_modes.json").write_text(json.dumps(data, indent=1) + "\n")
        (arguments.out / "weight_modes.md").write_text("\n".join(table(results, device, machine)) + "\n")


if __name__ == "__main__":
    main()
