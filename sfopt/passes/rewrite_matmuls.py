"""MatMul, Gemm with constant weights -> Conv 1x1

    (1, C) @ (C, K)        -> Reshape . Conv . Reshape          over (1, C, 1, 1)
    (1, H, W, C) @ (C, K)  -> Transpose . Conv . Transpose      over (1, C, H, W)

The operators around the Conv move no element once `move_transposes` has run.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from sfopt.graph import Attribute, Graph, Op, Tensor
from sfopt.passes.rewrite import constant, data_of, decline, fresh, substitute, sweep

__all__ = ["rewrite_matmuls"]

_Array = npt.NDArray[np.generic]


def rewrite_matmuls(graph: Graph) -> Graph:
    """Apply the rewrite of this module."""
    return sweep(graph, _rule)


def _rule(graph: Graph, op: Op) -> Graph | None:
    if op.op_type not in ("Gemm", "MatMul") or graph.tensor(op.output).dtype != "float32":
        return None
    source = graph.tensor(op.inputs[0])
    found = _parameters(graph, op)
    if found is None:
        return None
    if (
        source.is_constant
        or len(source.shape) not in (2, 3, 4)
        or source.elements // source.shape[-1] != _places(source.shape)
    ):
        return decline(
            graph, f"rewrite_matmuls: `{op.output}` stays a {op.op_type}: its input has shape {source.shape}"
        )
    weights, bias = found
    return _convolution(graph, op, source, weights, bias)


def _places(shape: tuple[int, ...]) -> int:
    """At how many places of a feature map the product is taken; anything but a map or a row of numbers gives 1."""
    return shape[1] * shape[2] if len(shape) == 4 and shape[0] == 1 else 1


def _parameters(graph: Graph, op: Op) -> tuple[_Array, _Array | None] | None:
    """Weights as (K, C) and bias as (K,)."""
    data = data_of(graph, op.inputs[1])
    if data is None or data.ndim != 2:
        return None
    if op.op_type == "MatMul":
        return np.ascontiguousarray(data.T), None
    bias = data_of(graph, op.inputs[2]) if len(op.inputs) > 2 else None
    if op.attributes.get("transA") or (bias is None and len(op.inputs) > 2 and op.inputs[2]):
        return None
    weights = _scaled(data if op.attributes.get("transB") else data.T, op.attributes.get("alpha", 1.0))
    if bias is None:
        return weights, None
    if bias.size not in (1, weights.shape[0]):
        return None
    return weights, np.broadcast_to(_scaled(bias.reshape(-1), op.attributes.get("beta", 1.0)), weights.shape[:1])


def _scaled(data: _Array, factor: Attribute) -> _Array:
    assert isinstance(factor, int | float)
    return np.asarray(data.astype(np.float64) * factor, np.float32)


def _convolution(graph: Graph, op: Op, source: Tensor, weights: _Array, bias: _Array | None) -> Graph:
    outputs, channels = weights.shape
    is_map = len(source.shape) == 4
    height, width = source.shape[1:3] if is_map else (1, 1)
    before: Mapping[str, Attribute] = {"perm": (0, 3, 1, 2)} if is_map else {"shape": (1, channels, 1, 1)}
    after: Mapping[str, Attribute] = {"perm": (0, 2, 3, 1)} if is_map else {"shape": graph.tensor(op.output).shape}
    entry = Tensor(fresh(graph, f"{op.output}:in"), (1, channels, height, width), "float32")
    result = Tensor(fresh(graph, f"{op.output}:map"), (1, outputs, height, width), "float32")
    kernel = constant(graph, f"{op.inputs[1]}:kernel", np.ascontiguousarray(weights).reshape(outputs, channels, 1, 1))
    parameters = [kernel]
    if bias is not None:
        parameters.append(constant(graph, f"{op.inputs[2]}:bias", np.ascontiguousarray(bias)))
    mover = "Transpose" if is_map else "Reshape"
    geometry: Mapping[str, Attribute] = {
        "kernel_shape": (1, 1), "strides": (1, 1), "dilations": (1, 1), "pads": (0, 0, 0, 0), "group": 1,
    }  # fmt: skip
    ops = (
        Op(fresh(graph, f"{op.name}:in"), mover, (op.inputs[0],), (entry.name,), before),
        Op(op.name, "Conv", (entry.name, *(p.name for p in parameters)), (result.name,), geometry),
        Op(fresh(graph, f"{op.name}:out"), mover, (result.name,), op.outputs, after),
    )
    return substitute(graph, [op], ops, [entry, result, *parameters])
