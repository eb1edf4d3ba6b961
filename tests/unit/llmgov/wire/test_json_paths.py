"""Paths name one place each, whatever characters keys have."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgov.wire import paths

STEPS = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.integers(0, 999), max_size=5)


def build(steps: list[str | int], path: str = "") -> str:
    for step in steps:
        path = paths.item(path, step) if isinstance(step, int) else paths.key(path, step)
    return path


@given(STEPS)
def test_a_path_is_split_into_the_steps_that_built_it(steps: list[str | int]) -> None:
    assert paths.split(build(steps)) == tuple(steps)


@given(STEPS, STEPS)
def test_a_path_into_a_string_is_cut_where_it_enters(outer: list[str | int], inner: list[str | int]) -> None:
    path = build(inner, paths.nested(build(outer)))
    assert [paths.split(part) for part in paths.split_nested(path)] == [tuple(outer), tuple(inner)]


def test_paths_read_as_messages_show_them() -> None:
    assert build(["messages", 0, "content", 1, "text"]) == "messages[0].content[1].text"
    assert build(["metadata", "a key"]) == 'metadata["a key"]'


@pytest.mark.parametrize("path", ["a..b", "a[x]", "a[", "[1", "a b", ":a"])
def test_what_is_no_path_is_an_error(path: str) -> None:
    with pytest.raises(ValueError, match="JSON path"):
        paths.split(path)
