"""What cells of the UltraScale library take of a device."""

from collections import Counter
from dataclasses import dataclass

__all__ = ["XCKU115", "Resources", "resources"]

LUT_RAM = {
    "RAM32M": 4, "RAM32M16": 8, "RAM64M": 4, "RAM64M8": 8, "RAM32X16DR8": 8, "RAM64X8SW": 8,
    "RAM32X1S": 1, "RAM32X2S": 2, "RAM32X4S": 4, "RAM32X8S": 8, "RAM64X1S": 1, "RAM128X1S": 2, "RAM256X1S": 4, "RAM512X1S": 8,
    "RAM32X1D": 2, "RAM64X1D": 2, "RAM128X1D": 4, "RAM256X1D": 8, "SRL16E": 1, "SRLC16E": 1, "SRLC32E": 1,
}  # fmt: skip
"""LUTs of each cell of distributed RAM (UG974, UG574)."""
FLIP_FLOPS = frozenset({"FDRE", "FDSE", "FDCE", "FDPE"})
LUTS = frozenset({"LUT1", "LUT2", "LUT3", "LUT4", "LUT5", "LUT6", "INV"})
FREE = frozenset({"CARRY4", "CARRY8", "MUXF7", "MUXF8", "MUXF9", "GND", "VCC", "BUFG", "$scopeinfo"})
"""Beside the LUTs of a slice, or no cell at all."""


@dataclass(frozen=True)
class Resources:
    """LUTs (with those that are RAM, which also stand alone), flip-flops, DSP slices, halves of block RAMs (RAMB18)."""

    lut: float = 0
    lut_ram: float = 0
    ff: float = 0
    dsp: float = 0
    ramb18: float = 0

    def __add__(self, other: "Resources") -> "Resources":
        return Resources(*(getattr(self, f) + getattr(other, f) for f in self.__dataclass_fields__))

    def __mul__(self, times: float) -> "Resources":
        return Resources(*(getattr(self, f) * times for f in self.__dataclass_fields__))

    @property
    def ramb36(self) -> float:
        """Block RAMs of 36 Kib; two RAMB18 share one."""
        return self.ramb18 / 2

    def counts(self) -> dict[str, float]:
        """By name, as they are printed."""
        values = {
            "LUT": self.lut,
            "LUT as RAM": self.lut_ram,
            "FF": self.ff,
            "DSP48E2": self.dsp,
            "RAMB36": self.ramb36,
        }
        return {name: int(value) if value == int(value) else value for name, value in values.items()}


XCKU115 = Resources(lut=663_360, ff=1_326_720, dsp=5_520, ramb18=2 * 2_160)
"""DS890, Kintex UltraScale FPGA feature summary, KU115."""


def resources(cells: Counter[str]) -> Resources:
    """Of cells by type. An inverter counts as a LUT, and small LUTs do not share one: a placer does better.

    Raises ValueError for a cell that is not known, so that none goes uncounted.
    """
    found = {"lut": 0, "lut_ram": 0, "ff": 0, "dsp": 0, "ramb18": 0}
    for kind, number in cells.items():
        if kind in LUTS:
            found["lut"] += number
        elif kind in LUT_RAM:
            found["lut"] += number * LUT_RAM[kind]
            found["lut_ram"] += number * LUT_RAM[kind]
        elif kind in FLIP_FLOPS:
            found["ff"] += number
        elif kind == "DSP48E2":
            found["dsp"] += number
        elif kind in {"RAMB18E2", "RAMB36E2"}:
            found["ramb18"] += number if kind == "RAMB18E2" else 2 * number
        elif kind not in FREE:
            raise ValueError(f"cell `{kind}` is not in the table of resources")
    return Resources(**found)
