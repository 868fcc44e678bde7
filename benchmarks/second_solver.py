"""The choice program of named networks solved twice: by CP-SAT with the planner's tricks, and by HiGHS without any.

    python benchmarks/second_solver.py [--cache DIR] [--out DIR] [--device NAME] [--sram SIZE ...] [NAME|FILE.onnx ...]

The first level, traffic, over every lean option. Exit code 1 if two optima differ. Writes `second_solver.md`.
"""

import time

from common import argument_parser, model_file

from sfopt.allocate import Switches
from sfopt.allocate.choice import ChoiceProgram, Known
from sfopt.allocate.linear import Limits
from sfopt.allocate.pricing import minimise
from sfopt.allocate.problem import Problem
from sfopt.allocate.second_opinion import solve_with_highs
from sfopt.device import Device, load_device
from sfopt.errors import InfeasibleError
from sfopt.groups import Network
from sfopt.importer import import_model
from sfopt.plan import Status
from sfopt.units import format_bytes, parse_size

NAMES = (
    "resnet50", "resnet152", "mobilenet_v2", "efficientnet_b1", "squeezenet", "resnet34", "yolov3", "retinanet", "efficientdet_d0",
)  # fmt: skip


def compare(name: str, network: Network, device: Device, seconds: float) -> tuple[str, bool]:
    """One line of the table, and whether both solvers agree."""
    try:
        problem = Problem.build(network, device, Switches())
    except InfeasibleError as error:
        return f"| {name} | {format_bytes(device.sram_bytes)} | no plan: {error} | | | | |", True
    options, limits, found = problem.lean(), Limits(seconds), []
    for solve in (
        lambda p: minimise(p, "traffic", {}, limits, Switches(), None).answer,
        lambda p: solve_with_highs(p.minimise("traffic", {}), limits),
    ):
        start = time.perf_counter()
        answer = solve(ChoiceProgram(problem, options, Known(), Switches()))
        found.append((answer, time.perf_counter() - start))
    (cp_sat, cp_seconds), (highs, highs_seconds) = found
    both = cp_sat.status is Status.OPTIMAL and highs.status is Status.OPTIMAL
    agree = not both or cp_sat.value == highs.value
    verdict = "same optimum" if both and agree else "DIFFERENT" if both else "one was not finished"
    size = format_bytes(device.sram_bytes)
    times = f"{cp_seconds:.1f} | {highs_seconds:.1f}"
    return f"| {name} | {size} | {len(options)} | {cp_sat.value:,} | {highs.value:,} | {times} | {verdict} |", agree


def main() -> None:
    """Compare and write the table."""
    parser = argument_parser(__doc__, 120.0, "solve")
    parser.add_argument("networks", nargs="*", metavar="NAME|FILE.onnx")
    parser.add_argument("--sram", nargs="*", default=["1M", "2M", "6M"])
    arguments = parser.parse_args()
    head = ("network", "scratchpad", "options", "CP-SAT", "HiGHS", "s", "s", "verdict")
    lines, agreed = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)], True
    for name in arguments.networks or NAMES:
        path = model_file(name, arguments.cache)
        network = import_model(path).network
        for size in arguments.sram:
            line, agree = compare(
                path.stem, network, load_device(arguments.device).with_sram(parse_size(size)), arguments.seconds
            )
            lines.append(line)
            agreed = agreed and agree
            print(line, flush=True)
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "second_solver.md").write_text("\n".join(lines) + "\n")
    raise SystemExit(not agreed)


if __name__ == "__main__":
    main()
