"""The least height of buffers that are all live at once: an exact dynamic program over the order from bottom to top.

With the order given, each buffer sits as low as it can: behind the one below, and in a new bank if anything that it must be apart
from reaches into the current one. Only the top end and who touches its bank matter for what follows.
"""

from sfopt.allocate.rectangles import Layout

__all__ = ["MAX_STACK", "stack_height"]

MAX_STACK = 12
"""Buffers beyond which the dynamic program takes only the largest of those that must be apart from others."""


def stack_height(layout: Layout, bank_bytes: int) -> int:
    """Least highest byte of the layout's items if they are all live at once; a lower bound of it when they are too many."""
    layout, _ = layout.merged()
    if len(layout.items) <= MAX_STACK:
        return _height(layout, bank_bytes)
    choosy = sorted({i for pair in layout.apart for i in pair}, key=lambda i: (-layout.items[i].size_bytes, i))
    return max(sum(r.size_bytes for r in layout.items), _height(layout.part(choosy[:MAX_STACK]), bank_bytes))


def _height(layout: Layout, bank_bytes: int) -> int:
    sizes = [r.size_bytes for r in layout.items]
    foes = [0] * len(sizes)
    for a, b in layout.apart:
        foes[a] |= 1 << b
        foes[b] |= 1 << a
    states: dict[int, list[tuple[int, int]]] = {
        0: [(0, 0)]
    }  # used set -> Pareto list of (end, items touching the end's bank)
    for used in range(1 << len(sizes)):
        for end, touching in states.get(used, ()):
            for i, size in enumerate(sizes):
                if not used >> i & 1:
                    offset = -(-end // bank_bytes) * bank_bytes if touching & foes[i] else end
                    top = offset + size
                    keeps = touching if top // bank_bytes == end // bank_bytes and top % bank_bytes else 0
                    _add(states.setdefault(used | 1 << i, []), top, (keeps | 1 << i) if top % bank_bytes else 0)
        if used != (1 << len(sizes)) - 1:
            states.pop(used, None)
    return min(end for end, _ in states[(1 << len(sizes)) - 1])


def _add(front: list[tuple[int, int]], end: int, touching: int) -> None:
    """Keep only states that no other state beats in both the end and the set that touches its bank."""
    if any(e <= end and t & ~touching == 0 for e, t in front):
        return
    front[:] = [(e, t) for e, t in front if not (end <= e and touching & ~t == 0)]
    front.append((end, touching))
