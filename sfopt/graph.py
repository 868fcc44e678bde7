"""The network as sfopt sees it: tensors, operators in one topological order, and nothing else.

One intermediate representation serves two stages. Right after import it holds the operators of the source model (ONNX names,
float32 or quantised). After `passes.lower_quantized` it holds integer operators only, from the closed set `INTEGER_OPS`, plus the
float operators that stay on the host. Tensors keep ONNX axis order (NCHW); `groups` derives the height, width and channels that
the accelerator works with.

Integer operators (every data tensor int8 with per-tensor `quant`; batch 1; all attributes present, `auto_pad` resolved):

| op_type | inputs | attributes |
| --- | --- | --- |
| QLinearConv | x, w int8 OIHW[, bias int32 (O,)] | kernel_shape, strides, pads (t, l, b, r), dilations, group |
| QLinearConvTranspose | x, w int8 OIHW[, bias int32 (O,)] | as QLinearConv |
| QLinearAdd | a, b (same shape) |  |
| QLinearMul | a, b (same shape, or b (1,C,1,1)) |  |
| QLinearConcat | two or more, along channels |  |
| QLinearGlobalAveragePool | x |  |
| QLinearAveragePool | x | kernel_shape, strides, pads, count_include_pad |
| MaxPool | x (same quant as the output) | kernel_shape, strides, pads, dilations |
| Resize | x (same quant as the output) | scale_h, scale_w (positive integers; nearest) |
| Lookup | x | function (ONNX unary operator's name) and its attributes; Mul by a number has the attribute factor |

QLinearConvTranspose: output row = strides * input row + dilations * kernel row - pads (t); rows outside the output are cut off.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import prod

import numpy as np
import numpy.typing as npt

from sfopt.errors import ModelError

__all__ = ["INTEGER_OPS", "Attribute", "Graph", "Op", "Quant", "Tensor", "verify_graph"]

Attribute = int | float | str | tuple[int, ...] | tuple[float, ...] | tuple[str, ...] | np.ndarray

INTEGER_OPS = frozenset(
    {
        "Lookup",
        "MaxPool",
        "QLinearAdd",
        "QLinearAveragePool",
        "QLinearConcat",
        "QLinearConv",
        "QLinearConvTranspose",
        "QLinearGlobalAveragePool",
        "QLinearMul",
        "Resize",
    }
)


@dataclass(frozen=True, eq=False)
class Quant:
    """Affine quantisation, `real = scale * (integer - zero_point)`.

    `scale` is a float32 array of shape () for per-tensor, or (n,) along `axis` for per-channel (weights only).
    """

    scale: npt.NDArray[np.float32]
    zero_point: int = 0
    axis: int | None = None

    def same_as(self, other: "Quant | None") -> bool:
        """Whether both map integers to the same reals, bit for bit."""
        return (
            other is not None
            and self.zero_point == other.zero_point
            and self.axis == other.axis
            and np.array_equal(self.scale, other.scale)
        )


@dataclass(frozen=True, eq=False)
class Tensor:
    """A value: shape in ONNX axis order, dtype as a numpy name, quantisation if integer-coded, `data` if constant."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    quant: Quant | None = None
    data: npt.NDArray[np.generic] | None = None

    @property
    def is_constant(self) -> bool:
        """Whether the value is known at compile time."""
        return self.data is not None

    @property
    def elements(self) -> int:
        """Number of elements."""
        return prod(self.shape)


@dataclass(frozen=True, eq=False)
class Op:
    """An operator: ONNX name and domain, tensor names in and out ("" for an absent optional input)."""

    name: str
    op_type: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    domain: str = ""

    @property
    def output(self) -> str:
        """The first output."""
        return self.outputs[0]

    def ints(self, key: str) -> tuple[int, ...]:
        """Attribute `key` as a tuple of ints; raises ModelError naming the operator when it is missing or of another type."""
        value = self.attributes.get(key)
        if isinstance(value, int):
            return (value,)
        if isinstance(value, tuple) and all(isinstance(v, int) for v in value):
            return tuple(int(v) for v in value)
        raise ModelError(f"{self.op_type} `{self.name}`: attribute `{key}` is {value!r}, needs integers")


@dataclass(frozen=True, eq=False)
class Graph:
    """An immutable network. `ops` are in topological order; `inputs` and `outputs` are tensor names."""

    name: str
    tensors: Mapping[str, Tensor]
    ops: tuple[Op, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    notes: tuple[str, ...] = ()
    """What import decided for the user ("dynamic batch fixed to 1"), shown by the command line and `explain`."""
    input_layouts: Mapping[str, str] = field(default_factory=dict)
    """Input name -> "NHWC" where the source model's axes were in that order; here it is NCHW. Absent: unchanged."""
    output_layouts: Mapping[str, str] = field(default_factory=dict)
    """The same for outputs."""

    @cached_property
    def producers(self) -> Mapping[str, Op]:
        """Tensor name -> the operator that writes it."""
        return {name: op for op in self.ops for name in op.outputs if name}

    @cached_property
    def ops_by_name(self) -> Mapping[str, Op]:
        """Operator name -> operator. Names are unique (`verify_graph`)."""
        return {op.name: op for op in self.ops}

    @cached_property
    def consumers(self) -> Mapping[str, tuple[Op, ...]]:
        """Tensor name -> the operators that read it, in order, each once. Unread tensors are absent."""
        readers: dict[str, list[Op]] = {}
        for op in self.ops:
            for name in dict.fromkeys(op.inputs):
                if name:
                    readers.setdefault(name, []).append(op)
        return {name: tuple(ops) for name, ops in readers.items()}

    def tensor(self, name: str) -> Tensor:
        """The tensor called `name`; raises ModelError when there is none."""
        try:
            return self.tensors[name]
        except KeyError:
            raise ModelError(f"tensor `{name}` is used but nowhere defined") from None

    def is_integer(self, op: Op) -> bool:
        """Whether `op` is one of `INTEGER_OPS`. MaxPool and Resize exist as float operators too: those stay on the host."""
        return op.op_type in INTEGER_OPS and self.tensor(op.output).dtype == "int8"

    def sole_consumer(self, name: str) -> Op | None:
        """The only reader of `name`, or None when it has none, several, or is itself a network output."""
        readers = self.consumers.get(name, ())
        return readers[0] if len(readers) == 1 and name not in self.outputs else None

    def with_ops(
        self,
        ops: Sequence[Op],
        tensors: Iterable[Tensor] = (),
        *,
        inputs: Sequence[str] | None = None,
        outputs: Sequence[str] | None = None,
        notes: Sequence[str] = (),
    ) -> "Graph":
        """A copy with `ops` (any order: sorted here), `tensors` added or replaced, unused tensors and dead operators dropped."""
        table = {**self.tensors, **{t.name: t for t in tensors}}
        new_inputs = tuple(self.inputs if inputs is None else inputs)
        new_outputs = tuple(self.outputs if outputs is None else outputs)
        live = _live_ops(ops, new_outputs)
        ordered = _topological(live, known={*new_inputs, *(n for n, t in table.items() if t.is_constant)})
        used = {n for op in ordered for n in (*op.inputs, *op.outputs) if n} | {*new_inputs, *new_outputs}
        kept = {n: t for n, t in table.items() if n in used}
        return replace(
            self,
            tensors=kept,
            ops=ordered,
            inputs=new_inputs,
            outputs=new_outputs,
            notes=(*self.notes, *(n for n in notes if n not in self.notes)),
        )

    def dump(self) -> str:
        """The graph as text, one operator a line, for humans and for golden tests."""
        lines = [f"graph {self.name}({', '.join(self.inputs)}) -> {', '.join(self.outputs)}"]
        for op in self.ops:
            out = ", ".join(f"{n}:{self._signature(n)}" for n in op.outputs if n)
            lines.append(f"  {out} = {op.op_type}({', '.join(op.inputs)})")
        return "\n".join(lines)

    def _signature(self, name: str) -> str:
        tensor = self.tensors.get(name)
        return "?" if tensor is None else f"{tensor.dtype}[{'x'.join(map(str, tensor.shape))}]"


def _live_ops(ops: Sequence[Op], outputs: Sequence[str]) -> list[Op]:
    producers = {name: op for op in ops for name in op.outputs if name}
    wanted, live, names = list(outputs), set[int](), set[str]()
    while wanted:
        name = wanted.pop()
        op = producers.get(name)
        if op is None or name in names:
            continue
        names.add(name)
        if id(op) not in live:
            live.add(id(op))
            wanted.extend(n for n in op.inputs if n)
    return [op for op in ops if id(op) in live]


def _topological(ops: Sequence[Op], known: set[str]) -> tuple[Op, ...]:
    """Stable order: an operator comes as early as its inputs allow, ties by the given order."""
    producer = {name: op for op in ops for name in op.outputs if name}
    done, ordered, visiting = set(known), list[Op](), set[int]()
    for root in ops:
        stack: list[Op] = [root]
        while stack:
            op = stack[-1]
            if op.outputs[0] in done:
                visiting.discard(id(op))
                stack.pop()
                continue
            missing = [n for n in op.inputs if n and n not in done]
            if not missing:
                ordered.append(op)
                done.update(n for n in op.outputs if n)
                visiting.discard(id(op))
                stack.pop()
                continue
            if id(op) in visiting or missing[0] not in producer:
                reason = "is part of a cycle" if id(op) in visiting else f"reads `{missing[0]}`, which nothing produces"
                raise ModelError(f"{op.op_type} `{op.name}` {reason}")
            visiting.add(id(op))
            stack.extend(producer[n] for n in reversed(missing) if n in producer)
    return tuple(ordered)


def verify_graph(graph: Graph) -> None:
    """Raise ModelError unless names are unique, every use has one earlier definition, and shapes and dtypes are concrete."""
    if len(graph.ops_by_name) != len(graph.ops):
        raise ModelError("two operators share one name")
    defined = set(graph.inputs) | {n for n, t in graph.tensors.items() if t.is_constant}
    for op in graph.ops:
        for name in op.inputs:
            if name and name not in defined:
                raise ModelError(f"{op.op_type} `{op.name}` reads `{name}` before it is defined")
        for name in op.outputs:
            if name in defined:
                raise ModelError(f"{op.op_type} `{op.name}` defines `{name}` a second time")
            if name:
                defined.add(name)
    for name in (*graph.outputs, *(n for op in graph.ops for n in op.outputs if n)):
        if name not in defined:
            raise ModelError(f"output `{name}` is never produced")
        tensor = graph.tensor(name)
        if any(d < 0 for d in tensor.shape):
            raise ModelError(f"tensor `{name}` has shape {tensor.shape}, needs concrete sizes")
    for tensor in graph.tensors.values():
        if tensor.data is not None and (tensor.data.shape != tensor.shape or tensor.data.dtype.name != tensor.dtype):
            raise ModelError(
                f"constant `{tensor.name}` declares {tensor.dtype}{tensor.shape}, holds {tensor.data.dtype}{tensor.data.shape}"
            )
