"""Every operator of the ONNX standard, as its own test cases use it: read, rewritten, written, and computing the same."""

import numpy as np
import onnxruntime as ort
import pytest
from models import run
from onnx.backend.test.case.node import collect_testcases

from sfopt.errors import ModelError
from sfopt.onnx_io import read_onnx, write_onnx
from sfopt.passes import run_passes


def reference(model: bytes, feeds: dict[str, np.ndarray]) -> list[np.ndarray] | None:
    """The outputs, None where ONNX Runtime has no kernel for the case."""
    try:
        return run(model, feeds)
    except Exception as error:
        if type(error).__module__.startswith(("onnxruntime", "builtins")):
            return None
        raise


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_operators_of_the_standard() -> None:
    ort.set_default_logger_severity(4)
    compared = 0
    for case in collect_testcases(None):
        if case.model is None or not case.data_sets:
            continue
        model = case.model.SerializeToString()
        inputs = case.data_sets[0][0]
        if any(np.size(x) == 0 for x in inputs if isinstance(x, np.ndarray)):
            continue
        try:
            source = read_onnx(model)
        except ModelError:
            continue
        graph = run_passes(source)
        feeds = {i.name: x for i, x in zip(case.model.graph.input, inputs, strict=False)}
        wanted = reference(model, feeds)
        if wanted is None:
            continue
        feeds = {
            n: x.transpose(0, 3, 1, 2) if n in graph.input_layouts else x for n, x in feeds.items() if n in graph.inputs
        }
        got = run(write_onnx(graph), feeds)
        for name, a, b in zip(graph.outputs, wanted, got, strict=True):
            turned = b.transpose(0, 2, 3, 1) if name in graph.output_layouts else b
            if a.dtype != object:
                np.testing.assert_allclose(
                    turned.astype(float), a.astype(float), rtol=1e-3, atol=1e-4, err_msg=case.name
                )
        compared += 1
    assert compared > 250
