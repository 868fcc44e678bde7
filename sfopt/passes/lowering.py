"""State of the lowering from QDQ form to integer operators: which int8 tensor stands for a real one, in which shape.

Layout operators between a DequantizeLinear and its reader vanish where they keep the order of the elements. Where they do not,
they stay on the host and what they produce is quantised again, which is exact: moving elements does not change them.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from sfopt.graph import Attribute, Graph, Op, Quant, Tensor
from sfopt.passes.qdq import LAYOUT_OPS, Draft, quantization_of

__all__ = ["Decline", "Lowering", "feature_map_shape", "keeps_map"]

Order = npt.NDArray[np.int64]


class Decline(Exception):  # noqa: N818 (no error: the operator runs elsewhere)
    """The accelerator cannot run an operator; the text says why. It stays on the host."""


def feature_map_shape(shape: tuple[int, ...]) -> tuple[int, int, int, int] | None:
    """The (1, C, H, W) that the accelerator sees for a tensor: (1, C) is a map of one pixel; None where there is none."""
    if len(shape) not in (2, 4) or shape[0] != 1:
        return None
    return (1, shape[1], *(shape[2:] or (1, 1)))  # type: ignore[return-value]


def keeps_map(graph: Graph, op: Op) -> bool:
    """Whether layout operator `op` leaves the (1, C, H, W) that the accelerator sees as it is."""
    before, after = (feature_map_shape(graph.tensor(n).shape) for n in (op.inputs[0], op.output))
    moves = op.op_type == "Transpose" and before is not None and max(before[2:]) > 1
    return before is not None and before == after and not moves


class Lowering:
    """A draft of the integer graph and the look-ups that the rewrite rules need."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.draft = Draft(graph)
        self.notes: list[str] = []
        """What differs from the source in more than form."""
        self._requantized: dict[str, str] = {}
        self._emitted = set[str]()
        """What integer operators write."""

    def producer(self, real: str) -> Op | None:
        """The operator of the source that writes `real`."""
        return self.graph.producers.get(real)

    def root(self, real: str) -> Op | None:
        """What computes `real`, looking through layout operators that keep the feature map as it is."""
        op = self.producer(real)
        while op is not None and op.op_type in LAYOUT_OPS and keeps_map(self.graph, op):
            op = self.producer(op.inputs[0])
        return op

    def shape(self, name: str) -> tuple[int, int, int, int]:
        """(1, C, H, W) of a tensor; declines when it is no feature map."""
        shape = feature_map_shape(self.draft.tensor(name).shape)
        if shape is None:
            raise Decline(f"`{name}` has shape {self.draft.tensor(name).shape}, needs (1, C, H, W) or (1, C)")
        return shape

    def quant(self, name: str) -> Quant:
        """Quantisation of an int8 tensor that `operand` returned."""
        quant = self.draft.tensor(name).quant
        assert quant is not None
        return quant

    def is_dequantized(self, real: str) -> bool:
        """Whether `real` comes straight from an integer tensor that is computed."""
        op = self.producer(real)
        return op is not None and op.op_type == "DequantizeLinear" and not self.graph.tensor(op.inputs[0]).is_constant

    def source(self, real: str) -> tuple[str, Order | None]:
        """The int8 tensor that `real` is a dequantised, possibly reordered copy of.

        The order is None when elements stay where they are, else `real.flat[i] = tensor.flat[order[i]]`.
        """
        op, layouts = self.dequantized(real)
        if op is None:
            op = self._rounding_of(real)
        integer = op.output if op.op_type == "QuantizeLinear" else op.inputs[0]
        tensor, quant = self.draft.tensor(integer), quantization_of(self.graph, op)
        if tensor.is_constant:
            raise Decline(f"its input `{real}` is constant")
        if tensor.dtype != "int8" or quant is None or quant.axis is not None:
            raise Decline(f"its input `{real}` is {tensor.dtype} or quantised per channel, needs int8 with one scale")
        if tensor.quant is not None and not tensor.quant.same_as(quant):
            raise Decline(f"its input `{real}` is read with another scale than it was written with")
        if tensor.quant is None:
            self.draft.tensors[tensor.name] = Tensor(tensor.name, tensor.shape, tensor.dtype, quant)
        if not layouts:
            return tensor.name, None
        identity = np.arange(tensor.elements)
        order = self.moved(identity.reshape(self.graph.tensor(tensor.name).shape), layouts).reshape(-1)
        return tensor.name, None if np.array_equal(order, identity) else order

    def _rounding_of(self, real: str) -> Op:
        """A QuantizeLinear that rounds `real` for another reader: sharing it costs half a step and spares a float operator."""
        for op in self.graph.consumers.get(real, ()):
            quant = quantization_of(self.graph, op) if op.op_type == "QuantizeLinear" else None
            if quant is not None and quant.axis is None and real not in self.graph.inputs:
                self.notes.append(f"`{real}` is read as int8 throughout; the source also reads it before rounding")
                return op
        raise Decline(f"its input `{real}` is not quantised")

    def dequantized(self, real: str) -> tuple[Op | None, list[Op]]:
        """The DequantizeLinear that `real` comes from, or None, and the layout operators between them, in order."""
        layouts: list[Op] = []
        op = self.producer(real)
        while op is not None and op.op_type in LAYOUT_OPS:
            layouts.append(op)
            op = self.producer(op.inputs[0])
        return (op if op is not None and op.op_type == "DequantizeLinear" else None), layouts[::-1]

    def moved(self, data: npt.NDArray[Any], layouts: list[Op]) -> npt.NDArray[Any]:
        """`data` after layout operators of the source."""
        for op in layouts:
            if op.op_type == "Transpose":
                data = data.transpose(op.ints("perm") if "perm" in op.attributes else None)
            else:
                data = data.reshape(self.graph.tensor(op.output).shape)
        return data

    def operand(self, real: str) -> str:
        """The int8 tensor of shape (1, C, H, W) that holds `real`; declines when `real` is not quantised."""
        tensor, order = self.source(real)
        shape = self.shape(real)
        if order is None and self.draft.tensor(tensor).shape == shape:
            return tensor
        producer = self.producer(tensor)
        is_host = tensor not in self._emitted
        if order is None and is_host and producer is not None and producer.op_type == "QuantizeLinear":
            real = producer.inputs[0]
        if real not in self._requantized:
            name = self.draft.define(f"{real}_int8", shape, "int8", self.quant(tensor))
            self.quantize(real, self.quant(tensor), name)
            self._requantized[real] = name
        return self._requantized[real]

    def output(self, name: str, shape: tuple[int, int, int, int], quant: Quant) -> Tensor:
        """The tensor for an integer operator to write: `name`, or one that the host reshapes into network output `name`."""
        old = self.graph.tensor(name)
        if name not in self.graph.outputs or old.shape == shape:
            return Tensor(name, shape, "int8", quant)
        inner = self.draft.define(f"{name}_nchw", shape, "int8", quant)
        self._reshape(inner, old.shape, name)
        return self.draft.tensor(inner)

    def quantize(self, real: str, quant: Quant, output: str) -> None:
        """Append a QuantizeLinear on the host that writes `output`, in the shape that `output` is defined with."""
        shape = self.draft.tensor(output).shape
        self.draft.quantize(self._reshaped(real, shape), quant, output)

    def dequantize(self, op: Op) -> None:
        """Append DequantizeLinear `op`, with a Reshape behind it where the int8 tensor has got another shape."""
        integer, real = self.draft.tensor(op.inputs[0]), self.graph.tensor(op.output)
        if integer.shape == real.shape:
            self.draft.ops.append(op)
            return
        flat = self.draft.define(f"{op.output}_nchw", integer.shape, "float32")
        self.draft.add("DequantizeLinear", op.inputs, flat, op.attributes, op.name)
        self._reshape(flat, real.shape, op.output)

    def _reshaped(self, real: str, shape: tuple[int, ...]) -> str:
        if self.graph.tensor(real).shape == shape:
            return real
        return self._reshape(real, shape, self.draft.define(f"{real}_nchw", shape, "float32"))

    def _reshape(self, real: str, shape: tuple[int, ...], output: str) -> str:
        return self.draft.add("Reshape", (real,), output, {"shape": shape})

    def emit(
        self,
        op: Op,
        op_type: str,
        inputs: Iterable[str],
        output: Tensor,
        attributes: Mapping[str, Attribute] | None = None,
    ) -> None:
        """Append integer operator `op_type`, standing for `op` of the source, that writes `output`."""
        self.draft.tensors[output.name] = output
        self._emitted.add(output.name)
        self.draft.add(op_type, inputs, output.name, attributes, op.name)
