"""Random networks through the whole flow: what they were made of, what the planner chose for them, and how many elements differ.

    SFOPT_FUZZ_RECORDS=DIR python benchmarks/fuzz.py [--seeds N] [--workers N] [--out DIR]

Runs the nightly tests of `tests/test_fuzz.py` whose seeds have no record in DIR yet, then counts the records; so a run that was
stopped goes on where it was, and `make nightly`, which has run the tests before, only counts. Without the variable the records go
to `build/fuzz`. Writes `fuzz.json` and `fuzz.md`; fails if a network failed.
"""

import argparse
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from common import RESULTS, this_machine

ROOT = Path(__file__).parent.parent
FIRST_SEED = 100
BLOCK = 200
"""Tests of one run of pytest."""


def run_missing(folder: Path, seeds: range, workers: int) -> None:
    """Run the tests of the seeds that have no record."""
    missing = [seed for seed in seeds if not (folder / f"{seed}.json").exists()]
    for start in range(0, len(missing), BLOCK):
        names = [f"tests/test_fuzz.py::test_network_nightly[{seed}]" for seed in missing[start : start + BLOCK]]
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-m",
            "nightly",
            "-n",
            str(workers),
            "-p",
            "no:cacheprovider",
            *names,
        ]
        subprocess.run(command, cwd=ROOT, env={**os.environ, "SFOPT_FUZZ_RECORDS": str(folder)}, check=False)


def count(records: list[dict[str, Any]], missing: list[int]) -> dict[str, Any]:
    """Totals over all records."""
    devices = Counter(f"{r['device']['lanes_in']} x {r['device']['lanes_out']}" for r in records)
    return {
        "networks": len(records),
        "without_record": missing,
        "elements": sum(r["elements"] for r in records),
        "mismatches": sum(r["mismatches"] for r in records),
        "groups": sum(r["groups"] for r in records),
        "outcomes": {
            "ran in the scratchpad it was given": sum(not r["enlarged"] for r in records),
            "refused, then ran in the scratchpad that the message asked for": sum(r["enlarged"] > 0 for r in records),
            "with operators on the host, as the generator meant": sum(bool(r["host"]) for r in records),
        },
        "methods": dict(Counter(r["method"] for r in records).most_common()),
        "objectives": dict(Counter(r["objective"] for r in records if r["method"] == "optimal").most_common()),
        "lanes": dict(devices.most_common()),
        "features": dict(Counter(name for r in records for name in r["features"]).most_common()),
        "plans": dict(Counter(name for r in records for name in r["plan"]).most_common()),
        "host": dict(Counter(name for r in records for name in r["host"]).most_common()),
    }


TITLES = {
    "outcomes": "What became of them", "features": "Networks with", "plans": "Plans with", "methods": "Methods",
    "objectives": "Objectives of `optimal`", "lanes": "Lanes in x out", "host": "Networks with these operators on the host",
}  # fmt: skip


def page(counted: dict[str, Any], machine: str) -> str:
    """The Markdown page."""
    missing = len(counted["without_record"])
    lines = [
        "# Random networks",
        "",
        f"{counted['networks']} networks of {counted['groups']:,} groups on {machine}.",
        f"{counted['mismatches']} of {counted['elements']:,} elements differ from ONNX Runtime.",
        f"Seeds that were not run, or failed: {missing}.",
    ]
    for key, title in TITLES.items():
        lines += ["", f"## {title}", "", "| | networks |", "|---|---|"]
        lines += [f"| {name} | {number} |" for name, number in counted[key].items()]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run, count, and write both result files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=2000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--count-only", action="store_true", help="count the records that there are")
    arguments = parser.parse_args()
    folder = Path(os.environ.get("SFOPT_FUZZ_RECORDS", ROOT / "build" / "fuzz"))
    seeds = range(FIRST_SEED, FIRST_SEED + arguments.seeds)
    if not arguments.count_only:
        run_missing(folder, seeds, arguments.workers)
    found = {seed: folder / f"{seed}.json" for seed in seeds}
    records = [json.loads(path.read_text()) for path in found.values() if path.exists()]
    missing = [seed for seed, path in found.items() if not path.exists()]
    counted = count(records, missing)
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "fuzz.json").write_text(json.dumps({"machine": this_machine(), **counted}, indent=1) + "\n")
    (arguments.out / "fuzz.md").write_text(page(counted, this_machine()))
    if counted["mismatches"] or (missing and not arguments.count_only):
        raise SystemExit(f"{counted['mismatches']} mismatches; seeds that failed: {missing}")


if __name__ == "__main__":
    main()
