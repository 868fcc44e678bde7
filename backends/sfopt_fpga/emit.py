"""Plan -> Program.

Each step becomes: LOAD what it needs whole (constants, maps that do not stream), SETUP, COMPUTE, STORE; with several bands or
channel tiles, a loop over them. Constants that the plan keeps from the step before are loaded behind that step's own loads.
Between steps the rule is simple: loads of a step start when compute and store are done with the step before, and so does its
compute, which also waits for the step's loads. What the plan overlaps runs on credits inside loops and on constants loaded early.
"""

from collections.abc import Iterator, Sequence

from sfopt.cost import Constant
from sfopt.device import Device
from sfopt.errors import InternalError
from sfopt.groups import Group, Kind, Network
from sfopt.plan import Plan, Role, WeightMode
from sfopt_fpga.isa import Axis, Engine, Opcode
from sfopt_fpga.kernels import compute_word, setup_word
from sfopt_fpga.linker import Draft, link_program
from sfopt_fpga.loops import Body, band_loop, reread_loop
from sfopt_fpga.operands import Operands, whole
from sfopt_fpga.program import Program
from sfopt_fpga.tokens import Tape, Word

__all__ = ["emit"]


def emit(plan: Plan, network: Network, device: Device) -> Program:
    """The program that executes `plan`.

    Raises ProgramError when a figure does not fit its field, InternalError for a plan that breaks the rules.
    """
    return link_program(_Writer(plan, network, device).write(), plan, network, device)


class _Writer:
    """Writes the words of one step after the other."""

    def __init__(self, plan: Plan, network: Network, device: Device) -> None:
        self.tape = Tape()
        self.spans: list[tuple[int, int]] = []
        self.host_groups: list[Group] = []
        self.traces: list[tuple[Word, str, int]] = []
        buffers = {b.name: b for b in plan.buffers}
        self.steps = tuple(
            Operands(plan, network, device, buffers, step, network.groups[s.first])
            for step, s in enumerate(plan.segments)
        )

    def write(self) -> Draft:
        """All steps, then END, which belongs to the last of them."""
        for step in self.steps:
            if step.segment.first != step.segment.last:
                groups = f"{step.segment.first}..{step.segment.last}"
                raise InternalError(f"segment {step.step} holds groups {groups}, one can be emitted")
            start = len(self.tape.words)
            if step.group.kind is Kind.HOST:
                self.tape.stop(Word(Opcode.HOST, {"index": len(self.host_groups)}))
                self.host_groups.append(step.group)
            else:
                self._step(step)
            if step is self.steps[-1]:
                self.tape.stop(Word(Opcode.END))
            self.spans.append((start, len(self.tape.words) - 1))
        return Draft(self.tape.words, self.spans, self.host_groups, self.traces)

    def _step(self, step: Operands) -> None:
        maps = step.network.maps
        self._load([*_constants(step, step.step), *(step.load_map(t, whole(maps[t])) for t in _whole_maps(step))])
        following = self.steps[step.step + 1 : step.step + 2]
        early = [word for later in following for word in _constants(later, step.step)]
        loop = self._loop(step)
        if loop is None:
            self.tape.barrier(Engine.COMPUTE)
            self._load(early)
            for word in self._computes(step):
                self.tape.issue(word)
        else:
            self._run_loop(step, loop, early)
        for tensor in step.streams:
            self._load(list(step.load_rest(tensor)))
        if _is_stored(step) and not _stores_in_loop(step):
            self.tape.barrier(Engine.STORE)
            self.tape.issue(step.store_map(whole(step.output)))

    def _load(self, words: Sequence[Word]) -> None:
        """LOAD words outside any loop, the first of them behind everything so far on the other engines."""
        if words:
            self.tape.barrier(Engine.LOAD)
        for word in words:
            self.tape.issue(word)

    def _loop(self, step: Operands) -> Body | None:
        """The loops over bands and channel tiles, if there are any."""
        segment, ahead = step.segment, 1 + step.segment.overlap
        rows = [step.load_map(t, step.input_schedule(t)) for t in step.streams]
        stores = [step.store_map(step.output_schedule())] if _is_stored(step) and _stores_in_loop(step) else []
        weights = next((b for b in step.blocks if _is_tiled(step, b)), None)
        if weights is None and segment.bands == 1:
            return None
        if weights is None:
            return band_loop(Axis.ROWS, segment.bands, rows, self._body_computes(step), stores, ahead, ahead)
        tiles = -(-weights.rows // segment.channel_tile)
        load = step.load_constant(weights, segment.channel_tile)
        computes = self._body_computes(step, segment.channel_tile)
        if segment.bands == 1:
            return band_loop(Axis.CHANNELS, tiles, [load], computes, [], ahead, 0)
        if tiles == 1:
            return band_loop(Axis.ROWS, segment.bands, [*rows, load], computes, stores, 1, ahead)
        return reread_loop(segment.bands, tiles, rows, load, computes[0], stores, overlap=segment.overlap)

    def _run_loop(self, step: Operands, loop: Body, early: Sequence[Word]) -> None:
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
        if len(step.group.pieces) == 1:
            self.tape.issue(setup_word(step, step.group.pieces[0]))
        self.tape.loop(body, flows)
        for word in early if loads else ():
            self.tape.issue(word)

    def _computes(self, step: Operands) -> Iterator[Word]:
        """SETUP and COMPUTE for every piece."""
        for piece in step.group.pieces:
            yield setup_word(step, piece)
            yield self._traced(step, compute_word(step, piece), piece.channel_offset)

    def _body_computes(self, step: Operands, tile: int | None = None) -> list[Word]:
        """The same for a loop's body; the SETUP of an only piece stands before the loop."""
        if len(step.group.pieces) > 1:
            return list(self._computes(step))
        return [self._traced(step, compute_word(step, step.group.pieces[0], tile), 0)]

    def _traced(self, step: Operands, compute: Word, channel: int) -> Word:
        self.traces.append((compute, step.group.output, channel))
        return compute


def _constants(step: Operands, at: int) -> Iterator[Word]:
    """LOAD words for those constants of `step` that come whole, at step `at`."""
    for block in step.blocks:
        if not _is_tiled(step, block) and step.buffers[f"{step.step}:{block.name}"].first_step == at:
            yield step.load_constant(block)


def _whole_maps(step: Operands) -> Iterator[str]:
    """Maps that arrive at once: spilled ones that do not stream, and a resident network input at its first reader."""
    for tensor in step.group.reads:
        first = tensor in step.network.inputs and step.buffer(tensor).first_step == step.step
        if (step.streams_through(tensor) or first) and tensor not in step.streams:
            yield tensor


def _is_tiled(step: Operands, block: Constant) -> bool:
    """Whether a block arrives one channel tile at a time."""
    return step.segment.weight_mode is not WeightMode.RESIDENT and block.name.endswith(f".{Role.WEIGHTS.value}")


def _is_stored(step: Operands) -> bool:
    """Spilled maps and network outputs are stored."""
    return step.streams_through(step.group.output) or step.group.output in step.network.outputs


def _stores_in_loop(step: Operands) -> bool:
    """A global mean has one row, which is there when the last band is."""
    return step.segment.bands > 1 and step.group.kind is not Kind.GLOBAL_MEAN
