"""Large windows: what the instructions hold runs on the accelerator, the rest on the host, with the reason."""

from pathlib import Path

import pytest
from models import ModelBuilder

from sfopt.device import load_device
from sfopt.pipeline import Options, Result, optimize
from sfopt.report import host_ops, import_notes


def optimized(tmp_path: Path, kernel: int, stride: int, pad: int) -> Result:
    m = ModelBuilder()
    weights = m.random_constant(8, 1, kernel, kernel, low=-0.1, high=0.1)
    large = m.add("Conv", m.input((1, 1, 80, 80)), weights, strides=[stride] * 2, pads=[pad] * 4)
    path = tmp_path / "m.onnx"
    path.write_bytes(m.build(m.conv(large, 8, 4, kernel=1)))
    return optimize(path, Options(load_device("kcu1500")))


@pytest.mark.parametrize(("kernel", "stride", "pad"), [(25, 1, 12), (20, 3, 4), (31, 16, 15), (63, 1, 31)])
def test_large_kernels_run_on_the_accelerator(tmp_path: Path, kernel: int, stride: int, pad: int) -> None:
    result = optimized(tmp_path, kernel, stride, pad)
    assert {h["op"] for h in host_ops(result.imported.network)} == {"QuantizeLinear", "DequantizeLinear"}


def test_a_kernel_that_no_instruction_holds_stays_on_the_host(tmp_path: Path) -> None:
    result = optimized(tmp_path, 64, 1, 0)
    assert "Conv" in {h["op"] for h in host_ops(result.imported.network)}
    assert any("kernel of 64, the accelerator's largest is 63" in note for note in import_notes(result.imported))
