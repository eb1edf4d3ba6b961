"""Text and JSON that PostgreSQL cannot hold as they are come back as they were."""

from typing import Any

import msgspec
from hypothesis import example, given
from hypothesis import strategies as st

from llmgov_store.postgres import escaping

TEXTS = st.text(st.one_of(st.sampled_from("\x00\x1a01\\u"), st.characters(codec="utf-8")))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXTS,
    lambda parts: st.lists(parts) | st.dictionaries(TEXTS, parts),
    max_leaves=8,
)


@given(TEXTS)
@example("\x1a0")
@example("\x1a1\x00")
def test_escaped_text_has_no_nul_and_comes_back(text: str) -> None:
    stored = escaping.escape(text)
    assert "\x00" not in stored
    assert escaping.unescape(stored) == text


@given(TEXTS, TEXTS)
def test_texts_that_differ_are_stored_as_texts_that_differ(one: str, other: str) -> None:
    assert (escaping.escape(one) == escaping.escape(other)) == (one == other)


@given(VALUES)
@example(["\\u0000", "\\\x00", {"\x1a": "\\u001a"}])
def test_json_has_no_nul_and_comes_back(value: Any) -> None:
    stored = escaping.to_json(value)
    as_jsonb_gives_it = msgspec.json.encode(msgspec.json.decode(stored)).decode()
    assert not _has_nul(msgspec.json.decode(stored))
    assert escaping.from_json(as_jsonb_gives_it, msgspec.json.Decoder()) == value


def _has_nul(value: Any) -> bool:
    match value:
        case str():
            return "\x00" in value
        case dict():
            return any(_has_nul(part) for pair in value.items() for part in pair)
        case list():
            return any(map(_has_nul, value))
        case _:
            return False
