"""A plan read for execution: what arrives whole, what streams, which constants come early, where maps begin."""

from sfopt.plan import Category, Role, WeightMode
from sfopt.stage import Member, Stage
from sfopt.testing.cases import CASES, Case

BY_NAME = {case.name: case for case in CASES}


def stages_of(case: Case) -> tuple[Stage, ...]:
    return Stage.of(case.plan, case.network, case.device)


def bytes_loaded(stage: Stage) -> dict[str, int]:
    """DRAM bytes that a stage reads for each map and block, as its own words have it."""
    maps, times = stage.network.maps, dict[str, int]()
    tiles = stage.members[0].tiles if stage.rereads_input else 1
    for tensor in stage.arrives_whole:
        times[tensor] = maps[tensor].size_bytes
    for feed in stage.streams:
        times[feed.tensor] = maps[feed.tensor].size_bytes * tiles
    for member in stage.members:
        for block in member.blocks:
            again = block == member.tiled and member.run.weight_mode is WeightMode.REREAD
            times[block.name] = block.size_bytes * (stage.segment.bands if again else 1)
    return times


def test_stages_load_and_store_what_the_plan_says() -> None:
    for case in CASES:
        for stage in stages_of(case):
            if stage.on_host:
                assert stage.members == ()
                continue
            moved = [t for t in case.plan.transfers if t.segment == stage.step]
            assert bytes_loaded(stage) == {t.tensor: t.size_bytes for t in moved if t.direction == "read"}
            stored = [g.output for g in (*stage.stored_by_band, *stage.stored_whole)]
            assert sorted(stored) == sorted(t.tensor for t in moved if t.direction == "write")


def test_each_block_that_comes_whole_comes_once_at_its_own_step_or_the_one_before() -> None:
    early = 0
    for case in CASES:
        for stage in stages_of(case):
            for member in stage.members:
                own, before = (member.whole_blocks(stage.step - back) for back in (0, 1))
                tiled = [] if member.tiled is None else [member.tiled]
                assert sorted(b.name for b in (*own, *before, *tiled)) == sorted(b.name for b in member.blocks)
                early += len(before)
    assert early > 0


def test_a_folded_input_has_the_kernels_columns_in_its_channels() -> None:
    case = BY_NAME["convolutions: frames"]
    stage = stages_of(case)[0]
    (tensor,) = case.network.inputs
    assert stage.folder(tensor) is stage.groups[0]
    assert Member(stage, stage.groups[0]).folded
    layout, out = stage.layout(tensor), case.network.maps[stage.groups[0].output]
    assert (layout.width, layout.channels) == (out.width, 3 * case.network.maps[tensor].channels)
    assert stage.pixel_bytes(tensor) * layout.width == stage.buffer(tensor).row_bytes


def test_a_map_in_anothers_pixels_begins_at_its_channel() -> None:
    case = BY_NAME["branches: on-chip"]
    shifted = [
        (stage, name)
        for stage in stages_of(case)
        for name in stage.first_channels
        if any(b.content == name and b.first_step <= stage.step <= b.last_step for b in case.plan.buffers)
        and stage.first_byte(name) != stage.buffer(name).offset
    ]
    assert shifted
    for stage, name in shifted:
        assert stage.buffer(name).role is Role.RESIDENT
        assert stage.pixel_bytes(name) > case.network.maps[name].channels


def test_only_what_is_in_dram_moves() -> None:
    for case in CASES:
        moved = {t.tensor for t in case.plan.transfers if t.category is not Category.WEIGHTS}
        assert moved == {d.tensor for d in case.plan.dram}
