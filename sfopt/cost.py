"""Bytes and cycles of one group on one device: pure arithmetic, one formula each.

The planner, the plan checker's byte counts, the emitter and the timing model all take their figures from the same few lines of
geometry: how many bytes a row occupies in the scratchpad, how many constants a group reads, how many rows of its input a band of
output rows needs. Cycles follow the machine of `docs/machine.md`; the instruction-level timing model adds the waiting.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from sfopt.device import Device
from sfopt.groups import FeatureMap, Group, Kind, Network
from sfopt.rows import RowSchedule

__all__ = [
    "AVERAGE_BYTES",
    "BINARY_BYTES",
    "CHANNEL_BYTES",
    "LOOP_WORDS",
    "PIPELINE_CYCLES",
    "SCALE_BYTES",
    "TABLE_BYTES",
    "Constant",
    "baseline_bytes",
    "baseline_layer_bytes",
    "compulsory_bytes",
    "compute_cycles",
    "constant_bytes",
    "constants",
    "conv_cycles",
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
    "word_cycles",
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
    """
    blocks = []
    out = network.maps[group.output] if group.kind is not Kind.HOST else None
    if out is not None and group.kind is Kind.CONV:
        kernel_h, kernel_w = group.window.kernel
        depth = network.maps[group.pieces[0].tensor].channels // group.conv_groups
        shape = (kernel_h, kernel_w * depth) if folded else (kernel_h * kernel_w, depth)
        blocks.append(Constant(f"{group.name}.weights", out.channels, *shape))
    if out is not None and group.kind is Kind.DEPTHWISE:
        blocks.append(
            Constant(f"{group.name}.weights", 1, group.window.kernel[0] * group.window.kernel[1], out.channels)
        )
    size = _parameter_bytes(network, group)
    if size:
        blocks.append(Constant(f"{group.name}.parameters", 1, 1, size))
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


def compute_cycles(network: Network, group: Group, device: Device, rows: int, channels: int, *, folded: bool) -> int:
    """Cycles of one compute instruction over `rows` output rows (input rows for a global mean) and `channels` output channels.

    Convolution: for each chunk of `accumulator_pixels` output pixels, each tile of `lanes_out` channels, each kernel position and
    block of `lanes_in` inputs, one pixel a cycle, but never faster than the next tile's `lanes_out` weight words arrive; the last
    chunk then drains. Every other kind: one word a cycle for each kernel position.
    """
    if group.kind is Kind.HOST or rows == 0 or channels == 0:
        return PIPELINE_CYCLES
    out = network.maps[group.output]
    x = network.maps[group.pieces[0].tensor]
    kernel_h, kernel_w = group.window.kernel
    match group.kind:
        case Kind.CONV:
            depth = x.channels // group.conv_groups
            positions, depth = (kernel_h, kernel_w * depth) if folded else (kernel_h * kernel_w, depth)
            return conv_cycles(rows * out.width, channels, positions, depth, group.conv_groups, device)
        case Kind.GLOBAL_MEAN:
            return word_cycles(rows * x.width, channels, 1, device)
        case Kind.DEPTHWISE | Kind.MAX_POOL | Kind.AVERAGE_POOL:
            return word_cycles(rows * out.width, channels, kernel_h * kernel_w, device)
    return word_cycles(rows * out.width, channels, 1, device)


def group_cycles(
    network: Network, group: Group, device: Device, rows: RowSchedule, bands: int, channel_tile: int, *, folded: bool
) -> int:
    """Compute cycles of a whole group: one instruction for each band, also an empty one, channel tile and piece."""
    if group.kind is Kind.HOST:
        return 0
    if len(group.pieces) > 1:
        slices = [(network.maps[p.tensor].channels, 1) for p in group.pieces]
    else:
        slices = _parts(network.maps[group.output].channels, channel_tile)
    return sum(
        times * count * compute_cycles(network, group, device, size, part, folded=folded)
        for size, times in rows.sizes(bands)
        for part, count in slices
    )


def _parts(total: int, size: int) -> list[tuple[int, int]]:
    """`total` cut into parts of `size` and a rest: (part, how many)."""
    full, rest = divmod(total, size)
    return [(part, count) for part, count in ((size, full), (rest, 1)) if part and count]


PIPELINE_CYCLES = 32
"""Fill and drain of one compute instruction."""


def conv_cycles(pixels: int, channels: int, positions: int, depth: int, conv_groups: int, device: Device) -> int:
    """MAC-array cycles for `pixels` output pixels, `channels` output channels, `positions` kernel positions of `depth` inputs."""
    channels_per_group = -(-channels // conv_groups)
    tiles = conv_groups * -(-channels_per_group // device.lanes_out)
    passes = tiles * positions * -(-depth // device.lanes_in)
    full, rest = divmod(pixels, device.accumulator_pixels)
    chunks = [device.accumulator_pixels] * full + [rest] * (rest > 0)
    array = passes * sum(max(size, device.lanes_out) for size in chunks)
    return array + device.lanes_out + chunks[-1] + PIPELINE_CYCLES


def word_cycles(pixels: int, channels: int, positions: int, device: Device) -> int:
    """Cycles of the depthwise, pooling and element-wise paths: one word of `lanes_in` channels a cycle."""
    return pixels * -(-channels // device.lanes_in) * positions + PIPELINE_CYCLES


def dma_cycles(size_bytes: int, device: Device) -> int:
    """Cycles of one DRAM transfer: latency, then DRAM's bandwidth, but at most one scratchpad word a cycle."""
    if size_bytes == 0:
        return 1
    bytes_per_s = min(device.dram_bytes_per_s, device.lanes_in * device.clock_hz)
    return device.dram_latency_cycles + -(-size_bytes * device.clock_hz // bytes_per_s)


def piece_cycles(size_bytes: int, pieces: int, device: Device) -> tuple[int, int]:
    """Cycles of the first piece of a transfer that moves in `pieces` like ones, and of all the others; each pays the latency.

    For constants; `stream_cycles` does the same for a feature map's bands.
    """
    piece_bytes = -(-size_bytes // pieces)
    rest_bytes = size_bytes - piece_bytes
    if rest_bytes == 0:
        return dma_cycles(size_bytes, device), 0
    latencies = (pieces - 1) * device.dram_latency_cycles
    return dma_cycles(piece_bytes, device), dma_cycles(rest_bytes, device) - device.dram_latency_cycles + latencies


def stream_cycles(row_bytes: int, rows: RowSchedule, bands: int, device: Device, *, reading: bool) -> tuple[int, int]:
    """Cycles of a map's first piece (of its last, when it is written), and of all its other pieces; `row_bytes` in DRAM.

    A piece is what one band moves, and pays the latency. The first that streams in and the last that streams out have no
    computing of their own segment to hide behind.
    """
    moved = [size for size, _ in rows.sizes(bands) if size] or [rows.total]  # or all behind the last band
    pieces = sum(count for size, count in rows.sizes(bands) if size)
    edge = moved[0 if reading else -1] * row_bytes
    rest = rows.total * row_bytes - edge
    if rest == 0:
        return dma_cycles(edge, device), 0
    latencies = max(0, pieces - 2) * device.dram_latency_cycles
    return dma_cycles(edge, device), dma_cycles(rest, device) + latencies


LOOP_WORDS = 1024
"""Instructions that the sequencer's loop buffer holds: a segment of several bands is one loop."""


def loop_words(groups: Iterable[Group], rereading: int = 0) -> int:
    """Instructions of a segment's loop at most, when every map that it touches moves; `rereading` groups read their weights again.

    SETUP and COMPUTE for each piece, LOAD or STORE for each map. A group that reads its weights again needs a loop and its LOAD
    as well, and the segment then up to four SYNCs; of a group alone that is not counted: a convolution is far from the limit.
    """
    words, maps = 2 * rereading + 4 * (rereading > 0), set[str]()
    for group in groups:
        words += 2 * len(group.pieces)
        maps.update(group.reads, group.writes)
    return words + len(maps)


def group_macs(network: Network, group: Group) -> int:
    """Multiply-accumulates of a group's convolution (0 for the other kinds)."""
    if group.kind not in (Kind.CONV, Kind.DEPTHWISE):
        return 0
    out, x = network.maps[group.output], network.maps[group.pieces[0].tensor]
    depth = 1 if group.kind is Kind.DEPTHWISE else x.channels // group.conv_groups
    return out.size_bytes * group.window.kernel[0] * group.window.kernel[1] * depth


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
