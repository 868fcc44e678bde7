"""The output directory's content."""

from collections.abc import Sequence
from typing import Any

from sfopt.backend import Event
from sfopt.onnx_io import annotate_onnx
from sfopt.pipeline import Result
from sfopt.report.annotations import plan_notes
from sfopt.report.facts import report_json
from sfopt.report.page import report_page
from sfopt.report.text import summary_lines
from sfopt.report.trace import trace_json

__all__ = ["MODEL_RUN", "RTL_RUN", "output_files"]

MODEL_RUN = "timing model"
RTL_RUN = "RTL"
"""Names of the processes in `trace.json`."""


def output_files(result: Result, facts: dict[str, Any]) -> dict[str, bytes]:
    """File name -> content: the backend's and the reference's own files, the plan, the report, the trace.

    The int8 model carries the plan's decisions as notes.
    """
    files = {**result.reference.files, **result.compiled.files}
    notes = plan_notes(result.imported.network, result.plan)
    files |= {name: annotate_onnx(data, notes) for name, data in files.items() if name.endswith(".onnx")}
    files["plan.json"] = result.plan.to_json().encode()
    files["report.json"] = report_json(facts).encode()
    page = report_page(result.imported.network, result.plan, result.options.device, facts, summary_lines(facts))
    files["report.html"] = page.encode()
    runs = _timed_runs(result)
    if runs:
        files["trace.json"] = trace_json(runs, result.options.device).encode()
    return files


def _timed_runs(result: Result) -> dict[str, Sequence[Event]]:
    """What happened when, by the timing model and, where it ran, by the RTL."""
    verification = result.verification
    if verification is None:
        return {}
    runs = {MODEL_RUN: verification.execution.events}
    if verification.hardware is not None:
        runs[RTL_RUN] = verification.hardware.execution.events
    return {name: events for name, events in runs.items() if events}
