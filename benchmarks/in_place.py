"""What it gains that outputs have the place of operands: the least scratchpad, and all levels in small ones, with and without.

    python benchmarks/in_place.py [--cache DIR] [--out DIR] [--device NAME] [NAME|FILE.onnx ...]

Of networks with concats, whose operands may lie in their output from the start, that is turned off and on; of others, whether
sums and the like are written over an operand. For each network: the plan with the least peak among those of the compulsory traffic,
for two sizes of banks, and the plan with the least traffic in each small scratchpad, each level with its proven bound, and how many
operands give their place. Writes `in_place.json` and `in_place.md` after every network.
"""

import json
import time
from typing import Any

from common import argument_parser, model_file, this_machine
from models import NETWORKS

from sfopt.allocate import Switches, plan
from sfopt.check import check_plan
from sfopt.check.in_place import links
from sfopt.check.view import View
from sfopt.device import Device, load_device
from sfopt.errors import InfeasibleError, TimeLimitError
from sfopt.groups import Network
from sfopt.importer import import_model
from sfopt.units import format_bytes

NAMES = ("resnet34", "resnet50", "mobilenet_v2", "squeezenet", "shufflenet_v2", "inception_v3", "densenet121")
SIZES = tuple(k << 10 for k in (384, 512, 1024))
LEVELS = ("traffic", "cycles", "peak")
ROOM = 2 << 20
"""A scratchpad that is no limit, in banks smaller than the device's own: what is least depends on the banks."""


def without(network: Network) -> Switches:
    """Everything but what is measured of a network."""
    concats = any(len(g.pieces) > 1 for g in network.groups)
    return Switches(side_by_side=False) if concats else Switches(in_place=False)


def point(
    network: Network, device: Device, objective: str, seconds: float, switches: Switches
) -> dict[str, Any] | None:
    """Values and bounds of a checked plan, and the time it took; None where nothing fits or is found."""
    start = time.perf_counter()
    try:
        found = plan(network, device, objective=objective, time_limit_s=seconds, switches=switches)
    except (InfeasibleError, TimeLimitError):
        return None
    wall = time.perf_counter() - start
    check_plan(found, network, device)
    view = View(found, network, device)
    count = sum(len(links(view, step)) for step in range(len(found.segments)))
    levels = {o.name: {"value": o.value, "bound": o.bound} for o in found.certificate.objectives}
    return {"levels": levels, "in_place": count, "seconds": round(wall, 2)}


def table(results: dict[str, dict[str, Any]], device: Device, machine: str) -> list[str]:
    """The Markdown page."""
    lines = [
        f"# Outputs in the place of operands on `{device.name}`",
        "",
        f"Measured on {machine}. Values without and with; `*`: not proven to be the least given the levels before it. The peak",
        "is minimised first in the lines of the least scratchpad, last in the others. `places`: operands that give theirs.",
        "",
        "| network | scratchpad | traffic, bytes | cycles | peak, bytes | places | seconds |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, points in results.items():
        for size, (plain, given) in points.items():
            if plain is None or given is None:
                lines.append(f"| {name} | {size} | found: {plain is not None}, {given is not None} | | | | |")
                continue
            cells = [_cell(plain["levels"][level], given["levels"][level]) for level in LEVELS]
            rest = f"{given['in_place']} | {plain['seconds']}, {given['seconds']}"
            lines.append(f"| {name} | {size} | {' | '.join(cells)} | {rest} |")
    return lines


def _cell(plain: dict[str, int], given: dict[str, int]) -> str:
    before, after = (f"{o['value']:,}{'' if o['value'] == o['bound'] else '*'}" for o in (plain, given))
    share = 100 * (1 - given["value"] / plain["value"])
    return before if before == after else f"{before} -> {after} ({abs(share):.1f} % {'less' if share > 0 else 'more'})"


def main() -> None:
    """Run and write both result files."""
    parser = argument_parser(__doc__, 240.0)
    parser.add_argument(
        "networks", nargs="*", metavar="NAME|FILE.onnx", help=f"of {', '.join(NETWORKS)}, or a model file"
    )
    arguments = parser.parse_args()
    device, results = load_device(arguments.device), dict[str, dict[str, Any]]()
    machine = this_machine()
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name in arguments.networks or NAMES:
        path = model_file(name, arguments.cache)
        network, mine = import_model(path).network, dict[str, Any]()
        roomy, small = (device, device.with_sram(ROOM)), [device.with_sram(s) for s in SIZES]
        cases = {f"least, banks of {format_bytes(d.bank_bytes)}": (d, "sram") for d in roomy}
        cases |= {format_bytes(d.sram_bytes): (d, "traffic") for d in small}
        for size, (used, objective) in cases.items():
            mine[size] = [point(network, used, objective, arguments.seconds, s) for s in (without(network), Switches())]
            print(path.stem, size, json.dumps(mine[size]), flush=True)
        results[path.stem] = mine
        data = {"machine": machine, "device": device.name, "seconds": arguments.seconds, "networks": results}
        (arguments.out / "in_place.json").write_text(json.dumps(data, indent=1) + "\n")
        (arguments.out / "in_place.md").write_text("\n".join(table(results, device, machine)) + "\n")


if __name__ == "__main__":
    main()
