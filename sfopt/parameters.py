"""What the commands take: their arguments and options, what a shell completes them with, and how the values are read."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated

import typer

from sfopt.allocate import METHODS, OBJECTIVES
from sfopt.backend import backend_names
from sfopt.device import Device, device_names, load_device
from sfopt.errors import UsageError
from sfopt.units import parse_size

__all__ = [
    "AsJson",
    "BackendName",
    "Calibration",
    "DeviceName",
    "ExplainLimit",
    "KnownDevice",
    "Method",
    "Methods",
    "Model",
    "NoVerify",
    "Objective",
    "Orders",
    "Rtl",
    "Seed",
    "Sram",
    "TimeLimit",
    "TrafficLimit",
    "device_of",
    "method_of",
    "objective_of",
]


def _among(names: Callable[[], Iterable[str]]) -> Callable[[str], list[str]]:
    """Completion by names; of a list with commas, of its last part."""

    def complete(incomplete: str) -> list[str]:
        before, comma, last = incomplete.rpartition(",")
        return [before + comma + name for name in names() if name.startswith(last)]

    return complete


_DEVICES, _METHODS, _OBJECTIVES = _among(device_names), _among(lambda: METHODS), _among(lambda: OBJECTIVES)

Model = Annotated[
    Path, typer.Argument(help="ONNX, Keras (.keras, .h5), SavedModel folder or TFLite.", show_default=False)
]
DeviceName = Annotated[
    str,
    typer.Option("--device", autocompletion=_DEVICES, help="A name from `sfopt devices`, or a TOML file."),
]
KnownDevice = Annotated[str | None, typer.Argument(autocompletion=_DEVICES, help="A device to print in full.")]
Sram = Annotated[str | None, typer.Option("--sram", help="Scratchpad size instead of the device's, e.g. 512K.")]
Objective = Annotated[
    str,
    typer.Option("--objective", autocompletion=_OBJECTIVES, help="What to minimise first: traffic, latency, sram."),
]
TrafficLimit = Annotated[
    str | None,
    typer.Option(
        "--traffic-limit", help="Most DRAM bytes of data; with the objective sram the compulsory ones by default."
    ),
]
Method = Annotated[
    str,
    typer.Option("--method", autocompletion=_METHODS, help="`optimal`, or a heuristic to compare with."),
]
Methods = Annotated[
    str | None,
    typer.Option("--methods", autocompletion=_METHODS, help="Names, separated by commas; all by default."),
]
BackendName = Annotated[
    str, typer.Option("--backend", autocompletion=_among(backend_names), help="A name from `sfopt backends`.")
]
Calibration = Annotated[
    Path | None, typer.Option("--calibration", help="Samples, up to 256: .npz, or a folder of images (scaled to 0..1).")
]
Orders = Annotated[
    int, typer.Option("--orders", min=1, help="Topological orders to try, the model's own first; the best is planned.")
]
TimeLimit = Annotated[float, typer.Option("--time-limit", min=0.1, help="Seconds that the solver may take.")]
ExplainLimit = Annotated[
    float,
    typer.Option(
        "--time-limit", min=0.1, help="Seconds that the solver may take for the plan, and again for all answers."
    ),
]
Seed = Annotated[int, typer.Option("--seed", help="Seed of random samples and of the solver.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the report as JSON.")]
Rtl = Annotated[
    bool, typer.Option("--rtl", help="Run the program on the RTL as well (Verilator) and compare with the simulator.")
]
NoVerify = Annotated[bool, typer.Option("--no-verify", help="Do not run and compare the program.")]


def device_of(name: str, sram: str | None) -> Device:
    """The device that is meant, with another scratchpad where one is asked for."""
    device = load_device(name)
    return device if sram is None else device.with_sram(parse_size(sram))


def method_of(name: str) -> str:
    """The name of a method. Raises UsageError with the known ones."""
    if name not in METHODS:
        raise UsageError(f"unknown method `{name}`; known: {', '.join(METHODS)}")
    return name


def objective_of(name: str) -> str:
    """The name of an objective. Raises UsageError with the known ones."""
    if name not in OBJECTIVES:
        raise UsageError(f"objective `{name}` is not available; known: {', '.join(OBJECTIVES)}")
    return name
