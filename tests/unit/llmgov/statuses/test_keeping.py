"""What stays in force of resources that became faulty: compiled for real, before and after."""

from typing import Any

import pytest

from llmgov import compiler, resources, snapshot
from llmgov.problems import Problem, ResourceRef, Severity
from llmgov.statuses import facts, keeping
from llmgov.statuses.holding import Held

ROOT = "root"
PRICES = snapshot.PricePart()


def _parsed(kind: str, name: str, spec: dict[str, Any], namespace: str = "") -> resources.Resource:
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    parsed = resources.parse({"apiVersion": "llmgov.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec})
    assert isinstance(parsed, resources.Resource), parsed
    return parsed


BUDGET = _parsed("Budget", "month", {"target": {"namespace": "shop"}, "limit": "10", "period": "Month"}, "shop")
OTHER = _parsed("Budget", "day", {"target": {"namespace": "shop"}, "limit": "10", "period": "Day"}, "shop")
POLICY = _parsed("LLMPolicy", "cost", {"costLimit": {"limits": [{"period": "Hour", "amount": "9"}]}}, "shop")
TEAM = _parsed("Team", "sellers", {"namespaces": {"names": ["shop"]}})
ROLE = _parsed("LLMRole", "reader", {"permissions": ["users.view"]})
SETTINGS = _parsed("GovernanceSettings", "default", {"requests": {"killSwitch": True}})
CREDENTIAL = _parsed(
    "ProviderCredential", "key", {"provider": "openai", "secretRef": {"name": "a", "key": "b"}}, "shop"
)
ALL = (BUDGET, OTHER, POLICY, TEAM, ROLE, SETTINGS, CREDENTIAL)


def _compiled(*given: resources.Resource) -> compiler.Compiled:
    namespaces = tuple(compiler.Namespace(name, {}) for name in (ROOT, "shop"))
    return compiler.compile(compiler.ResourceSet("c", ROOT, given, namespaces, every_namespace=True), PRICES)


def _held(before: compiler.Compiled, *faulty: ResourceRef, severity: Severity = Severity.ERROR) -> Held:
    """Nothing comes into force instead of `before`, since these are faulty."""
    named: dict[str, snapshot.Part | None] = {"organization": before.organization, "prices": before.prices}
    parts = named | {f"namespace/{name}": part for name, part in before.namespaces.items()}
    return Held(parts, [Problem("X", each, "spec", "is", "mend it", severity) for each in faulty], ROOT)


@pytest.mark.parametrize("resource", ALL, ids=lambda each: each.ref.kind)
def test_each_kind_s_earlier_state_is_found_in_the_parts_in_force(resource: resources.Resource) -> None:
    assert keeping.resources_of(_held(_compiled(*ALL), resource.ref)) == {resource.ref}
    without = _compiled(*(each for each in ALL if each is not resource))
    assert keeping.resources_of(_held(without, resource.ref)) == frozenset(), "it was never in force"


def test_only_what_is_faulty_is_kept() -> None:
    before = _compiled(*ALL)
    assert keeping.resources_of(_held(before)) == frozenset()
    assert keeping.resources_of(_held(before, BUDGET.ref, severity=Severity.WARNING)) == frozenset()


def test_nothing_is_kept_where_nothing_was_in_force() -> None:
    held = Held({"organization": None, "namespace/shop": None}, _held(_compiled(), BUDGET.ref).problems, ROOT)
    assert keeping.resources_of(held) == frozenset()
    known = facts.of(_compiled(OTHER))
    assert keeping.facts(known, held) == known


def test_accounts_and_teams_that_the_configuration_lacks_are_those_in_force() -> None:
    before, after = _compiled(BUDGET, OTHER, TEAM), _compiled(OTHER)
    kept = keeping.facts(facts.of(after), _held(before, BUDGET.ref, TEAM.ref))
    assert sorted(account.source for account in kept.accounts) == ["Budget/shop/day", "Budget/shop/month"]
    assert kept.teams.keys() == {"sellers"}
    assert kept.namespaces == {ROOT: None, "shop": None}


RAISED = _parsed("Budget", "month", {"target": {"namespace": "shop"}, "limit": "20", "period": "Month"}, "shop")


def test_of_a_limit_that_waits_the_one_in_force_is_known() -> None:
    held, waiting = _held(_compiled(BUDGET, OTHER), POLICY.ref), {"Budget/shop/month"}
    kept = keeping.facts(facts.of(_compiled(RAISED, OTHER)), held, waiting)
    limits = {account.source: account.limit for account in kept.accounts}
    assert limits == {"Budget/shop/month": 10_000_000, "Budget/shop/day": 10_000_000}


def test_a_limit_that_waits_and_never_was_in_force_has_no_account() -> None:
    held, waiting = _held(_compiled(OTHER), POLICY.ref), {"Budget/shop/month"}
    kept = keeping.facts(facts.of(_compiled(RAISED, OTHER)), held, waiting)
    assert [account.source for account in kept.accounts] == ["Budget/shop/day"]


def test_an_account_that_the_configuration_has_is_the_configuration_s() -> None:
    kept = keeping.facts(facts.of(_compiled(RAISED, OTHER)), _held(_compiled(BUDGET, OTHER), POLICY.ref))
    limits = {account.source: account.limit for account in kept.accounts}
    assert limits == {"Budget/shop/month": 20_000_000, "Budget/shop/day": 10_000_000}
    assert len(kept.accounts) == 2
