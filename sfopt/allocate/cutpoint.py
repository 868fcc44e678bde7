"""ShortcutFusion's reuse-aware static allocation: a cut decides which groups run in row mode and which in frame mode.

Groups before the cut run in row mode: each streams rows in from DRAM and out to DRAM, shortcuts included, with its weights on-chip;
weights too large for that are streamed through the whole frame if that fits, else read again for every band. Groups behind it run
in frame mode with three buffers (`three_buffers`) and weights streamed once. A second cut returns to row mode: the original has one
where resolution rises again (a feature pyramid, YOLO); here every pair of cuts is tried on every network, the end being one of
them, because a weight tile of the last groups may not fit beside the buffers. The plan with the least DRAM traffic that fits wins,
then the one with the fewest cycles. A cut may be at any group; the original cuts between residual blocks. Both are in its favour.

Cuts are tried in the order of a lower bound, the traffic when every map that a range may hold is held; those whose bound is above
what has been found need not be tried.

Nguyen, Je, Nguyen, Ryu, Lee, Lee: ShortcutFusion, IEEE TCAS-I 2022, arXiv 2106.08167.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from heapq import heapify, heappop, heappush

from sfopt.allocate.cut_bounds import RangeBounds
from sfopt.allocate.first_fit import first_fit
from sfopt.allocate.modes import Around, Fitted, fit_step, frame_options, row_options
from sfopt.allocate.one_by_one import Placed, height, pattern, single_group_options
from sfopt.allocate.options import Option
from sfopt.allocate.problem import Choice, Problem
from sfopt.allocate.rectangles import held_rectangles, rectangles
from sfopt.allocate.static import order_by
from sfopt.allocate.three_buffers import Buffers, residents, seat_buffers
from sfopt.errors import InfeasibleError
from sfopt.groups import Kind
from sfopt.units import format_bytes

__all__ = ["Cut", "plan_by_cuts", "plan_range"]


@dataclass(frozen=True)
class Cut:
    """What runs in frame mode, in which buffers, and the plan that follows."""

    buffers: Buffers
    placed: Placed


def plan_by_cuts(problem: Problem) -> Cut:
    """The best cut. Raises InfeasibleError when no cut has a plan."""
    return _Cuts(problem).best()


def plan_range(problem: Problem, first: int, end: int) -> Cut | None:
    """Groups `first..end - 1` in frame mode, all others in row mode; None if that does not fit."""
    cuts = _Cuts(problem)
    return cuts.plan(first, end, cuts.residents(first, end))


class _Cuts:
    """The search over cuts of one problem. What one group does depends on little around it, so it is kept from cut to cut."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.groups = problem.network.groups
        self.bounds = RangeBounds(problem)
        self.patterns = {s: {o.resident for o in single_group_options(problem, s)} for s in problem.singles}
        self.fitted = dict[tuple[int, bool, frozenset[str], Around], Fitted | None]()

    def best(self) -> Cut:
        """The plan with the least (traffic, cycles) over all ranges, no range among them.

        The range with the least bound is looked at first: once to see what three buffers hold, which raises its bound, and, if
        it is the least again, to see whether that fits.
        """
        best = self.plan(0, 0, frozenset())
        waiting = list[tuple[int, int, int, frozenset[str] | None]]()
        waiting += [(bound, first, end, None) for bound, first, end in self.bounds.ranges()]
        heapify(waiting)
        while waiting:
            bound, first, end, resident = heappop(waiting)
            if best is not None and bound > self.key(best)[0]:
                break
            if resident is None:
                resident = self.residents(first, end)
                heappush(waiting, (self.bounds.traffic(first, end, resident), first, end, resident))
                continue
            found = self.plan(first, end, resident)
            if found is not None and (best is None or self.key(found) < self.key(best)):
                best = found
        if best is None:
            raise InfeasibleError(self.why())
        return best

    def key(self, found: Cut) -> tuple[int, int]:
        """Traffic, then cycles."""
        choice = found.placed.choice
        return self.problem.traffic(choice), self.problem.cycles(choice)

    def plan(self, first: int, end: int, resident: frozenset[str]) -> Cut | None:
        """Groups `first..end - 1` in frame mode, all others in row mode; None if that does not fit."""
        buffers = seat_buffers(self.problem, first, end, resident)
        if buffers is None:
            return None
        offsets, options = self.addresses(buffers), dict[int, Option]()
        for group in self.groups:
            if group.kind is Kind.HOST:
                continue
            found = self.fit(group.index, buffers, offsets)
            if found is None:
                return None
            options[group.index] = found.option
            offsets |= found.offsets
        choice = Choice(options, buffers.resident)
        layout = rectangles(self.problem, choice)
        return Cut(buffers, Placed(choice, layout, tuple(offsets[r.name] for r in layout.items)))

    def residents(self, first: int, end: int) -> frozenset[str]:
        """What stays on-chip. A group that has no option for what does of its operands gives up the largest of them."""
        barred = set[str]()
        while True:
            resident = residents(self.problem, first, end, barred)
            operands = {s: pattern(self.problem, s, resident) for s in self.patterns if first - 1 <= s < end}
            stuck = [held for s, held in operands.items() if held not in self.patterns[s]]
            if not stuck:
                return resident
            barred.add(max(stuck[0], key=lambda m: (self.problem.map_bytes[m], m)))

    def addresses(self, buffers: Buffers) -> dict[str, int]:
        """Rectangle name -> offset of everything that buffers hold or stage, and of the vectors right above them."""
        held = {m: buffers.offset(i) for m, i in buffers.held.items()}
        staged = {f"{step}:{m}": buffers.offset(i) for (step, m), i in buffers.staged.items()}
        layout = held_rectangles(self.problem, buffers.vectors)
        offsets = first_fit(layout, order_by("step", layout), self.problem.device.bank_bytes)
        vectors = {r.name: buffers.size_bytes + o for r, o in zip(layout.items, offsets, strict=True)}
        return held | staged | vectors

    def fit(self, step: int, buffers: Buffers, addresses: Mapping[str, int]) -> Fitted | None:
        """How one group runs beside buffers and vectors. In row mode, only the buffer that it writes for the range is there."""
        here = {m for m in buffers.resident if self.problem.live[m][0] <= step <= self.problem.live[m][1]}
        frame = buffers.first <= step < buffers.end
        if frame:
            base = buffers.size_bytes
        else:
            base = max((buffers.offset(i) + buffers.sizes[i] for m, i in buffers.held.items() if m in here), default=0)
        vectors = tuple(sorted((m, addresses[m]) for m in here & buffers.vectors))
        around = Around(base, vectors, frozenset(m for s, m in buffers.staged if s == step))
        operands = pattern(self.problem, step, here)
        key = (step, frame, operands, around)
        if key not in self.fitted:
            mode = frame_options if frame else row_options
            self.fitted[key] = fit_step(
                self.problem, step, mode(self.problem, step, operands), around, thorough=not frame
            )
        return self.fitted[key]

    def why(self) -> str:
        """The first group that has no row mode, and how little it could do with."""
        rows = {s: row_options(self.problem, s, ()) for s in self.patterns}
        step = next(s for s, o in rows.items() if fit_step(self.problem, s, o, Around(), thorough=True) is None)
        name, have = self.groups[step].name, self.problem.device.sram_bytes
        need = format_bytes(min(height(o) for o in rows[step]))
        return f"group `{name}` has no placement in row mode: needs {need} or more, scratchpad has {format_bytes(have)}"
