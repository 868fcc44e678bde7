"""What backends are tested on: networks in plans that together have every form that a plan can take."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

from sfopt.device import Device
from sfopt.groups import Kind, Network
from sfopt.places import first_channels
from sfopt.plan import Category, Plan, Role, WeightMode
from sfopt.stage import Stage
from sfopt.testing.naive_plan import Choice, can_be_resident, claimed, naive_plan
from sfopt.testing.networks import build
from sfopt.testing.shared_places import DEVICE, everything, in_places_where_possible

__all__ = ["CASES", "FORMS", "Case", "forms_of"]

FORMS = frozenset(
    {
        "early constants",
        "early end",
        "folded input",
        "host",
        "in place",
        "input reread",
        "overlap",
        "resident",
        "reread",
        "reread in company",
        "ring",
        "rows",
        "rows that no band needs",
        "segment",
        "side by side",
        "spill",
        "streamed",
    }
)
"""What a plan can have that a backend may get wrong."""

_RESIDENT, _REREAD, _INPUT_REREAD = WeightMode.RESIDENT, WeightMode.REREAD, WeightMode.INPUT_REREAD


@dataclass(frozen=True)
class Case:
    """A network and a plan for it on `device`; `forms` are those that the case is there for."""

    name: str
    network_name: str
    make: Callable[[Network], Plan]
    forms: frozenset[str]
    device: Device = DEVICE

    @property
    def network(self) -> Network:
        """The network, made once."""
        return _network(self.network_name)

    @property
    def plan(self) -> Plan:
        """The plan, made once."""
        return _plan(self)

    def __str__(self) -> str:
        return self.name


@cache
def _network(name: str) -> Network:
    return build(name)


@cache
def _plan(case: Case) -> Plan:
    return claimed(case.make(case.network), case.network, case.device)


def _case(name: str, network: str, forms: str, make: Callable[[Network], Plan]) -> Case:
    return Case(f"{network}: {name}", network, make, frozenset(forms.split(", ")))


def _frames(network: Network, choice: Choice = Choice()) -> Plan:  # noqa: B008 - a frozen constant
    """Every group by itself, a frame at a time."""
    return naive_plan(network, DEVICE, choice)


def _kept(network: Network) -> Plan:
    """Everything on-chip, operands written over and concats' pieces in place wherever that is allowed."""
    made = naive_plan(network, DEVICE, Choice(resident=everything(network), early=True))
    return in_places_where_possible(made, network, DEVICE)[0]


def _joined(network: Network, choice: Choice) -> Plan:
    """As few segments as the rules allow."""
    return naive_plan(network, DEVICE, choice, [0])


def _half(network: Network) -> frozenset[str]:
    """Every second map that may be resident."""
    return frozenset(sorted(m for m in network.maps if can_be_resident(network, m))[::2])


def _ending(network: Network) -> Plan:
    """Every resident map ends at its first reader, and is read back by the others."""
    choice = Choice(resident=everything(network), band_rows=2)
    return _frames(network, replace(choice, ends={m: r[0] for m, r in network.readers.items() if r}))


_ROWS = Choice(band_rows=1)
_AHEAD = Choice(band_rows=2, overlap=True, early=True)
_TILED = Choice(weights=_REREAD, overlap=True)
_EVERY_OTHER = frozenset(range(0, 40, 2))

CASES: tuple[Case, ...] = (
    _case("frames", "convolutions", "spill, folded input", _frames),
    _case("rows", "convolutions", "rows, folded input, segment, ring", lambda n: _joined(n, _ROWS)),
    _case("tiles", "convolutions", "streamed", lambda n: _frames(n, replace(_TILED, channel_tile=4))),
    _case("frames", "pools", "spill", _frames),
    _case("rows", "pools", "rows, rows that no band needs", lambda n: _frames(n, _ROWS)),
    _case("rows ahead", "pools", "segment, overlap", lambda n: _joined(n, replace(_AHEAD, band_rows=1))),
    _case("on-chip", "elements", "resident, in place, early constants", _kept),
    _case("rows", "elements", "rows, segment, ring", lambda n: _joined(n, _ROWS)),
    _case("on-chip", "inverted", "resident, in place", _kept),
    _case("rows ahead", "inverted", "segment, ring, overlap", lambda n: _joined(n, _AHEAD)),
    _case("on-chip", "branches", "resident, side by side", _kept),
    _case("rows", "branches", "rows, segment", lambda n: _joined(n, replace(_ROWS, resident=_half(n)))),
    _case("early ends", "residual", "early end, rows", _ending),
    _case(
        "tiles in company",
        "residual",
        "reread in company, overlap",
        lambda n: _joined(n, replace(_TILED, band_rows=1, channel_tile=4, kept=_EVERY_OTHER)),
    ),
    _case("tiles", "wide", "streamed, overlap", lambda n: _frames(n, _TILED)),
    _case("tiles in rows", "wide", "reread", lambda n: _frames(n, replace(_TILED, band_rows=2, overlap=False))),
    _case(
        "inputs again",
        "wide",
        "input reread, overlap",
        lambda n: _frames(n, replace(_TILED, band_rows=1, weights=_INPUT_REREAD)),
    ),
    _case("frames", "ties", "spill", _frames),
    _case("frames", "transposed", "spill", _frames),
    _case("rows ahead", "transposed", "segment, rows, overlap", lambda n: _joined(n, _AHEAD)),
    _case("tiles", "transposed", "reread", lambda n: _frames(n, replace(_TILED, band_rows=2))),
    _case(
        "inputs again",
        "transposed",
        "input reread",
        lambda n: _frames(n, replace(_TILED, band_rows=2, weights=_INPUT_REREAD, channel_tile=4)),
    ),
    _case("host", "hosted", "host", lambda n: _joined(n, replace(_AHEAD, resident=_half(n)))),
)
"""Every form of `FORMS` is that of some case."""


def forms_of(case: Case) -> frozenset[str]:
    """The forms that a case's plan has."""
    plan, network = case.plan, case.network
    stages = Stage.of(plan, network, case.device)
    folded = any(stage.folder(feed.tensor) is not None for stage in stages for feed in stage.segment.feeds)
    found = {"folded input"} if folded else set()
    return frozenset({*found, *_forms_of_segments(plan, network), *_forms_of_buffers(plan, network)})


def _forms_of_segments(plan: Plan, network: Network) -> set[str]:
    found = set[str]()
    modes = {WeightMode.STREAMED: "streamed", _REREAD: "reread", _INPUT_REREAD: "input reread"}
    for segment in plan.segments:
        alone = len(segment.runs) == 1
        found |= {"host"} if network.groups[segment.first].kind is Kind.HOST else set()
        found |= {"rows"} if segment.bands > 1 else set()
        found |= {"segment"} if segment.bands > 1 and not alone else set()
        tiled = any(run.weight_mode is not _RESIDENT for run in segment.runs)
        found |= {"overlap"} if segment.overlap and (segment.bands > 1 or tiled) else set()
        for run in segment.runs:
            if run.weight_mode is not _RESIDENT:
                found.add(modes[run.weight_mode] + ("" if alone else " in company"))
        for feed in segment.feeds:
            height = network.maps[feed.tensor].height
            if 0 < feed.first + (segment.bands - 1) * feed.step < height and segment.bands > 1:
                found.add("rows that no band needs")
    if any(t.category is Category.FEATURE_MAPS for t in plan.transfers):
        found.add("spill")
    return found


def _forms_of_buffers(plan: Plan, network: Network) -> set[str]:
    found = set[str]()
    resident = {b.content: b for b in plan.buffers if b.role is Role.RESIDENT}
    for b in plan.buffers:
        fmap = network.maps.get(b.content)
        constants = b.role in (Role.WEIGHTS, Role.PARAMETERS)
        found |= {"early constants"} if constants and b.first_step < b.last_step else set()
        found |= {"ring"} if b.role is Role.RING and fmap is not None and b.rows < fmap.height else set()
    for name, b in resident.items():
        found.add("resident")
        outputs = [network.groups[r].output for r in network.readers[name]]
        shared = [o for o in outputs if o in resident and resident[o].offset == b.offset and o != name]
        shared = [o for o in shared if resident[o].first_step == b.last_step]
        for output in shared:
            concat = len(network.groups[network.producer(output)].pieces) > 1
            found.add("side by side" if concat else "in place")
        last = plan.segments[b.last_step].last
        found |= {"early end"} if any(r > last for r in network.readers[name]) else set()
    found |= {"side by side"} if any(first_channels(plan, network).values()) else set()
    return found
