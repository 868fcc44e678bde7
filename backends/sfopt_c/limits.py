"""What this backend cannot do, refused before anything is written."""

from sfopt.errors import UsageError
from sfopt.groups import Group, Kind, Network
from sfopt.plan import Plan
from sfopt_c.kernels import RUN

__all__ = ["require_supported"]

_MOST_BYTES = (1 << 31) - 1
"""Addresses are int32."""


def require_supported(plan: Plan, network: Network) -> None:
    """Raise UsageError naming a group of a kind that has no C, or a size that an int32 does not hold."""
    for group in network.groups:
        _require_kind(group)
    dram_bytes = max((d.offset + d.size_bytes for d in plan.dram), default=0)
    for what, size_bytes in (("arena", plan.peak_bytes), ("DRAM", dram_bytes)):
        if size_bytes > _MOST_BYTES:
            raise UsageError(f"backend `c`: an {what} of {size_bytes} bytes, an int32 counts {_MOST_BYTES}")


def _require_kind(group: Group) -> None:
    if group.kind is Kind.HOST:
        return
    if group.kind not in RUN:
        raise UsageError(f"backend `c`: group `{group.name}` is a {group.kind}, which has no C")
    if group.before and any(p.requantise for p in group.pieces):
        raise UsageError(f"backend `c`: group `{group.name}` requantises what it concatenates and looks it up as well")
