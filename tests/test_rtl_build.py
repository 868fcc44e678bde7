"""The library of a device's RTL: built once, found again, shared by processes; what goes wrong is one line."""

import ctypes
import multiprocessing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rtl import SIM8

from sfopt.errors import InternalError, UsageError
from sfopt_fpga import rtl_build
from sfopt_fpga.rtl_build import Build, build_library, hardware_folder, rtl_parameters
from sfopt_fpga.rtl_model import Bus, open_model

TINY = "module sf_top #(parameter int {parameters}) (input logic clk); endmodule\n"
"""A machine without any part, which builds in seconds."""
HARNESS = """#include "Vsf_top.h"
extern "C" __attribute__((visibility("default"))) int {name}() {
    VerilatedContext context;
    Vsf_top top{&context};
    top.eval();
    return SF_DRAM_BYTES;
}
"""


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Sources of an empty machine, and a cache of its own."""
    folder = tmp_path / "hw"
    (folder / "rtl").mkdir(parents=True)
    (folder / "sim").mkdir()
    names = ", ".join(f"{name} = 1" for name in rtl_parameters(SIM8))
    (folder / "rtl" / "sf_top.sv").write_text(TINY.replace("{parameters}", names))
    (folder / "rtl" / "packages.f").write_text("")
    (folder / "sim" / "sf_sim.cpp").write_text(HARNESS.replace("{name}", "answer"))
    monkeypatch.setattr(rtl_build, "hardware_folder", lambda: folder)
    monkeypatch.setenv("SFOPT_CACHE_DIR", str(tmp_path / "cache"))
    rtl_build._source_hashes.cache_clear()
    yield folder
    rtl_build._source_hashes.cache_clear()


def libraries(folder: Path) -> list[Path]:
    return sorted((folder.parent / "cache").rglob("*.so"))


@pytest.mark.slow
def test_built_once_and_again_when_anything_changes(tiny):
    first = build_library(SIM8)
    assert ctypes.CDLL(str(first)).answer() == SIM8.dram_word_bytes
    stamp = first.stat().st_mtime_ns
    assert build_library(replace(SIM8, dram_latency_cycles=99, dram_bytes_per_s=1)) == first
    assert first.stat().st_mtime_ns == stamp
    wide = build_library(replace(SIM8, dram_word_bytes=16))
    assert ctypes.CDLL(str(wide)).answer() == 16
    (tiny / "sim" / "sf_sim.cpp").write_text(HARNESS.replace("{name}", "other"))
    rtl_build._source_hashes.cache_clear()
    assert ctypes.CDLL(str(build_library(SIM8))).other() == 8
    assert len(libraries(tiny)) == 3
    assert {p.name for p in first.parent.iterdir()} == {first.name, "lock"}


@pytest.mark.slow
def test_what_a_killed_build_left_goes_with_the_next(tiny):
    library = build_library(SIM8)
    library.unlink()
    left = library.parent / "tmp_killed"
    left.mkdir()
    (left / "half.o").write_text("")
    assert build_library(SIM8) == library
    assert {p.name for p in library.parent.iterdir()} == {library.name, "lock"}


@pytest.mark.slow
def test_two_processes_at_once(tiny):
    fork = multiprocessing.get_context("fork")
    with fork.Pool(3) as pool:
        found = pool.map(build_library, [SIM8] * 3)
    assert libraries(tiny) == [found[0]]
    assert len(set(found)) == 1


@pytest.mark.slow
def test_what_verilator_says(tiny):
    (tiny / "rtl" / "sf_top.sv").write_text("module sf_top (input logic clk); assign nothing = clk; endmodule\n")
    with pytest.raises(UsageError, match="building the RTL failed at verilator_bin: %Error") as error:
        build_library(SIM8)
    assert "\n" not in str(error.value)
    assert libraries(tiny) == []


@pytest.mark.slow
def test_what_the_compiler_says(tiny):
    (tiny / "sim" / "sf_sim.cpp").write_text("int x = nothing;\n")
    with pytest.raises(UsageError, match=r"building the RTL failed at .*: .*error: .*nothing") as error:
        build_library(SIM8)
    assert "\n" not in str(error.value)
    assert libraries(tiny) == []


def test_a_cache_that_cannot_be_written(tiny, monkeypatch):
    blocker = tiny.parent / "file"
    blocker.write_text("")
    monkeypatch.setenv("SFOPT_CACHE_DIR", str(blocker))
    with pytest.raises(UsageError, match=r"cannot write the cache .*SFOPT_CACHE_DIR names another"):
        build_library(SIM8)


def test_where_the_cache_is(monkeypatch):
    monkeypatch.delenv("SFOPT_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/general")
    assert rtl_build._cache_folder() == Path("/general/sfopt/rtl")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/somebody")
    assert rtl_build._cache_folder() == Path("/somebody/.cache/sfopt/rtl")
    monkeypatch.setenv("SFOPT_CACHE_DIR", "/chosen")
    assert rtl_build._cache_folder() == Path("/chosen/rtl")


def test_the_sources_are_there():
    folder = hardware_folder()
    listed = [line for line in (folder / "rtl" / "packages.f").read_text().splitlines() if line.endswith(".sv")]
    assert sorted(listed) == sorted(p.name for p in (folder / "rtl").glob("*_pkg.sv"))
    assert (folder / "sim" / "sf_sim.cpp").is_file()


@pytest.mark.parametrize(("field", "value"), [("lanes_in", 4), ("lanes_out", 256), ("dram_word_bytes", 4)])
def test_devices_that_the_rtl_cannot_be(field, value):
    device = replace(SIM8, **{field: value, "bank_bytes": 8192, "dram_bytes_per_s": 1})
    with pytest.raises(UsageError, match=f"from 8 to 128, the device has {value}"):
        rtl_parameters(device)


def test_memory_is_whole_pages():
    memory = np.zeros(100, np.int8)
    with pytest.raises(InternalError, match="memory of 100 bytes"), open_model(Path("none"), SIM8, memory, Bus()):
        pass


@pytest.mark.slow
def test_every_option(tiny):
    library = build_library(SIM8, Build(threads=2, coverage=True, random_start=True))
    assert ctypes.CDLL(str(library)).answer() == 8
