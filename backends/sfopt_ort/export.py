"""Integer graph -> the ONNX and com.microsoft operators that ONNX Runtime executes, every int8 tensor under its own name."""

from collections.abc import Callable, Mapping

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
    "QLinearGlobalAveragePool": _Export.unary,
    "QLinearMul": _Export.binary,
}
