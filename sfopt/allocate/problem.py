"""Data: one planning problem, with everything that the programs and the heuristics need worked out once."""

from collections.abc import Mapping, Set
from copy import copy
from dataclasses import dataclass, field, replace
from functools import cached_property

from sfopt.allocate.demand import Demand
from sfopt.allocate.options import Edge, Key, Option, can_be_resident
from sfopt.allocate.rereads import RereadOptions
from sfopt.allocate.segments import UNLIMITED, SegmentOptions
from sfopt.allocate.singles import single_options
from sfopt.allocate.switches import Switches
from sfopt.cost import Moved, constants, dma_cycles, map_row_bytes
from sfopt.device import Device
from sfopt.errors import InfeasibleError
from sfopt.groups import Group, Kind, Network
from sfopt.plan import Role
from sfopt.units import format_bytes

__all__ = ["Choice", "Problem"]


@dataclass(frozen=True)
class Choice:
    """One option for each segment, by its first group, with residency to match. HOST groups have none."""

    options: Mapping[int, Option]
    resident: frozenset[str]
    ends: Mapping[str, int] = field(default_factory=dict)
    """Resident map -> the last reader that sees it resident, where that is not its last reader: those behind read it back."""
    in_place: frozenset[Edge] = frozenset()
    """Groups with a resident operand that ends there and gives its place to their resident output."""


@dataclass(frozen=True)
class Problem:
    """A network, a device, and every option of every group alone. Options of several groups are made on demand: they are many."""

    network: Network
    device: Device
    switches: Switches
    demand: Demand = field(default_factory=Demand)

    @staticmethod
    def build(network: Network, device: Device, switches: Switches) -> "Problem":
        """The problem; without segments, raises InfeasibleError naming a group that cannot run on this device on its own."""
        problem = Problem(network, device, switches)
        if not switches.segments and problem.misfit is not None:
            raise InfeasibleError(problem.misfit)
        return problem

    def demanding(self, demand: Demand) -> "Problem":
        """The same problem with a demand, which none of what has been worked out depends on."""
        same = copy(self)
        object.__setattr__(same, "demand", demand)
        return same

    def stays_inside(self, option: Option, tensor: str) -> bool:
        """Whether an option holds every group that touches a map."""
        return option.first <= self.live[tensor][0] and self.live[tensor][1] <= option.last

    @cached_property
    def misfit(self) -> str | None:
        """Why some group cannot run on its own in any way (it may in a segment, beside a ring); None if each can."""
        streaming = {o.first for o in self.lean_singles if not o.resident}
        for group in self.network.groups:
            if group.kind is not Kind.HOST and group.index not in streaming:
                return _why_nothing_fits(self.network, group, self.device, self.switches)
        return None

    @cached_property
    def singles(self) -> Mapping[int, tuple[Option, ...]]:
        """All options of each group alone that the heuristics choose from: no input is read again, no operand's place taken."""
        groups = (g for g in self.network.groups if g.kind is not Kind.HOST)
        switches = replace(self.switches, reread_inputs=False, in_place=False, side_by_side=False)
        return {g.index: single_options(self.network, g, self.device, switches) for g in groups}

    @cached_property
    def lean_singles(self) -> tuple[Option, ...]:
        """Those of them that matter where cycles do not."""
        return tuple(
            o
            for g in self.network.groups
            for o in single_options(self.network, g, self.device, self.switches, lean=True)
        )

    @cached_property
    def segments(self) -> SegmentOptions:
        """Options of several groups."""
        return SegmentOptions(self.network, self.device, side_by_side=self.switches.side_by_side)

    @cached_property
    def rereads(self) -> RereadOptions:
        """Options of several groups, some of which read their weights again."""
        return RereadOptions(self.segments)

    def lean(self, budget_bytes: int = UNLIMITED) -> tuple[Option, ...]:
        """The options that matter where cycles do not, and that move at most so many bytes beyond the compulsory ones."""
        alone = (o for o in self.lean_singles if self.excess_bytes(o) <= budget_bytes)
        joined = self.segments.lean(budget_bytes) if self.switches.segments else ()
        return (*alone, *joined, *(self.rereads.lean(budget_bytes) if self._rereads_weights(budget_bytes) else ()))

    def full(self, keys: Set[Key] | None, budget_bytes: int = UNLIMITED) -> tuple[Option, ...]:
        """All options, or all of certain keys, that move at most so many bytes beyond the compulsory ones."""
        alone = (
            o for g in self.network.groups for o in single_options(self.network, g, self.device, self.switches, keys)
        )
        joined = self.segments.full(keys) if self.switches.segments else ()
        again = self.rereads.full(keys) if self._rereads_weights(budget_bytes) else ()
        return tuple(o for o in (*alone, *joined, *again) if self.excess_bytes(o) <= budget_bytes)

    def _rereads_weights(self, budget_bytes: int) -> bool:
        return self.switches.segments and self.switches.reread_weights and budget_bytes > 0

    @cached_property
    def free_maps(self) -> tuple[str, ...]:
        """Maps whose residency is to be decided."""
        return tuple(m for m in self.network.maps if can_be_resident(self.network, m))

    @cached_property
    def live(self) -> Mapping[str, tuple[int, int]]:
        """First and last group of each free map's life while resident, if it does not end early."""
        readers, producers = self.network.readers, self.network.producers
        return {m: (producers.get(m, readers[m][0]), readers[m][-1]) for m in self.free_maps}

    def life(self, choice: Choice, tensor: str) -> tuple[int, int]:
        """First and last group of a resident map's life in a choice."""
        born, dies = self.live[tensor]
        return born, choice.ends.get(tensor, dies)

    def reads_or_writes(self, tensor: str, group: int) -> int:
        """The first group from `group` on that reads or writes a map."""
        touching = (self.network.producers.get(tensor, -1), *self.network.readers[tensor])
        return next(g for g in touching if g >= group)

    @cached_property
    def map_bytes(self) -> Mapping[str, int]:
        """Scratchpad bytes of each map held whole."""
        return {m: f.height * map_row_bytes(f, self.device) for m, f in self.network.maps.items()}

    @cached_property
    def hosts(self) -> tuple[Group, ...]:
        """Groups that run on the host."""
        return tuple(g for g in self.network.groups if g.kind is Kind.HOST)

    @cached_property
    def host_cycles(self) -> int:
        """Cycles of the transfers of HOST groups; the same in every plan."""
        return sum(self._move_cycles(m, reading=m in g.reads) for g in self.hosts for m in (*g.reads, *g.writes))

    def _move_cycles(self, tensor: str, *, reading: bool) -> int:
        """Cycles of moving a map at once."""
        return dma_cycles(Moved.whole(self.network.maps[tensor], self.device), self.device, reading=reading)

    @cached_property
    def host_traffic(self) -> int:
        """DRAM bytes of HOST groups; the same in every plan."""
        return sum(self.network.maps[m].size_bytes for g in self.hosts for m in (*g.reads, *g.writes))

    @cached_property
    def compulsory(self) -> Mapping[int, int]:
        """Group -> bytes that it moves in any plan: constants once, first read of network inputs, network outputs; HOST: 0."""
        network = self.network
        table = {g.index: sum(c.size_bytes for c in constants(network, g, folded=False)) for g in network.groups}
        first_reads = ((network.readers[m][0], m) for m in network.inputs)
        for g, m in (*first_reads, *((network.producers[m], m) for m in network.outputs)):
            if network.groups[g].kind is not Kind.HOST:
                table[g] += network.maps[m].size_bytes
        return table

    @cached_property
    def compulsory_bytes(self) -> int:
        """Bytes that any plan moves, those of HOST groups included."""
        return self.host_traffic + sum(self.compulsory.values())

    def excess_bytes(self, option: Option) -> int:
        """Bytes that an option moves beyond what is compulsory for its groups; never below 0."""
        return option.traffic_bytes - sum(self.compulsory[g] for g in range(option.first, option.last + 1))

    def tail_bytes(self, option: Option) -> int:
        """Bytes of resident maps that an option still holds in its step although their last reader is not its last group."""
        return sum(self.map_bytes[m] for m in option.resident if self.live[m][1] < option.last)

    def spans(self, choice: Choice) -> tuple[tuple[int, int], ...]:
        """First and last group of each segment that a (perhaps partial) choice has, in order, and of all HOST groups."""
        hosts = ((g.index, g.index) for g in self.hosts)
        return tuple(sorted([*((o.first, o.last) for o in choice.options.values()), *hosts]))

    def map_traffic(self, tensor: str, *, resident: bool) -> int:
        """Bytes moved for one map if groups run alone: one write unless it is an input, one read per reader unless resident."""
        source, sink = tensor in self.network.inputs, tensor in self.network.outputs
        moves = int(source) + int(sink) if resident else int(not source) + len(self.network.readers[tensor])
        return moves * self.network.maps[tensor].size_bytes

    def is_stored_at_end(self, tensor: str) -> bool:
        """Whether a map that ends early must be stored for that alone: network inputs and outputs are in DRAM anyway."""
        return tensor not in self.network.inputs and tensor not in self.network.outputs

    def stored_early(self, choice: Choice) -> tuple[str, ...]:
        """Maps that a choice stores because they end early, in addition to what its options move."""
        return tuple(m for m in choice.ends if self.is_stored_at_end(m))

    def traffic(self, choice: Choice) -> int:
        """DRAM bytes of a choice."""
        moved = sum(o.traffic_bytes for o in choice.options.values())
        return self.host_traffic + moved + sum(self.network.maps[m].size_bytes for m in self.stored_early(choice))

    def cycles(self, choice: Choice) -> int:
        """Modelled cycles of a choice: exposed + max(compute, DMA behind it), step by step."""
        total = self.host_cycles + sum(self._move_cycles(m, reading=False) for m in self.stored_early(choice))
        for option in choice.options.values():
            following = choice.options.get(option.last + 1)
            behind = option.behind + (following.ahead if following else 0)
            total += option.exposed + max(option.compute, behind)
        return total


def _why_nothing_fits(network: Network, group: Group, device: Device, switches: Switches) -> str:
    """The least need of a group that streams all its maps, on a device whose scratchpad is never too small."""
    factor = 1
    while True:
        larger = single_options(network, group, _with_banks(device, device.banks * factor), switches)
        needs = [max(o.floor_bytes, o.own_bytes) for o in larger if not o.resident]
        if needs:
            break
        factor *= 2
    option = min((o for o in larger if not o.resident), key=lambda o: max(o.floor_bytes, o.own_bytes))
    need, have = max(option.floor_bytes, option.own_bytes), device.sram_bytes
    block = max(option.blocks, key=lambda b: b.size_bytes)
    tensor = f"{block.content}.weights" if block.role is Role.WEIGHTS else block.content
    what = f"group `{group.name}` needs {format_bytes(need)} at least (most of it for `{tensor}`)"
    if block.size_bytes > have:
        what, need = f"tensor `{tensor}` needs {format_bytes(block.size_bytes)}", block.size_bytes
    return f"{what}, scratchpad has {format_bytes(have)}, short by {format_bytes(need - have)}"


def _with_banks(device: Device, banks: int) -> Device:
    return replace(device, banks=banks)
