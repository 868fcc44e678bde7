"""Decomposed activations -> HardSigmoid, HardSwish

    Mul(Clip(Add(x, b), 0, h), 1/h)        -> HardSigmoid(x, 1/h, b/h)
    Clip(Add(Mul(x, a), b), 0, 1)          -> HardSigmoid(x, a, b)
    Mul(Mul(y, Clip(Add(x, b), 0, h)), 1/h) -> Mul(y, HardSigmoid(x, 1/h, b/h))
    Mul(Mul(y, 1/h), Clip(Add(x, b), 0, h)) -> Mul(y, HardSigmoid(x, 1/h, b/h))
    Mul(x, HardSigmoid(x, 1/6, 1/2))       -> HardSwish(x)

Keras writes HardSwish in all of these ways; h is 6 and b is 3 there.
"""

from dataclasses import replace

from sfopt.graph import Graph, Op
from sfopt.passes.rewrite import fresh, number_operand, substitute, sweep

__all__ = ["recognise_activations"]

_TOLERANCE = 1e-5
_Gate = tuple[str, float, float, float]
"""Clip(Add(x, b), 0, h) as (x, slope, b, h): slope * x + b clipped to [0, h]."""


def recognise_activations(graph: Graph) -> Graph:
    """Apply the rewrites of this module."""
    return sweep(graph, _rule)


def _rule(graph: Graph, op: Op) -> Graph | None:
    if op.op_type == "Clip":
        return _unit_clip(graph, op)
    if op.op_type != "Mul":
        return None
    return _scaled_gate(graph, op) or _scaled_product(graph, op) or _hard_swish(graph, op)


def _close(a: float, b: float) -> bool:
    return abs(a - b) <= _TOLERANCE * max(abs(a), abs(b))


def _gate(graph: Graph, name: str) -> _Gate | None:
    clip = graph.producers.get(name)
    if clip is None or clip.op_type != "Clip" or clip.attributes.get("min") != 0.0 or len(clip.inputs) != 1:
        return None
    high = clip.attributes.get("max")
    shifted = number_operand(graph, graph.producers.get(clip.inputs[0]), "Add")
    if shifted is None or not isinstance(high, int | float) or not 0 < high < float("inf"):
        return None
    source, offset = shifted
    return source, 1.0, offset, float(high)


def _hard_sigmoid(name: str, output: str, gate: _Gate) -> Op:
    source, slope, offset, high = gate
    return Op(name, "HardSigmoid", (source,), (output,), {"alpha": slope / high, "beta": offset / high})


def _unit_clip(graph: Graph, op: Op) -> Graph | None:
    gate = _gate(graph, op.output)
    if gate is None or gate[3] != 1.0:
        return None
    scaled = number_operand(graph, graph.producers.get(gate[0]), "Mul")
    if scaled is not None:
        gate = (*scaled, *gate[2:])
    return substitute(graph, [op], [_hard_sigmoid(op.name, op.output, gate)])


def _scaled_gate(graph: Graph, op: Op) -> Graph | None:
    factor = number_operand(graph, op, "Mul")
    gate = _gate(graph, factor[0]) if factor is not None else None
    if factor is None or gate is None or not _close(factor[1] * gate[3], 1.0):
        return None
    return substitute(graph, [op], [_hard_sigmoid(op.name, op.output, gate)])


def _scaled_product(graph: Graph, op: Op) -> Graph | None:
    """Both associations of y * c / h."""
    outer = number_operand(graph, op, "Mul")
    if outer is not None:
        product = graph.producers.get(outer[0])
        if product is None or product.op_type != "Mul":
            return None
        pairs = [(y, c, outer[1]) for y, c in (product.inputs, product.inputs[::-1])]
    else:
        scaled = [(number_operand(graph, graph.producers.get(y), "Mul"), c) for y, c in (op.inputs, op.inputs[::-1])]
        pairs = [(s[0], c, s[1]) for s, c in scaled if s is not None]
    for y, c, factor in pairs:
        gate = _gate(graph, c)
        if gate is not None and _close(factor * gate[3], 1.0):
            middle = replace(graph.tensor(c), name=fresh(graph, f"{op.output}:gate"))
            hard = _hard_sigmoid(fresh(graph, f"{op.name}:gate"), middle.name, gate)
            return substitute(graph, [op], [hard, replace(op, inputs=(y, middle.name))], [middle])
    return None


def _hard_swish(graph: Graph, op: Op) -> Graph | None:
    for x, gate in (op.inputs, op.inputs[::-1]):
        hard = graph.producers.get(gate)
        if hard is None or hard.op_type != "HardSigmoid" or hard.inputs[0] != x:
            continue
        alpha, beta = hard.attributes.get("alpha", 0.2), hard.attributes.get("beta", 0.5)
        assert isinstance(alpha, float)
        assert isinstance(beta, float)
        if _close(alpha, 1 / 6) and _close(beta, 0.5):
            return substitute(graph, [op], [replace(op, op_type="HardSwish", inputs=(x,))])
    return None
