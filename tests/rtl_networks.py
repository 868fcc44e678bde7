"""Small whole networks and the ways in which they are run on the RTL: plans for `sim8` in frame mode, by rows and in segments.

Their buffers are packed, so that parameters share banks with what streams, and what the DMA moves with what COMPUTEs use.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cache
from itertools import combinations

import numpy as np
from checked import claimed
from emit_cases import random_choice, residencies
from live_networks import revived
from networks import GraphBuilder, random_graph

from sfopt.allocate import plan as make_plan
from sfopt.allocate.packing import Packer
from sfopt.check import check_plan
from sfopt.check.view import View
from sfopt.cost import constants
from sfopt.device import Device, load_device
from sfopt.examples import digits_data, digits_model_path
from sfopt.graph import Op, Quant, Tensor
from sfopt.grouping import build_network
from sfopt.groups import Group, Network
from sfopt.importer import import_model
from sfopt.interval import Interval
from sfopt.plan import Plan, WeightMode
from sfopt.testing.naive_plan import Choice, naive_plan

__all__ = ["DEVICE", "MODES", "NETWORKS", "network", "network_plan", "random_plans"]

DEVICE = load_device("sim8")
HEAVY_BYTES = 1200
"""Weights of a convolution that are worth reading again."""
SEARCH_S = 60.0
SMALL_BANKS = 5
"""Banks that the planner may use in the mode `planned`: too few to keep all maps."""


@cache
def network(name: str) -> Network:
    """One of `NETWORKS`."""
    if name == "digits":
        samples = tuple({"image": image.transpose(2, 0, 1)[np.newaxis]} for image in digits_data().calibration[:16])
        return import_model(digits_model_path(), samples).network
    b = GraphBuilder(name, seed=len(name))
    return build_network(revived(b.graph(_BUILDERS[name](b))))


@cache
def network_plan(name: str, mode: str) -> Plan:
    """A plan that the checker has seen, of one of `NETWORKS` in one of `MODES`."""
    found = MODES[mode](network(name))
    check_plan(found, network(name), DEVICE)
    return found


def random_plans(seed: int) -> Iterator[tuple[Network, Plan]]:
    """Plans of a random network that fit: segments cut at random, each run in a random way."""
    r = np.random.default_rng(seed)
    graph = random_graph(seed, ops=int(r.integers(2, 12)), side=int(r.integers(3, 20)), channels=int(r.integers(4, 33)))
    net = build_network(revived(graph))
    for _ in range(3):
        ways = [replace(random_choice(net, r), channel_tile=int(r.choice([8, 16, 3]))) for _ in net.groups]
        starts = [g.index for g in net.groups if r.random() < 0.2]
        made = naive_plan(net, DEVICE, lambda group, ways=ways: replace(ways[group.index], ends=ways[0].ends), starts)
        if _most_live_bytes(made) <= DEVICE.sram_bytes // 2:
            yield net, _placed(made, net)


def _most_live_bytes(made: Plan) -> int:
    """Bytes of buffers that are live at one step, at most."""
    steps = range(len(made.segments))
    return max(sum(b.rows * b.row_bytes for b in made.buffers if b.first_step <= step <= b.last_step) for step in steps)


def _residual(b: GraphBuilder) -> list[str]:
    """Folded first layer, blocks with and without projection, sums in both orders, every pool."""
    x = b.relu(b.conv_with(b.input(3, 33, 29), 12, (3, 2), strides=(2, 2), pads=(1, 0, 1, 1)))
    x = b.max_pool(x, 3, 2, 1)
    for channels, stride in ((12, 1), (20, 2)):
        y = b.conv(b.relu(b.conv(b.relu(b.conv(x, 9)), 9, 3, stride)), channels)
        x = b.relu(b.add(y, x) if stride == 1 else b.add(b.conv(x, channels, 1, stride), y))
    x = b.relu(b.add(x, b.conv(b.relu(b.conv(x, 8, 3)), 20)))
    pooled = b.average_pool(x, 3, 2, 1)
    return [b.conv(b.mean(x), 10), b.relu(b.conv(pooled, 33))]


def _inverted(b: GraphBuilder) -> list[str]:
    """Inverted residuals with squeeze-excite: depthwise, look-ups, means, channel scales, products in both orders."""
    x = b.conv(b.input(3, 24, 20), 12, 3, 2)
    for kernel, stride in ((5, 1), (3, 2), (3, 1)):
        y = b.conv(x, 30)
        y = b.mul(y, b.lookup(y)) if kernel == 5 else b.relu(y)
        y = b.depthwise(y, kernel, stride)
        y = b.mul(b.lookup(y), y)
        y = b.conv(b.squeeze_excite(y, 7), 12)
        x = b.add(x, y) if stride == 1 else b.relu(y)
    gated = b.mul(b.conv(x, 12), b.lookup(b.conv(x, 12)))
    return [b.lookup(b.mul(x, b.lookup(gated, "LeakyRelu")), "LeakyRelu"), b.mul(b.relu(b.conv(gated, 12)), x)]


def _pyramid(b: GraphBuilder) -> list[str]:
    """Lateral convolutions, a way up by resizes and sums, a head on each level."""
    levels = [b.relu(b.conv(b.input(3, 32, 24), 10, 3, 2))]
    levels += [b.relu(b.conv(levels[0], 16, 3, 2))]
    levels += [b.relu(b.conv(levels[1], 24, 3, 2))]
    top = b.conv(levels[2], 11)
    heads = [b.conv(top, 9, 3)]
    for index, level in enumerate((levels[1], levels[0])):
        side = b.conv(level, 11)
        top = b.add(side, b.resize(top)) if index else b.add(b.resize(top), side)
        heads.append(b.conv(top, 9, 3))
    return heads


def _concat(b: GraphBuilder) -> list[str]:
    """Concats of two, three and four pieces at and inside words, of one scale or requantised; convolution groups, dilation."""
    x = b.relu(b.conv(b.input(5, 18, 15), 16, 3, 1))
    for _ in range(2):
        x = b.concat(x, b.conv_with(b.relu(b.conv(x, 12)), 8, (3, 3), group=4, pads=(1, 1, 1, 1)))
    x = b.max_pool(x, 2, 2)
    wide = b.conv_with(b.conv(x, 12), 12, (3, 3), group=2, pads=(2, 2, 2, 2), dilations=(2, 2))
    same = b.relu(b.conv(x, 5))
    y = b.concat(b.conv(x, 3), wide, b.average_pool(x, 3, 1, 1), same)
    y = b.concat(same, b.conv(y, 8), like=same)
    return [b.conv(y, 19, 3, 2), b.average_pool(y, 2, 2)]


def _decoder(b: GraphBuilder) -> list[str]:
    """A way up by transposed convolutions, kernels longer and shorter than the stride, depthwise, in groups, joined by concats."""
    skips = [b.relu(b.conv(b.input(3, 18, 14), 10, 3))]
    skips.append(b.relu(b.conv(b.max_pool(skips[0]), 18, 3)))
    x = b.relu(b.conv(b.max_pool(skips[1], 3, 2, 1), 20, 3))
    x = b.relu(b.conv_transpose(x, 18, (3, 4), (2, 2), pads=(1, 1, 1, 2)))
    x = b.conv(b.concat(skips[1], x), 16, 3)
    y = b.lookup(b.conv_transpose(x, 16, (2, 2), (2, 2), group=16), "LeakyRelu")
    z = b.conv_transpose(x, 12, (4, 4), (2, 2), group=2, pads=(1, 1, 1, 1))
    x = b.relu(b.conv(b.concat(y, z, skips[0]), 9))
    wide = b.conv_transpose(x, 5, (1, 2), (1, 3), pads=(0, 0, 0, -1), dilations=(1, 2))
    return [b.conv(wide, 4, 3, 2), b.conv_transpose(b.mean(x), 11, (3, 2), (3, 2))]


def _host(b: GraphBuilder) -> list[str]:
    """Softmax on the host between two parts on the accelerator, with a shortcut around it."""
    y = b.relu(b.conv(b.input(3, 12, 10), 14, 3))
    shape = b.tensors[y].shape
    inner = b._map("h", shape, Quant(np.asarray(1 / 256, np.float32), -128))
    scales = {n: b._constant(f"{n}.s", np.asarray(b.tensors[n].quant.scale)) for n in (y, inner)}
    zeros = {n: b._constant(f"{n}.z", np.asarray(b.tensors[n].quant.zero_point, np.int8)) for n in (y, inner)}
    for name in ("f", "g"):
        b.tensors[name] = Tensor(name, shape, "float32")
    b.ops += [
        Op("dequantise", "DequantizeLinear", (y, scales[y], zeros[y]), ("f",)),
        Op("softmax", "Softmax", ("f",), ("g",), {"axis": 1}),
        Op("quantise", "QuantizeLinear", ("g", scales[inner], zeros[inner]), (inner,)),
    ]
    return [b.conv(b.add(b.conv(inner, 14, 3), y), 10, 3, 2)]


_BUILDERS: Mapping[str, Callable[[GraphBuilder], list[str]]] = {
    "residual": _residual,
    "inverted": _inverted,
    "pyramid": _pyramid,
    "concat": _concat,
    "decoder": _decoder,
    "host": _host,
}

NETWORKS = ("digits", *_BUILDERS)


def _frame(made: Network) -> Plan:
    """Whole frames, half of the maps resident; large weights, and those of every second group, in tiles of one vector."""
    resident, small = residencies(made, 1)[2], _light(made)

    def choose(group: Group) -> Choice:
        weights = WeightMode.RESIDENT if group.index % 2 and group.index in small else WeightMode.STREAMED
        return Choice(resident, weights=weights, overlap=group.index % 4 < 2, early=group.index % 4 == 1)

    return _placed(naive_plan(made, DEVICE, choose), made)


_ROW_WAYS = (
    Choice(band_rows=2, overlap=True),
    Choice(band_rows=3, weights=WeightMode.REREAD, overlap=True),
    Choice(band_rows=2, weights=WeightMode.INPUT_REREAD, overlap=True),
    Choice(band_rows=1, early=True),
    Choice(band_rows=4, weights=WeightMode.REREAD),
    Choice(band_rows=3, weights=WeightMode.INPUT_REREAD),
)


def _rows(made: Network) -> Plan:
    """Every group by bands of its own, nothing resident, one way after the other."""
    return _placed(naive_plan(made, DEVICE, lambda group: _ROW_WAYS[group.index % len(_ROW_WAYS)]), made)


def _segments(made: Network) -> Plan:
    """As few segments as the rules allow, a row of the last group a band; large weights are read again in every band."""
    choice = Choice(band_rows=1, weights=WeightMode.REREAD, kept=_light(made), overlap=True)
    return _placed(naive_plan(made, DEVICE, choice, []), made)


def _light(made: Network) -> frozenset[int]:
    """Groups with few weights."""
    heavy = {g.index for g in made.groups for c in constants(made, g, folded=False) if c.size_bytes > HEAVY_BYTES}
    return frozenset(range(len(made.groups))) - heavy


def _planned(made: Network) -> Plan:
    """The planner's own, in a scratchpad that does not hold everything: operands give their places to outputs."""
    small = replace(DEVICE, banks=SMALL_BANKS)
    found = make_plan(made, small, time_limit_s=SEARCH_S)
    return replace(found, device=DEVICE.to_dict())


MODES: Mapping[str, Callable[[Network], Plan]] = {
    "frame": _frame,
    "rows": _rows,
    "segments": _segments,
    "planned": _planned,
}


def _placed(made: Plan, net: Network, device: Device = DEVICE) -> Plan:
    """The plan with its buffers packed: those that one instruction streams in banks apart, the others wherever there is room."""
    view, index = View(made, net, device), {b.name: i for i, b in enumerate(made.buffers)}
    apart = {
        (min(pair), max(pair))
        for step, _, groups in view.segments
        for group in groups
        for piece in group.pieces
        for pair in combinations(sorted({index[name] for name in _streamed(view, step, group, piece.tensor)}), 2)
    }
    intervals = [Interval(b.name, b.first_step, b.last_step + 1, b.rows * b.row_bytes) for b in made.buffers]
    packer = Packer(intervals, device.sram_bytes, 0, apart=apart, bank_bytes=device.bank_bytes)
    while packer.offsets is None and packer.take_turn(device.sram_bytes, float("inf")):
        pass
    offsets = packer.offsets
    assert offsets is not None, f"`{net.graph.name}` does not fit"
    return claimed(replace(made, buffers=tuple(replace(b, offset=offsets[b.name]) for b in made.buffers)), net, device)


def _streamed(view: View, step: int, group: Group, primary: str) -> list[str]:
    """Buffers that stream through one instruction."""
    names = [n for n in (primary, group.scale, group.residual, group.output) if n is not None]
    weights = f"{step}:{group.name}.weights"
    return [*(view.operand(step, n).name for n in names), *([weights] if weights in view.buffers else [])]
