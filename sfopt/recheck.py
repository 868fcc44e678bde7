"""`sfopt check`: a written plan against the model beside it, by the independent checker alone."""

import json
from pathlib import Path

from sfopt.check import check_plan
from sfopt.device import Device
from sfopt.errors import PlanCheckError, UsageError
from sfopt.grouping import build_network
from sfopt.onnx_io import read_onnx
from sfopt.orders import in_order_of
from sfopt.passes import lower_quantized
from sfopt.plan import Plan
from sfopt.traffic import tally

__all__ = ["check_directory"]


def check_directory(directory: Path) -> list[str]:
    """Check `plan.json` and `report.json` against `model.int8.onnx`; returns what was found, raises PlanCheckError otherwise."""
    network = build_network(lower_quantized(read_onnx(directory / "model.int8.onnx")))
    plan = Plan.from_json(_read(directory / "plan.json"))
    if plan.order is not None and plan.order.groups:
        network = in_order_of(network, plan.order.groups)
    device = Device.from_dict(dict(plan.device))
    facts = check_plan(plan, network, device)
    planned = _report(directory)["dram_bytes"]["planned"]
    derived = tally(plan.transfers, planned["program"])
    for key, value in planned.items():
        if value != getattr(derived, key):
            raise PlanCheckError(f"report.json says {key} = {value} bytes, the plan gives {getattr(derived, key)}")
    certificate = plan.certificate
    levels = ", ".join(f"{o.name} {o.value} (bound {o.bound}, {o.status})" for o in certificate.objectives)
    order = plan.order
    tried = (
        () if order is None else (f"order     {order.chosen} of {order.tried}, bound {order.bound} for all of them",)
    )
    return [
        f"plan      {len(plan.segments)} segments, {len(plan.buffers)} buffers on {device.name}: every rule holds",
        f"traffic   {facts.traffic_bytes} bytes of data, re-derived per tensor",
        f"peak      {facts.peak_bytes} of {device.sram_bytes} bytes",
        f"claims    {certificate.method}: {certificate.status}; {levels}",
        *tried,
    ]


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read `{path}`: {error}") from None


def _report(directory: Path) -> dict:  # type: ignore[type-arg]
    try:
        report = json.loads(_read(directory / "report.json"))
        dict(report["dram_bytes"]["planned"])
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"`{directory / 'report.json'}` is not a report: {error}") from None
    return report  # type: ignore[no-any-return]
