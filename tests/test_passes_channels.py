"""Operators that move whole channels: copied by convolutions, and left to the convolutions behind where that costs no more."""

import numpy as np
import pytest
from models import ModelBuilder, assert_passes_keep, count

from sfopt.graph import Graph
from sfopt.onnx_io import read_onnx
from sfopt.passes import run_passes
from sfopt.passes.selection import selected_channels


def selections(graph: Graph) -> list[list[int]]:
    found = (selected_channels(graph, op) for op in graph.ops)
    return [channels.tolist() for channels in found if channels is not None]


def shuffled(m: ModelBuilder, x: str, shape: tuple[int, int, int], *, last: bool) -> str:
    """Channels in two rows, read by columns, as PyTorch and as TensorFlow write it."""
    c, h, w = shape
    if not last:
        rows = m.add("Reshape", x, m.constant([1, 2, c // 2, h, w], "int64"))
        turned = m.add("Transpose", rows, perm=[0, 2, 1, 3, 4])
        return m.add("Reshape", turned, m.constant([1, c, h, w], "int64"))
    x = m.add("Transpose", x, perm=[0, 2, 3, 1])
    rows = m.add("Reshape", x, m.constant([1, h, w, 2, c // 2], "int64"))
    turned = m.add("Transpose", rows, perm=[0, 1, 2, 4, 3])
    return m.add("Transpose", m.add("Reshape", turned, m.constant([1, h, w, c], "int64")), perm=[0, 3, 1, 2])


class TestShuffles:
    @pytest.mark.parametrize("last", [False, True])
    def test_a_shuffle_is_a_copy_by_convolution(self, last: bool) -> None:
        m = ModelBuilder()
        x = m.add("Relu", m.conv(m.input((1, 3, 5, 4)), 3, 6))
        graph = assert_passes_keep(m.build(m.add("Sigmoid", shuffled(m, x, (6, 5, 4), last=last))))
        assert count(graph) == {"Conv": 2, "Relu": 1, "Sigmoid": 1}
        assert selections(graph) == [[0, 3, 1, 4, 2, 5]]

    @pytest.mark.parametrize("last", [False, True])
    def test_a_convolution_behind_takes_it(self, last: bool) -> None:
        m = ModelBuilder()
        x = m.add("Relu", m.conv(m.input((1, 3, 5, 4)), 3, 6))
        graph = assert_passes_keep(m.build(m.conv(shuffled(m, x, (6, 5, 4), last=last), 6, 4, pads=[1] * 4)))
        assert count(graph) == {"Conv": 2, "Relu": 1}

    def test_it_passes_a_depthwise_convolution(self) -> None:
        m = ModelBuilder()
        x = m.add("Relu", m.conv(m.input((1, 3, 6, 4)), 3, 6))
        y = m.conv(shuffled(m, x, (6, 6, 4), last=False), 6, 6, pads=[1] * 4, strides=[2, 2], group=6)
        graph = assert_passes_keep(m.build(m.conv(y, 6, 4)))
        assert count(graph) == {"Conv": 3, "Relu": 1}
        assert not selections(graph)

    def test_what_moves_rows_is_no_shuffle(self) -> None:
        m = ModelBuilder()
        x = m.add("Relu", m.conv(m.input((1, 3, 4, 4)), 3, 6))
        rows = m.add("Reshape", x, m.constant([1, 6, 2, 2, 4], "int64"))
        turned = m.add("Transpose", rows, perm=[0, 1, 3, 2, 4])
        graph = assert_passes_keep(m.build(m.add("Reshape", turned, m.constant([1, 6, 4, 4], "int64"))))
        assert count(graph)["Transpose"] == 1
        assert not selections(graph)


class TestSelections:
    def test_each_part_of_a_split_is_copied(self) -> None:
        m = ModelBuilder()
        x = m.add("Relu", m.conv(m.input((1, 3, 5, 4)), 3, 6))
        m.add("Split", x, m.constant([2, 4], "int64"), axis=1, outputs=["a", "b"])
        graph = assert_passes_keep(m.build(m.add("Sigmoid", "a"), m.add("Tanh", "b")))
        assert selections(graph) == [[0, 1], [2, 3, 4, 5]]

    @pytest.mark.parametrize(
        ("starts", "ends", "steps", "wanted"),
        [([1], [4], [1], [1, 2, 3]), ([-1], [-9], [-2], [5, 3, 1]), ([0], [2**40], [3], [0, 3])],
    )
    def test_a_slice_of_channels(self, starts: list[int], ends: list[int], steps: list[int], wanted: list[int]) -> None:
        m = ModelBuilder()
        x = m.add("Relu", m.conv(m.input((1, 3, 5, 4)), 3, 6))
        bounds = [m.constant(v, "int64") for v in (starts, ends, [1], steps)]
        graph = assert_passes_keep(m.build(m.add("Tanh", m.add("Slice", x, *bounds))))
        assert selections(graph) == [wanted]

    @pytest.mark.parametrize(
        ("starts", "ends", "axes", "steps", "kernel"),
        [
            ([1], [4], [2], [1], (3, 1)),
            ([0, 1], [5, 6], [2, 3], [2, 2], (1, 2)),
            ([4], [5], [2], [1], (5, 1)),
            ([-3], [9], [3], [2], (1, 4)),
            ([1, 2], [3, 4], [1, 2], [1, 1], (4, 1)),
        ],
    )
    def test_rows_and_columns_are_copied_by_a_depthwise_convolution(
        self, starts: list[int], ends: list[int], axes: list[int], steps: list[int], kernel: tuple[int, int]
    ) -> None:
        m = ModelBuilder()
        bounds = [m.constant(v, "int64") for v in (starts, ends, axes, steps)]
        graph = assert_passes_keep(m.build(m.add("Tanh", m.add("Slice", m.input((1, 3, 5, 6)), *bounds))))
        crop = graph.ops[0]
        assert crop.attributes["kernel_shape"] == kernel
        assert crop.ints("group") == (3,)

    @pytest.mark.parametrize(
        ("bounds", "size", "why"),
        [
            (([-1], [-9], [2], [-1]), 5, "it reverses rows or columns"),
            (
                ([70], [90], [2], [1]),
                90,
                "the convolution that copies it would have a kernel or stride of 71, more than 63",
            ),
            (
                ([0], [140], [2], [70]),
                140,
                "the convolution that copies it would have a kernel or stride of 70, more than 63",
            ),
        ],
    )
    def test_what_no_convolution_copies_stays_and_says_why(
        self, bounds: tuple[list[int], ...], size: int, why: str
    ) -> None:
        m = ModelBuilder()
        names = [m.constant(v, "int64") for v in bounds]
        graph = assert_passes_keep(m.build(m.add("Slice", m.input((1, 3, size, 4)), *names)))
        assert count(graph) == {"Slice": 1}
        assert graph.notes == (f"express_selections: `t0` stays a Slice: {why}",)

    def test_a_selection_of_a_selection_is_one(self) -> None:
        m = ModelBuilder()
        x = shuffled(m, m.add("Relu", m.conv(m.input((1, 3, 5, 4)), 3, 6)), (6, 5, 4), last=True)
        m.add("Split", x, m.constant([3, 3], "int64"), axis=1, outputs=["a", "b"])
        graph = assert_passes_keep(m.build(m.add("Sigmoid", "a"), m.conv("b", 3, 2, 1)))
        assert selections(graph) == [[0, 3, 1]]
        assert count(graph) == {"Conv": 3, "Relu": 1, "Sigmoid": 1}

    def test_a_convolution_that_would_multiply_much_more_reads_the_copy(self) -> None:
        m = ModelBuilder()
        x = m.add("Relu", m.conv(m.input((1, 3, 5, 4)), 3, 6))
        m.add("Split", x, m.constant([3, 3], "int64"), axis=1, outputs=["a", "b"])
        graph = assert_passes_keep(m.build(m.conv("a", 3, 8, 3, pads=[1] * 4), m.add("Tanh", "b")))
        assert selections(graph) == [[0, 1, 2], [3, 4, 5]]

    def test_blocks_become_channels(self) -> None:
        m = ModelBuilder()
        x = m.add("Relu", m.conv(m.input((1, 3, 6, 4)), 3, 5))
        graph = assert_passes_keep(m.build(m.add("SpaceToDepth", x, blocksize=2)))
        assert count(graph) == {"Conv": 2, "Relu": 1}
        assert np.count_nonzero(graph.tensor(graph.ops[-1].inputs[1]).data) == 20

    def test_an_integer_network_is_left_alone(self) -> None:
        m = ModelBuilder()
        scale, zero = m.constant(np.float32(0.1)), m.constant(0, "int8")
        x = m.add("DequantizeLinear", m.add("QuantizeLinear", m.input((1, 6, 4, 4)), scale, zero), scale, zero)
        bounds = [m.constant(v, "int64") for v in ([1], [4], [1])]
        graph = run_passes(read_onnx(m.build(m.add("Slice", x, *bounds))))
        assert count(graph)["Slice"] == 1
