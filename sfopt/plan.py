"""The plan: what is on-chip when, what moves, and what was proven. Frozen data with a JSON round trip; no behaviour.

Time is counted in steps: step s is the execution of `segments[s]`. A buffer is a rectangle, `first_step..last_step` (inclusive) by
`offset..offset + size_bytes` in the scratchpad. Buffers are named by rule, so that the emitter and the checker find them:

| role | name | meaning |
| --- | --- | --- |
| RESIDENT | `T` | feature map T whole on-chip from its producer (or its one load) to a reader |
| INPUT | `s:T` | rows of T that segment s streams in; `rows` < height makes it a ring |
| OUTPUT | `s:T` | rows of T that segment s computes and streams out |
| RING | `s:T` | rows of T that segment s computes and reads itself; T never exists whole |
| WEIGHTS | `s:T.weights` | weights of the group that writes T, `rows` output channels at a time |
| PARAMETERS | `s:T.parameters` | its tables, biases, factors |
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, is_dataclass
from enum import StrEnum
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from sfopt.errors import UsageError
from sfopt.notebook import plan_html

__all__ = [
    "Buffer",
    "Category",
    "Certificate",
    "DramRegion",
    "Feed",
    "Objective",
    "Order",
    "Plan",
    "Role",
    "Run",
    "Segment",
    "Status",
    "Transfer",
    "WeightMode",
]

SCHEMA = 3


class Role(StrEnum):
    """Why a buffer exists."""

    RESIDENT = "resident"
    INPUT = "input"
    OUTPUT = "output"
    RING = "ring"
    WEIGHTS = "weights"
    PARAMETERS = "parameters"


class WeightMode(StrEnum):
    """How a group's convolution weights reach the scratchpad.

    RESIDENT: all of them, once, before the first band. STREAMED: one channel tile at a time, once; the only band is the frame.
    REREAD: one channel tile at a time, again for every band. INPUT_REREAD: one channel tile at a time, once; all bands run again
    for each tile, and what streams in band by band is read again. The output is whole on-chip meanwhile.
    """

    RESIDENT = "resident"
    STREAMED = "streamed"
    REREAD = "reread"
    INPUT_REREAD = "input_reread"


class Category(StrEnum):
    """What a byte of DRAM traffic belongs to. Re-reads of a network input stay `inputs`."""

    WEIGHTS = "weights"
    INPUTS = "inputs"
    OUTPUTS = "outputs"
    FEATURE_MAPS = "feature_maps"


class Status(StrEnum):
    """OPTIMAL only when bound = objective; FEASIBLE when the solver ran out of time; HEURISTIC when nothing was proven."""

    OPTIMAL = "optimal"
    FEASIBLE = "feasible"
    HEURISTIC = "heuristic"


@dataclass(frozen=True)
class Run:
    """How one group runs in its segment: after band i, min(height, first + i * step) of its rows are done.

    Rows are those of its output; of its input for a global mean, whose one row is there when the last of them is.
    """

    group: int
    first: int
    step: int
    weight_mode: WeightMode
    channel_tile: int
    """Output channels per weight tile; all of them when weights are RESIDENT."""


@dataclass(frozen=True)
class Feed:
    """How a map arrives in a segment that streams it in: before band i, min(height, first + i * step) of its rows are there.

    Rows that no band needs are read behind the last one: a map is always read whole.
    """

    tensor: str
    first: int
    step: int


@dataclass(frozen=True)
class Segment:
    """Groups `first..last` (inclusive), run together: in every band, each of them in turn. A HOST group has no runs."""

    first: int
    last: int
    bands: int
    overlap: bool
    """Rings hold one band more than a step needs, so that DMA runs behind compute."""
    runs: tuple[Run, ...]
    """One for each group, in order."""
    feeds: tuple[Feed, ...]
    """One for each map with an INPUT buffer."""

    @property
    def mode(self) -> str:
        """`frame` for one band, `row` for many."""
        return "frame" if self.bands == 1 else "row"

    def run(self, group: int) -> Run:
        """The run of group `group`, which is one of its own."""
        return self.runs[group - self.first]


@dataclass(frozen=True)
class Buffer:
    """A placed rectangle. Sizes and offsets in bytes; `rows * row_bytes` is its size."""

    name: str
    role: Role
    content: str
    """Feature map name, or the name of the group whose constants it holds."""
    rows: int
    row_bytes: int
    offset: int
    first_step: int
    last_step: int

    @property
    def size_bytes(self) -> int:
        """Bytes of scratchpad."""
        return self.rows * self.row_bytes

    @property
    def end(self) -> int:
        """First byte behind it."""
        return self.offset + self.size_bytes


@dataclass(frozen=True)
class Transfer:
    """DRAM bytes moved by one segment for one tensor or constant block."""

    segment: int
    tensor: str
    direction: str
    """`read` or `write`"""
    size_bytes: int
    category: Category
    shortcut: bool = False


@dataclass(frozen=True)
class DramRegion:
    """Where a network input, output or spilled map lives in DRAM, relative to the feature-map area."""

    tensor: str
    offset: int
    size_bytes: int
    first_step: int
    last_step: int


@dataclass(frozen=True)
class Objective:
    """One level of the lexicographic objective: value reached, proven lower bound."""

    name: str
    value: int
    bound: int
    status: Status


@dataclass(frozen=True)
class Certificate:
    """What the planner claims. `status` is OPTIMAL only if every level is."""

    method: str
    status: Status
    objectives: tuple[Objective, ...]
    seconds: float
    iterations: int = 1
    """Choice/placement rounds until a choice could be placed."""


@dataclass(frozen=True)
class Order:
    """For which of several topological orders of the groups a plan is, and what that proves: nothing about orders not tried.

    `bound` holds for the first objective in every order tried: where it is the value reached, no order tried allows less. Levels
    behind the first were minimised in the order chosen.
    """

    chosen: int
    """1 is the network's own."""
    tried: int
    bound: int
    groups: tuple[str, ...]
    """Names of all groups in the order chosen; empty for the network's own."""


@dataclass(frozen=True)
class Plan:
    """Everything the emitter needs beside the network and the device."""

    network: str
    """Fingerprint of the network it is for (`groups.network_fingerprint`)."""
    device: Mapping[str, Any]
    segments: tuple[Segment, ...]
    buffers: tuple[Buffer, ...]
    transfers: tuple[Transfer, ...]
    dram: tuple[DramRegion, ...]
    certificate: Certificate
    order: Order | None = None
    """None where no other order was asked for. The fingerprint is that of the network in the order chosen."""

    @property
    def peak_bytes(self) -> int:
        """Highest scratchpad byte in use plus one."""
        return max((b.end for b in self.buffers), default=0)

    def held_bytes(self, step: int) -> int:
        """Scratchpad bytes that hold something while a segment runs; those that an output takes over from an operand count once."""
        total, top = 0, 0
        for b in sorted((b for b in self.buffers if b.first_step <= step <= b.last_step), key=lambda b: b.offset):
            total += max(0, b.end - max(top, b.offset))
            top = max(top, b.end)
        return total

    @property
    def traffic_bytes(self) -> int:
        """DRAM bytes of data; the program's own fetches are counted when it has been emitted."""
        return sum(t.size_bytes for t in self.transfers)

    def buffer(self, step: int, content: str, role: Role | None = None) -> Buffer:
        """The buffer through which segment `step` sees feature map `content`: its own ring if it has one, else the resident one."""
        table = {b.name: b for b in self.buffers}
        name = f"{step}:{content}"
        if role in (Role.WEIGHTS, Role.PARAMETERS):
            return table[f"{name}.{role.value}"]
        return table[name] if name in table else table[content]

    def _repr_html_(self) -> str:
        """What a notebook shows: what is proven, and for each segment how it runs, what it holds and what it moves."""
        return plan_html(self)

    def to_json(self) -> str:
        """As JSON, stable key order, one line an entry where that is readable."""
        return json.dumps({"schema": SCHEMA, **asdict(self)}, indent=1)

    @staticmethod
    def from_json(text: str) -> "Plan":
        """Inverse of `to_json`; raises UsageError naming what is wrong."""
        try:
            raw = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise UsageError(f"not a plan: {error}") from None
        if not isinstance(raw, dict) or "schema" not in raw:
            raise UsageError("not a plan: no `schema`")
        if raw["schema"] != SCHEMA:
            raise UsageError(f"plan has schema {raw['schema']!r}, this version reads {SCHEMA}")
        plan = _read(Plan, {k: v for k, v in raw.items() if k != "schema"}, "plan")
        assert isinstance(plan, Plan)
        return plan


def _read(kind: Any, raw: Any, where: str) -> Any:
    """`raw` as `kind`: a dataclass of this file or None, a tuple, an enumeration, a mapping, or a plain value of that very type."""
    if isinstance(kind, type) and is_dataclass(kind):
        hints, names = get_type_hints(kind), {f.name for f in fields(kind)}
        if not isinstance(raw, dict) or raw.keys() != names:
            raise UsageError(f"not a plan: `{where}` needs exactly {', '.join(sorted(names))}")
        return kind(**{name: _read(hints[name], raw[name], f"{where}.{name}") for name in raw})
    if get_origin(kind) is UnionType:
        return None if raw is None else _read(get_args(kind)[0], raw, where)
    if get_origin(kind) is tuple and isinstance(raw, list):
        return tuple(_read(get_args(kind)[0], value, f"{where}[{i}]") for i, value in enumerate(raw))
    if get_origin(kind) is Mapping and isinstance(raw, dict):
        return raw
    if isinstance(kind, type) and issubclass(kind, StrEnum) and raw in list(kind):
        return kind(raw)
    if isinstance(kind, type) and (type(raw) is kind or (kind is float and type(raw) is int)):
        return raw
    raise UsageError(f"not a plan: `{where}` is {str(raw)[:40]!r}")
