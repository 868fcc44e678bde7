"""Arithmetic of a tensor kept in another axis order than the model's.

The model's tensor T is `reshape(transpose(stored, perm), T.shape)`, where the reshape adds or drops dimensions of size 1 only.
"""

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["View", "moves_data", "natural_order", "rearrangement", "reshaped", "stored_shape", "transposed"]


@dataclass(frozen=True)
class View:
    """Where a model's tensor is kept: the tensor `stored` of shape `shape`, and the axis order that leads back."""

    stored: str
    shape: tuple[int, ...]
    perm: tuple[int, ...]

    def fits(self, shape: Sequence[int]) -> bool:
        """Whether the transposed tensor has exactly `shape`, so that the axes of both correspond."""
        return tuple(self.shape[a] for a in self.perm) == tuple(shape)

    @property
    def order(self) -> tuple[int, ...]:
        """The stored axes larger than 1, in the model's order."""
        return tuple(a for a in self.perm if self.shape[a] != 1)


def _large(shape: Sequence[int]) -> list[int]:
    return [i for i, n in enumerate(shape) if n != 1]


def stored_shape(shape: Sequence[int], perm: Sequence[int]) -> tuple[int, ...]:
    """The shape whose transposition by `perm` is `shape`."""
    result = [0] * len(perm)
    for axis, stored in enumerate(perm):
        result[stored] = shape[axis]
    return tuple(result)


def rearrangement(view: View, shape: Sequence[int], perm: Sequence[int]) -> tuple[int, ...]:
    """Axes of `view.stored` in the order that a tensor kept with `perm` needs, units filled in where they serve."""
    source = dict(zip(_large(shape), view.order, strict=True))
    axis_at = {stored: axis for axis, stored in enumerate(perm)}
    spare = [a for a, n in enumerate(view.shape) if n == 1]
    result: list[int] = []
    for position in range(len(perm)):
        wanted = source.get(axis_at[position])
        if wanted is not None:
            result.append(wanted)
        elif spare:
            result.append(spare.pop(0))
    return (*result, *spare)


def moves_data(shape: Sequence[int], perm: Sequence[int]) -> bool:
    """Whether transposing a tensor of `shape` by `perm` changes the order of its elements."""
    large = [a for a in perm if shape[a] != 1]
    return large != sorted(large)


def transposed(view: View, shape: Sequence[int], perm: Sequence[int]) -> View:
    """The view of `transpose(T, perm)`, where `view` is that of T with `shape`."""
    if view.fits(shape):
        return View(view.stored, view.shape, tuple(view.perm[a] for a in perm))
    source = dict(zip(_large(shape), view.order, strict=True))
    units = [a for a, n in enumerate(view.shape) if n == 1]
    return View(view.stored, view.shape, (*units, *(source[a] for a in perm if shape[a] != 1)))


def reshaped(view: View, shape: Sequence[int], new: Sequence[int]) -> View | None:
    """How `reshape(T, new)` can be kept without moving an element of `view.stored`; None when it cannot.

    The `stored` of the result is the old one; the caller reshapes it to the result's `shape` where that differs.
    """
    old_sizes = [shape[i] for i in _large(shape)]
    new_axes = _large(new)
    if old_sizes == [new[i] for i in new_axes]:
        return view
    blocks = _blocks(old_sizes, [new[i] for i in new_axes])
    rank_in_store = {axis: i for i, axis in enumerate(sorted(view.order))}
    runs: list[tuple[int, list[int]]] = []
    for olds, news in blocks:
        positions = [rank_in_store[view.order[i]] for i in olds]
        if positions != list(range(positions[0], positions[0] + len(positions))):
            return None
        runs.append((positions[0], [new_axes[i] for i in news]))
    perm = _order_keeping(new, [axis for _, axes in sorted(runs) for axis in axes])
    return View(view.stored, stored_shape(new, perm), perm)


def natural_order(view: View, shape: Sequence[int]) -> tuple[int, ...]:
    """The order in which T, of `shape`, is kept without moving an element of `view.stored`."""
    if view.fits(shape):
        return view.perm
    axes = dict(zip(view.order, _large(shape), strict=True))
    return _order_keeping(shape, [axes[a] for a in sorted(axes)])


def _order_keeping(shape: Sequence[int], kept: Sequence[int]) -> tuple[int, ...]:
    """The order that keeps the axes larger than 1 as in `kept`, and every unit behind the axis it follows in `shape`."""
    groups: dict[int, list[int]] = {-1: []}
    for axis, size in enumerate(shape):
        if size != 1:
            groups[axis] = [axis]
        else:
            groups[max(groups)].append(axis)
    sequence = [axis for leader in (-1, *kept) for axis in groups[leader]]
    return tuple(sequence.index(axis) for axis in range(len(shape)))


def _blocks(old: Sequence[int], new: Sequence[int]) -> list[tuple[list[int], list[int]]]:
    """The finest pairing of consecutive old and new dimensions with equal products."""
    blocks: list[tuple[list[int], list[int]]] = []
    i = j = 0
    while i < len(old):
        olds, news = [i], [j]
        left, right = old[i], new[j]
        while left != right:
            if left < right:
                i += 1
                left *= old[i]
                olds.append(i)
            else:
                j += 1
                right *= new[j]
                news.append(j)
        i, j = i + 1, j + 1
        blocks.append((olds, news))
    return blocks
