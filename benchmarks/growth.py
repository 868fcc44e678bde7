"""How planning time grows with the number of groups: ResNet-50, -101, -152, then residual chains of 300, 600 and 1,200 groups.

    python benchmarks/growth.py [--cache DIR] [--out DIR] [--device NAME] [--sram SIZE ...] [--seconds S] [NAME|FILE.onnx ...]

Each plan is searched in a process of its own, passes the checker, and is timed from the imported network to the plan. Writes
`growth.json` and `growth.md`.
"""

import json
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from common import argument_parser, model_file, this_machine
from planner import planned

from sfopt.device import Device, load_device
from sfopt.importer import import_model
from sfopt.units import format_bytes, parse_size

NAMES = ("resnet50", "resnet101", "resnet152", "chain_300", "chain_600", "chain_1200")


def measure(path: Path, device: Device, seconds: float) -> dict[str, Any]:
    """One network on one device."""
    network = import_model(path).network
    found = planned(network, device, "optimal", seconds)
    if found is None:
        raise SystemExit(f"{path.stem} has no plan in {format_bytes(device.sram_bytes)}")
    return {"network": path.stem, "groups": len(network.groups), "sram": device.sram_bytes, **found}


def page(rows: list[dict[str, Any]], machine: str) -> str:
    """The Markdown table."""
    lines = ["# Planning time and the number of groups", "", f"Measured on {machine}; one process, one worker.", ""]
    lines += [
        "| network | groups | scratchpad | seconds | ms a group | status | traffic | joined groups |",
        "|" + "---|" * 8,
    ]
    lines += [
        f"| {r['network']} | {r['groups']} | {format_bytes(r['sram'])} | {r['seconds']} | {1000 * r['seconds'] / r['groups']:.0f} "
        f"| {r['status']} | {r['traffic']:,} | {r['grouped']} |"
        for r in rows
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run and write both result files, after every plan."""
    parser = argument_parser(__doc__, 120.0)
    parser.add_argument("networks", nargs="*", metavar="NAME|FILE.onnx")
    parser.add_argument("--sram", nargs="*", default=["1M", "6M"])
    arguments = parser.parse_args()
    machine = this_machine()
    rows = list[dict[str, Any]]()
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name in arguments.networks or NAMES:
        path = model_file(name, arguments.cache)
        for size in arguments.sram:
            device = load_device(arguments.device).with_sram(parse_size(size))
            with ProcessPoolExecutor(1, get_context("spawn")) as alone:
                rows.append(alone.submit(measure, path, device, arguments.seconds).result())
            print(json.dumps(rows[-1]), flush=True)
            data = {"machine": machine, "device": arguments.device, "plans": rows}
            (arguments.out / "growth.json").write_text(json.dumps(data, indent=1) + "\n")
            (arguments.out / "growth.md").write_text(page(rows, machine))


if __name__ == "__main__":
    main()
