"""Best fit: largest buffer first, each into the smallest gap that holds it; on top where no gap does.

The placement of TensorFlow Lite Micro's greedy planner, which fills the first gap that is large enough, with the choice of gap
that the textbooks call best fit.
"""

from collections.abc import Sequence

from sfopt.allocate.first_fit import Offsets, first_fit
from sfopt.allocate.rectangles import Layout
from sfopt.allocate.static import order_by
from sfopt.device import Device

__all__ = ["best_fit", "tightest"]


def best_fit(layout: Layout, device: Device) -> Offsets:
    """Offsets in bytes, by decreasing size."""
    return first_fit(layout, order_by("size", layout), device.bank_bytes, fit=tightest)


def tightest(size_bytes: int, blocked: Sequence[tuple[int, int]]) -> int:
    """The offset of the smallest bounded gap of at least `size_bytes`, the lower of equals; above everything if there is none."""
    best: tuple[int, int] | None = None
    at = 0
    for low, high in blocked:
        gap = low - at
        if gap >= size_bytes and (best is None or gap < best[0]):
            best = (gap, at)
        at = max(at, high)
    return at if best is None else best[1]
