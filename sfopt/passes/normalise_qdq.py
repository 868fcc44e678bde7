"""QuantizeLinear(constant) -> constant;  uint8 with zero point z -> int8 with zero point z - 128;
DequantizeLinear(QuantizeLinear(layout(DequantizeLinear(q)))) -> layout(DequantizeLinear(q)), all with the same parameters

Three exact rewrites after which a quantised tensor has one name, is int8, and is rounded once. ONNX Runtime's kernels for uint8 and
for int8 then give the same numbers, 128 apart, but for two: add and average pool add the zero point in float32 before they round,
so that a value within a float32 rounding error of a tie falls to the other side where the zero point is 128 less. That is one step,
in a few of a million sums, and in a few of a thousand means where both scales are equal (`tests/test_quantised_sources.py`).
"""

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from sfopt.graph import Graph, Op, Quant, Tensor
from sfopt.passes.qdq import LAYOUT_OPS, Draft, quantization_of, stored_dtype

__all__ = ["normalise_qdq"]

_PAIR = ("QuantizeLinear", "DequantizeLinear")


def normalise_qdq(graph: Graph) -> Graph:
    """Apply the three rewrites, in order."""
    return _drop_repeated_rounding(_signed(_fold_constants(graph)))


def _fold_constants(graph: Graph) -> Graph:
    draft = Draft(graph)
    for op in graph.ops:
        source = graph.tensors.get(op.inputs[0]) if op.inputs else None
        quant = quantization_of(graph, op) if op.op_type == "QuantizeLinear" else None
        if quant is None or source is None or source.data is None:
            draft.ops.append(op)
            continue
        data = _quantized(np.asarray(source.data, np.float32), quant, np.dtype(stored_dtype(graph, op)))
        draft.tensors[op.output] = Tensor(op.output, data.shape, data.dtype.name, quant, data)
    return draft.finish()


def _quantized(data: npt.NDArray[np.float32], quant: Quant, dtype: np.dtype[Any]) -> npt.NDArray[np.generic]:
    scale = quant.scale
    if quant.axis is not None:
        scale = scale.reshape([-1 if d == quant.axis else 1 for d in range(data.ndim)])
    limits = np.iinfo(dtype)
    integers = np.rint(data / scale).astype(np.float64) + quant.zero_point
    return np.asarray(np.clip(integers, limits.min, limits.max).astype(dtype))


def _signed(graph: Graph) -> Graph:
    """uint8 tensors between a QuantizeLinear and DequantizeLinears become int8; others, but for constants, get an int8 twin."""
    draft, twins = Draft(graph), dict[str, str]()
    for op in graph.ops:
        if op.op_type not in _PAIR or stored_dtype(graph, op) != "uint8" or graph.tensor(op.inputs[0]).is_constant:
            draft.ops.append(op)
            continue
        quant = quantization_of(graph, op)
        if quant is None:
            draft.ops.append(op)
        elif op.op_type == "QuantizeLinear":
            _signed_quantize(draft, op, _shifted(quant), twins)
        else:
            _signed_dequantize(draft, op, _shifted(quant), twins)
    return draft.finish()


def _shifted(quant: Quant) -> Quant:
    return replace(quant, zero_point=quant.zero_point - 128)


def _is_internal(graph: Graph, name: str) -> bool:
    readers = graph.consumers.get(name, ())
    return name not in graph.outputs and all(op.op_type == "DequantizeLinear" for op in readers)


def _signed_quantize(draft: Draft, op: Op, quant: Quant, twins: dict[str, str]) -> None:
    graph, old = draft.graph, draft.graph.tensor(op.output)
    if _is_internal(graph, op.output):
        twins[op.output] = op.output
        draft.tensors[op.output] = Tensor(op.output, old.shape, "int8", quant)
        draft.quantize(op.inputs[0], quant, op.output)
        return
    twin = draft.define(f"{op.output}_int8", old.shape, "int8", quant)
    twins[op.output] = twin
    draft.quantize(op.inputs[0], quant, twin)
    real = draft.dequantize(twin, quant, draft.define(f"{op.output}_real", old.shape, "float32"))
    draft.ops.append(replace(op, inputs=(real, *op.inputs[1:])))


def _signed_dequantize(draft: Draft, op: Op, quant: Quant, twins: dict[str, str]) -> None:
    name = op.inputs[0]
    old = draft.graph.tensor(name)
    if name not in twins:
        real = draft.define(f"{name}_real", old.shape, "float32")
        draft.ops.append(replace(op, name=f"{op.name}_boundary", outputs=(real,)))
        twins[name] = draft.define(f"{name}_int8", old.shape, "int8", quant)
        draft.quantize(real, quant, twins[name])
    draft.dequantize(twins[name], quant, op.output)


def _drop_repeated_rounding(graph: Graph) -> Graph:
    rounding = _Rounding(Draft(graph))
    for op in graph.ops:
        rounding.rewrite(op)
    return rounding.draft.finish()


class _Rounding:
    def __init__(self, draft: Draft) -> None:
        self.draft = draft
        self.names: dict[str, str] = {}
        """Tensors that turned out to be another one."""
        self.producers: dict[str, Op] = {}
        self.quantized: dict[tuple[str, bytes, int, str], str] = {}
        """(real tensor, scale, zero point, dtype) -> the first integer tensor made of it."""

    def rewrite(self, op: Op) -> None:
        """Append `op`, reading what is left of its inputs, unless it repeats an earlier one."""
        op = replace(op, inputs=tuple(self.names.get(n, n) for n in op.inputs))
        if op.op_type == "QuantizeLinear" and self._is_duplicate(op):
            return
        if op.op_type == "DequantizeLinear" and self._is_repeated(op):
            return
        self.draft.ops.append(op)
        self.producers.update({name: op for name in op.outputs if name})

    def _is_duplicate(self, op: Op) -> bool:
        quant = quantization_of(self.draft.graph, op)
        if quant is None or quant.axis is not None or op.output in self.draft.graph.outputs:
            return False
        key = (op.inputs[0], quant.scale.tobytes(), quant.zero_point, stored_dtype(self.draft.graph, op))
        first = self.quantized.setdefault(key, op.output)
        if first != op.output:
            self.names[op.output] = first
        return first != op.output

    def _is_repeated(self, op: Op) -> bool:
        graph = self.draft.graph
        second = self.producers.get(op.inputs[0])
        quant = quantization_of(graph, op)
        if second is None or second.op_type != "QuantizeLinear" or quant is None:
            return False
        last = first = self.producers.get(second.inputs[0])
        while first is not None and first.op_type in LAYOUT_OPS:
            first = self.producers.get(first.inputs[0])
        if first is None or first.op_type != "DequantizeLinear" or quant.axis is not None:
            return False
        if stored_dtype(graph, first) != stored_dtype(graph, op):
            return False
        if not (quant.same_as(quantization_of(graph, first)) and quant.same_as(quantization_of(graph, second))):
            return False
        if op.output in graph.outputs and last is not None:
            self.draft.ops.append(replace(last, outputs=(op.output,)))
        else:
            self.names[op.output] = second.inputs[0]
        return True
