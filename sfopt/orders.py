"""Topological orders of a network's groups, and the network in another of them: its groups permuted, all else as it was.

Whatever reads a network takes its groups in the order given, so a reordered one is simply another network. HOST groups keep their
order among themselves: what they hand to each other is in the host's memory, where no feature map shows it.
"""

import random
from bisect import insort
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, islice, pairwise

from sfopt.errors import PlanCheckError
from sfopt.groups import Kind, Network

__all__ = ["candidate_orders", "dependencies", "in_order_of", "random_order", "reordered"]

Order = tuple[int, ...]
"""Indices of all groups, each once and behind those that it needs."""

Needs = Mapping[int, set[int]]
"""Group -> groups that must run before it."""

FOLLOW = 0.7
"""How often a random order goes on with a reader of the group before, where there is one."""
MISSES = 100
"""Orders in succession that were there already, after which there are taken to be no more."""


def candidate_orders(network: Network, count: int, seed: int, best: Callable[[], Order]) -> Iterator[Order]:
    """At most `count` different orders. The network's own first; up to half of them depth first by each of several rules; then the
    best known, as `best` has it by then, with one branch moved; where no such move is new, random ones.

    Depth first runs a branch to its end before it begins the next one of the same join. Same arguments, same orders.
    """
    own, found, misses = tuple(range(len(network.groups))), set[Order](), 0
    rules = islice(dict.fromkeys((own, *_by_rule(network))), max(1, count // 2))
    for order in chain(rules, _moves(network, best), _random(network, seed)):
        misses = misses + 1 if order in found else 0
        if len(found) >= count or misses >= MISSES:
            break
        if order not in found:
            found.add(order)
            yield order


def reordered(network: Network, order: Sequence[int]) -> Network:
    """The network whose group i is the given one's `order[i]`."""
    return replace(network, groups=tuple(replace(network.groups[g], index=i) for i, g in enumerate(order)))


def in_order_of(network: Network, names: Sequence[str]) -> Network:
    """The network with its groups in the order of these names; raises PlanCheckError where that is no order of it."""
    indices = {g.name: g.index for g in network.groups}
    unknown = next((n for n in names if n not in indices), None)
    if unknown is not None:
        raise PlanCheckError(f"the plan's order names group `{unknown}`, which the network does not have")
    if sorted(names) != sorted(indices):
        raise PlanCheckError(f"the plan's order has {len(set(names))} of the network's {len(indices)} groups once each")
    order, needs, done = [indices[n] for n in names], dependencies(network), set[int]()
    for group in order:
        if not needs[group] <= done:
            late = network.groups[min(needs[group] - done)].name
            raise PlanCheckError(f"the plan's order has `{network.groups[group].name}` before `{late}`, which it needs")
        done.add(group)
    return reordered(network, order)


def dependencies(network: Network) -> Needs:
    """Group -> groups that must run before it: producers of what it reads, and for a HOST group the HOST group before it."""
    needs = {g.index: {network.producers[m] for m in g.reads if m in network.producers} for g in network.groups}
    for before, behind in pairwise(g.index for g in network.groups if g.kind is Kind.HOST):
        needs[behind].add(before)
    return needs


def random_order(needs: Needs, r: random.Random) -> Order:
    """An order drawn group by group from those that are ready, readers of the group before more often than not."""
    readers, missing = dict[int, list[int]](), {g: len(before) for g, before in needs.items()}
    for group, before in needs.items():
        for n in before:
            readers.setdefault(n, []).append(group)
    order, ready = list[int](), sorted(g for g, count in missing.items() if not count)
    while ready:
        following = [g for g in ready if order and order[-1] in needs[g]]
        order.append(r.choice(following if following and r.random() < FOLLOW else ready))
        ready.remove(order[-1])
        for group in readers.get(order[-1], ()):
            missing[group] -= 1
            if not missing[group]:
                insort(ready, group)
    return tuple(order)


Rank = Callable[[int, list[int]], float]
"""(last group of a branch, its groups) -> what branches of one join are sorted by, the least first."""


def _by_rule(network: Network) -> Iterator[Order]:
    """Depth first: long, short, large, small branches first; what needs most beyond what it leaves; as listed; the other way."""
    written = {g.index: sum(network.maps[m].size_bytes for m in g.writes if m in network.maps) for g in network.groups}

    def most(branch: list[int]) -> int:
        return max((written[g] for g in branch), default=0)

    rules: tuple[Rank, ...] = (
        lambda _last, branch: -len(branch),
        lambda _last, branch: len(branch),
        lambda _last, branch: -most(branch),
        lambda _last, branch: most(branch),
        lambda last, branch: written[last] - most(branch),
        lambda last, _branch: last,
        lambda last, _branch: -last,
    )
    needs = dependencies(network)
    branches = _branches(needs)
    for rank in rules:
        yield _depth_first(needs, branches, rank)


def _moves(network: Network, best: Callable[[], Order]) -> Iterator[Order]:
    """One branch elsewhere, those that end in large maps first; round after round until one has nothing new."""
    needs = dependencies(network)
    branches = [(n, set(b)) for by_last in _branches(needs).values() for n, b in by_last.items() if b]
    size = {g.index: sum(network.maps[m].size_bytes for m in g.writes if m in network.maps) for g in network.groups}
    branches.sort(key=lambda branch: -size[branch[0]])
    seen, before = set[Order](), -1
    while len(seen) > before:
        before = len(seen)
        for _, branch in branches:
            for order in _with_branch_elsewhere(needs, best(), branch):
                if order not in seen:
                    seen.add(order)
                    yield order


def _with_branch_elsewhere(needs: Needs, order: Order, branch: set[int]) -> Iterator[Order]:
    """The branch in one piece wherever it may be: behind all that it needs, before all that needs it."""
    rest, block = [g for g in order if g not in branch], [g for g in order if g in branch]
    needed = set().union(*(needs[g] for g in block)) - branch
    first = max((i for i, g in enumerate(rest, 1) if g in needed), default=0)
    last = next((i for i, g in enumerate(rest) if needs[g] & branch), len(rest))
    for at in range(first, last + 1):
        yield (*rest[:at], *block, *rest[at:])


def _random(network: Network, seed: int) -> Iterator[Order]:
    """Without end: by turns depth first with the branches of every join shuffled, and drawn group by group."""
    needs, r = dependencies(network), random.Random(seed)
    branches = _branches(needs)
    while True:
        yield _depth_first(needs, branches, lambda _last, _branch: r.random())
        yield random_order(needs, r)


Branches = Mapping[int, Mapping[int, list[int]]]
"""Join -> the last group of each of its branches -> groups that no other branch of this join needs."""


def _branches(needs: Needs) -> Branches:
    """The branches of every join; the groups that nothing needs are joined behind the last one, at -1."""
    joined = {**needs, -1: needs.keys() - set().union(*needs.values())}
    above = dict[int, set[int]]()
    for group in sorted(needs):  # the given order is topological
        above[group] = {group}.union(*(above[n] for n in needs[group]))
    return {
        join: {n: sorted(above[n].difference(*(above[o] for o in lasts if o != n))) for n in lasts} if len(lasts) > 1 else
        {n: [] for n in lasts}
        for join, lasts in joined.items()
    }  # fmt: skip


def _depth_first(needs: Needs, branches: Branches, rank: Rank) -> Order:
    """What a join needs, branch by branch, each to its end, before the join itself."""
    order, wanted, done = list[int](), [-1], set[int]()
    while wanted:
        group = wanted.pop()
        if group in done:
            continue
        missing = [n for n in branches[group] if n not in done]
        if missing:
            ranks = {n: rank(n, branches[group][n]) for n in missing}
            wanted.append(group)
            wanted += sorted(missing, key=lambda n: (ranks[n], n), reverse=True)  # the least on top
        else:
            done.add(group)
            order.append(group)
    return tuple(g for g in order if g in needs)
