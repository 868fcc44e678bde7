"""The C compiler of this machine, and a model run as a program of its own."""

import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path

from sfopt.errors import InternalError, UsageError

__all__ = ["COMPILERS", "FLAGS", "build", "find_compiler"]

COMPILERS = ("cc", "gcc", "clang")
"""Looked for on PATH in this order, if CC does not name one."""
FLAGS = ("-std=c99", "-O2")
_DEFINES = ("-DMODEL_COUNT", "-DMODEL_OBSERVE", "-DMODEL_FILL=0xA5")
"""Counters, results of every row, and an arena that does not begin as zeros."""


def find_compiler() -> tuple[str, ...]:
    """The C compiler's command, with what CC adds to its name. Raises UsageError where there is none."""
    asked = shlex.split(os.environ.get("CC", ""))
    for name in asked[:1] or COMPILERS:
        found = shutil.which(name)
        if found is not None:
            return (found, *asked[1:])
    looked = f"CC names `{asked[0]}`, which is not on PATH" if asked else f"none of {', '.join(COMPILERS)} is on PATH"
    raise UsageError(f"backend `c` needs a C compiler to run what it writes, and {looked}: apt-get install gcc")


def build(sources: Mapping[str, bytes], flags: Sequence[str] = FLAGS) -> Path:
    """Compile model.c (and model.h) with the harness; the program, in a temporary folder that is the caller's to remove.

    Raises UsageError without a compiler, InternalError when it refuses the code.
    """
    compiler = find_compiler()
    folder = Path(tempfile.mkdtemp(prefix="sfopt-c-"))
    for name, content in sources.items():
        (folder / name).write_bytes(content)
    (folder / "harness.c").write_bytes(files("sfopt_c").joinpath("harness.c").read_bytes())
    command = [*compiler, *flags, *_DEFINES, "-o", "model", "model.c", "harness.c"]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        shutil.rmtree(folder, ignore_errors=True)
        lines = [line for line in result.stderr.splitlines() if "error" in line] or result.stderr.splitlines() or ["?"]
        raise InternalError(f"`{compiler[0]}` refuses the model: {lines[0]}")
    return folder / "model"
