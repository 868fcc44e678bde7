"""Integer graph -> the ONNX and com.microsoft operators that ONNX Runtime executes, every int8 tensor under its own name."""

from collections.abc import Callable, Mapping

import numpy as np

from sfopt.errors import InternalError
from sfopt.graph import Attribute, Graph, Op, Quant
from sfopt.onnx_io import write_onnx
from sfopt.passes.qdq import Draft
from sfopt.tables import lookup_to_onnx

__all__ = ["model_bytes", "to_onnx_graph"]

_MICROSOFT = "com.microsoft"


def model_bytes(graph: Graph) -> bytes:
    """Integer `graph` as an ONNX model."""
    return write_onnx(to_onnx_graph(graph), None)


def to_onnx_graph(graph: Graph) -> Graph:
    """Replace every integer operator by what ONNX Runtime calls it; float operators stay."""
    export = _Export(graph)
    for op in graph.ops:
        _RULES.get(op.op_type, _Export.keep)(export, op)
    return export.draft.finish()


class _Export:
    def __init__(self, graph: Graph) -> None:
        self.draft = Draft(graph)
        self.parameters: dict[str, tuple[str, str]] = {}

    def quant(self, name: str) -> Quant:
        """Quantisation of `name`, which every operand of an integer operator has."""
        quant = self.draft.tensor(name).quant
        if quant is None:
            raise InternalError(f"tensor `{name}` of an integer operator has no scale")
        return quant

    def scale_and_zero_point(self, name: str) -> tuple[str, str]:
        """Constants with the quantisation of `name`, made once."""
        if name not in self.parameters:
            self.parameters[name] = self.draft.quantization_inputs(name, self.quant(name), "int8")
        return self.parameters[name]

    def triple(self, name: str) -> tuple[str, str, str]:
        """`name` with its scale and zero point."""
        return (name, *self.scale_and_zero_point(name))

    def add(
        self, op: Op, op_type: str, inputs: tuple[str, ...], attributes: Mapping[str, Attribute], domain: str = ""
    ) -> None:
        """Append `op_type` in place of `op`."""
        self.draft.ops.append(Op(op.name, op_type, inputs, op.outputs, attributes, domain))

    def keep(self, op: Op) -> None:
        """An operator that is ONNX already."""
        self.draft.ops.append(op)

    def conv(self, op: Op) -> None:
        """QLinearConv(x, w[, bias])."""
        x, w = op.inputs[:2]
        inputs = (*self.triple(x), *self.triple(w), *self.scale_and_zero_point(op.output), *op.inputs[2:])
        self.add(op, "QLinearConv", inputs, op.attributes)

    def conv_transpose(self, op: Op) -> None:
        """Zeros between the rows and columns of x, then QLinearConv with the kernel turned around: the textbook's definition."""
        x, w = op.inputs[:2]
        (down, across), (top, left) = op.ints("strides"), op.ints("pads")[:2]
        (rows, columns), (tall, wide) = op.ints("kernel_shape"), op.ints("dilations")
        height, width = self.draft.tensor(op.output).shape[2:]
        spread = self.spread(op, x, (down, across))
        before = ((rows - 1) * tall - top, (columns - 1) * wide - left)
        spread_height, spread_width = self.draft.tensor(spread).shape[2:]
        behind = (height + top - spread_height, width + left - spread_width)
        padded = self.pad(spread, (0, 0, *before, 0, 0, *behind), f"{op.output}_padded")
        kernel = self.draft.tensor(w)
        assert kernel.data is not None
        turned = self.draft.constant(f"{w}_turned", np.ascontiguousarray(kernel.data[:, :, ::-1, ::-1]), kernel.quant)
        inputs = (*self.triple(padded), *self.triple(turned), *self.scale_and_zero_point(op.output), *op.inputs[2:])
        plain = {"strides": (1, 1), "pads": (0, 0, 0, 0)}
        self.add(op, "QLinearConv", inputs, {**op.attributes, **plain})

    def spread(self, op: Op, x: str, strides: tuple[int, ...]) -> str:
        """X with zero points behind every row and column, so that each has as many rows and columns as the stride."""
        _, channels, height, width = self.draft.tensor(x).shape
        name, (down, across) = op.output, strides
        apart = self.reshape(x, (1, channels, height, 1, width, 1), f"{name}_apart")
        padded = self.pad(apart, (0, 0, 0, 0, 0, 0, 0, 0, 0, down - 1, 0, across - 1), f"{name}_between")
        return self.reshape(padded, (1, channels, height * down, width * across), f"{name}_spread")

    def reshape(self, x: str, shape: tuple[int, ...], base: str) -> str:
        """X in another shape."""
        name = self.draft.define(base, shape, "int8", self.quant(x))
        return self.draft.add("Reshape", (x,), name, {"shape": shape})

    def pad(self, x: str, pads: tuple[int, ...], base: str) -> str:
        """X with zero points around it; pads below 0 cut off."""
        shape = self.draft.tensor(x).shape
        grown = tuple(n + a + b for n, a, b in zip(shape, pads[: len(shape)], pads[len(shape) :], strict=True))
        name = self.draft.define(base, grown, "int8", self.quant(x))
        return self.draft.add("Pad", (x,), name, {"pads": pads, "value": self.quant(x).zero_point})

    def binary(self, op: Op) -> None:
        """QLinearAdd or QLinearMul."""
        a, b = op.inputs
        self.add(
            op, op.op_type, (*self.triple(a), *self.triple(b), *self.scale_and_zero_point(op.output)), {}, _MICROSOFT
        )

    def unary(self, op: Op) -> None:
        """QLinearAveragePool or QLinearGlobalAveragePool."""
        inputs = (*self.triple(op.inputs[0]), *self.scale_and_zero_point(op.output))
        self.add(op, op.op_type, inputs, op.attributes, _MICROSOFT)

    def concat(self, op: Op) -> None:
        """QLinearConcat along channels."""
        operands = tuple(part for name in op.inputs for part in self.triple(name))
        self.add(op, "QLinearConcat", (*self.scale_and_zero_point(op.output), *operands), {"axis": 1}, _MICROSOFT)

    def lookup(self, op: Op) -> None:
        """DequantizeLinear, the function, QuantizeLinear."""
        lookup_to_onnx(self.draft, op)


_RULES: Mapping[str, Callable[[_Export, Op], None]] = {
    "Lookup": _Export.lookup,
    "QLinearAdd": _Export.binary,
    "QLinearAveragePool": _Export.unary,
    "QLinearConcat": _Export.concat,
    "QLinearConv": _Export.conv,
    "QLinearConvTranspose": _Export.conv_transpose,
    "QLinearGlobalAveragePool": _Export.unary,
    "QLinearMul": _Export.binary,
}
