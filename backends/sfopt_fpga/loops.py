"""Loop bodies: the words of a band or of a channel tile, with the token bits that are the same at every iteration."""

from collections.abc import Sequence
from dataclasses import dataclass

from sfopt_fpga.isa import Axis, Engine, Opcode
from sfopt_fpga.tokens import Flow, Word, link

__all__ = ["Body", "Tiled", "band_loop", "company_loop", "input_reread_loop", "reread_loop"]

Body = tuple[list[Word], list[Flow]]
"""LOOP and the words of its body; the tokens that they pass."""


@dataclass(frozen=True)
class Tiled:
    """What computes a channel tile, and runs once for each, after the LOAD of that tile's weights."""

    load: Word
    computes: Sequence[Word]
    tiles: int


def band_loop(
    axis: Axis,
    count: int,
    loads: Sequence[Word],
    computes: Sequence[Word],
    stores: Sequence[Word],
    load_credits: int,
    store_credits: int,
) -> Body:
    """Loads, then computes, then stores, `count` times. With 1 credit nothing runs ahead; with 2, DMA is one iteration away."""
    heavy = _heavy(computes)
    flows = list[Flow]()
    if loads:
        link(heavy[-1], loads[0])
        link(loads[-1], heavy[0])
        flows += [Flow(Engine.LOAD, Engine.COMPUTE), Flow(Engine.COMPUTE, Engine.LOAD, load_credits)]
    if stores:
        link(heavy[-1], stores[0])
        link(stores[-1], heavy[0])
        flows += [Flow(Engine.COMPUTE, Engine.STORE), Flow(Engine.STORE, Engine.COMPUTE, store_credits)]
    body = [*loads, *computes, *stores]
    return [_loop(axis, count, body), *body], flows


def reread_loop(
    bands: int,
    tiles: int,
    rows: Sequence[Word],
    weights: Word,
    computes: Sequence[Word],
    stores: Sequence[Word],
    *,
    overlap: bool,
) -> Body:
    """For each band: load its rows; for each channel tile: load weights and compute; store.

    Weights may run one tile ahead, but across bands only if the number of tiles is even: both start at the ring's first row again.
    With `overlap` the rings hold two bands, and rows need no token: weights have waited for a tile of the band before.
    Without it, the rows wait for the last tile, and compute gives one more token for the first tile.
    """
    ahead = 2 if overlap and tiles % 2 == 0 else 1
    inner, flows = band_loop(Axis.CHANNELS, tiles, [weights], computes, [], ahead, 0)
    before, after = _sync(), _sync()
    if rows and not overlap:
        link(after, rows[0])
        flows[-1] = Flow(Engine.COMPUTE, Engine.LOAD, ahead + 1)
    if stores:
        link(after, stores[0])
        link(stores[-1], before)
        flows += [Flow(Engine.COMPUTE, Engine.STORE), Flow(Engine.STORE, Engine.COMPUTE, 1 + overlap)]
    opening, closing = ([w] if len(w.values) > 1 else [] for w in (before, after))
    body = [*rows, *opening, *inner, *closing, *stores]
    return [_loop(Axis.ROWS, bands, body), *body], flows


def company_loop(
    bands: int,
    rows: Sequence[Word],
    work: Sequence[Word | Tiled],
    stores: Sequence[Word],
    *,
    overlap: bool,
    store_credits: int,
) -> Body:
    """For each band: load its rows; run all groups, those that are `Tiled` tile by tile; store.

    Loads wait for, in turn: the band before to be over (rows), compute to begin with this one (the first tile), and each tile (the
    next); a SYNC takes the token of the last. With `overlap` each of them is one token ahead: a tile arrives behind the one before
    it, and rows arrive behind what follows the last tile of the band before. A group's first tile never meets its last one.
    """
    opening, closing, taking = _sync(), _sync(), _sync(Engine.LOAD)
    rows = rows or [_sync(Engine.LOAD)]
    body = [*rows, opening]
    for item in work:
        if isinstance(item, Tiled):
            tile, heavy = [item.load, *item.computes], _heavy(item.computes)
            link(item.load, heavy[0])
            link(heavy[-1], item.load)
            body += [_loop(Axis.CHANNELS, item.tiles, tile), *tile]
        else:
            body.append(item)
    if isinstance(work[-1], Tiled):
        body.append(closing)
    last = body[-1]
    body += [taking, *stores]
    link(rows[-1], opening)
    link(opening, taking)
    link(last, rows[0])
    flows = [Flow(Engine.LOAD, Engine.COMPUTE), Flow(Engine.COMPUTE, Engine.LOAD, 1 + overlap)]
    if stores:
        link(last, stores[0])
        link(stores[-1], opening)
        flows += [Flow(Engine.COMPUTE, Engine.STORE), Flow(Engine.STORE, Engine.COMPUTE, store_credits)]
    return [_loop(Axis.ROWS, bands, body), *body], flows


def input_reread_loop(
    bands: int,
    tiles: int,
    rows: Sequence[Word],
    weights: Word,
    computes: Sequence[Word],
    rest: Sequence[Word],
    *,
    overlap: bool,
) -> Body:
    """For each channel tile: load weights; for each band: load its rows and compute; load the rows that no band needs.

    Loads wait for, in turn, the tile before to be over (weights), compute to begin with this one (rows of band 0), and each band
    (rows of the next). So with `overlap`, one token ahead, weights arrive behind the last band of the tile before, but rows of
    band 0 only behind that: their ring has no room beside the last band's.
    """
    opening, closing, heavy = _sync(), _sync(), _heavy(computes)
    link(opening, weights)
    link(heavy[-1], rows[0])
    link(rows[-1], heavy[0])
    if rest:
        link(closing, rest[0])
        link(rest[-1], closing)
    inner = [_loop(Axis.ROWS, bands, [*rows, *computes]), *rows, *computes]
    body = [weights, opening, *inner, *rest, *([closing] if rest else [])]
    flows = [Flow(Engine.LOAD, Engine.COMPUTE), Flow(Engine.COMPUTE, Engine.LOAD, 1 + overlap)]
    return [_loop(Axis.CHANNELS, tiles, body), *body], flows


def _heavy(words: Sequence[Word]) -> list[Word]:
    """The COMPUTEs among them: only these pass tokens."""
    return [w for w in words if w.opcode is Opcode.COMPUTE]


def _sync(engine: Engine = Engine.COMPUTE) -> Word:
    return Word(Opcode.SYNC, {"engine": int(engine)})


def _loop(axis: Axis, count: int, body: Sequence[Word]) -> Word:
    return Word(Opcode.LOOP, {"axis": axis, "count": count, "body": len(body)})
