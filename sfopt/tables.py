"""The table of a Lookup operator: what ONNX Runtime computes for each of the 256 inputs, so that it is exact by definition."""

import functools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sfopt import arithmetic
from sfopt.errors import InternalError
from sfopt.expression import FUNCTION, Step, parse_steps
from sfopt.graph import Attribute, Graph, Op, Quant, Tensor
from sfopt.host import run_model
from sfopt.onnx_io import write_onnx
from sfopt.passes.qdq import Draft

__all__ = ["FUNCTION_DOMAINS", "lookup_table", "lookup_to_onnx"]

Table = npt.NDArray[np.int8]

FUNCTION_DOMAINS = {"QuickGelu": "com.microsoft"}
"""Functions that ONNX itself does not have."""


def lookup_table(graph: Graph, op: Op) -> Table:
    """int8 (256,) for Lookup `op`, indexed by the input's byte (`table[x & 0xff]`). Raises InternalError if numpy disagrees."""
    source, target = graph.tensor(op.inputs[0]).quant, graph.tensor(op.output).quant
    if source is None or target is None:
        raise InternalError(f"Lookup `{op.name}` has an operand without quantisation")
    return _table(
        tuple(sorted(op.attributes.items(), key=lambda item: item[0])),
        (float(source.scale), source.zero_point, float(target.scale), target.zero_point),
    ).copy()


@functools.cache
def _table(attributes: tuple[tuple[str, Attribute], ...], quants: tuple[float, int, float, int]) -> Table:
    source, target = (Quant(np.asarray(quants[i], np.float32), int(quants[i + 1])) for i in (0, 2))
    graph = Graph("lookup", {}, (), ("x",), ("y",))
    draft = Draft(graph)
    draft.tensors["x"] = Tensor("x", (1, 256, 1, 1), "int8", source)
    draft.tensors["y"] = Tensor("y", (1, 256, 1, 1), "int8", target)
    lookup_to_onnx(draft, Op("lookup", "Lookup", ("x",), ("y",), dict(attributes)))
    x = np.arange(256, dtype=np.uint8).view(np.int8)
    outputs = run_model(write_onnx(draft.finish(), None), {"x": x.reshape(1, 256, 1, 1)})
    table = np.asarray(outputs["y"], np.int8).reshape(256)
    _cross_check(dict(attributes), source, target, table)
    return table


def lookup_to_onnx(draft: Draft, op: Op) -> None:
    """Append Lookup `op` as DequantizeLinear, function, QuantizeLinear."""
    x, y = draft.tensor(op.inputs[0]), draft.tensor(op.output)
    if x.quant is None or y.quant is None:
        raise InternalError(f"Lookup `{op.name}` has an operand without quantisation")
    attributes = dict(op.attributes)
    function = str(attributes.pop("function"))
    real = draft.dequantize(x.name, x.quant, draft.define(f"{y.name}_x", x.shape, "float32"))
    if function == "Mul":
        factor = draft.constant(f"{y.name}_factor", np.asarray(attributes["factor"], np.float32))
        real = draft.add("Mul", (real, factor), draft.define(f"{y.name}_f", y.shape, "float32"), None, op.name)
    elif function == FUNCTION:
        real = _expanded(draft, op, parse_steps(attributes["steps"]), real)
    elif function != "Requantize":
        value = draft.define(f"{y.name}_f", y.shape, "float32")
        draft.ops.append(Op(op.name, function, (real,), (value,), attributes, FUNCTION_DOMAINS.get(function, "")))
        real = value
    draft.quantize(real, y.quant, y.name)


def _expanded(draft: Draft, op: Op, steps: Sequence[Step], x: str) -> str:
    """Append `steps` of the value `x`; what the last one writes."""
    shape, results = draft.tensor(x).shape, list[str]()
    for number, step in enumerate(steps):
        operands = [_operand(draft, op, operand, x, results) for operand in step.operands]
        name = f"{op.name}.{number}"
        results.append(draft.define(f"{op.output}_f{number}", shape, "float32"))
        domain = FUNCTION_DOMAINS.get(step.op_type, "")
        draft.ops.append(Op(name, step.op_type, tuple(operands), (results[-1],), step.attributes, domain))
    return results[-1]


def _operand(draft: Draft, op: Op, operand: str | int | float, x: str, results: Sequence[str]) -> str:
    if isinstance(operand, str):
        return x
    if isinstance(operand, int):
        return results[operand]
    return draft.constant(f"{op.output}_number", np.asarray(operand, np.float32))


def _cross_check(attributes: dict[str, Attribute], source: Quant, target: Quant, table: Table) -> None:
    """The rule in numpy and the kernel must agree to one step (a value near a tie), or one of them is wrong."""
    function = str(attributes.pop("function"))
    parameters = (np.float32(source.scale), source.zero_point, np.float32(target.scale), target.zero_point)
    if function == "Requantize":
        expected = arithmetic.requantize_table(*parameters)
    elif function in arithmetic.UNARY_FUNCTIONS:
        expected = arithmetic.unary_table(function, attributes, *parameters)
    else:
        return
    worst = int(np.abs(table.astype(np.int32) - expected.astype(np.int32)).max())
    if worst > 1:
        raise InternalError(f"table of {function}: numpy and ONNX Runtime differ by {worst} steps")
