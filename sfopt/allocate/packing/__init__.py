"""Intervals + capacity -> offsets: the placement program on plain instances, as a search and an integer program that take turns."""

from sfopt.allocate.packing.pack import Packing, pack
from sfopt.allocate.packing.packer import Packer

__all__ = ["Packer", "Packing", "pack"]
