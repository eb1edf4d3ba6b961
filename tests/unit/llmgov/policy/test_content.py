"""Content filters on requests: blocking, redacting, flagging, seeing through escapes, and never repeating a value."""

import itertools
import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmgov.policy import content, escapes, patterns, scanner, state
from llmgov.policy.decision import Action
from llmgov.policy.scanner import Hit, Scanner
from llmgov.snapshot import Audience, Category, ContentFilter, CostLimit, Direction, OnDetect, Pattern
from llmgov.wire import paths
from llmgov.wire.events import CostFacts, Reason, Refused, ReplaceText, Text, TextRole
from tests.support.policies import configure, decide, policy, request

GUIDE = Pattern("ssn", r"SSN:\s*\d{3}-\d{2}-\d{4}")
SECRET = "SSN: 078-05-1120"


def filter_(on_detect: OnDetect, *patterns: Pattern, categories: tuple[Category, ...] = ()) -> ContentFilter:
    return ContentFilter((Direction.REQUEST,), on_detect, patterns, categories, (Audience.ADMINS,))


def test_a_blocked_request_names_policy_pattern_and_path_but_never_the_value() -> None:
    texts = (
        Text("messages[0].content", "be kind", TextRole.SYSTEM),
        Text("messages[1].content[2].text", f"my {SECRET}", TextRole.USER),
    )
    refused = decide(configure(policy(filter_(OnDetect.BLOCK, GUIDE), "pii")), request(texts=texts))
    assert refused.refusal is not None
    assert refused.refusal.reason is Reason.CONTENT
    assert refused.refusal.message == (
        "llmgov: policy ns/pii found ssn in messages[1].content[2].text, which may not be sent; remove it and try again"
    )
    assert "078" not in repr(refused)
    [violation] = refused.violations
    assert (violation.reason, violation.action, violation.notify) == ("pattern:ssn", Action.DENY, (Audience.ADMINS,))


@pytest.mark.parametrize("on_detect", OnDetect)
@pytest.mark.parametrize("parent", ["", "messages[0]", "messages[0].content[1].input"])
def test_a_name_that_is_what_was_found_is_not_repeated(on_detect: OnDetect, parent: str) -> None:
    where = paths.free(parent, SECRET)
    texts = (Text(where, SECRET, TextRole.PROTECTED), Text(paths.free(where, "b"), "code 7", TextRole.USER))
    filters = policy(filter_(on_detect, GUIDE), "a"), policy(filter_(on_detect, Pattern("code", r"code \d")), "b")
    cost = CostFacts(9, refused=(Refused(where, "nothing known"),))
    for dry_run in (False, True):
        configured = configure(*filters, policy(CostLimit(max_request_cost=10**6), "c"), observe=dry_run)
        found = decide(configured, request(texts=texts, cost=cost))
        assert "078" not in repr(found.violations) + repr(found.refusal)
        assert {v.path for v in found.violations if v.reason.startswith("pattern:")} == {parent}


@pytest.mark.parametrize(
    ("name", "told"),
    [("turbo", "tools[0].turbo"), ("nightfall", "tools[0]"), ("Turbo", "tools[0]"), ("1-2", "tools[0]")],
)
def test_an_unknown_option_is_named_where_no_filter_looks_for_its_name(name: str, told: str) -> None:
    cost = CostFacts(9, refused=(Refused(paths.free("tools[0]", name), "nothing known"),))
    configured = configure(
        policy(filter_(OnDetect.FLAG, Pattern("project", "nightfall"))), policy(CostLimit(max_request_cost=10**6), "c")
    )
    refusal = decide(configured, request(cost=cost)).refusal
    assert refusal is not None
    assert refusal.param == told


@pytest.mark.parametrize("role", [role for role in TextRole if role is not TextRole.PROTECTED])
def test_every_string_that_reaches_the_model_is_scanned(role: TextRole) -> None:
    configured = configure(policy(filter_(OnDetect.BLOCK, GUIDE)))
    assert decide(configured, request(SECRET, role=role)).refusal is not None


def test_redaction_replaces_what_was_found_and_nothing_else() -> None:
    found = decide(
        configure(policy(filter_(OnDetect.REDACT, GUIDE, categories=(Category.PERSONAL_DATA,)))),
        request(f"é {SECRET} – mail jane@example.com!"),
    )
    assert found.action is Action.REDACT
    assert found.edits == (ReplaceText("messages[0].content", "é [REDACTED:ssn] – mail [REDACTED:email]!"),)
    assert {v.reason for v in found.violations} == {"pattern:ssn", "pattern:email"}
    assert "078" not in repr(found)


def test_what_is_protected_cannot_be_redacted_and_blocks() -> None:
    configured = configure(policy(filter_(OnDetect.REDACT, GUIDE)))
    refusal = decide(configured, request(SECRET, role=TextRole.PROTECTED)).refusal
    assert refusal is not None
    assert "cannot be redacted there" in refusal.message


def test_a_flag_is_put_on_record_and_lets_pass() -> None:
    found = decide(configure(policy(filter_(OnDetect.FLAG, GUIDE))), request(SECRET))
    assert (found.action, found.edits, found.refusal) == (Action.FLAG, (), None)
    assert [v.action for v in found.violations] == [Action.FLAG]


def test_a_dry_run_neither_blocks_nor_redacts() -> None:
    configured = configure(
        policy(filter_(OnDetect.BLOCK, GUIDE), "a", dry_run=True),
        policy(filter_(OnDetect.REDACT, GUIDE), "b", dry_run=True),
    )
    found = decide(configured, request(SECRET))
    assert (found.action, found.edits, found.refusal) == (Action.ALLOW, (), None)
    assert [(v.policy, v.dry_run) for v in found.violations] == [("ns/a", True), ("ns/b", True)]


def test_a_filter_of_answers_does_not_look_at_requests() -> None:
    answers = ContentFilter((Direction.RESPONSE,), OnDetect.BLOCK, (GUIDE,))
    found = decide(configure(policy(answers)), request(SECRET))
    assert found.refusal is None
    assert [output.policy for output in found.output] == ["ns/p"]


def test_one_filter_blocks_though_another_would_only_redact() -> None:
    configured = configure(
        policy(filter_(OnDetect.REDACT, GUIDE), "soft", priority=200), policy(filter_(OnDetect.BLOCK, GUIDE), "hard")
    )
    refusal = decide(configured, request(SECRET)).refusal
    assert refusal is not None
    assert refusal.policy == "ns/hard"


def test_filters_that_overlap_redact_their_union_under_the_first_name() -> None:
    configured = configure(
        policy(filter_(OnDetect.REDACT, Pattern("tail", "cd+e")), "a", priority=200),
        policy(filter_(OnDetect.REDACT, Pattern("head", "ab+c")), "b", priority=100),
    )
    assert decide(configured, request("x abbcdde y")).edits == (
        ReplaceText("messages[0].content", "x [REDACTED:head] y"),
    )


ESCAPED = {
    "digits in unicode escapes": r'{"note": "SSN: \u0030\u0037\u0038-05-1120"}',
    "a slash that is escaped": r'{"note": "SSN:\u0020078-05-1120"}',
    "JSON inside JSON": json.dumps({"inner": json.dumps({"note": "SSN:\t078-05-1120"})}),
    "three levels": json.dumps(json.dumps(json.dumps("SSN:\n078-05-1120"))),
    "a key that stands twice": r'{"a": "SSN: 07\u0038-05-1120", "a": "harmless"}',
    "JSON that is cut off": r'{"a": "SSN: 07\u0038-05-1120',
}


@pytest.mark.parametrize("text", ESCAPED.values(), ids=ESCAPED.keys())
def test_escapes_hide_nothing(text: str) -> None:
    configured = configure(policy(filter_(OnDetect.BLOCK, GUIDE)))
    assert decide(configured, request(text, role=TextRole.TOOL_ARGUMENTS)).refusal is not None


def test_redacting_behind_escapes_leaves_valid_json() -> None:
    configured = configure(policy(filter_(OnDetect.REDACT, GUIDE)))
    text = json.dumps({"a": "x\n", "b": "SSN:\t078-05-1120", "c": "é\u2028"})
    [edit] = decide(configured, request(text, role=TextRole.TOOL_ARGUMENTS)).edits
    assert isinstance(edit, ReplaceText)
    assert json.loads(edit.text) == {"a": "x\n", "b": "[REDACTED:ssn]", "c": "é\u2028"}


@settings(max_examples=100)
@given(
    st.text(st.sampled_from('ab1é"\\\n\U0001f600'), max_size=12), st.text(st.sampled_from('ab1é"\\\n😀'), max_size=12)
)
def test_a_value_is_redacted_however_json_spells_it(before: str, after: str) -> None:
    configured = configure(policy(filter_(OnDetect.REDACT, Pattern("word", "SECRET"))))
    text = json.dumps({"a": before + "SECRET" + after}).replace("SECRET", r"\u0053ECRE\u0054")
    [edit] = decide(configured, request(text)).edits
    assert isinstance(edit, ReplaceText)
    assert json.loads(edit.text) == {"a": before + "[REDACTED:word]" + after}


@settings(max_examples=300)
@given(st.text(st.sampled_from('ab"\\\\\\\\/ntu0041dDcC8é'), max_size=40))
def test_the_quick_way_through_escapes_and_the_map_agree(text: str) -> None:
    data = text.encode()
    plain, mapped = escapes.unescape(data), escapes.Mapped(data, 1)
    assert mapped.origin(len(plain)) == len(data)
    bounds = [place for place in range(len(plain) + 1) if plain[place : place + 1] not in CONTINUATIONS]
    origins = [mapped.origin(place) for place in bounds]
    assert b"".join(escapes.unescape(data[start:end]) for start, end in itertools.pairwise(origins)) == plain


CONTINUATIONS = {bytes([byte]) for byte in range(0x80, 0xC0)}
"""Hits begin and end where characters do; places inside one lead nowhere in particular."""


@given(st.recursive(st.text(), lambda inner: st.lists(inner, max_size=3), max_leaves=6))
def test_a_json_text_without_its_escapes_holds_what_it_says(value: object) -> None:
    data = json.dumps(value, ensure_ascii=True).encode()
    plain = escapes.unescape(data).decode("utf-8", "surrogatepass")
    assert all(text.replace("\ud800", "?") in plain for text in leaves(value) if text.isprintable())


def leaves(value: object) -> list[str]:
    return [value] if isinstance(value, str) else [text for inner in value for text in leaves(inner)]  # type: ignore[attr-defined]


PATTERNS = (r"a+b", r"[0-9]{2,4}", r"é.", r"(?i)xy?z", r"\bb\b")


@settings(max_examples=150)
@given(st.text(st.sampled_from("ab019é xyzXZ."), max_size=60), st.sampled_from(PATTERNS))
def test_one_pattern_redacts_what_the_standard_librarys_would(text: str, regex: str) -> None:
    finder = Scanner([filter_(OnDetect.REDACT, Pattern("p", regex))])
    data = text.encode()
    ours = scanner.redact(data, scanner.merge(finder.hits(data), finder.items)).decode()
    assert ours == re.sub(regex, "[REDACTED:p]", text, flags=re.ASCII)


@settings(max_examples=100)
@given(st.permutations([(0, 4, 0), (2, 6, 1), (2, 3, 2), (6, 8, 0), (9, 12, 1), (9, 11, 0)]))
def test_merging_does_not_depend_on_the_order_of_hits(spans: list[tuple[int, int, int]]) -> None:
    finder = Scanner([filter_(OnDetect.REDACT, *(Pattern(name, name) for name in "xyz"))])
    merged = scanner.merge([Hit(start, end, item, end) for start, end, item in spans], finder.items)
    assert [(span.start, span.end, span.name) for span in merged] == [(0, 6, "x"), (6, 8, "x"), (9, 12, "y")]


def test_when_the_set_runs_out_of_memory_every_pattern_is_searched() -> None:
    finder = Scanner([filter_(OnDetect.BLOCK, GUIDE)])

    class Exhausted:
        def Match(self, data: bytes) -> None:  # noqa: N802 - RE2's own name
            return None

    finder._set = Exhausted()
    assert len(finder.hits(SECRET.encode())) == 1


def test_a_thousand_hits_are_one_violation() -> None:
    found = decide(configure(policy(filter_(OnDetect.FLAG, GUIDE))), request(f"{SECRET} " * 1000))
    assert len(found.violations) == 1
    assert "and 999 more" in found.violations[0].message


def test_nothing_is_counted_twice_where_policies_share_a_pattern() -> None:
    configured = configure(policy(filter_(OnDetect.FLAG, GUIDE), "a"), policy(filter_(OnDetect.FLAG, GUIDE), "b"))
    found = decide(configured, request(SECRET), counters=state.State())
    assert [v.message.partition(" found ")[2] for v in found.violations] == [
        "ssn in messages[0].content; put on record"
    ] * 2


EDGES = [r"\bword\b", r"\Bord", r"^secret", r"secret$", r"\Asecret", r"secret\z", r"(?m)^secret$", r"[^s]ecret", r"a.c"]
PIECES = st.sampled_from(
    ["secret", "word", "ord", " ", "\n", "a", "c", "\\", "\\u0073ecret", "\\\\u0073ecret", "n", "u0073", "é", "123-45"]
)
SPOKEN = st.lists(st.lists(PIECES, max_size=4).map("".join), max_size=5)


@settings(max_examples=400)
@given(st.lists(st.sampled_from(EDGES), min_size=1, max_size=4, unique=True), SPOKEN)
def test_texts_looked_at_together_hide_nothing_that_one_of_them_holds(regexes: list[str], spoken: list[str]) -> None:
    looked_for = [Pattern(f"p{index}", regex) for index, regex in enumerate(regexes)]
    texts = tuple(Text(f"m[{index}]", text, TextRole.USER) for index, text in enumerate(spoken))
    found = decide(configure(policy(filter_(OnDetect.FLAG, *looked_for))), request(texts=texts))
    alone = {
        f"pattern:{pattern.name}"
        for pattern in looked_for
        for text in spoken
        if content.find(Scanner([filter_(OnDetect.FLAG, pattern)]), text.encode())
    }
    assert {violation.reason for violation in found.violations} == alone


@pytest.mark.parametrize(
    ("regex", "looks"),
    [
        pytest.param(r"^a", True, id="a beginning"),
        pytest.param(r"a$", True, id="an end"),
        pytest.param(r"\Aa", True, id="the very beginning"),
        pytest.param(r"a\z", True, id="the very end"),
        pytest.param(r"b|(?:^|x)a", True, id="a beginning in a branch"),
        pytest.param(r"\Q^\E", True, id="what is quoted, to be safe"),
        pytest.param(r"[^a]", False, id="a negated class"),
        pytest.param(r"[]^$]", False, id="signs in a class that begins with its end"),
        pytest.param(r"[[:alpha:]^\]$]", False, id="signs in a class of classes"),
        pytest.param(r"\^\$", False, id="escaped signs"),
        pytest.param(r"\\Aa", False, id="an escaped backslash"),
        pytest.param(r"\ba\B", False, id="the ends of words"),
    ],
)
def test_a_pattern_that_looks_at_the_ends_of_a_text_is_told_from_others(regex: str, looks: bool) -> None:
    assert patterns.looks_at_ends(regex) is looks
