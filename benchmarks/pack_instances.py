"""`sfopt pack` on interval instances: time, status and peak, and on MiniMalloc's own the times of MiniMalloc.

    python benchmarks/pack_instances.py [--instances DIR] [--out DIR]

DIR holds files `NAME.CAPACITY.csv`: the ones that MiniMalloc publishes (https://github.com/google/minimalloc, folder
`benchmarks/challenging`) or any others. Each is packed below its capacity, with several seeds, because luck is part of the time,
and then minimised. Puzzles are generated beside them: rectangles cut at random, which fit without a byte to spare. Writes
`pack.json` and `pack.md`; without `--instances` the puzzles are only printed.
"""

import argparse
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sfopt.allocate.packing import pack
from sfopt.check_packing import check_packing
from sfopt.errors import TimeLimitError
from sfopt.interval import Interval, read_intervals

RESULTS = Path(__file__).parent / "results"

MINIMALLOC_S = {"A": 4.8, "B": 3.5, "C": 0.7, "D": 2.5, "E": 3.4, "F": 4.9}
"""MiniMalloc's wall times on its own instances, built from source, on a machine with 2 cores."""

PUZZLES = ((50, 20), (100, 30), (150, 40), (200, 50))
"""Pieces and times of the generated puzzles; their capacity is `PUZZLE_BYTES`."""

PUZZLE_BYTES = 1 << 20


def cut_rectangle(rng: random.Random, pieces: int, times: int) -> list[Interval]:
    """A rectangle of `times` by `PUZZLE_BYTES` cut in two, a random piece cut in two, and so on, at multiples of 1 KiB."""
    unit = 1024
    parts = [(0, times, PUZZLE_BYTES // unit)]
    while len(parts) < pieces:
        index = rng.choices(range(len(parts)), [(upper - lower) * size for lower, upper, size in parts])[0]
        lower, upper, size = parts[index]
        if rng.random() < 0.5 and upper - lower > 1:
            cut = rng.randrange(lower + 1, upper)
            parts[index : index + 1] = [(lower, cut, size), (cut, upper, size)]
        elif size > 1:
            cut = rng.randrange(1, size)
            parts[index : index + 1] = [(lower, upper, cut), (lower, upper, size - cut)]
    return [Interval(str(k), lower, upper, size * unit) for k, (lower, upper, size) in enumerate(parts)]


def measure(
    intervals: Sequence[Interval], capacity_bytes: int | None, time_limit_s: float, seed: int, *, minimize: bool = False
) -> dict[str, Any]:
    """Time and outcome of one packing, which is checked."""
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    outcome: dict[str, Any] = {"status": "undecided", "peak_bytes": None, "bound_bytes": None}
    try:
        packing = pack(intervals, capacity_bytes, minimize=minimize, time_limit_s=time_limit_s, seed=seed)
        check_packing(intervals, packing.offsets, packing.peak_bytes if capacity_bytes is None else capacity_bytes)
        outcome = {"status": packing.status, "peak_bytes": packing.peak_bytes, "bound_bytes": packing.bound_bytes}
    except TimeLimitError:
        pass
    wall_s, cpu_s = time.perf_counter() - wall_s, time.process_time() - cpu_s
    return {**outcome, "wall_s": round(wall_s, 2), "cpu_s": round(cpu_s, 2)}


def command_wall_s(path: Path, capacity_bytes: int, time_limit_s: float) -> float:
    """Wall time of the command as a process of its own, the start of Python and its imports included."""
    command = [sys.executable, "-c", "from sfopt.cli import main; main()", "pack", path, "--capacity", capacity_bytes]
    start = time.perf_counter()
    subprocess.run([*map(str, command), "--time-limit", str(time_limit_s)], capture_output=True, check=False)
    return round(time.perf_counter() - start, 2)


def study(
    name: str, source: Path | tuple[Interval, ...], capacity_bytes: int, limits: argparse.Namespace
) -> dict[str, Any]:
    """An instance below its capacity with each seed, and at its least peak with the first."""
    intervals = read_intervals(source) if isinstance(source, Path) else source
    within = [measure(intervals, capacity_bytes, limits.time_limit, seed) for seed in range(limits.seeds)]
    least = measure(intervals, None, limits.minimize_limit, 0, minimize=True) if limits.minimize_limit else None
    return {
        "name": name,
        "intervals": len(intervals),
        "capacity_bytes": capacity_bytes,
        "minimalloc_s": MINIMALLOC_S.get(name) if capacity_bytes == 1 << 20 else None,
        "within_capacity": within,
        "command_wall_s": command_wall_s(source, capacity_bytes, limits.time_limit)
        if isinstance(source, Path)
        else None,
        "minimized": least,
    }


def row(result: dict[str, Any]) -> list[str]:
    """One line of the table."""
    runs, least = result["within_capacity"], result["minimized"]
    cpu_s = [run["cpu_s"] for run in runs]
    solved = sum(run["peak_bytes"] is not None for run in runs)
    minimized = [least[key] for key in ("peak_bytes", "bound_bytes", "status", "cpu_s")] if least else [None] * 4
    cells = [
        result["name"],
        result["intervals"],
        result["capacity_bytes"],
        f"{solved} of {len(runs)}",
        f"{runs[0]['wall_s']:.2f}",
        f"{cpu_s[0]:.2f}",
        f"{statistics.mean(cpu_s):.2f}",
        f"{max(cpu_s):.2f}",
        result["command_wall_s"],
        result["minimalloc_s"],
        *minimized,
    ]
    return ["" if cell is None else str(cell) for cell in cells]


COLUMNS = (
    "instance", "intervals", "capacity", "solved", "wall s (seed 0)", "CPU s (seed 0)", "CPU s (mean)", "CPU s (most)",
    "command, wall s", "MiniMalloc s", "least peak found", "bound", "status", "CPU s (minimise)",
)  # fmt: skip


def total(results: Sequence[dict[str, Any]]) -> str:
    """The sums over the instances that MiniMalloc's times are known for."""
    known = [result for result in results if result["minimalloc_s"] is not None]
    by_seed = [sum(run["cpu_s"] for run in runs) for runs in zip(*(r["within_capacity"] for r in known), strict=True)]
    wall_s = sum(result["within_capacity"][0]["wall_s"] for result in known)
    commands_s = sum(result["command_wall_s"] for result in known)
    solved = sum(run["peak_bytes"] is not None for result in known for run in result["within_capacity"])
    return (
        f"The {len(known)} instances with MiniMalloc's times: {solved} of {len(known) * len(by_seed)} runs solved. "
        f"Wall time {wall_s:.1f} s with seed 0, {commands_s:.1f} s as commands, with the start of Python each time. "
        f"CPU time {by_seed[0]:.1f} s with seed 0, {statistics.mean(by_seed):.1f} s on average, {max(by_seed):.1f} s at worst. "
        f"MiniMalloc {sum(result['minimalloc_s'] for result in known):.1f} s."
    )


def main() -> None:
    """Run and, given instances, write both result files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--instances", type=Path, metavar="DIR")
    parser.add_argument("--out", type=Path, default=RESULTS, metavar="DIR")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--time-limit", type=float, default=30, help="seconds a packing")
    parser.add_argument("--minimize-limit", type=float, default=30, help="seconds a minimisation; 0 leaves them out")
    arguments = parser.parse_args()
    instances: list[tuple[str, Path | tuple[Interval, ...], int]] = [
        (path.name.split(".")[0], path, int(path.name.split(".")[-2]))
        for path in sorted(arguments.instances.glob("*.*.csv") if arguments.instances else ())
    ]
    instances += [
        (f"puzzle {pieces}", tuple(cut_rectangle(random.Random(pieces), pieces, times)), PUZZLE_BYTES)
        for pieces, times in PUZZLES
    ]
    results = []
    for name, source, capacity_bytes in instances:
        results.append(study(name, source, capacity_bytes, arguments))
        print(" | ".join(row(results[-1])), flush=True)
    if not arguments.instances:
        return
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    lines = [f"`sfopt pack`, sizes in bytes, one thread. Measured on {machine}.", "", total(results), ""]
    lines += [f"| {' | '.join(COLUMNS)} |", f"|{'---|' * len(COLUMNS)}"]
    lines += [f"| {' | '.join(row(result))} |" for result in results]
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "pack.json").write_text(json.dumps({"machine": machine, "instances": results}, indent=1) + "\n")
    (arguments.out / "pack.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
