"""Tallies by category and by tensor."""

from sfopt.plan import Category, Transfer
from sfopt.traffic import bytes_per_tensor, tally

TRANSFERS = (
    Transfer(0, "image", "read", 10, Category.INPUTS),
    Transfer(0, "a.weights", "read", 100, Category.WEIGHTS),
    Transfer(0, "a", "write", 7, Category.FEATURE_MAPS, shortcut=True),
    Transfer(1, "a", "read", 7, Category.FEATURE_MAPS, shortcut=True),
    Transfer(2, "a", "read", 7, Category.FEATURE_MAPS, shortcut=True),
    Transfer(2, "b", "write", 3, Category.FEATURE_MAPS),
    Transfer(3, "y", "write", 5, Category.OUTPUTS, shortcut=True),
)


def test_tally_sums_by_category_and_shortcuts_are_part_of_feature_maps() -> None:
    traffic = tally(TRANSFERS, program_bytes=64)
    assert (traffic.weights, traffic.inputs, traffic.outputs, traffic.feature_maps) == (100, 10, 5, 24)
    assert traffic.shortcuts == 21
    assert traffic.total == 100 + 10 + 5 + 24 + 64


def test_bytes_per_tensor_adds_up_reads_and_writes_apart() -> None:
    table = bytes_per_tensor((*TRANSFERS, Transfer(4, "nothing", "read", 0, Category.INPUTS)))
    assert table["a", "read"] == 14
    assert table["a", "write"] == 7
    assert ("nothing", "read") not in table
