"""One device: its modules mapped, counted and looked through for their longest paths."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path as File

from hierarchy import Design, elaborate
from mapping import Mapped, map_variants
from paths import Arcs, Path, longest_path, module_arcs
from resources import Resources, resources

__all__ = ["Row", "Survey", "survey"]


@dataclass(frozen=True)
class Row:
    """A module: all its instances, in whatever variants. `own` is without submodules, `whole` with them."""

    module: str
    variants: int
    instances: int
    own: Resources
    whole: Resources
    inside: Path
    through: Path  # with the submodules' parts


@dataclass(frozen=True)
class Survey:
    """A device's rows, in the order of the design from the leaves up, and the modules that yosys had no room for."""

    parameters: Mapping[str, int]
    rows: list[Row]
    missing: dict[str, int]  # instances

    @property
    def total(self) -> Resources:
        """Of the modules that were mapped."""
        return sum((row.own for row in self.rows), Resources())

    def row(self, module: str) -> Row:
        """The row of a module."""
        return next(row for row in self.rows if row.module == module)


def survey(folder: File, parameters: Mapping[str, int], jobs: int = 1) -> Survey:
    """Map the modules of `sf_top` with these parameters."""
    design = elaborate(folder, "sf_top", parameters)
    apart = design.apart()
    mapped = map_variants(folder, design, [v.name for v in apart], jobs)
    own = {name: resources(m.cells) for name, m in mapped.items()}
    inside = {name: longest_path(m.netlist()) for name, m in mapped.items()}
    crossing = _crossing(design, mapped)
    whole = _whole(design, own)
    count = design.instances()

    def row(module: str, names: list[str]) -> Row:
        return Row(
            module,
            len(names),
            sum(count[n] for n in names),
            sum((own[n] * count[n] for n in names), Resources()),
            sum((whole[n] * count[n] for n in names), Resources()),
            max((inside[n] for n in names), key=lambda p: p.levels),
            max((crossing[n] for n in names), key=lambda p: p.levels),
        )

    names = {
        module: [v.name for v in apart if v.module == module and v.name in mapped]
        for module in (v.module for v in apart)
    }
    missing = {v.module: count[v.name] for v in apart if v.name not in mapped}
    return Survey(parameters, [row(module, there) for module, there in names.items() if there], missing)


def _crossing(design: Design, mapped: Mapping[str, Mapped]) -> dict[str, Path]:
    """The longest path of each variant that stays in it and in what is below it."""
    arcs: dict[str, Arcs] = {}
    paths = {}
    for variant in design.apart():  # submodules first; one that is missing is an end
        if variant.name not in mapped:
            continue
        netlist = mapped[variant.name].netlist()
        paths[variant.name] = longest_path(netlist, arcs)
        arcs[variant.name] = module_arcs(netlist, arcs)
    return paths


def _whole(design: Design, own: Mapping[str, Resources]) -> dict[str, Resources]:
    whole: dict[str, Resources] = {}
    for variant in design.variants.values():  # submodules first
        below = (whole[child] * times for child, times in variant.children.items())
        whole[variant.name] = sum(below, own.get(variant.name, Resources()))
    return whole
