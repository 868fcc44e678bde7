"""The output directory's content."""

from typing import Any

from sfopt.pipeline import Result
from sfopt.report.facts import report_json
from sfopt.report.page import report_page
from sfopt.report.text import summary_lines
from sfopt.report.trace import trace_json

__all__ = ["output_files"]


def output_files(result: Result, facts: dict[str, Any]) -> dict[str, bytes]:
    """File name -> content: the backend's and the reference's own files, the plan, the report, the trace."""
    files = {**result.reference.files, **result.compiled.files}
    files["plan.json"] = result.plan.to_json().encode()
    files["report.json"] = report_json(facts).encode()
    page = report_page(result.imported.network, result.plan, result.options.device, facts, summary_lines(facts))
    files["report.html"] = page.encode()
    if result.verification is not None and result.verification.execution.events:
        files["trace.json"] = trace_json(result.verification.execution.events, result.options.device).encode()
    return files
