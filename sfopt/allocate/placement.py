"""The placement program: an offset for every rectangle, such that the highest byte is least.

The same search and program as for plain intervals (`packing`), with the bank rule; a step is a unit of time.
"""

import time
from dataclasses import dataclass

from sfopt.allocate.first_fit import Offsets
from sfopt.allocate.linear import Limits
from sfopt.allocate.packing import Packer
from sfopt.allocate.rectangles import Layout
from sfopt.device import Device
from sfopt.interval import Interval

__all__ = ["Placement", "PlacementResult", "place"]


@dataclass(frozen=True)
class PlacementResult:
    """Offsets in bytes (None: none found within the scratchpad), and a proven lower bound on the highest byte of any placement."""

    offsets: Offsets | None
    peak_bytes: int
    bound_bytes: int


class Placement:
    """A layout's placement within the scratchpad, better known with every turn.

    Each turn is twice as long as the one before and measured in steps of the search and the program, so that the same layout and
    seed have the same result after as many turns, unless the deadline cuts one off.
    """

    def __init__(self, layout: Layout, device: Device, target_bytes: int, seed: int, *, constructive: bool = True):
        """`target_bytes` is a proven lower bound: reaching it ends the search."""
        merged, self._place = layout.merged()
        self._target_bytes = target_bytes
        self._hopeless = target_bytes > device.sram_bytes
        self._packer = Packer(
            [Interval(str(i), r.first, r.last + 1, r.size_bytes) for i, r in enumerate(merged.items)],
            device.sram_bytes,
            seed,
            apart=merged.apart,
            bank_bytes=device.bank_bytes,
            constructive=constructive,
        )

    def take_turn(self, deadline_s: float) -> bool:
        """Search on; False if there is nothing left to find or prove. `deadline_s` is a time of `time.monotonic`."""
        return not self._hopeless and self._packer.take_turn(self._target_bytes, deadline_s)

    @property
    def result(self) -> PlacementResult:
        """The lowest placement so far, and the bound."""
        found = self._packer.offsets
        bound_bytes = max(self._target_bytes, self._packer.bound_bytes)
        if found is None:
            return PlacementResult(None, 0, bound_bytes)
        offsets, peak_bytes = tuple(found[str(i)] for i in self._place), self._packer.peak_bytes
        return PlacementResult(offsets, peak_bytes, min(bound_bytes, peak_bytes))


def place(
    layout: Layout,
    device: Device,
    target_bytes: int,
    limits: Limits,
    *,
    constructive: bool = True,
    turns: int | None = None,
) -> PlacementResult:
    """The lowest placement within the scratchpad, of so many turns at most. `target_bytes` is a proven lower bound."""
    placement = Placement(layout, device, target_bytes, limits.seed, constructive=constructive)
    deadline_s, taken = time.monotonic() + limits.seconds, 0
    while taken != turns and placement.take_turn(deadline_s) and time.monotonic() < deadline_s:
        taken += 1
    return placement.result
