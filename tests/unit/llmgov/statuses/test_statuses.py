"""Statuses: what an author and `kubectl get` see, and that each fits its kind's own model."""

import dataclasses
from typing import Any

import msgspec
import pytest

from llmgov import instants, problems, resources, snapshot
from llmgov.ledger import rows, violated
from llmgov.policy.decision import Action
from llmgov.resources import budget as budgets
from llmgov.resources import policy as policies
from llmgov.resources import team as teams
from llmgov.statuses import amounts, kinds
from llmgov.statuses.observed import Facts, Observed

START = instants.from_rfc3339("2026-11-01T00:00:00Z")
END = instants.from_rfc3339("2026-12-01T00:00:00Z")
NOON_10TH = instants.from_rfc3339("2026-11-11T00:00:00Z")
USD = 1_000_000
THRESHOLDS = (
    snapshot.Threshold(50, (snapshot.ThresholdAction.NOTIFY_USERS,)),
    snapshot.Threshold(90, (snapshot.ThresholdAction.REQUIRE_APPROVAL,)),
    snapshot.Threshold(100, (snapshot.ThresholdAction.BLOCK,)),
)
ACCOUNT = snapshot.Account(
    "c|team/payments|Month|UTC",
    snapshot.Target(snapshot.TargetKind.TEAM, "payments"),
    100 * USD,
    snapshot.Period.MONTH,
    "UTC",
    "Budget/root/payments",
    thresholds=THRESHOLDS,
)


def _parsed(kind: str, spec: dict[str, Any], namespace: str | None = "root", name: str = "payments") -> Any:
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    parsed = resources.parse({"apiVersion": "llmgov.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec})
    assert not isinstance(parsed, list), parsed
    return parsed


BUDGET = _parsed("Budget", {"target": {"team": "payments"}, "limit": "100", "period": "Month"})
POLICY = _parsed("LLMPolicy", {"modelAccess": {"allow": ["openai/*"]}}, name="models")


def _window(**money: int) -> rows.Window:
    return rows.Window(ACCOUNT.key, "team/payments", START, END, 10**9, **money)


def _conditions(status: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {each["type"]: (each["status"], each["reason"]) for each in status["conditions"]}


def test_a_budget_shows_what_is_spent_held_and_left_and_where_it_is_heading() -> None:
    observed = Observed(
        NOON_10TH,
        START,
        facts=Facts(accounts=(ACCOUNT,)),
        windows=(_window(spent=20 * USD, leased=5 * USD, unknown=USD),),
    )
    status = kinds.status(BUDGET, observed)
    budgets.BudgetStatus.model_validate(status, strict=False)
    assert {
        name: status[name] for name in ("target", "spent", "held", "remaining", "percent", "used", "forecast", "state")
    } == {
        "target": "team/payments",
        "spent": "20.00",
        "held": "6.00",
        "remaining": "74.00",
        "percent": 20,
        "used": "20%",
        "forecast": "60.00",  # 20 in ten of thirty days
        "state": "Open",
    }
    assert status["window"] == {"start": "2026-11-01T00:00:00Z", "end": "2026-12-01T00:00:00Z"}


def test_a_budget_that_nobody_touched_shows_the_current_window() -> None:
    status = kinds.status(BUDGET, Observed(NOON_10TH, START, facts=Facts(accounts=(ACCOUNT,))))
    assert (status["spent"], status["held"], status["remaining"]) == ("0.00", "0.00", "100.00")
    assert status["window"]["end"] == "2026-12-01T00:00:00Z"


def test_amounts_are_in_the_limits_currency_at_the_windows_rate() -> None:
    window = rows.Window(ACCOUNT.key, "", START, END, 1_250_000_000, spent=10 * USD)
    shown = amounts.of_window(ACCOUNT, window, frozenset(), END - 1)
    assert (shown["spent"], shown["remaining"], shown["percent"]) == ("8.00", "92.00", 8)


@pytest.mark.parametrize(
    ("spent", "opened", "state"),
    [
        pytest.param(0, (), "Open", id="nothing reached"),
        pytest.param(50, (), "Notified", id="a threshold that only tells somebody"),
        pytest.param(90, (), "ApprovalRequired", id="a threshold that asks for approval"),
        pytest.param(90, (90,), "Notified", id="one that was approved lets on"),
        pytest.param(99, (90,), "Notified", id="up to the limit"),
        pytest.param(100, (90,), "Exhausted", id="which no approval passes"),
        pytest.param(101, (), "Exhausted", id="also where a threshold before it was never opened"),
    ],
)
def test_the_state_says_what_stops_the_account(spent: int, opened: tuple[int, ...], state: str) -> None:
    assert amounts.state(ACCOUNT, _window(spent=spent * USD), frozenset(opened)) == state


def _refusal(at: int, **changes: Any) -> rows.ViolationRow:
    row = rows.ViolationRow(
        f"e/{at}", 0, at, ACCOUNT.source, Action.DENY, "budget_exhausted", "m", False, "shop", "web", None, "gpt-4o"
    )
    return msgspec.structs.replace(row, **changes)


@pytest.mark.parametrize(
    ("spent", "refusals", "state"),
    [
        pytest.param(20, [_refusal(NOON_10TH - 1)], "Short", id="money is left, and a request needed more"),
        pytest.param(60, [_refusal(NOON_10TH - 1)], "Short", id="that matters more than who was told"),
        pytest.param(90, [_refusal(NOON_10TH - 1)], "ApprovalRequired", id="an approval would help"),
        pytest.param(100, [_refusal(NOON_10TH - 1)], "Exhausted", id="nothing is left"),
        pytest.param(20, [_refusal(START - 1)], "Open", id="it was in the window before"),
        pytest.param(20, [_refusal(START + 1)], "Open", id="it was before the configuration changed"),
        pytest.param(20, [_refusal(NOON_10TH - 1, policy="Budget/root/other")], "Open", id="by another Budget"),
        pytest.param(20, [_refusal(NOON_10TH - 1, reason="threshold:90")], "Open", id="for another reason"),
    ],
)
def test_an_account_that_had_too_little_for_a_request_is_short(
    spent: int, refusals: list[rows.ViolationRow], state: str
) -> None:
    windows = (_window(spent=spent * USD),)
    since = START + instants.DAY
    observed = Observed(
        NOON_10TH, since, facts=Facts(accounts=(ACCOUNT,)), windows=windows, violated=violated.of(refusals)
    )
    assert kinds.status(BUDGET, observed)["state"] == state


def test_a_users_account_is_short_when_that_user_was_refused() -> None:
    users = msgspec.structs.replace(ACCOUNT, key="c|users", target=snapshot.Target(snapshot.TargetKind.USER))
    window = rows.Window("c|users|ann", "user/ann", START, END, 10**9, spent=1, base="c|users")
    for user, state in (("ann", "Short"), ("bob", "Open")):
        observed = Observed(
            NOON_10TH,
            START,
            facts=Facts(accounts=(users,)),
            windows=(window,),
            violated=violated.of([_refusal(NOON_10TH - 1, user=user)]),
        )
        assert kinds.status(BUDGET, observed)["state"] == state


def test_an_account_at_its_blocking_threshold_is_exhausted_though_one_before_it_was_never_opened() -> None:
    steps = (
        snapshot.Threshold(50, (snapshot.ThresholdAction.REQUIRE_APPROVAL,)),
        snapshot.Threshold(90, (snapshot.ThresholdAction.BLOCK,)),
    )
    account = msgspec.structs.replace(ACCOUNT, thresholds=steps)
    states = [amounts.state(account, _window(spent=spent * USD), frozenset()) for spent in (50, 89, 90, 99)]
    assert states == ["ApprovalRequired", "ApprovalRequired", "Exhausted", "Exhausted"]


def test_an_approval_counts_for_its_own_window_alone() -> None:
    approvals = [_approval(ACCOUNT.key, START - 1), _approval("other", START)]
    observed = Observed(
        NOON_10TH, START, facts=Facts(accounts=(ACCOUNT,)), windows=(_window(spent=91 * USD),), approvals=approvals
    )
    assert kinds.status(BUDGET, observed)["state"] == "ApprovalRequired"
    granted = dataclasses.replace(observed, approvals=[_approval(ACCOUNT.key, START)])
    assert kinds.status(BUDGET, granted)["state"] == "Notified"


def test_a_budget_of_each_user_shows_who_is_nearest_to_the_limit() -> None:
    each = msgspec.structs.replace(ACCOUNT, key="c|user|Month|UTC", target=snapshot.Target(snapshot.TargetKind.USER))
    windows = [
        rows.Window(f"{each.key}|{user}", f"user/{user}", START, END, 10**9, spent * USD)
        for user, spent in (("joe", 5), ("jane", 40), ("ann", 20))
    ]
    status = kinds.status(BUDGET, Observed(NOON_10TH, START, facts=Facts(accounts=(each,)), windows=windows))
    assert (status["target"], status["spent"]) == ("user/jane", "40.00")


def _approval(account: str, window_start: int) -> rows.ApprovalRow:
    return rows.ApprovalRow(
        "apr-1",
        rows.ApprovalKind.THRESHOLD,
        "Budget/root/payments",
        "",
        0,
        END,
        rows.ApprovalState.APPROVED,
        account=account,
        window_start=window_start,
        threshold=90,
    )


@pytest.mark.parametrize(("spent", "exhausted"), [(89, "False"), (100, "True")])
def test_an_exhausted_budget_says_so_in_a_condition(spent: int, exhausted: str) -> None:
    observed = Observed(NOON_10TH, START, facts=Facts(accounts=(ACCOUNT,)), windows=(_window(spent=spent * USD),))
    assert _conditions(kinds.status(BUDGET, observed))["Exhausted"][0] == exhausted


def test_a_resource_with_an_error_is_neither_accepted_nor_ready_and_says_what_to_do() -> None:
    reference = problems.ResourceRef("Budget", "payments", "root")
    problem = problems.Problem("UnknownTeam", reference, "spec.target.team", "names no Team", "create it")
    other = problems.Problem("Other", problems.ResourceRef("Budget", "else", "root"), "", "is wrong", "mend it")
    status = kinds.status(BUDGET, Observed(NOON_10TH, START, problems=(other, problem)))
    assert _conditions(status)["Accepted"] == ("False", "UnknownTeam")
    assert _conditions(status)["Ready"] == ("False", "UnknownTeam")
    assert status["conditions"][0]["message"] == "spec.target.team: names no Team; create it"
    assert status["conditions"][1]["message"] == "spec.target.team: names no Team; create it"


@pytest.mark.parametrize(("running", "enforced", "reason"), [(2, "False", "InProgress"), (3, "True", "Enforced")])
def test_a_policy_is_enforced_where_every_concerned_sidecar_runs_it(running: int, enforced: str, reason: str) -> None:
    observed = Observed(
        NOON_10TH,
        START,
        sidecars={"a": 3, "b": 5},
        enforcing={"a": running, "b": 0},
        facts=Facts(concerned={"root/models": ("a",)}),
    )
    status = kinds.status(POLICY, observed)
    policies.LLMPolicyStatus.model_validate(status, strict=False)
    assert (status["sidecarsEnforcing"], status["sidecars"]) == (running, 3)
    assert _conditions(status)["Enforced"] == (enforced, reason)
    assert _conditions(status)["Ready"][0] == enforced


WARNED = problems.Problem(
    "NoModelMatches", POLICY.ref, "spec", "matches nothing", "correct it", problems.Severity.WARNING
)
BROKEN = problems.Problem("UnknownModel", problems.ResourceRef("LLMPolicy", "models", "root"), "spec", "is", "mend it")


@pytest.mark.parametrize(
    ("found", "running", "ready", "message"),
    [
        pytest.param(
            (), 0, ("False", "InProgress"), "0 of 3 sidecars enforce generation 4; waiting for 3", id="on no sidecar"
        ),
        pytest.param(
            (), 2, ("False", "InProgress"), "2 of 3 sidecars enforce generation 4; waiting for 1", id="on most of them"
        ),
        pytest.param((), 3, ("True", "Ready"), "", id="on all of them"),
        pytest.param(
            (WARNED,),
            2,
            ("False", "InProgress"),
            "2 of 3 sidecars enforce generation 4; waiting for 1",
            id="a warning is not what is awaited",
        ),
        pytest.param(
            (WARNED,),
            3,
            ("True", "NoModelMatches"),
            "spec: matches nothing; correct it",
            id="a warning holds nothing up, and is said",
        ),
        pytest.param((BROKEN,), 2, ("False", "UnknownModel"), "spec: is; mend it", id="an error comes before the rest"),
    ],
)
def test_ready_says_by_itself_what_is_awaited(
    found: tuple[problems.Problem, ...], running: int, ready: tuple[str, str], message: str
) -> None:
    policy = POLICY.model_copy(update={"metadata": POLICY.metadata.model_copy(update={"generation": 4})})
    observed = Observed(
        NOON_10TH,
        START,
        problems=found,
        sidecars={"a": 3},
        enforcing={"a": running},
        facts=Facts(concerned={"root/models": ("a",)}),
    )
    status = kinds.status(policy, observed)
    condition = next(each for each in status["conditions"] if each["type"] == "Ready")
    assert (condition["status"], condition["reason"]) == ready
    assert condition["message"] == message
    assert {each["observedGeneration"] for each in status["conditions"]} == {4} == {status["observedGeneration"]}


UNREAD = problems.Problem("InvalidAmount", BUDGET.ref, "spec.limit", "is ten", "write 10")


def test_a_budget_that_cannot_be_read_shows_the_amounts_of_what_is_still_in_force() -> None:
    observed = Observed(
        NOON_10TH,
        START,
        facts=Facts(accounts=(ACCOUNT,)),
        problems=(UNREAD,),
        windows=(_window(spent=100 * USD, leased=USD),),
        kept=frozenset({BUDGET.ref}),
    )
    status = kinds.unread(BUDGET.ref, 7, observed)
    budgets.BudgetStatus.model_validate(status, strict=False)
    assert {name: status[name] for name in ("spent", "held", "used", "state")} == {
        "spent": "100.00",
        "held": "1.00",
        "used": "100%",
        "state": "Exhausted",
    }
    assert status["window"]["end"] == "2026-12-01T00:00:00Z"
    said = {each["type"]: each["message"] for each in status["conditions"]}
    assert said == {
        "Accepted": "spec.limit: is ten; write 10",
        "Ready": "spec.limit: is ten; write 10. Until it is mended, its earlier state stays in force",
        "Exhausted": "100.00 of 100.00 USD is spent",
    }
    assert {each["observedGeneration"] for each in status["conditions"]} == {7}


def test_a_budget_that_was_never_in_force_and_cannot_be_read_has_its_problem_alone() -> None:
    status = kinds.unread(BUDGET.ref, 1, Observed(NOON_10TH, START, problems=(UNREAD,)))
    assert status.keys() == {"observedGeneration", "conditions"}
    assert _conditions(status) == {"Accepted": ("False", "InvalidAmount"), "Ready": ("False", "InvalidAmount")}


@pytest.mark.parametrize("observed", [
    pytest.param({"kept": frozenset({BUDGET.ref})}, id="it has an error"),
    pytest.param({"held_back": {BUDGET.ref: "waits"}}, id="it waits for another's mending"),
])  # fmt: skip
def test_a_budget_shows_the_limit_that_is_in_force_not_the_one_that_was_asked_for(observed: dict[str, Any]) -> None:
    asked = {"limit": "999", "currency": "EUR", "period": snapshot.Period.DAY}
    changed = BUDGET.model_copy(update={"spec": BUDGET.spec.model_copy(update=asked)})
    status = kinds.status(changed, Observed(NOON_10TH, START, facts=Facts(accounts=(ACCOUNT,)), **observed))
    budgets.BudgetStatus.model_validate(status, strict=False)
    assert (status["limit"], status["currency"], status["period"]) == ("100.00", "USD", "Month")
    said = next(each["message"] for each in status["conditions"] if each["type"] == "Exhausted")
    assert said == "0.00 of 100.00 USD is spent"


def test_a_policy_and_a_team_that_cannot_be_read_keep_what_they_brought_about() -> None:
    row = rows.ViolationRow("e", 0, START, "root/models", Action.DENY, "r", "m", False, "ns", "sa", None, "gpt")
    account = msgspec.structs.replace(ACCOUNT, source="root/models")
    observed = Observed(
        NOON_10TH,
        START,
        facts=Facts(accounts=(account,)),
        windows=(_window(spent=3 * USD),),
        violated=violated.of([row]),
        spent={"team/payments": 5 * USD},
    )
    policy = kinds.unread(POLICY.ref, 1, observed)
    policies.LLMPolicyStatus.model_validate(policy, strict=False)
    assert (policy["violations"], policy["spent"], policy["percent"]) == (1, "3.00", 3)
    team = kinds.unread(problems.ResourceRef("Team", "payments"), 1, observed)
    teams.TeamStatus.model_validate(team, strict=False)
    assert team["spent"] == "5.00"
    assert "spent" not in kinds.unread(problems.ResourceRef("Team", "other"), 1, observed)


def test_a_policy_counts_its_violations_and_shows_the_last_ten() -> None:
    made = [
        rows.ViolationRow(f"e{n}", 0, START + n, "root/models", action, "r", "m", False, "ns", "sa", None, "gpt", count)
        for n, (action, count) in enumerate([(Action.DENY, 1)] * 10 + [(Action.REDACT, 5)])
    ]
    foreign = [rows.ViolationRow("x", 0, END, "root/other", Action.DENY, "r", "m", False, "ns", "sa", None, "gpt")]
    status = kinds.status(POLICY, Observed(NOON_10TH, START, violated=violated.of([*made, *foreign])))
    assert status["violations"] == 15
    assert status["violationsByAction"] == [{"action": "deny", "count": 10}, {"action": "redact", "count": 5}]
    assert len(status["lastViolations"]) == 10
    assert status["lastViolations"][0]["action"] == "redact"


def test_a_team_shows_its_path_namespaces_and_spend() -> None:
    team = _parsed("Team", {"members": [{"user": "jane@example.com", "role": "power-user"}]}, namespace=None)
    observed = Observed(
        NOON_10TH,
        START,
        facts=Facts(
            teams={"payments": snapshot.Team("payments", parents=("engineering",))},
            namespaces={"b": "payments", "a": "payments", "c": None},
        ),
        spent={"team/payments": 12_340_000},
    )
    status = kinds.status(team, observed)
    teams.TeamStatus.model_validate(status, strict=False)
    assert (status["path"], status["namespaces"]) == (["payments", "engineering"], ["a", "b"])
    assert (status["members"], status["spent"]) == (1, "12.34")


def test_of_several_accounts_of_one_resource_the_first_is_shown() -> None:
    other = msgspec.structs.replace(ACCOUNT, key="c|team/payments|Day|UTC", limit=1 * USD, period=snapshot.Period.DAY)
    windows = (_window(spent=20 * USD), msgspec.structs.replace(_window(spent=USD), account=other.key))
    observed = Observed(NOON_10TH, START, facts=Facts(accounts=(ACCOUNT, other)), windows=windows)
    turned = dataclasses.replace(observed, facts=Facts(accounts=(other, ACCOUNT)))
    assert kinds.status(BUDGET, observed)["spent"] == "20.00"
    assert kinds.status(BUDGET, turned)["spent"] == "1.00"
