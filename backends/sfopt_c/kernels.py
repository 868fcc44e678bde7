"""The C functions that every model is made of, in `kernels/`, and which of them a model needs."""

from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files

from sfopt.groups import Group, Kind

__all__ = ["RUN", "kernel_text", "needed_by"]

RUN: Mapping[Kind, str] = {
    Kind.CONV: "convolve",
    Kind.DEPTHWISE: "convolve_depthwise",
    Kind.MAX_POOL: "max_pool",
    Kind.AVERAGE_POOL: "average_pool",
    Kind.GLOBAL_MEAN: "global_mean",
    Kind.COPY: "copy",
    Kind.RESIZE: "copy",
}
"""The function, and the file, of each kind of group."""

_NEEDS: Mapping[str, tuple[str, ...]] = {
    "base": (),
    "blocks": ("base",),
    "streams": ("base",),
    "load": ("streams",),
    "store": ("streams",),
    "reals": (),
    "requantise": ("reals",),
    "sums": ("reals", "base"),
    "quotients": ("sums",),
    "product": ("sums",),
    "layer": ("base",),
    "taps": ("layer",),
    "window": ("taps",),
    "add": ("sums", "layer"),
    "multiply": ("product", "layer"),
    "scale": ("product", "layer"),
    "copy": ("layer",),
    "convolve": ("taps", "requantise"),
    "convolve_depthwise": ("taps", "requantise"),
    "max_pool": ("taps",),
    "average_pool": ("taps", "quotients"),
    "global_mean": ("layer", "requantise"),
}
"""File -> files that it needs, in an order in which they can stand."""


def needed_by(group: Group, *, multiplies: bool) -> set[str]:
    """The files that a group calls for itself; `multiplies` says which of the two its second operand does."""
    found = {RUN[group.kind]}
    if group.scale is not None:
        found.add("scale")
        if group.kind not in (Kind.COPY, Kind.RESIZE, Kind.GLOBAL_MEAN):
            found.add("window")
    if group.binary is not None:
        found.add("multiply" if multiplies else "add")
    return found


def kernel_text(wanted: Iterable[str]) -> str:
    """The files called `wanted` and all that they need, each once."""
    reached, open_ends = set[str](), list(wanted)
    while open_ends:
        name = open_ends.pop()
        if name not in reached:
            reached.add(name)
            open_ends += _NEEDS[name]
    return "\n".join(_read(name) for name in _NEEDS if name in reached)


@cache
def _read(name: str) -> str:
    return files("sfopt_c").joinpath("kernels", f"{name}.c").read_text(encoding="utf-8")
