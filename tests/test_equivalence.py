"""Comparison: equality is equality, and the first wrong element is named."""

import numpy as np
import pytest

from sfopt.equivalence import compare, require_equal
from sfopt.errors import EquivalenceError


def maps(**values: list[int]) -> dict[str, np.ndarray]:
    return {name: np.array(v, dtype=np.int8) for name, v in values.items()}


def test_equal_tensors_are_counted() -> None:
    result = compare("ort", maps(a=[1, 2], b=[3]), maps(a=[1, 2], b=[3], extra=[9]), ("a", "b"))
    assert (result.tensors, result.elements, result.mismatches, result.max_abs_diff) == (2, 3, 0, 0)
    require_equal(result)


def test_one_wrong_element_fails_and_is_named() -> None:
    result = compare("ort", maps(a=[1, 2, 3], b=[-128]), maps(a=[1, 2, 4], b=[127]), ("a", "b"))
    assert (result.mismatches, result.max_abs_diff) == (2, 255)
    with pytest.raises(EquivalenceError) as error:
        require_equal(result)
    assert str(error.value) == "tensor `a` at (2,): got 4, ort has 3 (1 of 3 differ)"


def test_missing_tensor_is_a_failure() -> None:
    with pytest.raises(EquivalenceError, match="tensor `b` was not produced by the subject"):
        compare("ort", maps(a=[1], b=[1]), maps(a=[1]), ("a", "b"))
    with pytest.raises(EquivalenceError, match="tensor `b` was not produced by ort"):
        compare("ort", maps(a=[1]), maps(a=[1], b=[1]), ("a", "b"))


def test_shape_and_dtype_must_agree() -> None:
    with pytest.raises(EquivalenceError, match=r"tensor `a` is int8\(1,\), ort has int8\(2,\)"):
        compare("ort", maps(a=[1, 1]), maps(a=[1]), ("a",))


def test_comparing_nothing_is_a_failure() -> None:
    with pytest.raises(EquivalenceError, match="no tensor was compared"):
        require_equal(compare("ort", {}, {}, ()))
