"""QLinearX(x, s, z, .., s_y, z_y) -> QuantizeLinear(X(DequantizeLinear(x, s, z), ..), s_y, z_y)

Turns the operator-oriented form of a quantised model into the QDQ form, so that one set of patterns lowers both. Nothing is
lost: the lowering finds the same integers again. Operators that move or pick elements of int8 tensors (MaxPool, Reshape, ...) are
wrapped likewise, with the scale of their input, and so is a Clip of integers, which PyTorch writes for 7 bits: its bounds stand for
real numbers. What would be another function of real numbers than of integers (Relu) stays as it is.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from sfopt.errors import ModelError
from sfopt.graph import Attribute, Graph, Op, Quant, Tensor
from sfopt.passes.qdq import Draft, constant_of, quantization_of

__all__ = ["QOPERATORS", "expand_qoperators"]


@dataclass(frozen=True)
class _Form:
    """Where a quantised operator keeps its operands: first positions of (value, scale, zero point), and of (scale, zero point)."""

    op_type: str
    operands: tuple[int, ...]
    result: int
    bias: int | None = None
    plain: tuple[int, ...] = ()


_UNARY = ("AveragePool", "GlobalAveragePool", "LeakyRelu", "ReduceMean", "Sigmoid", "Softmax")
_FORMS: Mapping[str, _Form] = {
    **{f"QLinear{name}": _Form(name, (0,), 3) for name in _UNARY},
    "QLinearConv": _Form("Conv", (0, 3), 6, bias=8),
    "QLinearConvTranspose": _Form("ConvTranspose", (0, 3), 6, bias=8),
    "QLinearMatMul": _Form("MatMul", (0, 3), 6),
    "QGemm": _Form("Gemm", (0, 3), 7, bias=6),
    "QLinearAdd": _Form("Add", (0, 3), 6),
    "QLinearMul": _Form("Mul", (0, 3), 6),
    "QLinearWhere": _Form("Where", (1, 4), 7, plain=(0,)),
}
QOPERATORS = frozenset({*_FORMS, "QLinearConcat"} - {"QLinearConvTranspose"})
"""Quantised operators of ONNX and its com.microsoft extension that are understood, without ours."""

_MOVERS = frozenset(
    {
        "Clip", "Concat", "DepthToSpace", "Dropout", "Expand", "Flatten", "Gather", "GatherElements", "GatherND", "Identity", "Max",
        "MaxPool", "Min", "Pad", "ReduceMax", "ReduceMin", "Reshape", "Resize", "Reverse", "Slice", "SpaceToDepth", "Split",
        "Squeeze", "Tile", "Transpose", "Unsqueeze", "Upsample", "Where",
    }
)  # fmt: skip
"""Operators every element of whose result is one of their inputs', or a value told (Clip, Pad), or between some (linear Resize)."""

_TOLD: Mapping[str, tuple[str, ...]] = {"Clip": ("max", "min"), "Pad": ("value",)}
"""Attributes that are values of the integers; a Pad without one fills in the integer 0."""

_DROPPED = frozenset({"channels_last", "opset"})
_INTEGERS = frozenset({"int8", "uint8"})


def expand_qoperators(graph: Graph) -> Graph:
    """Apply the rewrite of this module to every operator of `graph` that reads and writes integers with a scale."""
    expansion = _Expansion(Draft(graph))
    for op in graph.ops:
        expansion.rewrite(op)
    return expansion.draft.finish()


class _Expansion:
    def __init__(self, draft: Draft) -> None:
        self.draft = draft
        self.quants: dict[str, Quant] = {}
        """Tensors whose quantisation is known from the operator that wrote or read them."""

    def rewrite(self, op: Op) -> None:
        """Append what stands for `op`."""
        if op.op_type in _FORMS or op.op_type == "QLinearConcat":
            self._expand(op)
        elif op.op_type in ("QuantizeLinear", "DequantizeLinear"):
            self._keep(op)
        elif self._dtype(op.inputs[0] if op.inputs else "") in _INTEGERS and self._dtype(op.output) in _INTEGERS:
            self._wrap(op)
        else:
            self.draft.ops.append(op)

    def _dtype(self, name: str) -> str:
        tensor = self.draft.graph.tensors.get(name)
        return tensor.dtype if tensor is not None else ""

    def _keep(self, op: Op) -> None:
        quant = quantization_of(self.draft.graph, op)
        if quant is not None:
            self.quants[op.output if op.op_type == "QuantizeLinear" else op.inputs[0]] = quant
        self.draft.ops.append(op)

    def _quant(self, op: Op, scale: str, zero_point: str) -> Quant:
        graph = self.draft.graph
        scales = np.asarray(constant_of(graph, scale), np.float32)
        zero_points = np.unique(constant_of(graph, zero_point)) if zero_point else np.zeros(1)
        if zero_points.size != 1:
            raise ModelError(
                f"{op.op_type} `{op.name}`: zero points `{zero_point}` differ between channels, need one for all"
            )
        if scales.size == 1:
            return Quant(scales.reshape(()), int(zero_points[0]))
        return Quant(scales.reshape(-1), int(zero_points[0]), 0 if op.op_type == "QLinearConv" else 1)

    def _expand(self, op: Op) -> None:
        form = _concat_form(op) if op.op_type == "QLinearConcat" else _FORMS[op.op_type]
        if op.attributes.get("channels_last", 0):
            raise ModelError(
                f"{op.op_type} `{op.name}`: channels_last=1 is not understood; export the model with channels first"
            )
        quants = [self._quant(op, op.inputs[i + 1], op.inputs[i + 2]) for i in form.operands]
        if op.op_type == "QGemm" and quants[1].axis is not None and op.attributes.get("transB", 0):
            quants[1] = Quant(quants[1].scale, quants[1].zero_point, 0)
        inputs = [op.inputs[i] for i in form.plain]
        inputs += [self._real(op.inputs[i], quant) for i, quant in zip(form.operands, quants, strict=True)]
        if form.bias is not None and len(op.inputs) > form.bias and op.inputs[form.bias]:
            inputs.append(self._real_bias(op.inputs[form.bias], quants))
        self._emit(op, form, inputs)

    def _emit(self, op: Op, form: _Form, inputs: list[str]) -> None:
        draft, attributes = self.draft, {k: v for k, v in op.attributes.items() if k not in _DROPPED}
        if len(op.inputs) <= form.result or not op.inputs[form.result]:
            draft.add(form.op_type, inputs, op.output, attributes, op.name)
            return
        scale, zero_point = (*op.inputs[form.result : form.result + 2], "")[:2]
        self._quantized(op, form.op_type, inputs, self._quant(op, scale, zero_point))

    def _quantized(self, op: Op, op_type: str, inputs: list[str], quant: Quant) -> None:
        draft, target = self.draft, self.draft.graph.tensor(op.output)
        attributes = {k: v for k, v in op.attributes.items() if k not in _DROPPED}
        real = draft.define(f"{op.output}_unrounded", target.shape, "float32")
        draft.add(op_type, inputs, real, attributes, op.name)
        draft.tensors[op.output] = Tensor(op.output, target.shape, target.dtype, quant)
        draft.quantize(real, quant, op.output)
        self.quants[op.output] = quant

    def _wrap(self, op: Op) -> None:
        quant = self.quants.get(op.inputs[0])
        if quant is None:
            raise ModelError(f"{op.op_type} `{op.name}` reads int8 tensor `{op.inputs[0]}`, whose scale nothing tells")
        if op.op_type not in _MOVERS or len(op.outputs) > 1:
            self.quants.update({name: quant for name in op.outputs if name})
            self.draft.ops.append(op)
            return
        integers = {n: self.quants.get(n, quant) for n in op.inputs if n and self._dtype(n) in _INTEGERS}
        if not all(quant.same_as(q) for q in integers.values()):
            self.draft.ops.append(op)
            return
        inputs = [self._real(n, integers[n]) if n in integers else n for n in op.inputs]
        self._quantized(_telling_reals(op, quant), op.op_type, inputs, quant)

    def _real(self, integer: str, quant: Quant) -> str:
        draft = self.draft
        self.quants.setdefault(integer, quant)
        real = draft.define(f"{integer}_real", draft.tensor(integer).shape, "float32")
        return draft.dequantize(integer, quant, real)

    def _real_bias(self, bias: str, quants: list[Quant]) -> str:
        scale = np.asarray(quants[0].scale * quants[1].scale, np.float32)
        return self._real(bias, Quant(scale, 0, None if scale.ndim == 0 else 0))


def _telling_reals(op: Op, quant: Quant) -> Op:
    """`op` of integers with the real numbers that the integers in its attributes stand for."""
    told: dict[str, Attribute] = {"value": 0, **op.attributes} if op.op_type == "Pad" else dict(op.attributes)
    values = {k: v for k in _TOLD.get(op.op_type, ()) if isinstance(v := told.get(k), int | float)}
    reals = {k: float(np.float32(v - quant.zero_point) * np.float32(quant.scale)) for k, v in values.items()}
    return replace(op, attributes={**op.attributes, **reals})


def _concat_form(op: Op) -> _Form:
    return _Form("Concat", tuple(range(2, len(op.inputs), 3)), 0)
