"""The statements of one segment, in the order of `sfopt.stage`: DMA runs as far ahead of computing as the plan's rings allow."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sfopt.cost import Constant
from sfopt.groups import Group
from sfopt.plan import Feed
from sfopt.stage import Member, Stage
from sfopt_c.text import indented

__all__ = ["Names", "statements"]

Body = Callable[[str], list[str]]
"""The statements of iteration `i`, which is an expression."""


@dataclass(frozen=True)
class Names:
    """What the descriptors of a segment are called, made as they are asked for."""

    load: Callable[[Stage, str], str]
    store: Callable[[Stage, Group], str]
    block: Callable[[Member, Constant], str]
    layers: Callable[[Member], Sequence[str]]


def statements(stage: Stage, following: Stage | None, names: Names) -> list[str]:
    """All that segment `stage` does; `following` is the next one, whose constants may come early."""
    maps, segment = stage.network.maps, stage.segment
    lines = [_load_block(names.block(m, b)) for m in stage.members for b in m.whole_blocks(stage.step)]
    lines += [f"load_rows(&{names.load(stage, t)}, 0, {maps[t].height});" for t in stage.arrives_whole]
    later = following.members if following else ()
    lines += [_load_block(names.block(m, b)) for m in later for b in m.whole_blocks(stage.step)]
    if stage.rereads_input:
        lines += _rereading_input(stage, names)
    elif segment.bands > 1:
        lines += _bands(stage, names)
    else:
        lines += [line for m in stage.members for line in _computes(m, names, "0", overlap=segment.overlap)]
    if not stage.rereads_input:
        lines += _rest(stage, names)
    return lines + [f"store_rows(&{names.store(stage, g)}, 0, {maps[g.output].height});" for g in stage.stored_whole]


def _bands(stage: Stage, names: Names) -> list[str]:
    feeds, overlap = [names.load(stage, f.tensor) for f in stage.streams], stage.segment.overlap
    stores = [names.store(stage, g) for g in stage.stored_by_band]

    def computes(i: str) -> list[str]:
        return [line for m in stage.members for line in _computes(m, names, i, overlap=overlap)]

    return _loop(
        "band",
        stage.segment.bands,
        lambda i: [f"load_rows(BAND({f}, {i}));" for f in feeds],
        computes,
        lambda i: [f"store_rows(BAND({s}, {i}));" for s in stores],
        load_ahead=overlap,
        store_behind=stage.bands_ahead > 1,
    )


def _computes(member: Member, names: Names, band: str, *, overlap: bool) -> list[str]:
    """A band of a group, tile by tile if its weights come so."""
    if member.tiled is None:
        return [f"compute(&{layer}, {band}, 0);" for layer in names.layers(member)]
    layers, weights = names.layers(member), names.block(member, member.tiled)
    return _loop(
        "tile",
        member.tiles,
        lambda i: [_load_block(weights, i)],
        lambda i: [f"compute(&{layer}, {band}, {i});" for layer in layers],
        load_ahead=overlap,
    )


def _rereading_input(stage: Stage, names: Names) -> list[str]:
    """All bands again for each tile of the only group's weights, and the rows that no band needs behind them."""
    (member,), overlap = stage.members, stage.segment.overlap
    assert member.tiled is not None
    layers, weights = names.layers(member), names.block(member, member.tiled)
    feeds = [names.load(stage, f.tensor) for f in stage.streams]

    def bands(tile: str) -> list[str]:
        return [
            *_loop(
                "band",
                stage.segment.bands,
                lambda i: [f"load_rows(BAND({f}, {i}));" for f in feeds],
                lambda i: [f"compute(&{layer}, {i}, {tile});" for layer in layers],
                load_ahead=overlap,
            ),
            *_rest(stage, names),
        ]

    return _loop("tile", member.tiles, lambda i: [_load_block(weights, i)], bands, load_ahead=overlap)


def _rest(stage: Stage, names: Names) -> list[str]:
    """Rows that no band needs: the plan reads a map whole."""
    return [line for feed in stage.streams for line in _rest_of(stage, feed, names)]


def _rest_of(stage: Stage, feed: Feed, names: Names) -> list[str]:
    height, arrived = stage.network.maps[feed.tensor].height, stage.arrival(feed).after(stage.segment.bands - 1)
    return [f"load_rows(&{names.load(stage, feed.tensor)}, {arrived}, {height});"] if arrived < height else []


def _load_block(name: str, tile: str = "0") -> str:
    return f"load_block(&{name}, {tile});"


def _loop(
    index: str,
    count: int,
    load: Body,
    compute: Body,
    store: Body | None = None,
    *,
    load_ahead: bool,
    store_behind: bool = False,
) -> list[str]:
    """`count` times: load, compute, store; loads one iteration ahead, stores one behind, if asked for."""
    store = store or (lambda _: [])
    loading, storing = bool(load(index)), bool(store(index))
    load_ahead, store_behind = load_ahead and loading, store_behind and storing
    body = _guarded(f"{index} + 1 < {count}", load(f"{index} + 1")) if load_ahead else load(index)
    body += compute(index)
    body += _guarded(f"{index} > 0", store(f"{index} - 1")) if store_behind else store(index)
    return [
        *(load("0") if load_ahead else []),
        f"for ({index} = 0; {index} < {count}; ++{index}) {{",
        *indented(body),
        "}",
        *(store(str(count - 1)) if store_behind else []),
    ]


def _guarded(condition: str, lines: Sequence[str]) -> list[str]:
    return [f"if ({condition}) {{", *indented(lines), "}"]
