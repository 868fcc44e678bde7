"""The independent plan checker: every rule of docs/plan-rules.md, re-derived. Shares no code with the planner.

A plan that breaks a rule raises PlanCheckError, which names the rule, the thing and the numbers.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations

from sfopt import cost
from sfopt.device import Device
from sfopt.errors import DeviceError, PlanCheckError
from sfopt.groups import Group, Kind, Network, network_fingerprint
from sfopt.plan import Buffer, Category, Objective, Plan, Role, Segment, Status, Transfer, WeightMode

__all__ = ["PlanFacts", "check_plan"]

DRAM_ALIGNMENT_BYTES = 64


@dataclass(frozen=True)
class PlanFacts:
    """What the checker derived by itself."""

    traffic_bytes: int
    peak_bytes: int
    cycles: int
    bytes_by_category: Mapping[Category, int]
    bytes_by_tensor: Mapping[tuple[str, str], int]
    """(tensor or constant block, "read" or "write") -> bytes."""


def check_plan(plan: Plan, network: Network, device: Device) -> PlanFacts:
    """Check every rule; raises PlanCheckError at the first that is broken."""
    return _Checker(plan, network, device).run()


def _require(holds: bool, rule: int, text: str) -> None:
    if not holds:
        raise PlanCheckError(f"rule {rule}: {text}")


class _Checker:
    def __init__(self, plan: Plan, network: Network, device: Device) -> None:
        self.plan, self.network, self.device = plan, network, device
        self.buffers = {b.name: b for b in plan.buffers}
        self.resident = {b.content: b for b in plan.buffers if b.role is Role.RESIDENT}
        self.used = set[str]()

    def run(self) -> PlanFacts:
        self._made_for_this()
        self._cover()
        self._resident_maps()
        for group, segment in zip(self.network.groups, self.plan.segments, strict=True):
            if group.kind is not Kind.HOST:
                self._segment(group, segment)
                self._streams(group, segment)
                self._constants(group, segment)
        for b in self.plan.buffers:
            _require(b.name in self.used, 3, f"buffer `{b.name}` ({b.role}) is not one that the plan's groups have")
        self._placement()
        for group in self.network.groups:
            self._banks(group)
        moved = self._traffic()
        self._dram()
        return self._certificate(moved)

    def _made_for_this(self) -> None:
        _require(self.plan.network == network_fingerprint(self.network), 1, "plan was made for another network")
        try:
            same = Device.from_dict(dict(self.plan.device)).fingerprint() == self.device.fingerprint()
        except DeviceError as error:
            raise PlanCheckError(f"rule 1: the plan's device is unusable: {error}") from None
        _require(same, 1, f"plan was made for a device other than `{self.device.name}`")
        _require(len(self.buffers) == len(self.plan.buffers), 2, "two buffers share one name")

    def _cover(self) -> None:
        groups, segments = self.network.groups, self.plan.segments
        _require(len(segments) == len(groups), 1, f"{len(segments)} segments for {len(groups)} groups")
        for i, s in enumerate(segments):
            _require((s.first, s.last) == (i, i), 1, f"segment {i} covers groups {s.first}..{s.last}, needs {i}..{i}")

    def _resident_maps(self) -> None:
        readers, producers = self.network.readers, self.network.producers
        for name, b in self.resident.items():
            _require(name in self.network.maps, 2, f"resident `{name}` is not a feature map of the network")
            fmap = self.network.maps[name]
            touching = {*readers[name], *([producers[name]] if name in producers else [])}
            hosts = [self.network.groups[i].name for i in touching if self.network.groups[i].kind is Kind.HOST]
            _require(not hosts, 2, f"`{name}` is resident, but host group `{hosts and hosts[0]}` touches it")
            _require(bool(readers[name]), 2, f"`{name}` is resident, but nothing reads it")
            live = (producers.get(name, readers[name][0]), readers[name][-1])
            self._shape(b, name, Role.RESIDENT, name, 2, live, cost.map_row_bytes(fmap, self.device))
            _require(b.rows == fmap.height, 2, f"resident `{name}` has {b.rows} rows, needs its height {fmap.height}")

    def _shape(
        self, b: Buffer, name: str, role: Role, content: str, rule: int, live: tuple[int, int], row_bytes: int
    ) -> None:
        """Name, role, content, life and row size of one buffer, all exact."""
        self.used.add(name)
        _require(
            (b.name, b.role, b.content) == (name, role, content),
            rule,
            f"buffer `{b.name}` ({b.role} of `{b.content}`), needs {role} `{name}`",
        )
        _require(
            (b.first_step, b.last_step) == live,
            rule,
            f"`{name}` is live {b.first_step}..{b.last_step}, needs {live[0]}..{live[1]}",
        )
        _require(b.row_bytes == row_bytes, rule, f"`{name}` has rows of {b.row_bytes} bytes, needs {row_bytes}")

    def _get(self, name: str, rule: int) -> Buffer:
        _require(name in self.buffers, rule, f"buffer `{name}` is missing")
        return self.buffers[name]

    def _segment(self, group: Group, s: Segment) -> None:
        where = f"segment {group.index} (`{group.name}`)"
        over = self.network.maps[group.pieces[0].tensor if group.kind is Kind.GLOBAL_MEAN else group.output]
        channels = self.network.maps[group.output].channels
        _require(
            1 <= s.band_rows <= over.height, 3, f"{where} has bands of {s.band_rows} rows, its map has {over.height}"
        )
        bands = cost.band_count(self.network, group, s.band_rows)
        _require(s.bands == bands, 3, f"{where} has {s.bands} bands, {s.band_rows} rows each make {bands}")
        if group.kind is Kind.RESIZE and bands > 1:
            factor = group.window.stride[0]
            _require(
                s.band_rows % factor == 0, 3, f"{where} has bands of {s.band_rows} rows, needs a multiple of {factor}"
            )
        if s.weight_mode is WeightMode.RESIDENT:
            _require(
                s.channel_tile == channels,
                4,
                f"{where} has a tile of {s.channel_tile} channels, RESIDENT needs {channels}",
            )
            return
        _require(
            group.kind is Kind.CONV and group.conv_groups == 1,
            4,
            f"{where} is {group.kind}, {s.weight_mode} needs one plain conv",
        )
        _require(0 < s.channel_tile < channels, 4, f"{where} has a tile of {s.channel_tile} of {channels} channels")
        _require(
            s.channel_tile % self.device.lanes_out == 0,
            4,
            f"{where}: tile {s.channel_tile} is no multiple of {self.device.lanes_out}",
        )
        one = s.weight_mode is WeightMode.STREAMED
        _require((s.bands == 1) == one, 4, f"{where} is {s.weight_mode} with {s.bands} bands")

    def _streams(self, group: Group, s: Segment) -> None:
        for name in (n for n in (*group.reads, group.output) if n not in self.resident):
            fmap, writes = self.network.maps[name], name == group.output
            b = self._get(f"{group.index}:{name}", 3)
            row = (
                cost.map_row_bytes(fmap, self.device)
                if writes
                else cost.stream_row_bytes(self.network, group, name, self.device)
            )
            self._shape(b, b.name, Role.OUTPUT if writes else Role.INPUT, name, 3, (group.index, group.index), row)
            need = fmap.height if s.bands == 1 else min(fmap.height, self._rows(group, s, name, writes=writes))
            _require(need <= b.rows <= fmap.height, 3, f"`{b.name}` has {b.rows} rows, needs {need} to {fmap.height}")

    def _rows(self, group: Group, s: Segment, name: str, *, writes: bool) -> int:
        """Rows that many bands need of a streamed map: the larger of what each of its uses asks for."""
        per_band = s.band_rows * (2 if s.overlap else 1)
        fmap, needs = self.network.maps[name], [1]
        if writes or name == group.residual:
            needs.append(per_band)
        if not writes and any(p.tensor == name for p in group.pieces):
            ahead = cost.input_rows(group, fmap, s.band_rows).step if s.overlap else 0
            needs.append(cost.window_rows(group, fmap, s.band_rows) + ahead)
        return max(needs)

    def _folded(self, group: Group) -> bool:
        first = group.pieces[0].tensor
        return first not in self.resident and cost.folds_input(group, self.network.maps[first], self.device)

    def _constants(self, group: Group, s: Segment) -> None:
        step = group.index
        early_allowed = step > 0 and self.network.groups[step - 1].kind is not Kind.HOST
        for block in cost.constants(self.network, group, folded=self._folded(group)):
            role = Role.WEIGHTS if block.name.endswith(".weights") else Role.PARAMETERS
            b = self._get(f"{step}:{block.name}", 4)
            tiled = role is Role.WEIGHTS and s.weight_mode is not WeightMode.RESIDENT
            rows = min(block.rows, s.channel_tile * (2 if s.overlap else 1)) if tiled else block.rows
            first = step - 1 if b.first_step == step - 1 and early_allowed and not tiled else step
            self._shape(b, b.name, role, group.name, 4, (first, step), block.row_bytes(self.device))
            _require(b.rows == rows, 4, f"`{b.name}` has {b.rows} rows, needs {rows}")

    def _placement(self) -> None:
        word, have = self.device.word_bytes, self.device.sram_bytes
        for b in self.plan.buffers:
            _require(
                b.offset >= 0 and b.offset % word == 0, 5, f"`{b.name}` is at {b.offset}, needs a multiple of {word}"
            )
            _require(b.end <= have, 5, f"`{b.name}` ends at {b.end}, scratchpad has {have} bytes")
        for a, b in self._live_together(self.plan.buffers):
            apart = a.end <= b.offset or b.end <= a.offset
            _require(apart, 5, f"`{a.name}` at {a.offset}..{a.end} and `{b.name}` at {b.offset}..{b.end} overlap")

    @staticmethod
    def _live_together(buffers: Iterable[Buffer]) -> Iterable[tuple[Buffer, Buffer]]:
        pairs = combinations(buffers, 2)
        return ((a, b) for a, b in pairs if a.first_step <= b.last_step and b.first_step <= a.last_step)

    def _banks(self, group: Group) -> None:
        if group.kind is Kind.HOST:
            return
        size, step = self.device.bank_bytes, group.index
        fixed = [n for n in (group.scale, group.residual, f"{group.name}.weights", group.output) if n is not None]
        for piece in group.pieces:
            names = dict.fromkeys([piece.tensor, *fixed])
            operands = [self.buffers.get(f"{step}:{n}", self.resident.get(n)) for n in names]
            for a, b in combinations([o for o in operands if o is not None], 2):
                apart = (a.end - 1) // size < b.offset // size or (b.end - 1) // size < a.offset // size
                both = f"`{a.name}` at {a.offset}..{a.end} and `{b.name}` at {b.offset}..{b.end}"
                _require(apart, 6, f"{both} share a bank of {size} bytes in segment {step}")

    def _category(self, tensor: str) -> Category:
        if tensor in self.network.inputs:
            return Category.INPUTS
        return Category.OUTPUTS if tensor in self.network.outputs else Category.FEATURE_MAPS

    def _expected(self) -> dict[tuple[int, str, str], Transfer]:
        """Rule 7, segment by segment."""
        found, shortcuts, readers = list[Transfer](), self.network.shortcuts, self.network.readers
        for group, s in zip(self.network.groups, self.plan.segments, strict=True):
            i = group.index
            loads = [
                n for n in group.reads if n not in self.resident or (n in self.network.inputs and readers[n][0] == i)
            ]
            stores = [n for n in group.writes if n not in self.resident or n in self.network.outputs]
            for direction, names in (("read", loads), ("write", stores)):
                found += [
                    Transfer(i, n, direction, self.network.maps[n].size_bytes, self._category(n), n in shortcuts)
                    for n in names
                ]
            for block in cost.constants(self.network, group, folded=False):
                times = s.bands if s.weight_mode is WeightMode.REREAD and block.name.endswith(".weights") else 1
                found.append(Transfer(i, block.name, "read", block.size_bytes * times, Category.WEIGHTS))
        return {(t.segment, t.tensor, t.direction): t for t in found}

    def _traffic(self) -> dict[tuple[int, str, str], Transfer]:
        expected = self._expected()
        claimed = {(t.segment, t.tensor, t.direction): t for t in self.plan.transfers}
        _require(len(claimed) == len(self.plan.transfers), 7, "two transfers share segment, tensor and direction")
        for key in sorted(expected.keys() | claimed.keys()):
            want, have = expected.get(key), claimed.get(key)
            what = f"segment {key[0]} {key[2]} of `{key[1]}`"
            _require(have is not None, 7, f"{what} is missing, needs {want and want.size_bytes} bytes")
            _require(want is not None, 7, f"{what} is not needed, plan moves {have and have.size_bytes} bytes")
            _require(want == have, 7, f"{what} is {have}, needs {want}")
        return expected

    def _dram(self) -> None:
        network, end = self.network, len(self.network.groups) - 1
        needed = dict[str, tuple[int, int]]()
        for name in network.maps:
            born, dies = network.producers.get(name, 0), max((network.producers.get(name, 0), *network.readers[name]))
            if name in network.inputs or name in network.outputs or name not in self.resident:
                needed[name] = (born, end if name in network.outputs else dies)
        regions = {r.tensor: r for r in self.plan.dram}
        _require(len(regions) == len(self.plan.dram), 8, "two DRAM regions share one tensor")
        _require(
            regions.keys() == needed.keys(),
            8,
            f"DRAM regions differ from the maps in DRAM: {sorted(regions.keys() ^ needed.keys())}",
        )
        for name, r in regions.items():
            size_bytes = network.maps[name].size_bytes
            _require(
                r.size_bytes == size_bytes, 8, f"DRAM region `{name}` has {r.size_bytes} bytes, needs {size_bytes}"
            )
            _require(
                r.offset >= 0 and r.offset % DRAM_ALIGNMENT_BYTES == 0,
                8,
                f"DRAM region `{name}` is at {r.offset}, needs a multiple of 64",
            )
            _require(
                (r.first_step, r.last_step) == needed[name],
                8,
                f"DRAM region `{name}` lives {r.first_step}..{r.last_step}, needs {needed[name]}",
            )
        for a, b in combinations(self.plan.dram, 2):
            apart = a.offset + a.size_bytes <= b.offset or b.offset + b.size_bytes <= a.offset
            together = a.first_step <= b.last_step and b.first_step <= a.last_step
            _require(
                apart or not together,
                8,
                f"DRAM regions `{a.tensor}` at {a.offset} and `{b.tensor}` at {b.offset} overlap",
            )

    def _cycles(self, moved: Mapping[tuple[int, str, str], Transfer]) -> int:
        """Rule 9's step model: exposed DMA + max(compute, DMA behind it), summed over steps."""
        steps = len(self.plan.segments)
        exposed, behind, compute = [0] * steps, [0] * steps, [0] * steps
        for (i, name, _), t in moved.items():
            s, b = self.plan.segments[i], self.buffers.get(f"{i}:{name}")
            first, rest = cost.piece_cycles(t.size_bytes, self._pieces(s, b), self.device)
            if b is not None and b.first_step < i:
                behind[i - 1] += first
            else:
                exposed[i] += first
            (behind if s.overlap else exposed)[i] += rest
        for group, s in zip(self.network.groups, self.plan.segments, strict=True):
            folded = group.kind is not Kind.HOST and self._folded(group)
            compute[group.index] = cost.group_cycles(
                self.network, group, self.device, s.band_rows, s.channel_tile, folded=folded
            )
        return sum(e + max(c, b) for e, c, b in zip(exposed, compute, behind, strict=True))

    def _pieces(self, segment: Segment, buffer: Buffer | None) -> int:
        """Pieces in which a transfer moves: weight tiles, bands of a stream; all else moves at once."""
        if buffer is None or buffer.role in (Role.RESIDENT, Role.PARAMETERS):
            return 1
        if buffer.role in (Role.INPUT, Role.OUTPUT):
            return min(segment.bands, self.network.maps[buffer.content].height)
        if segment.weight_mode is WeightMode.RESIDENT:
            return 1
        tiles = -(-self.network.maps[buffer.content].channels // segment.channel_tile)
        return tiles * (segment.bands if segment.weight_mode is WeightMode.REREAD else 1)

    def _certificate(self, moved: Mapping[tuple[int, str, str], Transfer]) -> PlanFacts:
        certificate = self.plan.certificate
        peak = max((b.end for b in self.plan.buffers), default=0)
        by_category, by_tensor = dict.fromkeys(Category, 0), dict[tuple[str, str], int]()
        for t in moved.values():
            by_category[t.category] += t.size_bytes
            by_tensor[t.tensor, t.direction] = by_tensor.get((t.tensor, t.direction), 0) + t.size_bytes
        facts = PlanFacts(sum(by_category.values()), peak, self._cycles(moved), by_category, by_tensor)
        shown = {"traffic": facts.traffic_bytes, "cycles": facts.cycles, "peak": facts.peak_bytes}
        names = [o.name for o in certificate.objectives]
        _require(sorted(names) == sorted(shown), 9, f"objectives are {names}, needs {sorted(shown)} in some order")
        for o in certificate.objectives:
            self._claim(o, shown[o.name])
        proven = all(o.status is Status.OPTIMAL for o in certificate.objectives)
        claimed = certificate.status is Status.OPTIMAL
        _require(
            claimed == proven or certificate.status is Status.HEURISTIC,
            9,
            f"status {certificate.status}, levels proven: {proven}",
        )
        return facts

    def _claim(self, o: Objective, shown: int) -> None:
        _require(o.value == shown, 9, f"objective {o.name} says {o.value}, the plan shows {shown}")
        _require(0 <= o.bound <= o.value, 9, f"objective {o.name} has bound {o.bound} above its value {o.value}")
        exact = o.bound == o.value
        _require(
            (o.status is Status.OPTIMAL) == exact,
            9,
            f"objective {o.name} is {o.status} with bound {o.bound}, value {o.value}",
        )
