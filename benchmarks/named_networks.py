"""The named networks through the whole flow: traffic, proof, equivalence, time and memory.

    python benchmarks/named_networks.py [--cache DIR] [--out DIR] [NAME ...]

Each network runs in a process of its own, whose wall time and peak memory are the operating system's figures. TensorFlow's
conversion happens before and is not timed. Writes `networks.json` and `networks.md` anew behind each network, so a run that is
stopped leaves what it has. Fails at the end if a network did.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from common import argument_parser, this_machine
from models import NETWORKS, build_onnx

NAMES = tuple(name for name in NETWORKS if not name.startswith("chain_"))


def build(name: str, cache: Path) -> Path:
    """`build_onnx` in another process: Linux counts the peak of a process as its children's too, and TensorFlow's is high."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(build_onnx, name, cache).result()


def run(model: Path, device: str) -> dict[str, Any] | None:
    """One `sfopt optimize --json`; its report with `wall_s` and `peak_memory_bytes` added, None if it fails."""
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
            print(f"{model.name}: sfopt ended with exit code {process.returncode}", flush=True)
            return None
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
        str(report["model"]["weight_bytes"]),
        str(dram["baseline"]),
        str(dram["compulsory"]),
        str(planned["total"] - planned["program"]),
        str(planned["program"]),
        "yes" if planned == dram["simulated"] else "NO",
        str(solver["status"]),
        str(report["sram"]["peak"]),
        f"{equal['mismatches']} of {equal['elements']}",
        str(report["cycles"]["total"]),
        f"{report['latency_ms']:.3f}",
        f"{100 * report['cycles']['mac_efficiency']:.1f} %",
        f"{solver['seconds']:.1f}",
        f"{report['wall_s']:.1f}",
        f"{report['peak_memory_bytes'] / 2**30:.2f}",
        hosted(report),
    ]


def hosted(report: dict[str, Any]) -> str:
    """What the host runs beside conversions between float and int8, and why."""
    ops = Counter((op["op"], op["reason"]) for op in report["host_ops"] if op["op"] not in BOUNDARY)
    return "; ".join(f"{count} {op}: {reason}" for (op, reason), count in ops.items()) or "none"


BOUNDARY = ("QuantizeLinear", "DequantizeLinear")
COLUMNS = (
    "network", "groups", "MMAC", "constants", "baseline", "compulsory", "planned", "program", "planned = simulated", "status",
    "SRAM peak", "mismatches", "cycles", "latency ms", "MAC efficiency", "solver s", "wall s", "GiB", "on the host",
)  # fmt: skip


def main() -> None:
    """Run and write both result files."""
    parser = argument_parser(__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"by default all: {', '.join(NAMES)}")
    arguments = parser.parse_args()
    reports, failed = dict[str, dict[str, Any]](), list[str]()
    for name in arguments.names or NAMES:
        report = run(build(name, arguments.cache), arguments.device)
        if report is None:
            failed.append(name)
            continue
        reports[name] = report
        print(" | ".join(row(name, report)), flush=True)
        write(reports, arguments.device, arguments.out)
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}")


def write(reports: Mapping[str, dict[str, Any]], device: str, out: Path) -> None:
    """Both result files."""
    machine = this_machine()
    lines = [f"Networks on `{device}`, bytes unless said otherwise. Measured on {machine}.", ""]
    lines += [f"| {' | '.join(COLUMNS)} |", f"|{'---|' * len(COLUMNS)}"]
    lines += [f"| {' | '.join(row(name, report))} |" for name, report in reports.items()]
    out.mkdir(parents=True, exist_ok=True)
    kept = {n: {k: v for k, v in r.items() if k not in ("segments", "notes", "warnings")} for n, r in reports.items()}
    (out / "networks.json").write_text(json.dumps({"machine": machine, "networks": kept}, indent=1) + "\n")
    (out / "networks.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
