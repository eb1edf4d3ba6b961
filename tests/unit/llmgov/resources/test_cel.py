"""CEL judges as Python does: the rules of the generated CRDs, asked about the same tables."""

from typing import Any

import pydantic
import pytest

from llmgov.resources import KINDS, bodies, crd
from tests.support import machine
from tests.support.resource_cases import REFUSED, REFUSED_IN_PYTHON_ALONE, RULES, TAKEN, Case

cel = pytest.importorskip("cel", reason=f"{machine.REASON}evaluate CEL (common-expression-language is not installed)")


def _accepts(annotation: Any, text: str) -> bool:
    schema = pydantic.TypeAdapter(annotation).json_schema()
    fits = schema["minLength"] <= len(text) <= schema["maxLength"]
    return fits and all(cel.evaluate(each["rule"], {"self": text}) for each in schema["x-kubernetes-validations"])


@pytest.mark.parametrize("case", TAKEN, ids=lambda case: case[0])
def test_what_python_takes_is_taken(case: tuple[str, Any, str]) -> None:
    assert _accepts(case[1], case[2])


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case[0])
def test_what_python_refuses_is_refused(case: tuple[str, Any, str]) -> None:
    assert not _accepts(case[1], case[2])


@pytest.mark.parametrize("case", REFUSED_IN_PYTHON_ALONE, ids=lambda case: case[0])
def test_what_cel_cannot_say_passes_or_fails_and_does_nothing_else(case: tuple[str, Any, str]) -> None:
    try:
        assert _accepts(case[1], case[2])
    except RuntimeError:
        assert case[1].__metadata__[0].code == "InvalidRegex"


_SELECTOR = ("Team", "namespaces", "selector", "matchLabels")
_ALIASES = ("ProviderCredential", "models")


@pytest.mark.parametrize(
    ("place", "keys", "fits"),
    [
        pytest.param(_SELECTOR, ["app", "example.com/app"], True, id="keys of labels"),
        pytest.param(_SELECTOR, ["app", "app!"], False, id="a key of a label with an exclamation mark"),
        pytest.param(_SELECTOR, [f"{'a' * 317}/a"], False, id="a key of a label that is too long"),
        pytest.param(_ALIASES, ["fast", "ft:gpt-4o:acme"], True, id="aliases of models"),
        pytest.param(_ALIASES, ["gpt-*"], False, id="an alias with a star"),
        pytest.param(_ALIASES, ["a" * 129], False, id="an alias that is too long"),
    ],
)
def test_keys_of_a_map_are_judged_as_its_values_are(place: tuple[str, ...], keys: list[str], *, fits: bool) -> None:
    kind, *fields = place
    node = crd.schema(KINDS[kind])["properties"]["spec"]
    for name in fields:
        node = node["properties"][name]
    (rule,) = node["x-kubernetes-validations"]
    assert rule["message"].startswith("a key must be ")
    assert cel.evaluate(rule["rule"], {"self": dict.fromkeys(keys, "a")}) is fits


@pytest.mark.parametrize("case", RULES, ids=lambda case: case[0])
def test_a_rule_finds_what_python_finds(case: Case) -> None:
    _, model, raw, broken = case
    # As the API server hands it over: defaults filled in, names of fields that CEL reserves in underscores.
    defaults = {"onExceed": "Block"} if model is bodies.RateLimit else {}
    value = {"__namespace__" if name == "namespace" else name: inner for name, inner in (defaults | raw).items()}
    assert [rule.code for rule in model.invariants if not cel.evaluate(rule.cel, {"self": value})] == broken
