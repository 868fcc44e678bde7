"""What a random model is made of and what the planner chose for it, as names that can be counted."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import onnx
from random_models import BOUNDARY, LAYOUT, RandomModel

from sfopt.check.in_place import links
from sfopt.check.view import View
from sfopt.pipeline import Result
from sfopt.plan import Category, Role
from sfopt.report import host_ops

__all__ = ["MODEL_FEATURES", "PLAN_FEATURES", "model_features", "plan_features", "write_record"]

MODEL_FEATURES = (
    "odd height or width", "height or width 1", "height or width above 35", "1 channel", "channels above 100",
    "channels no multiple of 8", "stride above 1", "unequal strides", "asymmetric padding", "automatic padding", "dilation",
    "grouped convolution", "depthwise convolution", "channel multiplier", "residual", "dense join", "pyramid join",
    "squeeze-excite", "channel shuffle", "split or slice", "space to depth", "channels last", "nearest resize",
    "pre-activation", "concat", "max pool", "average pool", "ceil mode", "global mean", "look-up", "Gelu", "classifier",
    "several inputs", "several outputs", "operator on the host", "PRelu", "transposed convolution", "linear resize",
)  # fmt: skip

PLAN_FEATURES = (
    "group on its own", "segment of groups", "bands", "ring", "overlap", "spill", "resident", "shortcut resident",
    "weights resident", "weights streamed", "weights reread", "weights input_reread", "in place", "side by side",
    "folded input", "input read again", "host group", "proven", "not proven", "heuristic",
)  # fmt: skip

_MOVE_FEATURES = {
    "residual": "residual", "projection": "residual", "dense": "dense join", "pyramid": "pyramid join",
    "squeeze_excite": "squeeze-excite", "shuffled": "channel shuffle", "preactivation": "pre-activation", "head": "classifier",
}  # fmt: skip
_OP_FEATURES = {
    "SpaceToDepth": "space to depth", "Split": "split or slice", "Slice": "split or slice", "Concat": "concat",
    "MaxPool": "max pool", "AveragePool": "average pool", "GlobalAveragePool": "global mean", "ReduceMean": "global mean",
    "Gelu": "Gelu", "PRelu": "PRelu", "ConvTranspose": "transposed convolution", "Erf": "Gelu",
}  # fmt: skip
_LOOKED_UP = frozenset(
    {"Elu", "Erf", "Gelu", "HardSigmoid", "HardSwish", "LeakyRelu", "Mish", "Sigmoid", "Softplus", "Tanh"}
)


def model_features(model: RandomModel) -> frozenset[str]:
    """Which of MODEL_FEATURES a model has; the sizes are those of the maps between its moves."""
    graph = onnx.load_from_string(model.data).graph
    found = {_MOVE_FEATURES[move] for move in model.moves if move in _MOVE_FEATURES}
    found |= {_OP_FEATURES[node.op_type] for node in graph.node if node.op_type in _OP_FEATURES}
    for node in graph.node:
        found.update(_window_features(graph, node))
    for channels, *sides in model.shapes:
        found |= {"odd height or width"} if any(n % 2 for n in sides) else set()
        found |= {"height or width 1"} if 1 in sides else set()
        found |= {"height or width above 35"} if max(sides) > 35 else set()
        found |= {"1 channel"} if channels == 1 else set()
        found |= {"channels above 100"} if channels > 100 else set()
        found |= {"channels no multiple of 8"} if channels % 8 else set()
    found |= {"several inputs"} if len(graph.input) > 1 else set()
    found |= {"several outputs"} if len(graph.output) > 1 else set()
    found |= {"operator on the host"} if model.host else set()
    return frozenset(found)


def _window_features(graph: onnx.GraphProto, node: onnx.NodeProto) -> Iterator[str]:
    how = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    strides, pads, dilations = (how.get(name, [1]) for name in ("strides", "pads", "dilations"))
    if max(strides) > 1:
        yield "stride above 1"
    if len(set(strides)) > 1:
        yield "unequal strides"
    if len(pads) == 4 and pads[:2] != pads[2:]:
        yield "asymmetric padding"
    if how.get("auto_pad", b"").startswith(b"SAME"):
        yield "automatic padding"
    if max(dilations) > 1:
        yield "dilation"
    if how.get("ceil_mode"):
        yield "ceil mode"
    if node.op_type == "Resize":
        yield "nearest resize" if how["mode"] == b"nearest" else "linear resize"
    if node.op_type == "Transpose" and how["perm"] == [0, 2, 3, 1]:
        yield "channels last"
    if node.op_type in _LOOKED_UP:
        yield "look-up"
    if node.op_type == "Conv" and how["group"] > 1:
        outputs, depth = next(i for i in graph.initializer if i.name == node.input[1]).dims[:2]
        yield "depthwise convolution" if depth == 1 else "grouped convolution"
        if depth == 1 and outputs > how["group"]:
            yield "channel multiplier"


def plan_features(result: Result) -> frozenset[str]:
    """Which of PLAN_FEATURES a plan has."""
    plan, network, found = result.plan, result.imported.network, set[str]()
    view = View(plan, network, result.options.device)
    for step, segment, groups in view.segments:
        found.add("group on its own" if len(groups) == 1 else "segment of groups")
        found |= {"bands"} if segment.bands > 1 else set()
        found |= {"overlap"} if segment.overlap else set()
        found |= {f"weights {run.weight_mode.value}" for run in segment.runs}
        for _, output in links(view, step):
            found.add("side by side" if _joins(result, output.content) else "in place")
    found |= {"ring"} if any(b.role is Role.RING for b in plan.buffers) else set()
    kept = {b.content for b in plan.buffers if b.role is Role.RESIDENT}
    found |= {"resident"} if kept else set()
    found |= {"shortcut resident"} if kept & network.shortcuts else set()
    moved = Counter((t.tensor, t.direction) for t in plan.transfers)
    spilled = {t.tensor for t in plan.transfers if t.category is Category.FEATURE_MAPS} - _touched_by_host(result)
    found |= {"spill"} if spilled else set()
    found |= {"input read again"} if any(moved[name, "read"] > 1 for name in network.inputs) else set()
    found |= {"folded input"} if b"fold_taps=" in _folding(result) else set()
    found |= {"host group"} if any(view.is_host(step) for step in range(len(plan.segments))) else set()
    status = {"optimal": "proven", "feasible": "not proven"}
    return frozenset(found | {status.get(plan.certificate.status.value, "heuristic")})


def _joins(result: Result, name: str) -> bool:
    """Whether a map is made by a concat."""
    network = result.imported.network
    return len(network.groups[network.producers[name]].pieces) > 1


def _touched_by_host(result: Result) -> set[str]:
    groups = [g for g in result.imported.network.groups if g.kind.value == "host"]
    return {name for g in groups for name in (*g.reads, *g.writes)}


def _folding(result: Result) -> bytes:
    """Lines of the disassembled program whose LOAD folds."""
    lines = result.compiled.files["program.s"].splitlines()
    return b"\n".join(line for line in lines if b"fold_taps=" in line and b"fold_taps=0" not in line)


def write_record(folder: Path, model: RandomModel, result: Result, enlarged: int) -> None:
    """One file per seed and limits: what `benchmarks/fuzz.py` counts."""
    assert result.verification is not None
    assert plan_features(result) <= set(PLAN_FEATURES)
    device, equal = result.options.device, result.verification.equivalence
    hosted = {h["op"] for h in host_ops(result.imported.network)} - BOUNDARY - LAYOUT
    record = {
        "seed": model.seed,
        "features": sorted(model_features(model)),
        "plan": sorted(plan_features(result)),
        "device": {"name": device.name, "lanes_in": device.lanes_in, "lanes_out": device.lanes_out, "banks": device.banks,
                   "sram_bytes": device.sram_bytes},
        "method": result.options.method,
        "objective": result.options.objective,
        "enlarged": enlarged,
        "groups": len(result.imported.network.groups),
        "segments": len(result.plan.segments),
        "host": sorted(hosted),
        "elements": equal.elements,
        "mismatches": equal.mismatches,
    }  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{model.seed}.json").write_text(json.dumps(record) + "\n")
