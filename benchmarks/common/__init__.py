"""What the benchmark scripts share: their options, the model behind a name, and the machine that they ran on."""

import argparse
import os
import platform
import tempfile
from pathlib import Path

from models import NETWORKS, build_onnx

__all__ = ["RESULTS", "argument_parser", "model_file", "this_machine"]

RESULTS = Path(__file__).parent.parent / "results"


def argument_parser(
    description: str | None, seconds: float | None = None, limited: str = "plan"
) -> argparse.ArgumentParser:
    """Options that nearly all scripts have; with `seconds`, a time limit of each of what is `limited`."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--device", default="kcu1500")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "sfopt-networks")
    parser.add_argument("--out", type=Path, default=RESULTS)
    if seconds is not None:
        parser.add_argument("--seconds", type=float, default=seconds, help=f"time limit of one {limited}")
    return parser


def this_machine() -> str:
    """Cores, architecture and Python version."""
    return f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"


def model_file(name: str, cache: Path) -> Path:
    """A model file as it is, or the int8 model of a network of the zoo, built into the cache if it is not there."""
    if not name.endswith(".onnx") and name not in NETWORKS:
        raise SystemExit(f"unknown network `{name}`; known: {', '.join(NETWORKS)}, or a file that ends in .onnx")
    return Path(name) if name.endswith(".onnx") else build_onnx(name, cache)
