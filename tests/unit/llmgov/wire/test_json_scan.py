"""Strict JSON: what the standard library reads the same way, minus all that two parsers could read differently."""

import collections
import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from llmgov.wire import json_scan, malformed

VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)

REFUSED = {
    "nothing at all": b"",
    "a key twice": b'{"a":1,"a":2}',
    "a key twice, once escaped": b'{"a":1,"\\u0061":2}',
    "a key twice, deep inside": b'[{"x":[{"a":1,"b":0,"a":1}]}]',
    "not a number": b'{"a":NaN}',
    "infinity": b'{"a":Infinity}',
    "minus infinity": b"[-Infinity]",
    "a number beyond a double": b"[1e999]",
    "an integer of five thousand digits": b"[" + b"9" * 5000 + b"]",
    "a lone high surrogate": b'"\\ud83d"',
    "a lone low surrogate in a key": b'{"\\uDC00":1}',
    "a surrogate encoded as UTF-8": b'"\xed\xa0\x80"',
    "invalid UTF-8": b'"\xff"',
    "a byte order mark": b"\xef\xbb\xbf{}",
    "a second value": b"{} {}",
    "a trailing comma": b"[1,]",
    "a comment": b"{} // x",
    "a raw line feed in a string": b'"a\nb"',
    "a raw NUL in a string": b'"a\x00b"',
    "a single-quoted string": b"{'a':1}",
    "a leading zero": b"[01]",
    "UTF-16": '{"a":1}'.encode("utf-16"),
}


@pytest.mark.parametrize("data", REFUSED.values(), ids=REFUSED.keys())
def test_ambiguous_or_invalid_json_is_refused(data: bytes) -> None:
    with pytest.raises(json_scan.JsonError):
        json_scan.parse(data)


@settings(max_examples=150)
@given(value=VALUES, escaped=st.booleans())
def test_what_is_plain_json_is_read_as_the_standard_library_does(value: Any, escaped: bool) -> None:
    try:
        data = json.dumps(value, ensure_ascii=escaped).encode()
    except UnicodeEncodeError:
        return
    lone = any("\ud800" <= character <= "\udfff" for character in json.dumps(value, ensure_ascii=False))
    if lone:
        with pytest.raises(json_scan.JsonError):
            json_scan.parse(data)
    else:
        assert json_scan.parse(data) == value


@settings(max_examples=300)
@given(data=st.binary(max_size=40) | st.text(alphabet='{}[]",:\\u0d8 e1-', max_size=30).map(str.encode))
def test_no_bytes_do_anything_but_parse_or_be_refused(data: bytes) -> None:
    try:
        json_scan.parse(data)
    except json_scan.JsonError:
        return
    json.loads(data)


def nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


STRINGS = st.sampled_from(
    [
        r'"a"',
        r'"\u0061"',
        r'"b"',
        r'"a:"',
        r'":"',
        r'"\\"',
        r'"\""',
        r'"\\\""',
        r'"\":\""',
        r'"\u005c"',
        r'"\\:"',
        '"é"',
        '""',
    ]
)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False).map(repr) | st.integers(-(10**30), 10**30).map(str)
WORDS = st.sampled_from(["true", "null", "-0", "-0.0", "1E5", "0.1e-7", "12345678901234567890.5"])
BLANKS = st.sampled_from(["", "", " ", "\n\t"])


def written(blank: str, pairs: list[tuple[str, str]]) -> str:
    return "{" + ",".join(f"{blank}{key}{blank}:{value}" for key, value in pairs) + "}"


TEXTS = st.recursive(
    STRINGS | NUMBERS | WORDS,
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: f"[{','.join(items)}]")
        | st.builds(written, BLANKS, st.lists(st.tuples(STRINGS, inner), max_size=4))
    ),
    max_leaves=12,
)


def as_the_standard_library(text: str) -> str | None:
    """The value's representation (zeros have signs), or `None` where a key stands twice."""
    doubled: list[str] = []

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        doubled.extend(key for key, number in collections.Counter(key for key, _ in pairs).items() if number > 1)
        return dict(pairs)

    value = json.loads(text, object_pairs_hook=members)
    return None if doubled else repr(value)


@settings(max_examples=400)
@given(TEXTS)
@example(r'{"a":"\\","a":":"}')
@example(r'{"\"":1,"b":{"a":1,"\u0061":2}}')
def test_keys_that_stand_twice_are_found_whatever_the_strings_hold(text: str) -> None:
    said = as_the_standard_library(text)
    if said is not None:
        assert repr(json_scan.parse(text.encode())) == said
    else:
        with pytest.raises(json_scan.JsonError, match="twice"):
            json_scan.parse(text.encode())


def test_depth_is_bounded_exactly() -> None:
    json_scan.parse(nested(json_scan.MAX_DEPTH))
    json_scan.parse(b"[{},{}," + nested(json_scan.MAX_DEPTH - 1) + b"]")
    with pytest.raises(json_scan.DepthError):
        json_scan.parse(b"[{},{}," + nested(json_scan.MAX_DEPTH) + b"]")
    with pytest.raises(json_scan.DepthError):
        json_scan.parse(nested(json_scan.MAX_DEPTH + 1))


def test_a_hundred_thousand_levels_are_refused_and_not_recursed_into() -> None:
    with pytest.raises(json_scan.DepthError):
        json_scan.parse(nested(100_000))
    with pytest.raises(json_scan.JsonError):
        json_scan.parse(b'{"a":' * 100_000)


def test_many_values_side_by_side_are_not_deep_and_brackets_in_strings_do_not_count() -> None:
    assert len(json_scan.parse(b"[" + b"[]," * 999 + b"[]]")) == 1000
    assert json_scan.parse(json.dumps(["[" * 500 + '\\"' + "{" * 500]).encode())


BODIES = {
    "no JSON": (b"hello", "invalid_request"),
    "an array": (b"[]", "invalid_request"),
    "a doubled key": (b'{"model":"a","model":"b"}', "invalid_request"),
    "too deep": (nested(101), "request_too_large"),
}


@pytest.mark.parametrize(("body", "reason"), BODIES.values(), ids=BODIES.keys())
def test_a_request_that_is_no_strict_object_is_a_typed_refusal(body: bytes, reason: str) -> None:
    with pytest.raises(malformed.RequestError) as caught:
        json_scan.parse_object(body)
    assert caught.value.refusal.reason.value == reason
    assert caught.value.refusal.message.startswith("llmgov: the body ")


def test_the_message_of_a_doubled_key_names_it_shortly() -> None:
    body = json.dumps({"k" * 500: 1})[:-1] + ', "' + "k" * 500 + '": 2}'
    with pytest.raises(json_scan.JsonError, match="twice") as caught:
        json_scan.parse(body.encode())
    assert len(str(caught.value)) < 120
