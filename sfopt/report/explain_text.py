"""What `sfopt explain` prints: lines made of the explanation's data."""

from collections.abc import Mapping, Sequence
from typing import Any

from sfopt.units import format_bytes

__all__ = ["infeasible_lines", "plan_lines", "tensor_lines"]

Facts = Mapping[str, Any]
SHOWN = 15
"""Lines of a table, unless all are asked for."""
_HEADER = ("tensor", "bytes", "where", "instead", "DRAM bytes", "cycles", "")
_PROOF = {
    "exact": "",
    "at least": "at least: time ran out",
    "impossible": "no plan, proven",
    "unknown": "not asked: time ran out",
}
_RULES = {
    "capacity": "the scratchpad's size",
    "banks": "bank conflicts",
    "placement": "addresses (no placement as low as the capacity allows)",
}
_VERDICT = {
    "host": "one of them runs on the host",
    "apart": "no segment can hold both: rows cannot flow from one to the other at whole rates, or one needs all rows first",
    "unrelated": "neither reads what the other makes",
}


def plan_lines(facts: Facts, *, every: bool) -> list[str]:
    """What binds, what one more MiB buys, the tensors with what the opposite costs, the fusions that were declined."""
    return [
        *_binding_lines(facts),
        _one_more_line(facts["one_more_mib"]),
        "",
        "tensors   what the opposite costs: the choice program solved again with it demanded, less its own optimum",
        *_table(_HEADER, [_tensor_row(t) for t in facts["tensors"]], every=every),
        "",
        "fusions   boundaries between segments, and what one segment with the groups on both sides would cost",
        *_cut([_fusion_line(f) for f in facts["fusions"]], every=every),
        "",
    ]


def tensor_lines(facts: Facts) -> list[str]:
    """One tensor in depth."""
    made = f"made by `{facts['producer']}`" if facts["producer"] else "network input"
    readers = ", ".join(f"`{r}`" for r in facts["readers"]) or "nobody"
    rows, columns, channels = facts["shape"]
    kind = "shortcut" if facts["shortcut"] else "tensor"
    size = f"{rows} x {columns} x {channels}, {facts['bytes']} bytes, {facts['scratchpad_bytes']} in the scratchpad"
    lines = [
        f"{kind:9s} {facts['name']}: {size}; {made}, read by {readers}",
        f"where     {facts['place']}: {facts['why']}",
    ]
    for b in facts["buffers"]:
        when = " to ".join(map(str, dict.fromkeys(b["segments"])))
        rows_text = f", {b['rows']} rows" if b["rows"] else ""
        lines.append(f"buffer    {b['role']} at {b['offset']}, {b['bytes']} bytes{rows_text}, segment {when}")
    lines += [f"moves     {t['direction']} {t['bytes']} bytes in segment {t['segment']}" for t in facts["transfers"]]
    if facts["crowded"] is not None:
        lines.append(f"crowded   {_crowded_text(facts)}")
    if facts["instead"] is None:
        return [*lines, "instead   nothing to decide: it is read once, or the host needs it"]
    placed = {**facts["placed"], "instead": facts["instead"]}
    return [
        *lines,
        f"instead   {_cost_text(facts)} before placement",
        f"          {_cost_text(placed)} with addresses, against this plan",
    ]


def infeasible_lines(facts: Facts) -> list[str]:
    """How much is missing, and for what."""
    smallest, step = facts["smallest"], facts["smallest"]["step"]
    if smallest["works"] is None:
        return [f"smallest  none found in time; no plan up to {smallest['fails']} bytes, proven"]
    below = smallest["works"] - step
    proof = (
        f"{below} have no plan, proven"
        if smallest["proven"]
        else f"a bound: up to {smallest['fails']} bytes have no plan, proven; time ran out in between"
    )
    size = format_bytes(smallest["works"])
    fullest = facts["fullest"]
    return [
        f"smallest  {smallest['works']} bytes ({size}) of scratchpad have a plan; {proof}",
        f"short     {facts['short_bytes']} bytes: the request has {facts['sram_bytes']}",
        f"fullest   segment {fullest['segment']} ({_groups(fullest)}) holds {fullest['held_bytes']} bytes there:",
        *(f"          {_buffer_text(b)}" for b in fullest["largest"]),
    ]


def _binding_lines(facts: Facts) -> list[str]:
    above, binding = facts["traffic"] - facts["compulsory"], facts["binding"]
    lines = [f"binds     nothing: traffic is {facts['traffic']} bytes, the compulsory ones, and no plan has less"]
    if above:
        rules = ", ".join(_RULES[rule] for rule in binding["rules"]) or "not known"
        lines = [
            f"binds     {rules}; traffic is {facts['traffic']} bytes, {above} above the compulsory {facts['compulsory']}"
        ]
        if binding["banks_bytes"] is not None and binding["placement_bytes"] is not None:
            banks, placement = binding["banks_bytes"], binding["placement_bytes"]
            lines.append(f"          operands in banks of their own cost {banks} bytes of it, addresses {placement}")
    for price in binding["prices"]:
        worth = f"{price['dram_bytes_per_byte']:g} DRAM bytes by the linear relaxation's prices"
        lines.append(f"price     a byte more of scratchpad behind `{price['behind']}` alone is worth {worth}")
    for step in binding["fullest"]:
        held = f"segment {step['segment']} ({_groups(step)}) holds {step['held_bytes']} of {binding['capacity']} bytes"
        lines.append(f"fullest   {held}: {', '.join(_buffer_text(b) for b in step['largest'])}")
    for tensor in facts["tensors"]:
        if tensor["crowded"] is not None:
            lines.append(f"spilled   {_crowded_text(tensor)}")
    return lines


def _crowded_text(tensor: Facts) -> str:
    crowded = tensor["crowded"]
    need = f"beside `{crowded['group']}` alone needs {crowded['need_bytes']} bytes"
    if crowded["short_bytes"]:
        return f"keeping `{tensor['name']}` {need}, short by {crowded['short_bytes']}"
    return f"keeping `{tensor['name']}` {need}, which is there; other maps have the room"


def _one_more_line(more: Facts) -> str:
    saved, status = more["saved_dram_bytes"], more["status"]
    most = more["saved_dram_bytes_at_most"]
    doubt = "" if most == saved else f", at most {most}"
    return f"1 MiB     more would save {saved} DRAM bytes{doubt} and {more['saved_cycles']} cycles ({status})"


def _tensor_row(tensor: Facts) -> tuple[str, ...]:
    costs = [f"{tensor[key]:+d}" if tensor[key] is not None else "" for key in ("dram_bytes", "cycles")]
    proof = _PROOF[tensor["proof"]] if tensor["instead"] else "nothing to decide"
    return tensor["name"], str(tensor["bytes"]), tensor["place"], tensor["instead"] or "", *costs, proof


def _fusion_line(fusion: Facts) -> str:
    pair = f"`{fusion['front']}` and `{fusion['behind']}`"
    moved = f", {fusion['crossing_bytes']} DRAM bytes between their segments" if fusion["crossing_bytes"] else ""
    return f"          {pair}{moved}: {_verdict(fusion)}"


def _verdict(fusion: Facts) -> str:
    need, apart = fusion["need_bytes"], fusion["apart_bytes"]
    if fusion["verdict"] == "too large":
        return f"rings and constants of the two need {need} bytes, more than the scratchpad"
    if fusion["verdict"] == "no gain":
        return f"as one they need {need} bytes, one after the other with what is between held whole {apart}: no gain"
    if fusion["verdict"] != "possible":
        return _VERDICT[fusion["verdict"]]
    if fusion["proof"] == "impossible":
        return "possible by itself, but no choice with both in one segment fits"
    if fusion["dram_bytes"] is None:
        return _PROOF[fusion["proof"]]
    cycles = "" if fusion["cycles"] is None else f" and {fusion['cycles']:+d} cycles"
    least = "at least " if fusion["proof"] == "at least" else ""
    return f"{least}{fusion['dram_bytes']:+d} DRAM bytes{cycles}"


def _cost_text(facts: Facts) -> str:
    what = {"spill": "spilling it", "keep": "keeping it on-chip"}[facts["instead"]]
    if facts["proof"] == "impossible":
        return f"{what}: no plan, proven"
    if facts["dram_bytes"] is None:
        return f"{what}: not known, time ran out"
    least = "at least " if facts["proof"] == "at least" else ""
    cycles = "" if facts["cycles"] is None else f" and {facts['cycles']:+d} cycles"
    return f"{what}: {least}{facts['dram_bytes']:+d} DRAM bytes{cycles}"


def _buffer_text(b: Facts) -> str:
    rows = f" of {b['rows']} rows" if b["rows"] else ""
    return f"{b['role']}{rows} `{b['content']}` {b['bytes']}"


def _groups(step: Facts) -> str:
    return " to ".join(dict.fromkeys((step["groups"][0], step["groups"][-1])))


def _table(header: Sequence[str], rows: Sequence[Sequence[str]], *, every: bool) -> list[str]:
    """Aligned columns, numbers to the right."""
    widths = [max(len(row[i]) for row in (header, *rows)) for i in range(len(header))]
    right = {i for i, name in enumerate(header) if name in ("bytes", "DRAM bytes", "cycles")}

    def line(row: Sequence[str]) -> str:
        cells = (t.rjust(w) if i in right else t.ljust(w) for i, (t, w) in enumerate(zip(row, widths, strict=True)))
        return ("          " + "  ".join(cells)).rstrip()

    return [line(header), *_cut([line(row) for row in rows], every=every)]


def _cut(lines: list[str], *, every: bool) -> list[str]:
    left = len(lines) - SHOWN
    return lines if every or left <= 0 else [*lines[:SHOWN], f"          and {left} more: --all"]
