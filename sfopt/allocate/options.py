"""Data: one way in which consecutive groups may run as one segment, for one choice of which of its feature maps are resident.

An option fixes the groups, the pattern of resident maps, the bands, weight mode and channel tile, overlap, and whether constants
arrive behind the previous segment. From these follow its buffers, its cycles and the bytes it moves. `single` and `segments`
enumerate them. Options that another option of the same groups and pattern beats or equals in every buffer, cycle term and byte are
dropped: whatever a plan does with them, it can do with the other.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, combinations

import numpy as np

from sfopt.device import Device
from sfopt.groups import Group, Kind, Network
from sfopt.plan import Feed, Role, Run

__all__ = [
    "Block",
    "Body",
    "Edge",
    "Key",
    "Option",
    "bank_floor",
    "can_be_resident",
    "lies_inside",
    "may_lend",
    "operand_sets",
    "patterns",
    "undominated",
]

Key = tuple[int, int, frozenset[str]]
"""First group, last group, pattern of resident maps."""
Edge = tuple[int, str]
"""A group, and an operand of it that gives its place to the output: rule 5 of docs/plan-rules.md."""
MAX_SEPARATE = 6
"""Maps of one segment whose residency is decided one by one."""


@dataclass(frozen=True)
class Block:
    """A buffer that has no offset yet. `early`: it is live from the previous step on."""

    role: Role
    content: str
    rows: int
    row_bytes: int
    early: bool = False

    @property
    def size_bytes(self) -> int:
        """Bytes of scratchpad."""
        return self.rows * self.row_bytes


@dataclass(frozen=True)
class Body:
    """What a segment consists of, beside the maps that are resident."""

    runs: tuple[Run, ...]
    feeds: tuple[Feed, ...]
    blocks: tuple[Block, ...]


@dataclass(frozen=True, eq=False)
class Option:
    """One way to run groups `first..last`. Cycle terms are those of docs/plan-rules.md rule 9."""

    first: int
    last: int
    resident: frozenset[str]
    """Maps that it touches and sees resident; the others stream through its blocks."""
    bands: int
    overlap: bool
    own_bytes: int
    """Bytes of its own buffers during its step."""
    early_bytes: int
    """Bytes of its own buffers during the step before."""
    floor_bytes: int
    """Least highest byte of any placement of its own operands and nothing else, given the bank rule; 0 where it is not known."""
    traffic_bytes: int
    """All DRAM bytes of its step: constants, re-read or not, and maps."""
    compute: int
    exposed: int
    behind: int
    ahead: int
    """Cycles of DMA behind the previous segment's compute."""
    lends: frozenset[Edge]
    """Where operands that it sees resident may give their place."""
    make: Callable[[], Body]

    @cached_property
    def body(self) -> Body:
        """Runs, feeds and blocks."""
        return self.make()

    @property
    def blocks(self) -> tuple[Block, ...]:
        """Its buffers."""
        return self.body.blocks

    @property
    def key(self) -> Key:
        """Groups and pattern."""
        return self.first, self.last, self.resident


def can_be_resident(network: Network, tensor: str) -> bool:
    """Whether some accelerator group reads the map and no host group touches it."""
    touching = [network.groups[i] for i in network.readers[tensor]]
    if tensor in network.producers:
        touching.append(network.groups[network.producers[tensor]])
    return bool(network.readers[tensor]) and all(g.kind is not Kind.HOST for g in touching)


def may_lend(group: Group, device: Device) -> tuple[str, ...]:
    """Operands whose place a group's output may have, as far as it depends on the group alone."""
    return tuple(m for m, channel in group.replaceable.items() if channel % device.lanes_in == 0)


def lies_inside(group: Group, tensor: str) -> bool:
    """Whether an operand that gives its place is a piece of a concat, which lies inside the output, and not as large as it."""
    return len(group.pieces) > 1 and tensor != group.residual


def operand_sets(group: Group, weights: str | None) -> tuple[tuple[str, ...], ...]:
    """For each compute instruction of a group, the names of what streams through it: feature maps, and its weights if any."""
    others = [n for n in (group.scale, group.residual, weights, group.output) if n is not None]
    return tuple(tuple(dict.fromkeys([p.tensor, *others])) for p in group.pieces)


def bank_floor(sizes: Sequence[int], bank_bytes: int) -> int:
    """Least highest byte of buffers in mutually disjoint banks: all but the topmost fill whole banks."""
    padded = [-(-size // bank_bytes) * bank_bytes for size in sizes]
    return sum(padded) - max(p - s for p, s in zip(padded, sizes, strict=True))


def patterns(network: Network, maps: Sequence[str]) -> Iterator[frozenset[str]]:
    """Every set of resident maps. Of many maps, all but the largest MAX_SEPARATE share one fate."""
    free = sorted(maps, key=lambda m: -network.maps[m].size_bytes)
    units = [frozenset({m}) for m in free[:MAX_SEPARATE]]
    if free[MAX_SEPARATE:]:
        units.append(frozenset(free[MAX_SEPARATE:]))
    for chosen in chain.from_iterable(combinations(units, k) for k in range(len(units) + 1)):
        yield frozenset[str]().union(*chosen)


def undominated(options: Sequence[Option], *, cycles: bool = True) -> list[Option]:
    """Options of one key that no other option beats or equals everywhere; of equals, the first.

    All have blocks of the same roles and contents in the same order.
    """
    if len(options) < 2:
        return list(options)
    rows = [
        (
            o.traffic_bytes,
            *((o.compute, o.exposed, o.behind, o.ahead) if cycles else ()),
            *(b.size_bytes for b in o.blocks),
            *(b.early for b in o.blocks),
        )
        for o in options
    ]
    table = np.unique(np.array(rows, dtype=np.int64), axis=0, return_index=True)
    vectors, first = table
    below = np.all(vectors[:, None, :] <= vectors[None, :, :], axis=2)
    np.fill_diagonal(below, val=False)
    kept = sorted(int(first[i]) for i in np.flatnonzero(~below.any(axis=0)))
    return [options[i] for i in kept]
