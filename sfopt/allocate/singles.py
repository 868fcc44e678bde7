"""Every useful way to run one group as a segment of its own."""

from collections.abc import Iterator, Mapping, Sequence, Set
from functools import partial
from itertools import combinations, product

from sfopt import cost
from sfopt.allocate.options import (
    Block,
    Body,
    Edge,
    Key,
    Option,
    bank_floor,
    can_be_resident,
    lies_inside,
    may_lend,
    operand_sets,
    patterns,
    undominated,
)
from sfopt.allocate.rings import feed_first, least_rows, round_up
from sfopt.allocate.switches import Switches
from sfopt.cost import (
    Moved,
    constants,
    dma_cycles,
    folds_input,
    group_cycles,
    map_row_bytes,
    piece_cycles,
    stream_cycles,
    stream_row_bytes,
)
from sfopt.device import Device
from sfopt.groups import Group, Kind, Network
from sfopt.plan import Feed, Role, Run, WeightMode
from sfopt.rows import RowSchedule, row_grain, row_rate, rows_to_run

__all__ = ["single_options"]


def single_options(
    network: Network,
    group: Group,
    device: Device,
    switches: Switches,
    keys: Set[Key] | None = None,
    *,
    lean: bool = False,
) -> tuple[Option, ...]:
    """Useful options of a group alone that fit the device on their own; empty for a HOST group.

    Of certain `keys` only, or of all. `lean`: only what matters where cycles do not.
    """
    if group.kind is Kind.HOST:
        return ()
    maker, found = _Maker(network, group, device, switches), list[Option]()
    for pattern in patterns(network, [m for m in maker.maps if can_be_resident(network, m)]):
        if keys is None or (group.index, group.index, pattern) in keys:
            options = maker.options(pattern, lean=lean and switches.drop_dominated)
            fitting = [o for o in options if max(o.floor_bytes, o.own_bytes) <= device.sram_bytes]
            found += undominated(fitting, cycles=not lean) if switches.drop_dominated else fitting
    return tuple(found)


class _Maker:
    """Builds the options of one group."""

    def __init__(self, network: Network, group: Group, device: Device, switches: Switches) -> None:
        self.network, self.group, self.device, self.switches = network, group, device, switches
        self.maps = tuple(dict.fromkeys([*group.reads, group.output]))
        self.out = network.maps[group.output]
        self.height = rows_to_run(network, group)
        previous = network.groups[group.index - 1] if group.index else None
        self.may_prefetch = previous is not None and previous.kind is not Kind.HOST
        self.constants = {f: constants(network, group, folded=f) for f in (False, True)}
        self.compute = dict[tuple[int, int, bool], int]()

    def options(self, resident: frozenset[str], *, lean: bool) -> Iterator[Option]:
        """Every option of one pattern; `lean`: without overlap and early constants, which only cost scratchpad."""
        for band_rows in self._band_heights(resident, lean=lean):
            bands = -(-self.height // band_rows)
            for mode, tile in self._weight_ways(bands):
                overlaps = (False, True) if not lean and (bands > 1 or mode is not WeightMode.RESIDENT) else (False,)
                early = (False, True) if not lean and self.may_prefetch and self.constants[False] else (False,)
                run = Run(self.group.index, band_rows, band_rows, mode, tile)
                for overlap, ahead, again in product(overlaps, early, self._inputs_again(resident, run, bands)):
                    yield self._option(resident, run, bands, again, overlap=overlap, ahead=ahead)

    def _band_heights(self, resident: frozenset[str], *, lean: bool) -> list[int]:
        """The whole frame, and powers of two below it (times the factor by which rows become more).

        Where nothing streams, lower bands need as much scratchpad; rarely, their pixels fill the accumulators in fewer cycles.
        """
        if cost.loop_words([self.group]) > cost.LOOP_WORDS or (lean and resident.issuperset(self.maps)):
            return [self.height]
        unit = row_rate(self.group)[1]
        return [*(h for k in range(self.height.bit_length()) if (h := unit << k) < self.height), self.height]

    def _weight_ways(self, bands: int) -> list[tuple[WeightMode, int]]:
        """RESIDENT, or tiles of `lanes_out` times a power of two: in the only band, again in every band, or all bands for each."""
        channels = self.out.channels
        ways = [(WeightMode.RESIDENT, channels)]
        if self.group.kind is Kind.CONV and self.group.conv_groups == 1:
            modes = [WeightMode.STREAMED] if bands == 1 else [WeightMode.REREAD]
            if bands > 1 and self.switches.reread_inputs:
                modes.append(WeightMode.INPUT_REREAD)
            lanes = self.device.lanes_out
            tiles = [lanes << k for k in range(channels.bit_length()) if lanes << k < channels]
            ways += product(modes, tiles)
        return ways

    def _inputs_again(self, resident: frozenset[str], run: Run, bands: int) -> Iterator[frozenset[str]]:
        """Maps that stream in once for each tile, at least one of them; the others come whole. Nothing where all are read once."""
        if run.weight_mode is not WeightMode.INPUT_REREAD:
            yield frozenset()
            return
        rows = RowSchedule(run.first, run.step, self.height)
        feeds = {m: self._feed(m, rows, bands) for m in self.maps if m not in resident and m != self.group.output}
        streaming = [m for m, moves in feeds.items() if moves.first < moves.total]
        for count in range(1, len(streaming) + 1):
            yield from map(frozenset, combinations(streaming, count))

    def _option(
        self, resident: frozenset[str], run: Run, bands: int, again: frozenset[str], *, overlap: bool, ahead: bool
    ) -> Option:
        primary = self.group.pieces[0].tensor
        folded = (
            primary not in resident
            and primary != self.group.residual
            and folds_input(self.group, self.network.maps[primary], self.device)
        )
        rows = RowSchedule(run.first, run.step, self.height)
        blocks, feeds, traffic = list[Block](), list[Feed](), 0
        time = {"exposed": 0, "behind": 0, "ahead": 0}
        later = "behind" if overlap else "exposed"
        for m in self.maps:
            fmap = self.network.maps[m]
            if m in resident:
                if self._moves_here(m):
                    traffic += fmap.size_bytes
                    time["exposed"] += dma_cycles(
                        Moved.whole(fmap, self.device), self.device, reading=m in self.network.inputs
                    )
                continue
            whole = run.weight_mode is WeightMode.INPUT_REREAD and m not in again
            moves, block = self._stream(m, rows, bands, overlap=overlap, whole=whole)
            blocks.append(block)
            if block.role is Role.INPUT:
                feeds.append(Feed(m, moves.first, moves.step))
            times = -(-self.out.channels // run.channel_tile) if m in again else 1
            traffic += fmap.size_bytes * times
            row = Moved.row(fmap, block.row_bytes, self.device)
            edge, rest = stream_cycles(row, moves, bands, self.device, reading=block.role is Role.INPUT)
            time["exposed"] += edge * times
            time[later] += rest * times
        for constant in self.constants[folded]:
            weights = constant.name.endswith(".weights")
            tiled = weights and run.weight_mode is not WeightMode.RESIDENT
            role = Role.WEIGHTS if weights else Role.PARAMETERS
            count = min(constant.rows, run.channel_tile * (1 + overlap)) if tiled else constant.rows
            early = ahead and not tiled
            blocks.append(Block(role, self.group.name, count, constant.row_bytes(self.device), early=early))
            times = bands if tiled and run.weight_mode is WeightMode.REREAD else 1
            pieces = times * -(-constant.rows // run.channel_tile) if tiled else 1
            edge, rest = piece_cycles(constant.moved(self.device) * times, pieces, self.device)
            traffic += constant.size_bytes * times
            time["ahead" if early else "exposed"] += edge
            time[later] += rest
        body = Body((run,), tuple(feeds), tuple(blocks))
        return Option(
            first=self.group.index,
            last=self.group.index,
            resident=resident,
            bands=bands,
            overlap=overlap,
            own_bytes=sum(b.size_bytes for b in blocks),
            early_bytes=sum(b.size_bytes for b in blocks if b.early),
            floor_bytes=self._floor(resident, body.blocks),
            traffic_bytes=traffic,
            compute=self._cycles(rows, bands, run.channel_tile, folded=folded),
            **time,
            lends=self._lends(resident),
            make=partial(_same, body),
        )

    def _cycles(self, rows: RowSchedule, bands: int, tile: int, *, folded: bool) -> int:
        key = (rows.first, tile, folded)
        if key not in self.compute:
            self.compute[key] = group_cycles(self.network, self.group, self.device, rows, bands, tile, folded=folded)
        return self.compute[key]

    def _moves_here(self, tensor: str) -> bool:
        """A resident network input is loaded by its first reader; a resident network output is stored by its producer."""
        if tensor == self.group.output:
            return tensor in self.network.outputs
        return tensor in self.network.inputs and self.network.readers[tensor][0] == self.group.index

    def _stream(
        self, tensor: str, run: RowSchedule, bands: int, *, overlap: bool, whole: bool
    ) -> tuple[RowSchedule, Block]:
        """When the rows of a spilled map move, and its INPUT or OUTPUT buffer; `whole`: at once, through one as high as the map."""
        group, fmap = self.group, self.network.maps[tensor]
        if whole:
            bands = 1
        if tensor == group.output:
            moves = RowSchedule(fmap.height, fmap.height, fmap.height) if whole else run
            moves = moves if group.kind is not Kind.GLOBAL_MEAN else RowSchedule(1, 1, 1)
            rows = least_rows(moves, fmap, [], bands, stored_behind=overlap)
            rows = min(fmap.height, round_up(rows, row_grain(group)))
            return moves, Block(Role.OUTPUT, tensor, rows, map_row_bytes(fmap, self.device))
        moves = self._feed(tensor, run, bands)
        rows = least_rows(moves, fmap, [(group, run)], bands, read_ahead=overlap)
        return moves, Block(Role.INPUT, tensor, rows, stream_row_bytes(self.network, group, tensor, self.device))

    def _feed(self, tensor: str, run: RowSchedule, bands: int) -> RowSchedule:
        """When the rows of a spilled map arrive; a channel scale comes whole."""
        group, fmap = self.group, self.network.maps[tensor]
        if bands == 1 or tensor == group.scale:
            return RowSchedule(fmap.height, fmap.height, fmap.height)
        before, after = row_rate(group)
        step = run.step * before // after if any(p.tensor == tensor for p in group.pieces) else run.step
        return RowSchedule(feed_first(fmap, [(group, run)]), step, fmap.height)

    def _lends(self, resident: frozenset[str]) -> frozenset[Edge]:
        """Operands that may give their place to a resident output."""
        if self.group.output not in resident:
            return frozenset()
        group, on = self.group, {False: self.switches.in_place, True: self.switches.side_by_side}
        lending = (m for m in may_lend(group, self.device) if m in resident and on[lies_inside(group, m)])
        return frozenset((group.index, m) for m in lending)

    def _floor(self, resident: frozenset[str], blocks: tuple[Block, ...]) -> int:
        """Of the operands in disjoint banks, the largest that may have the output's place left out."""
        sizes = {m: self.network.maps[m].height * map_row_bytes(self.network.maps[m], self.device) for m in resident}
        sizes |= {b.content: b.size_bytes for b in blocks if b.role in (Role.INPUT, Role.OUTPUT)}
        weights = next((b for b in blocks if b.role is Role.WEIGHTS), None)
        if weights is not None:
            sizes["\0weights"] = weights.size_bytes
        lending = {m for _, m in self._lends(resident)}
        return max(
            self._set_floor([n for n in names if n in sizes], sizes, lending)
            for names in operand_sets(self.group, None if weights is None else "\0weights")
        )

    def _set_floor(self, names: Sequence[str], sizes: Mapping[str, int], lending: Set[str]) -> int:
        gone = max((n for n in names if n in lending), key=lambda n: sizes[n], default=None)
        return bank_floor([sizes[n] for n in names if n != gone], self.device.bank_bytes)


def _same(body: Body) -> Body:
    return body
