"""What `llmgov validate` refuses the API server refuses too, in the same words; what only the one can say is listed.

The documents are those of tests/golden/invalid. tests/golden/api_server.txt holds what the API server answered, in
full; after a change: `LLMGOV_UPDATE_GOLDEN=1 pytest tests/cluster/test_crd_refusals.py`, and read the diff.
"""

import json
import os
import pathlib
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
import yaml

from llmgov.resources import KINDS, outline, text
from llmgov.resources.base import API_VERSION, Model
from tests.cluster import raw_api
from tests.cluster.cluster import Cluster, KubectlError
from tests.cluster.raw_api import RawApi

ROOT = pathlib.Path(__file__).parents[2]
FOLDER = ROOT / "tests" / "golden" / "invalid"
ANSWERS = ROOT / "tests" / "golden" / "api_server.txt"
ANSWERED_BY = "v1.34."
"""The API server that gave the answers in full; others put what is their own in them otherwise."""

_SAID = re.compile(r"\S+:\d+: \S+ (?P<field>\S+): (?P<sentence>.+) \[(?P<code>\w+)\]")

IN_OTHER_WORDS = {
    # What the schema says without CEL is said in the API server's words.
    "duplicate-entry": "spec.thresholds[1]: Duplicate value: ",
    "missing-field": "spec.rateLimit.per: Required value",
    "name-of-object": 'metadata.name: Invalid value: "Payments_Team": a lowercase RFC 1123 subdomain',
    "name-too-long": "spec.target.namespace: Too long",
    "parameter-nested": "spec.fromTemplate.parameters.LIMIT: Too many: 1: must have at most 0 items",
    "template-nested": "spec.parameters[0].default[0]: Too many: 1: must have at most 0 items",
    "out-of-range-high": "spec.thresholds[0].percent in body should be less than or equal to 100",
    "out-of-range-low": "spec.rateLimit.requestsPerMinute in body should be greater than or equal to 1",
    "unknown-field": 'unknown field "spec.rateLimit.requestPerMinute"',
    "unknown-field-elsewhere": 'unknown field "spec.modelAccess.color"',
    "unknown-field-of-empty-object": 'unknown field "spec.target.organization.name"',
    "unknown-number": 'spec.requests.budgetStatusCode: Unsupported value: 403: supported values: "402", "429"',
    "unknown-word": 'spec.enforcement: Unsupported value: "dryrun": supported values: "Enforce", "DryRun"',
    "wrong-length-empty": "spec.modelAccess.allow in body should have at least 1 items",
    "wrong-length-long": "spec.compliance.notify: Too many: 3: must have at most 2 items",
    "wrong-length-long-text": "spec.identity.issuers[0].audience: Too long",
    "wrong-length-text": "spec.passwords.prohibited[0] in body should be at least 1 chars long",
    "wrong-type-boolean": "spec.compliance.requireAudit in body must be of type boolean",
    "wrong-type-fraction": "spec.rateLimit.requestsPerMinute in body must be of type integer",
    "wrong-type-list": "spec.appliesTo.teams in body must be of type array",
    "wrong-type-map": "spec.models in body must be of type object",
    "wrong-type-number": "spec.rateLimit.requestsPerMinute in body must be of type integer",
    "wrong-type-object": "spec.rateLimit in body must be of type object",
    "wrong-type-string": "spec.limit in body must be of type string",
    # A key of a map has no path of its own, and metadata has none in a CEL rule.
    "label-key": "a key must be a Kubernetes label key; "
    "write an optional domain and a name, such as app or example.com/app",
    "settings-name": "metadata.name must be default; name it default, since there is one GovernanceSettings for the "
    "whole installation",
    # CEL has no details of its own to add to a sentence.
    "key-set-private": "must be a JSON Web Key Set of public "
    'keys; copy the issuer\'s document, which begins with {"keys": [',
    "regex": "must be an RE2 pattern that does not match the empty text; see github.com/google/re2/wiki/Syntax",
    "regex-look-around": "must be an RE2 pattern that does not match the empty text; see github.com/google/re2/wiki",
    "regex-of-anything": "must be an RE2 pattern that does not match the empty text; see github.com/google/re2/wiki",
}  # fmt: skip
"""Of files whose refusal by the API server is no sentence of ours, or not the whole of it: what it says."""

TAKEN_BY_THE_API_SERVER = {
    "empty-value": "a null is dropped before anything is judged",
    "network-with-host-bits": "CEL reads networks only since a later Kubernetes than the oldest that is supported",
    "time-zone-unknown": "the API server knows no time zones",
}
"""Of files that only `llmgov validate`, or the operator by a condition, can refuse: why."""

REFUSED_BY_KUBECTL = {
    "aliases": "document contains excessive aliasing",
    "depth": "apiVersion not set",
    "encoding": "Required value",
    "not-a-resource": "apiVersion not set",
    "not-an-object": "invalid object to validate",
    "number-nan": "unsupported value: NaN",
    "unknown-kind": 'no matches for kind "Budgets"',
    "unknown-version": 'no matches for kind "Budget" in version "llmgov.dev/v1"',
    "yaml-kubectl-bool": "spec.parameters[0].name in body must be of type string",
    "yaml-key-no-string": 'unknown field "spec.true"',
    "yaml-syntax": "did not find expected",
}
"""Files of which no document of ours reaches the API server: what kubectl says."""

TAKEN_BY_KUBECTL = {
    "duplicate-key": "kubectl takes the last",
    "namespace-missing": "kubectl adds the namespace of its context",
    "namespace-not-possible": "kubectl drops it",
    "yaml-merge-key": "kubectl merges",
    "yaml-tag": "kubectl drops it",
}
"""Files that kubectl makes a valid document of: how."""

NOT_OURS = {"foreign-kind", "no-resources"}
"""Files of other kinds than ours."""

STEMS = sorted(
    {file.stem for file in FOLDER.glob("*.yaml")}
    - {*TAKEN_BY_THE_API_SERVER, *REFUSED_BY_KUBECTL, *TAKEN_BY_KUBECTL, *NOT_OURS}
)
"""Files that the API server refuses."""


class Problem(NamedTuple):
    """What `llmgov validate` says of a file."""

    field: str
    sentence: str
    code: str


def _document(stem: str) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((FOLDER / f"{stem}.yaml").read_text())
    return document


def _problem(stem: str) -> Problem:
    (said,) = _SAID.finditer((FOLDER / f"{stem}.txt").read_text())
    return Problem(*said.group("field", "sentence", "code"))


def _steps(path: str) -> list[str]:
    """A path's keys and indexes: the API server writes keys of maps otherwise than we do."""
    return re.findall(r'[^.\[\]"]+', path)


@pytest.fixture
def api(cluster: Cluster, namespace: str) -> Iterator[RawApi]:
    with raw_api.proxied(cluster, namespace) as api:
        yield api


@pytest.mark.cluster_versions
def test_what_validate_refuses_is_refused_in_the_same_words(api: RawApi) -> None:
    for stem in sorted(set(STEMS) - IN_OTHER_WORDS.keys()):
        answer, problem = api.create(_document(stem)), _problem(stem)
        assert (stem, answer.code) == (stem, 422), answer.message
        places = re.findall(r"(\S+): Invalid value: .*?" + re.escape(problem.sentence), answer.message)
        assert [_steps(place) for place in places] == [_steps(problem.field)], answer.message


@pytest.mark.cluster_versions
def test_what_the_schema_alone_refuses_is_refused_in_the_api_servers_words(api: RawApi) -> None:
    for stem, said in IN_OTHER_WORDS.items():
        answer = api.create(_document(stem))
        assert (stem, answer.accepted) == (stem, False)
        assert said in answer.message


@pytest.mark.cluster_versions
def test_what_only_validate_and_the_operator_can_refuse_is_taken(api: RawApi) -> None:
    assert {stem: api.create(_document(stem)).message for stem in TAKEN_BY_THE_API_SERVER} == dict.fromkeys(
        TAKEN_BY_THE_API_SERVER, ""
    )


def test_the_answers_are_exactly_these(cluster: Cluster, api: RawApi) -> None:
    version = json.loads(cluster.kubectl("version", "--output=json"))["serverVersion"]["gitVersion"]
    if not version.startswith(ANSWERED_BY):
        pytest.skip(f"this machine cannot: the answers are those of Kubernetes {ANSWERED_BY}x, not of {version}")
    answers = "".join(f"{stem}.yaml: {api.create(_document(stem)).message}\n" for stem in STEMS)
    if os.environ.get("LLMGOV_UPDATE_GOLDEN"):
        ANSWERS.write_text(answers)
    assert answers == ANSWERS.read_text()


def test_every_rule_and_format_is_refused_by_the_api_server_somewhere() -> None:
    rules = {rule.code for model in _models() for rule in model.invariants}
    formats = {
        each.code
        for model in _models()
        for info in model.model_fields.values()
        for each in _flattened(info.metadata)
        if isinstance(each, text.Text)
    }
    assert {"ExactlyOneTarget", "InvalidAmount"} <= rules | formats
    assert rules | formats <= {_problem(stem).code for stem in STEMS}


def _models() -> set[type[Model]]:
    found: set[type[Model]] = set()
    waiting: list[type[Model]] = list(KINDS.values())
    while waiting:
        model = waiting.pop()
        if model not in found:
            found.add(model)
            waiting += [field.model for field in outline.fields(model).values() if field.model is not None]
    return found


def _flattened(metadata: list[Any]) -> Iterator[Any]:
    for each in metadata:
        yield each
        yield from getattr(each, "metadata", ())


@pytest.mark.parametrize("stem", sorted(REFUSED_BY_KUBECTL))
def test_kubectl_refuses_what_is_no_document_of_ours(cluster: Cluster, stem: str) -> None:
    with pytest.raises(KubectlError, match=re.escape(REFUSED_BY_KUBECTL[stem])):
        cluster.kubectl("create", "--dry-run=server", f"--filename={FOLDER / stem}.yaml")


@pytest.mark.parametrize("stem", sorted(TAKEN_BY_KUBECTL))
def test_kubectl_takes_what_only_the_file_shows(cluster: Cluster, namespace: str, stem: str) -> None:
    file = FOLDER / f"{stem}.yaml"
    content = file.read_text().replace("namespace: payments", f"namespace: {namespace}")
    assert "(server dry run)" in cluster.kubectl("create", "--dry-run=server", "--filename=-", stdin=content)


@pytest.mark.cluster_versions
def test_examples_are_taken_with_strict_validation(api: RawApi) -> None:
    files = [file for file in sorted(ROOT.glob("examples/**/*.yaml")) if API_VERSION in file.read_text()]
    documents = [
        (f"{file.parent.name}/{file.name}", document)
        for file in files
        for document in yaml.safe_load_all(file.read_text())
        if document.get("apiVersion") == API_VERSION
    ]
    assert {document["kind"] for _, document in documents} == set(KINDS)
    refused = {(file, answer.message) for file, each in documents if not (answer := api.create(each)).accepted}
    assert refused == set()


_MISSPELT = {
    "apiVersion": API_VERSION,
    "kind": "LLMPolicy",
    "metadata": {"name": "misspelt"},
    "spec": {"prioritty": 5, "modelAccess": {"deny": ["*-preview"], "retrys": 2}},
}


@pytest.mark.cluster_versions
def test_an_unknown_field_is_refused_by_strict_validation_and_dropped_by_every_other(api: RawApi) -> None:
    refusal = api.create(_MISSPELT)
    assert (refusal.code, refusal.document["reason"]) == (400, "BadRequest")
    assert 'unknown field "spec.modelAccess.retrys", unknown field "spec.prioritty"' in refusal.message
    for validation in ("Warn", "Ignore"):
        spec = api.create(_MISSPELT, validation).document["spec"]
        assert spec == {"enforcement": "Enforce", "priority": 0, "modelAccess": {"deny": ["*-preview"]}}


def test_kubectl_asks_for_strict_validation_by_itself(cluster: Cluster, namespace: str) -> None:
    misspelt = {**_MISSPELT, "metadata": {"name": "misspelt", "namespace": namespace}}
    with pytest.raises(KubectlError, match="prioritty"):
        cluster.apply(misspelt)
