"""Resources and longest paths of the RTL on an UltraScale device, as yosys maps it.

    python hw/synth/report.py [--jobs N] [--out DIR]

Every module of `sf_top`, with each set of parameters that it has, is mapped once by `synth_xilinx -family xcu` and counted as often
as it is instantiated: for `sim8`, `sim16` and `kcu1500`. Results are kept in `build/synth`, so a second run maps what has changed.
Ends with an error if block RAMs or DSP slices are not what the geometry of the device asks for. Writes `synthesis.json` and
`synthesis.md` into `benchmarks/results`.
"""

import argparse
import json
import os
import platform
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pages import CHIP, page
from sfopt.device import load_device
from sfopt_fpga.rtl_build import rtl_parameters
from survey import Survey, survey
from yosys import is_installed, work_folder, yosys_version

RESULTS = Path(__file__).resolve().parents[2] / "benchmarks" / "results"
DEVICES = ("sim8", "sim16", CHIP)
BLOCK_RAM_WORDS, BLOCK_RAM_BITS = 512, 72
"""The widest shape of a RAMB36E2 with one read and one write port (UG573)."""


def checks(found: Survey) -> list[dict[str, Any]]:
    """Counts that the device's geometry asks for: what, how many, and how many there are."""
    p = found.parameters
    banks, products = found.row("sf_bank"), p["LANES_IN"] * p["LANES_OUT"]
    across, deep = -(-8 * p["LANES_IN"] // BLOCK_RAM_BITS), -(-p["BANK_WORDS"] // BLOCK_RAM_WORDS)
    geometry = f"{p['BANKS']} banks of {across} x {deep}, {BLOCK_RAM_WORDS} words of {BLOCK_RAM_BITS} bits each"
    return [
        {
            "what": "RAMB36 of the scratchpad",
            "from": geometry,
            "expected": p["BANKS"] * across * deep,
            "found": banks.own.ramb36,
        },
        {
            "what": "DSP48E2 of the MAC array",
            "from": f"{products} products, two each",
            "expected": products // 2,
            "found": found.row("sf_mac_array").whole.dsp,
        },
    ]


def result(found: Survey, seconds: float) -> dict[str, Any]:
    """A survey as it is kept."""
    rows = [
        {
            "module": row.module,
            "variants": row.variants,
            "instances": row.instances,
            "own": row.own.counts(),
            "with_submodules": row.whole.counts(),
            "inside": asdict(row.inside) | {"levels": row.inside.levels._asdict()},
            "through": asdict(row.through) | {"levels": row.through.levels._asdict()},
        }
        for row in found.rows
    ]
    return {
        "parameters": dict(found.parameters),
        "total": found.total.counts(),
        "checks": checks(found),
        "modules": rows,
        "seconds": round(seconds),
    }


def main() -> None:
    """Map, check, and write both files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=1, help="runs of yosys at a time, of up to 4 GB each")
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    if not is_installed():
        raise SystemExit("synthesis needs yosys: pip install 'sfopt[rtl]'")
    folder = work_folder()
    surveys, devices = {}, {}
    for name in DEVICES:
        start = time.perf_counter()
        parameters = rtl_parameters(load_device(name)) | {"PAIRED": 1}
        surveys[name] = survey(folder, parameters, arguments.jobs)
        devices[name] = result(surveys[name], time.perf_counter() - start)
        print(f"{name}: {devices[name]['total']}", flush=True)
        if surveys[name].missing:
            raise SystemExit(f"{name}: not mapped: {', '.join(surveys[name].missing)}")
        for check in devices[name]["checks"]:
            if check["found"] != check["expected"]:
                raise SystemExit(
                    f"{name}: {check['what']}: {check['found']}, not {check['expected']} ({check['from']})"
                )
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    content = {
        "yosys": yosys_version(),
        "machine": machine,
        "devices": devices,
    }
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "synthesis.json").write_text(json.dumps(content, indent=1) + "\n")
    (arguments.out / "synthesis.md").write_text(page(surveys, content))


if __name__ == "__main__":
    main()
