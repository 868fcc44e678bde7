"""OR-Tools' solvers, loaded so that they call their own copies of the libraries they share with others.

TensorFlow puts its Abseil and Protocol Buffers in the process's global scope. Where it was imported first, OR-Tools would call
those in place of its own, of another version, and CP-SAT would end the process (`google/or-tools#3230`). With RTLD_DEEPBIND, which
Linux has, a library looks in itself and what it was linked to before it looks there. Every module takes the solvers from here.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["cp_model", "model_builder"]


@contextmanager
def _own_symbols_first() -> Iterator[None]:
    """Libraries that are loaded meanwhile look among their own symbols first, where the system can be told so."""
    if not hasattr(os, "RTLD_DEEPBIND"):
        yield
        return
    flags = sys.getdlopenflags()
    sys.setdlopenflags(flags | os.RTLD_DEEPBIND)
    try:
        yield
    finally:
        sys.setdlopenflags(flags)


with _own_symbols_first():
    from ortools.linear_solver.python import model_builder
    from ortools.sat.python import cp_model
