"""What is nested too deep is cut out of JSON, and of nothing else."""

import json
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies

from llmgov_operator import depth

KEYS = strategies.text('ab"\\{}[]é', max_size=4)
"""With everything that might be taken for a bracket or for a string's end."""

VALUES = strategies.recursive(
    strategies.none() | strategies.booleans() | strategies.integers(-9, 9) | KEYS,
    lambda inner: strategies.lists(inner, max_size=3) | strategies.dictionaries(KEYS, inner, max_size=3),
)


def cut(value: Any, levels: int) -> Any:
    """The same of the parsed value: `None` in place of what has `levels` others around it."""
    if isinstance(value, dict):
        return {key: cut(each, levels - 1) for key, each in value.items()} if levels else None
    if isinstance(value, list):
        return [cut(each, levels - 1) for each in value] if levels else None
    return value


@pytest.mark.parametrize("levels", [1, 2, 3, 5])
def test_what_is_deeper_is_null_and_all_the_rest_is_as_it_was(levels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(depth, "DEEPEST", levels)

    @hypothesis.given(VALUES, strategies.booleans(), strategies.sampled_from([None, 1]))
    def check(value: Any, ascii_only: bool, indent: int | None) -> None:
        text = json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode()
        assert json.loads(depth.shallow(text)) == cut(value, levels)

    check()


@pytest.mark.parametrize("levels", [0, 1, 64, depth.DEEPEST])
def test_what_is_no_deeper_is_the_text_that_was_given(levels: int) -> None:
    text = b'{"a":[' * (levels // 2) + b"1" + b"]}" * (levels // 2)
    assert depth.shallow(text) is text


def test_many_objects_beside_each_other_are_not_deep() -> None:
    text = json.dumps({"items": [{"a": [{"b": "}]"}]}] * 500}).encode()
    assert depth.shallow(text) is text


@pytest.mark.parametrize("text", [b"", b"\n", b"not json", b'"' * 999, b"{" * 999, b"}" * 999, b'{"' + b"[" * 999])
def test_what_is_no_json_does_no_harm(text: bytes) -> None:
    assert isinstance(depth.shallow(text), bytes)
