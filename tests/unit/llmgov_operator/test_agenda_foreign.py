"""Statuses that somebody else wrote, as anybody may who has the right to: whatever the definition admits."""

from typing import Any

import pytest
from hypothesis import given

from llmgov import instants
from llmgov.instants import SECOND
from llmgov.resources import KINDS, crd
from llmgov_operator import agenda, news
from llmgov_operator.agenda import Agenda
from tests.support import structural

NOW = instants.from_rfc3339("2026-11-24T08:30:10Z")
TIME = "2026-11-24T08:00:00Z"


def _schema(kind: str) -> Any:
    return crd.schema(KINDS[kind])["properties"]["status"]


def _condition(kind: str, **fields: Any) -> dict[str, Any]:
    whole = {"type": kind, "status": "True", "lastTransitionTime": TIME, "reason": kind, "message": ""}
    return {**whole, "observedGeneration": 1, **fields}


WANTED = {
    "observedGeneration": 1, "spent": "0.00", "forecast": "7.50",
    "conditions": [_condition("Accepted"), _condition("Ready")],
}  # fmt: skip


def _applied(current: dict[str, Any], applied: dict[str, Any]) -> dict[str, Any]:
    """By server-side apply: what the applied does not name stays."""
    ours = {each["type"] for each in applied["conditions"]}
    others = [each for each in current.get("conditions", []) if each["type"] not in ours]
    return {**current, **applied, "conditions": [*others, *applied["conditions"]]}


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_stands_there_is_written_over_and_then_it_is_said(kind: str) -> None:
    wanted = {name: value for name, value in WANTED.items() if name in _schema(kind)["properties"]}

    @given(structural.values(_schema(kind)))
    def check(current: dict[str, Any]) -> None:
        body = {"apiVersion": "v", "kind": kind, "metadata": {"name": "n", "uid": "u"}, "status": current}
        asked = Agenda(NOW - 60 * SECOND)
        asked.want(kind, "u", wanted)
        for write in asked.due({"u": body}, NOW):
            written = _applied({} if write.is_crowded else current, dict(write.status))
            assert (
                list(structural.faults(_schema(kind), {**written, **wanted, "conditions": written["conditions"]})) == []
            )
            foreign = written.keys() - wanted.keys()
            assert agenda.is_said({name: value for name, value in written.items() if name not in foreign}, wanted)
            list(news.of(body, write.status, NOW, "operator"))

    check()


@pytest.mark.parametrize("written", ["abc", "NaN", "sNaN", "Infinity", "1e999999", "1e6", "--", " 7.50", "٧.50", ""])
def test_an_amount_that_is_none_is_written_over(written: str) -> None:
    assert agenda.is_said({**WANTED, "forecast": "7.50"}, WANTED)
    assert not agenda.is_said({**WANTED, "forecast": written}, WANTED)


def test_a_time_that_is_none_is_written_over() -> None:
    current = {**WANTED, "conditions": [_condition("Accepted"), _condition("Ready", lastTransitionTime="long ago")]}
    assert not agenda.is_said(current, WANTED)
    accepted, ready = agenda.merged(current, WANTED, NOW)["conditions"]
    assert (accepted["lastTransitionTime"], ready["lastTransitionTime"]) == (TIME, "2026-11-24T08:30:10Z")


@pytest.mark.parametrize(("others", "is_crowded"), [(14, False), (15, True), (16, True)])
def test_where_the_conditions_of_others_leave_no_room_they_are_taken_away(others: int, is_crowded: bool) -> None:
    theirs = [_condition(f"Theirs{number}") for number in range(others)]
    body = {"metadata": {"uid": "u"}, "status": {"conditions": [*theirs, *WANTED["conditions"]][:16]}}
    asked = Agenda(NOW - 60 * SECOND)
    asked.want("Budget", "u", WANTED)
    (write,) = asked.due({"u": body}, NOW)
    assert write.is_crowded is is_crowded


def test_a_condition_that_we_do_not_say_any_more_is_not_said() -> None:
    current = {**WANTED, "conditions": [*WANTED["conditions"], _condition("Exhausted", status="False")]}
    assert not agenda.is_said(current, WANTED)
    assert agenda.is_said({**WANTED, "conditions": [*WANTED["conditions"], _condition("Theirs")]}, WANTED)
