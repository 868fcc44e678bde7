"""Groups, the units that the accelerator runs: what each reads, applies and writes. `grouping` makes them.

A group computes, for every output element, in this order:

    x' = x                      or  qmul(x, scale[c])        channel scale applied to the input (squeeze-excite)
    v  = heavy(x')                                           conv, pool, mean, copy or resize, requantised to int8
    v  = table0[v]              if `before`                  any chain of unary functions of one value is one table
    v  = v (+|*) residual       if `binary`                  QLinearAdd or QLinearMul with a second feature map
    v  = table1[v]              if `after`
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property

from sfopt.graph import Graph

__all__ = ["FeatureMap", "Group", "Kind", "Network", "Piece", "Window", "network_fingerprint"]


class Kind(StrEnum):
    """What a group's heavy operation is. COPY is the identity: element-wise, look-up and concat groups."""

    CONV = "conv"
    DEPTHWISE = "depthwise"
    MAX_POOL = "max_pool"
    AVERAGE_POOL = "average_pool"
    GLOBAL_MEAN = "global_mean"
    COPY = "copy"
    RESIZE = "resize"
    HOST = "host"


@dataclass(frozen=True)
class FeatureMap:
    """An int8 feature map of batch 1; `size_bytes` is its dense NHWC size in DRAM."""

    name: str
    height: int
    width: int
    channels: int

    @property
    def size_bytes(self) -> int:
        """Dense bytes, one per element."""
        return self.height * self.width * self.channels


@dataclass(frozen=True)
class Window:
    """Spatial geometry of the heavy operation; for RESIZE the integer factors are in `stride`."""

    kernel: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)
    """top, left, bottom, right"""
    transposed: bool = False
    """Of a transposed convolution: `stride` is output rows and columns for one of the input, `pads` are cut off the output."""

    @property
    def extent(self) -> tuple[int, int]:
        """Rows and columns that one output element spans in the input."""
        return ((self.kernel[0] - 1) * self.dilation[0] + 1, (self.kernel[1] - 1) * self.dilation[1] + 1)


@dataclass(frozen=True)
class Piece:
    """One primary input and where its channels land in the output. All groups but concats have one piece at channel 0."""

    tensor: str
    channel_offset: int = 0
    requantise: bool = False
    """Concat only: the operand's scale differs from the output's, so it passes through a table of its own."""


@dataclass(frozen=True)
class Group:
    """One unit of work. Tensor and op names refer to `Network.graph`."""

    index: int
    kind: Kind
    heavy: str
    """Name of the heavy Op (for HOST: of the first host op)."""
    pieces: tuple[Piece, ...]
    output: str
    window: Window = field(default_factory=Window)
    conv_groups: int = 1
    scale: str | None = None
    scale_op: str | None = None
    """The QLinearMul that multiplies the input by the per-channel map `scale`; equals `heavy` when that is all there is."""
    before: tuple[str, ...] = ()
    binary: str | None = None
    residual: str | None = None
    after: tuple[str, ...] = ()
    host_ops: tuple[str, ...] = ()
    host_outputs: tuple[str, ...] = ()
    """HOST only: all int8 tensors that accelerator groups read of it (`output` is the first).

    What host groups hand to each other, or get from the head, stays in the host's memory.
    """

    @property
    def name(self) -> str:
        """Groups are called after the tensor they write."""
        return self.output

    @property
    def reads(self) -> tuple[str, ...]:
        """Every feature map it reads, each once: pieces, channel scale, residual."""
        extra = [n for n in (self.scale, self.residual) if n is not None]
        return tuple(dict.fromkeys([*(p.tensor for p in self.pieces), *extra]))

    @property
    def replaceable(self) -> Mapping[str, int]:
        """Maps that may have the output's place until it is written -> the output's channel where their channel 0 lies.

        Those that it reads once, element by element, each before it writes that element of the output: the residual, and what a
        COPY copies, a concat each piece beside the others. None is returned that the group reads in another way as well.
        """
        copied = {p.tensor: p.channel_offset for p in self.pieces} if self.kind is Kind.COPY else {}
        every = [*(p.tensor for p in self.pieces), self.scale, self.residual]
        found = {**copied, **({} if self.residual is None else {self.residual: 0})}
        return {m: channel for m, channel in found.items() if every.count(m) == 1}

    @property
    def writes(self) -> tuple[str, ...]:
        """Every feature map it writes."""
        return self.host_outputs or (self.output,)

    @property
    def ops(self) -> tuple[str, ...]:
        """Names of all graph ops it covers, each once, in execution order."""
        names = [*(() if self.scale_op is None else (self.scale_op,)), self.heavy, *self.before]
        names += [*(() if self.binary is None else (self.binary,)), *self.after, *self.host_ops]
        return tuple(dict.fromkeys(names))


@dataclass(frozen=True)
class Network:
    """A graph cut into groups: what the planner, emitter and checker share.

    `head` and `tail` are host ops before and after everything on the accelerator (quantising the input, softmax);
    `inputs` and `outputs` are the int8 feature maps where the accelerator's part begins and ends.
    """

    graph: Graph
    groups: tuple[Group, ...]
    maps: Mapping[str, FeatureMap]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    head: tuple[str, ...]
    tail: tuple[str, ...]

    def producer(self, tensor: str) -> int:
        """Index of the group that writes `tensor`, -1 for a network input."""
        return self.producers.get(tensor, -1)

    @cached_property
    def producers(self) -> Mapping[str, int]:
        """Feature map -> index of its group (network inputs absent)."""
        return {name: g.index for g in self.groups for name in g.writes}

    @cached_property
    def host_inputs(self) -> tuple[str, ...]:
        """What host groups read of the head's results or of the graph's inputs."""
        ops = [self.graph.ops_by_name[name] for g in self.groups for name in g.host_ops]
        before = {*self.graph.inputs, *(n for name in self.head for n in self.graph.ops_by_name[name].outputs)}
        return tuple(dict.fromkeys(n for op in ops for n in op.inputs if n in before))

    @cached_property
    def host_results(self) -> tuple[str, ...]:
        """What host groups compute that the tail or the graph's outputs read: any type, in the host's memory."""
        after = {*self.graph.outputs, *(n for name in self.tail for n in self.graph.ops_by_name[name].inputs)}
        ops = [self.graph.ops_by_name[name] for g in self.groups for name in g.host_ops]
        return tuple(n for op in ops for n in op.outputs if n in after)

    @cached_property
    def readers(self) -> Mapping[str, tuple[int, ...]]:
        """Feature map -> indices of the groups that read it, ascending."""
        table: dict[str, list[int]] = {name: [] for name in self.maps}
        for group in self.groups:
            for name in group.reads:
                table[name].append(group.index)
        return {name: tuple(v) for name, v in table.items()}

    @cached_property
    def shortcuts(self) -> frozenset[str]:
        """Feature maps with a reader that is not the group right after their producer."""
        producers, readers = self.producers, self.readers
        return frozenset(t for t in self.maps if any(r != producers.get(t, -1) + 1 for r in readers[t]))


def network_fingerprint(network: Network) -> str:
    """SHA-256, in hexadecimal, of everything a plan depends on: groups, map shapes, inputs and outputs.

    Weight values do not count, nor operator names: a model that was written and read again may call a look-up something else.
    """
    facts = (
        tuple(_without_op_names(g) for g in network.groups),
        tuple(network.maps.values()),
        network.inputs,
        network.outputs,
    )
    return hashlib.sha256(repr(facts).encode()).hexdigest()


def _without_op_names(group: Group) -> Group:
    """Which operators there are, as "x" or nothing."""
    heavy, before, after = "x", ("x",) * bool(group.before), ("x",) * bool(group.after)
    binary, scale_op = group.binary and "x", group.scale_op and ("x" if group.scale_op == group.heavy else "apart")
    return replace(group, heavy=heavy, before=before, after=after, binary=binary, scale_op=scale_op, host_ops=())
