"""`report.json`, schema 1: the figures of one run, as plain data."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from sfopt import cost
from sfopt.device import Device
from sfopt.groups import Kind, Network
from sfopt.host_reasons import host_reason
from sfopt.importer import Imported
from sfopt.pipeline import Moment, Result, mac_efficiency
from sfopt.plan import Order

__all__ = ["build_report", "host_ops", "import_notes", "report_json"]

SCHEMA = 1
MOMENTS = 500
"""Of the planner's history, in a report."""
_VIEWS = frozenset({"Flatten", "Reshape", "Squeeze", "Unsqueeze"})


def build_report(result: Result) -> dict[str, Any]:
    """All sizes in bytes, all times in seconds unless the key says otherwise."""
    verification = result.verification
    return {
        "schema": SCHEMA,
        "model": _model(result),
        "device": _device(result.options.device),
        "dram_bytes": {
            "baseline": cost.baseline_bytes(result.imported.network),
            "baseline_layer": cost.baseline_layer_bytes(result.imported.network),
            "compulsory": cost.compulsory_bytes(result.imported.network),
            "planned": asdict(result.planned),
            "simulated": asdict(verification.simulated) if verification and verification.simulated else None,
            "rtl": asdict(verification.hardware.traffic) if verification and verification.hardware else None,
        },
        "sram": {"capacity": result.options.device.sram_bytes, "peak": result.plan.peak_bytes},
        "solver": _solver(result),
        "cycles": _cycles(result),
        "latency_ms": _latency_ms(result),
        "segments": _segments(result),
        "equivalence": _equivalence(result),
        "host_ops": host_ops(result.imported.network),
        "original": asdict(verification.deviation) if verification and verification.deviation else None,
        "warnings": list(result.imported.warnings),
        "notes": import_notes(result.imported),
        "stage_seconds": {k: round(v, 3) for k, v in result.stage_seconds.items()},
    }


def report_json(report: dict[str, Any]) -> str:
    """Indented JSON; infinities become null, since JSON has none."""
    return json.dumps(_finite(report), indent=1) + "\n"


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _model(result: Result) -> dict[str, Any]:
    network = result.imported.network
    return {
        "name": result.imported.name,
        "sha256": result.imported.sha256,
        "groups": len(network.groups),
        "macs": sum(cost.group_macs(network, g) for g in network.groups),
        "weight_bytes": cost.constant_bytes(network),
    }


def _device(device: Device) -> dict[str, Any]:
    keys = ("name", "sram_bytes", "lanes_in", "lanes_out", "clock_hz", "dram_bytes_per_s")
    return {key: getattr(device, key) for key in keys}


def _solver(result: Result) -> dict[str, Any]:
    plan, certificate = result.plan, result.plan.certificate
    first = certificate.objectives[0]
    return {
        "method": certificate.method,
        "status": str(certificate.status),
        "objective": first.value,
        "bound": first.bound,
        "seconds": round(certificate.seconds, 3),
        "levels": [{**asdict(o), "status": str(o.status)} for o in certificate.objectives],
        "order": None if plan.order is None else _order(plan.order),
        "history": [asdict(m) for m in _thinned(result.history)],
    }


def _thinned(history: Sequence[Moment]) -> list[Moment]:
    """What was news, at most about `MOMENTS` of it: of those of one level that are close together, the last."""
    apart = (history[-1].seconds - history[0].seconds) / MOMENTS if history else 0.0
    kept = list[Moment]()
    for moment in history:
        if kept and replace(moment, seconds=kept[-1].seconds) == kept[-1]:
            continue
        if kept and kept[-1].level == moment.level and moment.seconds - kept[-1].seconds < apart:
            kept[-1] = replace(moment, seconds=kept[-1].seconds)
        else:
            kept.append(moment)
    return kept


def _order(order: Order) -> dict[str, int]:
    return {"chosen": order.chosen, "tried": order.tried, "bound": order.bound}


def _cycles(result: Result) -> dict[str, Any] | None:
    execution = result.verification.execution if result.verification else None
    if execution is None or execution.cycles is None:
        return None
    busy = execution.busy_cycles
    hardware = result.verification.hardware if result.verification else None
    return {
        "total": execution.cycles,
        "rtl": hardware.execution.cycles if hardware else None,
        "compute": busy.get("compute", 0),
        "dram": busy.get("load", 0) + busy.get("store", 0),
        "mac_efficiency": round(mac_efficiency(result), 4),
    }


def _latency_ms(result: Result) -> float | None:
    cycles = _cycles(result)
    return None if cycles is None else round(1e3 * cycles["total"] / result.options.device.clock_hz, 4)


def _segments(result: Result) -> list[dict[str, Any]]:
    groups = result.imported.network.groups
    return [
        {
            "groups": [groups[i].name for i in range(s.first, s.last + 1)],
            "mode": "host" if groups[s.first].kind is Kind.HOST else s.mode,
            "bands": s.bands,
            "overlap": s.overlap,
            "runs": [
                {
                    "group": groups[r.group].name,
                    "first_rows": r.first,
                    "band_rows": r.step,
                    "weight_mode": str(r.weight_mode),
                    "channel_tile": r.channel_tile,
                }
                for r in s.runs
            ],
            "dram_bytes": sum(t.size_bytes for t in result.plan.transfers if t.segment == index),
        }
        for index, s in enumerate(result.plan.segments)
    ]


def _equivalence(result: Result) -> dict[str, Any] | None:
    if result.verification is None:
        return None
    facts = asdict(result.verification.equivalence)
    facts.pop("first")
    return facts


def host_ops(network: Network) -> list[dict[str, str]]:
    """Every op that computes on the host, with its reason; reshapes at the network's ends only rename axes and are left out."""
    inner = [n for g in network.groups for n in g.host_ops]
    ops = [network.graph.ops_by_name[n] for n in (*network.head, *inner, *network.tail)]
    told = [op for op in ops if op.name in inner or op.op_type not in _VIEWS]
    return [{"op": op.op_type, "name": op.name, "reason": host_reason(network.graph, op)} for op in told]


def import_notes(imported: Imported) -> list[str]:
    """What import decided or declined, each once, in order."""
    return list(dict.fromkeys([*imported.normalised.notes, *imported.network.graph.notes]))
