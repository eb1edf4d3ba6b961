import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgov.compiler import graph

NAMES = "abcdef"
GRAPHS = st.dictionaries(st.sampled_from(NAMES), st.lists(st.sampled_from(NAMES), max_size=3).map(tuple), max_size=6)


def reachable(parents: dict[str, tuple[str, ...]]) -> set[tuple[str, str]]:
    """Warshall's closure: shares nothing with a walk by levels."""
    pairs = {(child, parent) for child, above in parents.items() for parent in above}
    for middle, start, end in itertools.product(NAMES, NAMES, NAMES):
        if (start, middle) in pairs and (middle, end) in pairs:
            pairs.add((start, end))
    return pairs


@given(GRAPHS)
def test_above_is_everybody_reachable_and_nobody_twice(parents: dict[str, tuple[str, ...]]) -> None:
    pairs = reachable(parents)
    for name in NAMES:
        found = graph.above(name, parents)
        assert len(found) == len(set(found))
        assert set(found) == {end for start, end in pairs if start == name}


@given(GRAPHS)
def test_circular_are_those_who_reach_themselves(parents: dict[str, tuple[str, ...]]) -> None:
    assert graph.circular(parents) == {start for start, end in reachable(parents) if start == end}


@pytest.mark.parametrize(
    ("parents", "expected"),
    [
        pytest.param({"a": ("b",), "b": ("c",)}, ("b", "c"), id="a chain is walked from the nearest up"),
        pytest.param({"a": ("b", "c"), "b": ("d",), "c": ("d",)}, ("b", "c", "d"), id="a diamond's tip comes once"),
        pytest.param({"a": ("a",)}, ("a",), id="who is its own parent stands above itself"),
        pytest.param({"a": ("ghost",)}, ("ghost",), id="an unknown parent is named too"),
        pytest.param({}, (), id="nobody stands above a name that nobody mentions"),
    ],
)
def test_above(parents: dict[str, tuple[str, ...]], expected: tuple[str, ...]) -> None:
    assert graph.above("a", parents) == expected


def test_forty_diamonds_on_top_of_each_other_are_walked_at_once() -> None:
    parents = {f"{side}{level}": (f"l{level + 1}", f"r{level + 1}") for level in range(40) for side in "lr"}
    assert len(graph.above("l0", parents)) == 80
