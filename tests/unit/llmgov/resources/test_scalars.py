"""Formats of strings: what each takes and refuses."""

from typing import Any

import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmgov import money
from llmgov.resources import scalars
from llmgov.resources.text import Text
from tests.support.resource_cases import REFUSED, REFUSED_IN_PYTHON_ALONE, TAKEN


def _sentence(case: tuple[str, Any, str]) -> str:
    return case[0]


def _accepts(annotation: Any, text: str) -> bool:
    try:
        pydantic.TypeAdapter(annotation).validate_python(text)
    except pydantic.ValidationError:
        return False
    return True


@pytest.mark.parametrize("case", TAKEN, ids=_sentence)
def test_is_taken(case: tuple[str, Any, str]) -> None:
    assert _accepts(case[1], case[2])


@pytest.mark.parametrize("case", REFUSED + REFUSED_IN_PYTHON_ALONE, ids=_sentence)
def test_is_refused(case: tuple[str, Any, str]) -> None:
    assert not _accepts(case[1], case[2])


def test_every_format_is_in_both_tables() -> None:
    formats = {
        name
        for name, value in vars(scalars).items()
        if any(isinstance(part, Text) for part in getattr(value, "__metadata__", ()))
    } - {"UpTo30Days"}
    for table in (TAKEN, REFUSED + REFUSED_IN_PYTHON_ALONE):
        assert formats == {name for name in formats if any(getattr(scalars, name) is case[1] for case in table)}


def test_a_number_in_place_of_a_string_is_told_to_be_quoted() -> None:
    with pytest.raises(pydantic.ValidationError) as caught:
        pydantic.TypeAdapter(scalars.Amount).validate_python(5000)
    context = caught.value.errors()[0]["ctx"]
    assert (context["code"], context["remedy"]) == ("WrongType", "put it in quotes")


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="0123456789.-+e_ ", min_size=1, max_size=22))
def test_what_is_taken_as_an_amount_is_an_amount(text: str) -> None:
    try:
        money.parse_amount(text)
    except money.MoneyError:
        assert not _accepts(scalars.Amount, text)
    else:
        assert _accepts(scalars.Amount, text)


def test_patterns_have_no_single_quotes_since_cel_has_them_in_such() -> None:
    texts = [part for value in vars(scalars).values() for part in getattr(value, "__metadata__", ())]
    formats = [text for text in texts if isinstance(text, Text)]
    assert formats
    assert [text for text in formats if "'" in text.pattern] == []
