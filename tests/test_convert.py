"""TensorFlow models through the whole import: converted, read, rewritten, and still computing the same."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from models import assert_equivalent, count, random_inputs

import sfopt_ort
from sfopt.convert import convert, is_convertible
from sfopt.device import load_device
from sfopt.errors import MissingExtraError, ModelError
from sfopt.graph import Graph
from sfopt.importer import import_model
from sfopt.onnx_io import read_onnx
from sfopt.passes import lower_quantized, run_passes
from sfopt.pipeline import Options, optimize
from sfopt.report import host_ops, import_notes

try:
    import keras
    import tensorflow as tf
except ImportError:
    keras = tf = None

MORE = ("int8_ends", "float16")
"""Kinds of TFLite files that the nightly tests take through the flow as well."""
needs_tensorflow = pytest.mark.skipif(keras is None, reason="needs the optional dependencies `tf`")


def randomise(model: Any) -> Any:
    """Seeded weights with which activations stay of size 1 and no channel is like another."""
    random = np.random.default_rng(0)
    for weight in model.weights:
        name, shape = weight.path.rsplit("/", 1)[-1], tuple(weight.shape)
        if name in ("kernel", "depthwise_kernel", "pointwise_kernel"):
            fan_in = int(np.prod(shape[:2])) if "depthwise" in weight.path else int(np.prod(shape[:-1]))
            value = random.normal(0, (1.5 / fan_in) ** 0.5, shape)
        elif name in ("gamma", "moving_variance", "variance"):
            value = random.uniform(0.7, 1.3, shape)
        else:
            value = random.uniform(-0.2, 0.2, shape)
        weight.assign(value.astype(weight.dtype))
    return model


def small_model() -> Any:
    layers = keras.layers
    x = inputs = keras.Input((16, 16, 3))
    x = layers.Activation("swish")(layers.BatchNormalization()(layers.Conv2D(8, 3, 2, "same", use_bias=False)(x)))
    y = layers.ReLU(6.0)(layers.DepthwiseConv2D(3, padding="same")(x))
    s = layers.Dense(8, "sigmoid")(layers.Dense(4, "relu")(layers.GlobalAveragePooling2D()(y)))
    y = layers.Multiply()([y, layers.Reshape((1, 1, 8))(s)])
    x = layers.UpSampling2D()(layers.MaxPooling2D()(layers.Concatenate()([x, y])))
    x = layers.Flatten()(layers.ZeroPadding2D(1)(x))
    return randomise(keras.Model(inputs, layers.Dense(5)(x)))


def tflite(model: Any, folder: Path, kind: str) -> Path:
    """The model as a TFLite file of one of TensorFlow's kinds of quantisation."""
    function = tf.function(lambda x: model(x, training=False), input_signature=[tf.TensorSpec((1, 16, 16, 3))])
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()])
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if kind == "float16":
        converter.target_spec.supported_types = [tf.float16]
    elif kind != "dynamic_range":
        samples = [np.random.default_rng(seed).standard_normal((1, 16, 16, 3)).astype("float32") for seed in range(8)]
        converter.representative_dataset = lambda: iter([[sample] for sample in samples])
        wide = tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
        converter.target_spec.supported_ops = [wide if kind == "int16" else tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    if kind.endswith("_ends"):
        converter.inference_input_type = converter.inference_output_type = getattr(tf, kind.removesuffix("_ends"))
    path = folder / f"{kind}.tflite"
    path.write_bytes(converter.convert())
    return path


def imported(model: bytes, tolerance: float = 1e-4) -> Graph:
    source = read_onnx(model)
    graph = run_passes(source)
    assert_equivalent(model, graph, random_inputs(source), tolerance)
    return graph


def assert_matches_keras(model: Any, onnx_model: bytes) -> None:
    from models import run

    graph = read_onnx(onnx_model)
    feeds = random_inputs(graph)
    wanted = np.asarray(model(feeds[graph.inputs[0]], training=False))
    (got,) = run(onnx_model, feeds)
    np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-4 * float(np.abs(wanted).max()))


@needs_tensorflow
class TestSources:
    @pytest.fixture(scope="class")
    def model(self) -> Any:
        return small_model()

    def test_keras_object(self, model: Any) -> None:
        data = convert(model)
        assert_matches_keras(model, data)
        graph = imported(data)
        assert (graph.inputs, graph.outputs) == (("input",), ("output",))
        assert graph.input_layouts == {"input": "NHWC"}
        assert not {"Transpose", "BatchNormalization", "Pad", "MatMul", "Tile"} & count(graph).keys()
        assert count(graph)["Reshape"] == count(graph)["Resize"] == 1

    @pytest.mark.parametrize("suffix", [".keras", ".h5"])
    def test_keras_file(self, model: Any, suffix: str, tmp_path: Path) -> None:
        path = tmp_path / f"model{suffix}"
        model.save(path)
        assert is_convertible(path)
        assert_matches_keras(model, convert(path))

    def test_saved_model_folder(self, model: Any, tmp_path: Path) -> None:
        model.export(tmp_path / "saved", verbose=False)
        assert is_convertible(tmp_path / "saved")
        assert_matches_keras(model, convert(tmp_path / "saved"))

    def test_tflite_file(self, model: Any, tmp_path: Path) -> None:
        path = tmp_path / "model.tflite"
        function = tf.function(lambda x: model(x, training=False), input_signature=[tf.TensorSpec((1, 16, 16, 3))])
        path.write_bytes(tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()]).convert())
        assert is_convertible(path)
        data = convert(path)
        assert_matches_keras(model, data)
        assert "Transpose" not in count(imported(data))

    def test_int8_tflite_file(self, model: Any, tmp_path: Path) -> None:
        graph = imported(convert(tflite(model, tmp_path, "int8")), tolerance=1e-6)
        found = count(graph)
        assert found["Resize"] == 1
        assert found["QuantizeLinear"] > 10
        assert "Tile" not in found
        integers = count(lower_quantized(graph))
        assert not {"Add", "Conv", "MatMul", "Mul", "Relu"} & integers.keys()
        assert integers["QLinearConv"] == 6, "one of them pads"

    @pytest.mark.parametrize(
        "kind", ["int8", "uint8_ends", *(pytest.param(k, marks=pytest.mark.nightly) for k in MORE)]
    )
    def test_the_flow_takes_quantised_tflite(self, model: Any, kind: str, tmp_path: Path) -> None:
        path = tflite(model, tmp_path, kind)
        result = optimize(path, Options(load_device("sim8"), method="once-per-layer"))
        assert result.verification is not None
        assert result.verification.equivalence.mismatches == 0
        deviation = result.verification.deviation
        assert deviation is not None
        if kind != "float16":
            assert deviation.max_abs_diff == 0.0, "what ONNX Runtime makes of the file's own scales"
            assert not [note for note in result.imported.network.graph.notes if "gives it no scale" in note]
        assert deviation.sqnr_db > 25

    @pytest.mark.parametrize("kind", ["int8_ends", pytest.param("uint8_ends", marks=pytest.mark.nightly)])
    def test_scales_and_results_are_those_of_tflite(self, model: Any, kind: str, tmp_path: Path) -> None:
        """TFLite rounds with fixed-point factors: one step of difference in the result is no defect, two would be."""
        path = tflite(model, tmp_path, kind)
        interpreter = tf.lite.Interpreter(str(path))
        interpreter.allocate_tensors()
        (given,), (result,) = interpreter.get_input_details(), interpreter.get_output_details()
        graph = import_model(path).network.graph
        (name,) = graph.outputs
        seen = set[int]()
        for seed in range(8):
            limits = np.iinfo(given["dtype"])
            image = (
                np.random.default_rng(seed).integers(limits.min, limits.max + 1, given["shape"]).astype(given["dtype"])
            )
            interpreter.set_tensor(given["index"], image)
            interpreter.invoke()
            want = interpreter.get_tensor(result["index"])
            feeds = {graph.inputs[0]: np.ascontiguousarray(image.transpose(0, 3, 1, 2))}
            got = sfopt_ort.run(graph, feeds, [name])[name]
            assert np.abs(got.astype(int) - want).max() <= 1
            seen |= set(want.reshape(-1).tolist())
        assert len(seen) > 8
        scales = {d["quantization"][0] for d in interpreter.get_tensor_details()}
        ours = {
            float(t.quant.scale) for t in graph.tensors.values() if t.dtype == "int8" and t.quant and not t.is_constant
        }
        assert len(ours) > 5
        assert ours <= {float(np.float32(s)) for s in scales} | {result["quantization"][0]}

    @pytest.mark.parametrize("kind", ["keras", "h5", "saved", "tflite"])
    def test_the_flow_takes_the_path_as_it_is(self, model: Any, kind: str, tmp_path: Path) -> None:
        path = tmp_path / f"model.{kind}"
        if kind == "saved":
            model.export(path, verbose=False)
        elif kind == "tflite":
            path.write_bytes(tf.lite.TFLiteConverter.from_keras_model(model).convert())
        else:
            model.save(path)
        result = optimize(path, Options(load_device("sim8"), method="greedy-size"))
        assert result.verification is not None
        assert result.verification.equivalence.mismatches == 0
        assert result.verification.deviation is not None
        assert result.verification.deviation.sqnr_db > 25
        assert {h["op"] for h in host_ops(result.imported.network)} == {"QuantizeLinear", "DequantizeLinear"}
        notes = import_notes(result.imported)
        assert notes[0] == "converted from TensorFlow, with batch 1"
        assert any(note.endswith("dynamic batch fixed to 1") for note in notes) == (kind == "tflite")

    def test_saved_model_of_a_module(self, tmp_path: Path) -> None:
        class Module(tf.Module):
            def __init__(self) -> None:
                self.weights = tf.Variable(np.random.default_rng(0).standard_normal((3, 3, 3, 8)), dtype=tf.float32)

            @tf.function(input_signature=[tf.TensorSpec((None, 16, 16, 3), name="image")])
            def serve(self, image: Any) -> Any:
                return {"maps": tf.nn.relu(tf.nn.conv2d(image, self.weights, 1, "SAME"))}

        module = Module()
        tf.saved_model.save(module, str(tmp_path), signatures={"serving_default": module.serve})
        network = import_model(tmp_path).network
        assert network.graph.inputs == ("image",)
        assert [op.op_type for op in network.graph.ops] == ["QuantizeLinear", "QLinearConv", "DequantizeLinear"]

    def test_gelu_of_keras(self) -> None:
        inputs = keras.Input((8, 8, 3))
        model = randomise(keras.Model(inputs, keras.layers.Conv2D(6, 3, activation="gelu")(inputs)))
        data = convert(model)
        assert_matches_keras(model, data)
        imported(data)

    def test_several_inputs_and_outputs(self) -> None:
        a, b = keras.Input((8, 8, 2)), keras.Input((8, 8, 2))
        s = keras.layers.Add()([keras.layers.Conv2D(2, 3, padding="same")(a), b])
        model = randomise(keras.Model([a, b], [s, keras.layers.Conv2D(3, 1)(s)]))
        graph = imported(convert(model))
        assert (graph.inputs, graph.outputs) == (("input_0", "input_1"), ("output_0", "output_1"))
        assert set(graph.input_layouts.values()) == set(graph.output_layouts.values()) == {"NHWC"}


class TestRefusals:
    def refusal(self, source: object) -> str:
        with pytest.raises(ModelError) as caught:
            convert(source)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    def test_missing_file(self, tmp_path: Path) -> None:
        assert self.refusal(tmp_path / "a.keras") == f"{tmp_path / 'a.keras'}: no such file"

    def test_other_kind_of_file(self, tmp_path: Path) -> None:
        path = tmp_path / "a.onnx"
        path.touch()
        assert not is_convertible(path)
        wanted = "not a TensorFlow model: needs a SavedModel folder or one of .h5, .hdf5, .keras, .tflite"
        assert self.refusal(path) == f"{path}: {wanted}"

    @needs_tensorflow
    @pytest.mark.parametrize(
        ("suffix", "problem"),
        [
            (".keras", "cannot be read as a Keras model"),
            (".h5", "cannot be read as a Keras model"),
            (".tflite", "cannot be converted from TFLite"),
        ],
    )
    def test_damaged_file(self, suffix: str, problem: str, tmp_path: Path) -> None:
        path = tmp_path / f"a{suffix}"
        path.write_bytes(b"this is no model" * 10)
        assert self.refusal(path).startswith(f"{path}: {problem}: ")

    @needs_tensorflow
    def test_damaged_folder(self, tmp_path: Path) -> None:
        (tmp_path / "saved_model.pb").write_bytes(b"this is no model")
        assert self.refusal(tmp_path).startswith(f"{tmp_path}: cannot be read as a SavedModel: ")

    @needs_tensorflow
    def test_signature_is_missing(self, tmp_path: Path) -> None:
        tf.saved_model.save(tf.Module(), str(tmp_path))
        assert (
            self.refusal(tmp_path) == f"{tmp_path}: the SavedModel has no signature to call; save it with `signatures=`"
        )

    @needs_tensorflow
    def test_int16_activations_of_tflite(self, tmp_path: Path) -> None:
        path = tflite(small_model(), tmp_path, "int16")
        text = self.refusal(path)
        assert text.startswith(f"{path}: tensor `")
        assert text.endswith(
            "` is quantised to int16, needs int8; convert the model with TFLITE_BUILTINS_INT8, or without quantisation"
        )

    @needs_tensorflow
    def test_weights_of_tflite_that_are_quantised_alone(self, tmp_path: Path) -> None:
        inputs = keras.Input((16, 16, 3))
        model = keras.Model(inputs, keras.layers.Dense(600)(keras.layers.Flatten()(inputs)))
        with pytest.raises(ModelError, match=r"the scale of `.*` is computed at run time; quantise statically"):
            import_model(tflite(model, tmp_path, "dynamic_range"))

    @needs_tensorflow
    def test_operator_that_onnx_lacks(self) -> None:
        class Bessel(keras.layers.Layer):
            def call(self, x: Any) -> Any:
                return tf.math.bessel_i0e(x)

        inputs = keras.Input((4, 4, 3))
        text = self.refusal(keras.Model(inputs, Bessel()(inputs)))
        assert text.startswith("model: cannot be converted to ONNX: operator BesselI0e `")
        assert text.endswith("` has no form in ONNX; use another layer in its place")

    @needs_tensorflow
    def test_half_precision(self, tmp_path: Path) -> None:
        inputs = keras.Input((8, 8, 3))
        model = keras.Model(inputs, keras.layers.Conv2D(2, 3, dtype="mixed_float16")(inputs))
        model.save(tmp_path / "half.keras")
        with pytest.raises(ModelError, match="is float16, needs float32; export the model in float32"):
            import_model(tmp_path / "half.keras")

    @needs_tensorflow
    def test_no_model(self) -> None:
        assert self.refusal(3) == "model: needs a Keras model with known inputs, got int"

    @needs_tensorflow
    def test_dynamic_size(self) -> None:
        inputs = keras.Input((None, 8, 3))
        model = keras.Model(inputs, keras.layers.Conv2D(2, 3)(inputs))
        assert self.refusal(model) == "model: input `input`: dimension 1 is dynamic, needs a fixed size"

    def test_without_tensorflow(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setitem(sys.modules, "tf2onnx", None)
        path = tmp_path / "a.keras"
        path.touch()
        with pytest.raises(MissingExtraError, match="pip install 'sfopt\\[tf\\]'"):
            convert(path)


def test_tensorflow_is_imported_on_first_use_only() -> None:
    code = "import sys, sfopt.convert; sys.exit(any(m in sys.modules for m in ('tensorflow', 'keras', 'tf2onnx')))"
    subprocess.run([sys.executable, "-c", code], check=True)


@needs_tensorflow
@pytest.mark.slow
def test_transposes_that_tf2onnx_leaves_are_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    """tf2onnx gives up on some graphs; here it does not try."""
    import tf2onnx.optimizer

    monkeypatch.setattr(tf2onnx.optimizer.TransposeOptimizer, "optimize", lambda self, graph: graph)
    build: Callable[..., Any] = keras.applications.MobileNetV3Small
    data = convert(randomise(build(weights=None, input_shape=(224, 224, 3), classifier_activation=None)))
    assert count(read_onnx(data))["Transpose"] > 100
    assert "Transpose" not in count(imported(data))


@needs_tensorflow
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "operators"),
    [
        ("MobileNetV2", {"Conv": 53, "Add": 10, "Clip": 35, "GlobalAveragePool": 1, "Reshape": 1}),
        ("MobileNetV3Small", {"HardSwish": 19, "HardSigmoid": 9, "Mul": 10, "Add": 7, "Relu": 14}),
        pytest.param("ResNet50", {"Conv": 54, "Add": 16, "Relu": 49, "MaxPool": 1}, marks=pytest.mark.nightly),
        pytest.param("DenseNet121", {"Concat": 58, "Relu": 121, "AveragePool": 3}, marks=pytest.mark.nightly),
        pytest.param("InceptionV3", {"Conv": 95, "Concat": 11, "AveragePool": 9}, marks=pytest.mark.nightly),
        pytest.param("ResNet50V2", {"Add": 16, "MaxPool": 4}, marks=pytest.mark.nightly),
        pytest.param("Xception", {"Add": 12, "MaxPool": 4}, marks=pytest.mark.nightly),
        pytest.param("NASNetMobile", {"GlobalAveragePool": 1}, marks=pytest.mark.nightly),
        ("EfficientNetB0", {"Sigmoid": 65, "Mul": 65, "Add": 9, "GlobalAveragePool": 17, "Reshape": 1}),
    ],
)
def test_known_networks(name: str, operators: dict[str, int]) -> None:
    build: Callable[..., Any] = getattr(keras.applications, name)
    model = randomise(build(weights=None, input_shape=(224, 224, 3), classifier_activation=None))
    graph = imported(convert(model))
    found = count(graph)
    assert not {"Transpose", "BatchNormalization", "Pad", "MatMul", "Identity"} & found.keys()
    assert {k: found[k] for k in operators} == operators
    assert graph.inputs == ("input",), "constants that the model captured are no inputs"
    assert graph.tensor("input").shape == (1, 3, 224, 224)
    assert graph.tensor("output").shape == (1, 1000)


MEMORY = """
import resource, sys, keras
from sfopt.convert import convert
x = inputs = keras.Input((8, 8, 512))
convert(keras.Model(inputs, keras.layers.ReLU()(inputs)))
for _ in range(8):
    x = keras.layers.ReLU()(keras.layers.Conv2D(512, 3, padding="same")(x))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
convert(keras.Model(inputs, x))
print(1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // (8 * 512 * (512 * 9 + 1) * 4))
"""


@needs_tensorflow
@pytest.mark.slow
def test_copies_of_the_weights_do_not_pile_up() -> None:
    """Peak memory over the weights' bytes: 24 where copies are collected, 58 where they are not."""
    result = subprocess.run([sys.executable, "-c", MEMORY], check=True, capture_output=True, text=True)
    assert int(result.stdout.split()[-1]) < 40
