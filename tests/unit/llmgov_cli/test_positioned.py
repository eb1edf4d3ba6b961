"""YAML with the line of every place: values as kubectl reads them, and what is refused."""

import itertools
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from llmgov_cli import positioned

_KEYS = st.text(alphabet='abcxz-._/ "\\', min_size=1, max_size=6)
_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.booleans() | st.integers(-(10**6), 10**6) | st.text(alphabet="ab:#'\" \n-1.", max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_KEYS, inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


def _read(text: str) -> tuple[positioned.Document, ...]:
    """The documents of a text without a fault."""
    reading = positioned.read(text)
    assert reading.faults == ()
    return reading.documents


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(_KEYS, _VALUES, min_size=1, max_size=4))
def test_values_are_those_that_were_written(value: dict[str, Any]) -> None:
    (document,) = _read(yaml.safe_dump(value, allow_unicode=True))
    assert document.value == value


def test_lines_are_those_of_keys_and_of_entries() -> None:
    text = "a: 1\nb:\n  - x: 1\n    w: 2\n  -\n    z: 3\n---\n\nc: {d: 5}\n"
    first, second = _read(text)
    assert first.lines == {
        "": 1, "a": 1, "b": 2, "b[0]": 3, "b[0].x": 3, "b[0].w": 4, "b[1]": 6, "b[1].z": 6,
    }  # fmt: skip
    assert second.lines == {"": 9, "c": 9, "c.d": 9}


def test_keys_that_are_no_words_have_paths_too() -> None:
    (document,) = _read('m:\n  "a.b/c": 1\n')
    assert document.lines['m["a.b/c"]'] == 2


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: 2026-01-01", "2026-01-01"),
        ("a: 2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
        ("a: '5'", "5"),
        ("a: 5", 5),
        ("a: 0.25", 0.25),
        ("a: true", True),
        ("a:", None),
        ("a: =", "="),
        ("a: |\n  x\n  y\n", "x\ny\n"),
        ("a: N", False),
        ("a: 'N'", "N"),
        ("a: on", True),
        ("a: 1e3", 1000.0),
        ("a: '1e3'", "1e3"),
    ],
    ids=["a date", "a time", "digits in quotes", "digits", "a fraction", "a word of truth", "nothing", "an equals sign",
         "a block", "a letter that kubectl takes for no", "that letter in quotes", "a word for yes",
         "a number with an exponent", "that number in quotes"],
)  # fmt: skip
def test_a_scalar_is_read_as_kubernetes_does(text: str, value: object) -> None:
    (document,) = _read(text)
    assert document.value == {"a": value}
    assert type(document.value["a"]) is type(value)


def test_documents_of_nothing_are_left_out() -> None:
    assert [document.value for document in _read("---\n---\na: 1\n---\n# nothing\n")] == [{"a": 1}]


def test_an_alias_means_what_its_anchor_says_at_the_anchors_line() -> None:
    (document,) = _read("a: &x\n  b: 1\nc: *x\n")
    assert document.value == {"a": {"b": 1}, "c": {"b": 1}}
    assert document.lines["c.b"] == 2


@pytest.mark.parametrize(
    ("text", "code", "line"),
    [
        ("a: 1\nb: 2\na: 3\n", "DuplicateKey", 3),
        ("a:\n  - b: 1\n    b: 2\n", "DuplicateKey", 3),
        ("a: [\n", "YamlSyntax", 2),
        ("a: *missing\n", "YamlSyntax", 1),
        ("a: !!python/object/apply:os.system [ls]\n", "YamlSyntax", 1),
        ("a: !!binary aGk=\n", "YamlSyntax", 1),
        ("a: !!set {b}\n", "YamlSyntax", 1),
        ("a: !own x\n", "YamlSyntax", 1),
        ("x: &x {a: 1}\nz:\n  <<: *x\n", "YamlSyntax", 3),
        ("\n5: a\n", "YamlSyntax", 2),
        ("? [a]\n: b\n", "YamlSyntax", 1),
        ("a:\n  y: 1\n", "YamlSyntax", 2),
        ("a: " + "1" * 5000 + "\n", "YamlSyntax", 1),
        ("a: \x00\n", "YamlSyntax", 1),
        ("[" * 65 + "]" * 65, "TooLarge", 1),
        ("[" * 100_000, "TooLarge", 1),
        ("{a: " * 65 + "1" + "}" * 65, "TooLarge", 1),
        ("---\na\n" * 10_001, "TooLarge", 20_001),
        ("a: &a [*a]\n", "TooLarge", 1),
        ("a: &a\n  b: *a\n", "TooLarge", 1),
        ("\n".join(["a0: &a0 []", *(f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, 70))]), "TooLarge", 1),
    ],
    ids=["a key twice", "a key twice further in", "a list that does not end", "an alias of nothing", "code to run",
         "bytes", "a set", "a tag of one's own", "a merge", "a number as a key", "a list as a key",
         "a letter as a key that kubectl takes for yes", "too many digits",
         "a null character", "a deep list", "a very deep list", "a deep object", "many documents",
         "an alias of itself", "an object in itself", "a depth made of aliases"],
)  # fmt: skip
def test_is_refused_with_code_and_line(text: str, code: str, line: int) -> None:
    (fault,) = positioned.read(text).faults
    assert (fault.code, fault.line) == (code, line)


def test_all_faults_of_a_text_are_found_and_documents_without_one_are_read() -> None:
    text = "a: 1\na: 2\nb: 3\nb: 4\n---\nx: &x {c: 1}\nw:\n  <<: *x\n  5: 6\n  z: !own 7\n---\nd: 8\n"
    reading = positioned.read(text)
    assert [(fault.code, fault.line) for fault in reading.faults] == [
        ("DuplicateKey", 2), ("DuplicateKey", 4), ("YamlSyntax", 8), ("YamlSyntax", 9), ("YamlSyntax", 10),
    ]  # fmt: skip
    assert [document.value for document in reading.documents] == [{"a": 1, "b": 3}, {"d": 8}]


def _messages(text: str) -> list[str]:
    return [fault.message for fault in positioned.read(text).faults]


def test_a_billion_laughs_end_early() -> None:
    names = "abcdefghij"
    text = "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n"
    text += "".join(
        f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]\n" for before, name in itertools.pairwise(names)
    )
    assert _messages(text) == ["holds more than 200000 values, aliases followed"]


def test_an_anchor_in_itself_is_endless_before_anything_is_built() -> None:
    assert _messages("a: &a [1, 2, 3, *a]\n") == ["holds more than 200000 values, aliases followed"]


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="ab:- \n[]{}&*!|>'\"#%@,?<\t0.1~", max_size=40))
def test_any_text_is_read_and_lines_are_lines_of_it(text: str) -> None:
    reading = positioned.read(text)
    lines = [line for document in reading.documents for line in document.lines.values()]
    assert all(1 <= line <= text.count("\n") + 1 for line in lines)
    assert all(1 <= fault.line <= text.count("\n") + 2 for fault in reading.faults), "a text may miss its end"
