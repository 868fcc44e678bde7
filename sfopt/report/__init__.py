"""What a run tells its user: plain data, text, and pages made from them."""

from sfopt.report.facts import build_report, host_ops, import_notes, report_json
from sfopt.report.files import output_files
from sfopt.report.text import device_table, explain_lines, summary_lines

__all__ = [
    "build_report",
    "device_table",
    "explain_lines",
    "host_ops",
    "import_notes",
    "output_files",
    "report_json",
    "summary_lines",
]
