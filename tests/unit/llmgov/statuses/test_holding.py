"""What waits for another resource to be mended: compiled for real, before and after a change."""

from typing import Any

import pytest

from llmgov import compiler, resources, snapshot
from llmgov.problems import ResourceRef, Severity
from llmgov.statuses import holding, kinds
from llmgov.statuses.observed import Observed

ROOT = "root"
PRICES = snapshot.PricePart()


def _parsed(kind: str, name: str, spec: dict[str, Any], namespace: str = "") -> resources.Resource:
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    parsed = resources.parse({"apiVersion": "llmgov.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec})
    assert isinstance(parsed, resources.Resource), parsed
    return parsed


def _budget(name: str, limit: str = "10", namespace: str = "shop", **spec: Any) -> resources.Resource:
    target = {"namespace": namespace} if namespace != ROOT else {"organization": {}}
    return _parsed("Budget", name, {"target": target, "limit": limit, "period": "Month"} | spec, namespace)


def _models(allow: str, namespace: str = "shop") -> resources.Resource:
    return _parsed("LLMPolicy", "models", {"modelAccess": {"allow": [allow]}}, namespace)


FAULTY = _parsed("LLMPolicy", "broken", {"fromTemplate": {"name": "none"}}, "shop")
FAULTY_TEAM = _parsed("Team", "lost", {"parent": "nobody"})
TEAM = _parsed("Team", "sellers", {"namespaces": {"names": ["shop"]}})
ROLE = _parsed("LLMRole", "reader", {"permissions": ["users.view"]})


def _compiled(*given: resources.Resource) -> compiler.Compiled:
    namespaces = tuple(compiler.Namespace(name, {}) for name in (ROOT, "shop", "games"))
    return compiler.compile(compiler.ResourceSet("c", ROOT, given, namespaces, every_namespace=True), PRICES)


def _back(before: compiler.Compiled | None, after: compiler.Compiled) -> dict[ResourceRef, str]:
    """What is held back where `before` is in force, and `after` but for what may not be published is to be."""
    names = {"organization": compiler.ORGANIZATION} | {f"namespace/{name}": name for name in after.namespaces}
    instead: dict[str, snapshot.Part | None] = {}
    for name, part in names.items():
        if not after.may_publish(part):
            if before is None:
                instead[name] = None
            else:
                instead[name] = before.namespaces[part] if part else before.organization
    if "organization" in instead:  # then nothing comes into force, prices neither
        instead["prices"] = before and before.prices
    return holding.back(after, holding.Held(instead, after.problems, ROOT))


def _names(found: dict[ResourceRef, str]) -> set[str]:
    return {str(each) for each in found}


GOOD = (_models("openai/*"), _budget("month"), _models("openai/*", "games"), _models("openai/*", ROOT))


@pytest.mark.parametrize(
    ("before", "after", "waiting"),
    [
        pytest.param(GOOD, GOOD, set(), id="nothing is wrong, nothing waits"),
        pytest.param(GOOD, (*GOOD, FAULTY), set(), id="what is in force as it is does not wait for a new neighbour"),
        pytest.param(
            GOOD,
            (_models("openai/gpt-4o"), *GOOD[1:], FAULTY),
            {"LLMPolicy/shop/models"},
            id="a changed policy waits for its neighbour",
        ),
        pytest.param(
            GOOD,
            (GOOD[0], _budget("month", "20"), *GOOD[2:], FAULTY),
            {"Budget/shop/month"},
            id="so does a raised limit",
        ),
        pytest.param(
            GOOD, (GOOD[0], _budget("month", "5"), *GOOD[2:], FAULTY), {"Budget/shop/month"}, id="and a lowered one"
        ),
        pytest.param(
            (*GOOD, _budget("second", "8")),
            (*GOOD, _budget("second", "8"), FAULTY),
            set(),
            id="of two limits of one account both are in force",
        ),
        pytest.param(
            (*GOOD, _budget("second", "8")),
            (*GOOD, _budget("second", "9", thresholds=[{"percent": 50, "actions": ["NotifyUsers"]}]), FAULTY),
            {"Budget/shop/second"},
            id="and one of them may wait",
        ),
        pytest.param(
            GOOD,
            (*GOOD[:2], _models("openai/gpt-4o", "games"), GOOD[3], FAULTY),
            set(),
            id="other namespaces do not wait",
        ),
        pytest.param(
            GOOD,
            (_models("openai/gpt-4o"), *GOOD[1:], FAULTY_TEAM),
            {"LLMPolicy/shop/models"},
            id="everybody waits for what may concern everybody",
        ),
        pytest.param(
            GOOD,
            (*GOOD[:3], _models("openai/gpt-4o", ROOT), TEAM, ROLE, FAULTY_TEAM),
            {"LLMPolicy/root/models", "Team/sellers", "LLMRole/reader"},
            id="also what is organization-wide, a team and a role",
        ),
        pytest.param(
            (*GOOD, FAULTY_TEAM), (*GOOD, FAULTY_TEAM), set(), id="nothing waits that did not change since"
        ),
    ],
)  # fmt: skip
def test_what_waits(
    before: tuple[resources.Resource, ...], after: tuple[resources.Resource, ...], waiting: set[str]
) -> None:
    assert _names(_back(_compiled(*before), _compiled(*after))) == waiting


def test_where_nothing_is_in_force_everything_waits() -> None:
    found = _back(None, _compiled(*GOOD, FAULTY_TEAM))
    assert _names(found) == {
        "LLMPolicy/shop/models", "LLMPolicy/games/models", "LLMPolicy/root/models", "Budget/shop/month",
        "GovernanceSettings/default",
    }  # fmt: skip


def test_a_new_namespace_is_not_told_of_what_was_in_force_before() -> None:
    told = _back(None, _compiled(*GOOD, FAULTY_TEAM))[ResourceRef("Budget", "month", "shop")]
    assert told.endswith(": until then nothing is in force for shop, as nothing was before")


def test_who_waits_is_told_for_whom_and_that_it_is_no_fault_of_theirs() -> None:
    changed = _models("openai/gpt-4o")
    after = _compiled(changed, FAULTY)
    found = _back(_compiled(*GOOD), after)
    sentence = (
        "waits until LLMPolicy/shop/broken (UnknownTemplate) is mended: until then what was in force for shop before"
        " stays in force"
    )
    assert found == {changed.ref: sentence}
    observed = Observed(1, 1, problems=after.problems, held_back=found)
    shown = {each["type"]: (each["status"], each["reason"]) for each in kinds.status(changed, observed)["conditions"]}
    assert shown == {
        "Accepted": ("True", "Accepted"), "Enforced": ("False", "HeldBack"), "Ready": ("False", "HeldBack"),
    }  # fmt: skip
    at_fault = {each["type"]: (each["status"], each["reason"]) for each in kinds.status(FAULTY, observed)["conditions"]}
    assert at_fault == {
        "Accepted": ("False", "UnknownTemplate"), "Enforced": ("False", "NotAccepted"),
        "Ready": ("False", "UnknownTemplate"),
    }  # fmt: skip


def test_a_budget_that_waits_is_accepted_and_not_ready() -> None:
    changed = _budget("month", "20")
    found = _back(_compiled(*GOOD), _compiled(changed, FAULTY))
    status = kinds.status(changed, Observed(1, 1, held_back=found))
    shown = {each["type"]: (each["status"], each["reason"]) for each in status["conditions"]}
    assert (shown["Accepted"], shown["Ready"]) == (("True", "Accepted"), ("False", "HeldBack"))


def test_a_sentence_names_three_faults_and_counts_the_others() -> None:
    faulty = [_parsed("LLMPolicy", f"p{n}", {"fromTemplate": {"name": "none"}}, "shop") for n in range(5)]
    (sentence,) = _back(_compiled(*GOOD), _compiled(_models("openai/gpt-4o"), *faulty)).values()
    assert (
        "LLMPolicy/shop/p0 (UnknownTemplate), LLMPolicy/shop/p1 (UnknownTemplate), LLMPolicy/shop/p2 (UnknownTemplate)"
        " and 2 more is mended"
    ) in sentence


def test_a_warning_holds_nothing_back() -> None:
    after = _compiled(_models("openai/gpt-4o"), _budget("month"), _budget("second"))
    assert {problem.severity for problem in after.problems} >= {Severity.WARNING}
    assert _back(_compiled(*GOOD), after) == {}
