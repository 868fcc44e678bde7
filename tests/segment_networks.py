"""Small networks with the shapes that make segments hard: shortcuts, changes of resolution, halos that differ at the ends."""

from collections.abc import Callable, Mapping

from networks import GraphBuilder

from sfopt.groups import Network

__all__ = ["SEGMENT_NETWORKS"]


def _residual_chain(b: GraphBuilder) -> list[str]:
    x = b.relu(b.conv(b.input(3, 11, 7), 6, 3))
    for _ in range(3):
        x = b.relu(b.add(b.conv(b.relu(b.conv(b.relu(b.conv(x, 4)), 5, 3)), 6), x))
    return [x]


def _projections(b: GraphBuilder) -> list[str]:
    """Blocks whose shortcut is a strided convolution."""
    x = b.max_pool(b.relu(b.conv(b.input(3, 25, 9), 5, 7, 2)), 3, 2, 1)
    for channels, stride in ((6, 1), (9, 2)):
        y = b.conv(b.relu(b.conv(b.relu(b.conv(x, 4)), 4, 3, stride)), channels)
        x = b.relu(b.add(y, b.conv(x, channels, 1, stride)))
    return [b.conv(b.mean(x), 7)]


def _inverted_residuals(b: GraphBuilder) -> list[str]:
    x = b.conv(b.input(3, 14, 10), 4, 3, 2)
    for stride in (1, 2):
        y = b.depthwise(b.relu(b.conv(x, 9)), 5 if stride == 1 else 3, stride)
        y = b.conv(b.squeeze_excite(b.mul(y, b.lookup(y)), 3), 4)
        x = b.add(y, x) if stride == 1 else y
    return [b.relu(x)]


def _pyramid(b: GraphBuilder) -> list[str]:
    """Lateral convolutions, a way up by resizes and sums, a head on each level."""
    levels = [b.relu(b.conv(b.input(3, 16, 8), 4, 3, 2))]
    levels += [b.relu(b.conv(levels[0], 5, 3, 2))]
    levels += [b.relu(b.conv(levels[1], 6, 3, 2))]
    top = b.conv(levels[2], 4)
    heads = [b.conv(top, 3, 3)]
    for level in (levels[1], levels[0]):
        top = b.add(b.resize(top), b.conv(level, 4))
        heads.append(b.conv(top, 3, 3))
    return heads


def _dense(b: GraphBuilder) -> list[str]:
    x = b.conv(b.input(5, 9, 6), 6)
    for _ in range(3):
        x = b.concat(x, b.conv(b.relu(b.conv(x, 7)), 3, 3))
    return [b.average_pool(b.conv(x, 8), 2, 2)]


def _inception(b: GraphBuilder) -> list[str]:
    x = b.conv(b.input(4, 10, 7), 8, 3)
    far = b.conv_with(b.conv_with(b.conv(x, 4), 4, (1, 5), pads=(0, 2, 0, 2)), 6, (5, 1), pads=(2, 0, 2, 0))
    return [b.relu(b.concat(b.conv(x, 3), far, b.conv(b.max_pool(x, 3, 1, 1), 5), b.conv(x, 8, 3)))]


def _fires(b: GraphBuilder) -> list[str]:
    x = b.max_pool(b.relu(b.conv(b.input(3, 23, 9), 8, 3, 2, pad=0)), 3, 2)
    for _ in range(2):
        squeezed = b.relu(b.conv(x, 3))
        x = b.concat(b.relu(b.conv(squeezed, 4)), b.relu(b.conv(squeezed, 4, 3)))
    return [b.mean(b.relu(b.conv(x, 10)))]


def _lopsided(b: GraphBuilder) -> list[str]:
    """Asymmetric padding, dilation, and windows that lie in the padding alone."""
    x = b.input(6, 13, 9)
    y = b.conv_with(x, 7, (3, 3), pads=(0, 0, 2, 2), strides=(2, 2))
    y = b.conv_with(y, 8, (3, 2), pads=(4, 1, 1, 0), dilations=(2, 1))
    z = b.conv_with(y, 8, (2, 2), pads=(3, 1, 2, 0))
    z = b.conv_with(z, 8, (6, 1), pads=(1, 0, 0, 0))
    return [b.conv_with(z, 5, (3, 3), group=1, pads=(2, 2, 2, 2), dilations=(2, 2)), y]


def _sparse(b: GraphBuilder) -> list[str]:
    """Strides above the kernel: rows in between, and at the end, that nobody reads."""
    x = b.conv(b.input(4, 28, 6), 6, 3)
    y = b.conv(b.relu(b.conv(x, 5, 1, 3)), 5, 1, 2)
    return [b.conv(x, 4, 1, 2), y, b.max_pool(x, 2, 4)]


def _forks(b: GraphBuilder) -> list[str]:
    """Maps with many readers, several of which are also outputs; operations on one map twice; parts that share nothing."""
    x, other = b.input(5, 12, 5), b.input(5, 7, 4)
    y = b.conv(x, 5, 3)
    z = b.mul(b.add(y, x), y)
    v = b.conv(b.depthwise(other), 6, 3, 2)
    w = b.concat(z, y, z)
    return [y, b.resize(b.conv(z, 2, 3, 2), 2), b.relu(w), b.average_pool(b.add(z, z), 3, 2, 1), v, b.conv(x, 3, 5, 1)]


def _hourglass(b: GraphBuilder) -> list[str]:
    """Down and up again with shortcuts across, factors 2 and 3."""
    x = b.conv(b.input(3, 12, 6), 4, 3)
    y = b.relu(b.conv(x, 5, 3, 2))
    z = b.conv(b.max_pool(y, 3, 3), 5)
    return [b.conv(b.add(b.resize(b.conv(b.concat(b.resize(z, 3), y), 4, 3)), x), 3, 3)]


_BUILDERS: Mapping[str, Callable[[GraphBuilder], list[str]]] = {
    "residual_chain": _residual_chain,
    "projections": _projections,
    "inverted_residuals": _inverted_residuals,
    "pyramid": _pyramid,
    "dense": _dense,
    "inception": _inception,
    "fires": _fires,
    "lopsided": _lopsided,
    "sparse": _sparse,
    "forks": _forks,
    "hourglass": _hourglass,
}


def _network(name: str) -> Network:
    b = GraphBuilder(name, seed=len(name))
    return b.network(_BUILDERS[name](b))


SEGMENT_NETWORKS: Mapping[str, Callable[[], Network]] = {n: (lambda n=n: _network(n)) for n in _BUILDERS}
