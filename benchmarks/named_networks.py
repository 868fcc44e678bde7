"""The named networks through the whole flow: traffic, proof, equivalence, time and memory.

    python benchmarks/named_networks.py [--cache DIR] [--out DIR] [NAME ...]

Each network runs in a process of its own, whose wall time and peak memory are the operating system's figures. TensorFlow's
conversion happens before and is not timed. Writes `networks.json` and `networks.md`.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from common import argument_parser, this_machine
from models import NETWORKS, build_onnx

NAMES = ("digits", "light_resnet50", "mobilenet_v2", "efficientnet_b0", "resnet50")


def build(name: str, cache: Path) -> Path:
    """`build_onnx` in another process: Linux counts the peak of a process as its children's too, and TensorFlow's is high."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(build_onnx, name, cache).result()


def run(model: Path, device: str) -> dict[str, Any]:
    """One `sfopt optimize --json`; its report with `wall_s` and `peak_memory_bytes` added."""
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as output:
        command = [
            Path(sys.executable).with_name("sfopt"),
            "optimize",
            model,
            "--device",
            device,
            "--json",
            "--out",
            f"{folder}/o",
        ]
        start = time.perf_counter()
        process = subprocess.Popen(list(map(str, command)), stdout=output, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"{model.name}: sfopt ended with exit code {process.returncode}")
        output.seek(0)
        report: dict[str, Any] = json.load(output)
    return {**report, "wall_s": round(wall, 2), "peak_memory_bytes": usage.ru_maxrss * 1024}


def row(name: str, report: dict[str, Any]) -> list[str]:
    """One line of the table."""
    dram, solver, equal = report["dram_bytes"], report["solver"], report["equivalence"]
    planned = dram["planned"]
    return [
        name,
        str(report["model"]["groups"]),
        f"{report['model']['macs'] / 1e6:.0f}",
        str(dram["baseline"]),
        str(dram["compulsory"]),
        str(planned["total"] - planned["program"]),
        str(planned["program"]),
        "yes" if planned == dram["simulated"] else "NO",
        str(solver["status"]),
        str(report["sram"]["peak"]),
        f"{equal['mismatches']} of {equal['elements']}",
        f"{report['latency_ms']:.3f}",
        f"{100 * report['cycles']['mac_efficiency']:.1f} %",
        f"{solver['seconds']:.1f}",
        f"{report['wall_s']:.1f}",
        f"{report['peak_memory_bytes'] / 2**30:.2f}",
    ]


COLUMNS = (
    "network", "groups", "MMAC", "baseline", "compulsory", "planned", "program", "planned = simulated", "status", "SRAM peak",
    "mismatches", "latency ms", "MAC efficiency", "solver s", "wall s", "GiB",
)  # fmt: skip


def main() -> None:
    """Run and write both result files."""
    parser = argument_parser(__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"of {', '.join(NETWORKS)}; {', '.join(NAMES)} by default"
    )
    arguments = parser.parse_args()
    reports = {}
    for name in arguments.names or NAMES:
        reports[name] = run(build(name, arguments.cache), arguments.device)
        print(" | ".join(row(name, reports[name])), flush=True)
    machine = this_machine()
    lines = [f"Networks on `{arguments.device}`, bytes unless said otherwise. Measured on {machine}.", ""]
    lines += [f"| {' | '.join(COLUMNS)} |", f"|{'---|' * len(COLUMNS)}"]
    lines += [f"| {' | '.join(row(name, report))} |" for name, report in reports.items()]
    arguments.out.mkdir(parents=True, exist_ok=True)
    kept = {n: {k: v for k, v in r.items() if k not in ("segments", "notes", "warnings")} for n, r in reports.items()}
    (arguments.out / "networks.json").write_text(json.dumps({"machine": machine, "networks": kept}, indent=1) + "\n")
    (arguments.out / "networks.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
