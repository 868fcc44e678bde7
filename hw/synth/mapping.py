"""Maps variants of modules to the cells of an UltraScale device, each without its submodules, and keeps the netlists.

`synth_xilinx -family xcu` without pads and clock buffers. A result is kept under the variant's name, a hash of its text, so that
devices share what they have in common and a second run maps only what has changed.
"""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hierarchy import APART, Design
from yosys import SynthesisError, run_yosys, yosys_version

__all__ = ["FAMILY", "Mapped", "map_variants"]

FAMILY = "xcu"
"""UltraScale: LUT6, DSP48E2, RAMB18E2 and RAMB36E2."""
LIBRARY = ("read_verilog -lib -specify +/xilinx/cells_sim.v", "read_verilog -lib +/xilinx/cells_xtra.v")
BATCH_BYTES = 250_000
"""Text of the variants that one run of yosys maps, one after the other: starting it takes longer than a small one."""


@dataclass(frozen=True)
class Mapped:
    """Cells of one variant, by type, without those of its submodules that are mapped apart."""

    name: str
    cells: Counter[str]
    netlist_file: Path

    def netlist(self) -> dict[str, Any]:
        """The mapped module as `write_json` has it."""
        found: dict[str, Any] = json.loads(self.netlist_file.read_text())["modules"][self.name]
        return found


def map_variants(folder: Path, design: Design, names: Sequence[str], jobs: int = 1) -> dict[str, Mapped]:
    """Map variants of a design in `folder`, those that are not there yet. Left out: what takes more than yosys's 4 GB."""
    missing = [name for name in names if not _is_there(folder, name)]
    with ThreadPoolExecutor(jobs) as pool:
        list(pool.map(lambda batch: _map_batch(folder, design, batch), list(_batches(design, missing))))
    return {name: _mapped(folder, name) for name in names if _is_there(folder, name)}


def _map_batch(folder: Path, design: Design, batch: Sequence[str]) -> None:
    source = folder / f"{batch[0]}.il"
    source.write_text(design.source(batch))
    commands = [
        *LIBRARY,
        f"read_rtlil {source.name}",
        f"synth_xilinx -family {FAMILY} -flatten -noiopad -noclkbuf -run prepare:",
        *(line for name in batch for line in _keep(name)),
    ]
    try:
        run_yosys(folder, batch[0], commands)
    except SynthesisError as error:
        left = [name for name in batch if not _is_there(folder, name)]
        print(f"not mapped: {', '.join(left)}: {error}", flush=True)
        if len(batch) > 1:
            for name in left:
                _map_batch(folder, design, [name])
    source.unlink(missing_ok=True)


def _keep(name: str) -> list[str]:
    return [
        f"select {name}",
        f"tee -q -o {name}.stat.json stat -json",
        f"write_json -selected {name}.json",
        "select -clear",
        f"tee -q -o {name}.stamp log {_recipe()}",
    ]


def _batches(design: Design, names: Sequence[str]) -> Iterator[list[str]]:
    """The largest first, so that the last one to end is short."""
    batch: list[str] = []
    size = 0
    for name in sorted(names, key=lambda n: len(design.variants[n].text), reverse=True):
        batch.append(name)
        size += len(design.variants[name].text)
        if size > BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _is_there(folder: Path, name: str) -> bool:
    stamp = folder / f"{name}.stamp"
    return stamp.exists() and stamp.read_text().strip() == _recipe()


def _recipe() -> str:
    return f"{yosys_version()} {FAMILY}"


def _mapped(folder: Path, name: str) -> Mapped:
    by_type = json.loads((folder / f"{name}.stat.json").read_text())["modules"][f"\\{name}"]["num_cells_by_type"]
    cells = Counter({kind: int(number) for kind, number in by_type.items() if not kind.startswith(APART)})
    return Mapped(name, cells, folder / f"{name}.json")
