"""The longest combinational path of a mapped module, in cells: LUTs, CARRY4s, wide multiplexers, reads of distributed RAM, DSPs.

A path begins at a register, a block RAM, an input of the module or an output of a submodule, and ends likewise. With the
submodules' own paths (`Arcs`) it goes through their inputs and outputs, and so from module to module. Levels are no delays: a
CARRY4 of a chain takes a small part of what a LUT and its wire take, a DSP slice without registers some times as much.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from hierarchy import APART

__all__ = ["Arcs", "Levels", "Path", "longest_path", "module_arcs"]

Bit = Any  # a number, or "0", "1", "x" for a constant
Port = tuple[str, int]  # name and bit


class Levels(NamedTuple):
    """Cells of a path, all together first, so that the largest is the longest."""

    total: int = 0
    lut: int = 0
    carry: int = 0
    mux: int = 0
    ram: int = 0
    dsp: int = 0

    def plus(self, other: "Levels") -> "Levels":
        """Both, one behind the other."""
        return Levels(*(a + b for a, b in zip(self, other, strict=True)))

    def __str__(self) -> str:
        names = ("LUT", "CARRY4", "MUXF", "RAM read", "DSP")
        return " + ".join(f"{n} {name}" for n, name in zip(self[1:], names, strict=True) if n) or "a wire"


NOTHING, LUT, CARRY, MUX = Levels(), Levels(1, lut=1), Levels(1, carry=1), Levels(1, mux=1)
RAM, DSP = Levels(1, ram=1), Levels(1, dsp=1)


@dataclass(frozen=True)
class Path:
    """From where to where, by the names of nets, and through what."""

    levels: Levels
    start: str
    end: str


@dataclass(frozen=True)
class Arcs:
    """What a module is to the paths of the one around it: from its registers to outputs, from inputs to registers, and through."""

    leaving: dict[Port, Levels] = field(default_factory=dict)
    entering: dict[Port, Levels] = field(default_factory=dict)
    through: dict[tuple[Port, Port], Levels] = field(default_factory=dict)


class _Graph:
    """Bits of a module and the cells between them; `order` has every bit behind those that it depends on."""

    def __init__(self, netlist: Mapping[str, Any], children: Mapping[str, Arcs]) -> None:
        self.into: dict[Bit, list[tuple[Bit, Levels]]] = {}
        self.starts: dict[Bit, Levels] = {}
        self.ends: dict[Bit, Levels] = {}
        self.into_cell: dict[Bit, tuple[str, Mapping[str, Any]]] = {}  # where a path ends
        self.netlist = netlist
        for name, cell in netlist["cells"].items():
            self._add(name, cell, children)
        self.inputs = dict(_ports(netlist["ports"], "input"))
        self.outputs = dict(_ports(netlist["ports"], "output"))
        self.order = self._sorted()

    def _add(self, name: str, cell: Mapping[str, Any], children: Mapping[str, Arcs]) -> None:
        bits = {
            (name, i): bit for name, c in cell["connections"].items() for i, bit in enumerate(c) if isinstance(bit, int)
        }
        directions = cell["port_directions"]
        arcs = children.get(cell["type"].removeprefix(APART))
        if arcs is None:
            for port, bit in bits.items():
                if directions[port[0]] == "output":
                    sources = [bits[p] for p in _sources(cell, port, bits)]
                    if sources:
                        weight = _weight(cell["type"])
                        self.into.setdefault(bit, []).extend((s, weight) for s in sources)
                    else:
                        self.starts[bit] = NOTHING
                else:
                    self._end(bit, NOTHING, name, cell)
            return
        for port, levels in arcs.leaving.items():
            if port in bits:
                self.starts[bits[port]] = max(levels, self.starts.get(bits[port], NOTHING))
        for port, levels in arcs.entering.items():
            if port in bits:
                self._end(bits[port], levels, name, cell)
        for (source, target), levels in arcs.through.items():
            if source in bits and target in bits:
                self.into.setdefault(bits[target], []).append((bits[source], levels))

    def _end(self, bit: Bit, levels: Levels, name: str, cell: Mapping[str, Any]) -> None:
        if bit not in self.ends or levels > self.ends[bit]:
            self.ends[bit], self.into_cell[bit] = levels, (name, cell)

    def _sorted(self, roots: Iterable[Bit] | None = None) -> list[Bit]:
        """All bits, or those that `roots` depend on."""
        done: dict[Bit, bool] = {}
        order = []
        stack = list(self.into if roots is None else roots)
        while stack:
            bit = stack[-1]
            if done.get(bit):
                stack.pop()
                continue
            waits = [s for s, _ in self.into.get(bit, ()) if not done.get(s)] if bit not in done else []
            done[bit] = not waits
            if waits:
                if any(s in done for s in waits):
                    raise ValueError(f"a combinational loop through {self.name(bit)}")
                stack.extend(waits)
            else:
                done[bit] = True
                order.append(bit)
                stack.pop()
        return order

    def forward(self, starts: Mapping[Bit, Levels]) -> dict[Bit, tuple[Levels, Bit]]:
        """The longest way to each bit that starts lead to, and where it begins."""
        best: dict[Bit, tuple[Levels, Bit]] = {bit: (levels, bit) for bit, levels in starts.items()}
        for bit in self.order:
            for source, weight in self.into.get(bit, ()):
                if source in best:
                    levels, begin = best[source]
                    found = levels.plus(weight)
                    if bit not in best or found > best[bit][0]:
                        best[bit] = (found, begin)
        return best

    def backward(self, ends: Mapping[Bit, Levels], order: list[Bit]) -> dict[Bit, Levels]:
        """The longest way from each bit to one of the ends."""
        best = dict(ends)
        for bit in reversed(order):
            if bit in best:
                for source, weight in self.into.get(bit, ()):
                    best[source] = max(best[bit].plus(weight), best.get(source, NOTHING))
        return best

    def end_name(self, bit: Bit) -> str:
        """The register that takes a bit, or what else does."""
        if bit not in self.into_cell:
            return self.name(bit)
        name, cell = self.into_cell[bit]
        if cell["type"].startswith("FD"):
            return self.name(cell["connections"]["Q"][0])
        return cell["type"] if "$" in name else name

    def name(self, bit: Bit) -> str:
        """The shortest name of a net with this bit."""
        names = self.netlist["netnames"]
        found = [
            f"{n}[{v['bits'].index(bit)}]" if len(v["bits"]) > 1 else n for n, v in names.items() if bit in v["bits"]
        ]
        return min(found, key=lambda n: ("$" in n, len(n)), default="?")


def longest_path(netlist: Mapping[str, Any], children: Mapping[str, Arcs] | None = None) -> Path:
    """The longest path of a module. Without `children`, its submodules are ends."""
    graph = _Graph(netlist, children or {})
    found = graph.forward({**dict.fromkeys(graph.inputs.values(), NOTHING), **graph.starts})
    ends = {**dict.fromkeys(graph.outputs.values(), NOTHING), **graph.ends}
    best = max(((found[b][0].plus(e), b) for b, e in ends.items() if b in found), key=lambda x: x[0], default=None)
    if best is None:
        return Path(NOTHING, "", "")
    return Path(best[0], graph.name(found[best[1]][1]), graph.end_name(best[1]))


def module_arcs(netlist: Mapping[str, Any], children: Mapping[str, Arcs]) -> Arcs:
    """What the module around it needs to know."""
    graph = _Graph(netlist, children)
    arriving = graph.forward(graph.starts)
    leaving = {port: arriving[bit][0] for port, bit in graph.outputs.items() if bit in arriving}
    needed = graph.backward(graph.ends, graph.order)
    entering = {port: needed[bit] for port, bit in graph.inputs.items() if bit in needed}
    through = {}
    for target, bit in graph.outputs.items():
        cone = graph.backward({bit: NOTHING}, graph._sorted([bit]))
        through.update({(source, target): cone[b] for source, b in graph.inputs.items() if b in cone})
    return Arcs(leaving, entering, through)


def _ports(ports: Mapping[str, Any], direction: str) -> Iterator[tuple[Port, Bit]]:
    for name, port in ports.items():
        if port["direction"] == direction:
            yield from (((name, i), bit) for i, bit in enumerate(port["bits"]) if isinstance(bit, int))


def _weight(kind: str) -> Levels:
    for prefix, levels in (("LUT", LUT), ("INV", LUT), ("CARRY", CARRY), ("MUXF", MUX), ("DSP", DSP)):
        if kind.startswith(prefix):
            return levels
    return RAM


def _sources(cell: Mapping[str, Any], target: Port, bits: Mapping[Port, Bit]) -> list[Port]:
    """Inputs of a cell that an output of it depends on within a cycle."""
    kind: str = cell["type"]
    inputs = [p for p in bits if cell["port_directions"][p[0]] == "input"]
    if kind.startswith(("LUT", "MUXF", "INV")):
        return inputs
    if kind == "CARRY4":
        return [p for p in inputs if p[0] in {"CI", "CYINIT"} or p[1] <= target[1]]
    if kind.startswith("DSP48"):
        return [p for p in inputs if _goes_through(cell["parameters"], p[0])]
    if kind.startswith(("RAM32", "RAM64", "RAM128", "RAM256", "RAM512")):
        return [p for p in inputs if _addresses(p[0], target[0])]
    if kind.startswith("SRL"):
        return [p for p in inputs if p[0].startswith("A") and target[0] == "Q"]
    return []


DSP_REGISTERS = {
    "A": ("AREG", "MREG", "PREG"),
    "B": ("BREG", "MREG", "PREG"),
    "C": ("CREG", "PREG"),
    "D": ("DREG", "ADREG", "MREG", "PREG"),
    "PCIN": ("PREG",),
}


def _goes_through(parameters: Mapping[str, str], port: str) -> bool:
    registers = DSP_REGISTERS.get(port)
    return registers is not None and all(int(parameters.get(name, "0"), 2) == 0 for name in registers)


def _addresses(port: str, target: str) -> bool:
    """Whether an input of a distributed RAM is the address of one of its outputs."""
    if target in {"O", "SPO"}:
        return port.rstrip("0123456789") == "A"
    if target == "DPO":
        return port.startswith("DPRA")
    return port == f"ADDR{target[-1]}" or (
        target.startswith("DO") and port.startswith("ADDR") and port[4:] == target[2:]
    )
