"""The named networks through import alone: groups, MACs, constants, what stays on the host, time and memory.

    python benchmarks/imports.py [--cache DIR] [--out DIR] [NAME ...]

Each network runs in a process of its own; the time is that of reading, rewriting, calibrating, quantising and grouping, the memory
the process's peak. TensorFlow's conversion happens before and is not timed. With --int8 DIR the integer model that import ends with
is kept there, read again and compared. Writes `imports.json` and `imports.md`; networks that are not named keep their old lines.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from models import NETWORKS, build_onnx

from sfopt import cost
from sfopt.groups import Kind, Network, network_fingerprint
from sfopt.importer import import_model
from sfopt.report import host_ops

RESULTS = Path(__file__).parent / "results"


def measure(model: Path, int8: Path | None) -> dict[str, Any]:
    """Import `model` here and now."""
    start, started = time.perf_counter(), time.process_time()
    imported = import_model(model)
    seconds, busy = time.perf_counter() - start, time.process_time() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    network = imported.network
    facts = {
        "groups": len(network.groups),
        "macs": sum(cost.group_macs(network, g) for g in network.groups),
        "constant_bytes": cost.constant_bytes(network),
        "host_groups": sum(g.kind is Kind.HOST for g in network.groups),
        "host_ops_inside": _inside(network),
        "host_ops_at_ends": dict(Counter(op["op"] for op in host_ops(network)) - Counter(_inside(network))),
        "import_s": round(seconds, 2),
        "import_cpu_s": round(busy, 2),
        "peak_memory_bytes": peak,
        "notes": [*imported.normalised.notes, *network.graph.notes],
    }
    return facts if int8 is None else {**facts, "again": _again(network, int8 / model.name)}


def _inside(network: Network) -> dict[str, int]:
    """Host operators between accelerator groups, by type."""
    return dict(Counter(network.graph.ops_by_name[n].op_type for g in network.groups for n in g.host_ops))


def _again(network: Network, path: Path) -> dict[str, Any]:
    from sfopt_ort import model_bytes  # noqa: PLC0415 - only where it is asked for

    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model_bytes(network.graph))
    start = time.perf_counter()
    other = import_model(path).network
    same = network_fingerprint(other) == network_fingerprint(network)
    return {"import_s": round(time.perf_counter() - start, 2), "same_network": same, "size_bytes": path.stat().st_size}


def run(model: Path, int8: Path | None) -> dict[str, Any]:
    """`measure` in a process of its own."""
    command = [sys.executable, __file__, "--measure", str(model), *(["--int8", str(int8)] if int8 else [])]
    result = subprocess.run(command, check=False, capture_output=True, text=True)
    if result.returncode:
        raise SystemExit(f"{model.name}: {result.stderr.strip().splitlines()[-1]}")
    return json.loads(result.stdout)  # type: ignore[no-any-return]


def row(name: str, facts: dict[str, Any]) -> list[str]:
    """One line of the table."""
    inside = ", ".join(f"{n} {op}" for op, n in facts["host_ops_inside"].items())
    return [
        name, str(facts["groups"]), f"{facts['macs'] / 1e6:.0f}", str(facts["constant_bytes"]), inside or "none",
        f"{facts['import_s']:.1f}", f"{facts['import_cpu_s']:.1f}", f"{facts['peak_memory_bytes'] / 2**30:.2f}",
    ]  # fmt: skip


COLUMNS = ("network", "groups", "MMAC", "constants, bytes", "host operators inside", "import s", "of CPU", "GiB")


def main() -> None:
    """Run and write both result files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NETWORKS)}; all by default")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--int8", type=Path, metavar="DIR")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "sfopt-networks")
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(arguments.measure, arguments.int8)))
        return
    file = arguments.out / "imports.json"
    facts = json.loads(file.read_text())["networks"] if arguments.names and file.exists() else {}
    for name in arguments.names or NETWORKS:
        facts[name] = run(build_onnx(name, arguments.cache), arguments.int8)
        print(" | ".join(row(name, facts[name])), facts[name].get("again", ""), flush=True)
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    lines = [f"Import of the named networks, measured on {machine}.", "", f"| {' | '.join(COLUMNS)} |"]
    lines += [f"|{'---|' * len(COLUMNS)}", *(f"| {' | '.join(row(n, facts[n]))} |" for n in NETWORKS if n in facts)]
    arguments.out.mkdir(parents=True, exist_ok=True)
    kept = {n: {k: v for k, v in facts[n].items() if k != "again"} for n in NETWORKS if n in facts}
    file.write_text(json.dumps({"machine": machine, "networks": kept}, indent=1) + "\n")
    (arguments.out / "imports.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
