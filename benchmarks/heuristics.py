"""How close the re-implemented heuristics come to what was published: Shortcut Mining's and ShortcutFusion's savings, as planned
and by the originals' own accounting.

    python benchmarks/heuristics.py [--cache DIR] [--out DIR] [--device NAME] [NAME|FILE.onnx ...]

Savings are against the baseline: every group reads each of its inputs and its weights once and writes its output once. Nothing is
compared with a solver here. Writes `heuristics.json` and `heuristics.md`.
"""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

from models import NETWORKS, build_onnx

from sfopt.allocate import Switches
from sfopt.allocate.banks import mine
from sfopt.allocate.cutpoint import plan_by_cuts
from sfopt.allocate.problem import Problem
from sfopt.allocate.shortcut_mining import plan_by_mining
from sfopt.allocate.three_buffers import crossing_bytes, handed_on_bytes
from sfopt.cost import baseline_bytes, baseline_layer_bytes, compulsory_bytes
from sfopt.device import Device, load_device
from sfopt.errors import InfeasibleError
from sfopt.groups import Network
from sfopt.importer import import_model
from sfopt.units import format_bytes

RESULTS = Path(__file__).parent / "results"
SRAM_KIB = (320, 352, 384, 448, 512, 640, 768, 1024, 1536)


def feature_maps(network: Network, moved: dict[str, int]) -> int:
    """The part of the bytes moved per map that is neither network input nor output."""
    return sum(size for m, size in moved.items() if m not in (*network.inputs, *network.outputs))


def mining(network: Network, device: Device) -> dict[str, Any] | None:
    """Feature-map bytes of the plan, and of the original row by row; None where nothing fits."""
    try:
        problem = Problem.build(network, device, Switches())
        choice = plan_by_mining(problem, 0).choice
    except InfeasibleError:
        return None
    planned = {m: problem.map_traffic(m, resident=m in choice.resident) for m in network.maps}
    rows = [mine(problem, outputs_first=first, whole=False) for first in (True, False)]
    by_rows = min(feature_maps(network, {m: mined.bytes_moved(m) for m in network.maps}) for mined in rows)
    return {"sram": device.sram_bytes, "planned": feature_maps(network, planned), "by_rows": by_rows}


def cutting(network: Network, device: Device) -> dict[str, Any] | None:
    """Total bytes of the best cut, and what the original would move more and less."""
    try:
        problem = Problem.build(network, device, Switches())
        cut = plan_by_cuts(problem)
    except InfeasibleError:
        return None
    return {
        "sram": device.sram_bytes,
        "range": [cut.buffers.first, cut.buffers.end],
        "buffers": cut.buffers.sizes,
        "planned": problem.traffic(cut.placed.choice),
        "crossing": crossing_bytes(problem, cut.buffers),
        "handed_on": handed_on_bytes(problem, cut.buffers),
    }


def measure(name: str, network: Network, device: Device) -> dict[str, Any]:
    """Everything about one network."""
    ends = sum(network.maps[m].size_bytes for m in (*network.inputs, *network.outputs))
    touched = {m: once_per_group_bytes(network, m) for m in network.maps}
    found = [mining(network, device.with_sram(kib << 10)) for kib in SRAM_KIB]
    return {
        "network": name,
        "groups": len(network.groups),
        "baseline": baseline_bytes(network),
        "baseline_layer": baseline_layer_bytes(network),
        "compulsory": compulsory_bytes(network),
        "ends": ends,
        "baseline_feature_maps": feature_maps(network, touched),
        "mining": [row for row in found if row is not None],
        "cut": cutting(network, device),
    }


def once_per_group_bytes(network: Network, tensor: str) -> int:
    """Bytes of one map if each group that touches it moves it once."""
    return sum(network.maps[tensor].size_bytes for g in network.groups for m in (*g.reads, *g.writes) if m == tensor)


def less(value: int, base: int) -> str:
    """How much less in percent."""
    return f"{100 - 100 * value / base:.1f} %"


def tables(reports: list[dict[str, Any]]) -> str:
    """Both tables as Markdown."""
    lines = ["| network | feature maps, baseline | SRAM | planned | less | row by row | less |", "|---|" + "---:|" * 6]
    for r in reports:
        base = r["baseline_feature_maps"]
        for row in r["mining"]:
            cells = [r["network"], str(base), format_bytes(row["sram"])]
            cells += [str(row["planned"]), less(row["planned"], base), str(row["by_rows"]), less(row["by_rows"], base)]
            lines.append("| " + " | ".join(cells) + " |")
    heads = (
        "network",
        "SRAM",
        "frame mode",
        "baseline",
        "planned",
        "less",
        "of layers",
        "compulsory",
        "original more",
        "less",
    )
    lines += ["", "| " + " | ".join(heads) + " |", "|---|" + "---:|" * (len(heads) - 1)]
    for r in reports:
        if (c := r["cut"]) is not None:
            cells = [r["network"], format_bytes(c["sram"]), f"{c['range'][0]}..{c['range'][1] - 1} of {r['groups']}"]
            cells += [str(r["baseline"]), str(c["planned"]), less(c["planned"], r["baseline"])]
            cells += [
                less(c["planned"], r["baseline_layer"]),
                str(r["compulsory"]),
                str(c["crossing"]),
                str(c["handed_on"]),
            ]
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure the networks named, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", default=list(NETWORKS))
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "sfopt-networks")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--device", default="kcu1500")
    arguments = parser.parse_args()
    reports = list[dict[str, Any]]()
    for name in arguments.networks:
        path = Path(name) if name.endswith(".onnx") else build_onnx(name, arguments.cache)
        network = import_model(path, None, seed=0).network
        reports.append(measure(path.stem, network, load_device(arguments.device)))
        print(path.stem, "done", flush=True)
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "heuristics.json").write_text(json.dumps(reports, indent=1) + "\n", encoding="utf-8")
    (arguments.out / "heuristics.md").write_text(tables(reports), encoding="utf-8")
    print(tables(reports))


if __name__ == "__main__":
    main()
