"""What other topological orders of the groups gain: proven plans in the model's own order and in the best of several.

    python benchmarks/orders.py [--out DIR] [--device NAME] [--orders N] [--seconds S] [NAME|FILE.onnx=SIZE ...]

Every plan is checked by the independent checker. Writes `orders.md` after every network.
"""

import time
from dataclasses import replace
from pathlib import Path

from common import argument_parser, model_file, this_machine

from sfopt.allocate import plan, plan_in_orders
from sfopt.check import check_plan
from sfopt.device import load_device
from sfopt.graph import Graph
from sfopt.importer import import_model
from sfopt.units import format_bytes, parse_size

POINTS = ("resnet50=384K", "shufflenet_v2=192K")
HEADER = """# What other topological orders of the groups gain

Measured on {machine}, `benchmarks/orders.py --orders {orders}`, device `{device}`; the program's own fetches are not counted.

| network | scratchpad | bytes, own order | bytes, best | gain | cycles: own, best | order | proven of all | seconds: own, best |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |
"""


def row(point: str, cache: Path, device_name: str, orders: int, seconds: float) -> str:
    """One line of the table."""
    name, size = point.rsplit("=", 1)
    path = model_file(name, cache)
    network = replace(import_model(path).network, graph=Graph("", {}, (), (), ()))
    device = load_device(device_name).with_sram(parse_size(size))
    start = time.monotonic()
    own = plan(network, device, time_limit_s=seconds)
    middle = time.monotonic()
    other, best = plan_in_orders(network, device, orders, time_limit_s=seconds)
    end = time.monotonic()
    check_plan(own, network, device)
    check_plan(best, other, device)
    order, (a, b) = best.order, (own.traffic_bytes, best.traffic_bytes)
    assert order is not None
    cycles = [next(o.value for o in p.certificate.objectives if o.name == "cycles") for p in (own, best)]
    proven = "yes" if order.bound == b else f"no less than {order.bound:,}"
    cells = [path.stem, format_bytes(device.sram_bytes), f"{a:,} ({own.certificate.status})"]
    cells += [f"{b:,} ({best.certificate.status})", f"{a - b:,} ({100 * (a - b) / a:.2f} %)"]
    cells += [f"{cycles[0]:,}, {cycles[1]:,}", f"{order.chosen} of {order.tried}", proven]
    return f"| {' | '.join([*cells, f'{middle - start:.0f}, {end - middle:.0f}'])} |"


def main() -> None:
    """Run and write the result file."""
    parser = argument_parser(__doc__, 300.0)
    parser.add_argument("points", nargs="*", metavar="NAME|FILE.onnx=SIZE")
    parser.add_argument("--orders", type=int, default=8)
    arguments = parser.parse_args()
    machine = this_machine()
    text = HEADER.format(machine=machine, orders=arguments.orders, device=arguments.device)
    arguments.out.mkdir(parents=True, exist_ok=True)
    for point in arguments.points or POINTS:
        line = row(point, arguments.cache, arguments.device, arguments.orders, arguments.seconds)
        print(line, flush=True)
        text += line + "\n"
        (arguments.out / "orders.md").write_text(text)


if __name__ == "__main__":
    main()
