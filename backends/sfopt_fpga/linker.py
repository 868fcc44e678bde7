"""Words without addresses -> Program: places blocks in DRAM and writes the program's map."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from sfopt.constant_blocks import quant_of
from sfopt.device import Device
from sfopt.groups import Group, Network
from sfopt.plan import Plan
from sfopt.traffic import category_of
from sfopt_fpga.constants import build_image
from sfopt_fpga.isa import WORD_BYTES, encode
from sfopt_fpga.program import HostCall, Port, Program, Region, Trace, align
from sfopt_fpga.tokens import Word

__all__ = ["Draft", "link_program"]


@dataclass(frozen=True)
class Draft:
    """A written program: its words, the first and last word of each step, the host's groups, and which tensor a COMPUTE writes."""

    words: Sequence[Word]
    spans: Sequence[tuple[int, int]]
    host_groups: Sequence[Group]
    traces: Sequence[tuple[Word, Trace]]
    """COMPUTE, and what it writes; the trace's `word` is not known yet."""


def link_program(draft: Draft, plan: Plan, network: Network, device: Device, outputs: Sequence[str]) -> Program:
    """Instructions first, then constants, then feature maps where the plan put them; `outputs` can be read at the end."""
    linker = _Linker(draft, plan, network)
    index = {id(word): i for i, word in enumerate(draft.words)}
    return Program(
        device=device,
        words=tuple(linker.encode(w) for w in draft.words),
        constants=linker.image.data,
        regions=tuple(linker.regions()),
        inputs=linker.ports(network.inputs),
        outputs=linker.ports(outputs),
        host=tuple(HostCall(g.name, linker.ports(g.reads), linker.ports(g.writes)) for g in draft.host_groups),
        trace=tuple(replace(trace, word=index[id(word)]) for word, trace in draft.traces),
    )


class _Linker:
    def __init__(self, draft: Draft, plan: Plan, network: Network) -> None:
        self.draft, self.plan, self.network = draft, plan, network
        self.image = build_image(network)
        constants_base = align(WORD_BYTES * len(draft.words))
        feature_base = align(constants_base + len(self.image.data))
        self.addresses = {name: constants_base + offset for name, offset in self.image.offsets.items()}
        self.addresses |= {d.tensor: feature_base + d.offset for d in plan.dram}

    def encode(self, word: Word) -> bytes:
        """The instruction, with its DRAM address."""
        if word.block is None:
            return encode(word.opcode, word.values)
        return encode(word.opcode, {**word.values, "dram": word.values["dram"] + self.addresses[word.block]})

    def regions(self) -> Iterator[Region]:
        """Constant blocks for the whole program, feature maps for the steps that they live."""
        for name, size in self.image.sizes.items():
            yield Region(name, self.addresses[name], size, category_of(self.network, name).value)
        for entry in self.plan.dram:
            tensor, shortcut = entry.tensor, entry.tensor in self.network.shortcuts
            words = (self.draft.spans[entry.first_step][0], self.draft.spans[entry.last_step][1])
            category = category_of(self.network, tensor).value
            yield Region(tensor, self.addresses[tensor], entry.size_bytes, category, shortcut, *words)

    def ports(self, tensors: Sequence[str]) -> tuple[Port, ...]:
        """Feature maps as the world outside finds them."""
        return tuple(self._port(t) for t in tensors)

    def _port(self, tensor: str) -> Port:
        fmap, quant = self.network.maps[tensor], quant_of(self.network.graph, tensor)
        shape = (fmap.height, fmap.width, fmap.channels)
        return Port(tensor, self.addresses[tensor], *shape, float(quant.scale), int(quant.zero_point))
