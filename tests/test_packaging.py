"""The wheel installs what it should and nothing else."""

import configparser
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import sfopt
from sfopt.device import device_names

ROOT = Path(__file__).resolve().parents[1]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    (path,) = out.glob("*.whl")
    return zipfile.ZipFile(path)


def test_top_level_names(wheel):
    names = {name.split("/")[0] for name in wheel.namelist()}
    assert names == {"sfopt", "sfopt_ort", "sfopt_fpga", "sfopt_c", f"sfopt-{sfopt.__version__}.dist-info"}


def test_package_data(wheel):
    names = set(wheel.namelist())
    assert {f"sfopt/devices/{name}.toml" for name in device_names()} <= names
    assert {"sfopt/examples/digits.onnx", "sfopt/examples/digits.npz", "sfopt/py.typed"} <= names
    hardware = [path for part in ("rtl", "sim") for path in (ROOT / "hw" / part).iterdir()]
    assert {f"sfopt_fpga/{path.relative_to(ROOT)}" for path in hardware} <= names
    c = ROOT / "backends" / "sfopt_c"
    assert {str(path.relative_to(c.parent)) for path in c.rglob("*.c")} <= names
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_every_module_is_in_the_wheel(wheel):
    backends = [ROOT / "backends" / name for name in ("sfopt_ort", "sfopt_fpga", "sfopt_c")]
    sources = [ROOT / "sfopt", *backends]
    modules = {str(path.relative_to(source.parent)) for source in sources for path in source.rglob("*.py")}
    assert modules == {name for name in wheel.namelist() if name.endswith(".py")}


def test_entry_points(wheel):
    (name,) = [name for name in wheel.namelist() if name.endswith("entry_points.txt")]
    parser = configparser.ConfigParser()
    parser.read_string(wheel.read(name).decode())
    assert dict(parser["console_scripts"]) == {"sfopt": "sfopt.cli:main"}
    assert dict(parser["sfopt.backends"]) == {
        "c": "sfopt_c:CBackend",
        "fpga": "sfopt_fpga:FpgaBackend",
        "ort": "sfopt_ort:OrtBackend",
    }
