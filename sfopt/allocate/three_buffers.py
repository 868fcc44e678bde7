"""ShortcutFusion's frame mode: three physical buffers, interchangeably the input, the output and the shortcut of a group.

For a range of groups this says which maps are held and in which buffer, and how large the buffers must be.

- A map may be held if the range makes or loads it and everything that reads it lies in the range. The map that the group before
  the range writes may be held too. (A plan cannot write a map to DRAM, load it once and keep it from then on. The difference, one
  write and one read, is in the heuristic's favour: `crossing_bytes`.)
- A convolution works on whole maps, so each of its operands that is not held is staged in a buffer for that step. Other groups
  have no weights to reuse: what they do not hold streams through by rows and takes no buffer.
- When more than three are wanted at one step, the map that is read last goes to DRAM, from the start: its whole life is spilled.
  (It could still be handed to the next group on-chip: `handed_on_bytes` is what that would save.)
- Vectors (one pixel: what a squeeze-excite block makes of a map) are held beside the buffers, also in the heuristic's favour.
- A buffer is as large as the largest map it ever holds, in whole banks; maps are seated such that the sum of the three is least.
"""

from collections.abc import Container, Mapping
from dataclasses import dataclass

from sfopt.allocate.problem import Problem
from sfopt.allocate.seating import Stay, seat
from sfopt.cost import stream_row_bytes
from sfopt.groups import Group, Kind

__all__ = [
    "BUFFERS",
    "Buffers",
    "crossing_bytes",
    "frames",
    "handed_on_bytes",
    "may_hold",
    "residents",
    "seat_buffers",
    "staged_bytes",
]

BUFFERS = 3


@dataclass(frozen=True)
class Buffers:
    """What the buffers hold while groups `first..end - 1` run in frame mode."""

    first: int
    end: int
    held: Mapping[str, int]
    """Resident map of more than one pixel -> its buffer."""
    vectors: frozenset[str]
    """Resident maps of one pixel."""
    staged: Mapping[tuple[int, str], int]
    """(step, spilled operand of a convolution) -> the buffer it passes through."""
    sizes: tuple[int, ...]
    """Bytes of each buffer: whole banks."""

    @property
    def size_bytes(self) -> int:
        """Bytes of all three."""
        return sum(self.sizes)

    def offset(self, index: int) -> int:
        """First byte of a buffer: they lie at the bottom of the scratchpad, one behind the other."""
        return sum(self.sizes[:index])

    @property
    def resident(self) -> frozenset[str]:
        """Everything that is on-chip from its producer to its last reader."""
        return self.vectors.union(self.held)


def may_hold(problem: Problem, first: int, end: int) -> list[str]:
    """Maps whose whole life lies in the range, or that the group before it writes for nobody else."""
    network = problem.network
    return [
        m
        for m in problem.free_maps
        if first <= network.readers[m][0]
        and network.readers[m][-1] < end
        and (m in network.inputs or network.producers[m] >= first - 1)
    ]


def residents(problem: Problem, first: int, end: int, barred: Container[str] = ()) -> frozenset[str]:
    """What stays on-chip while groups `first..end - 1` run in frame mode: wherever four are wanted, the map read last is not."""
    wanted = [m for m in may_hold(problem, first, end) if m not in barred]
    vectors = frozenset(m for m in wanted if _is_vector(problem, m))
    coming = sorted(set(wanted) - vectors, key=lambda m: problem.live[m][0], reverse=True)
    held, live = set(coming), set[str]()
    for step in range(first, end):
        while coming and problem.live[coming[-1]][0] <= step:
            live.add(coming.pop())
        live = {m for m in live if problem.live[m][1] >= step}
        group = problem.network.groups[step]
        operands = frames(problem, group)
        while len(live | operands if group.kind is Kind.CONV else live) > BUFFERS:
            last = max(live - operands or live, key=lambda m: (problem.live[m][1], problem.map_bytes[m], m))
            held.remove(last)
            live.remove(last)
    return vectors | held


def seat_buffers(problem: Problem, first: int, end: int, resident: frozenset[str]) -> Buffers | None:
    """Put what is resident, and what convolutions stage, into the buffers; None if those would not fit the scratchpad."""
    vectors = frozenset(m for m in resident if _is_vector(problem, m))
    held = resident - vectors
    stays = dict[tuple[int, str], Stay]()
    for m in held:
        stays[problem.live[m][0], m] = Stay(*problem.live[m], _whole_banks(problem, problem.map_bytes[m]))
    for group in problem.network.groups[first:end]:
        for m in frames(problem, group) - held if group.kind is Kind.CONV else ():
            size_bytes = staged_bytes(problem, group, m)
            stays[group.index, m] = Stay(group.index, group.index, _whole_banks(problem, size_bytes))
    names = sorted(stays, key=lambda key: (key[0], -stays[key].size_bytes, key[1]))
    seating = seat([stays[key] for key in names], BUFFERS, problem.device.sram_bytes)
    if seating is None:
        return None
    seats = dict(zip(names, seating.seats, strict=True))
    held_in = {m: i for (_, m), i in seats.items() if m in held}
    staged = {key: i for key, i in seats.items() if key[1] not in held}
    return Buffers(first, end, held_in, vectors, staged, seating.sizes)


def crossing_bytes(problem: Problem, buffers: Buffers) -> int:
    """Bytes that the original moves and a plan does not: what the group before the range writes into a buffer."""
    network = problem.network
    crossing = [m for m in buffers.resident if network.producer(m) == buffers.first - 1 and m not in network.inputs]
    return sum((2 - (m in network.outputs)) * network.maps[m].size_bytes for m in crossing)


def handed_on_bytes(problem: Problem, buffers: Buffers) -> int:
    """Bytes that a plan reads and the original does not: spilled maps read by the group right after the one that made them."""
    network, frame = problem.network, range(buffers.first, buffers.end)
    return sum(
        network.maps[m].size_bytes
        for m in problem.free_maps
        if m not in buffers.resident
        and network.producer(m) in frame
        and network.producer(m) + 1 in frame
        and network.producer(m) + 1 in network.readers[m]
    )


def _whole_banks(problem: Problem, size_bytes: int) -> int:
    return -(-size_bytes // problem.device.bank_bytes) * problem.device.bank_bytes


def _is_vector(problem: Problem, tensor: str) -> bool:
    return problem.network.maps[tensor].height * problem.network.maps[tensor].width == 1


def frames(problem: Problem, group: Group) -> set[str]:
    """The group's operands of more than one pixel."""
    return {m for m in (*group.reads, *group.writes) if not _is_vector(problem, m)}


def staged_bytes(problem: Problem, group: Group, tensor: str) -> int:
    """Bytes of a spilled operand while all of it is on-chip."""
    if tensor == group.output:
        return problem.map_bytes[tensor]
    return problem.network.maps[tensor].height * stream_row_bytes(problem.network, group, tensor, problem.device)
