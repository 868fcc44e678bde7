"""r -> DequantizeLinear(QuantizeLinear(r)) for float tensors r between operators that are meant to run in int8

Some tools round only what a convolution reads: its sum with a shortcut, or its activation, is taken before the next rounding, and
the last layer's result is never rounded. The accelerator rounds behind every operator, so such a tensor needs a scale too. Where it
goes on through MaxPool, Resize or a layout to a QuantizeLinear, it gets that one's scale, which changes nothing: rounding and
picking commute. Otherwise calibration must find one. A convolution with float weights was left in float on purpose, and stays.
Operators that together are a function of one value become one table, and nothing is rounded between them.
"""

from collections.abc import Mapping

from sfopt.graph import Graph, Op, Quant
from sfopt.passes.lowering import feature_map_shape, keeps_map
from sfopt.passes.pointwise import TABLE_FUNCTIONS, find_function
from sfopt.passes.qdq import LAYOUT_OPS, Draft, quantization_of, stored_dtype

__all__ = ["complete_scales", "missing_scales"]

_WEIGHTED = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
_MOVING = frozenset({"MaxPool", "Resize"})
_JOINING = frozenset({"Add", "AveragePool", "Concat", "GlobalAveragePool", "Mul", "ReduceMean", "Sub", "Sum"}) | _MOVING
_SATURATING = frozenset({"Clip", "Relu"})


def missing_scales(graph: Graph) -> dict[str, Quant | None]:
    """Float tensors of quantised `graph` that need a scale, in order; None where only calibration can tell it."""
    search = _Search(graph)
    for op in graph.ops:
        search.visit(op)
    return search.missing


def complete_scales(graph: Graph, quants: Mapping[str, Quant]) -> Graph:
    """`graph` with the named float tensors rounded to int8 by `quants`; every reader reads the rounded one."""
    draft, names = Draft(graph), dict[str, str]()
    for op in graph.ops:
        inputs = tuple(names.get(n, n) for n in op.inputs)
        name = op.output
        if name not in quants:
            draft.ops.append(Op(op.name, op.op_type, inputs, op.outputs, op.attributes, op.domain))
            continue
        shape, is_output = graph.tensor(name).shape, name in graph.outputs
        real = draft.define(f"{name}_unrounded", shape, "float32") if is_output else name
        draft.ops.append(Op(op.name, op.op_type, inputs, (real, *op.outputs[1:]), op.attributes, op.domain))
        integer = draft.define(f"{name}_QuantizeLinear_Output", shape, "int8", quants[name])
        draft.quantize(real, quants[name], integer)
        rounded = name if is_output else draft.define(f"{name}_DequantizeLinear_Output", shape, "float32")
        draft.dequantize(integer, quants[name], rounded)
        names[name] = rounded
    return draft.finish(
        [f"`{n}`: the model gives it no scale; it is rounded to int8 with {quants[n].scale}" for n in names]
    )


class _Search:
    """A walk over the operators, in order, that knows which real tensors are rounded ones."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.missing: dict[str, Quant | None] = {}
        self.rounded: set[str] = set()
        """Real tensors that are dequantised integers, or will be, as they are or moved."""
        self.open: set[str] = set()
        """Results of int8 operators whose rounding is left to the operator that reads them."""
        self.functions: dict[str, str] = {}
        """Results of functions of one value -> that value."""
        self.inner: set[str] = set()
        """What is computed on the way of these."""
        self.leading: set[str] = set()
        """Tensors behind which a QuantizeLinear follows, with nothing but operators of the accelerator on the way."""
        for op in reversed(graph.ops):
            self._look_ahead(op)

    def _look_ahead(self, op: Op) -> None:
        function = None if op.output in self.inner else find_function(self.graph, op, alone=True)
        if function is not None:
            self.functions[op.output] = function.source
            self.inner.update(o.output for o in function.ops if o is not op)
        known = op.op_type in _JOINING | TABLE_FUNCTIONS | LAYOUT_OPS or op.output in self.functions
        if op.op_type == "QuantizeLinear" or ((known or op.output in self.inner) and op.output in self.leading):
            self.leading.update(op.inputs)

    def visit(self, op: Op) -> None:
        """Note whether what `op` writes is rounded, and by whom."""
        if op.op_type == "DequantizeLinear":
            self.rounded.update(() if self.graph.tensor(op.inputs[0]).is_constant else op.outputs)
        elif op.op_type in LAYOUT_OPS:
            self.rounded.update(op.outputs if op.inputs[0] in self.rounded else ())
            self.open.update(op.outputs if op.inputs[0] in self.open else ())
        elif op.output in self.inner and not any(n in self.open for n in op.inputs):
            return
        elif feature_map_shape(self.graph.tensor(op.output).shape) is not None and self._runs_in_int8(op):
            self._round(op)

    def _runs_in_int8(self, op: Op) -> bool:
        if op.op_type in _WEIGHTED:
            return op.inputs[0] in self.rounded and self._is_quantised_constant(op.inputs[1])
        if op.op_type in _SATURATING and op.inputs[0] in self.open:
            return True
        if self._is_bias(op):
            return True
        if op.output in self.functions and op.output in self.leading and self.functions[op.output] in self.rounded:
            return True
        if op.op_type not in _JOINING | TABLE_FUNCTIONS or op.output not in self.leading:
            return False
        computed = [
            n for n in op.inputs if n and not self.graph.tensor(n).is_constant and not self._is_quantised_constant(n)
        ]
        return bool(computed) and all(n in self.rounded for n in computed)

    def _is_bias(self, op: Op) -> bool:
        """Add of a constant to a MatMul's product."""
        return op.op_type == "Add" and any(n in self.open for n in op.inputs)

    def _is_quantised_constant(self, name: str) -> bool:
        op = self.graph.producers.get(name)
        while op is not None and op.op_type in LAYOUT_OPS:
            op = self.graph.producers.get(op.inputs[0])
        return op is not None and op.op_type == "DequantizeLinear" and self.graph.tensor(op.inputs[0]).is_constant

    def _round(self, op: Op) -> None:
        name, reader = op.output, self.graph.sole_consumer(op.output)
        while reader is not None and reader.op_type in LAYOUT_OPS and keeps_map(self.graph, reader):
            name, reader = reader.output, self.graph.sole_consumer(reader.output)
        if any(r.op_type == "QuantizeLinear" for r in self.graph.consumers.get(name, ())):
            self.rounded.add(name)
        elif reader is not None and self._takes_over(op, name, reader):
            self.open.add(op.output)
        else:
            self.missing[op.output] = self._scale_behind(op.output)
            self.rounded.add(op.output)

    def _takes_over(self, op: Op, name: str, reader: Op) -> bool:
        """Whether `reader`, the only one of `name`, which is what `op` writes, is computed before anything is rounded."""
        if reader.op_type in _SATURATING:
            return op.op_type not in TABLE_FUNCTIONS and reader.output not in self.inner
        others = [n for n in reader.inputs if n != name]
        return op.op_type == "MatMul" and reader.op_type == "Add" and all(self._is_fixed(n) for n in others)

    def _is_fixed(self, name: str) -> bool:
        return self.graph.tensor(name).is_constant or self._is_quantised_constant(name)

    def _scale_behind(self, name: str) -> Quant | None:
        """That of a QuantizeLinear which reads `name` behind operators that only pick or move elements."""
        reader = self.graph.sole_consumer(name)
        while reader is not None and reader.op_type in LAYOUT_OPS | _MOVING:
            if reader.op_type == "Resize" and reader.attributes.get("mode", "nearest") != "nearest":
                return None
            name = reader.output
            quantizers = [r for r in self.graph.consumers.get(name, ()) if r.op_type == "QuantizeLinear"]
            reader = quantizers[0] if quantizers else self.graph.sole_consumer(name)
        if reader is None or reader.op_type != "QuantizeLinear":
            return None
        quant = quantization_of(self.graph, reader)
        if quant is None or quant.axis is not None:
            return None
        shift = 128 if stored_dtype(self.graph, reader) == "uint8" else 0
        return Quant(quant.scale, quant.zero_point - shift)
