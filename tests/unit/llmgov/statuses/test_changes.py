"""What changed between two looks: whatever is not named has the status that it had."""

import dataclasses
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgov import instants, resources, snapshot
from llmgov.ledger import rows, violated, windows
from llmgov.policy.decision import Action
from llmgov.problems import Problem, ResourceRef
from llmgov.snapshot import Account, Period, Target, TargetKind
from llmgov.statuses import changes, kinds
from llmgov.statuses.observed import Facts, Observed

NOW = instants.from_rfc3339("2026-11-24T08:30:10Z")
USD = 1_000_000


def _parsed(kind: str, name: str, spec: dict[str, Any], namespace: str | None = "root") -> resources.Resource:
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    parsed = resources.parse({"apiVersion": "llmgov.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec})
    assert isinstance(parsed, resources.Resource), parsed
    return parsed


def _budget(name: str, target: dict[str, Any], period: str) -> resources.Resource:
    return _parsed("Budget", name, {"target": target, "limit": "100", "period": period})


ALL = [
    _budget("team", {"team": "payments"}, "Month"),
    _budget("again", {"team": "payments"}, "Month"),
    _budget("hour", {"organization": {}}, "Hour"),
    _budget("each", {"eachUser": {}}, "Day"),
    _parsed("LLMPolicy", "models", {"modelAccess": {"allow": ["openai/*"]}}),
    _parsed("LLMPolicy", "cost", {"costLimit": {"limits": [{"period": "Day", "amount": "5"}]}}),
    _parsed("Team", "payments", {}, None),
    _parsed("Team", "shop", {}, None),
    _parsed("LLMRole", "reader", {"permissions": ["users.view"]}, None),
]


THRESHOLDS = (
    snapshot.Threshold(90, (snapshot.ThresholdAction.REQUIRE_APPROVAL,)),
    snapshot.Threshold(100, (snapshot.ThresholdAction.BLOCK,)),
)


def _account(source: str, target: Target, period: Period, limit: int = 100 * USD) -> Account:
    key = snapshot.account_key("c", str(target), period, "UTC")
    return Account(key, target, limit, period, "UTC", source, thresholds=THRESHOLDS)


TEAM = Target(TargetKind.TEAM, "payments")
ACCOUNTS = (
    _account("Budget/root/team", TEAM, Period.MONTH),
    _account("Budget/root/again", TEAM, Period.MONTH, 50 * USD),
    _account("Budget/root/hour", Target(TargetKind.ORGANIZATION), Period.HOUR),
    _account("Budget/root/each", Target(TargetKind.USER), Period.DAY),
    _account("root/cost", Target(TargetKind.POLICY, "root/cost"), Period.DAY, 5 * USD),
)


@st.composite
def _windows(draw: st.DrawFn, now: int) -> list[rows.Window]:
    found = []
    for account in ACCOUNTS[1:]:
        span = _window(account, now)
        users = ("|ann", "|bob") if account.target.kind is TargetKind.USER else ("",)
        for user in users:
            if draw(st.booleans()):
                money = draw(st.sampled_from([0, 1, 46 * USD, 95 * USD, 100 * USD]))
                base = account.key if user else ""
                found.append(rows.Window(account.key + user, "s", *span, 10**9, spent=money, base=base))
    return found


def _window(account: Account, now: int) -> tuple[int, int]:
    return windows.current(account.period, account.time_zone, now)


NAMES = st.sampled_from(["a", "b"])
COUNTS = st.dictionaries(NAMES, st.integers(0, 2))


@st.composite
def _observed(draw: st.DrawFn, now: int) -> Observed:
    sources = [account.source for account in ACCOUNTS] + ["root/models"]
    refused = [
        rows.ViolationRow(
            f"e{index}", 0, now - draw(st.integers(1, 7200)) * instants.SECOND, draw(st.sampled_from(sources)),
            Action.DENY, draw(st.sampled_from(["budget_exhausted", "r"])), "m", False, "a", "sa",
            draw(st.sampled_from([None, "ann"])), "m",
        )
        for index in range(draw(st.integers(0, 3)))
    ]  # fmt: skip
    wrong = [
        Problem(draw(st.sampled_from(["TeamCycle", "Other"])), draw(st.sampled_from(ALL)).ref, "spec", "is", "mend it")
        for _ in range(draw(st.integers(0, 2)))
    ]
    open_ = draw(_windows(now))
    limit = draw(st.sampled_from([100, 200])) * USD
    opened = [
        rows.ApprovalRow(
            "apr", rows.ApprovalKind.THRESHOLD, "", "", 0, now + 1, rows.ApprovalState.APPROVED, each.account,
            each.start, 90,
        )
        for each in open_[: draw(st.integers(0, 1))]
    ]  # fmt: skip
    return Observed(
        now,
        0,
        Facts(
            accounts=(msgspec.structs.replace(ACCOUNTS[0], limit=limit), *ACCOUNTS[1 : draw(st.integers(3, 5))]),
            teams={name: snapshot.Team(name, draw(st.sampled_from([(), ("up",)]))) for name in ("payments", "shop")},
            namespaces=draw(st.dictionaries(NAMES, st.sampled_from(["payments", "shop", None]))),
            concerned={"root/models": draw(st.sampled_from([None, ("a",), ("a", "b")])), "root/cost": ("b",)},
            template_uses=draw(st.dictionaries(st.just("base"), st.integers(0, 2))),
        ),
        problems=wrong,
        windows=open_,
        approvals=opened,
        violated=violated.of(refused),
        spent=draw(
            st.dictionaries(st.sampled_from(["team/payments", "team/shop"]), st.integers(0, 3).map(USD.__mul__))
        ),
        sidecars=draw(COUNTS),
        enforcing=draw(COUNTS),
        since_of=draw(st.dictionaries(st.sampled_from(sources), st.integers(0, 60).map(lambda n: NOW - n * 10**8))),
        held_back=draw(st.dictionaries(st.sampled_from([each.ref for each in ALL]), st.just("waits"), max_size=2)),
        kept=draw(st.frozensets(st.sampled_from([each.ref for each in ALL]), max_size=2)),
    )


LATER = st.sampled_from([0, 5, 55, 1800, 86400]).map(lambda seconds: NOW + seconds * instants.SECOND)


@given(st.data())
def test_a_resource_that_is_not_named_has_the_status_that_it_had(data: st.DataObject) -> None:
    before = data.draw(_observed(NOW))
    after = data.draw(LATER.flatmap(_observed))
    changed = changes.between(before, after)
    for resource in ALL:
        if resource.ref not in changed:
            old, new = kinds.status(resource, before), kinds.status(resource, after)
            assert {**new, "forecast": None} == {**old, "forecast": None}
            old, new = (kinds.unread(resource.ref, 1, each) for each in (before, after))
            assert {**new, "forecast": None} == {**old, "forecast": None}, "and one that cannot be read, too"


@given(_observed(NOW))
def test_nothing_changes_between_a_look_and_the_same_look_again(observed: Observed) -> None:
    assert changes.between(observed, dataclasses.replace(observed, now=NOW + 5 * instants.SECOND)) == frozenset()


REF = {f"{each.ref.kind}/{each.ref.name}": each.ref for each in ALL}
BASE = Observed(
    NOW,
    0,
    Facts(ACCOUNTS, concerned={"root/models": None, "root/cost": ("b",)}, namespaces={"a": "payments", "b": None}),
    windows=[rows.Window(ACCOUNTS[2].key, "s", *_window(ACCOUNTS[2], NOW), 10**9, spent=USD)],
    sidecars={"a": 1, "b": 1},
)


HOUR = BASE.windows[0]


def _refusal(at: int) -> rows.ViolationRow:
    return rows.ViolationRow(
        "e", 0, at, "Budget/root/hour", Action.DENY, "budget_exhausted", "m", False, "a", "sa", None, "m"
    )


OPENED = rows.ApprovalRow(
    "apr", rows.ApprovalKind.THRESHOLD, "", "", 0, NOW * 2, rows.ApprovalState.APPROVED, HOUR.account, HOUR.start, 90
)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        pytest.param({"now": NOW + 50 * instants.SECOND}, {"Budget/hour"}, id="a forecast moves with the minutes"),
        pytest.param(
            {"now": NOW + 3600 * instants.SECOND, "windows": []},
            {"Budget/hour"},
            id="the next hour begins with nothing",
        ),
        pytest.param({"approvals": [OPENED]}, {"Budget/hour"}, id="somebody opened a threshold"),
        pytest.param({"violated": violated.of([_refusal(NOW)])}, {"Budget/hour"}, id="a request got no money"),
        pytest.param({"sidecars": {"a": 2, "b": 1}}, {"LLMPolicy/models"}, id="a pod came where one policy is"),
        pytest.param(
            {"enforcing": {"b": 1}}, {"LLMPolicy/models", "LLMPolicy/cost"}, id="a sidecar took up what concerns it"
        ),
        pytest.param({"spent": {"team/shop": 1}}, {"Team/shop"}, id="a team spent"),
        pytest.param(
            {"facts": msgspec.structs.replace(BASE.facts, namespaces={"a": "shop", "b": None})},
            {"Team/payments", "Team/shop"},
            id="a namespace went from one team to another",
        ),
        pytest.param(
            {"windows": [*BASE.windows, rows.Window(ACCOUNTS[0].key, "s", *_window(ACCOUNTS[0], NOW), 10**9)]},
            {"Budget/team", "Budget/again"},
            id="two budgets limit the account that was lent from",
        ),
        pytest.param({"held_back": {REF["LLMRole/reader"]: "waits"}}, {"LLMRole/reader"}, id="a role is held back"),
        pytest.param(
            {"kept": frozenset({REF["Budget/hour"]})}, {"Budget/hour"}, id="what was in force of a faulty one stays"
        ),
    ],
)
def test_what_changed_is_named_and_nothing_else(change: dict[str, Any], named: set[str]) -> None:
    assert changes.between(BASE, dataclasses.replace(BASE, **change)) == {REF[each] for each in named}


def test_a_template_is_named_when_it_is_used_elsewhere() -> None:
    after = dataclasses.replace(BASE, facts=msgspec.structs.replace(BASE.facts, template_uses={"base": 1}))
    assert changes.between(BASE, after) == {ResourceRef("PolicyTemplate", "base")}


def test_a_refusal_counts_no_more_once_the_limit_changed() -> None:
    refused = dataclasses.replace(BASE, violated=violated.of([_refusal(NOW - 1)]))
    after = dataclasses.replace(refused, since_of={"Budget/root/hour": NOW})
    assert changes.between(refused, after) == {REF["Budget/hour"]}
