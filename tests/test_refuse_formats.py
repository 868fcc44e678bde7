"""Every form of QDQ that other tools write: computed as ONNX Runtime's int8 kernels do, or refused by the tensor's name."""

from pathlib import Path

import numpy as np
import pytest
from command_line import Run, one_line
from models import random_inputs
from onnx import TensorProto
from quantised_models import ConvForm, QdqBuilder, fused_integers

import sfopt_ort
from sfopt.errors import ModelError
from sfopt.importer import Imported, import_model
from sfopt.onnx_io import read_onnx

OPSETS = (10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21)
UINT8 = TensorProto.UINT8


def imported(model: bytes, folder: Path) -> Imported:
    path = folder / "model.onnx"
    path.write_bytes(model)
    return import_model(path)


def refusal(model: bytes, folder: Path) -> str:
    with pytest.raises(ModelError) as caught:
        imported(model, folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


FORMS = {
    **{f"opset {n}": ConvForm(opset=n) for n in OPSETS},
    **{f"per channel, opset {n}": ConvForm(opset=n, per_channel=True) for n in OPSETS if n >= 13},
    "unsigned": ConvForm(UINT8, zero_point=119),
    "unsigned weights": ConvForm(weight=UINT8, weight_zero_point=128),
    "unsigned throughout": ConvForm(UINT8, UINT8, zero_point=3, weight_zero_point=128, opset=13),
    "no zero points": ConvForm(zero_point=None),
    "no bias": ConvForm(bias=""),
    "float bias": ConvForm(bias="float", per_channel=True),
    "asymmetric": ConvForm(zero_point=-77, weight_zero_point=1),
    "asymmetric per channel": ConvForm(UINT8, UINT8, zero_point=7, per_channel=True, weight_zero_point=(128, 128, 127, 128)),
}  # fmt: skip


@pytest.mark.parametrize("name", FORMS)
def test_form_is_computed_as_onnxruntime_computes_it(name: str, tmp_path: Path) -> None:
    model = FORMS[name].model()
    network = imported(model, tmp_path).network
    assert [op.op_type for op in network.graph.ops] == ["QuantizeLinear", "QLinearConv", "DequantizeLinear"]
    (conv,) = (op for op in network.graph.ops if op.op_type == "QLinearConv")
    feeds = random_inputs(read_onnx(model))
    want = fused_integers(model, feeds, ["y:q"])["y:q"]
    shift = 128 if want.dtype == np.uint8 else 0
    got = sfopt_ort.run(network.graph, feeds)[conv.output]
    np.testing.assert_array_equal(got, want.astype(np.int16) - shift)
    assert len(np.unique(got)) > 20


@pytest.mark.parametrize(
    ("form", "message"),
    [
        *(
            (
                ConvForm(kind, bias="float"),
                (
                    f"tensor `x:q` is quantised to {name}, needs int8 or uint8; quantise activations to 8 bits "
                    "(QuantType.QInt8), or give the float model"
                ),
            )
            for kind, name in [
                (TensorProto.INT16, "int16"),
                (TensorProto.UINT16, "uint16"),
                (TensorProto.INT4, "int4"),
                (TensorProto.FLOAT8E4M3FN, "float8_e4m3fn"),
                (TensorProto.FLOAT8E5M2, "float8_e5m2"),
            ]
        ),
        *(
            (
                ConvForm(weight=kind),
                (
                    f"tensor `c2` is quantised to {name}, needs int8 or uint8; quantise weights to 8 bits "
                    "(QuantType.QInt8), or give the float model"
                ),
            )
            for kind, name in [
                (TensorProto.INT16, "int16"),
                (TensorProto.INT4, "int4"),
                (TensorProto.UINT4, "uint4"),
                (TensorProto.FLOAT8E4M3FN, "float8_e4m3fn"),
            ]
        ),
        (
            ConvForm(weight=UINT8, weight_zero_point=3),
            (
                "weights `c2` span 2..230 around their zero point, needs -128..127; quantise them symmetrically "
                "(int8, zero point 0)"
            ),
        ),
        (
            ConvForm(activation_axis=True, bias="float"),
            "tensor `x:q` is quantised per channel, which only weights may be; quantise activations per tensor",
        ),
        (ConvForm(in_blocks=True), "tensor `c2` is quantised in blocks; quantise it per tensor or per channel"),
        (ConvForm(scale=0.0), "tensor `x:q` has scale 0.0, needs a finite number above 0; quantise it anew"),
        (ConvForm(scale=float("nan")), "tensor `x:q` has scale nan, needs a finite number above 0; quantise it anew"),
        (ConvForm(weight_scale=-0.5), "tensor `c2` has scale -0.5, needs a finite number above 0; quantise it anew"),
    ],
)
def test_what_int8_cannot_hold_is_refused(form: ConvForm, message: str, tmp_path: Path) -> None:
    assert refusal(form.model(), tmp_path) == message


def test_scales_that_are_computed_at_run_time_are_refused(tmp_path: Path) -> None:
    b = QdqBuilder()
    b.add("DynamicQuantizeLinear", b.input((1, 3, 5, 5)), outputs=["q", "s", "z"])
    weights = b.constant(b.random.integers(-127, 128, (4, 3, 1, 1)), "int8")
    b.add("ConvInteger", "q", weights, "z", outputs=["sum"])
    y = b.add("Mul", b.add("Cast", "sum", to=TensorProto.FLOAT), "s")
    assert refusal(b.model(y), tmp_path) == (
        "DynamicQuantizeLinear `n0`: the scale of `x` is computed at run time; quantise statically, with calibration data "
        "(quantize_static), or give the float model"
    )


def test_a_scale_that_another_operator_computes_is_refused(tmp_path: Path) -> None:
    b = QdqBuilder()
    x, scale = b.input((1, 3, 5, 5)), b.input((), "scale")
    b.add("QuantizeLinear", x, b.add("Abs", scale, outputs=["s"]), outputs=["q"])
    y = b.add("DequantizeLinear", "q", "s")
    text = "tensor `s` must be constant: scales, zero points and shapes are fixed when compiling"
    assert refusal(b.model(y), tmp_path) == text


@pytest.mark.parametrize("kind", ["float16", "float64"])
def test_floats_of_another_size_are_refused(kind: str, tmp_path: Path) -> None:
    b = QdqBuilder()
    element = {"float16": TensorProto.FLOAT16, "float64": TensorProto.DOUBLE}[kind]
    x = b.input((1, 3, 5, 5), dtype=element)
    y = b.add("Conv", x, b.typed(element, (2, 3, 1, 1), [0.5] * 6), outputs=["y"])
    assert refusal(b.model(y), tmp_path) == (f"Conv `n0`: `{y}` is {kind}, needs float32; export the model in float32")


def test_the_command_line_ends_with_code_2_and_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "int16.onnx"
    path.write_bytes(ConvForm(TensorProto.INT16, bias="float").model())
    code, _, err = Run(monkeypatch, capsys)("optimize", path, "--out", tmp_path / "out")
    assert code == 2
    assert one_line(err).startswith("tensor `x:q` is quantised to int16, needs int8 or uint8")
