"""Why an operator runs on the host: one plain sentence, from the operator and the shapes and constants that it has."""

from collections.abc import Callable, Mapping

from sfopt.graph import Graph, Op
from sfopt.passes.express_selections import kept_places, refusal
from sfopt.passes.lowering import feature_map_shape
from sfopt.passes.pointwise import TABLE_FUNCTIONS
from sfopt.passes.qdq import LAYOUT_OPS
from sfopt.passes.windows import LARGEST

__all__ = ["FIXED_REASONS", "host_reason"]

_AXES = {0: "the batch", 1: "channels", 2: "rows", 3: "columns"}
_NORMALISES = "divides by a mean or variance that it computes from the data, in float"
FIXED_REASONS: Mapping[str, str] = {
    "ArgMax": "classification results are picked on the host",
    "Div": "divides one computed tensor by another; the accelerator adds and multiplies, a quotient has no int8 kernel",
    "GroupNormalization": _NORMALISES,
    "InstanceNormalization": _NORMALISES,
    "LRN": "divides each element by a power of a sum over its neighbouring channels, in float",
    "LayerNormalization": _NORMALISES,
    "LogSoftmax": "needs exponentials and sums in float",
    "LpNormalization": _NORMALISES,
    "Max": "compares two computed tensors; the accelerator adds or multiplies two maps",
    "MeanVarianceNormalization": _NORMALISES,
    "Min": "compares two computed tensors; the accelerator adds or multiplies two maps",
    "RMSNormalization": _NORMALISES,
    "Softmax": "needs exponentials and sums in float",
}
"""Operators whose reason is always the same."""

_CODECS: Mapping[str, str] = {
    "DequantizeLinear": "turns int8 back into float where the network's results leave the accelerator",
    "QuantizeLinear": "turns float inputs into int8 where they enter the accelerator",
}


def host_reason(graph: Graph, op: Op) -> str:
    """One plain sentence on why `op` of lowered `graph` runs on the host."""
    fixed = FIXED_REASONS.get(op.op_type) or _CODECS.get(op.op_type)
    if fixed is not None:
        return fixed
    if op.op_type in _RULES:
        return _RULES[op.op_type](graph, op)
    if op.op_type in LAYOUT_OPS:
        return _layout(graph, op)
    if op.op_type.startswith("Reduce"):
        return _reduction(op)
    if op.op_type in TABLE_FUNCTIONS:
        return _shape_reason(graph, op) or "stands among operators of the host, where nothing is int8"
    return f"the accelerator has no int8 form of {op.op_type} here"


def _layout(graph: Graph, op: Op) -> str:
    if _reaches_integers(graph, op, forward=False) and _reaches_integers(graph, op, forward=True):
        if op.op_type != "Transpose":
            shapes = f"{graph.tensor(op.inputs[0]).shape} into {graph.tensor(op.output).shape}"
            return f"turns {shapes}; a map of the accelerator keeps its rows, columns and channels"
        neighbour = _float_neighbour(graph, op)
        if neighbour is not None:
            return f"brings the axes into the order that {neighbour.op_type} on the host needs, or back"
        return "changes the order of elements between pixels; the accelerator reads and writes pixels where they are"
    return "only moves elements, outside the accelerator's part of the network"


def _float_neighbour(graph: Graph, op: Op) -> Op | None:
    """An operator of the host, no mere layout or codec, right before or behind `op`."""
    before = graph.producers.get(op.inputs[0])
    nearby = [*([] if before is None else [before]), *graph.consumers.get(op.output, ())]
    silent = LAYOUT_OPS | set(_CODECS)
    return next((o for o in nearby if o.op_type not in silent and not graph.is_integer(o)), None)


def _reaches_integers(graph: Graph, op: Op, *, forward: bool) -> bool:
    """Whether an accelerator operator comes somewhere after, or before, `op`."""
    waiting, seen = [op], set[str]()
    while waiting:
        current = waiting.pop()
        names = current.outputs if forward else current.inputs
        nearby = [
            graph.consumers.get(n, ()) if forward else tuple(filter(None, [graph.producers.get(n)])) for n in names
        ]
        for other in (o for ops in nearby for o in ops):
            if graph.is_integer(other):
                return True
            if other.name not in seen:
                seen.add(other.name)
                waiting.append(other)
    return False


def _shape_reason(graph: Graph, op: Op) -> str | None:
    shape = graph.tensor(op.output).shape
    return None if feature_map_shape(shape) else f"its result has shape {shape}, a feature map has (1, C, H, W)"


def _reduction(op: Op) -> str:
    axes = op.ints("axes") if "axes" in op.attributes else ()
    along = " and ".join(_AXES.get(a, f"axis {a}") for a in axes) or "all axes"
    if op.op_type == "ReduceMean":
        return (
            f"averages over {along} in float, as a part of what normalises" if 1 in axes else f"averages over {along}"
        )
    how = op.op_type.removeprefix("Reduce")
    return f"reduces over {along} by {how}; the accelerator has means, and maxima over rows and columns"


def _binary(graph: Graph, op: Op) -> str:
    constants = [n for n in op.inputs if graph.tensor(n).is_constant]
    if constants:
        shape = graph.tensor(constants[0]).shape
        operand = f"its operand `{constants[0]}` is a constant of shape {shape}"
        return f"{operand}; the accelerator takes one number, or one per channel"
    wrong = _shape_reason(graph, op)
    if wrong:
        return wrong
    shapes = [graph.tensor(n).shape for n in op.inputs]
    if shapes[0] != shapes[1]:
        these = f"combines tensors of shapes {shapes[0]} and {shapes[1]}"
        return f"{these}; the accelerator needs equal ones, or one number per channel"
    return "stands among operators of the host, where nothing is int8"


def _concat(graph: Graph, op: Op) -> str:
    axis = op.ints("axis")[0] % len(graph.tensor(op.output).shape)
    if axis != 1:
        return f"joins maps along {_AXES.get(axis, f'axis {axis}')}; the accelerator joins them along channels"
    if any(graph.tensor(n).is_constant for n in op.inputs):
        return "one of the maps that it joins is constant"
    return _shape_reason(graph, op) or "joins tensors that are not int8"


def _convolution(graph: Graph, op: Op) -> str:
    shape = graph.tensor(op.output).shape
    if len(shape) != 4:
        return f"is a convolution over {len(shape) - 2} dimensions; the accelerator's has two"
    codec = graph.producers.get(op.inputs[1])
    source = codec.inputs[0] if codec is not None and codec.op_type == "DequantizeLinear" else op.inputs[1]
    if not graph.tensor(source).is_constant:
        return "its weights are computed at run time"
    if codec is None:
        return "its weights are not quantised, though the model is"
    return _window(op) or "reads a tensor that is not int8"


def _product(graph: Graph, op: Op) -> str:
    codec = graph.producers.get(op.inputs[1])
    source = codec.inputs[0] if codec is not None and codec.op_type == "DequantizeLinear" else op.inputs[1]
    if not graph.tensor(source).is_constant:
        return "multiplies two computed tensors; the weights of the accelerator are constant"
    shape = graph.tensor(op.inputs[0]).shape
    if any(n != 1 for n in graph.tensor(op.output).shape[:-1]):
        return f"multiplies a tensor of shape {shape}; the accelerator takes one row, or a channels-last map in a float model"
    return "its weights or its input are not int8"


def _batch_norm(graph: Graph, op: Op) -> str:
    if all(graph.tensor(n).is_constant for n in op.inputs[1:]):
        return "stands in a model that came quantised, outside of its quantised operators"
    return "its parameters are computed at run time"


def _pool(graph: Graph, op: Op) -> str:
    shape = graph.tensor(op.output).shape
    if len(shape) != 4:
        return f"pools over {len(shape) - 2} dimensions; the accelerator pools over two"
    if len(op.outputs) > 1:
        return "also writes where the maxima are"
    wide = _window(op)
    if wide:
        return wide
    if op.op_type == "AveragePool" and set(op.attributes.get("dilations", (1,))) != {1}:  # type: ignore[arg-type]
        return "averages with dilation; ONNX Runtime's int8 kernel has none"
    if op.op_type == "AveragePool" and op.attributes.get("count_include_pad") and op.attributes.get("ceil_mode"):
        return "counts its padding in windows that ceil_mode lets reach beyond it"
    return "reads a tensor that is not int8"


def _window(op: Op) -> str | None:
    figures = {"kernel": "kernel_shape", "stride": "strides", "dilation": "dilations", "padding": "pads"}
    for name, key in figures.items():
        values = op.ints(key) if key in op.attributes else (0,)
        if max(values, default=0) > LARGEST:
            return f"has a {name} of {max(values)}; an instruction of the accelerator holds at most {LARGEST}"
    return None


def _resize(graph: Graph, op: Op) -> str:
    source, target = graph.tensor(op.inputs[0]).shape, graph.tensor(op.output).shape
    mode = op.attributes.get("mode", "nearest")
    how = f"{op.attributes.get('coordinate_transformation_mode', 'half_pixel')}, " if mode != "nearest" else ""
    size = f"{how}{source[2:]} to {target[2:]}"
    if mode == "nearest":
        return f"copies rows and columns without a fixed step ({size})"
    if mode == "cubic":
        return f"interpolates with cubic weights ({size}); the accelerator has means and repetition"
    if any(b % a and a % b for a, b in zip(source[2:], target[2:], strict=True)) or "align_corners" in how:
        return f"interpolates with weights that change from one row or column to the next ({size})"
    return f"interpolates ({size}) in a model that came quantised; in means of 8 bits it would round otherwise"


def _pad(_: Graph, op: Op) -> str:
    mode = op.attributes.get("mode", "constant")
    if mode != "constant":
        return f"fills its border with what is beside it (mode {mode}); the accelerator fills it with one value"
    if not isinstance(op.attributes.get("pads"), tuple):
        return "how much it pads is computed at run time"
    pads = op.ints("pads")
    if min(pads) < 0:
        return "crops where its pads are negative"
    if len(pads) == 8 and any(pads[a] for a in (0, 1, 4, 5)):
        return "pads more than rows and columns"
    return f"pads by {max(pads)}, and no convolution or pool behind it takes that much"


def _cut(graph: Graph, op: Op) -> str:
    shape = graph.tensor(op.inputs[0]).shape
    if op.op_type == "Slice" and "starts" not in op.attributes:
        return "what it cuts out is computed at run time"
    reasons = [refusal(shape, kept) for kept in kept_places(graph, op).values()]
    said = next((reason for reason in reasons if reason is not None), None)
    return "cuts a tensor that is not int8" if said is None else said.removeprefix("it ")


def _prelu(graph: Graph, op: Op) -> str:
    slopes = graph.tensor(op.inputs[1])
    if not slopes.is_constant:
        return "its slopes are computed at run time"
    return f"its slopes have shape {slopes.shape}; the accelerator takes one, or one per channel of a float model"


_RULES: Mapping[str, Callable[[Graph, Op], str]] = {
    "Add": _binary,
    "AveragePool": _pool,
    "BatchNormalization": _batch_norm,
    "Concat": _concat,
    "Conv": _convolution,
    "ConvTranspose": _convolution,
    "Gemm": _product,
    "GlobalAveragePool": _pool,
    "GlobalMaxPool": _pool,
    "MatMul": _product,
    "MaxPool": _pool,
    "Mul": _binary,
    "PRelu": _prelu,
    "Pad": _pad,
    "Resize": _resize,
    "Slice": _cut,
    "Split": _cut,
    "Sub": _binary,
}
