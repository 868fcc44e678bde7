"""`sfopt explain` as plain data: what each decision costs to change, what binds, what more scratchpad would buy, what did not fuse.

Costs come from the planner: the choice program is solved again with the opposite demanded (`allocate.what_if`). Sizes in bytes.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sfopt.allocate import plan as make_plan
from sfopt.allocate.demand import Demand
from sfopt.allocate.needs import Fusion, Verdict, judge
from sfopt.allocate.smallest import smallest_sram
from sfopt.allocate.what_if import Answer, CapacityPrice, Proof, WhatIf
from sfopt.device import Device
from sfopt.errors import UsageError
from sfopt.groups import Network
from sfopt.plan import Buffer, Plan, Role
from sfopt.report.placement import placement_reasons

__all__ = ["MIB", "explain_infeasible", "explain_plan", "explain_tensor", "require_map"]

MIB = 1 << 20
SHOWN_BUFFERS = 4
"""Of the largest at a step."""
SHOWN_STEPS = 3
MORE_SHARE = 0.4
"""Of the time: for planning with a larger scratchpad."""
TENSOR_SHARE = 0.6
"""Of the time that is left then: for the traffic of the questions about tensors, before those about fusions. Cycles come last."""
FIRST, BOTH = ("traffic",), ("traffic", "cycles")


def explain_plan(network: Network, device: Device, plan: Plan, seconds: float, seed: int = 0) -> dict[str, Any]:
    """Everything about a plan, in at most about so many seconds; questions behind that are answered `unknown`."""
    ask = WhatIf(network, device, seconds, seed)
    found: dict[str, Any] = {
        "schema": 1,
        "traffic": plan.traffic_bytes,
        "compulsory": ask.problem.compulsory_bytes,
        "cost_base": _answer(ask.base),
        "one_more_mib": _one_more(ask, network, device, plan, seed),
    }
    found["binding"] = _binding(ask, network, device, plan, found["one_more_mib"])
    spare = ask.seconds_left * (1 - TENSOR_SHARE)
    maps = _by_interest(network, plan, network.maps)
    tensors = {name: _tensor(ask, network, plan, name, FIRST[: ask.seconds_left > spare]) for name in maps}
    found["fusions"] = _fusions(ask, network, plan)
    for name in maps:
        if ask.seconds_left and tensors[name]["proof"] == Proof.EXACT:
            again = _tensor(ask, network, plan, name, BOTH)
            tensors[name] = again if again["cycles"] is not None else tensors[name]
    found["tensors"] = sorted(tensors.values(), key=_dearest_first)
    return found


def explain_tensor(
    network: Network, device: Device, plan: Plan, name: str, seconds: float, seed: int = 0
) -> dict[str, Any]:
    """One tensor in depth: the opposite is planned in full, with addresses. Raises UsageError for a name that is none."""
    require_map(network, name)
    ask, fmap = WhatIf(network, device, seconds, seed), network.maps[name]
    groups = network.groups
    found = {
        "schema": 1,
        **_tensor(ask, network, plan, name, BOTH),
        "shape": [fmap.height, fmap.width, fmap.channels],
        "shortcut": name in network.shortcuts,
        "producer": groups[network.producer(name)].name if network.producer(name) >= 0 else None,
        "readers": [groups[r].name for r in network.readers[name]],
        "buffers": [_buffer(b) for b in plan.buffers if b.content == name and b.role.value in _MAP_ROLES],
        "transfers": [
            {"segment": t.segment, "direction": t.direction, "bytes": t.size_bytes}
            for t in plan.transfers
            if t.tensor == name
        ],
        "placed": None,
    }
    if found["instead"] is not None:
        placed = ask.placed(Demand(on_chip={name: not found["on_chip"]}))
        own = Answer(Proof.EXACT, {o.name: o.value for o in plan.certificate.objectives})
        found["placed"] = {"proof": str(placed.proof), **_costs(placed.more(own))}
    return found


def require_map(network: Network, name: str) -> None:
    """Raises UsageError for a name that no feature map has."""
    if name not in network.maps:
        raise UsageError(f"the network has no feature map `{name}`; `sfopt explain --all` lists them")


def explain_infeasible(network: Network, device: Device, reason: str, seconds: float, seed: int = 0) -> dict[str, Any]:
    """Why nothing fits: how many bytes short, the smallest scratchpad found that works, and what fills it at its fullest step."""
    smallest = smallest_sram(network, device, seconds, seed)
    works, plan = smallest.works_bytes, smallest.plan
    step = 0 if plan is None else max(range(len(plan.segments)), key=plan.held_bytes)
    return {
        "schema": 1,
        "infeasible": reason,
        "sram_bytes": device.sram_bytes,
        "smallest": {
            "works": works,
            "fails": smallest.fails_bytes,
            "step": smallest.step_bytes,
            "proven": smallest.proven,
        },
        "short_bytes": None if works is None else works - device.sram_bytes,
        "fullest": None if plan is None else _step(network, plan, step),
    }


def _answer(answer: Answer) -> dict[str, Any]:
    return {"proof": str(answer.proof), **answer.levels}


_MAP_ROLES = ("resident", "ring", "input", "output")


def _costs(more: Mapping[str, int]) -> dict[str, int | None]:
    return {"dram_bytes": more.get("traffic"), "cycles": more.get("cycles")}


def _is_read_back(network: Network, plan: Plan, name: str) -> bool:
    """Whether a group reads the map from DRAM: of a network input, more than once."""
    read = sum(t.size_bytes for t in plan.transfers if t.tensor == name and t.direction == "read")
    return read > (network.maps[name].size_bytes if name in network.inputs else 0)


def _by_interest(network: Network, plan: Plan, free: Iterable[str]) -> list[str]:
    """What is read back first, then shortcuts, then the rest; the largest first."""
    return sorted(
        free,
        key=lambda m: (
            not _is_read_back(network, plan, m),
            m not in network.shortcuts,
            -network.maps[m].size_bytes,
        ),
    )


def _tensor(what: WhatIf, network: Network, plan: Plan, name: str, levels: Sequence[str]) -> dict[str, Any]:
    """Where a map is, and what the opposite would cost in these levels; without any, what its size alone says."""
    where, why = placement_reasons(network, plan)[name]
    on_chip = not _is_read_back(network, plan, name)
    read_once = name in network.inputs and len(network.readers[name]) == 1
    open_question = name in what.problem.free_maps and not read_once
    answer = Answer(Proof.UNKNOWN, {})
    if open_question and on_chip:
        answer = what.read_back(name, levels)
    elif open_question and levels:
        answer = what.answer(Demand(on_chip={name: True}), levels)
    return {
        "name": name,
        "bytes": network.maps[name].size_bytes,
        "scratchpad_bytes": what.problem.map_bytes[name],
        "place": where,
        "why": why,
        "on_chip": on_chip,
        "instead": ("spill" if on_chip else "keep") if open_question else None,
        "proof": str(answer.proof),
        **_costs(answer.more(what.base)),
        "crowded": None if on_chip or not open_question else _crowded(what, network, name),
    }


def _crowded(what: WhatIf, network: Network, name: str) -> dict[str, Any]:
    """The group beside which a map that is read back is hardest to keep, and what the scratchpad is short by there."""
    crowded = what.needs.crowded(name)
    return {
        "group": network.groups[crowded.group].name,
        "need_bytes": crowded.need_bytes,
        "short_bytes": max(0, crowded.need_bytes - what.problem.device.sram_bytes),
    }


def _dearest_first(tensor: Mapping[str, Any]) -> tuple[Any, ...]:
    return tensor["on_chip"], tensor["dram_bytes"] is None, -(tensor["dram_bytes"] or 0), -tensor["bytes"]


def _binding(ask: WhatIf, network: Network, device: Device, plan: Plan, one_more: Mapping[str, Any]) -> dict[str, Any]:
    """What keeps the traffic above the compulsory bytes: what each rule costs, the fullest steps, and those with a price."""
    fullest = sorted(range(len(plan.segments)), key=lambda s: -plan.held_bytes(s))[:SHOWN_STEPS]
    found = {
        "capacity": device.sram_bytes,
        "fullest": [_step(network, plan, s) for s in fullest],
    }
    if plan.traffic_bytes == ask.problem.compulsory_bytes:
        return {"rules": [], "banks_bytes": 0, "placement_bytes": 0, "prices": [], **found}
    base = ask.base
    rules = {
        "capacity": one_more["saved_dram_bytes"],
        "banks": _less(ask.without_banks(), base),
        "placement": plan.traffic_bytes - base.levels["traffic"] if base.proof is Proof.EXACT else None,
    }
    return {
        "rules": [name for name, saved in rules.items() if saved],
        "banks_bytes": rules["banks"],
        "placement_bytes": rules["placement"],
        "prices": [_price(network, plan, p) for p in ask.capacity_prices()[:SHOWN_STEPS]],
        **found,
    }


def _less(answer: Answer, base: Answer) -> int | None:
    """Bytes that an answer is below the base, if both are known."""
    if answer.proof is not Proof.EXACT or "traffic" not in base.levels:
        return None
    return base.levels["traffic"] - answer.levels["traffic"]


def _price(network: Network, plan: Plan, price: CapacityPrice) -> dict[str, Any]:
    """A price, and the plan's segment with that group."""
    step = next(s for s, segment in enumerate(plan.segments) if segment.first <= price.group <= segment.last)
    return {
        "rule": price.rule,
        "behind": network.groups[price.group].name,
        "segment": step,
        "dram_bytes_per_byte": round(price.dram_bytes_per_byte, 4),
    }


def _step(network: Network, plan: Plan, step: int) -> dict[str, Any]:
    """What is held while a segment runs, the largest first."""
    live = sorted((b for b in plan.buffers if b.first_step <= step <= b.last_step), key=lambda b: -b.size_bytes)
    segment = plan.segments[step]
    return {
        "segment": step,
        "groups": [network.groups[i].name for i in range(segment.first, segment.last + 1)],
        "held_bytes": plan.held_bytes(step),
        "largest": [_buffer(b) for b in live[:SHOWN_BUFFERS]],
    }


def _buffer(b: Buffer) -> dict[str, Any]:
    return {
        "content": b.content,
        "role": b.role.value,
        "bytes": b.size_bytes,
        "rows": b.rows if b.role in (Role.RING, Role.INPUT, Role.OUTPUT) else None,
        "offset": b.offset,
        "segments": [b.first_step, b.last_step],
    }


def _one_more(ask: WhatIf, network: Network, device: Device, plan: Plan, seed: int) -> dict[str, Any]:
    """The plan for a scratchpad of one more MiB."""
    larger, seconds = device.with_sram(device.sram_bytes + MIB), max(0.1, ask.seconds_left * MORE_SHARE)
    found = make_plan(network, larger, time_limit_s=seconds, seed=seed).certificate
    levels, own = {o.name: o for o in found.objectives}, {o.name: o.value for o in plan.certificate.objectives}
    return {
        "sram_bytes": larger.sram_bytes,
        "status": str(levels["traffic"].status),
        "saved_dram_bytes": own["traffic"] - levels["traffic"].value,
        "saved_dram_bytes_at_most": own["traffic"] - levels["traffic"].bound,
        "saved_cycles": own["cycles"] - levels["cycles"].value,
    }


def _fusions(ask: WhatIf, network: Network, plan: Plan) -> list[dict[str, Any]]:
    """Each boundary between segments: why the groups on both sides do not run as one; what most DRAM bytes cross first."""
    judged = [judge(ask.problem, s.last) for s in plan.segments[:-1]]
    found = [_fusion(network, plan, f) for f in judged]
    order = sorted(range(len(found)), key=lambda i: -found[i]["crossing_bytes"])
    for i in order:
        if judged[i].verdict is Verdict.POSSIBLE:
            answer = ask.answer(Demand(together=frozenset({judged[i].group})), FIRST)
            found[i] |= {"proof": str(answer.proof), **_costs(answer.more(ask.base))}
    return [found[i] for i in order]


def _fusion(network: Network, plan: Plan, fusion: Fusion) -> dict[str, Any]:
    step = next(s for s, segment in enumerate(plan.segments) if segment.last == fusion.group)
    between = {n for g in network.groups[plan.segments[step].first : fusion.group + 1] for n in g.writes}
    behind = plan.segments[step + 1]
    read = {n for g in network.groups[behind.first : behind.last + 1] for n in g.reads}
    crossing = sum(t.size_bytes for t in plan.transfers if t.tensor in between & read)
    return {
        "front": network.groups[fusion.group].name,
        "behind": network.groups[fusion.group + 1].name,
        "verdict": str(fusion.verdict),
        "need_bytes": fusion.need_bytes,
        "apart_bytes": fusion.apart_bytes,
        "crossing_bytes": crossing,
        "proof": None,
        "dram_bytes": None,
        "cycles": None,
    }
