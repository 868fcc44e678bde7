"""Operators that are written as others which the accelerator has: interpolation, broadcasts, slopes per channel, sequences."""

import numpy as np
import pytest
from models import ModelBuilder, assert_passes_keep, count

from sfopt.expression import Step, parse_steps, step_texts
from sfopt.passes.pointwise import find_function


class TestInterpolation:
    def resized(self, scales: tuple[float, float], mode: str, shape: tuple[int, int] = (5, 6)) -> bytes:
        m = ModelBuilder()
        amounts = m.constant([1, 1, *scales])
        x = m.input((1, 3, *shape))
        return m.build(m.add("Resize", x, "", amounts, mode="linear", coordinate_transformation_mode=mode))

    @pytest.mark.parametrize(
        ("mode", "factors", "wanted"),
        [
            ("half_pixel", (2, 2), {"Resize": 1, "AveragePool": 2}),
            ("half_pixel", (3, 3), {"Resize": 1, "AveragePool": 1}),
            ("half_pixel", (4, 3), {"Resize": 1, "AveragePool": 2}),
            ("half_pixel", (1, 2), {"Resize": 1, "AveragePool": 2}),
            ("pytorch_half_pixel", (8, 5), {"Resize": 1, "AveragePool": 2}),
            ("asymmetric", (2, 3), {"Resize": 1, "AveragePool": 1}),
            ("asymmetric", (4, 1), {"Resize": 1, "AveragePool": 1}),
        ],
    )
    def test_a_whole_factor_is_repetition_and_means(
        self, mode: str, factors: tuple[int, int], wanted: dict[str, int]
    ) -> None:
        assert count(assert_passes_keep(self.resized(factors, mode))) == wanted

    @pytest.mark.parametrize("mode", ["half_pixel", "asymmetric"])
    def test_to_half_the_size(self, mode: str) -> None:
        assert count(assert_passes_keep(self.resized((0.5, 0.5), mode, (6, 8)))) == {"AveragePool": 1}

    @pytest.mark.parametrize(("mode", "factor"), [("align_corners", 2.0), ("half_pixel", 1.5), ("asymmetric", 1.4)])
    def test_weights_that_change_stay_and_say_so(self, mode: str, factor: float) -> None:
        graph = assert_passes_keep(self.resized((factor, factor), mode))
        assert count(graph) == {"Resize": 1}
        why = "its weights change from one row or column to the next"
        assert f"express_interpolations: `t0` stays: {why}" in graph.notes

    @pytest.mark.parametrize(
        ("rounding", "mode", "factor", "kernel"),
        [
            ("round_prefer_floor", "half_pixel", 0.5, (1, 1)),
            ("floor", "half_pixel", 1 / 3, (2, 2)),
            ("floor", "asymmetric", 0.5, (1, 1)),
        ],
    )
    def test_every_nth_pixel_is_copied(self, rounding: str, mode: str, factor: float, kernel: tuple[int, int]) -> None:
        m = ModelBuilder()
        how = {"mode": "nearest", "coordinate_transformation_mode": mode, "nearest_mode": rounding}
        graph = assert_passes_keep(
            m.build(m.add("Resize", m.input((1, 2, 6, 12)), "", m.constant([1, 1, factor, factor]), **how))
        )
        assert count(graph) == {"Conv": 1}
        assert graph.ops[0].ints("kernel_shape") == kernel


class TestBroadcasts:
    @pytest.mark.parametrize(
        ("op_type", "small", "wanted"),
        [
            ("Mul", (1, 4, 1, 1), {"Mul": 1}),
            ("Add", (1, 4, 1, 1), {"Add": 1, "Resize": 1}),
            ("Sub", (1, 4, 1, 6), {"Sub": 1, "Resize": 1}),
            ("Mul", (1, 4, 5, 1), {"Mul": 1, "Resize": 1}),
            ("Mul", (1, 1, 5, 6), {"Mul": 1, "Conv": 1}),
            ("Add", (1, 1, 1, 1), {"Add": 1, "Conv": 1, "Resize": 1}),
        ],
    )
    def test_of_a_computed_map(self, op_type: str, small: tuple[int, ...], wanted: dict[str, int]) -> None:
        m = ModelBuilder()
        a, b = m.add("Tanh", m.input((1, 4, 5, 6))), m.add("Tanh", m.input(small, "small"))
        assert count(assert_passes_keep(m.build(m.add(op_type, a, b)))) == {**wanted, "Tanh": 2}

    def test_both_operands(self) -> None:
        m = ModelBuilder()
        a, b = m.add("Tanh", m.input((1, 4, 5, 1))), m.add("Tanh", m.input((1, 4, 1, 6), "other"))
        assert count(assert_passes_keep(m.build(m.add("Mul", a, b)))) == {"Mul": 1, "Resize": 2, "Tanh": 2}

    def test_more_repetitions_than_an_instruction_holds_stay_and_say_so(self) -> None:
        m = ModelBuilder()
        a, b = m.add("Tanh", m.input((1, 2, 70, 1))), m.add("Tanh", m.input((1, 2, 1, 1), "small"))
        graph = assert_passes_keep(m.build(m.add("Add", a, b)))
        assert count(graph) == {"Tanh": 2, "Add": 1}
        note = "express_broadcasts: `t2` stays: it repeats `t1` 70 times, at most 63 fit an instruction"
        assert graph.notes == (note,)


class TestReductions:
    @pytest.mark.parametrize(
        ("op_type", "axes", "wanted"),
        [
            ("ReduceMean", [2, 3], {"GlobalAveragePool": 1}),
            ("ReduceMean", [3], {"AveragePool": 1}),
            ("ReduceMean", [1], {"Conv": 1}),
            ("ReduceMean", [1, 2, 3], {"Conv": 1, "GlobalAveragePool": 1}),
            ("ReduceMax", [2], {"MaxPool": 1}),
            ("ReduceMax", [1], {"ReduceMax": 1}),
            ("ReduceSum", [2, 3], {"GlobalAveragePool": 1, "Mul": 1}),
        ],
    )
    def test_of_a_map(self, op_type: str, axes: list[int], wanted: dict[str, int]) -> None:
        m = ModelBuilder()
        x = m.add("Tanh", m.input((1, 4, 5, 6)))
        names = [x] if op_type != "ReduceSum" else [x, m.constant(axes, "int64")]
        attributes = {} if op_type == "ReduceSum" else {"axes": axes}
        graph = assert_passes_keep(m.build(m.add("Tanh", m.add(op_type, *names, keepdims=1, **attributes))))
        assert count(graph) == {**wanted, "Tanh": 2}

    def test_a_mean_that_normalises_stays_float(self) -> None:
        m = ModelBuilder()
        x = m.input((1, 8, 5, 6))
        d = m.add("Sub", x, m.add("ReduceMean", x, axes=[1], keepdims=1))
        variance = m.add("ReduceMean", m.add("Mul", d, d), axes=[1], keepdims=1)
        graph = assert_passes_keep(m.build(m.add("Div", d, m.add("Sqrt", m.add("Add", variance, m.constant(1e-5))))))
        assert count(graph)["ReduceMean"] == 2
        assert "Conv" not in count(graph)


def test_slopes_per_channel_are_a_multiplication_of_what_is_negative() -> None:
    m = ModelBuilder()
    x = m.add("Tanh", m.input((1, 4, 5, 6)))
    graph = assert_passes_keep(m.build(m.add("PRelu", x, m.random_constant(4, 1, 1, low=-0.5, high=1.5))))
    assert count(graph) == {"Tanh": 1, "Clip": 1, "Conv": 1, "Add": 1}


def test_one_slope_is_a_leaky_relu() -> None:
    m = ModelBuilder()
    assert count(assert_passes_keep(m.build(m.add("PRelu", m.input((1, 4, 5, 6)), m.constant([0.2]))))) == {
        "LeakyRelu": 1
    }


@pytest.mark.parametrize("op_type", ["Sub", "Div"])
@pytest.mark.parametrize("size", [(1,), (4, 1, 1)])
def test_constants_on_the_left(op_type: str, size: tuple[int, ...]) -> None:
    m = ModelBuilder()
    x = m.add("Exp", m.input((1, 4, 5, 6)))
    assert_passes_keep(m.build(m.add(op_type, m.random_constant(*size, low=0.5, high=2.0), x)))


def test_padding_with_a_number_is_padding_with_zeros_of_what_is_lower() -> None:
    m = ModelBuilder()
    x = m.add("Tanh", m.input((1, 4, 5, 6)))
    pads = m.constant([0, 0, 1, 0, 0, 0, 2, 1], "int64")
    graph = assert_passes_keep(m.build(m.add("Pad", x, pads, m.constant(0.5))))
    assert count(graph) == {"Tanh": 1, "Add": 1, "Conv": 1}


@pytest.mark.parametrize("perm", [(0, 1, 3, 5, 2, 4), (0, 3, 5, 1, 2, 4)])
def test_blocks_by_reshape_and_transpose(perm: tuple[int, ...]) -> None:
    m = ModelBuilder()
    rows = m.add("Reshape", m.input((1, 3, 6, 4)), m.constant([1, 3, 3, 2, 2, 2], "int64"))
    turned = m.add("Transpose", rows, perm=list(perm))
    graph = assert_passes_keep(m.build(m.add("Tanh", m.add("Reshape", turned, m.constant([1, 12, 3, 2], "int64")))))
    assert count(graph) == {"Conv": 1, "Tanh": 1}


class TestSequences:
    def test_become_maps_of_one_row(self) -> None:
        m = ModelBuilder()
        x = m.add("Conv", m.input((1, 3, 20)), m.random_constant(6, 3, 5), m.random_constant(6), pads=[2, 2])
        x = m.add("MaxPool", m.add("Relu", m.batch_norm(x, 6)), kernel_shape=[2], strides=[2])
        y = m.add("Conv", x, m.random_constant(6, 2, 3), pads=[1, 1], group=3)
        z = m.add("Concat", m.add("Add", x, y), m.add("Mul", y, y), axis=1)
        graph = assert_passes_keep(m.build(m.add("GlobalAveragePool", z)))
        assert count(graph) == {
            "Conv": 2, "Relu": 1, "MaxPool": 1, "Add": 1, "Mul": 1, "Concat": 1, "GlobalAveragePool": 1, "Reshape": 2,
        }  # fmt: skip
        assert [op.op_type for op in graph.ops if op.op_type == "Reshape" or op is graph.ops[0]] == [
            "Reshape",
            "Reshape",
        ]

    def test_other_tensors_of_three_dimensions_are_left_alone(self) -> None:
        m = ModelBuilder()
        assert count(assert_passes_keep(m.build(m.add("Relu", m.input((1, 3, 20)))))) == {"Relu": 1}


class TestFunctions:
    def function(self, model: bytes, *, alone: bool = True) -> list[str] | None:
        graph = assert_passes_keep(model)
        found = find_function(graph, graph.ops[-1], alone=alone)
        return None if found is None else list(step_texts(found.steps))

    def test_gelu(self) -> None:
        m = ModelBuilder()
        x = m.input((1, 2, 3, 4))
        gate = m.add("Add", m.add("Erf", m.add("Div", x, m.constant(2.0))), m.constant(1.0))
        steps = self.function(m.build(m.add("Mul", m.add("Mul", x, gate), m.constant(0.5))))
        assert steps == [
            "Mul x 0x1.0000000000000p-1", "Erf %0", "Add %1 0x1.0000000000000p+0", "Mul x %2", "Mul %3 0x1.0000000000000p-1",
        ]  # fmt: skip

    def test_two_values_are_no_function_of_one(self) -> None:
        m = ModelBuilder()
        a, b = m.input((1, 2, 3, 4)), m.input((1, 2, 3, 4), "b")
        assert self.function(m.build(m.add("Add", m.add("Exp", a), b))) is None

    def test_what_others_read_is_where_it_begins(self) -> None:
        m = ModelBuilder()
        x = m.add("Exp", m.input((1, 2, 3, 4)))
        steps = self.function(m.build(x, m.add("Tanh", m.add("Add", x, m.constant(2.0)))))
        assert steps == ["Add x 0x1.0000000000000p+1", "Tanh %0"]

    def test_a_constant_map_is_no_number(self) -> None:
        m = ModelBuilder()
        powers = m.constant(np.reshape([2.0, 3.0], (2, 1, 1)))
        assert self.function(m.build(m.add("Pow", m.input((1, 2, 3, 4)), powers))) is None

    @pytest.mark.parametrize(
        "step",
        [
            Step("LeakyRelu", ("x",), {"alpha": 0.25}),
            Step("Gelu", (3,), {"approximate": "tanh"}),
            Step("Pow", ("x", -1.5)),
            Step("Div", (float(np.float32(1e-30)), 0), {"axis": -3}),
        ],
    )
    def test_steps_are_read_back(self, step: Step) -> None:
        assert parse_steps(step_texts([step])) == (step,)
