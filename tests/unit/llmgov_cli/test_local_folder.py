"""Local mode's folder: what is in force, where providers are, and whose keys are known."""

import pathlib

import pytest

from llmgov import snapshot
from llmgov_cli.local import folder

PRICES = snapshot.PricePart()

CREDENTIAL = """
apiVersion: llmgov.dev/v1alpha1
kind: ProviderCredential
metadata: {{name: openai, namespace: llm-governance}}
spec:
  provider: openai
  secretRef: {{name: key, key: api-key}}
  baseURL: {address}
---
apiVersion: v1
kind: Secret
metadata: {{name: key, namespace: llm-governance}}
type: llmgov.dev/provider-key
{entries}
"""


def _load(place: pathlib.Path, text: str) -> folder.Loaded:
    (place / "all.yaml").write_text(text)
    return folder.load(place, PRICES, ["default"], 4321)


def _credential(address: str = "http://mock-provider/v1", entries: str = "stringData: {api-key: sk-1}") -> str:
    return CREDENTIAL.format(address=address, entries=entries)


@pytest.mark.parametrize(
    ("address", "served"),
    [
        pytest.param("http://mock-provider/v1", "http://127.0.0.1:4321/v1", id="the mock's host is the built-in mock"),
        pytest.param("https://api.openai.com/v1", "https://api.openai.com/v1", id="any other host stays"),
        pytest.param(
            "http://mock-provider.example/v1", "http://mock-provider.example/v1", id="a longer name is another"
        ),
    ],
)
def test_where_requests_go(tmp_path: pathlib.Path, address: str, served: str) -> None:
    loaded = _load(tmp_path, _credential(address))
    assert loaded.rejected == ()
    assert [each.base_url for each in loaded.mocked.organization.providers] == [served]


@pytest.mark.parametrize(
    "entries",
    [
        pytest.param("stringData: {api-key: sk-1}", id="written out"),
        pytest.param("data: {api-key: c2stMQ==}", id="encoded"),
        pytest.param('stringData: {api-key: "env:A_KEY"}', id="in the environment"),
    ],
)
def test_a_key_is_found(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, entries: str) -> None:
    monkeypatch.setenv("A_KEY", "sk-1")
    assert _load(tmp_path, _credential(entries=entries)).keys == {"llm-governance/openai": "sk-1"}


@pytest.mark.parametrize(
    ("entries", "sentence"),
    [
        pytest.param('stringData: {api-key: "env:NO_SUCH"}', "the variable NO_SUCH is not set", id="an unset variable"),
        pytest.param('stringData: {api-key: " "}', "is empty", id="an empty value"),
        pytest.param("data: {api-key: sk-secret!}", "is not base64 of a text", id="data that is not encoded"),
    ],
)
def test_an_unusable_key_is_said_with_its_place_and_never_its_value(
    tmp_path: pathlib.Path, entries: str, sentence: str
) -> None:
    loaded = _load(tmp_path, _credential(entries=entries))
    assert loaded.keys == {}
    assert any("all.yaml:14: Secret/llm-governance/key" in each and sentence in each for each in loaded.rejected)
    assert "sk-secret" not in str(loaded.rejected)


def test_a_folder_with_an_error_is_rejected_with_file_and_line(tmp_path: pathlib.Path) -> None:
    policy = (
        "apiVersion: llmgov.dev/v1alpha1\nkind: LLMPolicy\nmetadata: {name: x, namespace: a}\nspec:\n  priorty: 1\n"
    )
    loaded = _load(tmp_path, policy)
    assert [each for each in loaded.rejected if "all.yaml:5" in each and "priorty" in each]


def test_an_unreadable_file_is_rejected(tmp_path: pathlib.Path) -> None:
    assert _load(tmp_path, "a: [1\n").rejected


def test_values_of_secrets_are_in_no_document(tmp_path: pathlib.Path) -> None:
    loaded = _load(tmp_path, _credential())
    assert "sk-1" not in repr(loaded.documents)
    assert "sk-1" not in repr(snapshot.encode(loaded.mocked.organization))


HEAD = "apiVersion: llmgov.dev/v1alpha1\n"
POLICY = HEAD + "kind: LLMPolicy\nmetadata: {{name: x, namespace: {}}}\nspec: {{modelAccess: {{allow: ['*']}}}}\n"


def test_a_policy_in_a_namespace_without_document_or_workload_is_warned_of(tmp_path: pathlib.Path) -> None:
    loaded = _load(tmp_path, POLICY.format("shoop"))
    assert loaded.rejected == ()
    assert [each for each in loaded.warnings if "all.yaml:3: warning: LLMPolicy/shoop/x metadata.namespace: " in each]


@pytest.mark.parametrize("namespace", ["default", "llm-governance"])
def test_a_workloads_own_namespace_and_the_root_are_not_warned_of(tmp_path: pathlib.Path, namespace: str) -> None:
    assert _load(tmp_path, POLICY.format(namespace)).warnings == ()


def test_a_workload_in_a_namespace_that_no_document_names_is_warned_of(tmp_path: pathlib.Path) -> None:
    (tmp_path / "all.yaml").write_text(POLICY.format("shop"))
    loaded = folder.load(tmp_path, PRICES, ["shoop", "default", "shop"], 4321)
    assert [each for each in loaded.warnings if "no document names the namespace shoop" in each]
    assert len(loaded.warnings) == 1


def test_one_mistake_is_one_reason(tmp_path: pathlib.Path) -> None:
    budget = HEAD + "kind: Budget\nmetadata: {name: b, namespace: llm-governance}\n"
    team = HEAD + "kind: Team\nmetadata: {name: a}\n"
    text = "---\n".join([team, budget + 'spec: {target: {team: a}, limit: "5", period: Day}\n'])
    assert len(_load(tmp_path, text).rejected) == 1


@pytest.mark.parametrize(
    ("now", "rejected"),
    [
        pytest.param("", True, id="emptied"),
        pytest.param("# to be written\n\n---\n", True, id="nothing but comments"),
        pytest.param(None, False, id="deleted"),
        pytest.param(HEAD + "kind: Team\nmetadata: {name: a}\nspec: {}\n", False, id="another resource"),
        pytest.param("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\n", False, id="only a foreign one"),
    ],
)
def test_a_file_that_held_resources_may_be_deleted_but_not_emptied(
    tmp_path: pathlib.Path, now: str | None, rejected: bool
) -> None:
    before = _load(tmp_path, POLICY.format("default"))
    file = tmp_path / "all.yaml"
    if now is None:
        file.unlink()
    else:
        file.write_text(now)
    loaded = folder.load(tmp_path, PRICES, ["default"], 4321, before)
    sentence = f"{file}:1: is empty now, and held resources that are in force; save it whole, or delete it if that"
    assert [each.startswith(sentence) for each in loaded.rejected] == ([True] if rejected else [])


def test_a_file_that_never_held_a_resource_may_be_empty(tmp_path: pathlib.Path) -> None:
    (tmp_path / "more.yaml").touch()
    before = _load(tmp_path, POLICY.format("default"))
    assert before.rejected == ()
    assert folder.load(tmp_path, PRICES, ["default"], 4321, before).rejected == ()
