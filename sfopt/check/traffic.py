"""Rules 7 and 8: what moves between DRAM and scratchpad, and where in DRAM it lies."""

from collections.abc import Iterator, Mapping

from sfopt import cost
from sfopt.check.placement import Span, require_apart
from sfopt.check.require import require
from sfopt.check.view import View
from sfopt.plan import Category, Transfer, WeightMode

__all__ = ["Key", "check_dram", "check_traffic", "dram_lives", "expected_transfers"]

DRAM_ALIGNMENT_BYTES = 64

Key = tuple[int, str, str]
"""Step, tensor or constant block, "read" or "write"."""


def check_traffic(view: View) -> Mapping[Key, Transfer]:
    """Rule 7: the plan's transfers are those that follow from its segments and buffers. Returns these."""
    expected = {_key(t): t for t in expected_transfers(view)}
    claimed = {_key(t): t for t in view.plan.transfers}
    require(len(claimed) == len(view.plan.transfers), 7, "two transfers share segment, tensor and direction")
    for key in sorted(expected.keys() | claimed.keys()):
        want, have = expected.get(key), claimed.get(key)
        what = f"segment {key[0]} {key[2]} of `{key[1]}`"
        require(have is not None, 7, f"{what} is missing, needs {want and want.size_bytes} bytes")
        require(want is not None, 7, f"{what} is not needed, plan moves {have and have.size_bytes} bytes")
        require(want == have, 7, f"{what} is {have}, needs {want}")
    return expected


def _key(t: Transfer) -> Key:
    return t.segment, t.tensor, t.direction


def expected_transfers(view: View) -> Iterator[Transfer]:
    """What rule 7 asks for, segment by segment."""
    network = view.network
    for step, s in enumerate(view.plan.segments):
        for direction, tensors in (("read", view.loads(step)), ("write", view.stores(step))):
            for n in tensors:
                times = view.times_read(step, n) if direction == "read" and n in view.fed[step] and s.runs else 1
                size_bytes, shortcut = network.maps[n].size_bytes * times, n in network.shortcuts
                yield Transfer(step, n, direction, size_bytes, _category(view, n), shortcut)
        for run in s.runs:
            for block in cost.constants(network, network.groups[run.group], folded=False):
                again = run.weight_mode is WeightMode.REREAD and block.name.endswith(".weights")
                times = s.bands if again else 1
                yield Transfer(step, block.name, "read", block.size_bytes * times, Category.WEIGHTS)


def _category(view: View, tensor: str) -> Category:
    if tensor in view.network.inputs:
        return Category.INPUTS
    return Category.OUTPUTS if tensor in view.network.outputs else Category.FEATURE_MAPS


def check_dram(view: View) -> None:
    """Rule 8: a region for every map in DRAM while it is needed there, aligned and apart."""
    regions, needed = {r.tensor: r for r in view.plan.dram}, dram_lives(view)
    require(len(regions) == len(view.plan.dram), 8, "two DRAM regions share one tensor")
    differing = sorted(regions.keys() ^ needed.keys())
    require(not differing, 8, f"DRAM regions differ from the maps in DRAM: {differing}")
    for name, r in regions.items():
        where, size_bytes, life = f"DRAM region `{name}`", view.network.maps[name].size_bytes, needed[name]
        require(r.size_bytes == size_bytes, 8, f"{where} has {r.size_bytes} bytes, needs {size_bytes}")
        aligned = r.offset >= 0 and r.offset % DRAM_ALIGNMENT_BYTES == 0
        require(aligned, 8, f"{where} is at {r.offset}, needs a multiple of {DRAM_ALIGNMENT_BYTES}")
        lives = (r.first_step, r.last_step) == life
        require(lives, 8, f"{where} lives {r.first_step}..{r.last_step}, needs {life[0]}..{life[1]}")
    spans = (Span(r.offset, r.offset + r.size_bytes, r.tensor, r.first_step, r.last_step) for r in view.plan.dram)
    require_apart(spans, 8)


def dram_lives(view: View) -> Mapping[str, tuple[int, int]]:
    """Steps at which each map in DRAM is needed there."""
    end = len(view.plan.segments) - 1
    lives = {name: (view.makers.get(name, 0), view.makers.get(name, 0)) for name in view.in_dram}
    for step in range(end + 1):
        for name in view.loads(step):
            lives[name] = (lives[name][0], step)
    return {n: (first, end if n in view.network.outputs else last) for n, (first, last) in lives.items()}
