"""The first channel of what lies in a concat's output: plain sums of where the concats put it."""

import random

from networks import GraphBuilder

from sfopt.groups import Network
from sfopt.places import first_channels
from sfopt.plan import Role
from sfopt.testing.naive_plan import Choice, naive_plan
from sfopt.testing.shared_places import DEVICE, everything, in_places


def chain(r: random.Random) -> tuple[Network, dict[str, str], dict[str, int]]:
    """Concats of concats, of whole words; what lies in what, and where in the last one."""
    b = GraphBuilder("chain", seed=r.randrange(100))
    x, outputs, begins = b.conv(b.input(3, 3, 2), 8), dict[str, str](), dict[str, int]()
    for _ in range(r.randint(1, 4)):
        y = b.conv(b.conv(x, 3), r.choice((8, 16)))
        pieces = r.sample([x, y], 2)
        c = b.concat(*pieces)
        more = b.shape(pieces[0])[0]
        begins = {m: begin + more * (pieces[1] == x) for m, begin in begins.items()}
        begins |= {pieces[0]: 0, pieces[1]: more}
        outputs |= {x: c, y: c}
        x = c
    return b.network([b.conv(x, 3)]), outputs, begins | {x: 0}


def test_channels_of_concats_in_concats() -> None:
    seen = set[int]()
    for seed in range(30):
        network, outputs, begins = chain(random.Random(seed))
        naive = naive_plan(network, DEVICE, Choice(everything(network)))
        found = first_channels(in_places(naive, network, DEVICE, outputs), network)
        assert {m: found[m] for m in begins} == begins
        assert not any(channel for m, channel in found.items() if m not in begins)
        assert found.keys() == {b.content for b in naive.buffers if b.role is Role.RESIDENT}
        seen.update(begins.values())
    assert len(seen) > 5


def test_maps_with_buffers_of_their_own_begin_at_channel_0() -> None:
    for seed in range(10):
        network, _, _ = chain(random.Random(seed))
        naive = naive_plan(network, DEVICE, Choice(everything(network)))
        assert set(first_channels(naive, network).values()) == {0}
