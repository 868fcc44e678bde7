"""Which region of DRAM an access belongs to: one answer for the simulator and for what the RTL moved."""

from sfopt.errors import SimulationFault
from sfopt_fpga.maps import Region
from sfopt_fpga.sequencer import Step

__all__ = ["RegionMap"]


class RegionMap:
    """The regions of a program, by address and instruction."""

    def __init__(self, regions: tuple[Region, ...]) -> None:
        self.regions = regions
        self._last: dict[int, int] = {}
        """Word -> the region that it touched last: mostly the one that it touches next."""

    def index(self, step: Step, address: int, size_bytes: int) -> int:
        """Index of the region that holds the whole access and is alive at this instruction. Raises SimulationFault without one."""
        end = address + size_bytes
        known = self._last.get(step.word)
        if known is not None and self.regions[known].offset <= address and end <= self.regions[known].end:
            return known
        alive = [i for i, r in enumerate(self.regions) if r.first_word <= step.word <= r.last_word]
        for index in alive:
            if self.regions[index].offset <= address and end <= self.regions[index].end:
                self._last[step.word] = index
                return index
        raise self._outside(step, address, end, [self.regions[i] for i in alive])

    def _outside(self, step: Step, address: int, end: int, alive: list[Region]) -> SimulationFault:
        where = f"DRAM {address:#x}..{end:#x}"
        for region in alive:
            if region.offset < end and address < region.end:
                return step.fault(f"{where} leaves region `{region.name}` at {region.offset:#x}..{region.end:#x}")
        return step.fault(f"{where} is in no region")
