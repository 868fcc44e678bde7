"""Integer Graph -> Network: which operators form a group, decided from the graph's structure alone, never from names."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from sfopt.errors import ModelError
from sfopt.graph import Graph, Op
from sfopt.groups import FeatureMap, Group, Kind, Network, Piece, Window

__all__ = ["build_network"]

_CONVOLUTIONS = ("QLinearConv", "QLinearConvTranspose")


def build_network(graph: Graph) -> Network:
    """Group the integer operators of a lowered graph. Raises ModelError when no operator can run on the accelerator."""
    head, tail = _host_ends(graph)
    groups = _Builder(graph, {*head, *tail}).build()
    if not any(g.kind is not Kind.HOST for g in groups):
        raise ModelError(f"model `{graph.name}` has no operator that the accelerator runs")
    written = {name for g in groups for name in g.writes}
    read = dict.fromkeys(name for g in groups for name in g.reads)
    after = {n for op in graph.ops if op.name in tail for n in op.inputs} | set(graph.outputs)
    outputs = tuple(name for g in groups for name in g.writes if name in after)
    inputs = tuple(name for name in read if name not in written)
    maps = {name: _feature_map(graph, name) for name in (*inputs, *(n for g in groups for n in g.writes))}
    return Network(graph, groups, maps, inputs, outputs, tuple(head), tuple(tail))


def _host_ends(graph: Graph) -> tuple[list[str], list[str]]:
    """Host ops that come before every accelerator op they touch, and those that come after."""
    after_accelerator, head = set[str](), list[str]()
    for op in graph.ops:
        if graph.is_integer(op) or any(n in after_accelerator for n in op.inputs):
            after_accelerator.update(op.outputs)
        else:
            head.append(op.name)
    feeds_accelerator, tail = set[str](), list[str]()
    for op in reversed(graph.ops):
        if graph.is_integer(op) or any(n in feeds_accelerator for n in op.outputs):
            feeds_accelerator.update(n for n in op.inputs if n)
        elif op.name not in head:
            tail.append(op.name)
    return head, tail[::-1]


class _Builder:
    """One walk over the ops in topological order; every op becomes a heavy operation unless an earlier group absorbed it."""

    def __init__(self, graph: Graph, ends: set[str]) -> None:
        self.graph = graph
        self.ends = ends
        self.covered = set(ends)
        self.ready = set(graph.inputs) | {n for op in graph.ops if op.name in ends for n in op.outputs}
        self.groups: list[Group] = []

    def build(self) -> tuple[Group, ...]:
        for op in self.graph.ops:
            if not self.graph.is_integer(op) or self._is_channel_scale_of_conv(op) or self._is_postponed(op):
                continue
            for start in (*self._lookups_before(op), op):
                if start.name not in self.covered:
                    group = _heavy_group(self.graph, start, self._scale_of(start))
                    self._add_hosts_before(group)
                    self._add(self._absorb(group))
        return tuple(self.groups)

    def _is_postponed(self, op: Op) -> bool:
        """A look-up for one sum or product whose other operand is not there yet: later, one group does both."""
        reader = self.graph.sole_consumer(op.output) if op.op_type == "Lookup" else None
        return (
            reader is not None
            and _is_binary(self.graph, reader)
            and not self.ready.issuperset(set(reader.inputs) - {op.output})
        )

    def _lookups_before(self, op: Op) -> tuple[Op, ...]:
        """Those that waited for `op`."""
        if not _is_binary(self.graph, op):
            return ()
        producers = (self.graph.producers.get(name) for name in op.inputs)
        return tuple(p for p in producers if p is not None and p.op_type == "Lookup")

    def _add_hosts_before(self, group: Group) -> None:
        """Host ops run as late as they can, so that each host group ends with an int8 map that an accelerator group reads."""
        wanted, needed = [n for name in group.ops for n in self._op(name).inputs], set[str]()
        while wanted:
            op = self.graph.producers.get(wanted.pop())
            if op is not None and op.name not in {*self.covered, *needed, *group.ops}:
                needed.add(op.name)
                wanted.extend(op.inputs)
        for op in self.graph.ops:
            if op.name in needed:
                self._add_host(op)

    def _add(self, group: Group) -> None:
        self.covered.update(group.ops)
        self.ready.update(n for name in group.ops for n in self._op(name).outputs)
        self.groups.append(replace(group, index=len(self.groups)))

    def _op(self, name: str) -> Op:
        return self._by_name[name]

    @property
    def _by_name(self) -> Mapping[str, Op]:
        return self.graph.ops_by_name

    def _is_channel_scale_of_conv(self, op: Op) -> bool:
        """A channel scale read by one convolution alone is applied to that convolution's input."""
        consumer = self.graph.sole_consumer(op.output)
        return (
            _is_channel_scale(self.graph, op)
            and consumer is not None
            and consumer.op_type in _CONVOLUTIONS
            and consumer.inputs[0] == op.output
        )

    def _scale_of(self, op: Op) -> Op | None:
        producer = self.graph.producers.get(op.inputs[0])
        return producer if producer is not None and self._is_channel_scale_of_conv(producer) else None

    def _absorb(self, group: Group) -> Group:
        """Take in followers while the group's value has no other reader."""
        if len(group.pieces) > 1:
            return group
        while True:
            grown = self._absorb_unary(group) or self._absorb_binary(group)
            if grown is None:
                return group
            group = grown

    def _absorb_unary(self, group: Group) -> Group | None:
        names = _unary_follower(self.graph, group.output)
        if not names:
            return None
        output = self._op(names[-1]).output
        if group.binary is None:
            return replace(group, before=(*group.before, *names), output=output)
        return replace(group, after=(*group.after, *names), output=output)

    def _absorb_binary(self, group: Group) -> Group | None:
        op = self.graph.sole_consumer(group.output)
        if group.binary is not None or group.window.transposed or op is None or not _is_binary(self.graph, op):
            return None  # a phase of a transposed convolution has rows and columns of its own, a second operand not
        others = [n for n in op.inputs if n != group.output]
        if len(others) != 1 or others[0] not in self.ready or others[0] in group.reads:
            return None  # a map cannot be the input and the residual of one instruction: both reads would need one bank's port
        return replace(group, binary=op.name, residual=others[0], output=op.output)

    def _add_host(self, op: Op) -> None:
        """Adjacent host ops form one group; only int8 tensors cross its boundary."""
        previous = self.groups.pop() if self.groups and self.groups[-1].kind is Kind.HOST else None
        names = (*(previous.host_ops if previous else ()), op.name)
        reads = tuple(n for name in names for n in self._op(name).inputs if n in self.ready and self._on_chip(n))
        mine = dict.fromkeys(n for name in names for n in self._op(name).outputs if n)
        writes = tuple(n for n in mine if any(self.graph.is_integer(r) for r in self.graph.consumers.get(n, ())))
        pieces = tuple(Piece(n) for n in dict.fromkeys(reads) if n not in mine)
        first_output = next(iter(writes), op.output)
        group = Group(0, Kind.HOST, names[0], pieces, first_output, host_ops=names, host_outputs=writes)
        self._add(group)

    def _on_chip(self, name: str) -> bool:
        producer = self.graph.producers.get(name)
        return producer is not None and self.graph.is_integer(producer)


def _is_binary(graph: Graph, op: Op) -> bool:
    """A sum or product of two maps of one shape."""
    return op.op_type in ("QLinearAdd", "QLinearMul") and len({graph.tensor(n).shape for n in op.inputs}) == 1


def _is_channel_scale(graph: Graph, op: Op) -> bool:
    if op.op_type != "QLinearMul":
        return False
    full, scale = (graph.tensor(n).shape for n in op.inputs[:2])
    return full != scale and scale == (1, full[1], 1, 1)


def _unary_follower(graph: Graph, value: str) -> tuple[str, ...]:
    """Names of the op(s) that turn `value` into a function of itself alone: a Lookup, or a Lookup and the Mul by it (SiLU)."""
    if value in graph.outputs:
        return ()
    readers = graph.consumers.get(value, ())
    if len(readers) == 1 and readers[0].op_type == "Lookup":
        return (readers[0].name,)
    lookups = [op for op in readers if op.op_type == "Lookup"]
    products = [op for op in readers if op.op_type == "QLinearMul"]
    if len(readers) == 2 and len(lookups) == 1 and len(products) == 1:
        inner = lookups[0].output
        if set(products[0].inputs) == {value, inner} and graph.sole_consumer(inner) is products[0]:
            return (lookups[0].name, products[0].name)
    return ()


def _heavy_group(graph: Graph, op: Op, scale_op: Op | None) -> Group:
    x = op.inputs[0] if scale_op is None else scale_op.inputs[0]
    base = Group(0, Kind.COPY, op.name, (Piece(x),), op.output)
    if scale_op is not None:
        base = replace(base, scale=scale_op.inputs[1], scale_op=scale_op.name)
    match op.op_type:
        case "QLinearConv" | "QLinearConvTranspose":
            conv_groups = op.ints("group")[0]
            w = graph.tensor(op.inputs[1]).shape
            depthwise = conv_groups > 1 and w[1] == 1 and w[0] == conv_groups
            kind = Kind.DEPTHWISE if depthwise else Kind.CONV
            window = replace(_window(op), transposed=op.op_type == "QLinearConvTranspose")
            return replace(base, kind=kind, window=window, conv_groups=1 if depthwise else conv_groups)
        case "MaxPool":
            return replace(base, kind=Kind.MAX_POOL, window=_window(op))
        case "QLinearAveragePool":
            return replace(base, kind=Kind.AVERAGE_POOL, window=_window(op))
        case "QLinearGlobalAveragePool":
            return replace(base, kind=Kind.GLOBAL_MEAN)
        case "Resize":
            factors = (op.ints("scale_h")[0], op.ints("scale_w")[0])
            return replace(base, kind=Kind.RESIZE, window=Window(stride=factors))
        case "QLinearConcat":
            return replace(base, pieces=_concat_pieces(graph, op))
        case "QLinearAdd" | "QLinearMul" if _is_channel_scale(graph, op):
            return replace(base, scale=op.inputs[1], scale_op=op.name)
        case "QLinearAdd" | "QLinearMul":
            return replace(base, binary=op.name, residual=op.inputs[1])
        case "Lookup":
            return replace(base, before=(op.name,))
    raise ModelError(f"{op.op_type} `{op.name}` is not an operator of the accelerator")


def _window(op: Op) -> Window:
    kernel, stride, pads = op.ints("kernel_shape"), op.ints("strides"), op.ints("pads")
    dilation = op.ints("dilations") if "dilations" in op.attributes else (1, 1)
    return Window(
        kernel=(kernel[0], kernel[1]),
        stride=(stride[0], stride[1]),
        dilation=(dilation[0], dilation[1]),
        pads=(pads[0], pads[1], pads[2], pads[3]),
    )


def _concat_pieces(graph: Graph, op: Op) -> tuple[Piece, ...]:
    out, offset, pieces = graph.tensor(op.output).quant, 0, list[Piece]()
    for name in op.inputs:
        quant = graph.tensor(name).quant
        pieces.append(Piece(name, offset, requantise=quant is None or not quant.same_as(out)))
        offset += graph.tensor(name).shape[1]
    return tuple(pieces)


def _feature_map(graph: Graph, name: str) -> FeatureMap:
    shape: Sequence[int] = graph.tensor(name).shape
    if len(shape) != 4 or shape[0] != 1 or graph.tensor(name).dtype != "int8":
        raise ModelError(
            f"tensor `{name}` is {graph.tensor(name).dtype}{tuple(shape)}, needs int8 of shape (1, C, H, W)"
        )
    return FeatureMap(name, shape[2], shape[3], shape[1])
