"""Folders of YAML: which files are read, what is kept, and where findings point."""

import os
import pathlib

import pytest

from llmgov import resources
from llmgov_cli import manifests

TEAM = "apiVersion: llmgov.dev/v1alpha1\nkind: Team\nmetadata: {name: payments}\nspec: {}\n"
SECRET = "apiVersion: v1\nkind: Secret\nmetadata: {name: key, namespace: a}\nstringData: {api-key: env:OPENAI_KEY}\n"
NAMESPACE = "apiVersion: v1\nkind: Namespace\nmetadata: {name: a, labels: {env: prod}}\n"


def _write(folder: pathlib.Path, name: str, text: str) -> pathlib.Path:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def test_files_are_read_in_the_order_of_their_names_each_once(tmp_path: pathlib.Path) -> None:
    for name in ("b.yaml", "a/z.yml", "a.yaml", "notes.txt", ".hidden.yaml", ".state/x.yaml"):
        _write(tmp_path, name, TEAM)
    found, findings = manifests.load([tmp_path / "b.yaml", tmp_path])
    assert [str(each.file.relative_to(tmp_path)) for each in found] == ["b.yaml", "a.yaml", "a/z.yml"]
    assert findings == []


@pytest.mark.parametrize("name", ["traffic.yaml", "cases.yaml", "pii.cases.yaml", "kustomization.yaml"])
def test_files_of_other_formats_are_passed_over_even_when_named(tmp_path: pathlib.Path, name: str) -> None:
    assert manifests.load([_write(tmp_path, name, "requests: []\n")]) == ([], [])


def test_secrets_and_namespaces_are_kept_as_they_are_written(tmp_path: pathlib.Path) -> None:
    found, findings = manifests.load([_write(tmp_path, "all.yaml", f"{SECRET}---\n{NAMESPACE}---\n{TEAM}")])
    assert [(each.kind, each.ours) for each in found] == [("Secret", False), ("Namespace", False), ("Team", True)]
    assert found[0].raw["stringData"] == {"api-key": "env:OPENAI_KEY"}
    assert findings == []


def test_what_is_not_ours_is_a_warning(tmp_path: pathlib.Path) -> None:
    text = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\n"
    found, (finding,) = manifests.load([_write(tmp_path, "web.yaml", text)])
    assert found == []
    assert "warning: Deployment/web: is of apps/v1" in str(finding)


def test_resources_come_with_their_manifests(tmp_path: pathlib.Path) -> None:
    found, _ = manifests.load([_write(tmp_path, "all.yaml", f"{NAMESPACE}---\n{TEAM}")])
    (declared,), findings = manifests.parse(found)
    assert isinstance(declared.resource, resources.Team)
    assert (declared.manifest.line(), findings) == (4 + 1, [])


def test_a_faulty_file_leaves_the_others_as_they_are(tmp_path: pathlib.Path) -> None:
    _write(tmp_path, "a.yaml", "a: [")
    _write(tmp_path, "b.yaml", TEAM)
    found, findings = manifests.load([tmp_path])
    assert ([each.kind for each in found], [each.problem.code for each in findings]) == (["Team"], ["YamlSyntax"])


def test_a_key_twice_hides_no_other_mistake_of_the_file(tmp_path: pathlib.Path) -> None:
    twice = TEAM.replace("spec: {}", "spec: {}\nspec: {}")
    wrong = TEAM.replace("spec: {}", "spec: {parnt: x}")
    found, unread = manifests.load([_write(tmp_path, "all.yaml", f"{twice}---\n{wrong}---\n{NAMESPACE}")])
    _, findings = manifests.parse(found)
    assert [(each.line, each.problem.code) for each in unread] == [(5, "DuplicateKey")]
    assert [each.line for each in findings] == [10]
    assert [each.kind for each in found] == ["Team", "Team", "Namespace"]


@pytest.mark.parametrize(
    ("field", "line"),
    [
        ("", 1),
        ("spec", 4),
        ("spec.members[1].role", 7),
        ("spec.members[0].role", 6),
        ("spec.members[9]", 5),
        ("spec.parent.more", 4),
        ('metadata.labels["a.b/c"]', 3),
        ("nothing", 1),
    ],
    ids=["the document", "a field", "a field of an entry", "a field that the entry lacks", "an entry that is not there",
         "below what is not there", "a key in quotes", "nothing of the kind"],
)  # fmt: skip
def test_a_path_has_the_line_of_the_nearest_place_around_it(tmp_path: pathlib.Path, field: str, line: int) -> None:
    text = (
        "apiVersion: llmgov.dev/v1alpha1\nkind: Team\nmetadata: {name: a, labels: {}}\nspec:\n"
        "  members:\n    - {user: a}\n    - {user: b, role: c}\n"
    )
    (found,), _ = manifests.load([_write(tmp_path, "a.yaml", text)])
    assert found.line(field) == line


def test_a_file_that_is_not_there_is_a_finding(tmp_path: pathlib.Path) -> None:
    _, (finding,) = manifests.load([tmp_path / "missing.yaml"])
    assert (finding.problem.code, finding.line) == ("Unreadable", 1)


@pytest.mark.timeout(10)
def test_a_named_pipe_is_a_finding_and_not_waited_for(tmp_path: pathlib.Path) -> None:
    os.mkfifo(tmp_path / "x.yaml")
    _, (finding,) = manifests.load([tmp_path])
    assert finding.problem.message == "is no regular file"
    assert manifests.whatever_is_in(tmp_path / "x.yaml") == ""


def test_what_a_shell_puts_in_place_of_a_file_is_read() -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading), os.fdopen(writing, "w") as stream:
        stream.write(TEAM)
        stream.close()
        found, findings = manifests.load([pathlib.Path(f"/dev/fd/{reading}")])
    assert ([each.kind for each in found], findings) == (["Team"], [])


def test_a_file_that_is_too_large_is_not_read_whole(tmp_path: pathlib.Path) -> None:
    file = _write(tmp_path, "large.yaml", "# " + "x" * manifests.MAX_BYTES)
    _, (finding,) = manifests.load([file])
    assert finding.problem.code == "TooLarge"


def test_too_many_files_end_with_a_finding(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifests, "MAX_FILES", 2)
    for name in ("a.yaml", "b.yaml", "c.yaml"):
        _write(tmp_path, name, NAMESPACE)
    found, (finding,) = manifests.load([tmp_path])
    assert (len(found), finding.file.name, finding.problem.code) == (2, "c.yaml", "TooLarge")
