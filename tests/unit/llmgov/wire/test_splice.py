"""Edits by byte spans: what is edited is what the path names, and every other byte is what it was."""

import json
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmgov.wire import paths, splice
from llmgov.wire.events import ReplaceText, SetNumber, SetTrue

KEYS = st.text(max_size=6) | st.sampled_from(["a", "b-c", "x y", "0", "::", 'q"', "]", "é", ""])
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=15,
)


def strings(value: Any, path: str = "") -> list[str]:
    if isinstance(value, str):
        return [path]
    if isinstance(value, dict):
        return [found for key, inner in value.items() for found in strings(inner, paths.key(path, key))]
    if isinstance(value, list):
        return [found for index, inner in enumerate(value) for found in strings(inner, paths.item(path, index))]
    return []


def put(value: Any, steps: paths.Steps, text: str) -> Any:
    if not steps:
        return text
    copy = value.copy()
    copy[steps[0]] = put(value[steps[0]], steps[1:], text)
    return copy


def sprinkle(encoded: str, seed: int) -> str:
    """The same JSON with white space where it may stand."""
    chance = random.Random(seed)
    pieces: list[str] = []
    quoted = escaped = False
    for character in encoded:
        if not quoted and character in "{}[],:" and chance.random() < 0.5:
            pieces.append(chance.choice([" ", "\n", "\t\r\n"]))
        pieces.append(character)
        if not quoted and character in "{}[],:" and chance.random() < 0.5:
            pieces.append(" ")
        if character == '"' and not escaped:
            quoted = not quoted
        escaped = quoted and character == "\\" and not escaped
    return "".join(pieces)


@settings(max_examples=100)
@given(value=VALUES, text=TEXTS, seed=st.integers(0, 999), ascii_only=st.booleans(), data=st.data())
def test_replacing_strings_changes_them_and_no_other_byte(
    value: Any, text: str, seed: int, ascii_only: bool, data: st.DataObject
) -> None:
    value = {"all": value, "z": "last"}
    body = sprinkle(json.dumps(value, ensure_ascii=ascii_only), seed).encode(errors="surrogatepass")
    if b"\xed\xa0" in body or "\\ud" in json.dumps(value):
        return
    chosen = data.draw(st.lists(st.sampled_from(strings(value)), min_size=1, max_size=3, unique=True))
    edited = splice.apply(body, [ReplaceText(path, text) for path in chosen])
    expected = value
    marked = value
    for number, path in enumerate(chosen):
        expected = put(expected, paths.split(path), text)
        marked = put(marked, paths.split(path), f"<mark {number} of the test>")
    assert json.loads(edited) == expected
    skeleton = splice.apply(body, [ReplaceText(path, f"<mark {n} of the test>") for n, path in enumerate(chosen)])
    for number in range(len(chosen)):
        skeleton = skeleton.replace(f'"<mark {number} of the test>"'.encode(), splice.encode(text), 1)
    assert skeleton == edited
    assert len(edited) - len(body) == sum(len(splice.encode(text)) - width for width in widths(body, value, chosen))


def widths(body: bytes, value: Any, chosen: list[str]) -> list[int]:
    """How many bytes each chosen string takes in the body, by the standard library's own scanner."""
    text = body.decode()
    return [len(text[slice(*scan(text, paths.split(path)))].encode()) for path in chosen]


def scan(text: str, steps: paths.Steps) -> tuple[int, int]:
    decoder = json.JSONDecoder()

    def skip(at: int) -> int:
        while text[at] in " \t\r\n":
            at += 1
        return at

    at = skip(0)
    for step in steps:
        at = skip(at + 1)
        count = 0
        while True:
            if isinstance(step, str):
                name, at = decoder.raw_decode(text, at)
                at = skip(skip(at) + 1)
                if name == step:
                    break
            elif count == step:
                break
            _, at = decoder.raw_decode(text, at)
            at = skip(skip(at) + 1)
            count += 1
    return at, decoder.raw_decode(text, at)[1]


BODY = b'{ "a" : [1, {"b":"old"}] , "n":null, "args":"{\\"city\\": \\"Ulm\\", \\"note\\": \\"a\\\\nb\\"}" }'

EDITS = {
    "no edit": ([], BODY),
    "a string in an array": ([ReplaceText("a[1].b", 'n"w')], BODY.replace(b'"old"', b'"n\\"w"')),
    "a number that is there": ([SetNumber("a[0]", 7)], BODY.replace(b"[1,", b"[7,")),
    "a number that is not": ([SetNumber("max", 5)], BODY.replace(b"{ ", b'{"max":5, ', 1)),
    "a flag in an object that is not there": (
        [SetTrue("stream_options.include_usage")],
        BODY.replace(b"{ ", b'{"stream_options":{"include_usage":true}, ', 1),
    ),
    "a flag in what is null": ([SetTrue("n.flag")], BODY.replace(b"null", b'{"flag":true}')),
    "a member of an inner object": ([SetNumber("a[1].c", 2)], BODY.replace(b'{"b"', b'{"c":2,"b"')),
    "a string inside a string that holds JSON": (
        [ReplaceText("args::city", "Köln")],
        BODY.replace(b"Ulm", "Köln".encode()),
    ),
}


@pytest.mark.parametrize(("edits", "expected"), EDITS.values(), ids=EDITS.keys())
def test_an_edit_leaves_all_other_bytes(edits: list[Any], expected: bytes) -> None:
    assert splice.apply(BODY, edits) == expected


def test_setting_a_member_of_an_empty_object_needs_no_comma() -> None:
    assert splice.apply(b"{ }", [SetTrue("a")]) == b'{"a":true }'


IMPOSSIBLE = {
    "a string that is not there": ReplaceText("a[9]", "x"),
    "a number where a string is meant": ReplaceText("a[0]", "x"),
    "a member of an array": SetNumber("a.b", 1),
    "a string inside one that holds no JSON": ReplaceText("a[1].b::x", "y"),
}


@pytest.mark.parametrize("edit", IMPOSSIBLE.values(), ids=IMPOSSIBLE.keys())
def test_an_edit_that_names_nothing_is_an_error(edit: Any) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - SpliceError, or JSON that is none
        splice.apply(BODY, [edit])


def whole_and_inside(whole: str, inside: str) -> Any:
    edits = [ReplaceText("args", whole), ReplaceText("args::note", inside)]
    return json.loads(splice.apply(BODY, edits))["args"]


def test_an_edit_of_the_whole_and_one_inside_that_agree_are_both_made() -> None:
    assert json.loads(whole_and_inside('{"city": "Ulm", "note": "X"}', "X")) == {"city": "Ulm", "note": "X"}


def test_what_only_the_edit_inside_removes_is_removed() -> None:
    assert json.loads(whole_and_inside('{"city": "#", "note": "a\\nb"}', "X")) == {"city": "#", "note": "X"}


def test_where_both_removed_something_else_from_one_string_all_of_it_goes() -> None:
    assert json.loads(whole_and_inside('{"city": "Ulm", "note": "Y"}', "X"))["note"] == splice.REMOVED


def test_where_the_edit_of_the_whole_leaves_no_json_all_of_it_goes() -> None:
    assert whole_and_inside('{"city": [REDACTED], "note": "a\\nb"}', "X") == splice.REMOVED
