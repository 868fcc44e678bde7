"""Rows in time against counting them one by one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from networks import GraphBuilder, random_network
from segment_networks import SEGMENT_NETWORKS

from sfopt.groups import Group, Kind, Network
from sfopt.rows import RowSchedule, row_rate, rows_read, rows_to_run

schedules = st.builds(RowSchedule, st.integers(0, 12), st.integers(0, 9), st.integers(1, 40))


@given(schedules, st.integers(1, 30))
def test_sizes_are_the_bands(rows: RowSchedule, bands: int) -> None:
    one_by_one = [rows.after(i) - rows.after(i - 1) for i in range(bands)]
    listed = [size for size, count in rows.sizes(bands) for _ in range(count)]
    assert listed == one_by_one
    assert sum(one_by_one) == rows.after(bands - 1)


def touched(network: Network, group: Group, tensor: str, row: int) -> set[int]:
    """Rows of `tensor` that the machine reads for row `row` of the group's output (of its input for a global mean).

    Those between the taps of a dilated window are among them.
    """
    window, height, rows = group.window, network.maps[tensor].height, set[int]()
    if any(p.tensor == tensor for p in group.pieces):
        match group.kind:
            case Kind.COPY | Kind.GLOBAL_MEAN:
                rows.add(row)
            case Kind.RESIZE:
                rows.add(row // window.stride[0])
            case _:
                top = row * window.stride[0] - window.pads[0]
                rows |= set(range(top, top + (window.kernel[0] - 1) * window.dilation[0] + 1))
    if tensor == group.residual:
        rows.add(row)
    if tensor == group.scale:
        rows |= set(range(height))
    return rows & set(range(height))


NETWORKS = [make() for make in SEGMENT_NETWORKS.values()] + [random_network(seed, ops=9) for seed in range(20)]


@pytest.mark.parametrize("network", NETWORKS, ids=lambda n: n.graph.name)
def test_rows_read_are_those_that_every_row_needs(network: Network) -> None:
    for group in network.groups:
        height = rows_to_run(network, group)
        for tensor in group.reads:
            for start in range(height):
                for stop in range(start + 1, min(height, start + 4) + 1):
                    needed = set[int]().union(*(touched(network, group, tensor, r) for r in range(start, stop)))
                    first, last = rows_read(group, network.maps[tensor], start, stop)
                    if needed:
                        assert (first, last) == (min(needed), max(needed) + 1)
                    else:
                        assert first == last


def test_rates() -> None:
    b = GraphBuilder("rates")
    x = b.input(4, 12, 12)
    y = b.conv(x, 4, 3, 3)
    network = b.network([b.mean(y), b.resize(y, 2), b.max_pool(x), b.add(x, x)])
    rates = {g.kind: row_rate(g) for g in network.groups}
    assert rates == {
        Kind.CONV: (3, 1),
        Kind.GLOBAL_MEAN: (1, 1),
        Kind.RESIZE: (1, 2),
        Kind.MAX_POOL: (2, 1),
        Kind.COPY: (1, 1),
    }
    assert [rows_to_run(network, g) for g in network.groups if g.kind in (Kind.GLOBAL_MEAN, Kind.RESIZE)] == [4, 8]
