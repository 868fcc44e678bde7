"""Rule 3, band by band: rows are made in time, are there when they are read, and stay in their ring until then.

Plain loops over the bands, on purpose: the planner has closed forms for the same numbers.
"""

from sfopt import cost
from sfopt.check.require import broken, require
from sfopt.check.view import View
from sfopt.groups import Group, Kind
from sfopt.plan import Buffer, Role, Run, Segment, WeightMode
from sfopt.rows import RowSchedule, row_grain, rows_read, rows_to_run

__all__ = ["check_bands"]


def check_bands(view: View, step: int) -> None:
    """Check the runs and feeds of segment `step` against the rows of its buffers."""
    segment, groups = view.plan.segments[step], view.groups(step)
    _check_numbers(view, step, segment)
    done = {g.index: _after_each_band(view.run_rows(step, g), segment.bands) for g in groups}
    there = dict[str, list[int]]()
    for group in groups:
        total, reached = rows_to_run(view.network, group), done[group.index][-1]
        require(reached == total, 3, f"`{group.name}` has run {reached} of {total} rows after segment {step}")
        there[group.output] = done[group.index] if group.kind is not Kind.GLOBAL_MEAN else [0] * segment.bands + [1]
    for tensor, schedule in view.feed_rows[step].items():
        there[tensor] = _after_each_band(schedule, segment.bands)
    for tensor, until_last in there.items():
        b, height = view.operand(step, tensor), view.network.maps[tensor].height
        require(b.rows <= height, 3, f"`{b.name}` has {b.rows} rows, its map {height}")
        reached = until_last[-1]
        whole = segment.bands > 1 or reached == height
        require(whole, 3, f"`{b.name}` has {reached} rows in the only band of segment {step}, its map {height}")
        rows = [*until_last, height]  # what no band needs is read behind the last one
        for group in view.inside_readers(step, tensor):
            _check_read(view, group, b, segment, done[group.index], rows)
        _check_written(b, segment, rows)
        if tensor in view.made[step] and view.rereads_input(step) and b.rows < height:
            raise broken(3, f"`{b.name}` has {b.rows} rows, its channels come tile by tile and need all {height}")


def _after_each_band(rows: RowSchedule, bands: int) -> list[int]:
    """Rows before band 0, after band 0, after band 1, ...: index i + 1 is what docs/plan-rules.md calls A(i)."""
    return [rows.after(i) for i in range(-1, bands)]


def _check_numbers(view: View, step: int, segment: Segment) -> None:
    """Counts that make sense: no more bands than the tallest run has rows, no run that stands still."""
    tallest = max(rows_to_run(view.network, g) for g in view.groups(step))
    bands = segment.bands
    rereading = sum(run.weight_mode is WeightMode.REREAD for run in segment.runs) if len(segment.runs) > 1 else 0
    words, most = cost.loop_words(view.groups(step), rereading), cost.LOOP_WORDS
    require(bands == 1 or words <= most, 3, f"segment {step} is a loop of up to {words} instructions, {most} fit")
    require(1 <= bands <= tallest, 3, f"segment {step} has {bands} bands, its tallest run {tallest} rows")
    for run in segment.runs:
        name = view.network.groups[run.group].name
        moves = run.first >= 0 and run.step >= 1
        require(moves, 3, f"`{name}` runs {run.first} rows in band 0 of segment {step}, then {run.step} in each")
        _check_grain(view, step, run)
    for feed in segment.feeds:
        grows = feed.first >= 0 and feed.step >= 0
        require(
            grows, 3, f"`{feed.tensor}` has {feed.first} rows in band 0 of segment {step}, then {feed.step} in each"
        )


def _check_grain(view: View, step: int, run: Run) -> None:
    """A transposed convolution runs all phases of its rows in a band, and its ring holds as many rows of each."""
    group = view.network.groups[run.group]
    grain, total = row_grain(group), rows_to_run(view.network, group)
    b = view.operand(step, group.output)
    for rows, what in ((run.first, "in band 0"), (b.rows, f"in `{b.name}`")):
        whole = rows % grain == 0 or rows >= total
        require(whole, 3, f"`{group.name}` has {rows} rows {what}, needs a multiple of {grain}, or all {total}")
    whole = run.step % grain == 0 or run.first >= total
    require(whole, 3, f"`{group.name}` runs {run.step} rows in each band, needs a multiple of {grain}")


def _check_written(b: Buffer, segment: Segment, there: list[int]) -> None:
    """A band's rows fit the ring, with those of the band before if they may still be on their way to DRAM."""
    back = 2 if b.role is Role.OUTPUT and segment.overlap else 1
    for i in range(1, len(there)):
        need = there[i] - there[max(0, i - back)]
        if b.rows < need:
            raise broken(3, f"`{b.name}` has {b.rows} rows, band {i - 1} writes into {need}")


def _check_read(view: View, group: Group, b: Buffer, segment: Segment, done: list[int], there: list[int]) -> None:
    """What `group` reads in a band is there by then and still held, although the next band's rows may be arriving."""
    fmap, ahead = view.network.maps[b.content], int(b.role is Role.INPUT and segment.overlap)
    for band in range(segment.bands):
        start, stop = done[band], done[band + 1]
        if start == stop:
            continue
        first, last = rows_read(group, fmap, start, stop)
        if last > there[band + 1]:
            raise broken(
                3, f"`{group.name}` reads `{fmap.name}` up to row {last} in band {band}, {there[band + 1]} are there"
            )
        need = there[band + 1 + ahead] - first
        if b.rows < need:
            raise broken(3, f"`{b.name}` has {b.rows} rows, `{group.name}` needs {need} of them held in band {band}")
