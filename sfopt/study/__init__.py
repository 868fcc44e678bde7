"""How far each method is from the least traffic: networks x SRAM sizes x methods, in parallel, kept point by point."""

from sfopt.study.files import require_matplotlib, study_files
from sfopt.study.points import FAILED, INFEASIBLE, Row
from sfopt.study.sweep import Study, run
from sfopt.study.tables import CELLS

__all__ = ["CELLS", "FAILED", "INFEASIBLE", "Row", "Study", "require_matplotlib", "run", "study_files"]
