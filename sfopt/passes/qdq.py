"""What the passes over QuantizeLinear and DequantizeLinear share: reading their parameters and building new ones."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from sfopt.errors import ModelError
from sfopt.graph import Attribute, Graph, Op, Quant, Tensor

__all__ = ["LAYOUT_OPS", "Draft", "channel_quantization_of", "constant_of", "quantization_of", "stored_dtype"]

LAYOUT_OPS = frozenset({"Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze"})
"""Operators that only move elements; the value of every element stays."""


def constant_of(graph: Graph, name: str) -> npt.NDArray[np.generic]:
    """The data of constant `name`; raises ModelError when it is computed at run time."""
    data = graph.tensor(name).data
    if data is None:
        raise ModelError(f"tensor `{name}` must be constant: scales, zero points and shapes are fixed when compiling")
    return data


def stored_dtype(graph: Graph, op: Op) -> str:
    """The integer type on the quantised side of a QuantizeLinear or DequantizeLinear."""
    if op.op_type == "DequantizeLinear":
        return graph.tensor(op.inputs[0]).dtype
    return graph.tensor(op.inputs[2]).dtype if len(op.inputs) > 2 and op.inputs[2] else graph.tensor(op.output).dtype


def quantization_of(graph: Graph, op: Op) -> Quant | None:
    """Scale, zero point and axis of a QuantizeLinear or DequantizeLinear; None when zero points differ between channels."""
    zero_points = np.unique(_zero_points(graph, op))
    if zero_points.size != 1 or np.ndim(constant_of(graph, op.inputs[1])) > 1:
        return None
    return replace(channel_quantization_of(graph, op)[0], zero_point=int(zero_points[0]))


def channel_quantization_of(graph: Graph, op: Op) -> tuple[Quant, npt.NDArray[np.int32]]:
    """Scale and axis as those of integers around 0, and the zero points to subtract first, in a shape that broadcasts."""
    scale, zero_points = np.asarray(constant_of(graph, op.inputs[1]), np.float32), _zero_points(graph, op)
    axis, rank = op.attributes.get("axis", 1), len(graph.tensor(op.inputs[0]).shape)
    if scale.size == 1:
        return Quant(scale.reshape(())), zero_points.reshape(())
    if not isinstance(axis, int) or not rank:
        return Quant(scale), zero_points
    along = [-1 if d == axis % rank else 1 for d in range(rank)]
    return Quant(scale, 0, axis % rank), zero_points.reshape(along)


def _zero_points(graph: Graph, op: Op) -> npt.NDArray[np.int32]:
    if len(op.inputs) > 2 and op.inputs[2]:
        return constant_of(graph, op.inputs[2]).astype(np.int32)
    return np.zeros(np.shape(constant_of(graph, op.inputs[1])), np.int32)


@dataclass
class Draft:
    """Operators and tensors of a graph in the making, with fresh names that clash with nothing in the source."""

    graph: Graph
    ops: list[Op] = field(default_factory=list)
    tensors: dict[str, Tensor] = field(default_factory=dict)

    def fresh(self, base: str) -> str:
        """`base`, with a number behind it where that name is taken."""
        name, number = base, 1
        while name in self.tensors or name in self.graph.tensors:
            name, number = f"{base}_{number}", number + 1
        return name

    def tensor(self, name: str) -> Tensor:
        """The newest definition of `name`."""
        return self.tensors.get(name) or self.graph.tensor(name)

    def define(self, base: str, shape: Iterable[int], dtype: str, quant: Quant | None = None) -> str:
        """A new tensor with a fresh name, which is returned."""
        name = self.fresh(base)
        self.tensors[name] = Tensor(name, tuple(shape), dtype, quant)
        return name

    def constant(self, base: str, data: npt.NDArray[np.generic], quant: Quant | None = None) -> str:
        """A new constant with a fresh name, which is returned."""
        name = self.fresh(base)
        self.tensors[name] = Tensor(name, data.shape, data.dtype.name, quant, data)
        return name

    def add(
        self,
        op_type: str,
        inputs: Iterable[str],
        output: str,
        attributes: Mapping[str, Attribute] | None = None,
        name: str | None = None,
    ) -> str:
        """Append an operator with one output, which is returned."""
        self.ops.append(Op(name or output, op_type, tuple(inputs), (output,), attributes or {}))
        return output

    def quantization_inputs(self, integer: str, quant: Quant, dtype: str) -> tuple[str, str]:
        """Names of constants with the scale and zero point of tensor `integer`."""
        shape = quant.scale.shape
        scale = self.constant(f"{integer}_scale", quant.scale)
        return scale, self.constant(f"{integer}_zero_point", np.full(shape, quant.zero_point, np.dtype(dtype)))

    def dequantize(self, integer: str, quant: Quant, output: str) -> str:
        """Append `output = DequantizeLinear(integer)`."""
        parameters = self.quantization_inputs(integer, quant, self.tensor(integer).dtype)
        attributes: dict[str, Attribute] = {} if quant.axis is None else {"axis": quant.axis}
        return self.add("DequantizeLinear", (integer, *parameters), output, attributes)

    def quantize(self, real: str, quant: Quant, output: str) -> str:
        """Append `output = QuantizeLinear(real)`."""
        parameters = self.quantization_inputs(output, quant, self.tensor(output).dtype)
        return self.add("QuantizeLinear", (real, *parameters), output)

    def finish(self, notes: Iterable[str] = ()) -> Graph:
        """The drafted graph, sorted, without what nothing reads, operator names unique."""
        graph = self.graph.with_ops(self.ops, self.tensors.values(), notes=tuple(notes))
        names, ops = set[str](), []
        for op in graph.ops:
            ops.append(replace(op, name=f"{op.name}.{op.output}") if op.name in names else op)
            names.add(ops[-1].name)
        return replace(graph, ops=tuple(ops))
