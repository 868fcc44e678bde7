"""Rule 2: a resident map is whole, from its producer, or its one load, to a reader."""

from sfopt import cost
from sfopt.check.in_place import outermost, outward
from sfopt.check.require import require
from sfopt.check.shape import require_shape
from sfopt.check.view import View
from sfopt.groups import FeatureMap
from sfopt.plan import Buffer, Role

__all__ = ["check_residents"]


def check_residents(view: View) -> set[str]:
    """Check every RESIDENT buffer; returns their names."""
    for name in view.resident:
        require(name in view.network.maps, 2, f"resident `{name}` is not a feature map of the network")
        _check_readers(view, name)
    outputs = outward(view)
    for name, b in view.resident.items():
        _check_buffer(view, name, b, view.network.maps[outermost(name, outputs)])
    return {*view.resident}


def _check_readers(view: View, name: str) -> None:
    """Some segment other than its producer's reads it, and no host group touches it."""
    readers, maker = view.readers[name], view.makers.get(name)
    require(any(step != maker for step in readers), 2, f"`{name}` is resident, but no other segment reads it")
    for step in (*readers, *(() if maker is None else (maker,))):
        host = view.groups(step)[0].name
        require(not view.is_host(step), 2, f"`{name}` is resident, but host group `{host}` touches it")


def _check_buffer(view: View, name: str, b: Buffer, outer: FeatureMap) -> None:
    """Its life, and its size: rows of its own, as long as those of the map in whose place it lies."""
    fmap, readers = view.network.maps[name], view.readers[name]
    first = view.makers.get(name, readers[0])
    ends = ", ".join(map(str, readers))
    lives = b.first_step == first and b.last_step in readers
    require(lives, 2, f"resident `{name}` is live {b.first_step}..{b.last_step}, needs {first} to one of {ends}")
    require_shape(b, Role.RESIDENT, name, name, cost.map_row_bytes(outer, view.device), 2)
    require(b.rows == fmap.height, 2, f"resident `{name}` has {b.rows} rows, needs its height {fmap.height}")
