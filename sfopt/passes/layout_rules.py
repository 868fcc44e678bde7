"""One walk over a graph that keeps every tensor as a View and rewrites each operator for the order its inputs are kept in."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from sfopt.graph import Attribute, Graph, Op, Tensor
from sfopt.passes.layout_attributes import AXIS_RULES, ELEMENTWISE, reduced
from sfopt.passes.rewrite import fresh, renamed
from sfopt.passes.views import View, moves_data, natural_order, rearrangement, reshaped, stored_shape, transposed

__all__ = ["LayoutMover"]

_TO_LAST = (0, 2, 3, 1)
_RESHAPES = frozenset({"Flatten", "Reshape", "Squeeze", "Unsqueeze"})
_CODECS = frozenset({"DequantizeLinear", "QuantizeLinear"})


class LayoutMover:
    """See the module's docstring. `layouts` names the inputs to be taken channels-first although the model has them last."""

    def __init__(self, graph: Graph, layouts: Mapping[str, str]) -> None:
        self.graph = graph
        self.views: dict[str, View] = {}
        self.tensors: dict[str, Tensor] = {}
        self.ops: list[Op] = []
        self.copied: list[Op] = []
        self.copies: list[Tensor] = []
        self.placed: dict[tuple[str, tuple[int, ...], tuple[int, ...]], str] = {}
        self.inputs = {n: graph.tensor(n) for n in graph.inputs}
        for name in layouts:
            shape = stored_shape(self.inputs[name].shape, _TO_LAST)
            self.inputs[name] = replace(self.inputs[name], shape=shape)
            self.views[name] = View(name, shape, _TO_LAST)

    def run(self) -> Graph:
        """The rewritten graph, with `output_layouts` filled in."""
        for op in self.graph.ops:
            self._rewrite(op)
        layouts = dict(self.graph.output_layouts)
        names: dict[str, str] = {}
        for name in self.graph.outputs:
            stored, last = self._output(name)
            if last:
                layouts[name] = "NHWC"
            self._claim(name, stored, names)
        ops = [*(renamed(op, names) for op in self.ops), *self.copied]
        tensors = [replace(t, name=names.get(t.name, t.name)) for t in (*self.inputs.values(), *self.tensors.values())]
        return replace(self.graph.with_ops(ops, [*tensors, *self.copies]), output_layouts=layouts)

    def shape(self, name: str) -> tuple[int, ...]:
        """The model's shape of a tensor."""
        return self.graph.tensor(name).shape

    def view(self, name: str) -> View:
        """Where a tensor of the model is kept."""
        shape = self.shape(name)
        return self.views.get(name) or View(name, shape, tuple(range(len(shape))))

    def place(self, name: str, shape: Sequence[int] | None = None, perm: Sequence[int] | None = None) -> str:
        """The tensor `name`, read as `shape` (its own, give or take units), as a tensor kept with `perm`; inserts what it takes."""
        seen = tuple(self.shape(name) if shape is None else shape)
        order = tuple(range(len(seen)) if perm is None else perm)
        view, target = self.view(name), stored_shape(seen, order)
        axes = rearrangement(view, seen, order)
        if not moves_data(view.shape, axes) and view.shape == target:
            return view.stored
        key = (name, target, axes)
        if key not in self.placed:
            self.placed[key] = self._move(view, axes, target)
        return self.placed[key]

    def _move(self, view: View, axes: tuple[int, ...], target: tuple[int, ...]) -> str:
        stored, shape = view.stored, view.shape
        if moves_data(shape, axes):
            shape = tuple(shape[a] for a in axes)
            stored = self._emit("Transpose", stored, shape, {"perm": axes})
        return stored if shape == target else self._emit("Reshape", stored, target, {"shape": target})

    def _emit(self, op_type: str, source: str, shape: tuple[int, ...], attributes: Mapping[str, Attribute]) -> str:
        tensor = self.tensors.get(source) or self.inputs.get(source) or self.graph.tensor(source)
        name = self._fresh(f"{source}:{'x'.join(map(str, shape))}")
        data = tensor.data
        if data is not None:
            perm = _ints(attributes.get("perm"))
            data = data.transpose(perm) if perm else data.reshape(shape)
            data = np.ascontiguousarray(data).reshape(shape)
        self.tensors[name] = replace(tensor, name=name, shape=shape, data=data)
        if data is None and not self._redequantize(source, name, attributes):
            self.ops.append(Op(name, op_type, (source,), (name,), attributes))
        return name

    def _redequantize(self, source: str, name: str, attributes: Mapping[str, Attribute]) -> bool:
        """Transpose . DequantizeLinear(constant) -> DequantizeLinear(transposed constant)."""
        op = next((o for o in self.ops if o.output == source), None)
        perm = _ints(attributes.get("perm"))
        if op is None or op.op_type != "DequantizeLinear" or not perm:
            return False
        weights = self.tensors.get(op.inputs[0]) or self.graph.tensor(op.inputs[0])
        if weights.data is None:
            return False
        data = np.ascontiguousarray(weights.data.transpose(perm))
        moved = replace(weights, name=self._fresh(f"{weights.name}:moved"), shape=data.shape, data=data)
        self.tensors[moved.name] = moved
        axis = op.ints("axis")[0] if "axis" in op.attributes else 1
        kept = {**op.attributes, "axis": perm.index(axis % len(perm))}
        self.ops.append(replace(op, name=name, inputs=(moved.name, *op.inputs[1:]), outputs=(name,), attributes=kept))
        return True

    def _fresh(self, base: str) -> str:
        name, number = fresh(self.graph, base), 1
        while name in self.tensors:
            name, number = fresh(self.graph, f"{base}_{number}"), number + 1
        return name

    def _rewrite(self, op: Op) -> None:
        if op.op_type == "Transpose":
            self.views[op.output] = transposed(self.view(op.inputs[0]), self.shape(op.inputs[0]), op.ints("perm"))
        elif op.op_type in _RESHAPES and len(op.inputs) == 1:
            self._reshape(op)
        elif op.op_type in _CODECS and not self.graph.tensor(op.inputs[0]).is_constant:
            self._codec(op)
        elif op.op_type in ELEMENTWISE and (op.op_type != "Clip" or len(op.inputs) == 1):
            self._elementwise(op)
        elif op.op_type in AXIS_RULES and len(op.inputs) == 1:
            self._along_axes(op, AXIS_RULES[op.op_type])
        elif op.op_type == "Concat":
            self._concat(op)
        else:
            self._keep(op)

    def _keep(self, op: Op) -> None:
        """An operator that needs the model's own order."""
        inputs = tuple(self.place(n) if n else "" for n in op.inputs)
        self._append(replace(op, inputs=inputs), [self.shape(n) if n else () for n in op.outputs])

    def _append(self, op: Op, shapes: Sequence[tuple[int, ...]], perm: Sequence[int] | None = None) -> None:
        self.ops.append(op)
        for name, shape in zip(op.outputs, shapes, strict=True):
            if name:
                self.tensors[name] = replace(self.graph.tensor(name), shape=shape)
                self.views[name] = View(name, shape, tuple(range(len(shape)) if perm is None else perm))

    def _reshape(self, op: Op) -> None:
        source, new = op.inputs[0], self.shape(op.output)
        view = reshaped(self.view(source), self.shape(source), new)
        if view is None:
            placed = self.place(source)
            self._append(replace(op, op_type="Reshape", inputs=(placed,), attributes={"shape": new}), [new])
            return
        if view.shape != self.view(source).shape:
            shape: Mapping[str, Attribute] = {"shape": view.shape}
            self._append(
                replace(op, op_type="Reshape", inputs=(view.stored,), attributes=shape), [view.shape], view.perm
            )
            return
        self.views[op.output] = view

    def _codec(self, op: Op) -> None:
        view, shape = self.view(op.inputs[0]), self.shape(op.inputs[0])
        per_channel = len(op.inputs) > 1 and self.graph.tensor(op.inputs[1]).elements > 1
        if per_channel and not view.fits(shape):
            self._keep(op)
            return
        attributes = dict(op.attributes)
        if per_channel:
            axis = op.ints("axis")[0] if "axis" in attributes else 1
            attributes["axis"] = view.perm[axis % len(shape)]
        parameters = tuple(self.place(n) if n else "" for n in op.inputs[1:])
        moved = replace(op, inputs=(view.stored, *parameters), attributes=attributes)
        self._append(moved, [view.shape], view.perm)

    def _elementwise(self, op: Op) -> None:
        out = self.shape(op.output)
        size = int(np.prod(out, dtype=np.int64))
        if size == max(out, default=1) and not self._is_kept_as_map(op.inputs, out):
            inputs = tuple(self._operand(n, (1, self.graph.tensor(n).elements, 1, 1), (0, 1, 2, 3)) for n in op.inputs)
            self._append(replace(op, inputs=inputs), [(1, size, 1, 1)])
            return
        perm = self._best_order(op.inputs, out)
        missing = [len(out) - len(self.shape(n)) for n in op.inputs]
        inputs = tuple(
            self._operand(n, (*(1,) * k, *self.shape(n)), perm) for n, k in zip(op.inputs, missing, strict=True)
        )
        self._append(replace(op, inputs=inputs), [stored_shape(out, perm)], perm)

    def _is_kept_as_map(self, names: Sequence[str], out: Sequence[int]) -> bool:
        """Whether a row of numbers is a map of one channel, one row or column, kept in the shape that the model gives it."""
        computed = [n for n in names if not self.graph.tensor(n).is_constant]
        return len(out) == 4 and all(self.view(n).shape == self.shape(n) for n in computed)

    def _operand(self, name: str, shape: Sequence[int], perm: Sequence[int]) -> str:
        tensor = self.graph.tensor(name)
        return name if tensor.is_constant and tensor.elements == 1 else self.place(name, shape, perm)

    def _best_order(self, names: Sequence[str], out: Sequence[int]) -> tuple[int, ...]:
        """The order, among those its operands of full rank are kept in, in which the fewest elements have to move."""
        rank = len(out)
        fitting = [n for n in names if not self.graph.tensor(n).is_constant and len(self.shape(n)) == rank]
        orders = [natural_order(self.view(n), self.shape(n)) for n in fitting]

        def cost(perm: tuple[int, ...]) -> int:
            moves = (moves_data(self.view(n).shape, rearrangement(self.view(n), self.shape(n), perm)) for n in fitting)
            return sum(self.graph.tensor(n).elements for n, moved in zip(fitting, moves, strict=True) if moved)

        return min(orders, key=cost, default=tuple(range(rank)))

    def _along_axes(self, op: Op, rule: Callable[[Op, Sequence[int]], Op]) -> None:
        source = op.inputs[0]
        view, shape = self.view(source), self.shape(source)
        perm = natural_order(view, shape)
        moved = rule(replace(op, inputs=(self.place(source, None, perm),)), perm)
        outs = [stored_shape(reduced(op, shape, self.shape(n)), perm) for n in op.outputs]
        if "shape" in moved.attributes:
            moved = replace(moved, attributes={"shape": outs[0]})
        self._append(moved, outs, perm)

    def _concat(self, op: Op) -> None:
        out, axis = self.shape(op.output), op.ints("axis")[0]
        if out[axis] == int(np.prod(out, dtype=np.int64)):
            inputs = tuple(self.place(n, (1, self.graph.tensor(n).elements, 1, 1)) for n in op.inputs)
            self._append(replace(op, inputs=inputs, attributes={"axis": 1}), [(1, out[axis], 1, 1)])
            return
        perm = self._best_order(op.inputs, out)
        inputs = tuple(self.place(n, None, perm) for n in op.inputs)
        self._append(replace(op, inputs=inputs, attributes={"axis": perm[axis]}), [stored_shape(out, perm)], perm)

    def _output(self, name: str) -> tuple[str, bool]:
        view, shape = self.view(name), self.shape(name)
        if view.perm == _TO_LAST and view.fits(shape) and moves_data(view.shape, view.perm):
            return view.stored, True
        return self.place(name), False

    def _claim(self, name: str, stored: str, names: dict[str, str]) -> None:
        """Let the output `name` be the tensor `stored`, by renaming it or by a copy."""
        if stored == name:
            return
        if name in self.tensors:
            names[name] = self._fresh(f"{name}:map")
        taken = stored in names or stored in self.inputs or stored in self.graph.outputs
        if not taken and stored in self.tensors:
            names[stored] = name
            return
        shape = (self.tensors.get(stored) or self.inputs.get(stored) or self.graph.tensor(stored)).shape
        copy = Op(self._fresh(f"{name}:copy"), "Identity", (names.get(stored, stored),), (name,))
        self.copied.append(copy)
        self.copies.append(replace(self.graph.tensor(name), shape=shape))


def _ints(value: Attribute | None) -> tuple[int, ...]:
    return tuple(int(v) for v in value) if isinstance(value, tuple) else ()
