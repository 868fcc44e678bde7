"""Intervals + capacity -> offsets: the placement program on plain instances, as a search and an integer program that take turns."""

from sfopt.allocate.packing.pack import Packing, pack

__all__ = ["Packing", "pack"]
