"""What holds of every set: the golden inputs give the resources, hypothesis picks and mixes them."""

import dataclasses
import functools
import pathlib
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmgov import compiler, resources, snapshot
from llmgov.snapshot import Dimension, NamespacePart
from llmgov_cli import manifests

GOLDEN = pathlib.Path(__file__).parents[3] / "golden" / "compiler"
NAMES = ("a", "b", "c", "d", "llm-governance", "other", "payments")
PRICES = snapshot.PricePart((snapshot.ModelPrice("openai", "gpt-4o", {Dimension.INPUT: 1, Dimension.OUTPUT: 2}),))
ROOT = "llm-governance"


@functools.cache
def everything() -> tuple[resources.Resource, ...]:
    """Every resource of every golden input."""
    documents, _ = manifests.load([GOLDEN])
    declared, findings = manifests.parse(documents)
    assert not findings
    return tuple(each.resource for each in declared)


def resource_set(chosen: tuple[resources.Resource, ...]) -> compiler.ResourceSet:
    namespaces = tuple(compiler.Namespace(name, {"tier": "gold"} if name == "a" else {}) for name in NAMES)
    return compiler.ResourceSet("c", ROOT, chosen, namespaces, every_namespace=True)


def distinct(chosen: list[resources.Resource]) -> tuple[resources.Resource, ...]:
    return tuple({each.ref: each for each in chosen}.values())


CHOSEN = st.lists(st.sampled_from(everything()), max_size=40).map(distinct)


def visible(compiled: compiler.Compiled) -> tuple[object, ...]:
    parts: list[snapshot.Part] = [compiled.organization, *compiled.namespaces.values()]
    versions = [snapshot.version(part) for part in parts]
    return compiled.organization, dict(compiled.namespaces), compiled.problems, compiled.held, versions


@settings(max_examples=60, deadline=None)
@given(CHOSEN, st.randoms(use_true_random=False))
def test_the_order_of_resources_does_not_matter(chosen: tuple[resources.Resource, ...], chance: random.Random) -> None:
    shuffled = list(chosen)
    chance.shuffle(shuffled)
    expected = visible(compiler.compile(resource_set(chosen), PRICES))
    assert visible(compiler.compile(resource_set(tuple(shuffled)), PRICES)) == expected


@settings(max_examples=60, deadline=None)
@given(CHOSEN, CHOSEN, st.booleans())
def test_an_earlier_result_changes_nothing(
    before: tuple[resources.Resource, ...], after: tuple[resources.Resource, ...], reread: bool
) -> None:
    previous = compiler.compile(resource_set(before), PRICES)
    if reread:
        after = tuple(each.model_copy(deep=True) for each in after)
    mixed = distinct([*before[: len(before) // 2], *after])
    again = compiler.compile(resource_set(mixed), PRICES, previous)
    assert visible(again) == visible(compiler.compile(resource_set(mixed), PRICES))


@settings(max_examples=60, deadline=None)
@given(CHOSEN, st.sampled_from(["payments", "other", "d"]))
def test_what_a_namespace_says_of_itself_changes_nobody_else(
    chosen: tuple[resources.Resource, ...], tenant: str
) -> None:
    without = tuple(each for each in chosen if each.metadata.namespace != tenant)
    with_tenant = compiler.compile(resource_set(chosen), PRICES)
    alone = compiler.compile(resource_set(without), PRICES)
    assert with_tenant.organization == alone.organization
    for name in NAMES:
        if name != tenant:
            assert with_tenant.namespaces[name] == alone.namespaces[name]


@settings(max_examples=60, deadline=None)
@given(CHOSEN, st.sampled_from(["payments", "other", "d"]))
def test_a_namespace_can_add_rules_and_never_remove_or_raise_one(
    chosen: tuple[resources.Resource, ...], tenant: str
) -> None:
    without = tuple(each for each in chosen if each.metadata.namespace != tenant)
    more = compiler.compile(resource_set(chosen), PRICES).namespaces[tenant]
    less = compiler.compile(resource_set(without), PRICES).namespaces[tenant]
    assert set(map(repr, less.policies)) <= set(map(repr, more.policies))
    limits = {account.key: account for account in more.accounts}
    for account in less.accounts:
        kept = limits[account.key]
        assert kept.limit * kept.nano_usd <= account.limit * account.nano_usd
        assert {each.percent for each in account.thresholds} <= {each.percent for each in kept.thresholds}


def budget(name: str, namespace: str, target: dict[str, object], limit: str = "1") -> resources.Resource:
    result = resources.parse(
        {
            "apiVersion": "llmgov.dev/v1alpha1",
            "kind": "Budget",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"target": target, "limit": limit, "period": "Day"},
        }
    )
    assert isinstance(result, resources.Resource)
    return result


@pytest.mark.parametrize(
    ("faulty", "held", "may"),
    [
        pytest.param(
            budget("x", "payments", {"organization": {}}),
            {"payments"},
            {"payments": False, "other": True, compiler.ORGANIZATION: True},
            id="a tenant's mistake holds back its own part only",
        ),
        pytest.param(
            budget("x", ROOT, {"team": "ghosts"}),
            {compiler.ORGANIZATION},
            {"payments": False, "other": False, compiler.ORGANIZATION: False},
            id="a mistake in the root namespace holds back everything",
        ),
        pytest.param(
            budget("x", ROOT, {"namespace": "ghost"}),
            set(),
            {"payments": True, "other": True, compiler.ORGANIZATION: True},
            id="a warning holds back nothing",
        ),
    ],
)
def test_what_an_error_holds_back(faulty: resources.Resource, held: set[str], may: dict[str, bool]) -> None:
    compiled = compiler.compile(resource_set((faulty,)), PRICES)
    assert compiled.held == held
    assert compiled.publishable == (not held)
    assert {part: compiled.may_publish(part) for part in may} == may


def test_parts_that_did_not_change_are_the_same_objects() -> None:
    kept = budget("kept", "payments", {"namespace": "payments"})
    first = compiler.compile(resource_set((kept, budget("x", "other", {"namespace": "other"}))), PRICES)
    second = compiler.compile(resource_set((kept,)), PRICES, first)
    assert second.namespaces["payments"] is first.namespaces["payments"]
    assert second.namespaces["other"] is not first.namespaces["other"]


def test_a_changed_resource_is_compiled_again() -> None:
    first = compiler.compile(resource_set((budget("x", "payments", {"namespace": "payments"}),)), PRICES)
    changed = resource_set((budget("x", "payments", {"namespace": "payments"}, limit="2"),))
    second = compiler.compile(changed, PRICES, first)
    assert [account.limit for account in second.namespaces["payments"].accounts] == [2_000_000]


def test_a_snapshot_is_the_organization_the_namespace_and_the_prices() -> None:
    compiled = compiler.compile(resource_set(()), PRICES)
    whole = compiled.snapshot("payments")
    assert whole == snapshot.Snapshot(snapshot.FORMAT, compiled.organization, NamespacePart("payments"), PRICES)


def test_nobody_can_say_what_holds_in_a_namespace_that_was_not_known() -> None:
    compiled = compiler.compile(resource_set(()), PRICES)
    with pytest.raises(KeyError):
        compiled.snapshot("ghost")


def test_a_set_that_does_not_know_every_namespace_counts_those_that_are_named() -> None:
    named = budget("x", ROOT, {"workload": {"namespace": "ghost", "serviceAccount": "s"}})
    given_ = dataclasses.replace(resource_set((named,)), every_namespace=False)
    compiled = compiler.compile(given_, PRICES)
    assert [account.key for account in compiled.namespaces["ghost"].accounts] == ["c|workload/ghost/s|Day|UTC"]
    assert compiled.problems == ()


def test_a_warning_of_many_limits_on_one_account_names_a_few_of_them() -> None:
    many = tuple(budget(f"b{number}", "payments", {"namespace": "payments"}) for number in range(6))
    messages = [problem.message for problem in compiler.compile(resource_set(many), PRICES).problems]
    others = "Budget/payments/b1, Budget/payments/b2, Budget/payments/b3 and 2 more"
    assert messages[0] == f"limits the same account as {others} (namespace/payments, Day, UTC)"
    assert messages[5].split(" as ")[1].startswith("Budget/payments/b0, Budget/payments/b1, Budget/payments/b2 and 2")
    assert len(messages) == 6
