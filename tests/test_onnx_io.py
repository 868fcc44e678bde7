"""Reading and writing ONNX: what is kept, what is folded, and the exact text of every refusal."""

from pathlib import Path

import models
import numpy as np
import onnx
import pytest
from models import ModelBuilder, assert_equivalent, count, random_inputs, run
from onnx import TensorProto, helper, numpy_helper

from sfopt.errors import ModelError
from sfopt.graph import Graph, Op, Tensor
from sfopt.onnx_io import read_onnx, write_onnx

LIGHT = Path(onnx.__file__).parent / "backend/test/data/light"
NEWEST = onnx.defs.onnx_opset_version()


def refusal(source: Path | bytes) -> str:
    with pytest.raises(ModelError) as caught:
        read_onnx(source)
    text = str(caught.value)
    assert "\n" not in text
    return text


def two_convs(**shape: object) -> ModelBuilder:
    m = ModelBuilder()
    m.conv(m.conv(m.input((1, 3, 8, 8)), 3, 4), 4, 2)
    return m


@pytest.mark.parametrize(
    "build",
    [
        models.conv_chain,
        models.residual,
        models.inverted_residual,
        models.pyramid,
        models.concat_branches,
        models.channels_last,
    ],
)
def test_written_model_computes_what_the_read_one_does(build: object) -> None:
    model = build()  # type: ignore[operator]
    graph = read_onnx(model)
    assert_equivalent(model, graph, random_inputs(graph), tolerance=0)
    assert write_onnx(graph) == write_onnx(read_onnx(model))
    again = read_onnx(write_onnx(graph))
    assert again.dump() == graph.dump()


def test_equivalence_check_notices_a_changed_weight() -> None:
    model = models.conv_chain()
    graph = read_onnx(model)
    conv = next(op for op in graph.ops if op.op_type == "Conv")
    weights = graph.tensor(conv.inputs[1])
    changed = weights.data.copy()
    changed[0, 0, 0, 0] += 0.1
    broken = graph.with_ops(graph.ops, [Tensor(weights.name, weights.shape, weights.dtype, data=changed)])
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        assert_equivalent(model, broken, random_inputs(graph))


class TestFilesThatAreNoModels:
    def test_missing(self, tmp_path: Path) -> None:
        path = tmp_path / "absent.onnx"
        assert refusal(path) == f"{path}: no such file"

    def test_folder(self, tmp_path: Path) -> None:
        assert refusal(tmp_path) == f"{tmp_path}: is a folder, needs an ONNX file"

    def test_empty(self, tmp_path: Path) -> None:
        path = tmp_path / "empty.onnx"
        path.touch()
        assert refusal(path) == f"{path}: the file is empty"

    def test_text(self) -> None:
        assert refusal(b"version https://git-lfs.github.com/spec/v1\n") == "model: not an ONNX model: a text file"

    def test_truncated(self) -> None:
        data = models.conv_chain()
        wanted = "model: not an ONNX model: damaged, truncated or of another format"
        assert {refusal(data[: len(data) * k // 10]) for k in range(1, 10)} == {wanted}

    def test_another_protobuf(self) -> None:
        data = helper.make_tensor("t", TensorProto.FLOAT, [1], [1.0]).SerializeToString()
        text = refusal(data)
        assert text.startswith("model: not an ONNX model: ")

    def test_no_graph(self) -> None:
        model = onnx.ModelProto(ir_version=8, opset_import=[helper.make_opsetid("", 17)])
        wanted = "model: not an ONNX model: it holds no graph with an IR version and an opset"
        assert refusal(model.SerializeToString()) == wanted

    @pytest.mark.parametrize("opset", [6, NEWEST + 1])
    def test_opset_out_of_range(self, opset: int) -> None:
        m = onnx.load_from_string(models.conv_chain())
        m.opset_import[0].version = opset
        assert refusal(m.SerializeToString()) == f"model: opset {opset} is not supported, needs 7 to {NEWEST}"

    def test_undefined_input(self) -> None:
        m = onnx.load_from_string(models.conv_chain())
        m.graph.node[0].input[0] = "nowhere"
        assert refusal(m.SerializeToString()).startswith("model: not a valid ONNX model: ")


class TestDamagedTensors:
    def model(self) -> onnx.ModelProto:
        m = ModelBuilder()
        x = m.add("Pad", m.input((1, 3, 4, 4)), m.constant([0, 0, 1, 1, 0, 0, 1, 1], "int64"))
        return onnx.load_from_string(m.build(m.add("Reshape", x, m.constant([1, 108], "int64"))))

    def test_size(self) -> None:
        model = self.model()
        model.graph.initializer[0].dims[0] = 7
        text = refusal(model.SerializeToString())
        assert text.startswith("model: initializer `c0` of shape (7,) is damaged: ")

    def test_type(self) -> None:
        model = self.model()
        model.graph.initializer[0].data_type = 122
        assert refusal(model.SerializeToString()).startswith("model: initializer `c0` of shape (8,) is damaged: ")

    def test_attribute(self) -> None:
        model = self.model()
        tensor = onnx.TensorProto(data_type=TensorProto.INT64, dims=[3], raw_data=bytes(40))
        model.graph.node.insert(0, helper.make_node("Constant", [], ["k"], "constant", value=tensor))
        text = refusal(model.SerializeToString())
        assert text.startswith("model: Constant `constant`: attribute `value` of shape (3,) is damaged: ")

    def test_parameters_that_are_no_integers(self) -> None:
        model = self.model()
        model.graph.initializer[0].CopyFrom(numpy_helper.from_array(np.zeros(8, np.complex64), "c0"))
        assert refusal(model.SerializeToString()).startswith("model: Pad `n0`: `pads` cannot be (0j, ")

    def test_reshape_to_another_size(self) -> None:
        model = self.model()
        model.graph.initializer[1].CopyFrom(numpy_helper.from_array(np.int64([1, 107]), "c1"))
        wanted = "model: Reshape `n1`: 108 elements of `t0` (1, 3, 6, 6) into (1, 107), which has 107"
        assert refusal(model.SerializeToString()) == wanted


class TestExternalData:
    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        model = onnx.load_from_string(models.conv_chain())
        path = tmp_path / "model.onnx"
        onnx.save(model, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
        return path

    def test_is_loaded(self, path: Path) -> None:
        graph = read_onnx(path)
        assert_equivalent(models.conv_chain(), graph, random_inputs(graph), tolerance=0)

    def test_missing_file(self, path: Path) -> None:
        (path.parent / "weights.bin").unlink()
        assert refusal(path) == f"{path}: tensor `c0` is in `weights.bin`, which does not exist"

    def test_short_file(self, path: Path) -> None:
        (path.parent / "weights.bin").write_bytes(b"\0" * 100)
        assert refusal(path) == f"{path}: tensor `c0` ends at byte 864 of `weights.bin`, which has 100"

    def test_bytes_have_no_folder(self, path: Path) -> None:
        wanted = "model: tensor `c0` is in an external file, so the model must be given as a path"
        assert refusal(path.read_bytes()) == wanted


class TestShapes:
    def build(self, *shape: int | str | None) -> bytes:
        m = ModelBuilder()
        return m.build(m.add("Relu", m.input(shape)))

    @pytest.mark.parametrize("batch", ["N", None])
    def test_dynamic_batch_becomes_one(self, batch: str | None) -> None:
        graph = read_onnx(self.build(batch, 3, 4, 4))
        assert graph.tensor("x").shape == (1, 3, 4, 4)
        assert graph.notes == ("input `x`: dynamic batch fixed to 1",)

    def test_negative_batch_becomes_one(self) -> None:
        assert read_onnx(self.build(-1, 3, 4, 4)).tensor("t0").shape == (1, 3, 4, 4)

    def test_static_batch_of_one_needs_no_note(self) -> None:
        assert read_onnx(self.build(1, 3, 4, 4)).notes == ()

    def test_dynamic_size(self) -> None:
        assert refusal(self.build("N", 3, "H", 4)) == "model: input `x`: dimension 2 is dynamic (H), needs a fixed size"
        assert (
            refusal(self.build(1, 3, 4, None))
            == "model: input `x`: dimension 3 is dynamic (unknown), needs a fixed size"
        )

    def test_no_shape(self) -> None:
        m = ModelBuilder()
        assert refusal(m.build(m.add("Relu", m.input(None)))) == "model: input `x` has no shape"  # type: ignore[arg-type]

    def test_batch_of_four(self) -> None:
        wanted = "model: input `x` has batch 4, needs 1: export it with batch 1 or a dynamic batch"
        assert refusal(self.build(4, 3, 4, 4)) == wanted

    def test_shape_that_depends_on_data(self) -> None:
        m = ModelBuilder()
        model = m.build(m.add("Relu", m.add("Cast", m.add("NonZero", m.input((1, 3))), to=1)))
        wanted = "model: tensor `t0`, written by NonZero `n0`, has shape (2, ?), which depends on the data"
        assert refusal(model) == wanted

    def test_contradicting_shapes(self) -> None:
        m = ModelBuilder()
        model = m.build(m.add("Add", m.input((1, 3)), m.input((1, 4), "y")))
        assert refusal(model).startswith("model: Add `n0`: ")


class TestOperators:
    def test_unknown(self) -> None:
        m = ModelBuilder()
        model = onnx.load_from_string(m.build(m.add("Relu", m.input((1, 3)))))
        model.graph.node[0].op_type = "Frobnicate"
        model.graph.node[0].domain = "com.example"
        model.opset_import.append(helper.make_opsetid("com.example", 1))
        assert (
            refusal(model.SerializeToString())
            == "model: unknown operator Frobnicate of domain `com.example`, node `n0`"
        )

    def test_control_flow(self) -> None:
        m = ModelBuilder()
        x = m.input((1, 3))
        branches = []
        for name in ("a", "b"):
            info = helper.make_tensor_value_info(name, 1, [1, 3])
            branches.append(helper.make_graph([helper.make_node("Relu", [x], [name])], name, [], [info]))
        y = m.add("If", m.constant(True, "bool"), then_branch=branches[0], else_branch=branches[1])
        assert refusal(m.build(y)) == "model: If `n0` contains a subgraph (control flow), which is not supported"

    def test_local_functions_are_inlined(self) -> None:
        m = ModelBuilder()
        model = onnx.load_from_string(m.build(m.add("Relu", m.input((1, 3)))))
        model.graph.node[0].op_type, model.graph.node[0].domain = "Twice", "local"
        body = [helper.make_node("Add", ["a", "a"], ["s"]), helper.make_node("Relu", ["s"], ["b"])]
        opsets = [helper.make_opsetid("", 17)]
        model.functions.append(helper.make_function("local", "Twice", ["a"], ["b"], body, opsets))
        model.opset_import.append(helper.make_opsetid("local", 1))
        assert [op.op_type for op in read_onnx(model.SerializeToString()).ops] == ["Add", "Relu"]

    def test_initializers_listed_as_inputs(self) -> None:
        model = onnx.load_from_string(models.conv_chain())
        model.ir_version = 3
        for proto in model.graph.initializer:
            model.graph.input.append(helper.make_tensor_value_info(proto.name, proto.data_type, proto.dims))
        assert read_onnx(model.SerializeToString()).inputs == ("x",)

    def test_inference_leftovers_go(self) -> None:
        m = ModelBuilder()
        x = m.add("Relu", m.input((1, 3)))
        x = m.add("Cast", m.add("Identity", m.add("Dropout", x)), to=TensorProto.FLOAT)
        graph = read_onnx(m.build(m.add("Identity", m.add("Neg", x))))
        assert [op.op_type for op in graph.ops] == ["Relu", "Neg"]
        assert graph.outputs == ("t5",)

    def test_output_that_is_an_input_or_a_constant(self) -> None:
        m = ModelBuilder()
        x = m.input((1, 2))
        model = m.build(m.add("Identity", x), m.add("Identity", m.constant([1.0, 2.0])))
        graph = read_onnx(model)
        got = run(write_onnx(graph), {"x": np.float32([[3, 4]])})
        assert [a.tolist() for a in got] == [[[3, 4]], [1, 2]]

    def test_shape_arithmetic_folds(self) -> None:
        m = ModelBuilder()
        x = m.input(("N", 4, 3, 2))
        batch = m.add("Gather", m.add("Shape", x), m.constant(0, "int64"))
        batch = m.add("Unsqueeze", batch, m.constant([0], "int64"))
        shape = m.add("Concat", batch, m.constant([-1], "int64"), axis=0)
        graph = read_onnx(m.build(m.add("Reshape", x, shape)))
        (op,) = graph.ops
        assert (op.op_type, op.inputs, dict(op.attributes)) == ("Reshape", ("x",), {"shape": (1, 24)})

    def test_folding_is_bounded(self) -> None:
        m = ModelBuilder()
        huge = m.add("ConstantOfShape", m.constant([1, 1 << 30], "int64"))
        wanted = "model: constant `t0` would take 4096 MiB, the limit for computed constants is 1024 MiB"
        assert refusal(m.build(m.add("Add", m.input((1, 1)), huge))) == wanted

    def test_weights_behind_dequantize_stay_integers(self) -> None:
        m = ModelBuilder()
        w = m.add("DequantizeLinear", m.constant(np.ones((4, 3, 1, 1)), "int8"), m.constant(0.5), m.constant(0, "int8"))
        graph = read_onnx(m.build(m.add("Conv", m.input((1, 3, 2, 2)), w)))
        assert [op.op_type for op in graph.ops] == ["DequantizeLinear", "Conv"]


class TestOneForm:
    """The same operator in old and new opsets reads as one."""

    @pytest.mark.parametrize("opset", [9, 11, 13, 17, 18, 21, NEWEST])
    def test_parameters_become_attributes(self, opset: int) -> None:
        m = ModelBuilder()

        def parametrised(op_type: str, x: str, since: int, **parameters: list[int]) -> str:
            if opset < since:
                return m.add(op_type, x, **parameters)
            return m.add(op_type, x, *(m.constant(v, "int64") for v in parameters.values()))

        x = m.input((1, 2, 6, 6))
        x = parametrised("Pad", x, 11, pads=[0, 0, 1, 1, 0, 0, 1, 1])
        x = parametrised("Slice", x, 10, starts=[1], ends=[7], axes=[-1])
        x = parametrised("ReduceMean", x, 18, axes=[-1])
        x = parametrised("Squeeze", x, 13, axes=[3])
        x = parametrised("Unsqueeze", x, 13, axes=[-1])
        bounds = ((), {"min": 0.0, "max": 6.0}) if opset < 11 else ((m.constant(0.0), m.constant(6.0)), {})
        model = m.build(m.add("Clip", x, *bounds[0], **bounds[1]), opset=opset)
        graph = read_onnx(model)
        assert all(op.inputs and len(op.inputs) == 1 for op in graph.ops)
        found = [dict(op.attributes) for op in graph.ops]
        assert found[0]["pads"] == (0, 0, 1, 1, 0, 0, 1, 1)
        assert (found[1]["starts"], found[1]["ends"]) == ((1,), (7,))
        assert [found[i]["axes"] for i in (2, 3, 4)] == [(3,), (3,), (3,)]
        assert (found[5]["min"], found[5]["max"]) == (0.0, 6.0)
        if opset < NEWEST:
            assert_equivalent(model, graph, random_inputs(graph), tolerance=1e-6)

    @pytest.mark.parametrize("keepdims", [0, 1])
    def test_reduction_over_an_empty_list_of_axes_is_over_all(self, keepdims: int) -> None:
        m = ModelBuilder()
        x = m.input((1, 3, 4, 5))
        model = onnx.load_from_string(m.build(m.add("Add", m.add("ReduceMean", x, axes=[0], keepdims=keepdims), x)))
        del model.graph.node[0].attribute[0].ints[:]
        graph = read_onnx(model.SerializeToString())
        assert graph.ops[0].attributes["axes"] == (0, 1, 2, 3)
        assert_equivalent(model.SerializeToString(), graph, random_inputs(graph))

    def test_quantised_parameters_become_attributes(self) -> None:
        """onnxruntime.quantization rounds what a Pad fills in as well."""
        m = ModelBuilder()
        scale, zero = m.constant(0.25), m.constant(3, "int8")
        low, high, fill = (m.add("DequantizeLinear", m.constant(v, "int8"), scale, zero) for v in (3, 27, 1))
        x = m.add("Pad", m.input((1, 2, 3, 3)), m.constant([0, 0, 1, 1, 0, 0, 1, 1], "int64"), fill)
        model = m.build(m.add("Clip", x, low, high))
        graph = read_onnx(model)
        assert count(graph) == {"Pad": 1, "Clip": 1}
        assert graph.ops[0].attributes["value"] == -0.5
        assert (graph.ops[1].attributes["min"], graph.ops[1].attributes["max"]) == (0.0, 6.0)
        assert_equivalent(model, graph, random_inputs(graph))

    @pytest.mark.parametrize(("opset", "operators"), [(11, 3), (13, 1)])
    def test_softmax_of_old_flattens(self, opset: int, operators: int) -> None:
        m = ModelBuilder()
        model = m.build(m.add("Softmax", m.input((1, 3, 4)), axis=1), opset=opset)
        graph = read_onnx(model)
        assert len(graph.ops) == operators
        assert_equivalent(model, graph, random_inputs(graph))

    @pytest.mark.parametrize("opset", [9, 10, 11])
    def test_upsample_and_resize(self, opset: int) -> None:
        m = ModelBuilder()
        x, scales = m.input((1, 2, 3, 3)), m.constant([1, 1, 2, 2])
        y = m.add("Upsample", x, scales) if opset < 10 else m.add("Resize", x, scales)
        if opset == 11:
            m.nodes.clear()
            y = m.add(
                "Resize", x, m.constant([]), scales, coordinate_transformation_mode="asymmetric", nearest_mode="floor"
            )
        model = m.build(y, opset=opset)
        graph = read_onnx(model)
        (op,) = graph.ops
        assert op.op_type == "Resize"
        assert op.attributes["coordinate_transformation_mode"] == "asymmetric"
        assert_equivalent(model, graph, random_inputs(graph), tolerance=0)

    def test_split_in_equal_parts(self) -> None:
        for opset, attributes in ((11, {}), (13, {}), (18, {"num_outputs": 2})):
            m = ModelBuilder()
            m.add("Split", m.input((1, 4, 3)), outputs=["a", "b"], axis=1, **attributes)
            model = m.build("a", "b", opset=opset)
            graph = read_onnx(model)
            assert dict(graph.ops[0].attributes) == {"axis": 1, "split": (2, 2)}
            assert_equivalent(model, graph, random_inputs(graph), tolerance=0)

    @pytest.mark.parametrize("unread", [0, 1])
    @pytest.mark.parametrize("opset", [11, 13, 18])
    def test_split_whose_parts_are_not_all_read(self, opset: int, unread: int) -> None:
        """As many parts as outputs, also where one of them is of no use to anybody."""
        m = ModelBuilder()
        m.add("Split", m.input((1, 4, 3)), outputs=["a", "b"], axis=1, **({"num_outputs": 2} if opset == 18 else {}))
        model = m.build(m.add("Relu", "ab"[1 - unread]), opset=opset)
        graph = read_onnx(model)
        assert graph.tensor(graph.outputs[0]).shape == (1, 2, 3)
        assert_equivalent(model, graph, random_inputs(graph), tolerance=0)

    def test_windows_are_spelt_out(self) -> None:
        m = ModelBuilder()
        x = m.add("Conv", m.input((1, 3, 8, 8)), m.random_constant(4, 3, 3, 3))
        graph = read_onnx(m.build(m.add("MaxPool", x, kernel_shape=[2, 2])))
        conv, pool = (dict(op.attributes) for op in graph.ops)
        assert (conv["kernel_shape"], conv["strides"], conv["pads"], conv["group"]) == ((3, 3), (1, 1), (0,) * 4, 1)
        assert (pool["strides"], pool["pads"], pool["ceil_mode"]) == ((1, 1), (0,) * 4, 0)


class TestMicrosoftOperators:
    """Shapes that onnx's own inference does not know."""

    def build(self, op_type: str, operands: int, channels: int = 4, **attributes: object) -> Graph:
        m = ModelBuilder()
        scale, zero = m.constant(0.1), m.constant(3, "uint8")
        q = [m.add("QuantizeLinear", m.input((1, channels, 6, 6), f"x{i}"), scale, zero) for i in range(operands)]
        inputs = [n for x in q for n in (x, scale, zero)]
        inputs = [scale, zero, *inputs] if op_type == "QLinearConcat" else [*inputs, scale, zero]
        y = m.add(op_type, *inputs, domain="com.microsoft", **attributes)
        return read_onnx(m.build(m.add("DequantizeLinear", y, scale, zero)))

    @pytest.mark.parametrize(
        ("op_type", "operands", "attributes", "shape"),
        [
            ("QLinearAdd", 2, {}, (1, 4, 6, 6)),
            ("QLinearMul", 2, {}, (1, 4, 6, 6)),
            ("QLinearSigmoid", 1, {}, (1, 4, 6, 6)),
            ("QLinearLeakyRelu", 1, {"alpha": 0.1}, (1, 4, 6, 6)),
            ("QLinearGlobalAveragePool", 1, {}, (1, 4, 1, 1)),
            ("QLinearAveragePool", 1, {"kernel_shape": [2, 2], "strides": [2, 2]}, (1, 4, 3, 3)),
            ("QLinearConcat", 2, {"axis": 1}, (1, 8, 6, 6)),
        ],
    )
    def test_shape_and_type(
        self, op_type: str, operands: int, attributes: dict[str, object], shape: tuple[int, ...]
    ) -> None:
        graph = self.build(op_type, operands, **attributes)
        op = next(op for op in graph.ops if op.op_type == op_type)
        assert (graph.tensor(op.output).shape, graph.tensor(op.output).dtype) == (shape, "uint8")
        feeds = random_inputs(graph)
        (got,) = run(write_onnx(graph), feeds)
        assert got.shape == shape


class TestWriting:
    def test_int8_constants_and_channel_scales(self) -> None:
        scale, zero = np.float32([0.5, 0.25]), np.int8([0, 0])
        data = np.int8([[1, 2], [3, 4]])
        tensors = [Tensor(n, a.shape, a.dtype.name, data=a) for n, a in (("w", data), ("s", scale), ("z", zero))]
        tensors += [Tensor("d", (2, 2), "float32"), Tensor("x", (1, 2), "float32"), Tensor("y", (1, 2), "float32")]
        ops = (
            Op("dequantize", "DequantizeLinear", ("w", "s", "z"), ("d",), {"axis": 0}),
            Op("product", "MatMul", ("x", "d"), ("y",)),
        )
        graph = Graph("g", {t.name: t for t in tensors}, ops, ("x",), ("y",))
        (got,) = run(write_onnx(graph), {"x": np.float32([[1, 1]])})
        assert got.tolist() == [[1.25, 2.0]]

    def test_replicating_resize(self, tmp_path: Path) -> None:
        tensors = {"x": Tensor("x", (1, 1, 1, 2), "float32"), "y": Tensor("y", (1, 1, 2, 6), "float32")}
        op = Op("up", "Resize", ("x",), ("y",), {"scale_h": 2, "scale_w": 3})
        path = tmp_path / "up.onnx"
        assert write_onnx(Graph("g", tensors, (op,), ("x",), ("y",)), path) == path.read_bytes()
        (got,) = run(path.read_bytes(), {"x": np.float32([[[[1, 2]]]])})
        assert got.tolist() == [[[[1, 1, 1, 2, 2, 2]] * 2]]

    def test_operator_without_a_form(self) -> None:
        tensors = {"x": Tensor("x", (1,), "int8"), "y": Tensor("y", (1,), "int8")}
        graph = Graph("g", tensors, (Op("table", "Lookup", ("x",), ("y",)),), ("x",), ("y",))
        with pytest.raises(ModelError, match=r"^Lookup `table` has no form in ONNX$"):
            write_onnx(graph)


@pytest.mark.parametrize("name", ["light_resnet50", "light_squeezenet", "light_shufflenet", "light_inception_v2"])
def test_weights_made_by_chains_become_constants(name: str) -> None:
    graph = read_onnx(LIGHT / f"{name}.onnx")
    assert "ConstantOfShape" not in count(graph)
    assert all(graph.tensor(op.inputs[1]).is_constant for op in graph.ops if op.op_type == "Conv")
    model = onnx.load(LIGHT / f"{name}.onnx")
    wanted = numpy_helper.to_array(onnx.load_tensor(LIGHT / f"{name}_output_0.pb"))
    feeds = {n: np.ones(graph.tensor(n).shape, np.float32) for n in graph.inputs}
    (got,) = run(write_onnx(graph), feeds)
    assert got.shape == wanted.shape
    np.testing.assert_array_equal(got, run(model.SerializeToString(), feeds)[0])


@pytest.mark.parametrize("op_type", ["MaxPool", "AveragePool"])
def test_ceil_mode_drops_windows_that_start_behind_the_input(op_type: str) -> None:
    """ONNX's own inference counts them; the shape must be what ONNX Runtime computes."""
    m = ModelBuilder()
    x = m.input((1, 3, 12, 7))
    y = m.add(op_type, x, kernel_shape=[3, 1], strides=[3, 3], pads=[0, 0, 1, 0], ceil_mode=1)
    z = m.add(op_type, x, kernel_shape=[1, 3], strides=[2, 2], ceil_mode=1)
    model = m.build(y, z)
    graph = read_onnx(model)
    feeds = {"x": np.zeros((1, 3, 12, 7), np.float32)}
    assert [graph.tensor(n).shape for n in graph.outputs] == [v.shape for v in run(model, feeds)]


def test_name_that_is_not_text() -> None:
    m = ModelBuilder()
    data = m.build(m.add("Relu", m.input((1, 3, 4, 4))))
    with pytest.raises(ModelError, match="not UTF-8"):
        read_onnx(data.replace(b"Relu", b"Re\xffu"))
