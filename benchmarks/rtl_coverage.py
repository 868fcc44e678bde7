"""Coverage of the RTL by its tests: lines, branches and toggles of each module, and why the rest is not covered.

    python benchmarks/rtl_coverage.py [--out DIR] [--data DIR]

Runs a part of the RTL tests on builds that collect coverage, and merges what they leave. What is not covered is looked up in
`hw/tb/uncovered.toml`; a pattern there that matches nothing any more fails the script. Writes `rtl_coverage.json` and
`rtl_coverage.md`. With `--data`, `.dat` files that lie in DIR are reported on, and no test is run.
"""

import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

from common import argument_parser, this_machine
from hdl_coverage import Coverage, Sorted, explain, page, read_reasons
from hdl_coverage.page import compressed, figures_of

ROOT = Path(__file__).parents[1]
RTL = ROOT / "hw" / "rtl"
REASONS = ROOT / "hw" / "tb" / "uncovered.toml"
RUNS = (
    "tests/test_rtl_compute.py -m 'not nightly and not slow'",
    "tests/test_rtl_compute.py -k 'large_sizes or words_wider'",
    "tests/test_rtl_machine.py tests/test_rtl_sequencer.py -m 'not nightly' -k 'not memories_hold'",
    "tests/test_rtl_sequencer.py -k 'longest_program and instruction'",
    "tests/test_rtl_errors.py -k 'not (error_and_recovery and 30)'",
    "tests/test_rtl_networks.py -m 'not nightly' -k onnxruntime_s_outputs",
    "tests/test_rtl_transfer.py -k '(8-8 or faults) and not lint'",
    "tests/test_rtl_scratchpad.py -k 'traffic and 8-8-16'",
    "tests/test_rtl_arithmetic.py -k 'not lint and not 16'",
)
"""What pytest is told: enough to reach what the tests reach, no more repetitions of it than needed."""
POLL_S = 2.0


@cache
def source_lines(module: str) -> list[str]:
    """Of a file of `hw/rtl`."""
    return (RTL / f"{module}.sv").read_text().splitlines()


def source(module: str, line: int) -> str:
    """The text of a line."""
    return source_lines(module)[line - 1]


def take(folder: Path, coverage: Coverage, *, keep: bool) -> None:
    """Merge the files that are whole."""
    for file in sorted(folder.glob("*.dat")):
        coverage.add(file.read_text(encoding="latin-1"))
        if not keep:
            file.unlink()


def run_tests(coverage: Coverage) -> None:
    """Run pytest on each of RUNS. Raises CalledProcessError for a test that fails."""
    for run in RUNS:
        with tempfile.TemporaryDirectory() as name:
            command = [
                sys.executable,
                "-m",
                "pytest",
                "-q",
                "-o",
                "addopts=",
                "-p",
                "no:cacheprovider",
                *shlex.split(run),
            ]
            environment = {**os.environ, "SFOPT_RTL_COVERAGE": name}
            with subprocess.Popen(command, cwd=ROOT, env=environment) as tests:
                while tests.poll() is None:
                    time.sleep(POLL_S)
                    take(Path(name), coverage, keep=False)
            if tests.returncode:
                raise subprocess.CalledProcessError(tests.returncode, command)
            take(Path(name), coverage, keep=False)


def content(coverage: Coverage, found: Sorted) -> dict[str, Any]:
    """Figures by module, uncovered signals and lines by reason."""
    names = ("lines", "branches", "toggles")
    modules = {m: dict(zip(names, figures_of(coverage, m), strict=True)) for m in coverage.modules}
    explained = [
        {
            "reason": reason.reason,
            "points": len(points),
            "modules": dict(Counter(p.module for p in points)),
        }
        for reason, points in found.explained.items()
    ]
    bare = {
        m: [
            *(f"{source(m, p.line).strip()} -> {p.what}" for p in found.unexplained if p.module == m and not p.signal),
            *compressed(p for p in found.unexplained if p.module == m and p.signal),
        ]
        for m in {p.module for p in found.unexplained}
    }
    return {"modules": modules, "explained": explained, "unexplained": dict(sorted(bare.items()))}


def main() -> None:
    """Run and write both result files."""
    parser = argument_parser(__doc__)
    parser.add_argument("--data", type=Path, help="folder with .dat files, instead of a run")
    arguments = parser.parse_args()
    coverage = Coverage(path.stem for path in RTL.glob("*.sv"))
    start = time.perf_counter()
    if arguments.data:
        take(arguments.data, coverage, keep=True)
    else:
        run_tests(coverage)
    print(f"{time.perf_counter() - start:.0f} s")
    found = explain(coverage.uncovered(), read_reasons(REASONS.read_text()), source)
    arguments.out.mkdir(parents=True, exist_ok=True)
    machine = this_machine()
    written = {"machine": machine, "runs": RUNS, **content(coverage, found)}
    (arguments.out / "rtl_coverage.json").write_text(json.dumps(written, indent=1) + "\n")
    (arguments.out / "rtl_coverage.md").write_text(page(coverage, found, RUNS, source, machine))
    print(f"{len(coverage.uncovered())} points not covered, {len(found.unexplained)} of them without a reason")
    for reason, pattern in found.stale:
        print(f"`{pattern}` matches nothing that is not covered: {reason.reason}")
    if found.stale:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
