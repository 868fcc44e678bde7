"""DRAM bytes by category and by tensor: one tally for what is planned, simulated, checked and counted by hardware."""

from collections.abc import Iterable
from dataclasses import dataclass

from sfopt.groups import Network
from sfopt.plan import Category, Transfer

__all__ = ["Traffic", "bytes_per_tensor", "category_of", "tally"]


@dataclass(frozen=True)
class Traffic:
    """Bytes moved. `shortcuts` is the part of `feature_maps` that belongs to shortcut tensors; `total` is all but that."""

    total: int
    weights: int
    inputs: int
    outputs: int
    feature_maps: int
    shortcuts: int
    program: int


def tally(transfers: Iterable[Transfer], program_bytes: int) -> Traffic:
    """Sum transfers by category."""
    sums = dict.fromkeys(Category, 0)
    shortcuts = 0
    for transfer in transfers:
        sums[transfer.category] += transfer.size_bytes
        shortcuts += transfer.size_bytes if transfer.shortcut and transfer.category is Category.FEATURE_MAPS else 0
    return Traffic(
        total=sum(sums.values()) + program_bytes,
        weights=sums[Category.WEIGHTS],
        inputs=sums[Category.INPUTS],
        outputs=sums[Category.OUTPUTS],
        feature_maps=sums[Category.FEATURE_MAPS],
        shortcuts=shortcuts,
        program=program_bytes,
    )


def bytes_per_tensor(transfers: Iterable[Transfer]) -> dict[tuple[str, str], int]:
    """(tensor or constant block, "read" or "write") -> bytes over the whole run; entries of 0 bytes are left out."""
    table: dict[tuple[str, str], int] = {}
    for transfer in transfers:
        key = (transfer.tensor, transfer.direction)
        table[key] = table.get(key, 0) + transfer.size_bytes
    return {key: size for key, size in sorted(table.items()) if size}


def category_of(network: Network, name: str) -> Category:
    """What the bytes of a feature map, or of a block of constants, belong to."""
    if name not in network.maps:
        return Category.WEIGHTS
    if name in network.inputs:
        return Category.INPUTS
    return Category.OUTPUTS if name in network.outputs else Category.FEATURE_MAPS
