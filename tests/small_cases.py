"""Networks of a few groups on scratchpads of a few hundred bytes: small enough for enumeration, tight enough to need segments."""

import random
from dataclasses import replace

from checked import with_host_group
from networks import GraphBuilder, random_network
from transposed_networks import transposed_network

from sfopt import cost
from sfopt.device import Device, load_device
from sfopt.groups import Network

__all__ = [
    "concats_case",
    "heavy_case",
    "shared_case",
    "small_case",
    "sums_case",
    "tiny_device",
    "transposed_case",
    "wide_case",
]


def small_case(seed: int) -> tuple[Network, Device]:
    """A random network, tall and narrow, and a scratchpad for a quarter to nine tenths of its maps and constants."""
    r = random.Random(seed)
    network = random_network(
        seed, ops=r.randint(1, 4), side=r.randint(4, 16), channels=r.choice((3, 4, 6)), width=r.randint(2, 8)
    )
    if r.random() < 0.1:
        network = with_host_group(network, r.randrange(len(network.groups)))
    return network, _tight_device(network, r, (0.25, 0.9))


def heavy_case(seed: int) -> tuple[Network, Device]:
    """A few convolutions whose weights outgrow their maps or nearly so, and a scratchpad that rarely holds them."""
    r = random.Random(seed)
    b = GraphBuilder(f"heavy{seed}", seed=seed)
    x = b.input(r.choice((3, 8, 12)), r.choice((4, 7, 12, 20)), r.randint(2, 5))
    for _ in range(r.randint(1, 3)):
        channels = r.choice((8, 12, 16, 20, b.shape(x)[0]))
        y = b.conv(x, channels, r.choice((1, 1, 3)), r.choice((1, 1, 1, 2)))
        x = b.add(y, x) if b.shape(y) == b.shape(x) and r.random() < 0.7 else b.relu(y)
    network = b.network([x])
    return network, _tight_device(network, r, (0.25, 0.8))


def transposed_case(seed: int) -> tuple[Network, Device]:
    """Transposed convolutions of any geometry, and a scratchpad for a quarter to nine tenths of what they read and make."""
    r = random.Random(seed)
    network = transposed_network(seed, side=r.randint(3, 9), channels=r.choice((4, 6, 12)))
    return network, _tight_device(network, r, (0.25, 0.9))


def wide_case(seed: int) -> tuple[Network, Device]:
    """Convolutions that widen a narrow map and narrow it again: what is worth keeping inside, although the weights hardly fit."""
    r = random.Random(seed)
    b = GraphBuilder(f"wide{seed}", seed=seed)
    x = b.input(4, r.choice((8, 12, 20)), r.randint(2, 6))
    for _ in range(r.randint(1, 2)):
        y = b.conv(x, r.choice((16, 20, 24)), r.choice((1, 3)))
        y = b.relu(y) if r.random() < 0.5 else y
        y = b.conv(y, r.choice((4, 8)), r.choice((1, 3)))
        x = b.add(y, x) if b.shape(y) == b.shape(x) and r.random() < 0.5 else y
    network = b.network([x])
    return network, _tight_device(network, r, (0.2, 0.6))


def shared_case(seed: int) -> tuple[Network, Device]:
    """A map that several groups read, with larger ones between its readers, and a scratchpad for a tenth to nine tenths of all."""
    r = random.Random(seed)
    b = GraphBuilder(f"shared{seed}", seed=seed)
    channels, height = r.randint(1, 4), r.randint(4, 16)
    made = [b.input(channels, height, r.randint(2, 6))]
    if r.random() < 0.7:
        made.append(b.conv(made[0], channels, r.choice((1, 3))))
    shared = x = made[-1]
    for _ in range(r.randint(2, 3)):
        if x != shared and r.random() < 0.6:
            x = b.add(b.conv(x, channels, r.choice((1, 3))), shared) if r.random() < 0.6 else b.concat(x, shared)
        else:
            x = b.conv(shared if r.random() < 0.3 else x, r.randint(1, 12), r.choice((1, 1, 3)))
        made.append(x)
    read = {name for op in b.ops for name in op.inputs}
    ends = [t for t in made[1:] if t not in read or (t == shared and r.random() < 0.2)]
    network = b.network(ends)
    return network, _tight_device(network, r, (0.1, 0.9))


def sums_case(seed: int) -> tuple[Network, Device]:
    """Sums and products of maps of one shape, one behind the other, and a scratchpad for a third to all of that."""
    r = random.Random(seed)
    b = GraphBuilder(f"sums{seed}", seed=seed)
    channels = r.choice((3, 4, 8))
    made = [b.input(channels, r.choice((4, 7, 10)), r.randint(2, 5))]
    made.append(b.conv(made[0], channels))
    for _ in range(r.randint(2, 3)):
        y, other = made[-1], r.choice(made[:-1])
        if r.random() < 0.5:
            y = b.conv(y, channels, r.choice((1, 3)))
        y = b.add(y, other) if r.random() < 0.7 else b.mul(y, other)
        made.append(b.relu(y) if r.random() < 0.2 else y)
    read = {name for op in b.ops for name in op.inputs}
    ends = [t for t in made[1:] if t not in read or r.random() < 0.1]
    network = b.network(ends)
    return network, _tight_device(network, r, (0.3, 1.0))


def concats_case(seed: int) -> tuple[Network, Device]:
    """Concats whose operands may lie in them, low maps between them, and a scratchpad for a third to two thirds of all."""
    r = random.Random(seed)
    b = GraphBuilder(f"concats{seed}", seed=seed)
    x = b.input(r.choice((3, 4, 8)), r.choice((3, 4, 6)), r.randint(2, 5))
    if r.random() < 0.3:
        x = b.conv(x, r.choice((4, 4, 6, 8)), r.choice((1, 3)))
    make = r.choice((_fire, _dense, _fire if b.ops else _sum_inside))
    x = make(b, r, x)
    ends = [b.conv(x, r.choice((2, 4)), r.choice((1, 3)))] if r.random() < 0.7 else [x]
    network = b.network(ends)
    return network, _tight_device(network, r, (0.3, 0.65))


def scaled_concats_case(seed: int) -> tuple[Network, Device]:
    """Scales by means keep the rows of two maps from streaming: the first may lie in the second, while what else is in that is
    made row by row beside the concat."""
    r = random.Random(seed)
    b = GraphBuilder(f"scaled{seed}", seed=seed)
    x = b.input(r.choice((4, 8)), r.choice((6, 8, 10)), r.randint(2, 3))
    made = _concat(b, r, x, b.conv(b.mul(x, b.mean(x)), r.choice((4, 8)), r.choice((1, 1, 3))))
    network = b.network([b.mul(made, b.mean(made))])
    return network, _tight_device(network, r, (0.4, 0.8))


def _fire(b: GraphBuilder, r: random.Random, x: str) -> str:
    """Two or three branches side by side, of which one may be a pool."""
    branches = [b.conv(x, r.choice((4, 4, 6, 8)), r.choice((1, 3))) for _ in range(2 + (r.random() < 0.2))]
    if r.random() < 0.3:
        branches[-1] = b.max_pool(x, 3, 1, 1)
    return _concat(b, r, *branches)


def _dense(b: GraphBuilder, r: random.Random, x: str) -> str:
    """Every convolution reads all maps before it, some through a narrower one."""
    rounds = 1 if b.ops else r.choice((1, 2, 2))
    for _ in range(rounds):
        y = x if rounds > 1 or r.random() < 0.5 else b.conv(x, 4, 1)
        x = _concat(b, r, x, b.conv(y, r.choice((4, 4, 3, 8)), r.choice((1, 3))))
    return x


def _sum_inside(b: GraphBuilder, r: random.Random, x: str) -> str:
    """A residual sum, and beside it what it was made of or something new."""
    y = b.conv(x, b.shape(x)[0], r.choice((1, 3)))
    total = b.add(b.conv(y, b.shape(x)[0], r.choice((1, 3))), r.choice((x, y)))
    other = r.choice((x, y)) if r.random() < 0.4 else b.conv(total, 4, r.choice((1, 3)))
    pieces = [total, other]
    r.shuffle(pieces)
    return _concat(b, r, *pieces)


def _concat(b: GraphBuilder, r: random.Random, *pieces: str) -> str:
    """With the scale of the first piece, which is not requantised then, or with its own."""
    made = b.concat(*pieces)
    if r.random() < 0.5:
        b.tensors[made] = replace(b.tensors[made], quant=b.tensors[pieces[0]].quant)
    return made


def _tight_device(network: Network, r: random.Random, share: tuple[float, float]) -> Device:
    """Four lanes, and a scratchpad for a share of all maps and constants."""
    base = replace(
        load_device("sim8"),
        name="tiny",
        lanes_in=4,
        lanes_out=4,
        accumulator_pixels=8,
        dram_latency_cycles=r.choice((3, 40)),
    )
    maps = sum(f.height * cost.map_row_bytes(f, base) for f in network.maps.values())
    constants = sum(
        c.rows * c.row_bytes(base) for g in network.groups for c in cost.constants(network, g, folded=False)
    )
    banks = r.randint(5, 10)
    words = int((maps + constants) * r.uniform(*share)) // (banks * base.word_bytes)
    return replace(base, banks=banks, bank_bytes=max(1, words) * base.word_bytes)


def tiny_device(seed: int) -> Device:
    """Four lanes and a scratchpad of a few hundred bytes to a few KiB."""
    banks, bank_bytes = 5 + seed % 4, (32, 48, 64, 96, 160, 256)[seed // 4 % 6]
    return replace(
        load_device("sim8"),
        name="tiny",
        lanes_in=4,
        lanes_out=4,
        banks=banks,
        bank_bytes=bank_bytes,
        accumulator_pixels=8,
        dram_latency_cycles=(3, 40)[seed % 2],
    )
