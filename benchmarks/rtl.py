"""Whole networks on the RTL, against the simulator and its timing model; and how fast Verilator runs them.

    python benchmarks/rtl.py [--cache DIR] [--out DIR] [NETWORK:DEVICE ...]

Each network is planned, emitted, simulated and compared with ONNX Runtime, then its program file runs on the Verilated RTL behind
the simulated DRAM. Outputs and the bytes of every tensor must be the simulator's, or the script stops. Building the model, once
for a device, is not in the rate. Last, the timing model's MAC efficiency of YOLOv3's convolutions on `kcu1500`.
Writes `rtl.json` and `rtl.md`.
"""

import json
import time
from pathlib import Path
from typing import Any

from common import argument_parser, model_file, this_machine

from sfopt import cost
from sfopt.check.view import View
from sfopt.device import load_device
from sfopt.execute import accelerator_inputs, random_feeds
from sfopt.groups import Kind
from sfopt.hardware import run_hardware
from sfopt.pipeline import Options, Result, optimize
from sfopt_fpga.rtl_build import build_library

CASES = ("digits:sim8", "resnet20:sim16", "mobilenet_v2_035:sim16", "resnet50:kcu1500")
YOLO = ("yolov3", "kcu1500")
PUBLISHED = {"ShortcutFusion": 0.684, "ShortcutFusion++": 0.8095}
"""YOLOv3 at 416, as published."""


def planned(name: str, device: str, cache: Path, *, verify: bool) -> Result:
    """The whole flow on one network."""
    return optimize(model_file(name, cache), Options(load_device(device), verify=verify))


def run(name: str, device: str, cache: Path) -> dict[str, Any]:
    """One network on one device. Raises what the comparisons raise."""
    result = planned(name, device, cache, verify=True)
    assert result.verification is not None
    simulated = result.verification.execution
    start = time.perf_counter()
    build_library(result.options.device)
    built = time.perf_counter() - start
    network = result.imported.network
    inputs = accelerator_inputs(network, random_feeds(result.imported.network.graph, result.options.seed))
    start = time.perf_counter()
    hardware = run_hardware(result.compiled, inputs, simulated)
    seconds = time.perf_counter() - start
    cycles = hardware.execution.cycles
    assert cycles is not None
    assert simulated.cycles is not None
    return {
        "network": Path(name).stem,
        "device": device,
        "groups": len(network.groups),
        "macs": sum(cost.group_macs(network, g) for g in network.groups),
        "model_cycles": simulated.cycles,
        "rtl_cycles": cycles,
        "busy": {"model": dict(simulated.busy_cycles or {}), "rtl": dict(hardware.execution.busy_cycles or {})},
        "dram_bytes": hardware.traffic.total,
        "elements": hardware.equivalence.elements,
        "build_s": round(built, 1),
        "run_s": round(seconds, 2),
        "cycles_per_s": round(cycles / seconds),
    }


def convolution_efficiency(name: str, device: str, cache: Path) -> dict[str, Any]:
    """MACs of the convolutions over what the array could do in the cycles that their COMPUTEs take, as planned."""
    result = planned(name, device, cache, verify=False)
    network, board = result.imported.network, result.options.device
    view = View(result.plan, network, board)
    cycles = macs = 0
    for step, segment, groups in view.segments:
        for group in (g for g in groups if g.kind is Kind.CONV):
            tile = segment.run(group.index).channel_tile
            rows, folded = view.run_rows(step, group), view.folded(step, group)
            cycles += cost.group_cycles(network, group, board, rows, segment.bands, tile, folded=folded)
            macs += cost.group_macs(network, group)
    lanes = board.lanes_in * board.lanes_out
    return {
        "network": Path(name).stem,
        "device": device,
        "macs": macs,
        "cycles": cycles,
        "efficiency": macs / lanes / cycles,
    }


def table(rows: list[dict[str, Any]], efficiency: dict[str, Any], machine: str) -> str:
    """The page."""
    head = (
        "network", "device", "groups", "MMAC", "model cycles", "RTL cycles", "RTL / model", "outputs and bytes of every tensor",
        "build s", "run s", "simulated cycles a second",
    )  # fmt: skip
    lines = [f"Whole networks on the Verilated RTL. Measured on {machine}.", "", f"| {' | '.join(head)} |"]
    lines.append(f"|{'---|' * len(head)}")
    for r in rows:
        cells = (
            r["network"], r["device"], r["groups"], f"{r['macs'] / 1e6:.1f}", r["model_cycles"], r["rtl_cycles"],
            f"{r['rtl_cycles'] / r['model_cycles']:.4f}", f"equal ({r['elements']} elements, {r['dram_bytes']} bytes)",
            r["build_s"], r["run_s"], r["cycles_per_s"],
        )  # fmt: skip
        lines.append(f"| {' | '.join(map(str, cells))} |")
    published = ", ".join(f"{name} {value:.2%}" for name, value in PUBLISHED.items())
    found = f"**{efficiency['efficiency']:.2%}** ({efficiency['macs']} MACs in {efficiency['cycles']} cycles)"
    subject = f"MAC efficiency of the convolutions of {efficiency['network']} on `{efficiency['device']}`"
    lines += ["", f"{subject}, by the timing model: {found}. Published: {published}.", ""]
    return "\n".join(lines)


def main() -> None:
    """Run and write both result files."""
    parser = argument_parser(__doc__)
    parser.add_argument("cases", nargs="*", metavar="NETWORK:DEVICE", help=f"by default {' '.join(CASES)}")
    parser.add_argument("--yolo", default=YOLO[0], help="network or file whose MAC efficiency is reported")
    arguments = parser.parse_args()
    rows = []
    for case in arguments.cases or CASES:
        rows.append(run(*case.rsplit(":", 1), arguments.cache))
        print(json.dumps(rows[-1]), flush=True)
    efficiency = convolution_efficiency(arguments.yolo, YOLO[1], arguments.cache)
    print(json.dumps(efficiency))
    machine = this_machine()
    arguments.out.mkdir(parents=True, exist_ok=True)
    content = {"machine": machine, "networks": rows, "efficiency": efficiency}
    (arguments.out / "rtl.json").write_text(json.dumps(content, indent=1) + "\n")
    (arguments.out / "rtl.md").write_text(table(rows, efficiency, machine))


if __name__ == "__main__":
    main()
