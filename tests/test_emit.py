"""Plan -> program -> machine: however a network is run, no fault, the plan's bytes, and ONNX Runtime's numbers in every tensor."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from emit_cases import DEVICE, Case, residencies
from networks import GraphBuilder, efficientnet_b0, mobilenet_v2, random_network, resnet50

from sfopt.check.certificate import derive_facts
from sfopt.check.view import View
from sfopt.errors import InternalError, ProgramError, SimulationFault
from sfopt.graph import Op, Tensor
from sfopt.groups import Kind, Network
from sfopt.plan import WeightMode
from sfopt.testing.naive_plan import Choice, naive_plan
from sfopt_fpga import loops
from sfopt_fpga.emit import emit
from sfopt_fpga.isa import ENGINES, Axis, Engine, Opcode, decode, encode
from sfopt_fpga.program import Program
from sfopt_fpga.tokens import others

MODES = [
    Choice(band_rows=band, weights=weights, overlap=overlap, early=early, channel_tile=tile)
    for band, (weights, tile), overlap, early in product(
        (None, 1, 2, 3),
        (
            (WeightMode.RESIDENT, 1),
            (WeightMode.STREAMED, 3),
            (WeightMode.STREAMED, 4),
            (WeightMode.INPUT_REREAD, 3),
            (WeightMode.INPUT_REREAD, 4),
        ),
        (False, True),
        (False, True),
    )
]


def mode_name(choice: Choice) -> str:
    rows = "frame" if choice.band_rows is None else f"{choice.band_rows}rows"
    flags = ("overlap",) * choice.overlap + ("early",) * choice.early
    again = "input" * (choice.weights is WeightMode.INPUT_REREAD)
    tile = () if choice.weights is WeightMode.RESIDENT else (f"{again}tile{choice.channel_tile}",)
    return "-".join((rows, *tile, *flags))


@pytest.mark.parametrize("seed", range(8))
def test_random_networks_in_every_mode(seed: int) -> None:
    network = random_network(seed)
    case = Case(network, seed)
    for resident, choice in product(residencies(network, seed), MODES):
        case.check(naive_plan(network, DEVICE, replace(choice, resident=resident)))


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(8, 200))
def test_more_random_networks_in_every_mode(seed: int) -> None:
    test_random_networks_in_every_mode(seed)


@pytest.mark.parametrize("seed", range(100, 140))
def test_modes_mixed_from_group_to_group(seed: int) -> None:
    network = random_network(seed, ops=9)
    r = np.random.default_rng(seed)
    resident = residencies(network, seed)[2]
    choices = [replace(MODES[int(r.integers(len(MODES)))], resident=resident) for _ in network.groups]
    Case(network, seed).check(naive_plan(network, DEVICE, lambda group: choices[group.index]))


def folded(b: GraphBuilder) -> list[str]:
    x = b.input(2, 9, 11)
    return [
        b.conv_with(x, 11, (3, 4), strides=(2, 3), pads=(1, 2, 0, 1)),
        b.relu(b.conv_with(x, 5, (2, 3), pads=(0, 1, 1, 0))),
    ]


def geometries(b: GraphBuilder) -> list[str]:
    x = b.input(12, 10, 9)
    grouped = b.conv_with(x, 20, (3, 3), group=4, pads=(1, 1, 1, 1))
    dilated = b.conv_with(x, 7, (3, 2), dilations=(2, 3), pads=(2, 0, 1, 3), strides=(1, 2))
    return [grouped, dilated, b.conv_with(dilated, 10, (5, 1), pads=(4, 0, 4, 0), strides=(2, 1))]


def skipping(b: GraphBuilder) -> list[str]:
    """Strides over whole rows, and last rows that nobody needs."""
    x = b.input(9, 12, 12)
    return [
        b.conv(x, 8, 1, 2),
        b.conv(x, 9, 1, 3),
        b.conv(x, 9, 3, 5, pad=0),
        b.max_pool(x, 2, 5),
        b.average_pool(x, 3, 2, 1),
    ]


def joining(b: GraphBuilder) -> list[str]:
    x = b.input(5, 6, 5)
    y, z = b.conv(x, 7), b.relu(b.conv(x, 5))
    doubled, joined = b.add(x, x), b.concat(z, y, z, x)
    product_ = b.mul(z, doubled)
    return [joined, b.resize(b.add(product_, z), 3), b.mean(b.mul(doubled, doubled))]


def pointlike(b: GraphBuilder) -> list[str]:
    """Sums of a single element, where ONNX Runtime exchanges the operands."""
    x, y = b.input(1, 1, 1), b.input(1, 1, 1)
    return [b.relu(b.add(b.conv(x, 1), y)), b.add(b.lookup(y), x)]


def kept_output(b: GraphBuilder) -> list[str]:
    """A network output that is read on, and a squeeze-excite."""
    x = b.input(4, 8, 8)
    y = b.conv(x, 6, 3)
    return [y, b.conv(b.squeeze_excite(b.mul(y, b.lookup(y)), 3), 4)]


@pytest.mark.parametrize("build", [folded, geometries, skipping, joining, pointlike, kept_output])
def test_special_geometry(build: object) -> None:
    b = GraphBuilder("special", seed=7)
    network = b.network(build(b))
    case = Case(network)
    for resident, choice in product(residencies(network, 3), MODES):
        case.check(naive_plan(network, DEVICE, replace(choice, resident=resident)))


def test_folded_input_is_folded() -> None:
    b = GraphBuilder("folded")
    network = b.network(folded(b))
    program = emit(naive_plan(network, DEVICE, Choice(band_rows=2)), network, DEVICE)
    taps = [
        f["fold_taps"] for opcode, f in map(decode, program.words) if opcode is Opcode.LOAD and f["axis"] == Axis.ROWS
    ]
    assert set(taps) == {3, 4}


def host_network() -> Network:
    """conv, then Softmax on the host, then conv, next to a shortcut around it."""
    b = GraphBuilder("host", seed=3)
    y = b.relu(b.conv(b.input(3, 6, 5), 6, 3))
    shape = b.tensors[y].shape
    inner = b._map("h", shape, b._quant())
    scales = {n: b._constant(f"{n}.s", np.asarray(b.tensors[n].quant.scale)) for n in (y, inner)}
    zeros = {n: b._constant(f"{n}.z", np.asarray(b.tensors[n].quant.zero_point, np.int8)) for n in (y, inner)}
    for name in ("f", "g"):
        b.tensors[name] = Tensor(name, shape, "float32")
    b.ops += [
        Op("dequantise", "DequantizeLinear", (y, scales[y], zeros[y]), ("f",)),
        Op("softmax", "Softmax", ("f",), ("g",), {"axis": 1}),
        Op("quantise", "QuantizeLinear", ("g", scales[inner], zeros[inner]), (inner,)),
    ]
    return b.network([b.add(b.conv(inner, 6), y)])


@pytest.mark.parametrize("choice", MODES, ids=mode_name)
def test_host_segment(choice: Choice) -> None:
    network = host_network()
    assert [g.kind for g in network.groups].count(Kind.HOST) == 1
    Case(network).check(naive_plan(network, DEVICE, replace(choice, resident=residencies(network)[1])))


@pytest.mark.parametrize(
    ("choice", "limit"),
    [
        (Choice(), 6.5),
        (Choice(early=True), 6.5),
        (Choice(weights=WeightMode.STREAMED, overlap=True, channel_tile=64), 10.5),
        (Choice(band_rows=4, overlap=True, early=True), 10.5),
        (Choice(band_rows=4, weights=WeightMode.STREAMED, overlap=True, channel_tile=64), 13),
    ],
    ids=lambda value: mode_name(value) if isinstance(value, Choice) else "",
)
@pytest.mark.parametrize("make", [mobilenet_v2, efficientnet_b0, resnet50])
def test_programs_are_short(make: object, choice: Choice, limit: float) -> None:
    device = replace(DEVICE, lanes_in=64, lanes_out=64, banks=1 << 14, bank_bytes=1 << 12)
    network = make()
    for resident in residencies(network):
        plan = naive_plan(network, device, replace(choice, resident=resident))
        program = emit(plan, network, device)
        assert len(program.words) <= limit * len(network.groups)
        assert 32 * len(program.words) < 0.005 * plan.traffic_bytes


def test_overlap_and_early_constants_save_cycles() -> None:
    b = GraphBuilder("deep", seed=1)
    x = b.input(16, 24, 24)
    for _ in range(4):
        x = b.conv(x, 16)
    network = b.network([x])
    case, cycles = Case(network), dict[tuple[bool, bool], int]()
    for overlap, early in product((False, True), repeat=2):
        plan = naive_plan(network, DEVICE, Choice(band_rows=4, overlap=overlap, early=early))
        cycles[overlap, early] = case.simulate(case.check(plan)).cycles
    assert cycles[True, False] < 0.75 * cycles[False, False]
    assert cycles[True, True] < cycles[True, False]
    assert cycles[False, True] < cycles[False, False]


def small_case(choice: Choice) -> tuple[Case, Program]:
    b = GraphBuilder("planted", seed=5)
    x = b.input(4, 6, 6)
    y = b.relu(b.conv(x, 9, 3))
    network = b.network([b.conv(b.add(b.conv(y, 9), y), 5)])
    case = Case(network)
    return case, case.check(naive_plan(network, DEVICE, choice))


def changed(program: Program, index: int, **values: int) -> Program:
    opcode, fields = decode(program.words[index])
    word = encode(opcode, {**fields, **values})
    return replace(program, words=(*program.words[:index], word, *program.words[index + 1 :]))


def is_caught(case: Case, program: Program) -> bool:
    try:
        return case.differing(case.simulate(program)) != []
    except SimulationFault:
        return True


PLANTED = [
    Choice(),
    Choice(band_rows=2, overlap=True),
    Choice(band_rows=2, weights=WeightMode.STREAMED, channel_tile=4),
    Choice(band_rows=2, weights=WeightMode.INPUT_REREAD, channel_tile=4),
    Choice(band_rows=2, weights=WeightMode.INPUT_REREAD, channel_tile=4, overlap=True),
]


@pytest.mark.parametrize("choice", PLANTED, ids=mode_name)
def test_every_dropped_wait_is_a_fault(choice: Choice) -> None:
    case, program = small_case(choice)
    faults = []
    for index, (_, fields) in enumerate(map(decode, program.words)):
        for bit in (1, 2):
            if fields.get("wait", 0) & bit:
                with pytest.raises(SimulationFault) as fault:
                    case.simulate(changed(program, index, wait=fields["wait"] & ~bit))
                faults.append(str(fault.value))
    assert any("race" in text for text in faults)


@pytest.mark.parametrize(("extra_loads", "extra_stores"), [(1, 0), (0, 1)])
@pytest.mark.parametrize("overlap", [False, True])
def test_one_credit_too_many_is_a_race(
    monkeypatch: pytest.MonkeyPatch, overlap: bool, extra_loads: int, extra_stores: int
) -> None:
    def generous(*args: object) -> loops.Body:
        return loops.band_loop(*args[:-2], args[-2] + extra_loads, args[-1] + extra_stores)

    network = small_case(Choice())[0].network
    monkeypatch.setattr("sfopt_fpga.emit.band_loop", generous)
    with pytest.raises(SimulationFault, match="race"):
        Case(network).check(naive_plan(network, DEVICE, Choice(band_rows=1, overlap=overlap)))


@pytest.mark.parametrize("overlap", [False, True])
def test_one_credit_too_many_across_tiles_is_a_race(monkeypatch: pytest.MonkeyPatch, overlap: bool) -> None:
    def generous(*args: object, overlap: bool) -> loops.Body:
        body, flows = loops.input_reread_loop(*args, overlap=overlap)
        return body, [replace(f, credits=f.credits + (f.taker is Engine.LOAD)) for f in flows]

    network = small_case(Choice())[0].network
    choice = Choice(band_rows=1, weights=WeightMode.INPUT_REREAD, channel_tile=3, overlap=overlap)
    Case(network).check(naive_plan(network, DEVICE, choice))
    monkeypatch.setattr("sfopt_fpga.emit.input_reread_loop", generous)
    with pytest.raises(SimulationFault, match="race"):
        Case(network).check(naive_plan(network, DEVICE, choice))


@pytest.mark.parametrize("overlap", [False, True])
@pytest.mark.parametrize("starts", [None, []], ids=["alone", "joined"])
@pytest.mark.parametrize("weights", [WeightMode.RESIDENT, WeightMode.REREAD, WeightMode.INPUT_REREAD])
def test_cycles_of_the_step_model_are_those_of_the_machine(
    weights: WeightMode, starts: list[int] | None, overlap: bool
) -> None:
    """The planner trades bytes for cycles by rule 9; waiting between instructions adds or saves little."""
    b = GraphBuilder("deep", seed=1)
    x = b.input(16, 24, 24)
    for channels in (32, 16, 32, 16):
        x = b.conv(x, channels, 3)
    case = Case(b.network([x]))
    choice = Choice(band_rows=4, weights=weights, channel_tile=8, overlap=overlap)
    plan = naive_plan(case.network, DEVICE, choice, starts)
    moved = {(t.segment, t.tensor, t.direction): t for t in plan.transfers}
    model = derive_facts(View(plan, case.network, DEVICE), moved).cycles
    assert abs(case.simulate(case.check(plan)).cycles - model) < 0.02 * model


def folded_to_the_last_row(b: GraphBuilder) -> list[str]:
    return [b.conv_with(b.input(2, 9, 11), 11, (3, 4), strides=(2, 3), pads=(1, 2, 1, 1))]


@pytest.mark.parametrize("build", [folded_to_the_last_row, geometries, joining, kept_output])
@pytest.mark.parametrize(
    "choice", [c for c in MODES if not c.overlap and not c.early and c.channel_tile != 3], ids=mode_name
)
def test_the_step_model_without_overlap_is_the_sum_of_the_instructions(build: object, choice: Choice) -> None:
    """On a bus that is wide enough no transfer slows another down; rule 9 leaves out what moves nothing.

    Rows that no band needs are a piece more than rule 9 counts, and so is each band of a resident map that is stored. Tiles of
    three channels lie across words, which a plan's never do: rule 9 counts no words for that.
    """
    b = GraphBuilder("sum", seed=7)
    case, device = (
        Case(b.network(build(b))),
        replace(DEVICE, dram_word_bytes=4096, dram_bytes_per_s=4096 * DEVICE.clock_hz),
    )
    for resident in residencies(case.network, 3):
        inner = resident - {*case.network.outputs}
        plan = naive_plan(case.network, device, replace(choice, resident=inner))
        moved = {(t.segment, t.tensor, t.direction): t for t in plan.transfers}
        model = derive_facts(View(plan, case.network, device), moved).cycles
        events = case.simulate(emit(plan, case.network, device)).events
        done = [e.end_cycle - e.start_cycle for e in events if e.dram_bytes or e.opcode is Opcode.COMPUTE]
        assert sum(done) == model


def token_pairs(program: Program) -> list[tuple[Engine, Engine, int, int]]:
    """(giver, taker, word that signals, word that waits) for each token of a program without loops and SYNC."""
    gives: dict[tuple[Engine, Engine], list[int]] = {}
    takes: dict[tuple[Engine, Engine], list[int]] = {}
    for index, (opcode, fields) in enumerate(map(decode, program.words)):
        assert opcode not in (Opcode.LOOP, Opcode.SYNC)
        for bit in (0, 1):
            if fields.get("signal", 0) >> bit & 1:
                gives.setdefault((ENGINES[opcode], others(ENGINES[opcode])[bit]), []).append(index)
            if fields.get("wait", 0) >> bit & 1:
                takes.setdefault((others(ENGINES[opcode])[bit], ENGINES[opcode]), []).append(index)
    assert {k: len(v) for k, v in gives.items()} == {k: len(v) for k, v in takes.items()}
    return [(*key, g, t) for key in gives for g, t in zip(gives[key], takes[key], strict=True)]


def test_every_missing_token_between_data_and_its_user_is_a_race() -> None:
    case, program = small_case(Choice())
    dropped = 0
    for giver, taker, signals, waits in token_pairs(program):
        if (giver, taker) in ((Engine.LOAD, Engine.COMPUTE), (Engine.COMPUTE, Engine.STORE)):
            bits = {"signal": 1 << others(giver).index(taker), "wait": 1 << others(taker).index(giver)}
            without = program
            for index, (name, bit) in zip((signals, waits), bits.items(), strict=True):
                without = changed(without, index, **{name: decode(without.words[index])[1][name] & ~bit})
            with pytest.raises(SimulationFault, match="race"):
                case.simulate(without)
            dropped += 1
    assert dropped == 2 * len(case.network.groups)


@pytest.mark.parametrize("choice", PLANTED, ids=mode_name)
def test_every_shifted_address_is_caught(choice: Choice) -> None:
    case, program = small_case(choice)
    for index, (opcode, fields) in enumerate(map(decode, program.words)):
        unused = {n for n in ("weights_base", "residual_base") if fields.get(n.replace("base", "ring")) == 0}
        for name in {n for n in fields if n.endswith("base") or n in ("dram", "parameters")} - unused:
            assert is_caught(case, changed(program, index, **{name: fields[name] + 1})), f"{opcode.name} {index} {name}"


def test_every_changed_weight_block_changes_a_result() -> None:
    case, program = small_case(Choice())
    for region in program.regions:
        if region.name.endswith(".weights"):
            at = region.offset - program.constants_base + region.size_bytes - 1
            constants = program.constants[:at] + bytes([program.constants[at] ^ 0x40]) + program.constants[at + 1 :]
            assert case.differing(case.simulate(replace(program, constants=constants))) != [], region.name


def test_emitting_twice_gives_the_same_file() -> None:
    network = random_network(3)
    plan = naive_plan(network, DEVICE, Choice(band_rows=2, overlap=True))
    data = emit(plan, network, DEVICE).to_bytes()
    assert data == emit(plan, network, DEVICE).to_bytes()
    assert Program.from_bytes(data).to_bytes() == data


def test_refusals_name_what_is_wrong() -> None:
    network = random_network(3)
    plan = naive_plan(network, DEVICE, Choice())
    with pytest.raises(InternalError, match="no whole words"):
        emit(replace(plan, buffers=(replace(plan.buffers[0], offset=3), *plan.buffers[1:])), network, DEVICE)
    with pytest.raises(ProgramError, match=r"LOAD\.base"):
        emit(replace(plan, buffers=tuple(replace(b, offset=1 << 30) for b in plan.buffers)), network, DEVICE)


def test_loops_use_both_axes() -> None:
    _, program = small_case(PLANTED[2])
    axes = {fields["axis"] for opcode, fields in map(decode, program.words) if opcode is Opcode.LOOP}
    assert axes == {Axis.ROWS, Axis.CHANNELS}
