"""Plan -> Program.

Each segment becomes: LOAD what it needs whole (constants, maps that do not stream), then SETUP and COMPUTE of its groups in order,
then STORE; with several bands or channel tiles, a loop over them whose body starts with the LOADs of all feeds. Constants that
the plan keeps from the step before are loaded behind that step's own loads.
Between steps the rule is simple: loads of a step start when compute and store are done with the step before, and so does its
compute, which also waits for the step's loads. What the plan overlaps runs on credits inside loops and on constants loaded early.
"""

from collections.abc import Iterator, Sequence

from sfopt.device import Device
from sfopt.errors import InternalError, ProgramError
from sfopt.groups import Group, Kind, Network
from sfopt.plan import Plan
from sfopt_fpga.expose import exposed_maps, with_all_in_dram
from sfopt_fpga.isa import LOOP_BODY_WORDS, Axis, Engine, Opcode
from sfopt_fpga.kernels import Part, compute_word, parts_of, phase_word, setup_word
from sfopt_fpga.linker import Draft, link_program
from sfopt_fpga.loops import Body, Tiled, band_loop, company_loop, input_reread_loop, reread_loop
from sfopt_fpga.operands import Operands
from sfopt_fpga.program import Program, Trace
from sfopt_fpga.stage import Stage, whole
from sfopt_fpga.tokens import Tape, Word

__all__ = ["emit"]


def emit(plan: Plan, network: Network, device: Device, *, expose: bool = False) -> Program:
    """The program that executes `plan`; with `expose`, one that leaves every map in DRAM, and has all of them as outputs.

    Raises ProgramError when a figure does not fit its field, InternalError for a plan that breaks the rules.
    """
    if expose:
        plan = with_all_in_dram(plan, network)
    outputs = exposed_maps(network) if expose else network.outputs
    return link_program(_Writer(plan, network, device).write(), plan, network, device, outputs)


class _Writer:
    """Writes the words of one step after the other."""

    def __init__(self, plan: Plan, network: Network, device: Device) -> None:
        self.tape = Tape()
        self.spans: list[tuple[int, int]] = []
        self.host_groups: list[Group] = []
        self.traces: list[tuple[Word, Trace]] = []
        self.stages = Stage.of(plan, network, device)
        self.members = tuple(tuple(Operands(s, g) for g in s.groups if g.kind is not Kind.HOST) for s in self.stages)

    def write(self) -> Draft:
        """All steps, then END, which belongs to the last of them."""
        for stage, members in zip(self.stages, self.members, strict=True):
            start = len(self.tape.words)
            if members:
                self._segment(stage, members)
            else:
                self.tape.stop(Word(Opcode.HOST, {"index": len(self.host_groups)}))
                self.host_groups += stage.groups
            if stage is self.stages[-1]:
                self.tape.stop(Word(Opcode.END))
            self.spans.append((start, len(self.tape.words) - 1))
        return Draft(self.tape.words, self.spans, self.host_groups, self.traces)

    def _segment(self, stage: Stage, members: Sequence[Operands]) -> None:
        maps, step = stage.network.maps, stage.step
        arriving = [stage.load_map(t, whole(maps[t])) for t in stage.arrives_whole]
        self._load([*(w for m in members for w in m.load_constants(step)), *arriving])
        following = self.members[step + 1] if step + 1 < len(self.members) else ()
        early = [w for m in following for w in m.load_constants(step)]
        loop = self._loop(stage, members)
        if loop is None:
            self.tape.barrier(Engine.COMPUTE)
            self._load(early)
            for word in self._computes(members):
                self.tape.issue(word)
        else:
            self._run_loop(loop, members, early)
        if not stage.rereads_input:
            self._load(_rest(stage))
        if stage.stored_whole:
            self.tape.barrier(Engine.STORE)
        for group in stage.stored_whole:
            self.tape.issue(stage.store_map(group.output, whole(maps[group.output])))

    def _load(self, words: Sequence[Word]) -> None:
        """LOAD words outside any loop, the first of them behind everything so far on the other engines."""
        if words:
            self.tape.barrier(Engine.LOAD)
        for word in words:
            self.tape.issue(word)

    def _loop(self, stage: Stage, members: Sequence[Operands]) -> Body | None:
        """The loops over bands and channel tiles, if there are any. Raises ProgramError when a body is too long."""
        body = self._bands(stage, members) if stage.segment.bands > 1 else self._tiles(stage, members)
        words = body[0][0].values["body"] if body else 0
        if words > LOOP_BODY_WORDS:
            groups = f"{stage.segment.first}..{stage.segment.last}"
            raise ProgramError(
                f"segment {stage.step} (groups {groups}) has a loop of {words} words, the machine holds {LOOP_BODY_WORDS}"
            )
        return body

    def _bands(self, stage: Stage, members: Sequence[Operands]) -> Body:
        bands, overlap = stage.segment.bands, stage.segment.overlap
        rows = [stage.load_feed(f) for f in stage.streams]
        stores = [stage.store_map(g.output, stage.rows(g)) for g in stage.stored_by_band]
        if all(m.tiled is None for m in members):
            computes = self._body_computes(members)
            return band_loop(Axis.ROWS, bands, rows, computes, stores, 1 + overlap, stage.bands_ahead)
        if len(members) > 1:
            work = list(self._work(members))
            return company_loop(bands, rows, work, stores, overlap=overlap, store_credits=stage.bands_ahead)
        load, tiles = _tiles_of(members[0])
        computes = self._body_computes(members, members[0].run.channel_tile)
        if stage.rereads_input:
            return input_reread_loop(bands, tiles, rows, load, computes, _rest(stage), overlap=overlap)
        if tiles == 1:
            return band_loop(Axis.ROWS, bands, [*rows, load], computes, stores, 1, 1 + overlap)
        return reread_loop(bands, tiles, rows, load, computes, stores, overlap=overlap)

    def _tiles(self, stage: Stage, members: Sequence[Operands]) -> Body | None:
        if all(m.tiled is None for m in members):
            return None
        if len(members) > 1:
            name = next(m.group.name for m in members if m.tiled is not None)
            raise InternalError(
                f"segment {stage.step} has {len(members)} groups in one band, `{name}` tiles its weights"
            )
        load, tiles = _tiles_of(members[0])
        computes = self._body_computes(members, members[0].run.channel_tile)
        return band_loop(Axis.CHANNELS, tiles, [load], computes, [], 1 + stage.segment.overlap, 0)

    def _run_loop(self, loop: Body, members: Sequence[Operands], early: Sequence[Word]) -> None:
        """Whatever a loop's first instructions need is ordered before it, unless a token inside says the same."""
        body, flows = loop
        loads = [w for w in body if w.opcode is Opcode.LOAD]
        if loads:
            self.tape.after_all(Engine.COMPUTE, Engine.STORE)
        else:
            self.tape.barrier(Engine.COMPUTE)
            self._load(early)
        if loads and not loads[0].values.get("wait"):
            self.tape.barrier(Engine.LOAD)
        if _is_single(members):
            self.tape.issue(setup_word(members[0], *parts_of(members[0])))
        self.tape.loop(body, flows)
        for word in early if loads else ():
            self.tape.issue(word)

    def _computes(self, members: Sequence[Operands], tile: int | None = None) -> Iterator[Word]:
        """The words for every part of every group: SETUP, what else it needs, COMPUTE."""
        for member in members:
            for part in parts_of(member):
                yield setup_word(member, part)
                if part.phase is not None:
                    yield phase_word(member, part.phase)
                yield self._compute(member, part, tile)

    def _work(self, members: Sequence[Operands]) -> Iterator[Word | Tiled]:
        """The same, but groups that read their weights again are `Tiled`; the SETUP of an only part stands before that."""
        for member in members:
            if member.tiled is None:
                yield from self._computes([member])
                continue
            load, tiles = _tiles_of(member)
            if _is_single([member]):
                (part,) = parts_of(member)
                yield setup_word(member, part)
            yield Tiled(load, self._body_computes([member], member.run.channel_tile), tiles)

    def _body_computes(self, members: Sequence[Operands], tile: int | None = None) -> list[Word]:
        """The same for a loop's body; the SETUP of an only part stands before the loop."""
        if not _is_single(members):
            return list(self._computes(members, tile))
        (part,) = parts_of(members[0])
        return [self._compute(members[0], part, tile)]

    def _compute(self, member: Operands, part: Part, tile: int | None) -> Word:
        word = compute_word(member, part, tile)
        self.traces.append((word, part.trace(member)))
        return word


def _rest(stage: Stage) -> list[Word]:
    """LOAD words for rows that no band needs."""
    return [w for feed in stage.streams for w in stage.load_rest(feed)]


def _is_single(members: Sequence[Operands]) -> bool:
    """Whether they have one COMPUTE."""
    return sum(len(parts_of(m)) for m in members) == 1


def _tiles_of(member: Operands) -> tuple[Word, int]:
    """LOAD of a tile of the weights of a group that does not hold them all, and the number of tiles."""
    assert member.tiled is not None
    return member.load_constant(member.tiled, member.run.channel_tile), member.tiles
