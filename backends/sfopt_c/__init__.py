"""A planned network as one C99 file: a static arena at the planned offsets, no heap, no floating point."""

from sfopt_c.backend import CBackend, CModel
from sfopt_c.emit import Source, emit

__all__ = ["CBackend", "CModel", "Source", "emit"]
