"""Text that travels as media is read; media is not."""

import base64
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgov.wire import media

LONG = "Grüße " * 2000


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


TEXTS = {
    "bare base64": (encoded("SECRET"), "SECRET"),
    "a data URL": ("data:text/csv;base64," + encoded("a,SECRET"), "a,SECRET"),
    "a data URL that lies about its type": ("data:image/png;base64," + encoded("SECRET"), "SECRET"),
    "a data URL without base64": ("data:text/plain,SECRET", "SECRET"),
    "without padding": (encoded("SECRETS").rstrip("="), "SECRETS"),
    "long, with letters of two bytes": (encoded(LONG), LONG),
}


@pytest.mark.parametrize(("data", "text"), TEXTS.values(), ids=TEXTS.keys())
def test_words_are_found(data: str, text: str) -> None:
    assert media.words(data) == text


PNG = b"\x89PNG\r\n\x1a\n" + b"\x00" * 3000
PDF = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n" + b"BT (SECRET) Tj ET" * 200
OTHER = {
    "an image": base64.b64encode(PNG).decode(),
    "a PDF": "data:application/pdf;base64," + base64.b64encode(PDF).decode(),
    "text that ends in noise": base64.b64encode(LONG.encode() + b"\xff").decode(),
    "a word with a length that base64 cannot have": "SECRE",
}


@pytest.mark.parametrize("data", OTHER.values(), ids=OTHER.keys())
def test_media_has_no_words(data: str) -> None:
    assert media.words(data) is None


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=300, max_size=2000), st.integers(0, 3))
def test_no_text_of_any_length_is_missed(text: str, letters: int) -> None:
    assert media.words(encoded("a" * letters + text * 3)) == "a" * letters + text * 3


@given(st.text(max_size=60) | st.binary(max_size=60).map(lambda raw: base64.b64encode(raw).decode()))
def test_nothing_does_harm(data: str) -> None:
    found = media.words(data)
    assert found is None or isinstance(found, str)


def test_random_bytes_are_no_words() -> None:
    assert media.words(base64.b64encode(os.urandom(4000)).decode()) is None
