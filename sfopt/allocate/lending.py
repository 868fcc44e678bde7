"""Segments in which a concat's operand may lie in its output: by the rows that other groups read of it (rule 5 of plan-rules)."""

from functools import cache

from sfopt.allocate.growth import Growth
from sfopt.allocate.options import Edge, lies_inside, may_lend
from sfopt.device import Device
from sfopt.groups import Network
from sfopt.rows import RowSchedule, rows_read, rows_to_run

__all__ = ["Lending"]


class Lending:
    """Which operands may give their place to concats of a network's segments, by groups first..last."""

    def __init__(self, network: Network, device: Device) -> None:
        self.network = network
        self.pieces = {
            g.index: tuple(m for m in may_lend(g, device) if lies_inside(g, m))
            for g in network.groups
            if len(g.pieces) > 1
        }
        self._at_least = cache(self._in_lowest_bands)

    def edges(self, growth: Growth) -> frozenset[Edge]:
        """Those of a segment's concats with an output that others read. What may not in its lowest bands never does.

        So the lowest bands stand for all others where cycles do not matter.
        """
        found = self._edges(growth)
        return found and found & self._at_least(growth.first, growth.last)

    def _in_lowest_bands(self, first: int, last: int) -> frozenset[Edge]:
        band_rows, total = 1, rows_to_run(self.network, self.network.groups[last])
        while band_rows < total:
            growth, grown = Growth(self.network, last, band_rows), True
            while growth.first > first and grown:
                grown = growth.grow()
            if grown:
                return self._edges(growth)
            if growth.unit <= band_rows:
                break
            band_rows = growth.unit
        return frozenset()

    def _edges(self, growth: Growth) -> frozenset[Edge]:
        concats = (g for g in range(growth.first, growth.last + 1) if g in self.pieces)
        leaving = (g for g in concats if not growth.is_inner(self.network.groups[g].output))
        return frozenset((g, m) for g in leaving for m in self.pieces[g] if self._may_lie(growth, g, m))

    def _may_lie(self, growth: Growth, concat: int, tensor: str) -> bool:
        """It comes from outside, the concat reads it last, and the others read in no band what the concat has written before it."""
        latest, *others = growth.readers[tensor]
        if latest != concat or self.network.producers.get(tensor, -1) >= growth.first:
            return False
        written = growth.runs[concat]
        return all(self._keeps_ahead(growth, other, tensor, written) for other in others)

    def _keeps_ahead(self, growth: Growth, reader: int, tensor: str, written: RowSchedule) -> bool:
        group, run, fmap = self.network.groups[reader], growth.runs[reader], self.network.maps[tensor]
        return all(
            rows_read(group, fmap, run.after(i - 1), run.after(i))[0] >= written.after(i - 1)
            for i in range(growth.bands)
            if run.after(i) > run.after(i - 1)
        )
