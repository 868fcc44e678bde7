"""A model of yours against the reference, as one call."""

from pathlib import Path

from sfopt.device import Device, load_device
from sfopt.importer import Calibration
from sfopt.pipeline import Options, Result, optimize

__all__ = ["assert_equivalent"]


def assert_equivalent(
    model: str | Path,
    *,
    device: str | Device = "kcu1500",
    backend: str = "fpga",
    calibration: Calibration = None,
    seed: int = 0,
) -> Result:
    """Run `model` on a backend and require every tensor and every byte count to equal the reference's.

    Raises EquivalenceError naming the first tensor and element that differ.
    """
    chosen = load_device(device) if isinstance(device, str) else device
    return optimize(Path(model), Options(chosen, backend=backend, calibration=calibration, seed=seed))
