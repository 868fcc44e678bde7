"""Bytes and cycles of one group on one device: pure arithmetic, one formula each.

The planner, the plan checker's byte counts, the emitter and the timing model all take their figures from the same few lines of
geometry: how many bytes a row occupies in the scratchpad, how many constants a group reads, how many rows of its input a band of
output rows needs. Cycles follow the machine of `docs/machine.md`; the instruction-level timing model adds the waiting.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import product

from sfopt.cycles import compute_cycles as engine_cycles
from sfopt.device import Device
from sfopt.groups import FeatureMap, Group, Kind, Network, Piece
from sfopt.phases import NO_TAP, Phase, kernel_positions, phases
from sfopt.rows import RowSchedule, phase_schedule
from sfopt.work import Columns, Mode, Work

__all__ = [
    "AVERAGE_BYTES",
    "BINARY_BYTES",
    "CHANNEL_BYTES",
    "EMPTY_TRANSFER_CYCLES",
    "LOAD_CYCLES",
    "LOOP_WORDS",
    "SCALE_BYTES",
    "STORE_CYCLES",
    "TABLE_BYTES",
    "Constant",
    "Moved",
    "baseline_bytes",
    "baseline_layer_bytes",
    "compulsory_bytes",
    "compute_cycles",
    "constant_bytes",
    "constants",
    "dma_cycles",
    "folds_input",
    "group_cycles",
    "group_macs",
    "loop_words",
    "map_row_bytes",
    "padded_bytes",
    "piece_cycles",
    "stream_cycles",
    "stream_row_bytes",
    "transfer_start_cycles",
]

TABLE_BYTES = 256
"""One unary function of an int8."""
CHANNEL_BYTES = 8
"""int32 bias and float32 factor of one output channel."""
BINARY_BYTES = 16
"""Two float32 ratios, one float32 fixed part, three int8 zero points, one byte unused."""
SCALE_BYTES = 16
"""float32 factor, three int8 zero points, nine bytes unused."""
AVERAGE_BYTES = 16
"""Two float32 scales, two int8 zero points, six bytes unused."""


@dataclass(frozen=True)
class Moved:
    """What the DMA moves: dense bytes in DRAM, and the scratchpad words that hold them, which may have more bytes or fewer.

    More where channels do not fill their last word, fewer where folding brings one DRAM pixel into several words.
    """

    size_bytes: int
    words: int

    def __sub__(self, other: "Moved") -> "Moved":
        return Moved(self.size_bytes - other.size_bytes, self.words - other.words)

    def __mul__(self, times: int) -> "Moved":
        return Moved(self.size_bytes * times, self.words * times)

    @staticmethod
    def row(fmap: FeatureMap, row_bytes: int, device: Device) -> "Moved":
        """One row of a map that takes `row_bytes` in the scratchpad (`map_row_bytes`, or `stream_row_bytes`)."""
        return Moved(fmap.width * fmap.channels, row_bytes // device.word_bytes)

    @staticmethod
    def whole(fmap: FeatureMap, device: Device) -> "Moved":
        """A whole map as it is held: each pixel in words of its own."""
        return Moved.row(fmap, map_row_bytes(fmap, device), device) * fmap.height


@dataclass(frozen=True)
class Constant:
    """A block of constants in DRAM, dense: `rows` x `pixels` x `channels` bytes. The DMA pads channels to words on the way in."""

    name: str
    rows: int
    pixels: int
    channels: int

    @property
    def size_bytes(self) -> int:
        """Dense bytes in DRAM."""
        return self.rows * self.pixels * self.channels

    def row_bytes(self, device: Device) -> int:
        """Scratchpad bytes of one row."""
        return self.pixels * padded_bytes(self.channels, device)

    def moved(self, device: Device) -> Moved:
        """What reading it once moves."""
        return Moved(self.size_bytes, self.rows * self.row_bytes(device) // device.word_bytes)


def padded_bytes(channels: int, device: Device) -> int:
    """Scratchpad bytes of one pixel: channels rounded up to whole words."""
    return -(-channels // device.lanes_in) * device.lanes_in


def map_row_bytes(fmap: FeatureMap, device: Device) -> int:
    """Scratchpad bytes of one row of a feature map."""
    return fmap.width * padded_bytes(fmap.channels, device)


def folds_input(group: Group, fmap: FeatureMap, device: Device) -> bool:
    """Whether the DMA lays the kernel's columns into the lanes when it streams `fmap` in.

    One word then holds the `kernel_w * channels` bytes that one output column needs, so a first layer of 3 channels fills the
    array's lanes instead of wasting them, and the convolution becomes kernel_h x 1.
    """
    return (
        group.kind is Kind.CONV
        and group.conv_groups == 1
        and not group.window.transposed
        and group.scale is None
        and fmap.name != group.residual
        and group.window.kernel[1] > 1
        and group.window.dilation[1] == 1
        and group.window.kernel[1] * fmap.channels <= device.lanes_in
    )


def stream_row_bytes(network: Network, group: Group, tensor: str, device: Device) -> int:
    """Scratchpad bytes of one row of input `tensor` when this group streams it in from DRAM for itself."""
    fmap = network.maps[tensor]
    if tensor == group.pieces[0].tensor and folds_input(group, fmap, device):
        return network.maps[group.output].width * padded_bytes(group.window.kernel[1] * fmap.channels, device)
    return map_row_bytes(fmap, device)


def constants(network: Network, group: Group, *, folded: bool) -> tuple[Constant, ...]:
    """The constant blocks a group reads: weights (if any) first, then parameters (if any).

    `folded` regroups the weights' bytes as kernel_h pixels of kernel_w * channels; the bytes and their order are the same.
    A transposed convolution has parameters for each phase, because a bias includes the correction for the input's zero point.
    """
    blocks, positions = [], kernel_positions(group.window)
    out = network.maps[group.output] if group.kind is not Kind.HOST else None
    if out is not None and group.kind is Kind.CONV:
        kernel_h, kernel_w = group.window.kernel
        depth = network.maps[group.pieces[0].tensor].channels // group.conv_groups
        shape = (kernel_h, kernel_w * depth) if folded else (positions, depth)
        blocks.append(Constant(f"{group.name}.weights", out.channels, *shape))
    if out is not None and group.kind is Kind.DEPTHWISE:
        blocks.append(Constant(f"{group.name}.weights", 1, positions, out.channels))
    size = _parameter_bytes(network, group)
    if size:
        count = len(phases(group.window)) if group.window.transposed else 1
        blocks.append(Constant(f"{group.name}.parameters", 1, count, size))
    return tuple(blocks)


def _parameter_bytes(network: Network, group: Group) -> int:
    """Parameter block: [binary][scale][average][table per requantised piece][table0][table1][bias, factor per channel]."""
    if group.kind is Kind.HOST:
        return 0
    channels = {
        Kind.CONV: network.maps[group.output].channels,
        Kind.DEPTHWISE: network.maps[group.output].channels,
        Kind.GLOBAL_MEAN: 1,
    }
    tables = sum(p.requantise for p in group.pieces) + bool(group.before) + bool(group.after)
    return (
        BINARY_BYTES * (group.binary is not None)
        + SCALE_BYTES * (group.scale is not None)
        + AVERAGE_BYTES * (group.kind is Kind.AVERAGE_POOL)
        + TABLE_BYTES * tables
        + CHANNEL_BYTES * channels.get(group.kind, 0)
    )


def compute_cycles(
    network: Network,
    group: Group,
    device: Device,
    rows: int,
    channels: int,
    *,
    folded: bool,
    piece: Piece | None = None,
    phase: Phase | None = None,
    final: bool = True,
) -> int:
    """Cycles of one compute instruction over `rows` output rows (input rows for a global mean) and `channels` output channels.

    `piece` is the one that a concat's instruction copies; `phase` that of a transposed convolution, and `rows` then are rows of it;
    `final` false a global mean's that is not the last.
    `sfopt/cycles.py` says how the engine spends them.
    """
    if group.kind is Kind.HOST:
        return 0
    out, x = network.maps[group.output], network.maps[group.pieces[0].tensor]
    kernel_h, kernel_w = group.window.kernel if phase is None else phase.kernel
    positions, depth = kernel_h * kernel_w, x.channels // group.conv_groups
    if folded:
        positions, depth = kernel_h, kernel_w * depth
    width = out.width if phase is None else phase.columns.rows(out.width, group.window.stride[1])
    mode = MODES[group.kind]
    tables = (piece.requantise if piece else False) + bool(group.before) + bool(group.after)
    scalars = BINARY_BYTES * (group.binary is not None) + SCALE_BYTES * (group.scale is not None)
    work = Work(
        mode,
        rows * (x.width if group.kind is Kind.GLOBAL_MEAN else width),
        channels,
        positions if mode in (Mode.CONV, Mode.WINDOW, Mode.AVERAGE) else 1,
        depth if group.kind is Kind.CONV else 1,
        out.channels // group.conv_groups if group.kind is Kind.CONV else 0,
        out_channel=piece.channel_offset if piece else 0,
        head_bytes=scalars + AVERAGE_BYTES * (group.kind is Kind.AVERAGE_POOL) + TABLE_BYTES * tables,
        records=group.kind in (Kind.CONV, Kind.DEPTHWISE, Kind.GLOBAL_MEAN),
        scale=group.scale is not None,
        binary=group.binary is not None,
        final=final,
        columns=_columns(group, width, phase, folded=folded)
        if group.kind is Kind.CONV and group.conv_groups == 1
        else None,
    )
    return engine_cycles(work, device)


def _columns(group: Group, width: int, phase: Phase | None, *, folded: bool) -> Columns:
    window = group.window
    if phase is not None:
        return Columns(len(phase.columns.taps), 1, phase.columns.dilation, width)
    return Columns(1 if folded else window.kernel[1], window.stride[1], window.dilation[1], width)


MODES = {
    Kind.CONV: Mode.CONV,
    Kind.DEPTHWISE: Mode.WINDOW,
    Kind.MAX_POOL: Mode.WINDOW,
    Kind.AVERAGE_POOL: Mode.AVERAGE,
    Kind.GLOBAL_MEAN: Mode.MEAN,
    Kind.COPY: Mode.ELEMENT,
    Kind.RESIZE: Mode.ELEMENT,
}


def group_cycles(
    network: Network, group: Group, device: Device, rows: RowSchedule, bands: int, channel_tile: int, *, folded: bool
) -> int:
    """Compute cycles of a whole group: one instruction for each band, also an empty one, channel tile and piece."""
    if group.kind is Kind.HOST:
        return 0
    if group.window.transposed:
        return _transposed_cycles(network, group, device, rows, bands, channel_tile)
    slices: list[tuple[int, int, Piece | None]]
    if len(group.pieces) > 1:
        slices = [(network.maps[p.tensor].channels, 1, p) for p in group.pieces]
    else:
        slices = [
            (part, count, group.pieces[0]) for part, count in _parts(network.maps[group.output].channels, channel_tile)
        ]
    sizes = [(size, times, True) for size, times in rows.sizes(bands)]
    if group.kind is Kind.GLOBAL_MEAN:
        sizes = list(_until_the_last(rows.sizes(bands)))
    return sum(
        times * count * compute_cycles(network, group, device, size, part, folded=folded, piece=piece, final=final)
        for size, times, final in sizes
        for part, count, piece in slices
    )


def _transposed_cycles(
    network: Network, group: Group, device: Device, rows: RowSchedule, bands: int, channel_tile: int
) -> int:
    out, (down, across) = network.maps[group.output], group.window.stride
    total = 0
    for phase in phases(group.window):
        if min(phase.rows.rows(out.height, down), phase.columns.rows(out.width, across)) == 0:
            continue
        for size, times in phase_schedule(phase, rows, down).sizes(bands):
            for part, count in _parts(out.channels, channel_tile):
                total += times * count * compute_cycles(network, group, device, size, part, folded=False, phase=phase)
    return total


def _until_the_last(sizes: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int, bool]]:
    """Bands by their number of rows, and whether they bring the last row: only the last of them that brings any does."""
    filled = [(rows, count) for rows, count in sizes if rows]
    yield from ((rows, count, False) for rows, count in filled[:-1])
    if filled:
        rows, count = filled[-1]
        yield from ((rows, count - 1, False), (rows, 1, True))
    yield from ((0, count, True) for rows, count in sizes if rows == 0)


def _parts(total: int, size: int) -> list[tuple[int, int]]:
    """`total` cut into parts of `size` and a rest: (part, how many)."""
    full, rest = divmod(total, size)
    return [(part, count) for part, count in ((size, full), (rest, 1)) if part and count]


LOAD_CYCLES = 3
"""What a LOAD that moves anything takes beside the latency and the data: realignment, the scratchpad."""
STORE_CYCLES = 7
"""The same of a STORE."""
EMPTY_TRANSFER_CYCLES = 1
"""All that a LOAD or STORE takes that moves nothing."""


def transfer_start_cycles(device: Device, *, reading: bool) -> int:
    """Cycles of one LOAD, if `reading`, or STORE in which no data moves."""
    return device.dram_latency_cycles + (LOAD_CYCLES if reading else STORE_CYCLES)


def dma_cycles(moved: Moved, device: Device, *, reading: bool) -> int:
    """Cycles of one DRAM transfer that has the bus to itself: its start, then DRAM's bandwidth, but at most one word a cycle."""
    if moved.size_bytes == 0:
        return EMPTY_TRANSFER_CYCLES
    bus_cycles = -(-moved.size_bytes * device.clock_hz // device.dram_bytes_per_s)
    return transfer_start_cycles(device, reading=reading) + max(bus_cycles, moved.words)


def piece_cycles(moved: Moved, pieces: int, device: Device) -> tuple[int, int]:
    """Cycles of the first piece of a transfer that moves in `pieces` like ones, and of all the others; each pays its start.

    For constants; `stream_cycles` does the same for a feature map's bands.
    """
    piece = Moved(-(-moved.size_bytes // pieces), -(-moved.words // pieces))
    rest = moved - piece
    if rest.size_bytes == 0:
        return dma_cycles(moved, device, reading=True), 0
    starts = (pieces - 2) * transfer_start_cycles(device, reading=True)
    return dma_cycles(piece, device, reading=True), dma_cycles(rest, device, reading=True) + starts


def stream_cycles(row: Moved, rows: RowSchedule, bands: int, device: Device, *, reading: bool) -> tuple[int, int]:
    """Cycles of a map's first piece (of its last, when it is written), and of all its other pieces; `row` is what a row moves.

    A piece is what one band moves, and pays its start. The first that streams in and the last that streams out have no
    computing of their own segment to hide behind.
    """
    moved = [size for size, _ in rows.sizes(bands) if size] or [rows.total]  # or all behind the last band
    pieces = sum(count for size, count in rows.sizes(bands) if size)
    edge_rows = moved[0 if reading else -1]
    edge = dma_cycles(row * edge_rows, device, reading=reading)
    if edge_rows == rows.total:
        return edge, 0
    rest = row * (rows.total - edge_rows)
    starts = max(0, pieces - 2) * transfer_start_cycles(device, reading=reading)
    return edge, dma_cycles(rest, device, reading=reading) + starts


LOOP_WORDS = 1024
"""Instructions that the sequencer's loop buffer holds: a segment of several bands is one loop."""


def loop_words(groups: Iterable[Group], rereading: int = 0) -> int:
    """Instructions of a segment's loop at most, when every map that it touches moves; `rereading` groups read their weights again.

    SETUP and COMPUTE for each piece, or SETUP, PHASE and COMPUTE for each phase of a transposed convolution; LOAD or STORE for each
    map. A group that reads its weights again needs a loop and its LOAD
    as well, and the segment then up to four SYNCs; of a group alone that is not counted: a convolution is far from the limit.
    """
    words, maps = 2 * rereading + 4 * (rereading > 0), set[str]()
    for group in groups:
        words += 3 * len(phases(group.window)) if group.window.transposed else 2 * len(group.pieces)
        maps.update(group.reads, group.writes)
    return words + len(maps)


def group_macs(network: Network, group: Group) -> int:
    """Multiply-accumulates of a group's convolution, those with padding counted (0 for the other kinds)."""
    if group.kind not in (Kind.CONV, Kind.DEPTHWISE):
        return 0
    out, x = network.maps[group.output], network.maps[group.pieces[0].tensor]
    depth = 1 if group.kind is Kind.DEPTHWISE else x.channels // group.conv_groups
    if not group.window.transposed:
        return out.size_bytes * group.window.kernel[0] * group.window.kernel[1] * depth
    (down, across), places = group.window.stride, 0
    for phase in phases(group.window):
        pixels = phase.rows.rows(out.height, down) * phase.columns.rows(out.width, across)
        places += pixels * sum(NO_TAP not in tap for tap in product(phase.rows.taps, phase.columns.taps))
    return places * out.channels * depth


def constant_bytes(network: Network) -> int:
    """All constants, once: weights, biases, factors, tables."""
    return sum(c.size_bytes for g in network.groups for c in constants(network, g, folded=False))


def compulsory_bytes(network: Network) -> int:
    """Constants once, network inputs once, network outputs once."""
    return constant_bytes(network) + sum(network.maps[n].size_bytes for n in (*network.inputs, *network.outputs))


def baseline_bytes(network: Network) -> int:
    """Every group reads each of its inputs and its constants once and writes its output once."""
    moved = sum(network.maps[n].size_bytes for g in network.groups for n in (*g.reads, *g.writes))
    return constant_bytes(network) + moved


def baseline_layer_bytes(network: Network) -> int:
    """The baseline with each fused residual operation and channel scale counted as a layer of its own.

    A layer cut out of a group adds one write and one read of the map between it and the rest: the convolution's own output before
    a residual addition, the scaled input before a convolution.
    """
    extra = 0
    for group in network.groups:
        if group.kind is Kind.HOST:
            continue
        if group.binary is not None and group.binary != group.heavy:
            extra += 2 * network.maps[group.output].size_bytes
        if group.scale_op is not None and group.scale_op != group.heavy:
            extra += 2 * network.maps[group.pieces[0].tensor].size_bytes
    return baseline_bytes(network) + extra
