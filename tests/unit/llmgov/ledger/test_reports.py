"""Reports of spend: every attempt in one line, so that all reports add up to the same."""

import collections

import hypothesis
import msgspec
import pytest
from hypothesis import strategies as st

from llmgov import instants
from llmgov.ledger import reports
from llmgov.ledger.messages import Intent, Outcome, Settlement, Subject
from llmgov.ledger.rows import Attempt

DAY = instants.from_rfc3339("2026-11-24T23:59:59Z")


def _subject(team: str | None = "payments", user: str | None = "jane", model: str = "gpt-4o") -> Subject:
    teams = (team, "engineering") if team else ()
    return Subject("ns", "sa", user, teams, (), "openai", model, "chat.completions")


def _attempt(
    number: int, subject: Subject, cost: int | None, outcome: Outcome = Outcome.SETTLED, at: int = DAY, hold: int = 50
) -> Attempt:
    name = f"e/{number}"
    intent = Intent(name, at, "req", subject, hold, (), ())
    settlement = None if cost is None else Settlement(name, at, outcome, cost, {}, 200, subject.model)
    return Attempt(name, intent, settlement)


@pytest.mark.parametrize(
    ("by", "names"),
    [
        (reports.By.TEAM, ["payments", "(none)"]),
        (reports.By.USER, ["jane", "(none)"]),
        (reports.By.MODEL, ["openai/gpt-4o", "openai/mini"]),
        (reports.By.NAMESPACE, ["ns"]),
        (reports.By.DAY, ["2026-11-24", "2026-11-25"]),
    ],
)
def test_lines_are_named_by_what_was_asked_for_dearest_first(by: reports.By, names: list[str]) -> None:
    attempts = [
        _attempt(1, _subject(None, None, "mini"), 3, at=DAY + 2 * instants.SECOND),
        _attempt(2, _subject(), 10),
    ]
    assert [line.name for line in reports.spend(attempts, by)] == names


def test_what_asks_for_no_model_is_named_by_what_it_does() -> None:
    listing = msgspec.structs.replace(_subject(model=""), operation="openai.models")
    unmetered = msgspec.structs.replace(_subject(model=""), operation="unmetered")
    lines = reports.spend([_attempt(1, listing, 0), _attempt(2, unmetered, 0)], reports.By.MODEL)
    assert [line.name for line in lines] == ["openai/(models)", "openai/(unmetered)"]


def test_an_attempt_that_has_not_ended_is_open_and_costs_nothing_yet() -> None:
    (line,) = reports.spend([_attempt(1, _subject(), None, hold=70)], reports.By.MODEL)
    assert (line.attempts, line.cost, line.open, line.held) == (0, 0, 1, 70)


def test_money_charged_without_knowing_the_usage_is_named() -> None:
    attempts = [
        _attempt(1, _subject(), 7, Outcome.UNKNOWN),
        _attempt(2, _subject(), 5, Outcome.ABANDONED),
        _attempt(3, _subject(), 2),
    ]
    (line,) = reports.spend(attempts, reports.By.NAMESPACE)
    assert (line.cost, line.unknown) == (14, 12)


def test_a_settlement_before_its_intent_is_not_counted_yet() -> None:
    early = Attempt("e/1", None, Settlement("e/1", DAY, Outcome.SETTLED, 5, {}, 200, "m"))
    assert reports.spend([early], reports.By.DAY) == []


def test_what_lost_pods_were_billed_is_spent_and_was_settled_by_nobody() -> None:
    line = reports.lost(7)
    assert (line.attempts, line.cost, line.cost - line.corrected, line.unknown) == (0, 7, 0, 0)


_SUBJECTS = st.builds(
    _subject, st.sampled_from([None, "a", "b"]), st.sampled_from([None, "jane", "joe"]), st.sampled_from(["x", "y"])
)
_ATTEMPTS = st.lists(
    st.tuples(_SUBJECTS, st.none() | st.integers(0, 100), st.sampled_from(Outcome), st.integers(0, 3 * instants.DAY))
)


@hypothesis.given(_ATTEMPTS)
def test_every_report_adds_up_to_the_same(drawn: list[tuple[Subject, int | None, Outcome, int]]) -> None:
    attempts = [_attempt(n, subject, cost, outcome, at) for n, (subject, cost, outcome, at) in enumerate(drawn)]
    totals = {by: reports.total(reports.spend(attempts, by)) for by in reports.By}
    costs = [cost for _, cost, _, _ in drawn if cost is not None]
    expected = (len(costs), sum(costs), len(drawn) - len(costs))
    assert {(each.attempts, each.cost, each.open) for each in totals.values()} == {expected}
    models = collections.Counter[str]()
    for subject, cost, _, _ in drawn:
        models[f"openai/{subject.model}"] += cost or 0
    assert {line.name: line.cost for line in reports.spend(attempts, reports.By.MODEL)} == dict(models)
