"""Comparison of two executions, tensor by tensor, element by element. Equality means equality: there is no tolerance here."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sfopt.errors import EquivalenceError

__all__ = ["Equivalence", "compare", "require_equal"]


@dataclass(frozen=True)
class Equivalence:
    """Outcome of a comparison. `first` describes the first mismatch in the order given, None when there is none."""

    reference: str
    tensors: int
    elements: int
    mismatches: int
    max_abs_diff: int
    first: str | None = None

    @property
    def equal(self) -> bool:
        """Whether every element of every tensor is the same."""
        return self.mismatches == 0 and self.tensors > 0


def compare(
    reference_name: str,
    reference: Mapping[str, npt.NDArray[np.int8]],
    subject: Mapping[str, npt.NDArray[np.int8]],
    tensors: tuple[str, ...],
) -> Equivalence:
    """Compare the named tensors, which both sides must have with one shape. Raises EquivalenceError when a side lacks one."""
    elements = mismatches = largest = 0
    first: str | None = None
    for name in tensors:
        if name not in reference or name not in subject:
            side = "the subject" if name in reference else reference_name
            raise EquivalenceError(f"tensor `{name}` was not produced by {side}")
        want, got = reference[name], subject[name]
        if want.shape != got.shape or want.dtype != got.dtype:
            raise EquivalenceError(
                f"tensor `{name}` is {got.dtype}{got.shape}, {reference_name} has {want.dtype}{want.shape}"
            )
        elements += want.size
        wrong = want != got
        count = int(np.count_nonzero(wrong))
        if count:
            difference = np.abs(want.astype(np.int32) - got.astype(np.int32))
            mismatches += count
            largest = max(largest, int(difference.max()))
            first = first or _describe(name, reference_name, want, got, wrong)
    return Equivalence(reference_name, len(tensors), elements, mismatches, largest, first)


def _describe(
    name: str,
    reference_name: str,
    want: npt.NDArray[np.int8],
    got: npt.NDArray[np.int8],
    wrong: npt.NDArray[np.bool_],
) -> str:
    index = tuple(int(i) for i in np.argwhere(wrong)[0])
    count = int(np.count_nonzero(wrong))
    return f"tensor `{name}` at {index}: got {got[index]}, {reference_name} has {want[index]} ({count} of {want.size} differ)"


def require_equal(result: Equivalence) -> None:
    """Raise EquivalenceError with the first mismatch, or when nothing was compared."""
    if not result.equal:
        raise EquivalenceError(result.first or "no tensor was compared")
