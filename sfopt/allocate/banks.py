"""Shortcut Mining's logical buffers: how many rows of which map are in banks while the groups run in order.

What a group leaves in its output buffer is the input buffer of the next; what is read later stays as a shortcut buffer. Before each
group the banks are dealt out:

1. the working set: constants, and rings for whatever operand is not on-chip whole. If the banks left do not suffice, maps give
   rows up: those that the group does not read first, the one read last before others;
2. the output: all of it if possible, else as many rows as fit the banks left. With `outputs_first`, shortcuts give rows up for it.

A row that was given up is in DRAM for good. Azizimazreah, Chen: Shortcut Mining, HPCA 2019.
"""

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass

from sfopt.allocate.one_by_one import fitting_options, pattern
from sfopt.allocate.options import Option
from sfopt.allocate.problem import Problem
from sfopt.allocate.static import preferred
from sfopt.plan import Role

__all__ = ["Mined", "mine"]


@dataclass(frozen=True)
class Mined:
    """What stays on-chip."""

    problem: Problem
    rows_at: Mapping[tuple[str, int], int]
    """(map, step that reads it) -> rows of it that are in banks then. A network input is loaded by its first reader."""

    @property
    def kept_rows(self) -> Mapping[str, int]:
        """Map -> rows that stay from its producer to its last reader."""
        readers = self.problem.network.readers
        return {m: self.rows_at.get((m, readers[m][-1]), 0) for m in self.problem.free_maps}

    @property
    def whole_maps(self) -> frozenset[str]:
        """Maps of which every row stays."""
        return frozenset(m for m, rows in self.kept_rows.items() if rows == self.problem.network.maps[m].height)

    def bytes_moved(self, tensor: str) -> int:
        """DRAM bytes of one map: rows given up before their last use are written, and read wherever they are missed."""
        network = self.problem.network
        fmap, readers = network.maps[tensor], network.readers[tensor]
        missed = [fmap.height - self.rows_at.get((tensor, step), 0) for step in readers]
        if tensor in network.inputs:
            rows = fmap.height + sum(missed[1:])
        else:
            rows = sum(missed) + (fmap.height if tensor in network.outputs else missed[-1])
        return rows * fmap.width * fmap.channels


def mine(problem: Problem, *, outputs_first: bool, whole: bool) -> Mined:
    """Deal out banks group by group. If `whole`, a map that cannot stay whole is not kept, and dealing starts again without it."""
    needs, barred = _Needs(problem), set[str]()
    while True:
        banks = _Banks(needs, barred, outputs_first=outputs_first, whole=whole)
        banks.run()
        if not (whole and banks.lost):
            return Mined(problem, banks.rows_at)
        barred.add(banks.lost[0])


class _Banks:
    def __init__(self, needs: "_Needs", barred: Container[str], *, outputs_first: bool, whole: bool) -> None:
        problem = needs.problem
        self.problem, self.needs, self.barred = problem, needs, barred
        self.outputs_first, self.whole = outputs_first, whole
        self.live, self.maps = problem.live, problem.network.maps
        self.row_bytes = {m: problem.map_bytes[m] // self.maps[m].height for m in problem.free_maps}
        self.rows = dict[str, int]()
        self.rows_at = dict[tuple[str, int], int]()
        self.lost = list[str]()

    def run(self) -> None:
        """Deal for every group; when maps must be whole, no further than where one is lost."""
        for step, group in enumerate(self.problem.network.groups):
            self.rows = {m: n for m, n in self.rows.items() if self.live[m][1] >= step}
            if step in self.problem.singles:
                self.make_room(step)
                for m in (*group.reads, group.output):
                    if self.is_new(step, m) and m not in self.barred:
                        self.admit(step, m)
            if self.whole and self.lost:
                return
            self.rows_at |= {(m, step): self.rows.get(m, 0) for m in group.reads}

    def is_new(self, step: int, tensor: str) -> bool:
        """Whether keeping a map may begin here: it is made, or loaded and read again later."""
        first, last = self.live.get(tensor, (-1, -1))
        return first == step and (last > step or tensor not in self.problem.network.inputs)

    def make_room(self, step: int) -> None:
        """Maps give rows up until the working set fits, or nothing is left to give."""
        while self.rows and (short := self.working(step, self.rows) - self.free()) > 0:
            self.give_up(max(self.rows, key=lambda m: self.last_resort(step, m)), short)

    def admit(self, step: int, tensor: str) -> None:
        """A map comes to life: it gets the banks that it can have."""
        reads = self.problem.network.groups[step].pieces
        shortcuts = [m for m in self.rows if all(m != p.tensor for p in reads)]
        while (short := self.short(step, tensor)) > 0:
            enough = not self.whole or sum(self.banks(m) for m in shortcuts) >= short
            if not (self.outputs_first and shortcuts and enough):
                break
            shortcut = max(shortcuts, key=lambda m: self.last_resort(step, m))
            self.give_up(shortcut, short)
            if shortcut not in self.rows:
                shortcuts.remove(shortcut)
        if short <= 0:
            self.rows[tensor] = self.maps[tensor].height
        elif not self.whole:
            left_bytes = (self.free() - self.working(step, self.rows)) * self.problem.device.bank_bytes
            rows = min(self.maps[tensor].height, left_bytes // self.row_bytes[tensor])
            self.rows |= {tensor: rows} if rows > 0 else {}

    def short(self, step: int, tensor: str) -> int:
        """Banks missing for all of a map beside the working set."""
        whole = self.whole_banks(self.problem.map_bytes[tensor])
        return whole + self.working(step, {**self.rows, tensor: self.maps[tensor].height}) - self.free()

    def give_up(self, tensor: str, banks: int) -> None:
        """Rows in at least this many banks go; all of the map if it must be whole."""
        left_bytes = 0 if self.whole else max(0, self.banks(tensor) - banks) * self.problem.device.bank_bytes
        rows = min(self.rows.pop(tensor), left_bytes // self.row_bytes[tensor])
        self.rows |= {tensor: rows} if rows > 0 else {}
        self.lost.append(tensor)

    def last_resort(self, step: int, tensor: str) -> tuple[bool, bool, int, int, str]:
        """Greatest for the map to give up first: not read now, not a primary input, read last, largest."""
        group = self.problem.network.groups[step]
        primary = any(tensor == p.tensor for p in group.pieces)
        return tensor not in group.reads, not primary, self.live[tensor][1], self.problem.map_bytes[tensor], tensor

    def free(self) -> int:
        """Banks that no map is in."""
        return self.problem.device.banks - sum(map(self.banks, self.rows))

    def banks(self, tensor: str) -> int:
        """Banks that a map is in."""
        return self.whole_banks(self.rows[tensor] * self.row_bytes[tensor])

    def whole_banks(self, size_bytes: int) -> int:
        """Banks that so many bytes fill or begin."""
        return -(-size_bytes // self.problem.device.bank_bytes)

    def working(self, step: int, rows: Mapping[str, int]) -> int:
        """Banks of a group's own blocks, given the rows on-chip."""
        return self.needs.of(step, (m for m, n in rows.items() if n == self.maps[m].height))


class _Needs:
    """Banks of each group's own blocks: every ring in banks of its own, the constants together."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.known = dict[tuple[int, frozenset[str]], int]()

    def of(self, step: int, resident: Iterable[str]) -> int:
        """Those of the option preferred. A pattern of operands that has no option is taken without its largest map."""
        operands = pattern(self.problem, step, resident)
        key = (step, operands)
        if key not in self.known:
            options = fitting_options(self.problem, step, operands)
            if options:
                self.known[key] = self.banks(min(options, key=preferred))
            else:
                largest = max(operands, key=lambda m: (self.problem.map_bytes[m], m))
                self.known[key] = self.of(step, operands - {largest})
        return self.known[key]

    def banks(self, option: Option) -> int:
        """Banks of one option's blocks."""
        rings = [b.size_bytes for b in option.blocks if b.role in (Role.INPUT, Role.OUTPUT)]
        return sum(-(-size // self.problem.device.bank_bytes) for size in (*rings, option.own_bytes - sum(rings)))
