"""Plan: JSON round trip, and one line for anything that is not a plan."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from networks import random_network

from sfopt.allocate import plan
from sfopt.device import load_device
from sfopt.errors import UsageError
from sfopt.plan import (
    Buffer,
    Category,
    Certificate,
    DramRegion,
    Feed,
    Objective,
    Order,
    Plan,
    Role,
    Run,
    Segment,
    Status,
    Transfer,
    WeightMode,
)

counts = st.integers(0, 2**40)
names = st.text(max_size=12)
objectives = st.builds(Objective, names, counts, counts, st.sampled_from(Status))
plans = st.builds(
    Plan,
    names,
    st.dictionaries(names, st.one_of(counts, names, st.dictionaries(names, names, max_size=2)), max_size=3),
    st.lists(
        st.builds(
            Segment,
            counts,
            counts,
            counts,
            st.booleans(),
            st.lists(st.builds(Run, counts, counts, counts, st.sampled_from(WeightMode), counts), max_size=2).map(
                tuple
            ),
            st.lists(st.builds(Feed, names, counts, counts), max_size=2).map(tuple),
        ),
        max_size=3,
    ).map(tuple),
    st.lists(
        st.builds(Buffer, names, st.sampled_from(Role), names, counts, counts, counts, counts, counts), max_size=3
    ).map(tuple),
    st.lists(
        st.builds(
            Transfer,
            counts,
            names,
            st.sampled_from(["read", "write"]),
            counts,
            st.sampled_from(Category),
            st.booleans(),
        ),
        max_size=3,
    ).map(tuple),
    st.lists(st.builds(DramRegion, names, counts, counts, counts, counts), max_size=3).map(tuple),
    st.builds(
        Certificate,
        names,
        st.sampled_from(Status),
        st.lists(objectives, max_size=3).map(tuple),
        st.floats(0, 1e6, allow_nan=False),
        counts,
    ),
    st.none() | st.builds(Order, counts, counts, counts, st.lists(names, max_size=3).map(tuple)),
)


@given(plans)
def test_json_round_trip(made: Plan) -> None:
    assert Plan.from_json(made.to_json()) == made


@given(
    st.text(max_size=40)
    | st.recursive(st.none() | st.integers() | st.text(max_size=4), st.lists, max_leaves=4).map(json.dumps)
)
def test_garbage_is_a_usage_error_of_one_line(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        Plan.from_json(text)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.99])
def test_truncated_plan_is_a_usage_error(share: float) -> None:
    text = plan(random_network(1), load_device("sim8"), "greedy-size").to_json()
    with pytest.raises(UsageError, match="not a plan"):
        Plan.from_json(text[: int(len(text) * share)])


@pytest.mark.parametrize(
    "key", ["network", "device", "segments", "buffers", "transfers", "dram", "certificate", "order", "schema"]
)
@pytest.mark.parametrize("value", [None, 30, "x", [30], [{}], {"a": 1}])
def test_wrong_parts_are_a_usage_error(key: str, value: object) -> None:
    raw = json.loads(plan(random_network(1), load_device("sim8"), "greedy-size").to_json())
    for broken in ({**raw, key: value}, {k: v for k, v in raw.items() if k != key}):
        if (key, type(value)) in (("network", str), ("device", dict), ("order", type(None))) and broken.get(
            key
        ) == value:
            continue
        with pytest.raises(UsageError):
            Plan.from_json(json.dumps(broken))


def test_another_schema_is_named() -> None:
    with pytest.raises(UsageError, match="schema 99"):
        Plan.from_json('{"schema": 99}')


def test_wrong_types_inside_are_a_usage_error() -> None:
    raw = json.loads(plan(random_network(1), load_device("sim8"), "greedy-size").to_json())
    raw["buffers"][0]["offset"] = "0"
    with pytest.raises(UsageError, match="offset"):
        Plan.from_json(json.dumps(raw))
