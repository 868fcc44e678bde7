"""Result: a placed choice, written out as a Plan: segments, buffers, transfers, DRAM regions."""

from collections.abc import Collection, Mapping, Sequence

from sfopt.allocate.first_fit import first_fit
from sfopt.allocate.options import Block, Option
from sfopt.allocate.problem import Choice, Problem
from sfopt.allocate.rectangles import Layout, Rectangle
from sfopt.cost import constants
from sfopt.groups import Network, network_fingerprint
from sfopt.plan import Buffer, Category, Certificate, DramRegion, Plan, Role, Segment, Transfer, WeightMode

__all__ = ["assemble"]

DRAM_ALIGNMENT_BYTES = 64


def assemble(
    problem: Problem, choice: Choice, layout: Layout, offsets: Sequence[int], certificate: Certificate
) -> Plan:
    """The plan of a choice whose layout has been given `offsets`."""
    spans = problem.spans(choice)
    steps = [choice.options.get(first) for first, _ in spans]
    placed = [
        Buffer(r.name, r.block.role, r.block.content, r.block.rows, r.block.row_bytes, offset, r.first, r.last)
        for r, offset in zip(layout.items, offsets, strict=True)
    ]
    return Plan(
        network=network_fingerprint(problem.network),
        device=problem.device.to_dict(),
        segments=tuple(_segment(span, option) for span, option in zip(spans, steps, strict=True)),
        buffers=tuple(sorted(placed, key=lambda b: (b.first_step, b.last_step, b.name))),
        transfers=tuple(
            t
            for s, (span, o) in enumerate(zip(spans, steps, strict=True))
            for t in _transfers(problem, choice.ends, s, span, o)
        ),
        dram=_dram_regions(problem, choice),
        certificate=certificate,
    )


def _segment(span: tuple[int, int], option: Option | None) -> Segment:
    if option is None:
        return Segment(*span, bands=1, overlap=False, runs=(), feeds=())
    return Segment(*span, option.bands, option.overlap, option.body.runs, option.body.feeds)


def _transfers(
    problem: Problem, ends: Collection[str], step: int, span: tuple[int, int], option: Option | None
) -> list[Transfer]:
    """Reads in operand order, then constants, then writes, those of resident maps that end early among them."""
    network = problem.network
    stored = {*network.outputs, *ends}
    groups = network.groups[span[0] : span[1] + 1]
    if option is None:
        reads, writes = list(groups[0].reads), list(groups[0].writes)
    else:
        roles = {b.content: b.role for b in option.blocks if b.role in (Role.INPUT, Role.OUTPUT)}
        touched = dict.fromkeys(m for g in groups for m in (*g.reads, g.output))
        reads = [m for m in touched if roles.get(m) is Role.INPUT or _loads_here(problem, m, span, option)]
        writes = [m for m in touched if roles.get(m) is Role.OUTPUT or (_made_here(network, m, span) and m in stored)]
    again = _read_again(problem, option)
    found = [_map_transfer(problem, step, m, "read", again.get(m, 1)) for m in reads]
    for run in option.body.runs if option is not None else ():
        for block in constants(network, network.groups[run.group], folded=False):
            every_band = run.weight_mode is WeightMode.REREAD and block.name.endswith(".weights")
            size_bytes = block.size_bytes * (option.bands if every_band and option is not None else 1)
            found.append(Transfer(step, block.name, "read", size_bytes, Category.WEIGHTS))
    return found + [_map_transfer(problem, step, m, "write") for m in writes]


def _read_again(problem: Problem, option: Option | None) -> Mapping[str, int]:
    """Map -> how often it streams in, where that is once for each weight tile."""
    if option is None or option.body.runs[0].weight_mode is not WeightMode.INPUT_REREAD:
        return {}
    (run,), maps = option.body.runs, problem.network.maps
    tiles = -(-maps[problem.network.groups[run.group].output].channels // run.channel_tile)
    return {f.tensor: tiles for f in option.body.feeds if f.first < maps[f.tensor].height}


def _made_here(network: Network, tensor: str, span: tuple[int, int]) -> bool:
    return span[0] <= network.producers.get(tensor, -1) <= span[1]


def _loads_here(problem: Problem, tensor: str, span: tuple[int, int], option: Option) -> bool:
    """Whether a resident network input has its first reader in this segment."""
    network = problem.network
    return tensor in option.resident and tensor in network.inputs and network.readers[tensor][0] >= span[0]


def _map_transfer(problem: Problem, step: int, tensor: str, direction: str, times: int = 1) -> Transfer:
    network = problem.network
    category = Category.FEATURE_MAPS
    if tensor in network.inputs:
        category = Category.INPUTS
    elif tensor in network.outputs:
        category = Category.OUTPUTS
    size_bytes = network.maps[tensor].size_bytes * times
    return Transfer(step, tensor, direction, size_bytes, category, tensor in network.shortcuts)


def _dram_regions(problem: Problem, choice: Choice) -> tuple[DramRegion, ...]:
    """Network inputs, network outputs and spilled maps, first-fit by size at multiples of 64 bytes."""
    network = problem.network
    spans = problem.spans(choice)
    step_of = {g: s for s, (first, last) in enumerate(spans) for g in range(first, last + 1)}
    items = list[Rectangle]()
    for m, fmap in network.maps.items():
        made = step_of[network.producers[m]] if m in network.producers else -1
        read = [step_of[g] for g in network.readers[m] if step_of[g] != made]
        kept = step_of[problem.life(choice, m)[1]] if m in choice.resident else made
        streamed = [s for s in read if s > kept]
        if m in network.inputs:
            first, last = 0, max(streamed, default=read[0])
        elif m in network.outputs:
            first, last = made, len(spans) - 1
        elif streamed or not network.readers[m]:
            first, last = made, max((made, *streamed))
        else:
            continue
        units = -(-fmap.size_bytes // DRAM_ALIGNMENT_BYTES)
        items.append(Rectangle(m, None, Block(Role.RESIDENT, m, units, DRAM_ALIGNMENT_BYTES), first, last))
    layout = Layout(tuple(items), frozenset())
    order = sorted(range(len(items)), key=lambda i: (-items[i].size_bytes, i))
    offsets = first_fit(layout, order, DRAM_ALIGNMENT_BYTES)
    return tuple(
        DramRegion(r.name, offset, network.maps[r.name].size_bytes, r.first, r.last)
        for r, offset in zip(items, offsets, strict=True)
    )
