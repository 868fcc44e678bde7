"""Data: what a choice must do beside being a plan. For questions of what if; a plan that is only to be good has none."""

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["Demand"]


@dataclass(frozen=True)
class Demand:
    """What must hold."""

    on_chip: Mapping[str, bool] = field(default_factory=dict)
    """Map -> whether no group reads it back from DRAM (a network input: more than once), or some group does."""
    together: frozenset[int] = frozenset()
    """Groups that run in one segment with the next."""
