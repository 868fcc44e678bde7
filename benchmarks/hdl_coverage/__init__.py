"""Verilator's coverage data: merged over instances and builds, and set against the reasons why a point is not covered."""

from .page import page
from .points import Coverage, Point
from .reasons import Reason, Sorted, explain, read_reasons

__all__ = ["Coverage", "Point", "Reason", "Sorted", "explain", "page", "read_reasons"]
