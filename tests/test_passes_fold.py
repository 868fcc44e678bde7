"""Rewrites that fold one operator into another: each computes the same, and each refusal says why."""

import models
import numpy as np
import pytest
from models import ModelBuilder, assert_passes_keep, count

from sfopt.graph import Graph
from sfopt.onnx_io import read_onnx
from sfopt.passes import PIPELINE, run_passes


def only(graph: Graph, op_type: str) -> dict[str, object]:
    (op,) = (op for op in graph.ops if op.op_type == op_type)
    return dict(op.attributes)


@pytest.mark.parametrize(
    ("build", "wanted"),
    [
        (models.conv_chain, {"Conv": 3, "Relu": 3}),
        (models.residual, {"Conv": 6, "Relu": 5, "Add": 2, "GlobalAveragePool": 1, "Reshape": 1}),
        (models.inverted_residual, {"Conv": 6, "Sigmoid": 5, "Mul": 5, "Add": 1, "GlobalAveragePool": 1}),
        (models.pyramid, {"Conv": 5, "Relu": 2, "Resize": 1, "Add": 1}),
        (models.concat_branches, {"Conv": 5, "Relu": 1, "MaxPool": 1, "Concat": 1}),
    ],
)
def test_small_networks(build: object, wanted: dict[str, int]) -> None:
    assert count(assert_passes_keep(build())) == wanted  # type: ignore[operator]


def test_passes_are_deterministic_and_stable() -> None:
    once = run_passes(read_onnx(models.inverted_residual()))
    assert run_passes(read_onnx(models.inverted_residual())).dump() == once.dump()
    assert run_passes(once).dump() == once.dump()


def test_every_pass_documents_its_rewrite() -> None:
    assert all(p.__module__ == f"sfopt.passes.{p.__name__}" for p in PIPELINE)


class TestAffines:
    def build(self, *, pads: int = 0, scale: float | list[float] = 0.5, shift: float | list[float] = 0.25) -> bytes:
        m = ModelBuilder()
        x = m.add("Sub", m.add("Div", m.input((1, 3, 8, 8)), m.constant(scale)), m.constant(shift))
        return m.build(m.conv(x, 3, 4, pads=[pads] * 4))

    def test_normalised_input_folds_into_a_conv_without_padding(self) -> None:
        graph = assert_passes_keep(self.build(scale=np.float32([2, 3, 4]).reshape(3, 1, 1)))
        assert count(graph) == {"Conv": 1}

    def test_a_scale_alone_folds_into_a_padded_conv(self) -> None:
        assert count(assert_passes_keep(self.build(pads=1, shift=0.0))) == {"Conv": 1}

    def test_a_shift_before_padding_stays_and_says_why(self) -> None:
        graph = assert_passes_keep(self.build(pads=1, shift=np.float32([1, 2, 3]).reshape(3, 1, 1)))
        assert count(graph) == {"Conv": 2}
        assert graph.ops[0].attributes["group"] == 3
        assert graph.notes == ("fold_affines: `t1` stays a depthwise Conv: `t2` pads it with zeros",)

    def test_one_shift_for_all_channels_before_padding_is_left_for_a_table(self) -> None:
        assert count(assert_passes_keep(self.build(pads=1))) == {"Mul": 1, "Add": 1, "Conv": 1}

    @pytest.mark.parametrize("group", [1, 2, 4])
    def test_after_and_before_grouped_convs(self, group: int) -> None:
        m = ModelBuilder()
        x = m.add("Add", m.conv(m.input((1, 4, 8, 8)), 4, 8, group=group), m.random_constant(8, 1, 1))
        x = m.add("Mul", m.random_constant(1, 8, 1, 1), x)
        y = m.add("Relu", x)
        y = m.add("Add", m.add("Mul", y, m.random_constant(8, 1, 1)), m.random_constant(8, 1, 1))
        graph = assert_passes_keep(m.build(m.conv(y, 8, 4, pads=[0] * 4, group=group)))
        assert count(graph) == {"Conv": 2, "Relu": 1}

    def test_transposed_convolution(self) -> None:
        m = ModelBuilder()
        x = m.add("ConvTranspose", m.input((1, 3, 4, 4)), m.random_constant(3, 5, 2, 2), strides=[2, 2])
        graph = assert_passes_keep(m.build(m.batch_norm(x, 5)))
        assert count(graph) == {"ConvTranspose": 1}

    def test_batch_norm_before_activation_becomes_depthwise(self) -> None:
        m = ModelBuilder()
        x = m.add("Relu", m.batch_norm(m.input((1, 3, 8, 8)), 3))
        assert count(assert_passes_keep(m.build(m.conv(x, 3, 4)))) == {"Conv": 2, "Relu": 1}

    def test_a_conv_with_two_readers_is_not_changed(self) -> None:
        m = ModelBuilder()
        x = m.conv(m.input((1, 3, 8, 8)), 3, 4)
        graph = assert_passes_keep(m.build(m.add("Relu", m.batch_norm(x, 4)), m.add("Sigmoid", x)))
        assert count(graph) == {"Conv": 2, "Relu": 1, "Sigmoid": 1}

    def test_a_network_output_is_not_changed(self) -> None:
        m = ModelBuilder()
        x = m.conv(m.input((1, 3, 8, 8)), 3, 4)
        assert_passes_keep(m.build(x, m.batch_norm(x, 4)))

    def test_full_maps_stay_additions(self) -> None:
        m = ModelBuilder()
        graph = assert_passes_keep(
            m.build(m.add("Add", m.random_constant(4, 8, 8), m.conv(m.input((1, 3, 8, 8)), 3, 4)))
        )
        assert count(graph) == {"Conv": 1, "Add": 1}
        assert graph.tensor(graph.ops[1].inputs[1]).is_constant

    def test_batch_norm_with_computed_parameters_stays(self) -> None:
        m = ModelBuilder()
        statistics = [m.constant([1.0, 1.0]) for _ in range(3)]
        x = m.add("BatchNormalization", m.input((1, 2, 4, 4)), m.add("Relu", m.input((2,), "g")), *statistics)
        graph = run_passes(read_onnx(m.build(x)))
        assert graph.notes == ("expand_batch_norms: `t1` stays: its parameters are computed at run time",)


class TestFactors:
    def weighted(self, m: ModelBuilder, maps: list[str], factors: list[float]) -> str:
        terms = [m.add("Mul", x, m.constant(f)) for x, f in zip(maps, factors, strict=True)]
        total = terms[0]
        for term in terms[1:]:
            total = m.add("Add", total, term)
        return m.add("Relu", total)

    def maps(self, m: ModelBuilder, number: int) -> list[str]:
        x = m.input((1, 3, 8, 8))
        return [m.add("Relu", m.conv(x, 3, 4)) for _ in range(number)]

    def test_a_number_stays_one_multiplication(self) -> None:
        m = ModelBuilder()
        (x,) = self.maps(m, 1)
        assert count(assert_passes_keep(m.build(m.add("Sigmoid", m.add("Mul", x, m.constant(0.7))), x))) == {
            "Conv": 1, "Relu": 1, "Mul": 1, "Sigmoid": 1
        }  # fmt: skip

    def test_a_weighted_sum_of_shared_maps_needs_one_factor_less(self) -> None:
        m = ModelBuilder()
        x, y, z = self.maps(m, 3)
        graph = assert_passes_keep(m.build(self.weighted(m, [x, y, z], [0.5, 0.3, 0.2]), x, y, z))
        assert count(graph) == {"Conv": 3, "Relu": 4, "Mul": 3, "Add": 2}
        sums = [op for op in graph.ops if op.op_type == "Add"]
        plain = [name for op in sums for name in op.inputs if graph.producers[name].op_type == "Relu"]
        assert plain == [y, z]

    def test_the_map_that_others_read_is_left_plain(self) -> None:
        m = ModelBuilder()
        x, y = self.maps(m, 2)
        graph = assert_passes_keep(m.build(self.weighted(m, [x, y], [0.5, 0.3]), x))
        (add,) = (op for op in graph.ops if op.op_type == "Add")
        assert x in add.inputs

    def test_factors_that_convolutions_take_are_left_to_them(self) -> None:
        m = ModelBuilder()
        x = m.input((1, 3, 8, 8))
        graph = assert_passes_keep(m.build(self.weighted(m, [m.conv(x, 3, 4), m.conv(x, 3, 4)], [0.5, 0.3])))
        assert count(graph) == {"Conv": 2, "Add": 1, "Relu": 1}

    def test_nothing_is_divided_by_zero(self) -> None:
        m = ModelBuilder()
        x, y = self.maps(m, 2)
        assert count(assert_passes_keep(m.build(self.weighted(m, [x, y], [0.5, 0.0]), x, y)))["Mul"] == 2


class TestPads:
    def build(self, op_type: str, value: float = 0.0, before: str = "", **attributes: object) -> bytes:
        m = ModelBuilder()
        x = m.input((1, 3, 8, 8))
        x = m.add(before, x) if before else x
        x = m.add("Pad", x, m.constant([0, 0, 0, 1, 0, 0, 1, 2], "int64"), m.constant(value))
        if op_type == "Conv":
            return m.build(m.conv(x, 3, 4, **attributes))
        return m.build(m.add(op_type, x, kernel_shape=[3, 3], **attributes))

    def test_conv(self) -> None:
        graph = assert_passes_keep(self.build("Conv", pads=[1, 0, 0, 0], strides=[2, 2]))
        assert only(graph, "Conv")["pads"] == (1, 1, 1, 2)
        assert "Pad" not in count(graph)

    def test_average_pool_counts_what_was_padded(self) -> None:
        graph = assert_passes_keep(self.build("AveragePool"))
        assert (only(graph, "AveragePool")["pads"], only(graph, "AveragePool")["count_include_pad"]) == (
            (0, 1, 1, 2),
            1,
        )

    @pytest.mark.parametrize("before", ["Relu", "Sigmoid", "HardSigmoid", "Abs"])
    def test_max_pool_of_what_is_never_negative(self, before: str) -> None:
        graph = assert_passes_keep(self.build("MaxPool", before=before))
        assert count(graph) == {before: 1, "MaxPool": 1}

    def test_max_pool_of_what_may_be_negative(self) -> None:
        graph = assert_passes_keep(self.build("MaxPool"))
        assert count(graph) == {"Conv": 1, "MaxPool": 1}
        assert graph.notes == (
            "fold_pads: `t0` is not folded: its input may be less than the value 0.0, and `t1` takes the maximum",
        )

    def test_max_pool_padded_with_the_least_number(self) -> None:
        assert "Pad" not in count(assert_passes_keep(self.build("MaxPool", value=-np.inf)))

    def test_another_value(self) -> None:
        graph = assert_passes_keep(self.build("Conv", value=1.5))
        assert graph.notes == ("fold_pads: `t0` is not folded: its value is 1.5, not 0",)

    def test_average_pool_with_padding_of_its_own(self) -> None:
        graph = assert_passes_keep(self.build("AveragePool", pads=[1, 1, 0, 0]))
        assert graph.notes == ("fold_pads: `t0` is not folded: `t1` leaves its own padding out of the average",)

    def test_padding_as_large_as_the_window(self) -> None:
        graph = assert_passes_keep(self.build("MaxPool", before="Relu", pads=[0, 0, 0, 1]))
        assert graph.notes == ("fold_pads: `t1` is not folded: the padding is as large as the window of `t2`",)

    def test_padded_channels(self) -> None:
        m = ModelBuilder()
        x = m.add("Pad", m.input((1, 3, 8, 8)), m.constant([0, 0, 0, 0, 0, 1, 0, 0], "int64"))
        graph = assert_passes_keep(m.build(m.conv(x, 4, 2)))
        assert graph.notes == ("fold_pads: `t0` is not folded: it pads more than rows and columns with a constant",)

    @pytest.mark.parametrize("pads", [(1, 0, 0, 0), (0, 2, 1, 0), (3, 1, 2, 4)])
    def test_what_is_left_is_a_conv_that_copies(self, pads: tuple[int, int, int, int]) -> None:
        m = ModelBuilder()
        top, left, bottom, right = pads
        y = m.add("Pad", m.input((1, 3, 5, 6)), m.constant([0, 0, top, left, 0, 0, bottom, right], "int64"))
        graph = assert_passes_keep(m.build(y))
        found = only(graph, "Conv")
        windows = (*found["kernel_shape"], *found["kernel_shape"])  # type: ignore[misc]
        assert all(p < k for p, k in zip(found["pads"], windows, strict=True))  # type: ignore[call-overload]

    def test_a_wide_margin_stays(self) -> None:
        m = ModelBuilder()
        graph = assert_passes_keep(
            m.build(m.add("Pad", m.input((1, 3, 5, 6)), m.constant([0, 0, 4, 0, 0, 0, 4, 0], "int64")))
        )
        assert graph.notes == ("express_pads: `t0` stays a Pad: it needs a kernel larger than 7",)

    @pytest.mark.parametrize("mode", ["SAME_UPPER", "SAME_LOWER", "VALID"])
    @pytest.mark.parametrize("op_type", ["Conv", "MaxPool", "AveragePool"])
    @pytest.mark.parametrize("stride", [1, 2, 3])
    def test_automatic_padding(self, op_type: str, mode: str, stride: int) -> None:
        m = ModelBuilder()
        x = m.input((1, 3, 8, 9))
        if op_type == "Conv":
            y = m.conv(x, 3, 4, auto_pad=mode, strides=[stride, stride], dilations=[1, 1])
        else:
            y = m.add(op_type, x, kernel_shape=[3, 4], auto_pad=mode, strides=[stride, stride])
        graph = assert_passes_keep(m.build(y))
        assert "auto_pad" not in only(graph, op_type)
        assert len(only(graph, op_type)["pads"]) == 4  # type: ignore[arg-type]

    @pytest.mark.parametrize("op_type", ["MaxPool", "AveragePool"])
    @pytest.mark.parametrize(
        ("size", "kernel", "stride", "pad"), [(8, 3, 2, 0), (7, 3, 2, 0), (9, 3, 2, 1), (10, 2, 3, 0)]
    )
    def test_rounding_up(self, op_type: str, size: int, kernel: int, stride: int, pad: int) -> None:
        m = ModelBuilder()
        attributes = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "pads": [pad] * 4, "ceil_mode": 1}
        graph = assert_passes_keep(m.build(m.add(op_type, m.input((1, 2, size, size)), **attributes)))
        assert only(graph, op_type)["ceil_mode"] == 0

    def test_rounding_up_where_padding_counts(self) -> None:
        m = ModelBuilder()
        attributes = {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1, "count_include_pad": 1}
        graph = run_passes(read_onnx(m.build(m.add("AveragePool", m.input((1, 2, 8, 8)), **attributes))))
        assert graph.notes == ("resolve_padding: `t0` keeps ceil_mode: its padding counts in the average",)


class TestOneWayToSayIt:
    def test_sums_and_bounds(self) -> None:
        m = ModelBuilder()
        x = m.input((1, 3, 4, 4))
        y = m.add("Sum", x, m.add("Tanh", x), m.add("Abs", x))
        y = m.add("Min", m.constant(6.0), m.add("Max", y, m.constant([0.0])))
        assert count(assert_passes_keep(m.build(y))) == {"Tanh": 1, "Abs": 1, "Add": 2, "Clip": 1}

    def test_clip_at_zero_is_relu(self) -> None:
        m = ModelBuilder()
        y = m.add("Clip", m.add("Relu", m.input((1, 3))), "", m.constant(6.0))
        graph = run_passes(read_onnx(m.build(y, m.add("Clip", "x", m.constant(0.0)))))
        assert count(graph)["Relu"] == 1
        assert (only(graph, "Clip")["min"], only(graph, "Clip")["max"]) == (0.0, 6.0)

    def test_duplicates_merge(self) -> None:
        m = ModelBuilder()
        x = m.input((1, 3, 4, 4))
        y = m.add("Add", m.add("Mul", x, m.add("Sigmoid", x)), m.add("Sigmoid", x))
        assert count(assert_passes_keep(m.build(y))) == {"Sigmoid": 1, "Mul": 1, "Add": 1}

    def test_duplicate_outputs_both_survive(self) -> None:
        m = ModelBuilder()
        x = m.input((1, 3, 4, 4))
        assert len(assert_passes_keep(m.build(m.add("Sigmoid", x), m.add("Sigmoid", x))).outputs) == 2

    @pytest.mark.parametrize("op_type", ["GlobalMaxPool", "ReduceMax"])
    def test_global_maximum(self, op_type: str) -> None:
        m = ModelBuilder()
        attributes = {"axes": [2, 3], "keepdims": 1} if op_type == "ReduceMax" else {}
        graph = assert_passes_keep(m.build(m.add(op_type, m.input((1, 3, 4, 5)), **attributes)))
        assert only(graph, "MaxPool")["kernel_shape"] == (4, 5)

    @pytest.mark.parametrize("keepdims", [0, 1])
    def test_global_mean(self, keepdims: int) -> None:
        m = ModelBuilder()
        x = m.conv(m.input((1, 3, 4, 5)), 3, 4)
        pooled = m.add("ReduceMean", x, axes=[2, 3], keepdims=keepdims)
        pooled = pooled if keepdims else m.add("Reshape", pooled, m.constant([1, 4, 1, 1], "int64"))
        graph = assert_passes_keep(m.build(m.add("Mul", pooled, x)))
        assert count(graph) == {"Conv": 1, "GlobalAveragePool": 1, "Mul": 1}
        assert graph.tensor(graph.ops[-1].inputs[0]).shape == (1, 4, 4, 5)

    def test_average_of_the_whole_map(self) -> None:
        m = ModelBuilder()
        assert count(assert_passes_keep(m.build(m.add("AveragePool", m.input((1, 3, 4, 5)), kernel_shape=[4, 5])))) == {
            "GlobalAveragePool": 1
        }

    @pytest.mark.parametrize(
        ("transformation", "rounding", "replicates"),
        [
            ("asymmetric", "floor", True),
            ("half_pixel", "round_prefer_floor", True),
            ("half_pixel", "round_prefer_ceil", True),
            ("half_pixel", "ceil", False),
            ("align_corners", "floor", False),
            ("asymmetric", "ceil", False),
        ],
    )
    @pytest.mark.parametrize("by", ["scales", "sizes"])
    def test_resize(self, transformation: str, rounding: str, replicates: bool, by: str) -> None:
        m = ModelBuilder()
        amounts = ["", m.constant([1, 1, 2, 3])] if by == "scales" else ["", "", m.constant([1, 2, 8, 15], "int64")]
        attributes = {"coordinate_transformation_mode": transformation, "nearest_mode": rounding}
        graph = assert_passes_keep(
            m.build(m.add("Resize", m.input((1, 2, 4, 5)), *amounts, mode="nearest", **attributes))
        )
        found = only(graph, "Resize")
        assert ("scale_h" in found) == replicates
        if replicates:
            assert found == {"mode": "nearest", "scale_h": 2, "scale_w": 3}
        else:
            assert graph.notes == ("unify_resizes: `t0` stays: it does not repeat rows and columns",)


class TestActivations:
    def gate(self, m: ModelBuilder, x: str, high: float = 6.0) -> str:
        return m.add("Clip", m.add("Add", x, m.constant(3.0)), m.constant(0.0), m.constant(high))

    @pytest.mark.parametrize("form", ["x*(g/6)", "x*(g*k)", "(x*g)/6", "(x*g)*k", "(x*k)*g", "x*hardsigmoid"])
    def test_hard_swish(self, form: str) -> None:
        m = ModelBuilder()
        x = m.conv(m.input((1, 3, 4, 4)), 3, 4)
        six, sixth = m.constant(6.0), m.constant(1 / 6)
        if form == "x*hardsigmoid":
            y = m.add("Mul", x, m.add("HardSigmoid", x, alpha=1 / 6, beta=0.5))
        elif form == "(x*k)*g":
            y = m.add("Mul", m.add("Mul", x, sixth), self.gate(m, x))
        else:
            g = self.gate(m, x)
            scale = ("Div", six) if "/" in form else ("Mul", sixth)
            if form.startswith("x*("):
                y = m.add("Mul", m.add(scale[0], g, scale[1]), x)
            else:
                y = m.add(scale[0], m.add("Mul", g, x), scale[1])
        assert count(assert_passes_keep(m.build(y))) == {"Conv": 1, "HardSwish": 1}

    def test_hard_sigmoid_gates_another_tensor(self) -> None:
        m = ModelBuilder()
        x = m.conv(m.input((1, 3, 4, 4)), 3, 4)
        s = m.conv(m.add("GlobalAveragePool", x), 4, 4, 1)
        graph = assert_passes_keep(m.build(m.add("Mul", m.add("Mul", x, self.gate(m, s)), m.constant(1 / 6))))
        assert count(graph) == {"Conv": 2, "GlobalAveragePool": 1, "HardSigmoid": 1, "Mul": 1}

    def test_slope_and_offset(self) -> None:
        m = ModelBuilder()
        x = m.add("Add", m.add("Mul", m.input((1, 3, 4, 4)), m.constant(0.2)), m.constant(0.5))
        found = only(assert_passes_keep(m.build(m.add("Clip", x, m.constant(0.0), m.constant(1.0)))), "HardSigmoid")
        assert found == {"alpha": pytest.approx(0.2), "beta": 0.5}

    def test_another_bound_is_no_hard_swish(self) -> None:
        m = ModelBuilder()
        x = m.conv(m.input((1, 3, 4, 4)), 3, 4)
        graph = assert_passes_keep(m.build(m.add("Div", m.add("Mul", x, self.gate(m, x, 5.0)), m.constant(6.0))))
        assert not {"HardSwish", "HardSigmoid"} & count(graph).keys()

    def test_a_scale_per_channel_is_not_a_slope(self) -> None:
        m = ModelBuilder()
        x = m.add("Add", m.add("Mul", m.input((1, 3, 4, 4)), m.random_constant(3, 1, 1)), m.constant(0.5))
        graph = assert_passes_keep(m.build(m.add("Clip", x, m.constant(0.0), m.constant(1.0))))
        assert "HardSwish" not in count(graph)
