"""Documents in, resources or all problems out."""

import copy
from typing import Any

import pydantic
import pytest

from llmgov import resources
from llmgov.problems import Problem, ResourceRef
from llmgov.resources import bodies, outline
from llmgov.resources.prices import Rates
from llmgov.snapshot import Dimension, OnExceed, Subject


def _policy(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "llmgov.dev/v1alpha1",
        "kind": "LLMPolicy",
        "metadata": {"name": "example", "namespace": "payments"},
        "spec": spec,
    }


def _budget(**spec: Any) -> dict[str, Any]:
    whole = {"target": {"team": "payments"}, "limit": "5000", "period": "Month"} | spec
    return _policy(**whole) | {"kind": "Budget"}


def _problems(raw: object) -> list[Problem]:
    result = resources.parse(raw)
    assert isinstance(result, list)
    return result


def _where(raw: object) -> set[tuple[str, str]]:
    return {(problem.code, problem.field) for problem in _problems(raw)}


def test_a_policy_is_read_with_its_defaults() -> None:
    parsed = resources.parse(_policy(rateLimit={"requestsPerMinute": 60, "per": "User"}))
    assert isinstance(parsed, resources.LLMPolicy)
    assert parsed.spec.rate_limit == bodies.RateLimit(requestsPerMinute=60, per=Subject.USER)  # type: ignore[call-arg]
    assert parsed.spec.rate_limit is not None
    assert parsed.spec.rate_limit.on_exceed is OnExceed.BLOCK
    assert (parsed.id, str(parsed.ref)) == ("payments/example", "LLMPolicy/payments/example")


RATE = {"requestsPerMinute": 60, "per": "User"}


def test_whether_a_resource_was_asked_for_its_name_makes_no_difference() -> None:
    one, other = (resources.parse(_policy(rateLimit=RATE)) for _ in range(2))
    assert isinstance(one, resources.LLMPolicy)
    assert isinstance(other, resources.LLMPolicy)
    dumped, shown = one.model_dump(), repr(one)
    assert one.ref is one.ref
    assert one.id is one.id
    assert (one, one.model_dump(), repr(one)) == (other, dumped, shown)
    with pytest.raises(pydantic.ValidationError, match="frozen"):
        one.metadata.name = "other"
    changed = resources.parse(_policy(rateLimit=RATE, priority=6))
    assert one != changed


def test_a_budget_without_thresholds_has_none_since_what_that_means_is_the_compilers() -> None:
    parsed = resources.parse(_budget())
    assert isinstance(parsed, resources.Budget)
    assert parsed.spec.thresholds is None


def test_all_that_is_wrong_is_told_at_once() -> None:
    raw = _policy(
        prioritty=1,
        enforcement="dryrun",
        appliesTo={"teams": [], "users": None, "models": ["a b", "*", ""]},
        rateLimit={"requestsPerMinute": "60", "maxWait": "9h", "concurrent": 0},
        contentFilter={"patterns": [{"name": "A", "regex": "("}]},
    )
    assert _where(raw) == {
        ("UnknownField", "spec.prioritty"),
        ("UnknownWord", "spec.enforcement"),
        ("WrongLength", "spec.appliesTo.teams"),
        ("EmptyValue", "spec.appliesTo.users"),
        ("InvalidModelPattern", "spec.appliesTo.models[0]"),
        ("InvalidModelPattern", "spec.appliesTo.models[2]"),
        ("WrongType", "spec.rateLimit.requestsPerMinute"),
        ("OutOfRange", "spec.rateLimit.concurrent"),
        ("MissingField", "spec.rateLimit.per"),
        ("InvalidDuration", "spec.rateLimit.maxWait"),
        ("MaxWaitWithoutThrottle", "spec.rateLimit.maxWait"),
        ("InvalidName", "spec.contentFilter.patterns[0].name"),
        ("InvalidRegex", "spec.contentFilter.patterns[0].regex"),
        ("ExactlyOneBody", "spec"),
    }


@pytest.mark.parametrize(
    ("raw", "found"),
    [
        ([], ("NotAnObject", "")),
        (None, ("NotAnObject", "")),
        ({}, ("UnknownKind", "kind")),
        ({"kind": ["Team"], "apiVersion": "llmgov.dev/v1alpha1"}, ("UnknownKind", "kind")),
        ({"kind": "Team", "apiVersion": 1}, ("UnknownVersion", "apiVersion")),
        (_budget(limit={1, 2}), ("NotJson", "")),
        (_policy(modelAccess={"retries": float("nan")}), ("WrongType", "spec.modelAccess.retries")),
        (_budget() | {"metadata": {"namespace": "payments"}}, ("MissingField", "metadata.name")),
        (_budget() | {"spec": []}, ("WrongType", "spec")),
        (_budget() | {"extra": 1}, ("UnknownField", "extra")),
        (_budget() | {"metadata": "x"}, ("WrongType", "metadata")),
        (_budget(thresholds=[{"percent": 5, "actions": [None]}]), ("EmptyValue", "spec.thresholds[0].actions[0]")),
        (_budget(period=None), ("EmptyValue", "spec.period")),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)  # fmt: skip
def test_one_mistake_is_one_problem(raw: object, found: tuple[str, str]) -> None:
    assert [(problem.code, problem.field) for problem in _problems(raw)] == [found]


def test_a_rule_is_not_asked_about_what_is_malformed() -> None:
    raw = _policy(costLimit={"minOutputTokens": "9", "maxOutputTokens": 5})
    assert _where(raw) == {("WrongType", "spec.costLimit.minOutputTokens")}


def test_a_status_is_never_read() -> None:
    assert isinstance(resources.parse(_budget() | {"status": {"spent": -1, "unknown": None}}), resources.Budget)


def test_what_the_api_server_adds_is_no_mistake() -> None:
    raw = _budget()
    raw["metadata"] |= {
        "uid": "1", "generation": 3, "resourceVersion": "7", "creationTimestamp": None,
        "managedFields": [{"manager": "kubectl"}], "annotations": {"a": "b"}, "labels": {"app": "x"},
    }  # fmt: skip
    parsed = resources.parse(raw)
    assert isinstance(parsed, resources.Budget)
    assert (parsed.metadata.generation, parsed.metadata.labels) == (3, {"app": "x"})


def test_nulls_in_metadata_are_as_if_they_were_not_there() -> None:
    raw = _budget()
    raw["metadata"] |= {"labels": None, "generation": None, "creationTimestamp": None}
    parsed = resources.parse(raw)
    assert isinstance(parsed, resources.Budget)
    assert (parsed.metadata.labels, parsed.metadata.generation) == ({}, 0)


def test_the_document_is_left_as_it_was() -> None:
    raw = _policy(appliesTo={"users": None}, rateLimit={"per": "User"}) | {"status": {}}
    before = copy.deepcopy(raw)
    _problems(raw)
    assert raw == before


def test_problems_name_the_resource() -> None:
    assert {problem.resource for problem in _problems(_policy())} == {ResourceRef("LLMPolicy", "example", "payments")}


def test_a_value_that_may_be_a_secret_is_not_repeated() -> None:
    secret = "sk-live-0123456789"
    raw = _policy(rateLimit={"requestsPerMinute": secret, "per": secret, "maxWait": secret, secret: 1})
    assert not any(secret in problem.explanation for problem in _problems(raw))


@pytest.mark.parametrize(
    ("written", "meant"), [("requestPerMinute", "requestsPerMinute"), ("onExced", "onExceed"), ("PER", "per")]
)
def test_the_field_that_was_meant_is_named(written: str, meant: str) -> None:
    raw = _policy(rateLimit={"requestsPerHour": 5, "per": "User", written: 1})
    assert [problem.remedy for problem in _problems(raw)] == [f"did you mean {meant}?"]


def test_a_deep_document_is_refused_and_not_followed_for_ever() -> None:
    deep: Any = "x"
    for _ in range(100_000):
        deep = [deep]
    assert _problems(_policy(modelAccess={"deny": deep}))[0].code == "NotJson"


@pytest.mark.parametrize(
    "spec",
    [
        {"fromTemplate": {"name": "t", "parameters": {"N": [None] * 5_000}}},
        {f"field{number}": 1 for number in range(5_000)},
        {"modelAccess": {"deny": [1] * 5_000}},
        {"costLimit": {"limits": [{"period": "Day", "amount": "1"}] * 5_000}},
    ],
    ids=["nulls", "unknown fields", "wrong types", "duplicates"],
)
def test_of_thousands_of_mistakes_the_first_thousand_are_told(spec: dict[str, Any]) -> None:
    assert 1_000 <= len(_problems(_policy(**spec))) <= 1_003


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("x" * 4096, None),
        (["x"] * 512, None),
        ([1, True, "x", 0.5], None),
        ("x" * 4097, "WrongLength"),
        (["x"] * 513, "WrongLength"),
        (["x", "x" * 4097], "WrongLength"),
        ({}, "WrongType"),
        ([{}], "WrongType"),
        ([[]], "WrongType"),
    ],
    ids=[
        "a long text",
        "a long list",
        "scalars",
        "too long",
        "too many",
        "one too long",
        "an object",
        "objects",
        "lists",
    ],
)
def test_a_parameter_is_given_a_scalar_or_a_list_of_scalars(value: Any, code: str | None) -> None:
    raw = _policy(fromTemplate={"name": "t", "parameters": {"N": value}})
    made = resources.parse(raw)
    found = [(each.code, each.field) for each in made] if isinstance(made, list) else []
    assert found == ([(code, "spec.fromTemplate.parameters.N")] if code else [])


def test_rates_become_pico_usd_a_unit() -> None:
    rates = Rates.model_validate({"input": "0.075", "output": "10", "cacheWrite5m": "1", "webSearchCall": "0.01"})
    assert rates.in_pico() == {
        Dimension.INPUT: 75_000,
        Dimension.OUTPUT: 10_000_000,
        Dimension.CACHE_WRITE_5M: 1_000_000,
        Dimension.WEB_SEARCH_CALL: 10_000_000_000,
    }


def test_every_billed_dimension_can_be_priced() -> None:
    assert set(outline.fields(Rates)) == {dimension.value for dimension in Dimension}


def test_a_field_that_belongs_into_an_object_beside_it_is_pointed_there() -> None:
    raw = {
        "apiVersion": "llmgov.dev/v1alpha1",
        "kind": "GovernanceSettings",
        "metadata": {"name": "default"},
        "spec": {"killSwitch": True},
    }
    (problem,) = _problems(raw)
    assert (problem.code, problem.field) == ("UnknownField", "spec.killSwitch")
    assert problem.remedy == "did you mean requests.killSwitch?"
