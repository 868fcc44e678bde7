"""Data: one planning problem, with everything that the programs and the heuristics need worked out once."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from sfopt.allocate.options import Option, can_be_resident, enumerate_options
from sfopt.allocate.switches import Switches
from sfopt.cost import constant_bytes, dma_cycles, map_row_bytes
from sfopt.device import Device
from sfopt.errors import InfeasibleError
from sfopt.groups import Group, Kind, Network
from sfopt.plan import Role
from sfopt.units import format_bytes

__all__ = ["Choice", "Problem"]


@dataclass(frozen=True)
class Choice:
    """One option per accelerator group, with residency to match."""

    options: Mapping[int, Option]
    resident: frozenset[str]


@dataclass(frozen=True)
class Problem:
    """A network, a device, and every option of every group. Step = group index."""

    network: Network
    device: Device
    options: Mapping[int, tuple[Option, ...]]

    @staticmethod
    def build(network: Network, device: Device, switches: Switches) -> "Problem":
        """Enumerate options; raises InfeasibleError naming a group that cannot run on this device in any way."""
        options = dict[int, tuple[Option, ...]]()
        for group in network.groups:
            if group.kind is not Kind.HOST:
                options[group.index] = enumerate_options(network, group, device, switches)
                if not any(not o.resident for o in options[group.index]):
                    raise InfeasibleError(_why_nothing_fits(network, group, device, switches))
        return Problem(network, device, options)

    @cached_property
    def free_maps(self) -> tuple[str, ...]:
        """Maps whose residency is to be decided."""
        return tuple(m for m in self.network.maps if can_be_resident(self.network, m))

    @cached_property
    def live(self) -> Mapping[str, tuple[int, int]]:
        """First and last step of each free map while resident."""
        readers, producers = self.network.readers, self.network.producers
        return {m: (producers.get(m, readers[m][0]), readers[m][-1]) for m in self.free_maps}

    @cached_property
    def map_bytes(self) -> Mapping[str, int]:
        """Scratchpad bytes of each map held whole."""
        return {m: f.height * map_row_bytes(f, self.device) for m, f in self.network.maps.items()}

    @cached_property
    def constant_traffic(self) -> int:
        """Bytes that every plan moves for constants."""
        return constant_bytes(self.network)

    @cached_property
    def host_cycles(self) -> int:
        """Cycles of the transfers of HOST groups; the same in every plan."""
        hosts = [g for g in self.network.groups if g.kind is Kind.HOST]
        return sum(
            dma_cycles(self.network.maps[m].size_bytes, self.device) for g in hosts for m in (*g.reads, *g.writes)
        )

    def map_traffic(self, tensor: str, *, resident: bool) -> int:
        """Bytes moved for one map: dense size, times one write unless it is an input, and one read per reader unless resident."""
        source, sink = tensor in self.network.inputs, tensor in self.network.outputs
        moves = int(source) + int(sink) if resident else int(not source) + len(self.network.readers[tensor])
        return moves * self.network.maps[tensor].size_bytes

    def traffic(self, choice: Choice) -> int:
        """DRAM bytes of a choice."""
        maps = sum(self.map_traffic(m, resident=m in choice.resident) for m in self.network.maps)
        return self.constant_traffic + maps + sum(o.reread_bytes for o in choice.options.values())

    def cycles(self, choice: Choice) -> int:
        """Modelled cycles of a choice: exposed + max(compute, DMA behind it), step by step."""
        total = self.host_cycles
        for step, option in choice.options.items():
            following = choice.options.get(step + 1)
            behind = option.behind + (following.ahead if following else 0)
            total += option.exposed + max(option.compute, behind)
        return total


def _why_nothing_fits(network: Network, group: Group, device: Device, switches: Switches) -> str:
    """The least need of a group that streams all its maps, on a device whose scratchpad is never too small."""
    factor = 1
    while True:
        larger = enumerate_options(network, group, _with_banks(device, device.banks * factor), switches)
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
