"""What a run tells its user: plain data, text, and pages made from them."""

from sfopt.report.explain_text import infeasible_lines, plan_lines, tensor_lines
from sfopt.report.explanation import explain_infeasible, explain_plan, explain_tensor, require_map
from sfopt.report.facts import build_report, host_ops, import_notes, report_json
from sfopt.report.files import output_files
from sfopt.report.text import device_table, explain_lines, summary_lines

__all__ = [
    "build_report",
    "device_table",
    "explain_infeasible",
    "explain_lines",
    "explain_plan",
    "explain_tensor",
    "host_ops",
    "import_notes",
    "infeasible_lines",
    "output_files",
    "plan_lines",
    "report_json",
    "require_map",
    "summary_lines",
    "tensor_lines",
]
