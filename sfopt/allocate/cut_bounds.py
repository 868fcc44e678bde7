"""Which ranges of groups could run in frame mode, and the least DRAM traffic that each could have: bounds for the search over cuts.

Scratchpad: a convolution's operands are in three different buffers, so the largest buffer is no smaller than the largest operand of
any convolution in the range, the second largest than the second largest, and so on; beside all three there are the constants.

Traffic: every map that the range may hold is held, and every group outside reads constants again as little as row mode can.
"""

from collections import Counter
from collections.abc import Iterable, Iterator

from sfopt.allocate.modes import row_options
from sfopt.allocate.one_by_one import reread_bytes, single_group_options
from sfopt.allocate.options import Option
from sfopt.allocate.problem import Problem
from sfopt.allocate.three_buffers import BUFFERS, frames, may_hold, staged_bytes
from sfopt.cost import constant_bytes
from sfopt.groups import Kind
from sfopt.plan import Role

__all__ = ["RangeBounds"]


class RangeBounds:
    """The bounds of one problem. A range is groups `first..end - 1`."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.total = len(problem.network.groups)
        self.again = [_least_reread(problem, s) for s in range(self.total)]
        self.needs = [_operand_bytes(problem, s) for s in range(self.total)]
        self.beside = [_constant_bytes(problem, s) for s in range(self.total)]
        self.spilled = sum(problem.map_traffic(m, resident=False) for m in problem.network.maps)

    def traffic(self, first: int, end: int, resident: Iterable[str]) -> int:
        """Least DRAM bytes with this range in frame mode and these maps resident."""
        outside = sum(self.again) - sum(self.again[first:end])
        return constant_bytes(self.problem.network) + self.spilled + outside - sum(map(self.saved, resident))

    def saved(self, tensor: str) -> int:
        """DRAM bytes that residency saves."""
        problem = self.problem
        return problem.map_traffic(tensor, resident=False) - problem.map_traffic(tensor, resident=True)

    def ranges(self) -> Iterator[tuple[int, int, int]]:
        """(least traffic, first, end) of each range that may fit."""
        for first in range(self.total):
            gain = Counter[int]()
            for m in may_hold(self.problem, first, self.total):
                gain[self.problem.live[m][1]] += self.saved(m)
            traffic, sizes, constants = self.traffic(first, first, ()), [0] * BUFFERS, 0
            for step in range(first, self.total):
                traffic -= self.again[step] + gain[step]
                sizes = [max(pair) for pair in zip(sizes, self.needs[step], strict=True)]
                constants = max(constants, self.beside[step])
                if sum(sizes) + constants > self.problem.device.sram_bytes:
                    break
                yield traffic, first, step + 1


def _least_reread(problem: Problem, step: int) -> int:
    """Fewest bytes that a group reads again in row mode, whatever is resident."""
    patterns = {o.resident for o in single_group_options(problem, step)}
    return min((reread_bytes(problem, row_options(problem, step, p)[0]) for p in patterns), default=0)


def _operand_bytes(problem: Problem, step: int) -> list[int]:
    """Bytes of a convolution's operands in whole banks, largest first; zeros for what needs no buffer."""
    group, bank_bytes = problem.network.groups[step], problem.device.bank_bytes
    if group.kind is not Kind.CONV:
        return [0] * BUFFERS
    held = [min(staged_bytes(problem, group, m), problem.map_bytes[m]) for m in frames(problem, group)]
    whole = sorted((-(-size // bank_bytes) * bank_bytes for size in held), reverse=True)
    return [*whole, *[0] * BUFFERS][:BUFFERS]


def _constant_bytes(problem: Problem, step: int) -> int:
    """Fewest bytes of constants that a convolution has on-chip in one band."""
    if problem.network.groups[step].kind is not Kind.CONV:
        return 0
    options = (o for o in single_group_options(problem, step) if o.bands == 1)
    return min((_constants(o) for o in options), default=problem.device.sram_bytes + 1)


def _constants(option: Option) -> int:
    return sum(b.size_bytes for b in option.blocks if b.role in (Role.WEIGHTS, Role.PARAMETERS))
