"""Graph -> the same Graph, or a ModelError for numbers that the accelerator does not compute with

The accelerator multiplies int8 by int8 with scales that are fixed when compiling. Everything that the source quantises to
something else, or at run time, is refused here, before any rewrite, in one line that names the tensor and what to do.
"""

import numpy as np

from sfopt.errors import ModelError
from sfopt.graph import Graph, Op
from sfopt.passes.qdq import constant_of, stored_dtype

__all__ = ["refuse_formats"]

_DYNAMIC = frozenset({"ConvInteger", "DynamicQuantizeLinear", "MatMulInteger"})
_HEAVY = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
_INT8 = frozenset({"int8", "uint8"})


def refuse_formats(graph: Graph) -> Graph:
    """`graph` as it is; raises ModelError for the first operator with numbers of another kind."""
    for op in graph.ops:
        if op.op_type in ("DequantizeLinear", "QuantizeLinear"):
            _refuse_type(graph, op)
            _refuse_scales(graph, op)
        elif op.op_type in _DYNAMIC:
            raise ModelError(
                f"{op.op_type} `{op.name}`: the scale of `{op.inputs[0]}` is computed at run time; quantise statically, "
                "with calibration data (quantize_static), or give the float model"
            )
        elif op.op_type in _HEAVY and graph.tensor(op.output).dtype not in ("float32", *_INT8, "int32"):
            kind = graph.tensor(op.output).dtype
            raise ModelError(
                f"{op.op_type} `{op.name}`: `{op.output}` is {kind}, needs float32; export the model in float32"
            )
    return graph


def _refuse_type(graph: Graph, op: Op) -> None:
    name = _integer(op)
    kind, is_constant = stored_dtype(graph, op), graph.tensor(op.inputs[0]).is_constant
    if kind not in _INT8 and not (kind == "int32" and is_constant):
        raise ModelError(
            f"tensor `{name}` is quantised to {kind}, needs int8 or uint8; quantise {'weights' if is_constant else 'activations'} "
            "to 8 bits (QuantType.QInt8), or give the float model"
        )


def _refuse_scales(graph: Graph, op: Op) -> None:
    scale = np.asarray(constant_of(graph, op.inputs[1]), np.float32)
    name = _integer(op)
    wrong = scale[~(np.isfinite(scale) & (scale > 0))]
    if wrong.size:
        raise ModelError(f"tensor `{name}` has scale {wrong.flat[0]}, needs a finite number above 0; quantise it anew")
    if op.attributes.get("block_size") or scale.ndim > 1:
        raise ModelError(f"tensor `{name}` is quantised in blocks; quantise it per tensor or per channel")
    if scale.size > 1 and not graph.tensor(op.inputs[0]).is_constant:
        raise ModelError(
            f"tensor `{name}` is quantised per channel, which only weights may be; quantise activations per tensor"
        )


def _integer(op: Op) -> str:
    """The quantised side of a QuantizeLinear or DequantizeLinear."""
    return op.output if op.op_type == "QuantizeLinear" else op.inputs[0]
