"""Whatever was spent and whoever did what: the API server takes the status."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgov import instants, problems, resources, snapshot
from llmgov.ledger import rows, violated
from llmgov.policy.decision import Action
from llmgov.resources import KINDS, crd
from llmgov.statuses import conditions, kinds
from llmgov.statuses.observed import Facts, Observed
from tests.support import structural

START = instants.from_rfc3339("2026-11-01T00:00:00Z")
END = instants.from_rfc3339("2026-12-01T00:00:00Z")
MICRO = st.sampled_from([0, 1, 10**6, 10**18, 2**63 - 1]) | st.integers(0, 2**63 - 1)
USER = snapshot.Target(snapshot.TargetKind.USER, "")
TEAM = snapshot.Target(snapshot.TargetKind.TEAM, "payments")
TEXT = st.text(min_size=1, max_size=1000)


def _resource(kind: str, **spec: Any) -> Any:
    metadata = {"name": "payments"} if kind == "Team" else {"name": "payments", "namespace": "root"}
    raw = {"apiVersion": "llmgov.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}
    parsed = resources.parse(raw)
    assert not isinstance(parsed, list), parsed
    return parsed


RESOURCES = [
    _resource("Budget", target={"team": "payments"}, limit="100", period="Month"),
    _resource("LLMPolicy", modelAccess={"deny": ["*"]}),
    _resource("Team"),
]


def _problem(message: str) -> problems.Problem:
    return problems.Problem("Code", RESOURCES[0].ref, "spec.x", message, "mend it")


@st.composite
def observations(draw: st.DrawFn) -> Observed:
    limit, nano, user = draw(MICRO), draw(st.sampled_from([1, 10**9, 10**15])), draw(st.text(max_size=600))
    source = draw(st.sampled_from(["Budget/root/payments", "root/payments"]))
    target = draw(st.sampled_from([TEAM, USER]))
    account = snapshot.Account("key", target, limit, snapshot.Period.MONTH, "UTC", source, nano_usd=nano)
    key = "key" if target is TEAM else f"key|{user}"
    window = rows.Window(
        key, "team/payments", START, END, nano, draw(MICRO), leased=draw(MICRO), unknown=draw(MICRO), base="key"
    )
    row = rows.ViolationRow(
        "id", 0, START, "root/payments", Action.DENY, draw(TEXT), "message", False, draw(TEXT), draw(TEXT), "user", "m"
    )
    facts = Facts(
        accounts=(account,), teams={"payments": snapshot.Team("payments", (draw(st.text(min_size=1, max_size=253)),))}
    )
    return Observed(
        START + draw(st.integers(0, END - START)),
        START,
        facts=facts,
        problems=[_problem(text) for text in draw(st.lists(st.sampled_from(["a b ", "word"]), max_size=9))],
        windows=(window,),
        violated={"root/payments": violated.Violated(counts={Action.DENY: 5}, recent=(row,))},
        spent={"team/payments": draw(MICRO)},
    )


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda resource: resource.kind)
def test_every_status_fits_the_definition(resource: Any) -> None:
    schema = crd.schema(KINDS[resource.kind])["properties"]["status"]

    @given(observations())
    def check(observed: Observed) -> None:
        status = kinds.status(resource, observed)
        assert list(structural.faults(schema, status)) == []

    check()


def test_a_limit_far_below_what_is_spent_shows_the_highest_percentage_there_is() -> None:
    account = snapshot.Account("key", TEAM, 1, snapshot.Period.MONTH, "UTC", "Budget/root/payments")
    window = rows.Window("key", "team/payments", START, END, 10**9, 150 * 10**6)
    status = kinds.status(RESOURCES[0], Observed(START, START, facts=Facts(accounts=(account,)), windows=(window,)))
    assert (status["percent"], status["used"], status["spent"]) == (1_000_000, "1000000%", "150.00")


@pytest.mark.parametrize("count", [1, 2, 20, 500])
def test_a_message_that_is_too_long_says_how_many_problems_it_leaves_out(count: int) -> None:
    said = conditions.sentences([_problem(f"is wrong for the {number}th time") for number in range(count)])
    told = said.count("is wrong")
    assert len(said) <= 2048 - 200 + len(". And 500 more")
    assert said.endswith(f". And {count - told} more" if told < count else "mend it")
    assert told == count or len(said) > 1700


def test_one_problem_that_is_too_long_ends_after_a_whole_word() -> None:
    said = conditions.sentences([_problem("word " * 1000), _problem("b")])
    assert said.removesuffix(". And 1 more").endswith(" word …")
    assert conditions.sentences([_problem("x" * 5000)]).endswith("x …")


def test_a_kept_resources_message_still_says_that_it_is_kept() -> None:
    state = conditions.State([_problem("is wrong") for _ in range(500)], kept=True)
    (ready,) = [each for each in conditions.common(state, 1, START) if each["type"] == "Ready"]
    assert ready["message"].endswith(f" more{conditions.KEPT}")


def test_a_budget_that_is_not_accepted_says_nothing_of_what_is_spent() -> None:
    refused = problems.Problem("RootNamespaceOnly", RESOURCES[0].ref, "spec.target", "names others", "move it")
    status = kinds.status(RESOURCES[0], Observed(START, START, problems=[refused]))
    assert [each["type"] for each in status["conditions"]] == ["Accepted", "Ready"]
