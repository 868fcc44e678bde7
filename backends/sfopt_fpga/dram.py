"""DRAM: one byte array behind a map of regions. Every access must lie in one region, and is counted there."""

from collections import Counter
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from sfopt.arithmetic.rounding import Int8Array
from sfopt_fpga.maps import Port
from sfopt_fpga.order import Access
from sfopt_fpga.program import DRAM_ALIGNMENT, Program
from sfopt_fpga.regions import RegionMap
from sfopt_fpga.sequencer import Step
from sfopt_fpga.shadow import Cells, Shadow

__all__ = ["Dram", "dram_image"]


class Dram:
    """Feature-map DRAM is watched in granules of 64 bytes: which region last wrote there, and by which instruction."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.data = dram_image(program)
        granules = -(-program.dram_bytes // DRAM_ALIGNMENT)
        self.owners = np.zeros(granules, np.int32)
        self.shadow = Shadow(f"DRAM granule of {DRAM_ALIGNMENT} bytes", granules)
        self.reads = Counter[str]()
        self.writes = Counter[str]()
        self.regions = RegionMap(program.regions)

    def read(self, access: Access, address: int, size_bytes: int) -> Int8Array:
        """Bytes for a LOAD."""
        region = self.regions.index(access.step, address, size_bytes)
        self.reads[self.program.regions[region].name] += size_bytes
        if address >= self.program.feature_base and size_bytes:
            cells = _granules(address, size_bytes)
            self.shadow.read(access, Cells(cells.start, 1, 1, cells.stop - cells.start))
            self._check_owner(access.step, region, address, size_bytes)
        return self.data[address : address + size_bytes]

    def write(self, access: Access, address: int, values: Int8Array) -> None:
        """Bytes of a STORE."""
        size = values.size
        if size and address < self.program.feature_base:
            raise access.step.fault(
                f"writes DRAM {address:#x}..{address + size:#x}, program and constants reach to {self.program.feature_base:#x}"
            )
        region = self.regions.index(access.step, address, size)
        entry = self.program.regions[region]
        if entry.category in ("weights", "inputs"):
            raise access.step.fault(f"writes region `{entry.name}` of {entry.category}")
        if size:
            cells = _granules(address, size)
            self.shadow.write(access, Cells(cells.start, 1, 1, cells.stop - cells.start))
            self.owners[cells] = region + 1
        self.writes[entry.name] += size
        self.data[address : address + size] = values

    def host_read(self, step: Step, port: Port, *, counted: bool = True) -> Int8Array:
        """A whole tensor, HWC, for the host; all engines are idle. The host's read of the outputs behind END is not traffic."""
        region = self.regions.index(step, port.offset, port.size_bytes)
        if counted:
            self.reads[self.program.regions[region].name] += port.size_bytes
        self._check_owner(step, region, port.offset, port.size_bytes)
        return self.data[port.offset : port.end].reshape(port.height, port.width, port.channels).copy()

    def host_write(self, step: Step, port: Port, values: npt.NDArray[np.int8], *, counted: bool = True) -> None:
        """A whole tensor from the host; the inputs written before the start are not traffic."""
        region = self.regions.index(step, port.offset, port.size_bytes)
        if counted:
            self.writes[self.program.regions[region].name] += port.size_bytes
        self.owners[_granules(port.offset, port.size_bytes)] = region + 1
        self.data[port.offset : port.end] = values.reshape(-1)

    def traffic(self) -> tuple[Mapping[str, int], Mapping[str, int]]:
        """Bytes read and written per region name."""
        return dict(self.reads), dict(self.writes)

    def _check_owner(self, step: Step, region: int, address: int, size_bytes: int) -> None:
        cells = _granules(address, size_bytes)
        wrong = self.owners[cells] != region + 1
        if not wrong.any():
            return
        cell = cells.start + int(wrong.argmax())
        owner = int(self.owners[cell])
        held = f"holds `{self.program.regions[owner - 1].name}`" if owner else "was never written"
        name = self.program.regions[region].name
        raise step.fault(f"reads `{name}` at DRAM {cell * DRAM_ALIGNMENT:#x}, which {held}")


def dram_image(program: Program, alignment: int = 1) -> Int8Array:
    """DRAM before a run: instructions, constants, zeros up to a multiple of `alignment`."""
    data = np.zeros(-(-program.dram_bytes // alignment) * alignment, np.int8)
    instructions = np.frombuffer(b"".join(program.words), np.int8)
    data[: len(instructions)] = instructions
    constants = np.frombuffer(program.constants, np.int8)
    data[program.constants_base : program.constants_base + len(constants)] = constants
    return data


def _granules(address: int, size_bytes: int) -> slice:
    return slice(address // DRAM_ALIGNMENT, -(-(address + size_bytes) // DRAM_ALIGNMENT))
