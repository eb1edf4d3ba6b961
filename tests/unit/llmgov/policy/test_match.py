"""Whom a policy is for."""

import pytest

from llmgov.policy import match
from llmgov.policy.decision import Principal, Workload
from llmgov.snapshot import Match, Selector, SelectorExpression

JANE = Principal(
    Workload("shop", "checkout", {"app": "web", "tier": "front"}), "jane", True, ("analyst", "dev"), ("web", "all")
)
NOBODY = Principal(Workload("bank", "api"))

CASES = [
    ("an empty match is for everybody", Match(), None, "namespaces"),
    ("any of the namespaces suffices", Match(namespaces=("x", "shop")), None, "namespaces"),
    ("a service account", Match(service_accounts=("checkout",)), None, "serviceAccounts"),
    ("the namespace's team", Match(teams=("web",)), None, "teams"),
    ("a team above it", Match(teams=("all",)), None, "teams"),
    ("a user", Match(users=("joe", "jane")), None, "users"),
    ("any of the user's roles", Match(roles=("dev",)), None, "roles"),
    ("pods by label", Match(pods=Selector({"app": "web"})), None, "pods"),
    ("a kind of provider", Match(providers=("openai",)), None, None),
    ("another kind of provider", Match(providers=("anthropic",)), "providers", "providers"),
    ("a model's name", Match(models=("gpt-4*",)), None, None),
    ("provider and model", Match(models=("openai/gpt-4o",)), None, None),
    ("another model", Match(models=("o3",)), "models", "models"),
    ("all fields must hold", Match(users=("jane",), teams=("ops",)), "teams", "teams"),
]


@pytest.mark.parametrize(("rule", "jane", "nobody"), [row[1:] for row in CASES], ids=[row[0] for row in CASES])
def test_match(rule: Match, jane: str | None, nobody: str | None) -> None:
    assert match.why_not(rule, JANE, "openai", "gpt-4o") == jane
    if rule != Match():
        assert match.why_not(rule, NOBODY, "openai", "gpt-4o") == nobody


def test_a_rule_for_models_is_not_for_requests_without_one() -> None:
    assert match.why_not(Match(models=("*",)), JANE, "openai", "") == "models"


EXPRESSIONS = [
    ("In", ("web", "api"), True),
    ("In", ("api",), False),
    ("NotIn", ("api",), True),
    ("NotIn", ("web",), False),
    ("Exists", (), True),
    ("DoesNotExist", (), False),
]


@pytest.mark.parametrize(("operator", "values", "holds"), EXPRESSIONS)
def test_a_label_that_is_there(operator: str, values: tuple[str, ...], holds: bool) -> None:
    selector = Selector(expressions=(SelectorExpression("app", operator, values),))
    assert match.selects(selector, {"app": "web"}) is holds


@pytest.mark.parametrize(
    ("operator", "holds"), [("In", False), ("NotIn", True), ("Exists", False), ("DoesNotExist", True)]
)
def test_a_label_that_is_missing(operator: str, holds: bool) -> None:
    assert match.selects(Selector(expressions=(SelectorExpression("app", operator, ("web",)),)), {}) is holds


def test_an_operator_that_does_not_exist_is_an_error_not_a_match() -> None:
    with pytest.raises(ValueError, match="no operator 'Near'"):
        match.selects(Selector(expressions=(SelectorExpression("app", "Near"),)), {})
