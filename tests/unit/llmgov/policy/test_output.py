"""Answers: whatever the pieces in which text arrives, the same goes out, and as early as it can."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmgov.policy import patterns
from llmgov.policy.decision import Action, OutputFilter
from llmgov.policy.output import OutputScanner, StreamScanner
from llmgov.policy.scanner import HOLD_BACK_CAP
from llmgov.snapshot import Category, ContentFilter, Direction, OnDetect, Pattern
from llmgov.wire.events import ReplaceText, Text, TextRole


def scanner(
    *regexes: str, on_detect: OnDetect = OnDetect.REDACT, dry_run: bool = False, cap: int = HOLD_BACK_CAP
) -> OutputScanner:
    found = tuple(Pattern(f"p{index}", regex) for index, regex in enumerate(regexes))
    return OutputScanner([OutputFilter("ns/out", ContentFilter((Direction.RESPONSE,), on_detect, found), dry_run)], cap)


def whole(found: OutputScanner, text: str) -> str:
    scan = found.scan_answer([Text("content", text, TextRole.OUTPUT)])
    return next((edit.text for edit in scan.edits if isinstance(edit, ReplaceText)), text)


def streamed(stream: StreamScanner, pieces: list[str]) -> str:
    return "".join([*(stream.feed(piece).text for piece in pieces), stream.close().text])


REGEXES = (
    r"a+b",
    r"\bab\b",
    r"^ab",
    r"b$",
    r"(?i)AB{2,3}",
    r"é.?b",
    r"(?:ab|ba){1,2}c?",
    r"[^a]b[[:digit:]]*",
    r"a.*c",
    r"(?m)^b",
    r"\x{61}\Qb.\E?",
    r"\pLb|b\PL",
    r"b(?:)*a",
    r"1{2,}?",
)


@settings(max_examples=400)
@given(
    st.lists(st.sampled_from(REGEXES), min_size=1, max_size=3, unique=True),
    st.text(st.sampled_from("aabbcé1 .\nAB"), max_size=40),
    st.data(),
)
def test_however_a_text_is_cut_the_same_goes_out(regexes: list[str], text: str, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=12)))
    pieces = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    found = scanner(*regexes)
    assert streamed(found.stream("c"), pieces) == whole(found, text)


@settings(max_examples=200)
@given(
    st.sampled_from([r"a+b", r"[ab]{2,4}c", r"é.b", r"\bab\b", r"(?:ab|ba)+"]),
    st.text(st.sampled_from("aabbcé1 ."), max_size=40),
)
def test_what_goes_out_is_what_the_standard_librarys_redaction_would_give(regex: str, text: str) -> None:
    expected = re.sub(regex, "[REDACTED:p0]", text, flags=re.ASCII)
    assert streamed(scanner(regex).stream("c"), list(text)) == expected


@settings(max_examples=150)
@given(st.text(st.sampled_from("ab"), min_size=1, max_size=30), st.integers(1, 90), st.integers(0, 40))
def test_patterns_without_bound_match_up_to_the_cap_however_the_text_is_cut(piece: str, size: int, tail: int) -> None:
    text = (piece * 200)[:200] + "c" * tail
    found = scanner(r"b.*c", r"a+", cap=64)
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    assert streamed(found.stream("c"), pieces) == whole(found, text)


@settings(max_examples=100)
@given(st.text(st.sampled_from("ab é"), max_size=90), st.integers(1, 9))
def test_a_pattern_that_is_not_understood_holds_back_the_cap_and_is_still_exact(text: str, size: int) -> None:
    found = scanner(r"a+b", cap=16)
    found.finder._beginning = None
    assert streamed(found.stream("c"), [text[at : at + size] for at in range(0, len(text), size)]) == whole(found, text)


TRICKY = [
    (r"^ab", ["xa", "b"], "xab"),
    (r"^ab", ["a", "b"], "[REDACTED:p0]"),
    (r"\bab\b", ["x", "ab", " "], "xab "),
    (r"\bab\b", ["x ", "ab", "", "c"], "x abc"),
    (r"b$", ["b", "b"], "b[REDACTED:p0]"),
    (r"ab", ["a", "", "b", "a"], "[REDACTED:p0]a"),
    (r"aa", ["a", "aa"], "[REDACTED:p0]a"),
    (r"a|ab", ["a", "b"], "[REDACTED:p0]b"),
    (r"(?m)^b", ["a\n", "b"], "a\n[REDACTED:p0]"),
    (r"é", ["\u00e9"], "[REDACTED:p0]"),
]


@pytest.mark.parametrize(("regex", "pieces", "expected"), TRICKY)
def test_what_stands_at_the_edge_of_a_piece(regex: str, pieces: list[str], expected: str) -> None:
    assert streamed(scanner(regex).stream("c"), pieces) == expected
    assert whole(scanner(regex), "".join(pieces)) == expected


def test_no_more_than_the_cap_is_ever_held_back() -> None:
    stream = scanner(r"x(?s:.)*y").stream("c")
    for _ in range(100):
        stream.feed("x" * 500)
        assert stream.held <= HOLD_BACK_CAP + 2


def test_text_that_begins_no_match_goes_out_at_once() -> None:
    found = OutputScanner(
        [
            OutputFilter(
                "p", ContentFilter((Direction.RESPONSE,), OnDetect.REDACT, categories=(Category.SECRETS,)), False
            )
        ]
    )
    stream = found.stream("c")
    assert [stream.feed(piece).text for piece in ("Hello, ", "here you ", "are: sk", "-ant", "hem is no key. ")] == [
        "Hello, ", "here you ", "are: ", "", "sk-anthem is no key. ",
    ]  # fmt: skip


def test_a_match_in_progress_is_held_until_it_ends() -> None:
    stream = scanner(r"SSN:\s*\d{3}-\d{2}-\d{4}").stream("c")
    pieces = ["my S", "SN: 07", "8-05-11", "20 and", " more"]
    assert [stream.feed(piece).text for piece in pieces] == ["my ", "", "", "[REDACTED:p0] and", " more"]


def test_a_block_cuts_before_the_match_and_lets_nothing_more_out() -> None:
    stream = scanner("secret", on_detect=OnDetect.BLOCK).stream("choices[0].content")
    assert stream.feed("the se").text == "the "
    cut = stream.feed("cret is out")
    assert cut.text == ""
    assert cut.refusal is not None
    assert cut.refusal.message == (
        "llmgov: policy ns/out found p0 in the answer (choices[0].content); the rest of it is withheld;"
        " ask for an answer without it"
    )
    assert [v.action for v in cut.violations] == [Action.DENY]
    assert stream.feed(" again").text == ""
    assert stream.close().text == ""


@settings(max_examples=100)
@given(st.text(st.sampled_from("ab c"), max_size=30), st.integers(1, 5))
def test_nothing_at_or_after_a_blocking_match_goes_out(text: str, size: int) -> None:
    stream = scanner("abc", on_detect=OnDetect.BLOCK).stream("c")
    out = streamed(stream, [text[at : at + size] for at in range(0, len(text), size)])
    before, found, _ = text.partition("abc")
    assert out == text if not found else before.startswith(out)


def test_a_dry_run_lets_everything_out_and_records_it_once() -> None:
    stream = scanner("secret", on_detect=OnDetect.BLOCK, dry_run=True).stream("c")
    pieces = [stream.feed("secret "), stream.feed("secret "), stream.close()]
    assert "".join(piece.text for piece in pieces) == "secret secret "
    assert [v.dry_run for piece in pieces for v in piece.violations] == [True]


def test_a_protected_string_is_never_rewritten_but_cut() -> None:
    found = scanner("secret")
    scan = found.scan_answer([Text("content[0].thinking", "a secret", TextRole.PROTECTED)])
    assert scan.edits == ()
    assert scan.refusal is not None
    assert found.stream("c", protected=True).feed("a secret thought").refusal is not None


def test_a_withheld_answer_has_no_edits_and_tells_each_pattern_once() -> None:
    both = OutputScanner(
        [
            OutputFilter("a", ContentFilter((Direction.RESPONSE,), OnDetect.FLAG, (Pattern("x", "x"),)), False),
            OutputFilter("b", ContentFilter((Direction.RESPONSE,), OnDetect.BLOCK, (Pattern("y", "y"),)), False),
        ]
    )
    texts = [Text("choices[0]", "x", TextRole.OUTPUT), Text("choices[1]", "x y", TextRole.OUTPUT)]
    scan = both.scan_answer(texts)
    assert scan.refusal is not None
    assert scan.edits == ()
    assert [(v.policy, v.reason) for v in scan.violations] == [("a", "pattern:x"), ("b", "pattern:y")]


LENGTHS = [
    (r"abc", 3),
    (r"SSN:\d{3}-\d{2}-\d{4}", 15),
    (r"a|bcd|", 3),
    (r"(?:ab){2,4}c?", 9),
    (r"[a-z]{3}\b", 3),
    (r"(?i)[[:alpha:]\]]x", 2),
    (r"\Qa.b\E", 3),
    (r"^\p{Greek}{2}$", 2),
    (r"(?P<name>ab)(?<other>c)", 3),
    (r"a{,3}", 5),
    (r"\s*x", None),
    (r"a+", None),
    (r"(?:a{2,})?", None),
    (r"(?:\b)*a", 1),
]


@pytest.mark.parametrize(("regex", "length"), LENGTHS)
def test_how_long_a_match_can_be(regex: str, length: int | None) -> None:
    assert patterns.longest(regex) == length


@pytest.mark.parametrize("regex", [r"a(b", r"[a", r"a)", r"\8"])
def test_what_cannot_be_read_is_said_so(regex: str) -> None:
    with pytest.raises(patterns.UnreadableError):
        patterns.shape(regex)
    assert patterns.longest(regex) is None
