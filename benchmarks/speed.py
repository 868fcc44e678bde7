"""Where the time and the memory of the whole flow go, stage by stage, on the largest networks.

    python benchmarks/speed.py [--cache DIR] [--out DIR] [--run NAME] [NETWORK ...]

Each network runs in a process of its own. A thread looks five times a second at what the flow is doing and gives the time
since its last look to the innermost Python function, so a library's C code counts for the function that called it. The
operating system tells the peak memory of each stage. Results go under the run's name into `speed.json`, beside the runs that are
there already; `speed.md` shows all runs side by side.
"""

import json
import sys
import threading
import time
from collections import Counter, defaultdict
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from types import FrameType
from typing import Any

from common import argument_parser, model_file, this_machine

from sfopt.device import load_device
from sfopt.pipeline import Options, optimize

NAMES = ("yolov3", "efficientnet_b7")
INTERVAL_S = 0.2
"""Looking much more often slows down what it looks at: the thread takes turns with the interpreter."""
STAGES = {
    "import": "import and quantise",
    "solve": "plan",
    "simulate": "simulate and compare",
    "compare": "simulate and compare",
}
"""What the flow tells while it runs -> what `Result.stage_seconds` calls it."""
SHOWN = 12
"""Functions listed for each network."""


class Watch:
    """Follows the calling thread: seconds per (stage, function), peak memory per stage."""

    def __init__(self) -> None:
        self.stage, self.seconds = "start", defaultdict[str, Counter[str]](Counter)
        self.peaks, self.over, self.watched = dict[str, int](), threading.Event(), threading.get_ident()
        self.thread = threading.Thread(target=self._follow, daemon=True)
        self.thread.start()

    def progress(self, stage: str, done: int, total: int) -> None:
        """What the flow calls at the start of each stage, and for its counts."""
        if done or total:
            return
        self._close()
        self.stage = STAGES.get(stage, stage)

    def finish(self) -> None:
        """End of the last stage."""
        self._close()
        self.over.set()
        self.thread.join()

    def _close(self) -> None:
        status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
        self.peaks[self.stage] = max(self.peaks.get(self.stage, 0), int(status["VmHWM"].split()[0]) * 1024)
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew from what is held now

    def _follow(self) -> None:
        last = time.perf_counter()
        while not self.over.wait(INTERVAL_S):
            frame, stage, now = sys._current_frames()[self.watched], self.stage, time.perf_counter()
            self.seconds[stage][place(frame)] += now - last
            last = now


def place(frame: FrameType) -> str:
    """File, within its package, and function."""
    parts = Path(frame.f_code.co_filename).parts
    for root in ("site-packages", "backends"):
        if root in parts:
            parts = parts[parts.index(root) + 1 :]
    if "sfopt" in parts:
        parts = parts[len(parts) - 1 - parts[::-1].index("sfopt") :]
    return f"{'/'.join(parts[-3:])} {frame.f_code.co_name}"


def measure(model: Path, device: str, seconds: float) -> dict[str, Any]:
    """The flow on one model, in this process."""
    start = time.perf_counter()
    watch = Watch()
    result = optimize(model, Options(load_device(device), time_limit_s=seconds), watch.progress)
    watch.finish()
    assert result.verification is not None
    certificate, wall = result.plan.certificate, time.perf_counter() - start
    return {
        "wall_s": round(wall, 2),
        "peak_bytes": max(watch.peaks.values()),
        "stages": {
            name: {"seconds": round(value, 2), "peak_bytes": watch.peaks[name]}
            for name, value in result.stage_seconds.items()
        },
        "status": certificate.status.value,
        "objectives": [[o.name, o.value, o.bound] for o in certificate.objectives],
        "planned_bytes": result.planned.total,
        "mismatches": result.verification.equivalence.mismatches,
        "elements": result.verification.equivalence.elements,
        "functions": [
            [stage, name, round(value, 2)]
            for stage, counted in watch.seconds.items()
            for name, value in counted.most_common(SHOWN)
            if value >= 0.01 * wall
        ],
    }


def page(data: dict[str, Any]) -> str:
    """Every run of every network, side by side."""
    lines = ["# Time and memory of the flow", "", f"Measured on {data['machine']}; device `{data['device']}`.", ""]
    networks = dict.fromkeys(name for run in data["runs"].values() for name in run)
    for network in networks:
        runs = {label: run[network] for label, run in data["runs"].items() if network in run}
        lines += [f"## {network}", "", f"| stage | {' | '.join(f'{r}, s | {r}, GiB' for r in runs)} |"]
        lines.append(f"|{'---|' * (1 + 2 * len(runs))}")
        for stage in next(iter(runs.values()))["stages"]:
            cells = [_pair(r["stages"][stage]["seconds"], r["stages"][stage]["peak_bytes"]) for r in runs.values()]
            lines.append(f"| {stage} | {' | '.join(cells)} |")
        whole = [_pair(r["wall_s"], r["peak_bytes"]) for r in runs.values()]
        lines.append(f"| **all** | {' | '.join(whole)} |")
        lines.append("")
        for label, r in runs.items():
            found = ", ".join(f"{name} {value:,} (bound {bound:,})" for name, value, bound in r["objectives"])
            lines.append(
                f"- {label}: {r['status']}; {found}; {r['mismatches']} of {r['elements']:,} elements differ from ONNX Runtime"
            )
        for label, r in runs.items():
            lines += ["", f"Where the time goes, {label}:", "", "| stage | function | s |", "|---|---|---|"]
            lines += [f"| {stage} | `{name}` | {value:.1f} |" for stage, name, value in r["functions"]]
        lines.append("")
    return "\n".join(lines)


def _pair(seconds: float, peak: int) -> str:
    return f"{seconds:.1f} | {peak / 2**30:.2f}"


def main() -> None:
    """Run, and write both result files behind each network."""
    parser = argument_parser(__doc__, 60.0)
    parser.add_argument("--run", default="now", help="name of this run in the results")
    parser.add_argument("networks", nargs="*", default=NAMES, metavar="NETWORK")
    arguments = parser.parse_args()
    path = arguments.out / "speed.json"
    data = json.loads(path.read_text()) if path.exists() else {"runs": {}}
    data |= {"machine": this_machine(), "device": arguments.device}
    for name in arguments.networks:
        with ProcessPoolExecutor(1, get_context("spawn")) as pool:
            model = pool.submit(model_file, name, arguments.cache).result()
        with ProcessPoolExecutor(1, get_context("spawn")) as pool:
            found = pool.submit(measure, model, arguments.device, arguments.seconds).result()
        print(name, json.dumps(found), flush=True)
        data["runs"].setdefault(arguments.run, {})[name] = found
        arguments.out.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(data, indent=1) + "\n")
        path.with_suffix(".md").write_text(page(data))


if __name__ == "__main__":
    main()
